//! Pools of caller IDs.

pub(crate) mod draw;
pub(crate) mod endings;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::name::{PoolName, TrunkName};
use crate::number::{E164, E164Error};
use crate::tail::CodeLength;

use self::endings::Endings;

/// Numbers from one to another, both included, all with the same count of digits.
///
/// `Debug` masks both ends: a range of one number is a caller ID.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NumberRange {
    first: E164,
    last: E164,
}

/// Why a text is not a range of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NumberRangeError {
    /// One of its ends is not a number.
    #[error("an end of the range is no number: {0}")]
    Number(#[from] E164Error),
    /// The last number comes before the first.
    #[error("the range ends before it starts")]
    Reversed,
    /// The ends differ in their count of digits.
    #[error("the ends of the range differ in length")]
    LengthsDiffer,
}

impl NumberRange {
    /// The numbers from `first` to `last`, both included.
    pub fn new(first: E164, last: E164) -> Result<Self, NumberRangeError> {
        if first.digit_count() != last.digit_count() {
            return Err(NumberRangeError::LengthsDiffer);
        }
        if first > last {
            return Err(NumberRangeError::Reversed);
        }
        Ok(Self { first, last })
    }

    /// Reads `+74951230000-+74951239999`, or one number for a range of one; spaces may
    /// stand around the hyphen.
    pub fn parse(text: &str) -> Result<Self, NumberRangeError> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Self::new(E164::parse(first.trim())?, E164::parse(last.trim())?)
    }

    /// How many numbers the range holds, at least 1.
    pub fn count(&self) -> u64 {
        self.last.value() - self.first.value() + 1
    }

    /// Whether a number is in it.
    pub fn contains(&self, number: &E164) -> bool {
        // Numbers of other lengths lie outside, for the ends have one length.
        (self.first..=self.last).contains(number)
    }

    /// Whether some number is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// The number at a place, the first at 0; `None` behind the last.
    pub fn nth(&self, place: u64) -> Option<E164> {
        let number = self.first.value().checked_add(place)?;
        E164::from_value(number).filter(|number| self.contains(number))
    }

    /// The range in the form that [`NumberRange::parse`] reads, in clear, for the
    /// operator's own file; never for a log line.
    pub fn reveal(&self) -> String {
        let first = self.first.reveal();
        if self.first == self.last {
            first.to_string()
        } else {
            format!("{}-{}", first.as_str(), self.last.reveal().as_str())
        }
    }
}

impl FromStr for NumberRange {
    type Err = NumberRangeError;

    fn from_str(text: &str) -> Result<Self, NumberRangeError> {
        Self::parse(text)
    }
}

impl fmt::Debug for NumberRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NumberRange({} hidden)", self.count())
    }
}

/// Numbers that trunks may show as caller IDs, and how many of their digits are the code.
///
/// Its memory follows the count of its ranges, not of its numbers.
#[derive(Debug, Clone)]
pub struct CallerIdPool {
    name: PoolName,
    code_length: CodeLength,
    trunks: Arc<[TrunkName]>,
    endings: Endings,
}

/// Why numbers are not a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PoolError {
    /// There is no range.
    #[error("a pool needs a number")]
    NoNumber,
    /// No trunk may show its numbers.
    #[error("a pool needs a trunk that may show its numbers")]
    NoTrunk,
    /// A number has no digit before the code.
    #[error("a number of the pool has no more digits than its code")]
    NumberTooShort,
}

/// How many distinct tails of this length the numbers of these ranges have together: the codes
/// that can be drawn from them.
pub fn ending_count<'a>(
    code_length: CodeLength,
    ranges: impl IntoIterator<Item = &'a NumberRange>,
) -> u64 {
    Endings::new(code_length, ends(ranges)).count()
}

impl CallerIdPool {
    /// A pool of all numbers of these ranges, each once where ranges overlap.
    pub fn new(
        name: PoolName,
        code_length: CodeLength,
        trunks: impl IntoIterator<Item = TrunkName>,
        ranges: impl IntoIterator<Item = NumberRange>,
    ) -> Result<Self, PoolError> {
        let trunks: Arc<[TrunkName]> = trunks.into_iter().collect();
        if trunks.is_empty() {
            return Err(PoolError::NoTrunk);
        }
        let ranges: Vec<NumberRange> = ranges.into_iter().collect();
        if ranges.is_empty() {
            return Err(PoolError::NoNumber);
        }
        if ranges.iter().any(|range| range.first.digit_count() <= code_length.digits()) {
            return Err(PoolError::NumberTooShort);
        }
        let endings = Endings::new(code_length, ends(&ranges));
        Ok(Self { name, code_length, trunks, endings })
    }

    /// The pool's name.
    pub fn name(&self) -> &PoolName {
        &self.name
    }

    /// How many digits of its numbers are the code.
    pub fn code_length(&self) -> CodeLength {
        self.code_length
    }

    /// The trunks that may show its numbers.
    pub fn trunks(&self) -> &[TrunkName] {
        &self.trunks
    }

    /// How many numbers the pool holds.
    pub fn number_count(&self) -> u64 {
        self.endings.numbers()
    }

    /// How many distinct tails its numbers have: the codes that it can make.
    pub fn ending_count(&self) -> u64 {
        self.endings.count()
    }

    /// Whether the number is one of the pool's.
    pub fn contains(&self, number: &E164) -> bool {
        self.endings.contains(number.value())
    }

    pub(crate) fn endings(&self) -> &Endings {
        &self.endings
    }
}

/// The first and last number of each range, as integers.
fn ends<'a>(ranges: impl IntoIterator<Item = &'a NumberRange>) -> Vec<(u64, u64)> {
    ranges.into_iter().map(|range| (range.first.value(), range.last.value())).collect()
}

#[cfg(test)]
mod tests;
