//! API keys as they are kept: never the key, only its SHA-256.

use std::fmt;

use crate::clock::Timestamp;
use crate::store::StoreError;
use crate::store::convert::Table;
use crate::store::row::ApiKeyRow;
use crate::store::sql_types::Bytes;

/// The ten characters by which a key is found: the readable part of `dz_live_<id>_<secret>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiKeyId(String);

/// The text is not ten lower-case letters and digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key's id is ten lower-case letters and digits")]
pub struct ApiKeyIdError;

impl ApiKeyId {
    /// Its characters.
    pub const LEN: usize = 10;

    /// Reads ten lower-case letters a to z and digits.
    pub fn parse(text: &str) -> Result<Self, ApiKeyIdError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if text.len() == Self::LEN && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ApiKeyIdError)
        }
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A key without its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// By which it is found.
    pub api_key_id: ApiKeyId,
    /// SHA-256 of the secret part's 43 characters.
    pub secret_sha256: [u8; 32],
    /// The account it sees; `None`: a gateway key, which sees all.
    pub account: Option<String>,
    /// False for a test key.
    pub live: bool,
    /// What it may do, by name.
    pub scopes: Vec<String>,
    /// The networks it may be used from, in CIDR notation; empty: from everywhere.
    pub networks: Vec<String>,
    /// What its owner calls it.
    pub label: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// After this it counts no more; `None`: it has no end.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked; `None`: it was not.
    pub revoked_at: Option<Timestamp>,
    /// When it was used last, to the minute; `None`: never.
    pub last_used_at: Option<Timestamp>,
}

impl ApiKey {
    pub(crate) fn to_row(&self) -> ApiKeyRow {
        ApiKeyRow {
            api_key_id: self.api_key_id.0.clone(),
            secret_sha256: Bytes(self.secret_sha256),
            account: self.account.clone(),
            live: self.live,
            scopes: self.scopes.join(" "),
            networks: self.networks.join(" "),
            label: self.label.clone(),
            created_at: self.created_at,
            expires_at: self.expires_at,
            revoked_at: self.revoked_at,
            last_used_at: self.last_used_at,
        }
    }

    pub(crate) fn from_row(row: ApiKeyRow) -> Result<Self, StoreError> {
        let words = |text: String| text.split_whitespace().map(str::to_owned).collect();
        let id = ApiKeyId::parse(&row.api_key_id);
        Ok(Self {
            api_key_id: id.map_err(|_| Table("api_key").damaged("api_key_id"))?,
            secret_sha256: row.secret_sha256.0,
            account: row.account,
            live: row.live,
            scopes: words(row.scopes),
            networks: words(row.networks),
            label: row.label,
            created_at: row.created_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            last_used_at: row.last_used_at,
        })
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("api_key_id", &self.api_key_id)
            .field("account", &self.account)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}
