//! The store on Postgres: one writing connection that is made again when it breaks, and a few
//! that read.

pub(crate) mod sql;

use std::str::FromStr;
use std::time::Duration;

use log::LevelFilter;
use rand_core::Rng;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};
use tokio::time::{Instant, timeout, timeout_at};

use crate::clock::Timestamp;
use crate::ids::VerificationId;
use crate::store::backend::{BatchError, Core, Fault};
use crate::store::batch::{Committed, Needs, Plan, Writes};
use crate::store::load::load_batch;
use crate::store::reader::READ_DEADLINE;
use crate::store::request::Request;
use crate::store::retention::{Chore, ChoreReport, Week, blank_all, forget_all};
use crate::store::row::BatchRow;
use crate::store::{OpenError, StoreError};

/// How long a connection may take to be made.
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);
/// How long a batch may take up to its commit, and its commit.
const BATCH_DEADLINE: Duration = Duration::from_secs(4);
/// How long the outcome of a commit is looked for after its answer was lost.
const SETTLE_DEADLINE: Duration = Duration::from_secs(4);
/// Between two tries to connect while a commit is unsettled.
const SETTLE_PAUSE: Duration = Duration::from_millis(100);
/// A connection that was idle for longer is asked whether its server still takes writes.
const IDLE_QUESTION: Duration = Duration::from_secs(1);
/// Connections that read.
const READERS: u32 = 8;
/// A statement that takes longer is worth a line.
const SLOW: Duration = Duration::from_secs(1);

/// How the server is reached. It, too, gives up what takes too long and notices a client that
/// went away.
pub(crate) fn options(
    url: &str,
    password: Option<&sip::Secret>,
) -> Result<PgConnectOptions, OpenError> {
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(OpenError::Address);
    }
    let mut options = PgConnectOptions::from_str(url).map_err(|_| OpenError::Address)?;
    if let Some(password) = password {
        options = options.password(password.reveal());
    }
    Ok(options
        .application_name("dozvon")
        .options([
            ("statement_timeout", "4000"),
            ("lock_timeout", "2000"),
            ("idle_in_transaction_session_timeout", "10000"),
            ("tcp_keepalives_idle", "10"),
            ("tcp_keepalives_interval", "5"),
            ("tcp_keepalives_count", "3"),
            ("tcp_user_timeout", "10000"),
            ("timezone", "UTC"),
        ])
        .log_statements(LevelFilter::Trace)
        .log_slow_statements(LevelFilter::Warn, SLOW))
}

/// Makes a connection within its deadline.
pub(crate) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    match timeout(CONNECT_DEADLINE, options.connect()).await {
        Ok(connection) => connection,
        Err(_) => Err(elapsed("connecting")),
    }
}

/// Connections that read; the first is made when it is needed.
pub(crate) fn readers(options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(READ_DEADLINE)
        .test_before_acquire(false)
        .connect_lazy_with(options)
}

fn elapsed(what: &str) -> sqlx::Error {
    let message = format!("{what} took too long");
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, message))
}

/// The writing side.
#[derive(Debug)]
pub(crate) struct PgWriter {
    options: PgConnectOptions,
    /// None after it broke, until the next batch makes another.
    connection: Option<PgConnection>,
    /// Under which this process marks its batches.
    writer_id: Vec<u8>,
    /// The number of the last batch that was tried.
    batch: i64,
    last_used: Timestamp,
}

impl PgWriter {
    pub(crate) fn new(options: PgConnectOptions, core: &mut Core) -> Self {
        let mut writer_id = vec![0; 16];
        core.rng.fill_bytes(&mut writer_id);
        // The writer looks everything up by key. Over a table without statistics, as each week's
        // partition is at first, the planner would read all of it for each batch.
        let options = options.options([("enable_seqscan", "off")]);
        Self { options, connection: None, writer_id, batch: 0, last_used: Timestamp(0) }
    }

    /// A batch whose connection turns out to be broken is run once more on a new one.
    pub(crate) async fn transact(
        &mut self,
        core: &mut Core,
        requests: &mut [Request],
    ) -> Result<Committed, BatchError> {
        let had_connection = self.connection.is_some();
        match self.try_transact(core, requests).await {
            Err(BatchError::Lost(error)) if had_connection => {
                tracing::info!(%error, "the database connection broke, making another");
                self.try_transact(core, requests).await
            }
            result => result,
        }
    }

    async fn try_transact(
        &mut self,
        core: &mut Core,
        requests: &mut [Request],
    ) -> Result<Committed, BatchError> {
        let deadline = Instant::now() + BATCH_DEADLINE;
        // Taken out: whatever leaves early leaves a connection behind that nobody uses again.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.options).await.map_err(BatchError::Lost)?,
        };
        self.batch += 1;
        let mark = Mark { writer_id: &self.writer_id, batch: self.batch };
        let ask = core.clock.now().since(self.last_used) > IDLE_QUESTION;
        let run = run(&mut connection, core, requests, &mark, ask);
        let committed = match timeout_at(deadline, run).await {
            Ok(Ok(committed)) => committed,
            Ok(Err(fault)) => {
                let error = fault.classify(classify);
                if matches!(error, BatchError::Row(..) | BatchError::Conflict(_)) {
                    self.roll_back(connection).await;
                }
                return Err(error);
            }
            Err(_) => return Err(BatchError::Lost(elapsed("a batch"))),
        };
        let commit = sqlx::query("commit").execute(&mut connection);
        match timeout(BATCH_DEADLINE, commit).await {
            Ok(Ok(_)) => {
                self.connection = Some(connection);
                self.last_used = core.clock.now();
                Ok(committed)
            }
            // The server itself says that it did not commit.
            Ok(Err(error)) if error.as_database_error().is_some() => Err(classify(error)),
            Ok(Err(error)) => self.settle(error.to_string(), committed).await,
            Err(_) => self.settle("a commit took too long".to_owned(), committed).await,
        }
    }

    async fn roll_back(&mut self, mut connection: PgConnection) {
        let rollback = sqlx::query("rollback").execute(&mut connection);
        if let Ok(Ok(_)) = timeout(BATCH_DEADLINE, rollback).await {
            self.connection = Some(connection);
        }
    }

    /// Reads the mark back on a new connection: the batch is there, or it is not. The mark's row
    /// is locked, so an old server process that still works on the commit is waited for.
    async fn settle(
        &mut self,
        cause: String,
        committed: Committed,
    ) -> Result<Committed, BatchError> {
        tracing::warn!(cause, "the answer to a commit was lost, reading it back");
        let deadline = Instant::now() + SETTLE_DEADLINE;
        while Instant::now() < deadline {
            match timeout_at(deadline, self.read_mark()).await {
                Ok(Ok((connection, mark))) => {
                    self.connection = Some(connection);
                    return if mark == Some(self.batch) {
                        Ok(committed)
                    } else {
                        Err(BatchError::Conflict(elapsed("a commit that was not made")))
                    };
                }
                Ok(Err(_)) => tokio::time::sleep(SETTLE_PAUSE).await,
                Err(_) => break,
            }
        }
        Err(BatchError::OutcomeUnknown(cause))
    }

    async fn read_mark(&self) -> Result<(PgConnection, Option<i64>), sqlx::Error> {
        let mut connection = connect(&self.options).await?;
        let mark = sqlx::query_scalar(sql::MARK)
            .bind(&self.writer_id)
            .fetch_optional(&mut connection)
            .await?;
        Ok((connection, mark))
    }

    pub(crate) async fn close(self) {
        let Some(connection) = self.connection else { return };
        match timeout(CONNECT_DEADLINE, connection.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the database was not closed cleanly"),
            Err(_) => tracing::warn!("the database did not answer our leave"),
        }
    }
}

/// By which a commit is recognised.
struct Mark<'a> {
    writer_id: &'a Vec<u8>,
    batch: i64,
}

/// Everything but the commit.
async fn run(
    connection: &mut PgConnection,
    core: &mut Core,
    requests: &mut [Request],
    mark: &Mark<'_>,
    ask_if_read_only: bool,
) -> Result<Committed, Fault> {
    sqlx::query("begin").execute(&mut *connection).await?;
    if ask_if_read_only {
        let read_only: bool =
            sqlx::query_scalar(sql::IS_READ_ONLY).fetch_one(&mut *connection).await?;
        if read_only {
            let message = "the server is read-only";
            return Err(sqlx::Error::Io(std::io::Error::other(message)).into());
        }
    }
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
    sqlx::query(sql::PUT_MARK)
        .bind(mark.writer_id)
        .bind(mark.batch)
        .bind(now)
        .execute(&mut *connection)
        .await?;
    Ok(Committed { changes, rows, announced })
}

fn api_key_list(ids: impl IntoIterator<Item = String>) -> Vec<String> {
    ids.into_iter().collect()
}

async fn put<R: BatchRow>(
    connection: &mut PgConnection,
    sql: &'static str,
    rows: Vec<R>,
) -> Result<(), sqlx::Error> {
    if !rows.is_empty() {
        R::bind_columns(rows, sqlx::query(sql)).execute(connection).await?;
    }
    Ok(())
}

async fn write(connection: &mut PgConnection, writes: Writes) -> Result<(), sqlx::Error> {
    if !writes.open_gone.is_empty() {
        sqlx::query(sql::DELETE_OPEN).bind(writes.open_gone).execute(&mut *connection).await?;
    }
    put(connection, sql::INSERT_VERIFICATIONS, writes.new_verifications).await?;
    put(connection, sql::UPDATE_VERIFICATIONS, writes.changed_verifications).await?;
    put(connection, sql::PUT_STEPS, writes.steps).await?;
    put(connection, sql::INSERT_CALLS, writes.new_calls).await?;
    put(connection, sql::UPDATE_CALLS, writes.changed_calls).await?;
    put(connection, sql::INSERT_OPEN, writes.open_new).await?;
    put(connection, sql::INSERT_IDEMPOTENCY, writes.idempotency).await?;
    put(connection, sql::INSERT_LIMITS, writes.new_limits).await?;
    put(connection, sql::PUT_LIMITS, writes.limits).await?;
    put(connection, sql::INSERT_TAILS, writes.new_tails).await?;
    put(connection, sql::PUT_TAILS, writes.tails).await?;
    put(connection, sql::PUT_UNALLOCATED, writes.unallocated).await?;
    put(connection, sql::INSERT_MESSAGES, writes.new_messages).await?;
    put(connection, sql::UPDATE_MESSAGES, writes.changed_messages).await?;
    put(connection, sql::INSERT_SUBMITTED, writes.submitted).await?;
    put(connection, sql::PUT_INBOUND_PARTS, writes.inbound_parts).await?;
    put(connection, sql::INSERT_DELIVERIES, writes.deliveries).await?;
    put(connection, sql::UPDATE_DELIVERIES, writes.changed_deliveries).await?;
    put(connection, sql::INSERT_DISABLED, writes.disabled).await?;
    put(connection, sql::INSERT_API_KEYS, writes.new_api_keys).await?;
    put(connection, sql::PUT_API_KEYS, writes.api_keys).await?;
    if !writes.users_gone.is_empty() {
        sqlx::query(sql::DELETE_USERS).bind(writes.users_gone).execute(&mut *connection).await?;
    }
    put(connection, sql::PUT_USERS, writes.users).await?;
    put(connection, sql::INSERT_SIGN_INS, writes.sign_ins).await?;
    put(connection, sql::END_SIGN_INS, writes.sign_ins_ended).await?;
    if !writes.redirects_gone.is_empty() {
        let gone = writes.redirects_gone;
        sqlx::query(sql::DELETE_REDIRECTS).bind(gone).execute(&mut *connection).await?;
    }
    put(connection, sql::PUT_REDIRECTS, writes.redirects).await?;
    put(connection, sql::INSERT_LETTERS, writes.letters).await?;
    put(connection, sql::END_LETTERS, writes.letters_ended).await?;
    put(connection, sql::INSERT_AUDIT, writes.audit).await
}

async fn keep_house(
    connection: &mut PgConnection,
    chore: Chore,
) -> Result<ChoreReport, sqlx::Error> {
    for week in Week::needed(chore.now) {
        sqlx::query(sql::MAKE_WEEK)
            .bind(week.name)
            .bind(VerificationId::first_of(week.start))
            .bind(VerificationId::first_of(week.end))
            .execute(&mut *connection)
            .await?;
    }
    let mut report = ChoreReport::default();
    let oldest = Week::of(chore.records_before).name;
    let dropped: i32 =
        sqlx::query_scalar(sql::DROP_WEEKS_BEFORE).bind(oldest).fetch_one(&mut *connection).await?;
    if dropped > 0 {
        tracing::info!(dropped, "partitions past their retention were dropped");
    }
    forget_all!(connection, report, chore);
    let marks_before = chore.idempotency_before;
    sqlx::query(sql::FORGET_MARKS).bind(marks_before).execute(&mut *connection).await?;
    blank_all!(connection, report, chore);
    Ok(report)
}

/// What an error of Postgres means for the batch.
fn classify(error: sqlx::Error) -> BatchError {
    let code = error.as_database_error().and_then(|error| Some(error.code()?.into_owned()));
    let Some(code) = code else { return BatchError::Lost(error) };
    // https://www.postgresql.org/docs/current/errcodes-appendix.html
    match (&code[..2], &code[..]) {
        // A unique violation, a serialization failure, a deadlock: somebody else was quicker.
        (_, "23505" | "40001" | "40P01") => BatchError::Conflict(error),
        // The server became a standby, is stopping or starting, or the connection failed: leave it.
        ("08", _) | (_, "25006" | "57P01" | "57P02" | "57P03") => BatchError::Lost(error),
        // Lock or statement timeout, no room, or the server fails in itself.
        (_, "55P03" | "57014") | ("53" | "57" | "58" | "XX", _) => {
            BatchError::Unavailable(error.to_string())
        }
        _ => BatchError::Row(StoreError::Rejected, error.to_string()),
    }
}
