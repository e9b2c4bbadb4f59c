//! Ends verifications whose time has run out.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::app::App;
use crate::clock::Timestamp;
use crate::ids::VerificationId;
use crate::store::{Applied, Apply};
use crate::telemetry;
use crate::verification::machine::Input;
use crate::verification::model::{Verification, VerificationStatus};
use crate::verification::service;

/// Verifications ended in one go: they share one batch of the store.
const BATCH: usize = 256;

/// The longest sleep: the clock is slewed, so a long one would drift.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// How long to wait before a verification is tried again that the store did not take.
const RETRY: Duration = Duration::from_secs(1);

/// When open verifications end. The store's `expires_at` is the truth: a check that comes late
/// is refused by the machine whether or not this ran.
#[derive(Debug, Default)]
pub struct Expiry {
    due: Mutex<BTreeSet<(Timestamp, VerificationId)>>,
    earlier: Notify,
}

impl Expiry {
    /// Ends it when its time has come.
    pub fn add(&self, verification: &Verification) {
        if verification.status != VerificationStatus::Pending {
            return;
        }
        self.insert(verification.expires_at, verification.verification_id);
    }

    /// It has ended. True for the first who says so.
    pub fn remove(&self, verification: &Verification) -> bool {
        self.due().remove(&(verification.expires_at, verification.verification_id))
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.due().len()
    }

    fn insert(&self, at: Timestamp, verification_id: VerificationId) {
        let mut due = self.due();
        due.insert((at, verification_id));
        if due.first() == Some(&(at, verification_id)) {
            self.earlier.notify_one();
        }
    }

    /// What is due, else how long to sleep.
    fn take_due(&self, now: Timestamp) -> Result<Vec<VerificationId>, Option<Timestamp>> {
        let mut due = self.due();
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

    fn due(&self) -> MutexGuard<'_, BTreeSet<(Timestamp, VerificationId)>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs until the stop.
pub async fn run(app: App) {
    loop {
        match app.expiry().take_due(app.now()) {
            Ok(due) => expire(&app, due).await,
            Err(next) => {
                let sleep = next.map_or(LONGEST_SLEEP, |at| app.clock().until(at));
                tokio::select! {
                    () = tokio::time::sleep(sleep.min(LONGEST_SLEEP)) => {}
                    () = app.expiry().earlier.notified() => {}
                    () = app.stop().cancelled() => return,
                }
            }
        }
    }
}

async fn expire(app: &App, due: Vec<VerificationId>) {
    let mut batch = JoinSet::new();
    for verification_id in due {
        let app = app.clone();
        batch.spawn(async move {
            let apply = Apply::internal(verification_id, Input::Expire);
            match app.store().apply(apply).await {
                Ok(
                    Applied::Accepted { verification, .. } | Applied::Refused { verification, .. },
                ) => {
                    if verification.status == VerificationStatus::Expired {
                        telemetry::verification_ended(
                            &verification.purpose,
                            verification.status.as_str(),
                        );
                    }
                    service::settle(&app, &verification).await;
                }
                Ok(Applied::Replayed(_) | Applied::NotFound) => {}
                Err(error) => {
                    tracing::warn!(%error, %verification_id, "an end was not written down");
                    app.expiry().insert(app.now() + RETRY, verification_id);
                }
            }
        });
    }
    batch.join_all().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_is_taken_in_order_and_the_rest_says_when() {
        let expiry = Expiry::default();
        for (at, id) in [(30, 3), (10, 1), (20, 2)] {
            expiry.insert(Timestamp(at), VerificationId(id));
        }
        assert_eq!(expiry.take_due(Timestamp(5)), Err(Some(Timestamp(10))));
        let due = expiry.take_due(Timestamp(20)).unwrap();
        assert_eq!(due, [VerificationId(1), VerificationId(2)]);
        assert_eq!(expiry.take_due(Timestamp(20)), Err(Some(Timestamp(30))));
        assert_eq!(expiry.take_due(Timestamp(30)).unwrap(), [VerificationId(3)]);
        assert_eq!(expiry.take_due(Timestamp(99)), Err(None));
    }
}
