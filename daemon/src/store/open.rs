//! Opening a database: its tables, its key, its tasks.

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use sqlx::migrate::Migrator;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::ids::VerificationId;
use crate::secrets::Keys;
use crate::store::backend::{Backend, Core};
use crate::store::changes::Changed;
use crate::store::gather::Gather;
use crate::store::migrations;
use crate::store::postgres::{self, PgWriter};
use crate::store::reader::Reader;
use crate::store::request::Request;
use crate::store::retention::Chore;
use crate::store::row::ApiKeyRow;
use crate::store::sqlite::{self, SqliteWriter};
use crate::store::writer::{QUEUE, Writer, Written};
use crate::store::{ApiKeyId, Inner, Location, OpenError, Store, StoreError};
use crate::verification::model::Verification;

/// Between two rounds of housekeeping.
const CHORE_EVERY: Duration = Duration::from_secs(600);
/// After a round that found more to do, or failed.
const CHORE_AGAIN: Duration = Duration::from_secs(1);
/// The setting that holds the key-check value.
const KEY_CHECK: &str = "key_check";

impl OpenError {
    pub(crate) fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(error.into())
    }
}

/// The migrations that a database has seen; none when it has no tables.
macro_rules! applied {
    ($connection:expr) => {
        sqlx::query_scalar::<_, i64>("select version from _sqlx_migrations order by version")
            .fetch_all(&mut *$connection)
            .await
            .unwrap_or_default()
    };
}

/// Compares the key-check value, which the first opening stores.
macro_rules! check_key {
    ($connection:expr, $keys:expr, $sql:path) => {{
        use $sql as sql;
        let failed = |error: sqlx::Error| OpenError::unavailable(error);
        let own = $keys.check_value();
        sqlx::query(sql::ADD_SETTING)
            .bind(KEY_CHECK)
            .bind(own.to_vec())
            .execute(&mut *$connection)
            .await
            .map_err(failed)?;
        let stored: Vec<u8> = sqlx::query_scalar(sql::SETTING)
            .bind(KEY_CHECK)
            .fetch_one(&mut *$connection)
            .await
            .map_err(failed)?;
        if stored != own {
            let old: Result<[u8; 32], _> = stored.try_into();
            if !old.is_ok_and(|old| $keys.is_old_check_value(&old)) {
                return Err(OpenError::WrongKey);
            }
            sqlx::query(sql::PUT_SETTING)
                .bind(KEY_CHECK)
                .bind(own.to_vec())
                .execute(&mut *$connection)
                .await
                .map_err(failed)?;
        }
    }};
}

/// Makes or brings up to date the tables; several processes may do so at once. Gives the number
/// of migrations that were run.
pub async fn migrate(location: &Location) -> Result<usize, OpenError> {
    match location {
        Location::Sqlite(path) => {
            let mut connection = sqlite::connect(path, true).await?;
            let before = applied!(&mut connection).len();
            run_migrations(&migrations::SQLITE, &mut connection).await?;
            let after = applied!(&mut connection).len();
            sqlx::Connection::close(connection).await.map_err(OpenError::unavailable)?;
            Ok(after - before)
        }
        Location::Postgres { url, password } => {
            let options = postgres::options(url, password.as_ref())?;
            let mut connection =
                postgres::connect(&options).await.map_err(OpenError::unavailable)?;
            // A migration takes the time that it takes.
            sqlx::query("set statement_timeout = 0")
                .execute(&mut connection)
                .await
                .map_err(OpenError::unavailable)?;
            let before = applied!(&mut connection).len();
            run_migrations(&migrations::POSTGRES, &mut connection).await?;
            let after = applied!(&mut connection).len();
            sqlx::Connection::close(connection).await.map_err(OpenError::unavailable)?;
            Ok(after - before)
        }
    }
}

async fn run_migrations<'a, C>(migrations: &Migrator, connection: C) -> Result<(), OpenError>
where
    C: sqlx::Acquire<'a>,
    <C::Connection as std::ops::Deref>::Target: sqlx::migrate::Migrate,
{
    migrations.run(connection).await.map_err(|error| match error {
        sqlx::migrate::MigrateError::VersionMissing(_) => OpenError::TooNew,
        error => OpenError::unavailable(error),
    })
}

/// Whether exactly the tables of this version are there.
fn check_tables(migrations: &Migrator, applied: &[i64]) -> Result<(), OpenError> {
    if applied.iter().any(|&version| !migrations.version_exists(version)) {
        return Err(OpenError::TooNew);
    }
    if migrations.iter().any(|migration| !applied.contains(&migration.version)) {
        return Err(OpenError::NotMigrated);
    }
    Ok(())
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
        let announcer = crate::store::webhook::Announcer::default();
        let mut core =
            Core { keys: keys.clone(), clock: clock.clone(), rng, announcer: announcer.clone() };
        let (backend, reader) = match location {
            Location::Sqlite(path) => open_sqlite(path, &keys).await?,
            Location::Postgres { url, password } => {
                let options = postgres::options(url, password.as_ref())?;
                let mut connection =
                    postgres::connect(&options).await.map_err(OpenError::unavailable)?;
                check_tables(&migrations::POSTGRES, &applied!(&mut connection))?;
                check_key!(&mut connection, keys, postgres::sql);
                sqlx::Connection::close(connection).await.map_err(OpenError::unavailable)?;
                let reader = Reader::Postgres(postgres::readers(options.clone()));
                (Backend::Postgres(Box::new(PgWriter::new(options, &mut core))), reader)
            }
        };
        let (requests, waiting) = mpsc::channel(QUEUE);
        let (changed, closing, tasks) =
            (Changed::default(), CancellationToken::new(), TaskTracker::new());
        let written = Arc::new(Written::default());
        let writer = Writer {
            backend,
            core,
            changed: changed.clone(),
            written: written.clone(),
            closing: closing.clone(),
        };
        tasks.spawn(writer.run(waiting));
        let single = gather_verifications(&tasks, &closing, &reader, &keys);
        let single_keys = gather_keys(&tasks, &closing, &reader);
        let inner = Inner {
            keys,
            clock,
            reader,
            single,
            single_keys,
            requests,
            changed,
            announcer,
            written,
            closing,
            tasks,
        };
        let store = Self(Arc::new(inner));
        // The partitions of this week have to be there before the first row.
        if let Err(error) = store.keep_house_once(&retention).await {
            store.close().await;
            return Err(OpenError::unavailable(error));
        }
        let closing = store.0.closing.clone();
        store.0.tasks.spawn(keep_house(Arc::downgrade(&store.0), closing, retention));
        Ok(store)
    }

    /// Gives whether there is more to do.
    async fn keep_house_once(&self, retention: &config::Retention) -> Result<bool, StoreError> {
        let chore = Chore::at(self.0.clock.now(), retention);
        let report = self.ask(Request::Chore, chore).await?;
        if report.rows > 0 {
            tracing::debug!(rows = report.rows, "rows past their retention were forgotten");
        }
        Ok(report.more)
    }
}

fn gather_verifications(
    tasks: &TaskTracker,
    closing: &CancellationToken,
    reader: &Reader,
    keys: &Keys,
) -> Gather<VerificationId, Verification> {
    let (reader, keys) = (reader.clone(), keys.clone());
    Gather::start(tasks, closing.clone(), move |ids: Vec<VerificationId>| {
        let (reader, keys) = (reader.clone(), keys.clone());
        async move {
            let found = reader.verifications_by_id(&keys, &ids).await?;
            Ok(found.into_iter().map(|found| (found.verification_id, found)).collect())
        }
    })
}

fn gather_keys(
    tasks: &TaskTracker,
    closing: &CancellationToken,
    reader: &Reader,
) -> Gather<ApiKeyId, ApiKeyRow> {
    let reader = reader.clone();
    Gather::start(tasks, closing.clone(), move |ids: Vec<ApiKeyId>| {
        let reader = reader.clone();
        async move {
            let asked = ids.iter().map(|id| id.as_str().to_owned()).collect();
            let found = reader.api_keys_by_id(asked).await?;
            let row_of = |id: ApiKeyId| {
                let row = found.iter().find(|row| row.api_key_id == id.as_str())?;
                Some((id, row.clone()))
            };
            Ok(ids.into_iter().filter_map(row_of).collect())
        }
    })
}

/// Holds no store between its rounds, so that one that everybody dropped comes to its end.
async fn keep_house(store: Weak<Inner>, closing: CancellationToken, retention: config::Retention) {
    let mut pause = CHORE_EVERY;
    while !closing.is_cancelled() {
        tokio::select! {
            () = closing.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
        }
        let Some(store) = store.upgrade().map(Store) else { break };
        // A failure was logged by the writer.
        pause = match store.keep_house_once(&retention).await {
            Ok(false) => CHORE_EVERY,
            Ok(true) | Err(_) => CHORE_AGAIN,
        };
    }
}

async fn open_sqlite(path: &Path, keys: &Keys) -> Result<(Backend, Reader), OpenError> {
    if !path.exists() {
        return Err(OpenError::NotMigrated);
    }
    let mut connection = sqlite::connect(path, false).await?;
    check_tables(&migrations::SQLITE, &applied!(&mut connection))?;
    check_key!(&mut connection, keys, sqlite::sql);
    let reader = Reader::Sqlite(sqlite::readers(path).await?);
    Ok((Backend::Sqlite(SqliteWriter::new(path, connection)), reader))
}
