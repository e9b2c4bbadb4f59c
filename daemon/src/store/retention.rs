//! What is made ahead and what is forgotten in time.

use std::time::Duration;

use time::{Date, Month, OffsetDateTime};

use crate::clock::Timestamp;
use crate::store::request::Request;

/// Weeks whose partitions exist before they begin.
const WEEKS_AHEAD: u32 = 4;
/// How long an Idempotency-Key is kept.
const IDEMPOTENCY_LIFE: Duration = Duration::from_secs(24 * 3600);
/// The longest that a shown tail can be asked for.
const TAIL_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long an event for a webhook is kept; its last try comes earlier.
const DELIVERY_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// Rows that one chore deletes or blanks at most, so that no batch waits long for it.
pub(crate) const CHORE_ROWS: i64 = 2_000;

/// One round of housekeeping, bound to a moment and small enough to stand in a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chore {
    /// Idempotency keys made before this are deleted.
    pub(crate) idempotency_before: Timestamp,
    /// Tails shown before this are deleted.
    pub(crate) tails_before: Timestamp,
    /// Events told to webhooks before this are deleted.
    pub(crate) deliveries_before: Timestamp,
    /// Limits and unallocated numbers that nothing needs after this are deleted.
    pub(crate) now: Timestamp,
    /// Verifications, calls and texts made before this are deleted.
    pub(crate) records_before: Timestamp,
    /// Full numbers of what was made before this are blanked.
    pub(crate) numbers_before: Timestamp,
    /// Wordings of texts made before this are blanked.
    pub(crate) texts_before: Timestamp,
}

/// What a chore did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChoreReport {
    /// Rows deleted or blanked.
    pub(crate) rows: u64,
    /// Whether there is more of the same.
    pub(crate) more: bool,
}

impl ChoreReport {
    /// Adds what one statement did that touches at most [`CHORE_ROWS`] rows.
    pub(crate) fn add(&mut self, rows: u64) {
        self.rows += rows;
        self.more |= rows >= CHORE_ROWS as u64;
    }

    /// Answers the request that asked for it.
    pub(crate) fn answer(self, requests: &mut [Request]) {
        for request in requests {
            if let Request::Chore(task) = request {
                task.answer = Some(self);
            }
        }
    }
}

/// The first id behind a stretch of at most [`CHORE_ROWS`] rows that begins at `$from` and ends
/// at the latest at `$before`.
macro_rules! stretch {
    ($connection:expr, $report:expr, $sql:expr, $id:ident, $from:expr, $before:expr) => {{
        let bound = $id::first_of($before);
        let end: Option<$id> = sqlx::query_scalar($sql)
            .bind($from)
            .bind(bound)
            .bind($crate::store::retention::CHORE_ROWS)
            .fetch_optional(&mut *$connection)
            .await?;
        $report.more |= end.is_some();
        end.unwrap_or(bound)
    }};
}
pub(crate) use stretch;

/// Blanks one stretch, from where the last one ended, and writes down where it ends.
macro_rules! blank {
    ($connection:expr, $report:expr, $name:literal, $stretch:expr, $blank:expr, $id:ident, $before:expr) => {{
        let done: Option<Vec<u8>> =
            sqlx::query_scalar(sql::SETTING).bind($name).fetch_optional(&mut *$connection).await?;
        let done = done.and_then(|bytes| Some(u128::from_be_bytes(bytes.try_into().ok()?)));
        let from = $id(done.unwrap_or(0));
        let end = stretch!($connection, $report, $stretch, $id, from, $before);
        if end > from {
            let done = sqlx::query($blank).bind(from).bind(end).execute(&mut *$connection).await?;
            $report.rows += done.rows_affected();
            sqlx::query(sql::PUT_SETTING)
                .bind($name)
                .bind(end.0.to_be_bytes().to_vec())
                .execute(&mut *$connection)
                .await?;
        }
    }};
}
pub(crate) use blank;

/// Deletes, and blanks in sign-ins, what its own time says, at most [`CHORE_ROWS`] of each.
macro_rules! forget_all {
    ($connection:expr, $report:expr, $chore:expr) => {
        for (sql, before) in [
            (sql::FORGET_IDEMPOTENCY, $chore.idempotency_before),
            (sql::FORGET_LIMITS, $chore.now),
            (sql::FORGET_TAILS, $chore.tails_before),
            (sql::FORGET_UNALLOCATED, $chore.now),
            (sql::FORGET_SUBMITTED, $chore.records_before),
            (sql::FORGET_SIGN_INS, $chore.records_before),
            (sql::FORGET_DELIVERIES, $chore.deliveries_before),
            (sql::FORGET_INBOUND_PARTS, $chore.idempotency_before),
            (sql::FORGET_REDIRECTS, $chore.numbers_before),
            (sql::FORGET_LETTERS, $chore.records_before),
            (sql::FORGET_AUDIT, $chore.records_before),
            (sql::BLANK_SIGN_INS, $chore.numbers_before),
        ] {
            let forget = sqlx::query(sql).bind(before).bind($crate::store::retention::CHORE_ROWS);
            let done = forget.execute(&mut *$connection).await?;
            $report.add(done.rows_affected());
        }
    };
}
pub(crate) use forget_all;

/// Blanks one stretch of everything that has a retention shorter than its row.
macro_rules! blank_all {
    ($connection:expr, $report:expr, $chore:expr) => {{
        use $crate::ids::{CallId, MessageId, VerificationId};
        use $crate::store::retention::{blank, stretch};

        let before = $chore.numbers_before;
        blank!(
            $connection,
            $report,
            "numbers_blanked.verification",
            sql::STRETCH_OF_VERIFICATIONS,
            sql::BLANK_VERIFICATIONS,
            VerificationId,
            before
        );
        blank!(
            $connection,
            $report,
            "numbers_blanked.call",
            sql::STRETCH_OF_CALLS,
            sql::BLANK_CALLS,
            CallId,
            before
        );
        blank!(
            $connection,
            $report,
            "numbers_blanked.message",
            sql::STRETCH_OF_MESSAGES,
            sql::BLANK_MESSAGES,
            MessageId,
            before
        );
        blank!(
            $connection,
            $report,
            "texts_blanked.message",
            sql::STRETCH_OF_MESSAGES,
            sql::BLANK_TEXTS,
            MessageId,
            $chore.texts_before
        );
    }};
}
pub(crate) use blank_all;

impl Chore {
    pub(crate) fn at(now: Timestamp, retention: &config::Retention) -> Self {
        Self {
            idempotency_before: now - IDEMPOTENCY_LIFE,
            tails_before: now - TAIL_LIFE,
            deliveries_before: now - DELIVERY_LIFE,
            now,
            records_before: now - retention.calls,
            numbers_before: now - retention.numbers,
            texts_before: now - retention.message_text,
        }
    }
}

/// A week of partitions: from Monday, 00:00 UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Week {
    /// `YYYYMMDD` of its Monday.
    pub(crate) name: String,
    /// Its first moment.
    pub(crate) start: Timestamp,
    /// The first moment of the next.
    pub(crate) end: Timestamp,
}

const WEEK_MS: i64 = 7 * 86_400_000;
/// 1970-01-05 was the first Monday.
const FIRST_MONDAY_MS: i64 = 4 * 86_400_000;

impl Week {
    pub(crate) fn of(moment: Timestamp) -> Self {
        let number = (moment.as_millis() - FIRST_MONDAY_MS).div_euclid(WEEK_MS);
        let start = Timestamp(FIRST_MONDAY_MS + number * WEEK_MS);
        let end = Timestamp(start.as_millis() + WEEK_MS);
        let date: Date = OffsetDateTime::from(start).date();
        let month: Month = date.month();
        let name = format!("{:04}{:02}{:02}", date.year(), u8::from(month), date.day());
        Self { name, start, end }
    }

    /// The weeks whose partitions have to be there at `now`: the one before, for an id that was
    /// drawn just before midnight, this one, and those ahead.
    pub(crate) fn needed(now: Timestamp) -> Vec<Self> {
        let before = Self::of(now - Duration::from_millis(WEEK_MS as u64));
        let mut weeks = vec![before];
        for _ in 0..=WEEKS_AHEAD {
            let next = Self::of(weeks[weeks.len() - 1].end);
            weeks.push(next);
        }
        weeks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_begins_on_monday_and_ends_where_the_next_begins() {
        let sunday: Timestamp = "2026-02-01T23:59:59.999Z".parse().unwrap();
        let week = Week::of(sunday);
        assert_eq!((week.name.as_str(), week.end), ("20260126", Timestamp(sunday.0 + 1)));
        assert_eq!(Week::of(week.end).name, "20260202");
        assert_eq!(Week::of(week.start), week);
    }

    #[test]
    fn four_weeks_ahead_are_needed_and_one_behind() {
        let names: Vec<_> = Week::needed("2026-01-01T00:00:00Z".parse().unwrap())
            .into_iter()
            .map(|week| week.name)
            .collect();
        let expected = ["20251222", "20251229", "20260105", "20260112", "20260119", "20260126"];
        assert_eq!(names, expected);
    }
}
