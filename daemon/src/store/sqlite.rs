//! The store on SQLite: one writing connection, readers that cannot write.

mod rows;
pub(crate) mod sql;

use std::path::{Path, PathBuf};
use std::time::Duration;

use log::LevelFilter;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};

use crate::ids::{CallId, MessageId, VerificationId};
use crate::store::OpenError;
use crate::store::backend::{BatchError, Core, Fault};
use crate::store::batch::{Committed, Needs, Plan, Writes};
use crate::store::load::load_batch;
use crate::store::request::Request;
use crate::store::retention::{Chore, ChoreReport, blank_all, forget_all, stretch};

/// Before this, a database in WAL mode can be damaged (fixed in 3.51.3).
const OLDEST_LIBRARY: (u32, u32, u32) = (3, 51, 3);
/// How long a writer of another process (`dozvon keys`) is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that read. Readers do not wait for the writer, nor for each other.
const READERS: u32 = 4;
/// A statement that takes longer is worth a line.
const SLOW: Duration = Duration::from_secs(1);

/// The writing side.
#[derive(Debug)]
pub(crate) struct SqliteWriter {
    path: PathBuf,
    /// `None`: the last one was left in a transaction that could neither be committed nor undone.
    connection: Option<SqliteConnection>,
}

/// How a database file is opened. `synchronous=full` syncs the log at each commit.
fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        // Four times the default, so that a busy writer syncs the database itself less often.
        .pragma("wal_autocheckpoint", "4000")
        .pragma("journal_size_limit", "67108864")
        .pragma("cache_size", "-32768")
        .log_statements(LevelFilter::Trace)
        .log_slow_statements(LevelFilter::Warn, SLOW)
}

/// Opens a connection that may write; `create` makes the file. Refuses an old library.
pub(crate) async fn connect(path: &Path, create: bool) -> Result<SqliteConnection, OpenError> {
    let options = options(path).create_if_missing(create);
    let mut connection = options.connect().await.map_err(OpenError::unavailable)?;
    let version: String = sqlx::query_scalar("select sqlite_version()")
        .fetch_one(&mut connection)
        .await
        .map_err(OpenError::unavailable)?;
    if library_version(&version).is_none_or(|version| version < OLDEST_LIBRARY) {
        return Err(OpenError::OldSqlite { version });
    }
    Ok(connection)
}

fn library_version(text: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = text.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

/// Connections that read.
pub(crate) async fn readers(path: &Path) -> Result<SqlitePool, OpenError> {
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(super::reader::READ_DEADLINE)
        .test_before_acquire(false)
        .connect_with(options(path).read_only(true))
        .await
        .map_err(OpenError::unavailable)
}

impl SqliteWriter {
    pub(crate) fn new(path: &Path, connection: SqliteConnection) -> Self {
        Self { path: path.to_owned(), connection: Some(connection) }
    }

    pub(crate) async fn transact(
        &mut self,
        core: &mut Core,
        requests: &mut [Request],
    ) -> Result<Committed, BatchError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.path, false).await.map_err(reopening)?,
        };
        let mut transaction = connection.begin_with("begin immediate").await.map_err(classify)?;
        // SQLite ends a transaction by itself when the disk is full, which the connection here does
        // not learn: it would refuse to begin another one for ever. Closing it undoes what is left.
        match run(&mut transaction, core, requests).await {
            Ok(committed) => {
                transaction.commit().await.map_err(classify)?;
                self.connection = Some(connection);
                Ok(committed)
            }
            Err(fault) => {
                if transaction.rollback().await.is_ok() {
                    self.connection = Some(connection);
                }
                Err(fault.classify(classify))
            }
        }
    }

    pub(crate) async fn close(self) {
        let Some(connection) = self.connection else { return };
        if let Err(error) = connection.close().await {
            tracing::warn!(%error, "the database was not closed cleanly");
        }
    }
}

async fn run(
    connection: &mut SqliteConnection,
    core: &mut Core,
    requests: &mut [Request],
) -> Result<Committed, Fault> {
    let now = core.clock.now();
    let loaded =
        load_batch!(connection, &core.keys, now, requests, Needs::of(&core.keys, requests));
    let mut plan = Plan::new(now, &core.keys, &mut core.rng, loaded)?;
    plan.run(requests);
    let (mut writes, changes) = plan.finish(&core.announcer);
    let (chore, rows) = (writes.chore.take(), writes.rows());
    let announced = !writes.deliveries.is_empty();
    write(connection, writes).await?;
    if let Some(chore) = chore {
        let report = keep_house(connection, chore).await?;
        report.answer(requests);
    }
    Ok(Committed { changes, rows, announced })
}

/// Keys' ids as one value to bind.
pub(crate) fn api_key_list(ids: impl IntoIterator<Item = String>) -> String {
    // Ids are ten letters and digits: nothing needs an escape.
    let quoted: Vec<_> = ids.into_iter().map(|id| format!("\"{id}\"")).collect();
    format!("[{}]", quoted.join(","))
}

async fn write(connection: &mut SqliteConnection, writes: Writes) -> Result<(), sqlx::Error> {
    use crate::store::sql_types::{IdBytes, KeyList};

    if !writes.open_gone.is_empty() {
        let gone = writes.open_gone.iter().map(|id| IdBytes::new(id.0)).collect();
        sqlx::query(sql::DELETE_OPEN)
            .bind(KeyList::<IdBytes>(gone))
            .execute(&mut *connection)
            .await?;
    }
    sql::INSERT_VERIFICATIONS.execute(connection, writes.new_verifications).await?;
    sql::UPDATE_VERIFICATIONS.execute(connection, writes.changed_verifications).await?;
    sql::PUT_STEPS.execute(connection, writes.steps).await?;
    sql::INSERT_CALLS.execute(connection, writes.new_calls).await?;
    sql::UPDATE_CALLS.execute(connection, writes.changed_calls).await?;
    sql::INSERT_OPEN.execute(connection, writes.open_new).await?;
    sql::INSERT_IDEMPOTENCY.execute(connection, writes.idempotency).await?;
    sql::INSERT_LIMITS.execute(connection, writes.new_limits).await?;
    sql::PUT_LIMITS.execute(connection, writes.limits).await?;
    sql::INSERT_TAILS.execute(connection, writes.new_tails).await?;
    sql::PUT_TAILS.execute(connection, writes.tails).await?;
    sql::PUT_UNALLOCATED.execute(connection, writes.unallocated).await?;
    sql::INSERT_MESSAGES.execute(connection, writes.new_messages).await?;
    sql::UPDATE_MESSAGES.execute(connection, writes.changed_messages).await?;
    sql::INSERT_SUBMITTED.execute(connection, writes.submitted).await?;
    sql::PUT_INBOUND_PARTS.execute(connection, writes.inbound_parts).await?;
    sql::INSERT_DELIVERIES.execute(connection, writes.deliveries).await?;
    sql::UPDATE_DELIVERIES.execute(connection, writes.changed_deliveries).await?;
    sql::INSERT_DISABLED.execute(connection, writes.disabled).await?;
    sql::INSERT_API_KEYS.execute(connection, writes.new_api_keys).await?;
    sql::PUT_API_KEYS.execute(connection, writes.api_keys).await?;
    if !writes.users_gone.is_empty() {
        let gone = writes.users_gone.iter().map(|id| IdBytes::new(id.0)).collect();
        sqlx::query(sql::DELETE_USERS)
            .bind(KeyList::<IdBytes>(gone))
            .execute(&mut *connection)
            .await?;
    }
    sql::PUT_USERS.execute(connection, writes.users).await?;
    sql::INSERT_SIGN_INS.execute(connection, writes.sign_ins).await?;
    sql::END_SIGN_INS.execute(connection, writes.sign_ins_ended).await?;
    if !writes.redirects_gone.is_empty() {
        let gone = writes.redirects_gone.iter().map(|id| IdBytes::new(id.0)).collect();
        sqlx::query(sql::DELETE_REDIRECTS)
            .bind(KeyList::<IdBytes>(gone))
            .execute(&mut *connection)
            .await?;
    }
    sql::PUT_REDIRECTS.execute(connection, writes.redirects).await?;
    sql::INSERT_LETTERS.execute(connection, writes.letters).await?;
    sql::END_LETTERS.execute(connection, writes.letters_ended).await?;
    sql::INSERT_AUDIT.execute(connection, writes.audit).await?;
    Ok(())
}

async fn keep_house(
    connection: &mut SqliteConnection,
    chore: Chore,
) -> Result<ChoreReport, sqlx::Error> {
    let mut report = ChoreReport::default();
    forget_all!(connection, report, chore);
    let before = chore.records_before;
    let zero = VerificationId(0);
    let end =
        stretch!(connection, report, sql::STRETCH_OF_VERIFICATIONS, VerificationId, zero, before);
    for sql in [sql::DELETE_VERIFICATIONS, sql::DELETE_STEPS] {
        report.rows += sqlx::query(sql).bind(end).execute(&mut *connection).await?.rows_affected();
    }
    let end = stretch!(connection, report, sql::STRETCH_OF_CALLS, CallId, CallId(0), before);
    let done = sqlx::query(sql::DELETE_CALLS).bind(end).execute(&mut *connection).await?;
    report.rows += done.rows_affected();
    let zero = MessageId(0);
    let end = stretch!(connection, report, sql::STRETCH_OF_MESSAGES, MessageId, zero, before);
    let done = sqlx::query(sql::DELETE_MESSAGES).bind(end).execute(&mut *connection).await?;
    report.rows += done.rows_affected();
    blank_all!(connection, report, chore);
    Ok(report)
}

/// A database that cannot be opened again is away until it can.
fn reopening(error: OpenError) -> BatchError {
    BatchError::Unavailable(error.to_string())
}

/// What an error of SQLite means for the batch.
pub(crate) fn classify(error: sqlx::Error) -> BatchError {
    // Primary result codes, the low byte of extended ones (https://sqlite.org/rescode.html).
    const TOOBIG: u32 = 18;
    const CONSTRAINT: u32 = 19;
    const MISMATCH: u32 = 20;
    const RANGE: u32 = 25;
    const ERROR: u32 = 1;
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    match code.map(|code| code & 0xff) {
        Some(CONSTRAINT | MISMATCH | TOOBIG | RANGE | ERROR) => {
            BatchError::Row(crate::store::StoreError::Rejected, error.to_string())
        }
        Some(_) | None => BatchError::Unavailable(error.to_string()),
    }
}
