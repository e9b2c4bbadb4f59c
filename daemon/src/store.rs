//! What is kept, on SQLite or on Postgres, behind one interface.
//!
//! Every write goes through one writer task for each database: it takes all requests that wait,
//! runs them in one transaction and answers each after the commit. Reads have connections of
//! their own. No full number, caller ID or code stands in a column that can be read without
//! the secret key.

mod api_key;
mod audit;
mod backend;
mod batch;
mod changes;
mod convert;
mod directory;
mod gather;
mod idempotency;
mod inbound;
mod limit;
mod load;
mod message;
mod migrations;
mod open;
mod postgres;
mod reader;
mod redirect;
mod request;
mod retention;
mod row;
mod sql_types;
mod sqlite;
mod texts;
mod timeline;
mod view;
mod webhook;
mod workflow;
mod write;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use dialplans::{E164, RecentTails};

use crate::clock::{Clock, Timestamp};
use crate::ids::{CallId, VerificationId};
use crate::secrets::Keys;
use crate::store::batch::unseal_response;
use crate::store::changes::Changed;
use crate::store::gather::Gather;
use crate::store::limit::LimitLog;
use crate::store::reader::{Reader, page_limit};
use crate::store::request::{ApplyAsk, CreateAsk, IdempotencyHashes, Request, Task, limit_hash};
use crate::store::row::{ApiKeyRow, UnallocatedRow};
use crate::store::sql_types::Key;
use crate::store::webhook::Announcer;
use crate::store::writer::{QUEUE, Written};
use crate::verification::model::Verification;

pub use api_key::{ApiKey, ApiKeyId, ApiKeyIdError};
pub use audit::{AuditEntry, AuditFilter, AuditKind};
pub use changes::VersionWatch;
pub use directory::{
    Identifier, IdentifierKind, PutUsers, SignIn, SignInStatus, Typed, User, UserFault,
    UserFaultCause, UsersPut,
};
pub use idempotency::{Idempotency, Replay, StoredResponse};
pub use inbound::{PartContent, ReceivePart, Repeats};
pub use limit::{Limit, LimitReached, LimitRule, LimitSubject, LimitUse};
pub use message::{
    ChangeMessage, ChangePart, CreateMessage, Direction, Message, MessageChange, MessageChanged,
    MessageCreated, MessageFilter, MessageStatus, Part, PartEvent, PartStatus,
};
pub use open::migrate;
pub use redirect::{
    EndLetter, LetterKind, LetterOutcome, PutRedirect, Redirect, RedirectMode, RedirectPut,
    StoredLetter,
};
pub use texts::{Submitted, SubmittedCode};
pub use timeline::word as timeline_word;
pub use view::{
    CallFilter, CallView, Cursor, Page, PageFilter, UnfinishedCall, VerificationFilter, Who,
};
pub use webhook::{
    Announce, DELIVERY_LEASE, DeliveryChange, News, NewsData, Outgoing, Told, WebhookDelivery,
};
pub use write::{Applied, Apply, ApplyRefused, Create, CreateRefused, Created};
pub use writer::Statistics;

/// How long an answer of the writer is waited for. The writer's own deadlines are shorter.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// Between two tries to write down what happened in the world, which nobody may forget.
pub(crate) const WRITE_RETRY: Duration = Duration::from_millis(500);

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
    /// The database refused these very rows; nothing was stored. A fault of this program.
    #[error("the database refused the rows")]
    Rejected,
    /// [`Store::close`] was called.
    #[error("the store is closed")]
    Closed,
}

/// The door to one database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    keys: Keys,
    clock: Clock,
    reader: Reader,
    /// Single verifications and keys, which many ask for at once.
    single: Gather<VerificationId, Verification>,
    single_keys: Gather<ApiKeyId, ApiKeyRow>,
    requests: mpsc::Sender<Request>,
    changed: Changed,
    announcer: Announcer,
    written: Arc<Written>,
    closing: CancellationToken,
    tasks: TaskTracker,
}

impl Store {
    /// Writes what waits, then closes all connections. Later calls answer `Closed`.
    pub async fn close(&self) {
        self.0.closing.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
        self.0.reader.close().await;
    }

    /// Asks the reading and the writing side for a sign of life; an error means not ready.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.0.reader.ping().await?;
        self.ask(Request::Ping, ()).await
    }

    /// What the writer did since the start, and how much waits for it.
    pub fn statistics(&self) -> Statistics {
        self.0.written.statistics(QUEUE - self.0.requests.capacity())
    }

    /// Hands a question to the writer and waits for its answer; without room it is refused.
    /// Whoever stops waiting stops nothing else.
    async fn ask<Q, A>(
        &self,
        request: impl FnOnce(Task<Q, A>) -> Request,
        question: Q,
    ) -> Result<A, StoreError> {
        crate::telemetry::store_request();
        let (task, answer) = Task::new(question);
        self.0.requests.try_send(request(task)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })?;
        Self::answered(answer).await
    }

    async fn answered<A>(
        answer: oneshot::Receiver<Result<A, StoreError>>,
    ) -> Result<A, StoreError> {
        match tokio::time::timeout(ANSWER_DEADLINE, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(StoreError::Closed),
            Err(_) => Err(StoreError::OutcomeUnknown),
        }
    }

    // Verifications.

    /// Stores a verification with its first step and call, its idempotency record, its counts
    /// against limits and the tail it will show; ends an open one of the same session. All of it
    /// or nothing, answered after the commit.
    pub async fn create_verification(&self, create: Create) -> Result<Created, StoreError> {
        let ask = CreateAsk::new(&self.0.keys, create)?;
        self.ask(|task| Request::Create(Box::new(task)), ask).await
    }

    /// Runs the machine on the stored verification, with its row locked. When too much waits, a
    /// client's input is refused as `Busy`, and one of the gateway itself waits for room.
    pub async fn apply(&self, apply: Apply) -> Result<Applied, StoreError> {
        let own = apply.who == Who::Gateway;
        let ask = ApplyAsk::new(&self.0.keys, apply);
        let request = |task| Request::Apply(Box::new(task));
        if own { self.ask_patiently(request, ask).await } else { self.ask(request, ask).await }
    }

    /// Asks the writer for what nobody could tell again, such as facts of our own calls, texts and
    /// timers: waits for room.
    async fn ask_patiently<Q, A>(
        &self,
        request: impl FnOnce(Task<Q, A>) -> Request,
        question: Q,
    ) -> Result<A, StoreError> {
        let (task, answer) = Task::new(question);
        self.0.requests.send(request(task)).await.map_err(|_| StoreError::Closed)?;
        Self::answered(answer).await
    }

    /// One verification with its steps and calls; `None`: not there or not for `who`.
    pub async fn verification(
        &self,
        who: &Who,
        verification_id: VerificationId,
    ) -> Result<Option<Verification>, StoreError> {
        let found = self.0.single.get(verification_id).await?;
        Ok(found.filter(|found| who.sees(&found.account, found.live)))
    }

    /// Verifications, newest first.
    pub async fn verifications(
        &self,
        who: &Who,
        filter: &VerificationFilter,
    ) -> Result<Page<Verification>, StoreError> {
        let to = self.hash_of(filter.to.as_ref());
        let items = self.0.reader.verifications(&self.0.keys, who, filter, to).await?;
        Ok(page(items, filter.page.limit, |item| item.verification_id.0))
    }

    /// Pending verifications, oldest first, after `after`, at most `limit`: for the timers and
    /// unfinished workflows of a start.
    pub async fn open_verifications(
        &self,
        after: Option<VerificationId>,
        limit: u32,
    ) -> Result<Vec<Verification>, StoreError> {
        let after = after.unwrap_or(VerificationId(0));
        let ids = self.0.reader.open_verification_ids(after, limit).await?;
        let mut found = self.0.reader.verifications_by_id(&self.0.keys, &ids).await?;
        found.sort_unstable_by_key(|verification| verification.verification_id);
        Ok(found)
    }

    /// Tells each stored version of one verification from now on. Subscribe before reading, so
    /// that no change is missed between the two.
    pub fn watch(&self, verification_id: VerificationId) -> VersionWatch {
        self.0.changed.watch(verification_id.0)
    }

    // Calls.

    /// One call; `None`: not there or not for `who`.
    pub async fn call(&self, who: &Who, call_id: CallId) -> Result<Option<CallView>, StoreError> {
        let row = self.0.reader.call(call_id).await?;
        row.filter(|row| who.sees(&row.account, row.live))
            .map(|row| convert::call_view(&self.0.keys, row))
            .transpose()
    }

    /// Calls, newest first.
    pub async fn calls(
        &self,
        who: &Who,
        filter: &CallFilter,
    ) -> Result<Page<CallView>, StoreError> {
        let to = self.hash_of(filter.to.as_ref());
        let rows = self.0.reader.calls(who, filter, to).await?;
        let items = rows.into_iter().map(|row| convert::call_view(&self.0.keys, row));
        Ok(page(items.collect::<Result<_, _>>()?, filter.page.limit, |item| item.call_id.0))
    }

    /// Calls without an end, oldest first, after `after`, at most `limit`: what a process that
    /// died left behind, with everything that a CANCEL needs.
    pub async fn unfinished_calls(
        &self,
        after: Option<CallId>,
        limit: u32,
    ) -> Result<Vec<UnfinishedCall>, StoreError> {
        let rows = self.0.reader.unfinished_calls(after.unwrap_or(CallId(0)), limit).await?;
        rows.into_iter().map(|row| convert::unfinished_call(&self.0.keys, row)).collect()
    }

    /// The tails that this number was shown since `since`, for a plan.
    pub async fn recent_tails(
        &self,
        to: &E164,
        since: Timestamp,
    ) -> Result<RecentTails, StoreError> {
        let rows = self.0.reader.tails_of(Key::cut(self.0.keys.number_hmac(to)), since).await?;
        if rows.is_empty() {
            return Ok(RecentTails::none());
        }
        let mut hashes: Vec<Key> = rows.into_iter().map(|row| row.tail_hmac).collect();
        hashes.sort_unstable();
        let (count, keys, to) = (hashes.len() as u64, self.0.keys.clone(), *to);
        Ok(RecentTails::hidden(count, move |tail| {
            hashes.binary_search(&Key::cut(keys.tail_hmac(&to, tail))).is_ok()
        }))
    }

    /// Remembers that a number does not exist.
    pub async fn remember_unallocated(
        &self,
        to: &E164,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let row = UnallocatedRow { to_hmac: Key::cut(self.0.keys.number_hmac(to)), until };
        self.ask(Request::Unallocated, row).await
    }

    /// Whether a number is remembered as one that does not exist.
    pub async fn is_unallocated(&self, to: &E164) -> Result<bool, StoreError> {
        let hash = Key::cut(self.0.keys.number_hmac(to));
        let until = self.0.reader.unallocated_until(hash, self.0.clock.now()).await?;
        Ok(until.is_some())
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
        let hashes = IdempotencyHashes::new(&self.0.keys, account, key, request);
        match self.0.reader.idempotency(hashes.key).await? {
            None => Ok(Replay::Fresh),
            Some(row) if row.request_hmac == hashes.request => {
                unseal_response(&self.0.keys, &row).map(Replay::Response)
            }
            Some(_) => Ok(Replay::OtherRequest),
        }
    }

    /// The first of these limits that has no room, without counting anything.
    pub async fn limit_reached(
        &self,
        limits: &[Limit],
    ) -> Result<Option<LimitReached>, StoreError> {
        let hashes: Vec<Key> = limits.iter().map(|limit| limit_hash(&self.0.keys, limit)).collect();
        let rows = self.0.reader.limits(&hashes).await?;
        let now = self.0.clock.now();
        let mut logs = Vec::with_capacity(hashes.len());
        for hash in hashes {
            let row = rows.iter().find(|row| row.limit_hmac == hash);
            let log = row.map(|row| LimitLog::decode(&row.log));
            let table = convert::Table("limit_counter");
            logs.push(log.map(|log| table.column("log", log)).transpose()?);
        }
        Ok(Limit::first_reached(now, limits, |at| logs.get(at)?.as_ref()))
    }

    // API keys.

    /// Stores a new key.
    pub async fn create_api_key(&self, key: ApiKey) -> Result<(), StoreError> {
        self.ask(|task| Request::CreateApiKey(Box::new(task)), key.to_row()).await
    }

    /// All keys, newest first, revoked ones too.
    pub async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        self.0.reader.api_keys().await?.into_iter().map(ApiKey::from_row).collect()
    }

    /// The key with this id, also when it is revoked or has expired.
    pub async fn api_key(&self, id: &ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        self.0.single_keys.get(id.clone()).await?.map(ApiKey::from_row).transpose()
    }

    /// Revokes a key; false: there is none with this id. Doing it twice keeps the first time.
    pub async fn revoke_api_key(&self, id: &ApiKeyId) -> Result<bool, StoreError> {
        self.ask(Request::RevokeApiKey, (id.clone(), self.0.clock.now())).await
    }

    /// Writes down that a key was used.
    pub async fn touch_api_key(&self, id: &ApiKeyId, at: Timestamp) -> Result<(), StoreError> {
        self.ask(Request::TouchApiKey, (id.clone(), at)).await
    }

    fn hash_of(&self, number: Option<&E164>) -> Option<Key> {
        number.map(|number| Key::cut(self.0.keys.number_hmac(number)))
    }
}

/// A page of a list that was read with one row more than the page has.
fn page<T>(mut items: Vec<T>, limit: u32, id: impl Fn(&T) -> u128) -> Page<T> {
    let limit = usize::try_from(page_limit(limit)).unwrap_or(1);
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(id);
    Page { items, next }
}
