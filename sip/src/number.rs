//! Values that go into a request line or a header and must not be printed in full.

use std::fmt;

/// The user part of a SIP URI: digits to dial, or a trunk's user name.
///
/// Only characters that RFC 3261 section 25.1 allows unescaped in `user` are accepted, and the `#`
/// of technical prefixes, which is kept as `%23`: the value can be written as it is. Debug shows the first four characters and the last two.
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

    /// Accepts `text` when every byte is `unreserved`, `user-unreserved` or `#`; one that was
    /// escaped already stays as it is.
    pub fn new(text: &str) -> Result<Self, UserPartError> {
        if text.is_empty() {
            return Err(UserPartError::Empty);
        }
        let escaped = text.replace('#', ESCAPED_HASH);
        if escaped.len() > Self::MAX_LEN {
            return Err(UserPartError::TooLong);
        }
        let is_escape = |at: usize| text.get(at..).is_some_and(|t| t.starts_with(ESCAPED_HASH));
        let mut bytes = text.bytes().enumerate();
        match bytes.find(|(at, byte)| !is_user_byte(*byte) && *byte != b'#' && !is_escape(*at)) {
            Some((at, byte)) => Err(UserPartError::Forbidden(byte, at)),
            None => Ok(Self(escaped.into())),
        }
    }

    /// The value in full, for the wire only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// `#` is no `user-unreserved` (RFC 3261 section 25.1).
const ESCAPED_HASH: &str = "%23";

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
    fn a_hash_is_written_escaped_and_read_back_as_it_was() {
        let prefixed = UserPart::new("#31#79161234567").unwrap();
        assert_eq!(prefixed.reveal(), "%2331%2379161234567");
        assert_eq!(UserPart::new(prefixed.reveal()), Ok(prefixed));
        assert_eq!(UserPart::new("1%0d%0a"), Err(UserPartError::Forbidden(b'%', 1)));
        assert_eq!(UserPart::new("1%2"), Err(UserPartError::Forbidden(b'%', 1)));
    }

    #[test]
    fn debug_of_a_caller_id_shows_no_digit() {
        let caller_id = CallerId::new(UserPart::new("+74951230042").unwrap());
        assert!(!format!("{caller_id:?}").bytes().any(|byte| byte.is_ascii_digit()));
    }
}
