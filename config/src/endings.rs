//! How many different codes a set of numbers holds.

use std::collections::BTreeMap;

use dialplans::{CodeLength, NumberRange};

/// The last digits of numbers, as ranges in order and apart, for each length of code.
#[derive(Clone, Debug, Default)]
pub(crate) struct Endings(BTreeMap<CodeLength, Vec<(u64, u64)>>);

impl Endings {
    /// Adds the endings of these numbers.
    pub(crate) fn add(&mut self, code_length: CodeLength, numbers: &[NumberRange]) {
        let space = code_length.space();
        let ranges = self.0.entry(code_length).or_default();
        for numbers in numbers {
            let (first, last) = ends(numbers);
            let (low, high) = (first % space, last % space);
            if last - first >= space - 1 {
                ranges.push((0, space - 1));
            } else if low <= high {
                ranges.push((low, high));
            } else {
                ranges.push((low, space - 1));
                ranges.push((0, high));
            }
        }
        ranges.sort_unstable();
        let mut joined: Vec<(u64, u64)> = Vec::new();
        for (low, high) in ranges.drain(..) {
            match joined.last_mut() {
                Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
                _ => joined.push((low, high)),
            }
        }
        *ranges = joined;
    }

    /// How many there are; codes of different lengths are different.
    pub(crate) fn count(&self) -> u64 {
        self.0.values().flatten().map(|(low, high)| high - low + 1).sum()
    }
}

/// How many digits the numbers of a range have.
pub(crate) fn digit_count(numbers: &NumberRange) -> usize {
    first_digits(numbers).len()
}

/// Whether all numbers of a range start with these digits.
pub(crate) fn starts_with(numbers: &NumberRange, prefix: &str) -> bool {
    let (first, last) = ends(numbers);
    first.to_string().starts_with(prefix) && last.to_string().starts_with(prefix)
}

fn first_digits(numbers: &NumberRange) -> String {
    numbers.reveal().trim_start_matches('+').chars().take_while(char::is_ascii_digit).collect()
}

/// The first and last number, as integers.
fn ends(numbers: &NumberRange) -> (u64, u64) {
    let first = first_digits(numbers).parse().unwrap_or(0);
    (first, first + (numbers.count() - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(code_length: u8, ranges: &[&str]) -> u64 {
        let ranges: Vec<NumberRange> =
            ranges.iter().map(|text| NumberRange::parse(text).unwrap()).collect();
        let mut endings = Endings::default();
        endings.add(CodeLength::new(code_length).unwrap(), &ranges);
        endings.count()
    }

    #[test]
    fn endings_are_counted_once_each() {
        assert_eq!(count(4, &["+74951230000-+74951239999"]), 10_000);
        assert_eq!(count(3, &["+74951230000-+74951239999"]), 1_000);
        assert_eq!(count(4, &["+74951230000-+74951230099", "+74951240050-+74951240149"]), 150);
        assert_eq!(count(4, &["+74951239990-+74951240009"]), 20, "over the end of the code space");
        assert_eq!(count(4, &["+74951230001", "+74961230001", "+74951230002"]), 2);
    }

    #[test]
    fn codes_of_different_lengths_are_different() {
        let range = [NumberRange::parse("+74951230000-+74951230099").unwrap()];
        let mut endings = Endings::default();
        endings.add(CodeLength::new(4).unwrap(), &range);
        endings.add(CodeLength::new(5).unwrap(), &range);
        assert_eq!(endings.count(), 200);
    }

    #[test]
    fn a_range_starts_with_a_prefix_when_both_ends_do() {
        let range = NumberRange::parse("+74951230000-+74951239999").unwrap();
        assert!(starts_with(&range, "7"));
        assert!(!starts_with(&range, "49"));
        assert!(!starts_with(&NumberRange::parse("+6999999999-+7000000000").unwrap(), "7"));
    }
}
