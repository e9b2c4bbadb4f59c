//! Ends verifications whose time has run out.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::app::App;
use crate::ids::VerificationId;
use crate::store::{Applied, Apply};
use crate::telemetry;
use crate::verification::machine::Input;
use crate::verification::model::{Verification, VerificationStatus};
use crate::verification::service;
use crate::verification::timetable::Timetable;

/// How long to wait before a verification is tried again that the store did not take.
const RETRY: Duration = Duration::from_secs(1);

/// When open verifications end. The store's `expires_at` is the truth: a check that comes late
/// is refused by the machine whether or not this ran.
#[derive(Debug, Default)]
pub struct Expiry(Timetable);

impl Expiry {
    /// Ends it when its time has come.
    pub fn add(&self, verification: &Verification) {
        if verification.status == VerificationStatus::Pending {
            self.0.insert(verification.expires_at, verification.verification_id);
        }
    }

    /// It has ended. True for the first who says so.
    pub fn remove(&self, verification: &Verification) -> bool {
        self.0.remove(verification.expires_at, verification.verification_id)
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.0.count()
    }
}

/// Runs until the stop.
pub async fn run(app: App) {
    while let Some(due) = app.expiry().0.due(&app).await {
        expire(&app, due).await;
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
                    app.expiry().0.insert(app.now() + RETRY, verification_id);
                }
            }
        });
    }
    batch.join_all().await;
}
