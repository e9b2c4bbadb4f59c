//! The number that the phone shows.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::number::{E164, Revealed};
use crate::tail::{CodeLength, Tail};

/// The number that a flash call shows; its tail is the code.
///
/// `Debug` and `Display` hide the tail: `+7495123****`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallerId {
    number: E164,
    code_length: CodeLength,
}

/// The number has no digit before the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a caller ID has more digits than its code")]
pub struct CallerIdError;

impl CallerId {
    /// A caller ID whose last `code_length` digits are the code; the number must have
    /// more digits than that.
    pub fn new(number: E164, code_length: CodeLength) -> Result<Self, CallerIdError> {
        if number.digit_count() > code_length.digits() {
            Ok(Self { number, code_length })
        } else {
            Err(CallerIdError)
        }
    }

    /// The code: the last digits.
    pub fn tail(&self) -> Tail {
        Tail::from_value(self.code_length, self.number.value() % self.code_length.space())
    }

    /// How many digits of it are the code.
    pub fn code_length(&self) -> CodeLength {
        self.code_length
    }

    /// The whole number with its plus sign, for the INVITE and for sealing; it holds the
    /// code, so never for a log line.
    pub fn reveal(&self) -> Revealed {
        self.number.reveal()
    }

    pub(crate) fn number(self) -> E164 {
        self.number
    }
}

impl fmt::Display for CallerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let revealed = self.reveal();
        let head = revealed.len() - self.code_length.digits();
        f.pad(&format!("{}{}", &revealed[..head], "*".repeat(self.code_length.digits())))
    }
}

impl fmt::Debug for CallerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Caller IDs that rest, because networks blocked too many of their calls.
///
/// Cloning it is cheap. `Debug` prints the count only.
#[derive(Clone, Default)]
pub struct RestingCallerIds(Arc<[u64]>);

impl RestingCallerIds {
    /// These caller IDs rest; each is counted once.
    pub fn new(caller_ids: impl IntoIterator<Item = CallerId>) -> Self {
        let mut numbers: Vec<u64> = caller_ids.into_iter().map(|id| id.number.value()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        Self(numbers.into())
    }

    /// How many rest.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether this caller ID rests.
    pub fn contains(&self, caller_id: &CallerId) -> bool {
        self.0.binary_search(&caller_id.number.value()).is_ok()
    }

    /// The numbers, sorted and each once.
    pub(crate) fn numbers(&self) -> &[u64] {
        &self.0
    }
}

impl fmt::Debug for RestingCallerIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RestingCallerIds({} hidden)", self.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller_id(text: &str, digits: u8) -> CallerId {
        CallerId::new(E164::parse(text).unwrap(), CodeLength::new(digits).unwrap()).unwrap()
    }

    #[test]
    fn a_caller_id_prints_without_a_digit_of_its_code() {
        let id = caller_id("+74951234567", 4);
        assert_eq!(format!("{id} {id:?}"), "+7495123**** +7495123****");
        assert_eq!(caller_id("+74951234567", 6).to_string(), "+74951******");
        assert_eq!(id.tail().reveal().as_str(), "4567");
        assert_eq!(id.reveal().as_str(), "+74951234567");
    }

    #[test]
    fn a_caller_id_has_a_digit_before_its_code() {
        let number = E164::parse("+7495123").unwrap();
        assert_eq!(CallerId::new(number, CodeLength::new(7).unwrap()), Err(CallerIdError));
        assert!(CallerId::new(number, CodeLength::new(6).unwrap()).is_ok());
    }

    #[test]
    fn resting_caller_ids_print_only_their_count() {
        let id = caller_id("+74951234567", 4);
        let resting = RestingCallerIds::new([id, id]);
        assert!(resting.contains(&id));
        assert_eq!(format!("{resting:?}"), "RestingCallerIds(1 hidden)");
    }
}
