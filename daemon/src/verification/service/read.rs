//! Reads one verification, at once or when it changes.

use std::time::Duration;

use crate::app::App;
use crate::ids::VerificationId;
use crate::store::{StoreError, Who};
use crate::verification::model::{Verification, VerificationStatus};

/// How long a reader waits for which version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// At most this long.
    pub limit: Duration,
    /// Until the version is above this one; `None`: above the version at arrival.
    pub after: Option<u32>,
}

/// One verification; `None`: not there or not for `who`.
pub async fn get(
    app: &App,
    who: &Who,
    verification_id: VerificationId,
) -> Result<Option<Verification>, StoreError> {
    app.store().verification(who, verification_id).await
}

/// The same, but answers at once only when it has ended or its version is above what the reader
/// knows; else at the next change, after the limit, or when the process stops.
pub async fn wait(
    app: &App,
    who: &Who,
    verification_id: VerificationId,
    wait: Wait,
) -> Result<Option<Verification>, StoreError> {
    // Subscribed before it is read, so that no change falls between the two.
    let mut versions = app.store().watch(verification_id);
    let limit = tokio::time::sleep(wait.limit);
    tokio::pin!(limit);
    let mut known = wait.after;
    loop {
        let Some(verification) = app.store().verification(who, verification_id).await? else {
            return Ok(None);
        };
        let known = *known.get_or_insert(verification.version);
        if verification.version > known || verification.status != VerificationStatus::Pending {
            return Ok(Some(verification));
        }
        tokio::select! {
            () = versions.above(verification.version) => {}
            () = &mut limit => return Ok(Some(verification)),
            () = app.stop().cancelled() => return Ok(Some(verification)),
        }
    }
}
