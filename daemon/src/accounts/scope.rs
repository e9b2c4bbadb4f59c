//! What a key may do.

use std::fmt;

/// One permission of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Verifications.
    Verify,
    /// Texts.
    Messages,
    /// Reading call records of its account.
    Calls,
    /// Calls and codes that the backend chooses.
    CallsOwnCodes,
    /// The directory of users and sign-ins.
    Directory,
    /// Redirects of texts into mailboxes.
    Redirects,
    /// Trunks, calls of all accounts, the dialplan. A gateway key.
    Operator,
    /// The audit trail. A gateway key.
    Audit,
}

/// The text is no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no scope; scopes are: {list}", list = Scope::names())]
pub struct UnknownScope(String);

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 8] = [
        Self::Verify,
        Self::Messages,
        Self::Calls,
        Self::CallsOwnCodes,
        Self::Directory,
        Self::Redirects,
        Self::Operator,
        Self::Audit,
    ];

    /// Reads one scope.
    pub fn parse(text: &str) -> Result<Self, UnknownScope> {
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        found.ok_or_else(|| UnknownScope(text.to_owned()))
    }

    /// Its name on the command line and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Messages => "messages",
            Self::Calls => "calls",
            Self::CallsOwnCodes => "calls:own_codes",
            Self::Directory => "directory",
            Self::Redirects => "redirects",
            Self::Operator => "operator",
            Self::Audit => "audit",
        }
    }

    /// Whether it belongs to a gateway key, which sees all accounts.
    pub fn is_gateway(self) -> bool {
        matches!(self, Self::Operator | Self::Audit)
    }

    fn names() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }

    fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// The scopes of one key.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Scopes(u16);

impl Scopes {
    /// Reads scopes separated by commas or spaces.
    pub fn parse(text: &str) -> Result<Self, UnknownScope> {
        let words = text.split([',', ' ']).filter(|word| !word.is_empty());
        words.map(Scope::parse).collect()
    }

    /// Whether a scope is among them.
    pub fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// The scopes, in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Scope::as_str).collect();
        f.write_str(&names.join(","))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scopes({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_read_back_as_they_print() {
        let all: Scopes = Scope::ALL.into_iter().collect();
        assert_eq!(Scopes::parse(&all.to_string()), Ok(all));
        assert_eq!(all.iter().count(), 8);
        assert_eq!(Scopes::parse("verify, calls").unwrap().to_string(), "verify,calls");
        assert!(Scopes::parse("verfy").unwrap_err().to_string().contains("calls:own_codes"));
    }
}
