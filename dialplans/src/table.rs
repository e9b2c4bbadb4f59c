//! Longest prefix match over as many prefixes as a numbering-plan register has.

use crate::number::{E164, MAX_DIGITS};
use crate::prefix::Prefix;

/// How many intervals make a block, and how many blocks a fence: their starts fill two
/// cache lines.
const BLOCK: usize = 16;
/// No prefix owns the interval.
const NOBODY: u32 = u32::MAX;

/// Prefixes with a value each, read many times.
///
/// Every prefix is an interval of 15-digit values, and intervals of prefixes nest. Laid
/// flat they are a sorted list of starts, each with the longest prefix that owns what
/// follows; a look-up is one search for the last start that is not above the number. The
/// first starts of blocks are kept apart as fences, the first fences of 16 again as
/// fences, and so on: a look-up reads one place on each floor, the upper floors are small
/// enough to stay near the processor, and the block holds the answer beside its starts.
#[derive(Debug, Clone)]
pub(crate) struct PrefixTable {
    /// The floors of fences, the smallest first; the smallest has 16 at most.
    floors: Vec<Vec<u64>>,
    blocks: Vec<Block>,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Block {
    /// Where intervals start; unused places hold the greatest value.
    starts: [u64; BLOCK],
    /// Who owns each interval, as a place in `entries`, or [`NOBODY`].
    owners: [u32; BLOCK],
    /// What the owner says, so that it need not be fetched.
    values: [u32; BLOCK],
    lengths: [u8; BLOCK],
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// The next shorter prefix that holds this one, or [`NOBODY`].
    parent: u32,
    value: u32,
    length: u8,
}

impl PrefixTable {
    /// A table of these prefixes; the error is one that stands twice.
    pub(crate) fn new(mut prefixes: Vec<(Prefix, u32)>) -> Result<Self, Prefix> {
        // A prefix comes before the longer ones that it holds.
        prefixes.sort_unstable_by_key(|(prefix, _)| (prefix.floor(), prefix.digit_count()));
        if let Some(pair) = prefixes.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(pair[1].0);
        }
        let mut entries = Vec::with_capacity(prefixes.len());
        let mut intervals = Intervals::default();
        // The prefixes that hold the place reached, shortest first, with their ends.
        let mut open: Vec<(u32, u64)> = Vec::with_capacity(MAX_DIGITS + 1);
        for (index, (prefix, value)) in (0..NOBODY).zip(&prefixes) {
            intervals.close_until(&mut open, prefix.floor());
            let parent = open.last().map_or(NOBODY, |(parent, _)| *parent);
            entries.push(Entry { parent, value: *value, length: prefix.digit_count() as u8 });
            intervals.start(prefix.floor(), index);
            open.push((index, prefix.floor() + prefix.width()));
        }
        intervals.close_until(&mut open, u64::MAX);
        let blocks: Vec<Block> =
            intervals.0.chunks(BLOCK).map(|chunk| Block::new(chunk, &entries)).collect();
        let mut floors = vec![blocks.iter().map(|block| block.starts[0]).collect::<Vec<u64>>()];
        while floors[0].len() > BLOCK {
            floors.insert(0, floors[0].iter().copied().step_by(BLOCK).collect());
        }
        Ok(Self { floors, blocks, entries })
    }

    /// The longest prefix of the number, by its count of digits, and its value.
    pub(crate) fn longest(&self, number: &E164) -> Option<(usize, u32)> {
        let (block, within) = self.find(number)?;
        let length = usize::from(block.lengths[within]);
        if block.owners[within] != NOBODY && length <= number.digit_count() {
            Some((length, block.values[within]))
        } else {
            self.holders(number).next()
        }
    }

    /// Every prefix of the number, the longest first.
    pub(crate) fn holders(&self, number: &E164) -> impl Iterator<Item = (usize, u32)> + '_ {
        let digits = number.digit_count();
        let owner = self.find(number).map_or(NOBODY, |(block, within)| block.owners[within]);
        std::iter::successors(self.entry(owner), |entry| self.entry(entry.parent))
            // A prefix that is longer than the number may own its place, padded with zeros.
            .skip_while(move |entry| usize::from(entry.length) > digits)
            .map(|entry| (usize::from(entry.length), entry.value))
    }

    /// The block and the place in it of the interval that holds the number.
    fn find(&self, number: &E164) -> Option<(&Block, usize)> {
        let place = number.value() * 10_u64.pow((MAX_DIGITS - number.digit_count()) as u32);
        let mut index = 0;
        for floor in &self.floors {
            let first = index * BLOCK;
            let fences = floor.get(first..floor.len().min(first + BLOCK))?;
            index =
                first + fences.iter().filter(|start| **start <= place).count().checked_sub(1)?;
        }
        let block = self.blocks.get(index)?;
        let within = block.starts.iter().filter(|start| **start <= place).count().checked_sub(1)?;
        Some((block, within))
    }

    fn entry(&self, index: u32) -> Option<Entry> {
        self.entries.get(index as usize).copied()
    }
}

impl Block {
    fn new(intervals: &[(u64, u32)], entries: &[Entry]) -> Self {
        let mut block = Self {
            starts: [u64::MAX; BLOCK],
            owners: [NOBODY; BLOCK],
            values: [0; BLOCK],
            lengths: [0; BLOCK],
        };
        for (within, (start, owner)) in intervals.iter().enumerate() {
            block.starts[within] = *start;
            block.owners[within] = *owner;
            if let Some(entry) = entries.get(*owner as usize) {
                block.values[within] = entry.value;
                block.lengths[within] = entry.length;
            }
        }
        block
    }
}

/// Where intervals start and who owns them, sorted.
#[derive(Default)]
struct Intervals(Vec<(u64, u32)>);

impl Intervals {
    /// Closes what ends at `place` or before it; what lies outside goes on after it.
    fn close_until(&mut self, open: &mut Vec<(u32, u64)>, place: u64) {
        while let Some((_, end)) = open.pop_if(|(_, end)| *end <= place) {
            self.start(end, open.last().map_or(NOBODY, |(outer, _)| *outer));
        }
    }

    fn start(&mut self, place: u64, owner: u32) {
        // An interval of no width is none.
        self.0.pop_if(|(last, _)| *last == place);
        self.0.push((place, owner));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand_chacha::ChaCha20Rng;
    use rand_core::{Rng, SeedableRng};

    use super::*;

    fn table(prefixes: &[&str]) -> PrefixTable {
        let parse = |text: &&str| Prefix::parse(text).unwrap();
        PrefixTable::new(prefixes.iter().map(parse).zip(0..).collect()).unwrap()
    }

    fn digits(rng: &mut ChaCha20Rng, length: usize) -> String {
        // Three different digits, so that prefixes nest and meet; the first is not zero.
        (0..length)
            .map(|at| match b"109"[rng.next_u32() as usize % 3] {
                b'0' if at == 0 => '9',
                digit => char::from(digit),
            })
            .collect()
    }

    #[test]
    fn the_longest_prefix_wins_and_shorter_ones_follow() {
        let table = table(&["+", "+7", "+79", "+7916", "+7917", "+44"]);
        let number = E164::parse("+79161234567").unwrap();
        assert_eq!(table.longest(&number), Some((4, 3)));
        let holders: Vec<_> = table.holders(&number).collect();
        assert_eq!(holders, [(4, 3), (2, 2), (1, 1), (0, 0)]);
        assert_eq!(table.longest(&E164::parse("+79181234567").unwrap()), Some((2, 2)));
        assert_eq!(table.longest(&E164::parse("+4930123456").unwrap()), Some((0, 0)));
    }

    #[test]
    fn a_number_that_no_prefix_holds_has_none() {
        let table = table(&["+79", "+44"]);
        for number in ["+74951234567", "+4930123456", "+1234567", "+999999999999999"] {
            assert_eq!(table.longest(&E164::parse(number).unwrap()), None, "{number}");
        }
        let empty = PrefixTable::new(Vec::new()).unwrap();
        assert_eq!(empty.longest(&E164::parse("+79161234567").unwrap()), None);
    }

    #[test]
    fn a_prefix_that_is_longer_than_the_number_does_not_hold_it() {
        let table = table(&["+7", "+79161230", "+791612300"]);
        assert_eq!(table.longest(&E164::parse("+7916123").unwrap()), Some((1, 0)));
        assert_eq!(table.longest(&E164::parse("+79161230").unwrap()), Some((8, 1)));
    }

    #[test]
    fn a_prefix_that_stands_twice_is_an_error() {
        let prefix = Prefix::parse("+79").unwrap();
        let twice = PrefixTable::new(vec![(prefix, 0), (prefix, 1)]);
        assert_eq!(twice.map(|_| ()), Err(prefix));
    }

    #[test]
    fn a_table_answers_like_a_search_through_all_prefixes() {
        let seed = 30;
        println!("seed {seed}");
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        for round in 0..300 {
            let count = rng.next_u32() as usize % 200;
            let mut naive: BTreeMap<String, u32> = BTreeMap::new();
            for value in 0..count {
                let length = rng.next_u32() as usize % 16;
                naive.insert(digits(&mut rng, length), value as u32);
            }
            let prefixes = naive
                .iter()
                .map(|(digits, value)| (Prefix::parse(&format!("+{digits}")).unwrap(), *value));
            let table = PrefixTable::new(prefixes.collect()).unwrap();
            for _ in 0..200 {
                let length = 7 + rng.next_u32() as usize % 9;
                let text = digits(&mut rng, length);
                let number = E164::parse(&format!("+{text}")).unwrap();
                let expected: Vec<(usize, u32)> = (0..=text.len())
                    .rev()
                    .filter_map(|length| Some((length, *naive.get(&text[..length])?)))
                    .collect();
                let found: Vec<_> = table.holders(&number).collect();
                assert_eq!(found, expected, "round {round}");
            }
        }
    }
}
