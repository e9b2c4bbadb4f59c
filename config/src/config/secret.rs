//! Secrets by name.

use std::path::PathBuf;

use sip::Secret;

/// The key from which all others are derived, and those it replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets {
    /// 32 bytes; `None`, with SQLite only: a file beside the database, made at first start.
    pub key: Option<SecretRef>,
    /// Earlier keys, which can still open what they sealed.
    pub old_keys: Vec<SecretRef>,
}

/// Where a secret is to be read. Only [`SecretRef::Inline`] holds one, and it does not print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// A systemd credential: a file of this name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// A file, an absolute path.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// In the configuration itself, which is a warning.
    Inline(Secret),
}
