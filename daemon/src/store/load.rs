//! What both backends do alike: the reads of a batch, and aggregates from rows.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::{CallId, VerificationId};
use crate::secrets::Keys;
use crate::store::StoreError;
use crate::store::convert::{last_call_possible, verification};
use crate::store::row::{CallRow, StepRow, VerificationRow};
use crate::store::sql_types::IdBytes;
use crate::verification::model::Verification;

/// The ids that calls of these verifications can have: from an hour before the first of them was
/// drawn to an hour after the last of them ends.
pub(crate) fn call_bounds(rows: &[VerificationRow]) -> (CallId, CallId) {
    let first = rows.iter().map(|row| row.verification_id.created_at()).min();
    let last = last_call_possible(rows);
    let first = first.unwrap_or(last) - Duration::from_secs(3600);
    (CallId::first_of(first), CallId::first_of(last))
}

pub(crate) fn ids(rows: &[VerificationRow]) -> Vec<IdBytes> {
    rows.iter().map(|row| IdBytes::new(row.verification_id.0)).collect()
}

/// The aggregates of `rows`, in their order. Steps and calls come in order within each.
pub(crate) fn assemble(
    keys: &Keys,
    rows: Vec<VerificationRow>,
    steps: Vec<StepRow>,
    calls: Vec<CallRow>,
) -> Result<Vec<Verification>, StoreError> {
    let mut steps_of: BTreeMap<VerificationId, Vec<StepRow>> = BTreeMap::new();
    for step in steps {
        steps_of.entry(step.verification_id).or_default().push(step);
    }
    let mut calls_of: BTreeMap<VerificationId, Vec<CallRow>> = BTreeMap::new();
    for call in calls {
        calls_of.entry(call.verification_id).or_default().push(call);
    }
    rows.into_iter()
        .map(|row| {
            let steps = steps_of.remove(&row.verification_id).unwrap_or_default();
            let calls = calls_of.remove(&row.verification_id).unwrap_or_default();
            verification(keys, row, steps, calls)
        })
        .collect()
}

/// Reads the steps and calls of verification rows on one connection and builds the aggregates.
macro_rules! load_aggregates {
    ($connection:expr, $keys:expr, $rows:expr) => {{
        use $crate::store::load::{assemble, call_bounds, ids};
        use $crate::store::row::{CallRow, StepRow};
        use $crate::store::sql_types::KeyList;

        let rows = $rows;
        let (first, after_last) = call_bounds(&rows);
        let steps: Vec<StepRow> = sqlx::query_as(sql::STEPS)
            .bind(KeyList(ids(&rows)))
            .fetch_all(&mut *$connection)
            .await?;
        let calls: Vec<CallRow> = sqlx::query_as(sql::CALLS_OF_VERIFICATIONS)
            .bind(KeyList(ids(&rows)))
            .bind(first)
            .bind(after_last)
            .fetch_all(&mut *$connection)
            .await?;
        assemble($keys, rows, steps, calls)
    }};
}
pub(crate) use load_aggregates;

/// Reads everything that a batch needs, inside its transaction. Only what is asked for is read.
macro_rules! load_batch {
    ($connection:expr, $keys:expr, $now:expr, $requests:expr, $needs:expr) => {{
        use $crate::store::batch::Loaded;
        use $crate::store::load::load_aggregates;
        use $crate::store::row::{MessageRow, VerificationRow};
        use $crate::store::sql_types::{IdBytes, KeyList};

        let mut needs = $needs;
        let mut loaded = Loaded::default();
        let list = |ids: &mut dyn Iterator<Item = u128>| KeyList(ids.map(IdBytes::new).collect());
        if !needs.open.is_empty() {
            loaded.open = sqlx::query_as(sql::LOAD_OPEN)
                .bind(KeyList(needs.open.iter().copied().collect::<Vec<_>>()))
                .fetch_all(&mut *$connection)
                .await?;
            needs.add_open($now, $requests, &loaded.open);
        }
        if !needs.verifications.is_empty() {
            let rows: Vec<VerificationRow> = sqlx::query_as(sql::LOAD_VERIFICATIONS)
                .bind(list(&mut needs.verifications.iter().map(|id| id.0)))
                .fetch_all(&mut *$connection)
                .await?;
            loaded.verifications = load_aggregates!($connection, $keys, rows)?;
        }
        if !needs.idempotency.is_empty() {
            loaded.idempotency = sqlx::query_as(sql::LOAD_IDEMPOTENCY)
                .bind(KeyList(needs.idempotency.iter().copied().collect::<Vec<_>>()))
                .fetch_all(&mut *$connection)
                .await?;
        }
        if !needs.limits.is_empty() {
            loaded.limits = sqlx::query_as(sql::LOAD_LIMITS)
                .bind(KeyList(needs.limits.iter().copied().collect::<Vec<_>>()))
                .fetch_all(&mut *$connection)
                .await?;
        }
        if !needs.tails.is_empty() {
            loaded.tails = sqlx::query_as(sql::LOAD_TAILS)
                .bind(KeyList(needs.tails.iter().copied().collect::<Vec<_>>()))
                .fetch_all(&mut *$connection)
                .await?;
        }
        if !needs.messages.is_empty() {
            let rows: Vec<MessageRow> = sqlx::query_as(sql::LOAD_MESSAGES)
                .bind(list(&mut needs.messages.iter().map(|id| id.0)))
                .fetch_all(&mut *$connection)
                .await?;
            let messages = rows.into_iter().map(|row| $crate::store::message::message($keys, row));
            loaded.messages = messages.collect::<Result<_, _>>()?;
        }
        if !needs.inbound.is_empty() {
            let rows: Vec<$crate::store::row::InboundPartRow> =
                sqlx::query_as(sql::LOAD_INBOUND_PARTS)
                    .bind(KeyList(needs.inbound.iter().copied().collect::<Vec<_>>()))
                    .fetch_all(&mut *$connection)
                    .await?;
            let parts = rows.into_iter().map(|row| $crate::store::inbound::part($keys, row));
            loaded.inbound = parts.collect::<Result<_, _>>()?;
        }
        if !needs.redirects.is_empty() {
            let rows: Vec<$crate::store::row::RedirectRow> = sqlx::query_as(sql::LOAD_REDIRECTS)
                .bind(KeyList(needs.redirects.iter().copied().collect::<Vec<_>>()))
                .fetch_all(&mut *$connection)
                .await?;
            let redirects =
                rows.into_iter().map(|row| $crate::store::redirect::redirect($keys, row));
            loaded.redirects = redirects.collect::<Result<_, _>>()?;
        }
        if !needs.api_keys.is_empty() {
            loaded.api_keys = sqlx::query_as(sql::LOAD_API_KEYS)
                .bind(api_key_list(needs.api_keys))
                .fetch_all(&mut *$connection)
                .await?;
        }
        if !needs.users.is_empty() || !needs.user_keys.is_empty() {
            loaded.users = sqlx::query_as(sql::LOAD_USERS)
                .bind(list(&mut needs.users.iter().map(|id| id.0)))
                .bind(KeyList(needs.user_keys.iter().copied().collect::<Vec<_>>()))
                .fetch_all(&mut *$connection)
                .await?;
        }
        loaded
    }};
}
pub(crate) use load_batch;
