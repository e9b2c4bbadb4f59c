//! The code as a text.

use std::fmt;
use std::time::Duration;

use dialplans::E164;
use tracing::Instrument;

use crate::app::{App, Settings};
use crate::channels::dispatch::Way;
use crate::channels::wording::{self, Words};
use crate::channels::{self, CodeWish, PrepareError, Prepared, PreparedAgain, dispatch};
use crate::ids::{MessageId, VerificationId};
use crate::limits::{self, Guesser};
use crate::messages::{self, OutgoingText, TextEnd};
use crate::telemetry;
use crate::verification::machine::Again;
use crate::verification::model::{
    Channel, CodeDigits, Dispatch, DispatchOutcome, Step, Verification,
};
use crate::verification::service::MagicNumber;

/// How long a text waits for a place in the call loop: later the next channel is the better way.
const ROOM_LIMIT: Duration = Duration::from_secs(5);

/// Between two tries to get a place.
const ROOM_RETRY: Duration = Duration::from_millis(200);

/// A text that is ready to be handed on. Never prints.
pub struct Act {
    text: OutgoingText,
    way: Way,
}

impl fmt::Debug for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Act(***)")
    }
}

/// Prepares the first text of a step.
pub fn prepare(
    app: &App,
    settings: &Settings,
    verification: &Verification,
    wish: &CodeWish,
) -> Result<Prepared, PrepareError> {
    let to = verification.number().ok_or(PrepareError::NoTarget)?;
    let code = dispatch::code(app, verification, wish)?;
    let (step, id) = dispatch::step(app, verification, Channel::Sms, code.clone());
    let act = act(settings, verification, to, &code, id)?;
    let guesser = Guesser { account: &verification.account, client: &verification.client };
    let limits = match verification.live {
        true => limits::for_text(&settings.config.limits, &to, guesser),
        false => Vec::new(),
    };
    Ok(Prepared { step, limits, act: channels::Act::Sms(act) })
}

/// Prepares to send the same code once more.
pub fn prepare_again(
    app: &App,
    settings: &Settings,
    verification: &Verification,
    step: &Step,
) -> Result<PreparedAgain, PrepareError> {
    let to = verification.number().ok_or(PrepareError::NoTarget)?;
    let code = step.secret.as_ref().ok_or(PrepareError::NothingToRepeat)?;
    let now = app.now();
    let dispatch = Dispatch::queued(app.message_id(now), now);
    let act = act(settings, verification, to, code, dispatch.dispatch_id)?;
    let limits = match verification.live {
        true => vec![limits::for_send(&settings.config.limits, &to)],
        false => Vec::new(),
    };
    let again = Again::Dispatch(dispatch);
    Ok(PreparedAgain { again, limits, act: channels::Act::Sms(act) })
}

/// Hands on what an earlier process only wrote down.
pub fn resume(app: &App, verification: &Verification, step: &Step, dispatch: &Dispatch) {
    let settings = app.settings();
    let id = dispatch.dispatch_id;
    let act = match (verification.number(), &step.secret) {
        (Some(to), Some(code)) => act(&settings, verification, to, code, id),
        _ => Err(PrepareError::NothingToRepeat),
    };
    match act {
        Ok(act) => act.start(app, verification),
        Err(error) => {
            let (outcome, word) = (DispatchOutcome::Failed, error.word().to_owned());
            let id = verification.verification_id;
            app.tasks().spawn(dispatch::report(
                app.clone(),
                id,
                dispatch.dispatch_id,
                outcome,
                word,
            ));
        }
    }
}

/// The words, and whether a way leads there.
fn act(
    settings: &Settings,
    verification: &Verification,
    to: E164,
    code: &CodeDigits,
    dispatch_id: MessageId,
) -> Result<Act, PrepareError> {
    let words = Words { code, locale: verification.locale.as_deref(), wish: &verification.wording };
    let text = wording::text(settings, &words)?;
    if verification.live {
        messages::route(settings, &to)?;
    }
    let account = settings.account(&verification.account).ok_or(PrepareError::RulesGone)?;
    let sender = account.senders.first().map(|sender| sender.reveal().to_owned());
    let proves = Some(verification.verification_id);
    let text = OutgoingText { message_id: dispatch_id, to, sender, text, proves };
    Ok(Act { text, way: Way::of(verification) })
}

impl Act {
    /// Hands the text on, in a task of its own.
    pub fn start(self, app: &App, verification: &Verification) {
        let id = verification.verification_id;
        let span = telemetry::verification_span(id);
        app.tasks().spawn(run(app.clone(), id, self).instrument(span));
    }

    /// Ends the row of a text that is not handed on, in a task of its own.
    pub fn disown(self, app: &App, verification_id: VerificationId) {
        let (outcome, word) = (DispatchOutcome::Canceled, "store_unavailable".to_owned());
        let id = self.text.message_id;
        app.tasks().spawn(dispatch::report(app.clone(), verification_id, id, outcome, word));
    }
}

async fn run(app: App, verification_id: VerificationId, act: Act) {
    let id = act.text.message_id;
    let (outcome, word) = match hand_on(&app, verification_id, act).await {
        Some(end) => end,
        // It waits for the next start, or nobody waits for it.
        None => return,
    };
    dispatch::report(app, verification_id, id, outcome, word).await;
}

/// `None`: it was not handed on, and there is nothing to report.
async fn hand_on(
    app: &App,
    verification_id: VerificationId,
    act: Act,
) -> Option<(DispatchOutcome, String)> {
    let id = act.text.message_id;
    match act.way {
        Way::Out => {}
        Way::Play => {
            let undelivered = MagicNumber::of(&act.text.to) == MagicNumber::UndeliveredText;
            return dispatch::play(app, verification_id, id, undelivered).await;
        }
        Way::Pretend => {
            let word = messages::taken_word(&app.settings());
            return dispatch::pretend(app, verification_id, id, word).await;
        }
    }
    let deadline = app.now() + ROOM_LIMIT;
    let ready = loop {
        match messages::reserve(app, &act.text) {
            Ok(ready) => break ready,
            // The next start hands it on.
            Err(TextEnd::Later(_)) if app.stop().is_cancelled() => return None,
            Err(TextEnd::Later(_)) if app.now() < deadline => {
                tokio::time::sleep(ROOM_RETRY).await;
            }
            Err(refused) => return Some(of_end(refused)),
        }
    };
    if app.stop().is_cancelled() || !dispatch::is_wanted(app, verification_id, id).await {
        return None;
    }
    Some(of_end(ready.send().await))
}

fn of_end(end: TextEnd) -> (DispatchOutcome, String) {
    match end {
        TextEnd::Sent(word) => (DispatchOutcome::Sent, word),
        TextEnd::Rejected(word) => (DispatchOutcome::Rejected, word),
        // A text that the trunk refused for now did not leave; the next channel is quicker than
        // another try.
        TextEnd::Later(word) => (DispatchOutcome::Failed, word),
        TextEnd::Lost => (DispatchOutcome::Unknown, "no_answer".to_owned()),
    }
}
