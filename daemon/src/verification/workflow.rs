//! Goes on with the next channel when its time has come. What is due stands in the store, so a
//! restart goes on where the last process stopped.

use std::time::Duration;

use crate::app::App;
use crate::channels::{self, CodeWish, PrepareError};
use crate::ids::VerificationId;
use crate::limits;
use crate::store::{Applied, Apply, ApplyRefused, StoreError, Who};
use crate::verification::machine::{Input, Reason};
use crate::verification::model::{Channel, StepStatus, Verification};
use crate::verification::service;

/// How long to wait before a channel is tried again that could not be begun for want of room.
const RETRY: Duration = Duration::from_secs(1);

/// Runs until the stop.
pub async fn run(app: App) {
    while let Some(due) = app.moves().due(&app).await {
        for verification_id in due {
            let app = app.clone();
            app.clone().spawn(async move { advance(&app, verification_id).await });
        }
    }
}

/// What became of a move.
enum Moved {
    /// The store has it, or it is not due any more.
    Done,
    /// Nothing could be begun or stored: again in a moment.
    Later,
}

async fn advance(app: &App, verification_id: VerificationId) {
    let moved = match app.store().verification(&Who::Gateway, verification_id).await {
        Ok(Some(verification)) => begin_next(app, &verification).await,
        Ok(None) | Err(StoreError::Closed) => Moved::Done,
        Err(_logged_where_it_was_met) => Moved::Later,
    };
    match moved {
        Moved::Done => {}
        Moved::Later => app.moves().insert(app.now() + RETRY, verification_id),
    }
}

async fn begin_next(app: &App, verification: &Verification) -> Moved {
    let Some((channel, at)) = verification.next().filter(|_| verification.is_pending()) else {
        return Moved::Done;
    };
    let now = app.now();
    if at > now {
        app.moves().insert(at, verification.verification_id);
        return Moved::Done;
    }
    // The next start goes on with it.
    if app.stop().is_cancelled() {
        return Moved::Done;
    }
    let settings = app.settings();
    let wish = CodeWish::of_next_step(verification);
    let prepared = match channels::prepare(app, &settings, verification, channel, &wish).await {
        Ok(prepared) => prepared,
        Err(PrepareError::Store(_) | PrepareError::Driver(_)) => return Moved::Later,
        Err(error) => {
            tracing::info!(%error, channel = channel.as_str(), "a channel was left out");
            return skip(app, verification, channel, error.step_status(), error.word()).await;
        }
    };
    let input = Input::NextStep {
        step: Box::new(prepared.step),
        reason: Reason::Due,
        next_send_allowed_at: now + settings.config.limits.between_sends,
    };
    // Nothing was shown before, or a minute has passed: the distance of resends does not count.
    let limits = limits::without_distance(prepared.limits, &settings.config.limits);
    let apply = Apply { limits, ..Apply::internal(verification.verification_id, input) };
    match app.store().apply(apply).await {
        Ok(Applied::Accepted { verification, .. }) => {
            prepared.act.start(app, &verification);
            service::settle(app, &verification).await;
            Moved::Done
        }
        Ok(Applied::Refused { refusal: ApplyRefused::Limit(reached), .. }) => {
            let word = limits::kind(&reached).word();
            skip(app, verification, channel, StepStatus::Rejected, word).await
        }
        // It has ended or gone on by another hand.
        Ok(Applied::Refused { .. } | Applied::NotFound | Applied::Replayed(_)) => Moved::Done,
        Err(StoreError::OutcomeUnknown) => {
            prepared.act.disown(app, verification.verification_id);
            Moved::Later
        }
        Err(StoreError::Closed) => Moved::Done,
        Err(_logged_where_it_was_met) => Moved::Later,
    }
}

async fn skip(
    app: &App,
    verification: &Verification,
    channel: Channel,
    status: StepStatus,
    word: &str,
) -> Moved {
    let input = Input::Skipped { channel, status, detail: word.to_owned() };
    match app.store().apply(Apply::internal(verification.verification_id, input)).await {
        Ok(Applied::Accepted { verification, .. }) => {
            service::settle(app, &verification).await;
            Moved::Done
        }
        Ok(Applied::Refused { .. } | Applied::NotFound | Applied::Replayed(_))
        | Err(StoreError::Closed) => Moved::Done,
        Err(_logged_where_it_was_met) => Moved::Later,
    }
}
