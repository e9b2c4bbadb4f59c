//! The guard between what people type and the numbering-plan library.

use thiserror::Error;

use super::{E164, Region};

/// Why a typed text is not taken as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NumberError {
    /// It does not have the form of a telephone number: letters, an extension, a short
    /// code, or a national form without a region to read it by.
    #[error("this is not a phone number")]
    NotAPhoneNumber,
    /// It has the form, but its numbering plan has no such number.
    #[error("this number does not exist in its numbering plan")]
    NumberInvalid,
}

pub(super) fn parse(text: &str, region: Option<Region>) -> Result<E164, NumberError> {
    let _ = region;
    E164::parse(text).map_err(|_| NumberError::NotAPhoneNumber)
}
