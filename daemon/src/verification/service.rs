//! The use cases: create, check, resend, switch, cancel, read.
//!
//! Evidence before action: a place in the call loop is reserved, the rows are committed, and
//! only then the call is placed. Callers run these in tracked tasks of their own, so that a
//! client that hangs up ends nothing but its wait.

mod create;
mod inputs;
mod placement;
mod read;
mod sandbox;

use config::{Purpose, PurposeName};

use crate::app::{App, Settings};
use crate::store::{LimitReached, StoreError, StoredResponse};
use crate::telemetry;
use crate::verification::model::{CallState, Step, Verification, VerificationStatus};

pub use create::{CreateError, DryRun, NewVerification, Rehearsed, create, rehearse};
pub use inputs::{CheckError, Checked, SendError, cancel, check, resend, switch};
pub use placement::{Place, Placement, PlacementError, placement};
pub use read::{Wait, get, wait};
pub use sandbox::{MagicNumber, PLAY, Pace};
pub(crate) use sandbox::{placement as sandbox_placement, play};

/// What a request that was accepted answers.
#[derive(Debug)]
pub enum Accepted<T> {
    /// It was done; with an idempotency key the response was rendered before the commit.
    Done(T, Option<StoredResponse>),
    /// It was done before.
    Replayed(StoredResponse),
}

/// Why an idempotent request on an existing verification was refused, whatever it asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommonRefusal {
    /// There is none with this id, or it belongs to another account.
    #[error("no such verification")]
    NotFound,
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    OtherRequest,
    /// A limit has no room.
    #[error("a limit has no room")]
    Limit(LimitReached),
    /// The database did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What follows from a stored state: the next channel is noted for its time; the calls of a
/// verification that has ended are hung up, and its timer goes.
pub async fn settle(app: &App, verification: &Verification) {
    if verification.status == VerificationStatus::Pending {
        if let Some((_, at)) = verification.next() {
            app.moves().insert(at, verification.verification_id);
        }
        return;
    }
    if app.expiry().remove(verification) {
        telemetry::verification_ended(&verification.purpose, verification.status.as_str());
    }
    if !verification.live {
        return;
    }
    hang_up(app, &verification.steps).await;
}

/// Ends the calls of these steps that are up.
async fn hang_up(app: &App, steps: &[Step]) {
    for call in steps.iter().flat_map(|step| &step.calls) {
        match call.state {
            CallState::Up { .. } => {
                app.played().hang_up(call.call_id);
                app.driver().hang_up(call.call_id).await;
            }
            CallState::Ended(_) => {}
        }
    }
}

/// The rules of the purpose that a verification was made for; those of `sign_in` when the file
/// lost it since.
pub(crate) fn purpose_of<'a>(
    settings: &'a Settings,
    verification: &Verification,
) -> Option<&'a Purpose> {
    let purposes = &settings.config.purposes;
    let own = PurposeName::parse(&verification.purpose).ok();
    own.and_then(|name| purposes.get(&name)).or_else(|| purposes.get(&PurposeName::sign_in()))
}
