//! The reading side: connections of its own, a deadline on everything.

use std::pin::Pin;
use std::time::Duration;

use sqlx::postgres::PgPool;
use sqlx::sqlite::SqlitePool;

use crate::clock::Timestamp;
use crate::ids::{
    AuditId, CallId, LetterId, MessageId, RedirectId, SignInId, UserId, VerificationId,
};
use crate::secrets::Keys;
use crate::store::StoreError;
use crate::store::row::{
    ApiKeyRow, AuditRow, CallRow, DeliveryRow, IdempotencyRow, LetterRow, LimitRow, MessageRow,
    RedirectRow, SignInRow, SubmittedRow, TailRow, UserRow,
};
use crate::store::sql_types::{IdBytes, Key, KeyList};
use crate::store::view::{CallFilter, PageFilter, VerificationFilter, Who};
use crate::store::webhook::DELIVERY_LEASE;
use crate::store::{AuditFilter, MessageFilter, postgres, sqlite};
use crate::telemetry;
use crate::verification::model::Verification;

/// How long a read may take, the wait for a connection included.
pub(crate) const READ_DEADLINE: Duration = Duration::from_secs(3);
/// Most rows of a page.
const PAGE_MAX: u32 = 200;

/// The reading side of one database.
#[derive(Clone, Debug)]
pub(crate) enum Reader {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// One statement with the same bindings on both.
macro_rules! fetch {
    ($self:expr, $fetch:ident, $sql:ident $(, $bind:expr)*) => {
        match $self {
            Self::Sqlite(pool) => {
                bounded(|| sqlx::query_as(sqlite::sql::$sql)$(.bind($bind))*.$fetch(pool)).await
            }
            Self::Postgres(pool) => {
                bounded(|| sqlx::query_as(postgres::sql::$sql)$(.bind($bind))*.$fetch(pool)).await
            }
        }
    };
}

/// Verification rows and their steps and calls, as one snapshot.
macro_rules! fetch_aggregates {
    ($self:expr, $keys:expr, $sql:ident $(, $bind:expr)*) => {
        match $self {
            Self::Sqlite(pool) => {
                use crate::store::sqlite::sql;
                bounded_fault(|| async move {
                    let mut transaction = pool.begin().await?;
                    let query = sqlx::query_as(sql::$sql)$(.bind($bind))*;
                    let rows = query.fetch_all(&mut *transaction).await?;
                    let read = crate::store::load::load_aggregates!(&mut *transaction, $keys, rows);
                    transaction.rollback().await?;
                    Ok(read?)
                })
                .await
            }
            Self::Postgres(pool) => {
                use crate::store::postgres::sql;
                bounded_fault(|| async move {
                    let begin = "begin isolation level repeatable read read only";
                    let mut transaction = pool.begin_with(begin).await?;
                    let query = sqlx::query_as(sql::$sql)$(.bind($bind))*;
                    let rows = query.fetch_all(&mut *transaction).await?;
                    let read = crate::store::load::load_aggregates!(&mut *transaction, $keys, rows);
                    transaction.rollback().await?;
                    Ok(read?)
                })
                .await
            }
        }
    };
}

/// A part of a list: the head's bindings, then those of the filter.
macro_rules! list {
    ($self:expr, $sql:ident, $head:ident $(, $bind:expr)*) => {
        fetch!(
            $self, fetch_all, $sql,
            $head.before, $head.first, $head.account, $head.live, $head.more $(, $bind)*
        )
    };
}

/// The same for verifications.
macro_rules! list_aggregates {
    ($self:expr, $keys:expr, $sql:ident, $head:ident $(, $bind:expr)*) => {
        fetch_aggregates!(
            $self, $keys, $sql,
            $head.before, $head.first, $head.account, $head.live, $head.more $(, $bind)*
        )
    };
}

impl Reader {
    pub(crate) async fn verifications_by_id(
        &self,
        keys: &Keys,
        ids: &[VerificationId],
    ) -> Result<Vec<Verification>, StoreError> {
        let list = || KeyList(ids.iter().map(|id| IdBytes::new(id.0)).collect());
        fetch_aggregates!(self, keys, VERIFICATIONS_BY_ID, list())
    }

    pub(crate) async fn verifications(
        &self,
        keys: &Keys,
        who: &Who,
        filter: &VerificationFilter,
        to: Option<Key>,
    ) -> Result<Vec<Verification>, StoreError> {
        let head = Head::new(who, &filter.page, VerificationId);
        let status = filter.status.map(|status| status.as_str());
        let channel = filter.channel.map(|channel| channel.as_str());
        let reference = filter.reference.as_deref();
        match (to, head.account, reference) {
            (Some(to), _, _) => list_aggregates!(
                self,
                keys,
                LIST_VERIFICATIONS_TO,
                head,
                status,
                channel,
                reference,
                to
            ),
            (None, Some(_), Some(_)) => list_aggregates!(
                self,
                keys,
                LIST_VERIFICATIONS_REFERENCE,
                head,
                status,
                channel,
                reference
            ),
            (None, Some(_), None) => list_aggregates!(
                self,
                keys,
                LIST_VERIFICATIONS_ACCOUNT,
                head,
                status,
                channel,
                reference
            ),
            (None, None, _) => {
                list_aggregates!(self, keys, LIST_VERIFICATIONS, head, status, channel, reference)
            }
        }
    }

    pub(crate) async fn open_verification_ids(
        &self,
        after: VerificationId,
        limit: u32,
    ) -> Result<Vec<VerificationId>, StoreError> {
        let rows: Vec<(VerificationId,)> =
            fetch!(self, fetch_all, OPEN_VERIFICATION_IDS, after, i64::from(limit))?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    pub(crate) async fn call(&self, call_id: CallId) -> Result<Option<CallRow>, StoreError> {
        fetch!(self, fetch_optional, CALL, call_id)
    }

    pub(crate) async fn calls(
        &self,
        who: &Who,
        filter: &CallFilter,
        to: Option<Key>,
    ) -> Result<Vec<CallRow>, StoreError> {
        let head = Head::new(who, &filter.page, CallId);
        let trunk = filter.trunk.as_ref().map(|trunk| trunk.as_str());
        let outcome = filter.outcome.map(|outcome| outcome.as_str());
        match (to, head.account) {
            (Some(to), _) => list!(self, LIST_CALLS_TO, head, trunk, outcome, to),
            (None, Some(_)) => list!(self, LIST_CALLS_ACCOUNT, head, trunk, outcome),
            (None, None) => list!(self, LIST_CALLS, head, trunk, outcome),
        }
    }

    pub(crate) async fn unfinished_calls(
        &self,
        after: CallId,
        limit: u32,
    ) -> Result<Vec<CallRow>, StoreError> {
        fetch!(self, fetch_all, UNFINISHED_CALLS, after, i64::from(limit))
    }

    pub(crate) async fn message(&self, id: MessageId) -> Result<Option<MessageRow>, StoreError> {
        fetch!(self, fetch_optional, MESSAGE, id)
    }

    pub(crate) async fn messages(
        &self,
        who: &Who,
        filter: &MessageFilter,
        to: Option<Key>,
    ) -> Result<Vec<MessageRow>, StoreError> {
        let head = Head::new(who, &filter.page, MessageId);
        let status = filter.status.map(|status| status.as_str());
        let direction = filter.direction.map(|direction| direction.as_str());
        let reference = filter.reference.as_deref();
        match (to, head.account) {
            (Some(to), _) => list!(self, LIST_MESSAGES_TO, head, status, direction, reference, to),
            (None, Some(_)) => {
                list!(self, LIST_MESSAGES_ACCOUNT, head, status, direction, reference)
            }
            (None, None) => list!(self, LIST_MESSAGES, head, status, direction, reference),
        }
    }

    pub(crate) async fn unfinished_messages(
        &self,
        after: MessageId,
        limit: u32,
    ) -> Result<Vec<MessageRow>, StoreError> {
        fetch!(self, fetch_all, UNFINISHED_MESSAGES, after, i64::from(limit))
    }

    pub(crate) async fn overdue_messages(
        &self,
        from: Timestamp,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<MessageRow>, StoreError> {
        fetch!(self, fetch_all, OVERDUE_MESSAGES, from, before, i64::from(limit))
    }

    pub(crate) async fn submitted(
        &self,
        link: &str,
        ids: &[String; 3],
    ) -> Result<Vec<SubmittedRow>, StoreError> {
        let [first, second, third] = ids;
        fetch!(self, fetch_all, SUBMITTED, link, first, second, third)
    }

    pub(crate) async fn overdue_inbound(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<Key>, StoreError> {
        let rows: Vec<(Key,)> = fetch!(self, fetch_all, OVERDUE_INBOUND, before, i64::from(limit))?;
        Ok(rows.into_iter().map(|(group,)| group).collect())
    }

    pub(crate) async fn redirect_by_phone(
        &self,
        key: Key,
    ) -> Result<Option<RedirectRow>, StoreError> {
        fetch!(self, fetch_optional, REDIRECT_BY_PHONE, key)
    }

    pub(crate) async fn redirect(&self, id: RedirectId) -> Result<Option<RedirectRow>, StoreError> {
        fetch!(self, fetch_optional, REDIRECT, id)
    }

    pub(crate) async fn list_redirects(
        &self,
        who: &Who,
        page: &PageFilter,
    ) -> Result<Vec<RedirectRow>, StoreError> {
        let head = Head::new(who, page, RedirectId);
        list!(self, LIST_REDIRECTS, head)
    }

    pub(crate) async fn list_audit(
        &self,
        who: &Who,
        filter: &AuditFilter,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let head = Head::new(who, &filter.page, AuditId);
        let kind = filter.kind.map(|kind| kind.as_str());
        list!(self, AUDIT, head, kind)
    }

    pub(crate) async fn open_letters(
        &self,
        after: LetterId,
        limit: u32,
    ) -> Result<Vec<LetterRow>, StoreError> {
        fetch!(self, fetch_all, OPEN_LETTERS, after, i64::from(limit))
    }

    pub(crate) async fn webhook_deliveries(
        &self,
        webhook: &str,
        after: Timestamp,
        limit: u32,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        fetch!(self, fetch_all, WEBHOOK_DELIVERIES, webhook, after, i64::from(limit))
    }

    /// On Postgres it is a read that no other node is given.
    pub(crate) async fn due_deliveries(
        &self,
        webhook: &str,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        let limit = i64::from(limit);
        match self {
            Self::Sqlite(pool) => {
                let due = || sqlx::query_as(sqlite::sql::DUE_DELIVERIES).bind(webhook).bind(now);
                bounded(|| due().bind(limit).fetch_all(pool)).await
            }
            Self::Postgres(pool) => {
                let sql = postgres::sql::CLAIM_DELIVERIES;
                let due = || sqlx::query_as(sql).bind(webhook).bind(now).bind(limit);
                bounded(|| due().bind(DELIVERY_LEASE).fetch_all(pool)).await
            }
        }
    }

    pub(crate) async fn is_webhook_disabled(
        &self,
        webhook: &str,
        url: Key,
    ) -> Result<bool, StoreError> {
        let row: Option<(i32,)> = fetch!(self, fetch_optional, IS_WEBHOOK_DISABLED, webhook, url)?;
        Ok(row.is_some())
    }

    pub(crate) async fn tails_of(
        &self,
        to: Key,
        since: Timestamp,
    ) -> Result<Vec<TailRow>, StoreError> {
        fetch!(self, fetch_all, TAILS_OF_NUMBER, to, since)
    }

    pub(crate) async fn unallocated_until(
        &self,
        to: Key,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let row: Option<(Timestamp,)> = fetch!(self, fetch_optional, IS_UNALLOCATED, to, now)?;
        Ok(row.map(|(until,)| until))
    }

    pub(crate) async fn idempotency(&self, key: Key) -> Result<Option<IdempotencyRow>, StoreError> {
        let list = || KeyList(vec![key]);
        fetch!(self, fetch_optional, LOAD_IDEMPOTENCY, list())
    }

    pub(crate) async fn limits(&self, keys: &[Key]) -> Result<Vec<LimitRow>, StoreError> {
        let list = || KeyList(keys.to_vec());
        fetch!(self, fetch_all, LIMITS, list())
    }

    pub(crate) async fn api_keys_by_id(
        &self,
        ids: Vec<String>,
    ) -> Result<Vec<ApiKeyRow>, StoreError> {
        match self {
            Self::Sqlite(pool) => {
                let ids = sqlite::api_key_list(ids);
                let query = || sqlx::query_as(sqlite::sql::API_KEYS_BY_ID).bind(&ids);
                bounded(|| query().fetch_all(pool)).await
            }
            Self::Postgres(pool) => {
                let query = || sqlx::query_as(postgres::sql::API_KEYS_BY_ID).bind(&ids);
                bounded(|| query().fetch_all(pool)).await
            }
        }
    }

    pub(crate) async fn api_keys(&self) -> Result<Vec<ApiKeyRow>, StoreError> {
        fetch!(self, fetch_all, API_KEYS)
    }

    /// Those with these ids, and those with these identifiers.
    pub(crate) async fn users(
        &self,
        ids: &[UserId],
        keys: &[Key],
    ) -> Result<Vec<UserRow>, StoreError> {
        let ids = || KeyList(ids.iter().map(|id| IdBytes::new(id.0)).collect::<Vec<_>>());
        let keys = || KeyList(keys.to_vec());
        fetch!(self, fetch_all, LOAD_USERS, ids(), keys())
    }

    pub(crate) async fn list_users(
        &self,
        who: &Who,
        page: &PageFilter,
    ) -> Result<Vec<UserRow>, StoreError> {
        let head = Head::new(who, page, UserId);
        list!(self, LIST_USERS, head)
    }

    pub(crate) async fn sign_in(&self, id: SignInId) -> Result<Option<SignInRow>, StoreError> {
        fetch!(self, fetch_optional, SIGN_IN, id)
    }

    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        let _: (i32,) = fetch!(self, fetch_one, PING)?;
        Ok(())
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// How many rows a page has.
pub(crate) fn page_limit(asked: u32) -> i64 {
    i64::from(asked.clamp(1, PAGE_MAX))
}

/// What every list binds first: the ids from `first` to before `before`, whose they are, and one
/// row more than the page has, which tells whether there is a next one.
struct Head<'a, I> {
    before: I,
    first: I,
    account: Option<&'a str>,
    live: Option<bool>,
    more: i64,
}

impl<'a, I> Head<'a, I> {
    fn new(who: &'a Who, page: &PageFilter, id: impl Fn(u128) -> I) -> Self {
        let of = |moment: Timestamp| VerificationId::first_of(moment).0;
        let before = page.created_before.map_or(u128::MAX, of);
        let before = page.cursor.map_or(before, |cursor| cursor.min(before));
        let (account, live) = who.narrowed();
        Self {
            before: id(before),
            first: id(page.created_after.map_or(0, of)),
            account,
            live,
            more: page_limit(page.limit) + 1,
        }
    }
}

/// Why a read failed.
enum ReadFault {
    Sql(sqlx::Error),
    Store(StoreError),
}

impl From<sqlx::Error> for ReadFault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for ReadFault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// One try of a read. Boxed, so that what surrounds it is compiled once for each kind of result and
/// not once for each statement; beside a statement it costs nothing.
type Try<'a, T> = Pin<Box<dyn Future<Output = Result<T, ReadFault>> + Send + 'a>>;

async fn bounded<'a, T, F>(read: impl Fn() -> F + Sync + 'a) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, sqlx::Error>> + Send + 'a,
{
    bounded_tries(&|| -> Try<'a, T> {
        let read = read();
        Box::pin(async { Ok(read.await?) })
    })
    .await
}

async fn bounded_fault<'a, T, F>(read: impl Fn() -> F + Sync + 'a) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, ReadFault>> + Send + 'a,
{
    bounded_tries(&|| -> Try<'a, T> { Box::pin(read()) }).await
}

/// A connection that was idle may have broken unnoticed: another one is tried. Asking each before
/// its use would cost every read a round trip.
async fn twice<'a, T>(read: &(dyn Fn() -> Try<'a, T> + Sync)) -> Result<T, ReadFault> {
    match read().await {
        Err(ReadFault::Sql(sqlx::Error::Io(error))) => {
            tracing::info!(%error, "a connection that reads broke, taking another");
            read().await
        }
        result => result,
    }
}

/// Runs a read under its deadline and logs why it failed.
async fn bounded_tries<'a, T>(read: &(dyn Fn() -> Try<'a, T> + Sync)) -> Result<T, StoreError> {
    telemetry::store_read();
    match tokio::time::timeout(READ_DEADLINE, twice(read)).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(ReadFault::Sql(sqlx::Error::PoolClosed))) => Err(StoreError::Closed),
        Ok(Err(ReadFault::Sql(error))) => {
            tracing::warn!(%error, "a read failed");
            Err(StoreError::Unavailable)
        }
        Ok(Err(ReadFault::Store(error))) => {
            tracing::error!(%error, "a row cannot be read");
            Err(error)
        }
        Err(_) => {
            tracing::warn!("a read took longer than {READ_DEADLINE:?}");
            Err(StoreError::Unavailable)
        }
    }
}
