//! Values that go into a request line or a header and must not be printed in full.

use std::fmt;

/// The user part of a SIP URI: digits to dial, or a trunk's user name.
///
/// Only characters that RFC 3261 section 25.1 allows unescaped in `user` are accepted, so the
/// value can be written as it is. Debug shows the first four characters and the last two.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UserPart(Box<str>);

/// Why a text is no user part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserPartError {
    /// Nothing is there.
    #[error("a user part cannot be empty")]
    Empty,
    /// Longer than [`UserPart::MAX_LEN`].
    #[error("a user part has at most {} characters", UserPart::MAX_LEN)]
    TooLong,
    /// A character that would have to be escaped.
    #[error("a user part cannot hold the byte {0:#04x} at {1}")]
    Forbidden(u8, usize),
}

impl UserPart {
    /// Longest accepted value, in bytes.
    pub const MAX_LEN: usize = 64;

    /// Accepts `text` when every byte is `unreserved` or `user-unreserved`.
    pub fn new(text: &str) -> Result<Self, UserPartError> {
        if text.is_empty() {
            return Err(UserPartError::Empty);
        }
        if text.len() > Self::MAX_LEN {
            return Err(UserPartError::TooLong);
        }
        match text.bytes().position(|byte| !is_user_byte(byte)) {
            Some(at) => Err(UserPartError::Forbidden(text.as_bytes()[at], at)),
            None => Ok(Self(text.into())),
        }
    }

    /// The value in full, for the wire only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

fn is_user_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte)
}

impl fmt::Debug for UserPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &*self.0;
        if text.len() <= 6 {
            return f.write_str("***");
        }
        write!(f, "{}***{}", &text[..4], &text[text.len() - 2..])
    }
}

/// The calling number of a flash call. Its tail is the one-time code, so it prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct CallerId(UserPart);

impl CallerId {
    /// Wraps the digits that the called phone will show.
    pub fn new(digits: UserPart) -> Self {
        Self(digits)
    }

    /// The value in full, for the wire only.
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }
}

impl fmt::Debug for CallerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallerId(***)")
    }
}

/// A password or another text that never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The secret itself, for computing a digest only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_part_that_could_end_its_header_is_refused() {
        assert_eq!(UserPart::new("12\r\n34"), Err(UserPartError::Forbidden(b'\r', 2)));
        assert_eq!(UserPart::new("12@34"), Err(UserPartError::Forbidden(b'@', 2)));
        assert!(UserPart::new("+79161234567").is_ok());
    }

    #[test]
    fn debug_of_a_caller_id_shows_no_digit() {
        let caller_id = CallerId::new(UserPart::new("+74951230042").unwrap());
        assert!(!format!("{caller_id:?}").bytes().any(|byte| byte.is_ascii_digit()));
    }
}
