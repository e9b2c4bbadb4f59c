//! The leading digits of numbers.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::number::{E164, MAX_DIGITS, Revealed};

/// The most digits of a prefix that print; a longer one is nearly somebody's number.
const PRINTED_DIGITS: usize = 9;

/// The leading digits of international numbers, such as `+79`; `+` alone is every number.
///
/// Up to 9 digits print; of a longer prefix the first 9 print, then an asterisk for each
/// digit left.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    value: u64,
    length: u8,
}

/// Why a text is not a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PrefixError {
    /// There is no leading plus sign.
    #[error("a prefix starts with + and a country code")]
    NoPlus,
    /// Something other than a digit follows the plus sign.
    #[error("after the + only digits may follow")]
    NotADigit,
    /// There are more than 15 digits.
    #[error("a prefix has at most {MAX_DIGITS} digits")]
    TooLong,
    /// The first digit is zero, and no country code starts with zero.
    #[error("no country code starts with 0")]
    LeadingZero,
}

impl Prefix {
    /// Reads `+` and up to 15 digits.
    pub fn parse(text: &str) -> Result<Self, PrefixError> {
        let digits = text.strip_prefix('+').ok_or(PrefixError::NoPlus)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(PrefixError::NotADigit);
        }
        if digits.len() > MAX_DIGITS {
            return Err(PrefixError::TooLong);
        }
        if digits.starts_with('0') {
            return Err(PrefixError::LeadingZero);
        }
        let value = digits.bytes().fold(0, |value, byte| value * 10 + u64::from(byte - b'0'));
        Ok(Self { value, length: digits.len() as u8 })
    }

    /// How many digits the prefix has, 0 to 15.
    pub fn digit_count(&self) -> usize {
        usize::from(self.length)
    }

    /// Whether the number starts with these digits.
    pub fn matches(&self, number: &E164) -> bool {
        number
            .digit_count()
            .checked_sub(self.digit_count())
            .is_some_and(|rest| number.value() / 10_u64.pow(rest as u32) == self.value)
    }

    /// The whole prefix with its plus sign, as the file spells it.
    pub fn reveal(&self) -> Revealed {
        Revealed::new(true, self.value, self.digit_count())
    }

    /// The first `length` digits of a number that has as many.
    pub(crate) fn of(number: &E164, length: usize) -> Self {
        let rest = number.digit_count().saturating_sub(length) as u32;
        Self { value: number.value() / 10_u64.pow(rest), length: length as u8 }
    }

    /// The least of the 15-digit values that start with this prefix.
    pub(crate) fn floor(self) -> u64 {
        self.value * self.width()
    }

    /// How many 15-digit values start with this prefix.
    pub(crate) fn width(self) -> u64 {
        10_u64.pow((MAX_DIGITS - self.digit_count()) as u32)
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        Self::parse(text)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let revealed = self.reveal();
        let shown = revealed.digits().len().min(PRINTED_DIGITS);
        let stars = "*".repeat(revealed.digits().len() - shown);
        f.pad(&format!("+{}{stars}", &revealed.digits()[..shown]))
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        Prefix::parse(text).unwrap()
    }

    #[test]
    fn a_prefix_matches_numbers_that_start_with_it_and_no_shorter_ones() {
        let number = E164::parse("+7916123").unwrap();
        for text in ["+", "+7", "+7916", "+7916123"] {
            assert!(prefix(text).matches(&number), "{text}");
        }
        for text in ["+8", "+7917", "+79161230", "+791612300000000"] {
            assert!(!prefix(text).matches(&number), "{text}");
        }
    }

    #[test]
    fn a_prefix_as_long_as_a_number_does_not_print_in_full() {
        assert_eq!(prefix("+").to_string(), "+");
        assert_eq!(prefix("+791612345").to_string(), "+791612345");
        assert_eq!(format!("{:?}", prefix("+79161234567")), "+791612345**");
    }

    #[test]
    fn a_text_that_is_no_prefix_is_refused_by_cause() {
        assert_eq!(Prefix::parse("79"), Err(PrefixError::NoPlus));
        assert_eq!(Prefix::parse("+7 9"), Err(PrefixError::NotADigit));
        assert_eq!(Prefix::parse("+07"), Err(PrefixError::LeadingZero));
        assert_eq!(Prefix::parse("+7916123456789012"), Err(PrefixError::TooLong));
    }
}
