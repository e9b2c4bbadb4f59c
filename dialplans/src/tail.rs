//! The tail of a caller ID, which is the code of a flash call.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::number::Revealed;

/// How many digits of a caller ID are the code: 3 to 10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodeLength(u8);

/// The code length is outside 3 to 10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a code has {} to {} digits", CodeLength::MIN, CodeLength::MAX)]
pub struct CodeLengthError;

impl CodeLength {
    /// The shortest code: fewer digits are guessed within a handful of tries.
    pub const MIN: u8 = 3;
    /// The longest code, in digits.
    pub const MAX: u8 = 10;

    /// A code length of 3 to 10 digits.
    pub fn new(digits: u8) -> Result<Self, CodeLengthError> {
        if (Self::MIN..=Self::MAX).contains(&digits) {
            Ok(Self(digits))
        } else {
            Err(CodeLengthError)
        }
    }

    /// The number of digits, 3 to 10.
    pub fn digits(self) -> usize {
        usize::from(self.0)
    }

    /// How many codes of this length there are: 1,000 to 10,000,000,000.
    pub fn space(self) -> u64 {
        10_u64.pow(u32::from(self.0))
    }
}

impl fmt::Display for CodeLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The last digits of a caller ID: the code of a flash call.
///
/// It has neither `Debug` nor `Display`, and nothing serialises it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tail {
    // The length comes first, so that tails of one length are neighbours in order.
    length: CodeLength,
    value: u64,
}

/// Why a text is not a tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TailError {
    /// There are fewer than 3 or more than 10 characters.
    #[error(transparent)]
    Length(#[from] CodeLengthError),
    /// A character is not a digit.
    #[error("a code is made of digits")]
    NotADigit,
}

impl Tail {
    /// Reads 3 to 10 digits; leading zeros count.
    pub fn parse(text: &str) -> Result<Self, TailError> {
        let length = u8::try_from(text.len()).map_err(|_| CodeLengthError)?;
        let length = CodeLength::new(length)?;
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(TailError::NotADigit);
        }
        let value = text.bytes().fold(0, |value, byte| value * 10 + u64::from(byte - b'0'));
        Ok(Self { length, value })
    }

    /// How many digits the tail has.
    pub fn length(&self) -> CodeLength {
        self.length
    }

    /// The digits in clear, for the HMAC and for comparison; never for a log line.
    pub fn reveal(&self) -> Revealed {
        Revealed::new(false, self.value, self.length.digits())
    }

    /// The tail of this length and value; `value` is below the length's space.
    pub(crate) fn from_value(length: CodeLength, value: u64) -> Self {
        debug_assert!(value < length.space(), "a tail has no more digits than its length");
        Self { length, value }
    }

    pub(crate) fn value(self) -> u64 {
        self.value
    }
}

/// The tails that one number was shown in the last 24 hours; they are not shown again.
///
/// Cloning it is cheap. `Debug` prints counts only.
#[derive(Clone)]
pub struct RecentTails(Shown);

#[derive(Clone)]
enum Shown {
    Known(Arc<[Tail]>),
    Hidden { count: u64, was_shown: Arc<dyn Fn(&Tail) -> bool + Send + Sync> },
}

impl RecentTails {
    /// Nothing was shown.
    pub fn none() -> Self {
        Self::known([])
    }

    /// These tails were shown.
    pub fn known(tails: impl IntoIterator<Item = Tail>) -> Self {
        let mut tails: Vec<Tail> = tails.into_iter().collect();
        tails.sort_unstable();
        tails.dedup();
        Self(Shown::Known(tails.into()))
    }

    /// `count` tails were shown, and only the test `was_shown` tells which: the store
    /// keeps an HMAC of number and tail, from which no tail can be read back.
    ///
    /// `was_shown` must answer alike for the same tail. The arithmetic takes all `count`
    /// tails off every pool, so what it calls left is never too much.
    pub fn hidden(count: u64, was_shown: impl Fn(&Tail) -> bool + Send + Sync + 'static) -> Self {
        Self(Shown::Hidden { count, was_shown: Arc::new(was_shown) })
    }

    /// How many tails were shown.
    pub fn count(&self) -> u64 {
        match &self.0 {
            Shown::Known(tails) => tails.len() as u64,
            Shown::Hidden { count, .. } => *count,
        }
    }

    /// Whether this tail was shown.
    pub fn contains(&self, tail: &Tail) -> bool {
        match &self.0 {
            Shown::Known(tails) => tails.binary_search(tail).is_ok(),
            Shown::Hidden { count, was_shown } => *count > 0 && was_shown(tail),
        }
    }

    /// The tails that are known by value, in order; none when they are hidden.
    pub(crate) fn known_tails(&self) -> &[Tail] {
        match &self.0 {
            Shown::Known(tails) => tails,
            Shown::Hidden { .. } => &[],
        }
    }

    /// How many tails are known only to the test.
    pub(crate) fn hidden_count(&self) -> u64 {
        match &self.0 {
            Shown::Known(_) => 0,
            Shown::Hidden { count, .. } => *count,
        }
    }
}

impl fmt::Debug for RecentTails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecentTails({} hidden)", self.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_keeps_its_leading_zeros() {
        let tail = Tail::parse("0042").unwrap();
        assert_eq!(tail.reveal().as_str(), "0042");
        assert!(tail != Tail::parse("042").unwrap());
    }

    #[test]
    fn a_text_that_is_no_tail_is_refused_by_cause() {
        assert!(Tail::parse("42") == Err(TailError::Length(CodeLengthError)));
        assert!(Tail::parse("12345678901") == Err(TailError::Length(CodeLengthError)));
        assert!(Tail::parse("12a4") == Err(TailError::NotADigit));
    }

    #[test]
    fn recent_tails_answer_alike_known_or_hidden_and_print_only_their_count() {
        let shown = Tail::parse("1234").unwrap();
        let known = RecentTails::known([shown, shown]);
        let hidden = RecentTails::hidden(1, move |tail| *tail == shown);
        for recent in [known, hidden] {
            assert!(recent.contains(&shown));
            assert!(!recent.contains(&Tail::parse("01234").unwrap()));
            assert_eq!(format!("{recent:?}"), "RecentTails(1 hidden)");
        }
    }
}
