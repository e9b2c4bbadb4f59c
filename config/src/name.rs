//! Names that operators give to purposes, accounts and templates.

use std::fmt;
use std::sync::Arc;

use dialplans::NameError;

macro_rules! name {
    ($(#[$attribute:meta])* $name:ident) => {
        $(#[$attribute])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Reads a name of 1 to 64 letters a to z, digits, hyphens and underscores, as the
            /// names of trunks and pools are.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                dialplans::PoolName::parse(text).map(|_| Self(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
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

name!(
    /// The name of a purpose, such as `sign_in`; cloning it is cheap.
    PurposeName
);
name!(
    /// The name of an account; cloning it is cheap.
    AccountName
);
name!(
    /// The name of a webhook; cloning it is cheap.
    WebhookName
);
name!(
    /// The name of a template; cloning it is cheap.
    TemplateName
);

impl PurposeName {
    /// The purpose of a verification that names none.
    pub fn sign_in() -> Self {
        Self("sign_in".into())
    }
}

impl AccountName {
    /// The account that always exists.
    pub fn default_account() -> Self {
        Self("default".into())
    }
}
