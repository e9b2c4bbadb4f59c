//! What texts and mails with codes have in common: the code, the step, and a departure that is
//! written down before it happens.

use crate::app::App;
use crate::channels::{CodeWish, PrepareError, flash_call};
use crate::ids::{MessageId, VerificationId};
use crate::store::{Applied, Apply, ApplyRefused, StoreError, WRITE_RETRY};
use crate::verification::machine::{Input, Refusal};
use crate::verification::model::{
    Channel, CodeDigits, Dispatch, DispatchOutcome, Step, StepCode, StepStatus, Verification,
};
use crate::verification::service;

/// The code under a test key.
const TEST_CODE: &str = "000000";

/// Who carries a text or mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The server or trunk of the file.
    Out,
    /// Nobody: under a test key it is played.
    Play,
    /// Nobody: the verification is nobody's and must look like any other.
    Pretend,
}

impl Way {
    pub(super) fn of(verification: &Verification) -> Self {
        match verification.live {
            true if verification.is_decoy() => Self::Pretend,
            true => Self::Out,
            false => Self::Play,
        }
    }
}

/// The code that is written or said: the client's own, one that is drawn, zeros under a test key.
pub(super) fn code(
    app: &App,
    verification: &Verification,
    wish: &CodeWish,
) -> Result<CodeDigits, PrepareError> {
    match wish {
        CodeWish::Tail(_) => Err(PrepareError::OwnCode),
        CodeWish::Digits(digits) => Ok(digits.clone()),
        CodeWish::Drawn if verification.live => Ok(app.with_plans_rng(CodeDigits::draw)),
        CodeWish::Drawn => Ok(CodeDigits::parse(TEST_CODE).expect("six digits are a code")),
    }
}

/// A step that writes this code, with its first text or mail, which has this id.
pub(super) fn step(
    app: &App,
    verification: &Verification,
    channel: Channel,
    code: CodeDigits,
) -> (Step, MessageId) {
    let now = app.now();
    let dispatch = Dispatch::queued(app.message_id(now), now);
    let id = dispatch.dispatch_id;
    let step = Step {
        code: Some(StepCode::of_digits(app.keys(), verification.verification_id, &code)),
        secret: Some(code),
        dispatches: vec![dispatch],
        ..Step::bare(1, channel, StepStatus::Queued, now)
    };
    (step, id)
}

/// Writes down that a text or mail is about to leave. False: nobody waits for it any more.
pub(super) async fn is_wanted(
    app: &App,
    verification_id: VerificationId,
    dispatch_id: MessageId,
) -> bool {
    let mut may_be_written = false;
    loop {
        let input = Input::Sending { dispatch_id };
        match app.store().apply(Apply::internal(verification_id, input)).await {
            Ok(Applied::Accepted { .. }) => return true,
            // Only this task sends this one, so the row can be nobody else's.
            Ok(Applied::Refused {
                refusal: ApplyRefused::Machine(Refusal::NotRepeatable), ..
            }) => return may_be_written,
            Ok(Applied::Refused { .. } | Applied::NotFound | Applied::Replayed(_))
            | Err(StoreError::Closed) => return false,
            Err(error) => {
                tracing::warn!(%error, "a departure was not written down");
                may_be_written |= error == StoreError::OutcomeUnknown;
                tokio::time::sleep(WRITE_RETRY).await;
            }
        }
    }
}

/// Under a test key: nothing leaves. `None`: nobody waits for it any more.
pub(super) async fn play(
    app: &App,
    verification_id: VerificationId,
    dispatch_id: MessageId,
    undelivered: bool,
) -> Option<(DispatchOutcome, String)> {
    if !is_wanted(app, verification_id, dispatch_id).await {
        return None;
    }
    tokio::time::sleep(service::PLAY).await;
    Some(match undelivered {
        true => (DispatchOutcome::Failed, "undelivered".to_owned()),
        false => (DispatchOutcome::Delivered, "test".to_owned()),
    })
}

/// For nobody: nothing leaves, and it looks as if it had. `None`: nobody waits for it any more.
pub(super) async fn pretend(
    app: &App,
    verification_id: VerificationId,
    dispatch_id: MessageId,
    word: &str,
) -> Option<(DispatchOutcome, String)> {
    if !is_wanted(app, verification_id, dispatch_id).await {
        return None;
    }
    tokio::time::sleep(service::PLAY).await;
    Some((DispatchOutcome::Sent, word.to_owned()))
}

/// A text or mail that may have left when the process died: it is never sent again.
pub(super) fn give_up(app: &App, verification_id: VerificationId, dispatch_id: MessageId) {
    let word = "interrupted".to_owned();
    let outcome = DispatchOutcome::Unknown;
    app.spawn(report(app.clone(), verification_id, dispatch_id, outcome, word));
}

/// Writes down what became of a text or mail, and what follows from that.
pub(super) async fn report(
    app: App,
    verification_id: VerificationId,
    dispatch_id: MessageId,
    outcome: DispatchOutcome,
    detail: String,
) {
    let input = Input::Dispatched { dispatch_id, outcome, detail };
    if let Some(verification) = flash_call::write(&app, verification_id, input).await {
        service::settle(&app, &verification).await;
    }
}
