//! The draw of a caller ID: first its tail, then the number.

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

use crate::caller_id::RestingCallerIds;
use crate::pool::endings::Endings;
use crate::tail::{CodeLength, RecentTails, Tail};

/// The tails of a set that may be drawn.
pub(crate) struct Draw<'a> {
    endings: &'a Endings,
    code_length: CodeLength,
    resting: &'a [u64],
    recent: &'a RecentTails,
    /// The places of the tails that are known not to be drawn, sorted.
    barred: Vec<u64>,
    resting_count: u64,
    recent_count: u64,
}

impl<'a> Draw<'a> {
    pub(crate) fn new(
        endings: &'a Endings,
        code_length: CodeLength,
        resting: &'a RestingCallerIds,
        recent: &'a RecentTails,
    ) -> Self {
        let resting = resting.numbers();
        let exhausted = endings.exhausted(resting);
        let mut barred: Vec<u64> =
            exhausted.iter().filter_map(|tail| endings.rank(*tail)).collect();
        let resting_count = barred.len() as u64;
        let of_this_length = |tail: &&Tail| tail.length() == code_length;
        let known = recent.known_tails().iter().filter(of_this_length);
        barred.extend(known.filter_map(|tail| endings.rank(tail.value())));
        barred.sort_unstable();
        barred.dedup();
        let recent_count = barred.len() as u64 - resting_count + recent.hidden_count();
        Self { endings, code_length, resting, recent, barred, resting_count, recent_count }
    }

    /// Tails of which every number rests.
    pub(crate) fn resting_count(&self) -> u64 {
        self.resting_count
    }

    /// Tails that the number saw, beside those that rest.
    pub(crate) fn recent_count(&self) -> u64 {
        self.recent_count
    }

    /// How many tails may be drawn, at least.
    pub(crate) fn left(&self) -> u64 {
        (self.endings.count() - self.resting_count).saturating_sub(self.recent_count)
    }

    /// A number whose tail is uniform over the tails that may be drawn, itself uniform
    /// over the numbers with that tail that do not rest. `None` when no tail is left.
    pub(crate) fn number(mut self, rng: &mut ChaCha20Rng) -> Option<u64> {
        // A tail that only the test knows to have been shown is barred once it is met, so
        // each is met once at most, and those left stay equally likely.
        loop {
            let left = self.endings.count() - self.barred.len() as u64;
            let place = nth_outside(&self.barred, below(rng, left)?);
            let tail = self.endings.tail_at(place);
            if self.recent.contains(&Tail::from_value(self.code_length, tail)) {
                let index = self.barred.partition_point(|barred| *barred < place);
                self.barred.insert(index, place);
            } else {
                return number_with_tail(rng, self.endings, self.resting, tail);
            }
        }
    }
}

/// A number with this tail, uniform over those that do not rest; `None` when all rest.
pub(crate) fn number_with_tail(
    rng: &mut ChaCha20Rng,
    endings: &Endings,
    resting: &[u64],
    tail: u64,
) -> Option<u64> {
    let mut barred: Vec<u64> = resting
        .iter()
        .filter(|number| endings.tail_of(**number) == tail)
        .filter_map(|number| endings.place_of(*number))
        .collect();
    barred.sort_unstable();
    let left = endings.numbers_with(tail) - barred.len() as u64;
    let place = nth_outside(&barred, below(rng, left)?);
    endings.number_at(tail, place)
}

/// The place number `nth` among those that are not barred; `barred` is sorted.
fn nth_outside(barred: &[u64], nth: u64) -> u64 {
    barred.iter().fold(nth, |place, barred| place + u64::from(*barred <= place))
}

/// A number below `bound`, each equally likely; `None` for a bound of 0.
pub(crate) fn below(rng: &mut ChaCha20Rng, bound: u64) -> Option<u64> {
    // What is left over of 2^64 after whole multiples of the bound would favour the low
    // values, so it is thrown again. Bounds are below 10^15: one throw in 18,000 at most.
    let left_over = 0_u64.wrapping_sub(bound).checked_rem(bound)?;
    loop {
        let throw = rng.next_u64();
        if throw >= left_over {
            return Some(throw % bound);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_core::SeedableRng;

    use super::*;

    #[test]
    fn places_outside_the_barred_ones_are_each_met_once() {
        let barred = [0, 1, 4, 9];
        let met: Vec<u64> = (0..6).map(|nth| nth_outside(&barred, nth)).collect();
        assert_eq!(met, [2, 3, 5, 6, 7, 8]);
    }

    #[test]
    fn a_bound_that_does_not_divide_the_generators_range_favours_nobody() {
        let seed = 6;
        println!("seed {seed}");
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        // Without the second throw the lowest third would come half of the time.
        let low = (0..30_000).filter(|_| below(&mut rng, 3 << 62).unwrap() < 1 << 62).count();
        assert!((9_600..10_400).contains(&low), "{low} of 30000 in the lowest third");
    }

    #[test]
    fn nothing_is_below_zero() {
        assert_eq!(below(&mut ChaCha20Rng::seed_from_u64(7), 0), None);
    }
}
