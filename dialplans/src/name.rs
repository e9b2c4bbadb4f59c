//! Names that operators give to trunks and pools.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// The longest name, in bytes: it becomes a metric label and a column of a table.
const NAME_LIMIT: usize = 64;

/// The name of a trunk, as the file spells it; cloning it is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrunkName(Arc<str>);

/// The name of a pool of caller IDs, as the file spells it; cloning it is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolName(Arc<str>);

/// Why a text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NameError {
    /// The text is empty.
    #[error("a name cannot be empty")]
    Empty,
    /// The text is longer than 64 bytes.
    #[error("a name has at most {NAME_LIMIT} bytes")]
    TooLong,
    /// The text has a character other than `A-Z a-z 0-9 _ -`.
    #[error("a name is made of letters a to z, digits, hyphen and underscore")]
    Character,
}

fn parse_name(text: &str) -> Result<Arc<str>, NameError> {
    match text.len() {
        0 => return Err(NameError::Empty),
        1..=NAME_LIMIT => {}
        _ => return Err(NameError::TooLong),
    }
    // The bare keys of TOML, so that every name can head a table without quotes.
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if text.bytes().all(is_bare) { Ok(text.into()) } else { Err(NameError::Character) }
}

macro_rules! name {
    ($name:ident) => {
        impl $name {
            /// Reads a name of 1 to 64 letters a to z, digits, hyphens and underscores.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                parse_name(text).map(Self)
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

name!(TrunkName);
name!(PoolName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_bare_toml_key_of_at_most_64_bytes() {
        assert_eq!(TrunkName::parse("north-2_a").unwrap().as_str(), "north-2_a");
        assert_eq!(PoolName::parse(""), Err(NameError::Empty));
        assert_eq!(PoolName::parse("москва"), Err(NameError::Character));
        assert_eq!(PoolName::parse("a b"), Err(NameError::Character));
        assert!(PoolName::parse(&"a".repeat(64)).is_ok());
        assert_eq!(PoolName::parse(&"a".repeat(65)), Err(NameError::TooLong));
    }
}
