//! Accounts and their API keys.

mod network;
mod scope;
mod token;

pub use network::{Network, NetworkError};
pub use scope::{Scope, Scopes, UnknownScope};
pub use token::{KeyId, SecretHash, Token};
