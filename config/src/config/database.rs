//! `[database]`: where records are kept, and for how long.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::secret::SecretRef;

/// The store, and how long it keeps what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Which store.
    pub store: Store,
    /// How long records are kept.
    pub retention: Retention,
}

/// Which store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// A file, for trials and small sites.
    Sqlite {
        /// The file, an absolute path; `None`: `dozvon.db` in the state folder.
        path: Option<PathBuf>,
    },
    /// A server.
    Postgres {
        /// Where it is and who we are, without a password.
        url: PostgresUrl,
        /// The password; `None`: the server asks for none.
        password: Option<SecretRef>,
        /// What happens while it does not answer.
        on_outage: OnOutage,
    },
}

/// The address of a Postgres server and database; it holds no password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(String);

/// What happens to new work while the database does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnOutage {
    /// It is refused with 503.
    Refuse,
}

/// How long records are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Verifications and call records, in whole days.
    pub calls: Duration,
    /// The wording of texts, in whole hours.
    pub message_text: Duration,
    /// Full numbers, in whole days; then they are blanked.
    pub numbers: Duration,
}

impl PostgresUrl {
    /// The text, `postgres://user@host:port/database?option=value`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn without_password(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Database {
    /// Whether it is Postgres.
    pub fn is_postgres(&self) -> bool {
        matches!(self.store, Store::Postgres { .. })
    }
}
