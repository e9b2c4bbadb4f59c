//! One of two databases, and what can go wrong with either.

use rand_chacha::ChaCha20Rng;

use crate::clock::Clock;
use crate::secrets::Keys;
use crate::store::StoreError;
use crate::store::batch::Committed;
use crate::store::postgres::PgWriter;
use crate::store::request::Request;
use crate::store::sqlite::SqliteWriter;
use crate::store::webhook::Announcer;

/// What a batch is run with.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) keys: Keys,
    pub(crate) clock: Clock,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) announcer: Announcer,
}

/// The writing side of one database.
#[derive(Debug)]
pub(crate) enum Backend {
    Sqlite(SqliteWriter),
    Postgres(Box<PgWriter>),
}

/// Why a batch was not committed.
#[derive(Debug)]
pub(crate) enum BatchError {
    /// One of its rows is at fault; the batch is halved until it is alone.
    Row(StoreError, String),
    /// Another writer was quicker: the same batch may pass when it reads again.
    Conflict(sqlx::Error),
    /// The connection broke before the commit: nothing was stored.
    Lost(sqlx::Error),
    /// The database does not take writes: nothing was stored.
    Unavailable(String),
    /// The commit's answer was lost and could not be had in time.
    OutcomeUnknown(String),
}

/// What stopped a batch before its commit: the backend says what it means.
#[derive(Debug)]
pub(crate) enum Fault {
    Sql(sqlx::Error),
    Store(StoreError),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Fault {
    pub(crate) fn classify(self, classify: impl Fn(sqlx::Error) -> BatchError) -> BatchError {
        match self {
            Self::Sql(error) => classify(error),
            Self::Store(error) => BatchError::Row(error, error.to_string()),
        }
    }
}

impl Backend {
    /// Runs the requests in one transaction, sets their answers and commits.
    pub(crate) async fn transact(
        &mut self,
        core: &mut Core,
        requests: &mut [Request],
    ) -> Result<Committed, BatchError> {
        match self {
            Self::Sqlite(writer) => writer.transact(core, requests).await,
            Self::Postgres(writer) => writer.transact(core, requests).await,
        }
    }

    /// Takes leave of the database.
    pub(crate) async fn close(self) {
        match self {
            Self::Sqlite(writer) => writer.close().await,
            Self::Postgres(writer) => writer.close().await,
        }
    }
}
