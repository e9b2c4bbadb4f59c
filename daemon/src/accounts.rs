//! Accounts and their API keys.

mod acting;
mod authenticate;
mod manage;
mod pace;
mod scope;
mod token;

pub use acting::ActingAccount;
pub use authenticate::{AuthenticateError, Authenticator, KnownKey};
pub use manage::{CreateKeyError, KeyWish, create_key, list_keys, revoke_key};
pub use pace::{Allowance, Paces, TooFast};
pub use scope::{Scope, Scopes, UnknownScope};
pub use sip::{Network, NetworkError};
pub use token::Token;
