//! Moments at which something is due for a verification, in memory: the store has the truth.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::app::App;
use crate::clock::Timestamp;
use crate::ids::VerificationId;

/// Verifications taken in one go: what is written for them shares one batch of the store.
const BATCH: usize = 256;

/// The longest sleep: the clock is slewed, so a long one would drift.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// What is due when.
#[derive(Debug, Default)]
pub struct Timetable {
    due: Mutex<BTreeSet<(Timestamp, VerificationId)>>,
    earlier: Notify,
}

impl Timetable {
    /// Notes a moment; the same twice is once.
    pub fn insert(&self, at: Timestamp, verification_id: VerificationId) {
        let mut due = self.entries();
        due.insert((at, verification_id));
        if due.first() == Some(&(at, verification_id)) {
            self.earlier.notify_one();
        }
    }

    /// Forgets a moment. True for the first who says so.
    pub fn remove(&self, at: Timestamp, verification_id: VerificationId) -> bool {
        self.entries().remove(&(at, verification_id))
    }

    /// How many moments are noted.
    pub fn count(&self) -> usize {
        self.entries().len()
    }

    /// Waits until something is due and takes it; `None`: the process is stopping. One task may
    /// wait at a time.
    pub async fn due(&self, app: &App) -> Option<Vec<VerificationId>> {
        loop {
            let next = match self.take_due(app.now()) {
                Ok(due) => return Some(due),
                Err(next) => next,
            };
            let sleep = next.map_or(LONGEST_SLEEP, |at| app.clock().until(at));
            tokio::select! {
                () = tokio::time::sleep(sleep.min(LONGEST_SLEEP)) => {}
                () = self.earlier.notified() => {}
                () = app.stop().cancelled() => return None,
            }
        }
    }

    /// What is due, else when the next is.
    fn take_due(&self, now: Timestamp) -> Result<Vec<VerificationId>, Option<Timestamp>> {
        let mut due = self.entries();
        let mut taken = Vec::new();
        while taken.len() < BATCH {
            match due.first() {
                Some(&(at, id)) if at <= now => {
                    due.pop_first();
                    taken.push(id);
                }
                Some(&(at, _)) if taken.is_empty() => return Err(Some(at)),
                None if taken.is_empty() => return Err(None),
                Some(_) | None => break,
            }
        }
        Ok(taken)
    }

    fn entries(&self) -> MutexGuard<'_, BTreeSet<(Timestamp, VerificationId)>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_is_taken_in_order_and_the_rest_says_when() {
        let timetable = Timetable::default();
        for (at, id) in [(30, 3), (10, 1), (20, 2)] {
            timetable.insert(Timestamp(at), VerificationId(id));
        }
        assert_eq!(timetable.take_due(Timestamp(5)), Err(Some(Timestamp(10))));
        let due = timetable.take_due(Timestamp(20)).unwrap();
        assert_eq!(due, [VerificationId(1), VerificationId(2)]);
        assert_eq!(timetable.take_due(Timestamp(20)), Err(Some(Timestamp(30))));
        assert_eq!(timetable.take_due(Timestamp(30)).unwrap(), [VerificationId(3)]);
        assert_eq!(timetable.take_due(Timestamp(99)), Err(None));
    }
}
