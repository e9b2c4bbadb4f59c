//! Numbers as ranges, and the arithmetic of their last digits.

use std::fmt;

use crate::tail::CodeLength;

/// A set of numbers and of their endings, in memory that follows the count of ranges.
///
/// `Debug` prints counts: a range of one number is a caller ID.
#[derive(Clone)]
pub(crate) struct Endings {
    /// The numbers, sorted, no two ranges touching.
    ranges: Vec<(u64, u64)>,
    /// The heads that have every tail, as rectangles.
    full: Vec<Segment>,
    /// The numbers under other heads, as rectangles of heads and tails by their first tail.
    partial: Vec<Segment>,
    /// For each of these, the last tail of it and of all before it.
    furthest: Vec<u64>,
    /// The distinct tails, sorted, no two runs touching.
    tails: Vec<Run>,
    /// How many heads have every tail.
    full_heads: u64,
    space: u64,
}

/// Each of `head_count` heads from `head` on, with each tail from `first` to `last`.
#[derive(Clone, Copy)]
struct Segment {
    head: u64,
    head_count: u64,
    first: u64,
    last: u64,
}

/// Tails from `first` to `last`, with `before` tails in the runs before this one.
#[derive(Clone, Copy)]
struct Run {
    first: u64,
    last: u64,
    before: u64,
}

impl Endings {
    /// The numbers of these ranges, both ends included, whatever their order and overlap.
    pub(super) fn new(code_length: CodeLength, ranges: Vec<(u64, u64)>) -> Self {
        let space = code_length.space();
        let ranges = merge(ranges);
        let mut segments = Vec::with_capacity(ranges.len());
        for (first, last) in &ranges {
            cut(*first, *last, space, &mut segments);
        }
        segments.sort_unstable_by_key(|segment| segment.first);
        let tails = runs(segments.iter().map(|segment| (segment.first, segment.last)).collect());
        let is_full = |segment: &Segment| segment.first == 0 && segment.last == space - 1;
        let (full, partial): (Vec<Segment>, Vec<Segment>) = segments.into_iter().partition(is_full);
        let furthest = partial
            .iter()
            .scan(0, |furthest, segment: &Segment| {
                *furthest = segment.last.max(*furthest);
                Some(*furthest)
            })
            .collect();
        let full_heads = full.iter().map(|segment| segment.head_count).sum();
        Self { ranges, full, partial, furthest, tails, full_heads, space }
    }

    /// All numbers of several sets with codes of one length.
    pub(crate) fn union<'a>(
        code_length: CodeLength,
        sets: impl IntoIterator<Item = &'a Endings>,
    ) -> Self {
        let ranges = sets.into_iter().flat_map(|set| set.ranges.iter().copied()).collect();
        Self::new(code_length, ranges)
    }

    /// How many numbers there are.
    pub(crate) fn numbers(&self) -> u64 {
        self.ranges.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// How many distinct tails there are.
    pub(crate) fn count(&self) -> u64 {
        self.tails.last().map_or(0, |run| run.before + run.last - run.first + 1)
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        let index = self.ranges.partition_point(|(first, _)| *first <= number);
        index > 0 && number <= self.ranges[index - 1].1
    }

    /// How many numbers of this set are in the other one.
    pub(crate) fn shared_with(&self, other: &Self) -> u64 {
        let (mut shared, mut rest) = (0, other.ranges.as_slice());
        for (first, last) in &self.ranges {
            rest = &rest[rest.partition_point(|(_, end)| end < first)..];
            shared += rest
                .iter()
                .take_while(|(start, _)| start <= last)
                .map(|(start, end)| end.min(last) - start.max(first) + 1)
                .sum::<u64>();
        }
        shared
    }

    pub(crate) fn tail_of(&self, number: u64) -> u64 {
        number % self.space
    }

    /// The place of a tail among the distinct tails.
    pub(crate) fn rank(&self, tail: u64) -> Option<u64> {
        let index = self.tails.partition_point(|run| run.first <= tail).checked_sub(1)?;
        let run = self.tails[index];
        (tail <= run.last).then(|| run.before + tail - run.first)
    }

    /// The tail at a place below [`Endings::count`].
    pub(crate) fn tail_at(&self, rank: u64) -> u64 {
        let run = self.tails[self.tails.partition_point(|run| run.before <= rank) - 1];
        run.first + rank - run.before
    }

    /// How many numbers have this tail.
    pub(crate) fn numbers_with(&self, tail: u64) -> u64 {
        self.segments_with(tail).map(|segment| segment.head_count).sum()
    }

    /// The number at a place below [`Endings::numbers_with`].
    pub(crate) fn number_at(&self, tail: u64, mut place: u64) -> Option<u64> {
        for segment in self.segments_with(tail) {
            if place < segment.head_count {
                return Some((segment.head + place) * self.space + tail);
            }
            place -= segment.head_count;
        }
        None
    }

    /// The place of a number among those with its tail.
    pub(crate) fn place_of(&self, number: u64) -> Option<u64> {
        let (head, tail) = (number / self.space, self.tail_of(number));
        let mut before = 0;
        for segment in self.segments_with(tail) {
            if let Some(place) = head.checked_sub(segment.head)
                && place < segment.head_count
            {
                return Some(before + place);
            }
            before += segment.head_count;
        }
        None
    }

    /// The tails of which every number rests, sorted; `resting` is sorted.
    pub(crate) fn exhausted(&self, resting: &[u64]) -> Vec<u64> {
        let mut tails: Vec<u64> = resting
            .iter()
            .filter(|number| self.contains(**number))
            .map(|number| self.tail_of(*number))
            .collect();
        tails.sort_unstable();
        let all_rest = |group: &&[u64]| {
            let resting = group.len() as u64;
            resting >= self.full_heads && resting == self.numbers_with(group[0])
        };
        tails.chunk_by(|a, b| a == b).filter(all_rest).map(|group| group[0]).collect()
    }

    fn segments_with(&self, tail: u64) -> impl Iterator<Item = &Segment> {
        let started = self.partial.partition_point(|segment| segment.first <= tail);
        let before = self.partial[..started].iter().zip(&self.furthest).rev();
        let reaching = before.take_while(move |(_, furthest)| **furthest >= tail);
        let partial =
            reaching.map(|(segment, _)| segment).filter(move |segment| segment.last >= tail);
        self.full.iter().chain(partial)
    }
}

impl fmt::Debug for Endings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endings({} of {} numbers hidden)", self.count(), self.numbers())
    }
}

/// The tails of these intervals as runs.
fn runs(intervals: Vec<(u64, u64)>) -> Vec<Run> {
    let mut before = 0;
    let run = |(first, last)| {
        let run = Run { first, last, before };
        before += last - first + 1;
        run
    };
    merge(intervals).into_iter().map(run).collect()
}

/// Sorts intervals and joins those that overlap or touch.
fn merge(mut intervals: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    intervals.sort_unstable();
    intervals.dedup_by(|next, kept| {
        let touches = next.0 <= kept.1.saturating_add(1);
        if touches {
            kept.1 = kept.1.max(next.1);
        }
        touches
    });
    intervals
}

/// Cuts a range into at most three rectangles: a partial first head, whole heads, a
/// partial last head.
fn cut(first: u64, last: u64, space: u64, segments: &mut Vec<Segment>) {
    let (mut head, mut last_head) = (first / space, last / space);
    let (first_tail, last_tail) = (first % space, last % space);
    if head == last_head {
        segments.push(Segment { head, head_count: 1, first: first_tail, last: last_tail });
        return;
    }
    if first_tail != 0 {
        segments.push(Segment { head, head_count: 1, first: first_tail, last: space - 1 });
        head += 1;
    }
    if last_tail != space - 1 {
        segments.push(Segment { head: last_head, head_count: 1, first: 0, last: last_tail });
        last_head -= 1;
    }
    if head <= last_head {
        let head_count = last_head - head + 1;
        segments.push(Segment { head, head_count, first: 0, last: space - 1 });
    }
}
