//! What the digits of a range of numbers tell.

use dialplans::NumberRange;

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

    #[test]
    fn a_range_starts_with_a_prefix_when_both_ends_do() {
        let range = NumberRange::parse("+74951230000-+74951239999").unwrap();
        assert!(starts_with(&range, "7"));
        assert!(!starts_with(&range, "49"));
        assert!(!starts_with(&NumberRange::parse("+6999999999-+7000000000").unwrap(), "7"));
    }
}
