//! Caller IDs that networks block rest: shown again they would only be blocked again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dialplans::{CallerId, RestingCallerIds};

use crate::clock::Timestamp;

/// The last calls of a caller ID that count.
const WINDOW: u32 = 20;

/// More blocked calls than this among them, and it rests: over 30 %.
const BLOCKED_LIMIT: u32 = 6;

/// How long it rests: networks forget a number's bad name in days, not in hours.
const REST: Duration = Duration::from_secs(24 * 3600);

/// Caller IDs remembered at most: a large operator's pools. What is above starts anew.
const REMEMBERED_LIMIT: usize = 1 << 20;

/// How the last calls of each caller ID went. In memory only: a restart forgives.
#[derive(Default)]
pub struct Resting(Mutex<Book>);

#[derive(Default)]
struct Book {
    tallies: BTreeMap<CallerId, Tally>,
    resting: BTreeMap<CallerId, Timestamp>,
    /// What plans get, until it changes or somebody has rested enough.
    shared: RestingCallerIds,
    shared_until: Option<Timestamp>,
}

/// One bit for each of the last calls: whether it was blocked.
#[derive(Clone, Copy, Default)]
struct Tally {
    blocked: u32,
    calls: u32,
}

impl Tally {
    fn note(&mut self, blocked: bool) {
        self.blocked = (self.blocked << 1 | u32::from(blocked)) & ((1 << WINDOW) - 1);
        self.calls = (self.calls + 1).min(WINDOW);
    }

    fn is_bad(self) -> bool {
        self.calls == WINDOW && self.blocked.count_ones() > BLOCKED_LIMIT
    }
}

impl Resting {
    /// A call that showed this caller ID ended.
    pub fn note(&self, now: Timestamp, caller_id: CallerId, blocked: bool) {
        let mut book = self.book();
        if book.tallies.len() >= REMEMBERED_LIMIT && !book.tallies.contains_key(&caller_id) {
            book.tallies.clear();
        }
        let tally = book.tallies.entry(caller_id).or_default();
        tally.note(blocked);
        if tally.is_bad() {
            // What it did before its rest does not count after it.
            book.tallies.remove(&caller_id);
            book.resting.insert(caller_id, now + REST);
            book.share(now);
            tracing::warn!(
                caller_id = %caller_id,
                "over 30 % of the last {WINDOW} calls that showed a number were blocked, it rests"
            );
        }
    }

    /// The caller IDs that rest.
    pub fn at(&self, now: Timestamp) -> RestingCallerIds {
        let mut book = self.book();
        if book.shared_until.is_some_and(|until| until <= now) {
            book.resting.retain(|_, until| *until > now);
            book.share(now);
        }
        book.shared.clone()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn share(&mut self, now: Timestamp) {
        self.resting.retain(|_, until| *until > now);
        self.shared = RestingCallerIds::new(self.resting.keys().copied());
        self.shared_until = self.resting.values().min().copied();
    }
}

impl std::fmt::Debug for Resting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resting")
    }
}

#[cfg(test)]
mod tests {
    use dialplans::{CodeLength, E164};

    use super::*;

    fn caller_id(number: &str) -> CallerId {
        CallerId::new(E164::parse(number).unwrap(), CodeLength::new(4).unwrap()).unwrap()
    }

    #[test]
    fn over_thirty_percent_of_twenty_blocked_calls_rest_a_caller_id_for_a_day() {
        let (resting, now) = (Resting::default(), Timestamp(1_000));
        let (bad, good) = (caller_id("+74951230001"), caller_id("+74951230002"));
        for call in 0..20 {
            resting.note(now, bad, call % 3 == 0);
            resting.note(now, good, call % 4 == 0);
        }
        assert!(resting.at(now).contains(&bad));
        assert!(!resting.at(now).contains(&good));
        assert!(resting.at(now + REST - Duration::from_millis(1)).contains(&bad));
        assert_eq!(resting.at(now + REST).count(), 0);
    }

    #[test]
    fn only_the_last_twenty_calls_count_and_fewer_never_do() {
        let (resting, now) = (Resting::default(), Timestamp(1_000));
        let (young, old) = (caller_id("+74951230001"), caller_id("+74951230002"));
        for _ in 0..19 {
            resting.note(now, young, true);
        }
        for blocked in [true; 6].into_iter().chain([false; 20]).chain([true; 6]) {
            resting.note(now, old, blocked);
        }
        assert_eq!(resting.at(now).count(), 0);
        resting.note(now, young, false);
        assert!(resting.at(now).contains(&young));
    }
}
