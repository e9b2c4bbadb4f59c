//! What is kept, on SQLite or on Postgres, behind one interface.
//!
//! Every write goes through one writer task for each database: it takes all requests that wait,
//! runs them in one transaction and answers each after the commit. Reads have connections of
//! their own. No full number, caller ID or code stands in a column that can be read without
//! the secret key.

mod api_key;
mod changes;
mod idempotency;
mod limit;
mod message;
mod view;
mod write;

use std::path::PathBuf;

use rand_chacha::ChaCha20Rng;

use dialplans::{E164, RecentTails};

use crate::clock::{Clock, Timestamp};
use crate::ids::{CallId, MessageId, VerificationId};
use crate::secrets::Keys;
use crate::verification::model::Verification;

pub use api_key::{ApiKey, ApiKeyId};
pub use changes::VersionWatch;
pub use idempotency::{Idempotency, Replay, StoredResponse};
pub use limit::{Limit, LimitReached, LimitRule, LimitSubject, LimitUse};
pub use message::{
    ChangeMessage, CreateMessage, Direction, Message, MessageChange, MessageChanged,
    MessageCreated, MessageFilter, MessageStatus,
};
pub use view::{CallFilter, CallView, Cursor, Page, UnfinishedCall, VerificationFilter, Who};
pub use write::{Applied, Apply, ApplyRefused, Create, CreateRefused, Created};

/// Where records are kept.
#[derive(Clone)]
pub enum Location {
    /// A file, made when it is not there.
    Sqlite(PathBuf),
    /// A server.
    Postgres {
        /// `postgres://user@host:port/database`.
        url: String,
        /// Its password; `None`: none is asked for.
        password: Option<sip::Secret>,
    },
}

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be reached or is not a database: exit code 69, or 75 later.
    #[error("the database cannot be opened")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The address is wrong: exit code 78.
    #[error("the database address is not understood")]
    Address,
    /// Its tables were made by a newer version.
    #[error("the tables are of a newer version than this program")]
    TooNew,
    /// `migrate` has to run first.
    #[error("the tables are not there or older than this program: run `dozvon migrate`")]
    NotMigrated,
    /// It was written with another secret key: exit code 78.
    #[error("the database was written with another secret key")]
    WrongKey,
    /// The SQLite library may damage a database in WAL mode (3.7.0 to 3.51.2).
    #[error("the SQLite library {version} can damage the database: 3.51.3 or newer is needed")]
    OldSqlite {
        /// What was found.
        version: String,
    },
}

/// Why the store could not answer. The cause was logged where it was met; the API answers 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database did not answer in time or refused; nothing was stored.
    #[error("the database is not available")]
    Unavailable,
    /// Too many requests wait for the writer; nothing was stored.
    #[error("too many writes are waiting")]
    Busy,
    /// The connection broke during the commit and could not be made again in time: the rows may
    /// be there or not.
    #[error("it is not known whether the rows were stored")]
    OutcomeUnknown,
    /// A row holds what no version of this program writes, or was sealed with a lost key.
    #[error("a row of {table} cannot be read: {column}")]
    Damaged {
        /// Which table.
        table: &'static str,
        /// Which column.
        column: &'static str,
    },
    /// [`Store::close`] was called.
    #[error("the store is closed")]
    Closed,
}

/// The door to one database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {}

/// Makes or brings up to date the tables; several processes may do so at once. Gives the number
/// of migrations that were run.
pub async fn migrate(location: &Location) -> Result<usize, OpenError> {
    let _ = location;
    todo!()
}

impl Store {
    /// Opens a database whose tables are up to date (see [`migrate`]), compares its key-check
    /// value with `keys` (stored at the first opening) and starts the writer and the task that
    /// makes partitions ahead and applies `retention`. `rng` gives the nonces of sealed values.
    pub async fn open(
        location: &Location,
        keys: Keys,
        clock: Clock,
        rng: ChaCha20Rng,
        retention: config::Retention,
    ) -> Result<Self, OpenError> {
        let _ = (location, keys, clock, rng, retention);
        todo!()
    }

    /// Writes what waits, then closes all connections. Later calls answer `Closed`.
    pub async fn close(&self) {
        todo!()
    }

    /// Asks the reading and the writing side for a sign of life; an error means not ready.
    pub async fn ping(&self) -> Result<(), StoreError> {
        todo!()
    }

    // Verifications.

    /// Stores a verification with its first step and call, its idempotency record, its counts
    /// against limits and the tail it will show; ends an open one of the same session. All of it
    /// or nothing, answered after the commit.
    pub async fn create_verification(&self, create: Create) -> Result<Created, StoreError> {
        let _ = create;
        todo!()
    }

    /// Runs the machine on the stored verification, with its row locked.
    pub async fn apply(&self, apply: Apply) -> Result<Applied, StoreError> {
        let _ = apply;
        todo!()
    }

    /// One verification with its steps and calls; `None`: not there or not for `who`.
    pub async fn verification(
        &self,
        who: &Who,
        verification_id: VerificationId,
    ) -> Result<Option<Verification>, StoreError> {
        let _ = (who, verification_id);
        todo!()
    }

    /// Verifications, newest first.
    pub async fn verifications(
        &self,
        who: &Who,
        filter: &VerificationFilter,
    ) -> Result<Page<Verification>, StoreError> {
        let _ = (who, filter);
        todo!()
    }

    /// Pending verifications, oldest first, after `after`, at most `limit`: for the timers and
    /// unfinished workflows of a start.
    pub async fn open_verifications(
        &self,
        after: Option<VerificationId>,
        limit: u32,
    ) -> Result<Vec<Verification>, StoreError> {
        let _ = (after, limit);
        todo!()
    }

    /// Tells each stored version of one verification from now on. Subscribe before reading, so
    /// that no change is missed between the two.
    pub fn watch(&self, verification_id: VerificationId) -> VersionWatch {
        let _ = verification_id;
        todo!()
    }

    // Calls.

    /// One call; `None`: not there or not for `who`.
    pub async fn call(&self, who: &Who, call_id: CallId) -> Result<Option<CallView>, StoreError> {
        let _ = (who, call_id);
        todo!()
    }

    /// Calls, newest first.
    pub async fn calls(
        &self,
        who: &Who,
        filter: &CallFilter,
    ) -> Result<Page<CallView>, StoreError> {
        let _ = (who, filter);
        todo!()
    }

    /// Calls without an end, oldest first, after `after`, at most `limit`: what a process that
    /// died left behind, with everything that a CANCEL needs.
    pub async fn unfinished_calls(
        &self,
        after: Option<CallId>,
        limit: u32,
    ) -> Result<Vec<UnfinishedCall>, StoreError> {
        let _ = (after, limit);
        todo!()
    }

    /// The tails that this number was shown since `since`, for a plan.
    pub async fn recent_tails(
        &self,
        to: &E164,
        since: Timestamp,
    ) -> Result<RecentTails, StoreError> {
        let _ = (to, since);
        todo!()
    }

    /// Remembers that a number does not exist.
    pub async fn remember_unallocated(
        &self,
        to: &E164,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let _ = (to, until);
        todo!()
    }

    /// Whether a number is remembered as one that does not exist.
    pub async fn is_unallocated(&self, to: &E164) -> Result<bool, StoreError> {
        let _ = to;
        todo!()
    }

    // Idempotency and limits.

    /// What an earlier request with this key got, before anything is planned. The same question
    /// is asked again inside the transaction.
    pub async fn replay(
        &self,
        account: &str,
        key: &str,
        request: &[u8],
    ) -> Result<Replay, StoreError> {
        let _ = (account, key, request);
        todo!()
    }

    /// The first of these limits that has no room, without counting anything.
    pub async fn limit_reached(
        &self,
        limits: &[Limit],
    ) -> Result<Option<LimitReached>, StoreError> {
        let _ = limits;
        todo!()
    }

    // Messages.

    /// Stores a text with its idempotency record and its counts against limits.
    pub async fn create_message(
        &self,
        create: CreateMessage,
    ) -> Result<MessageCreated, StoreError> {
        let _ = create;
        todo!()
    }

    /// Changes a text's status; one that has ended never changes.
    pub async fn change_message(
        &self,
        change: ChangeMessage,
    ) -> Result<MessageChanged, StoreError> {
        let _ = change;
        todo!()
    }

    /// One text; `None`: not there or not for `who`.
    pub async fn message(
        &self,
        who: &Who,
        message_id: MessageId,
    ) -> Result<Option<Message>, StoreError> {
        let _ = (who, message_id);
        todo!()
    }

    /// Texts, newest first.
    pub async fn messages(
        &self,
        who: &Who,
        filter: &MessageFilter,
    ) -> Result<Page<Message>, StoreError> {
        let _ = (who, filter);
        todo!()
    }

    /// Outbound texts that are neither delivered nor given up, oldest first, after `after`, at
    /// most `limit`.
    pub async fn unfinished_messages(
        &self,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<Message>, StoreError> {
        let _ = (after, limit);
        todo!()
    }

    // API keys.

    /// Stores a new key.
    pub async fn create_api_key(&self, key: ApiKey) -> Result<(), StoreError> {
        let _ = key;
        todo!()
    }

    /// All keys, newest first, revoked ones too.
    pub async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        todo!()
    }

    /// The key with this id, also when it is revoked or has expired.
    pub async fn api_key(&self, id: &ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        let _ = id;
        todo!()
    }

    /// Revokes a key; false: there is none with this id. Doing it twice keeps the first time.
    pub async fn revoke_api_key(&self, id: &ApiKeyId) -> Result<bool, StoreError> {
        let _ = id;
        todo!()
    }

    /// Writes down that a key was used.
    pub async fn touch_api_key(&self, id: &ApiKeyId, at: Timestamp) -> Result<(), StoreError> {
        let _ = (id, at);
        todo!()
    }
}
