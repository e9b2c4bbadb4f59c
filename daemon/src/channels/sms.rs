//! The code as a text.

use std::fmt;
use std::time::Duration;

use dialplans::E164;
use tracing::Instrument;

use crate::app::{App, Settings};
use crate::channels::dispatch::Way;
use crate::channels::wording::{self, Words};
use crate::channels::{self, CodeWish, PrepareError, Prepared, PreparedAgain, dispatch, email};
use crate::ids::{MessageId, VerificationId};
use crate::limits::{self, Guesser};
use crate::messages::{self, OutgoingText, TextEnd, redirects};
use crate::store::{Redirect, RedirectMode, Who};
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

/// A text that is ready to be handed on, or the mail of its redirect, or both. Never prints.
pub struct Act {
    text: Option<OutgoingText>,
    mail: Option<email::Act>,
    way: Way,
}

impl fmt::Debug for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Act(***)")
    }
}

/// Prepares the first text of a step.
pub async fn prepare(
    app: &App,
    settings: &Settings,
    verification: &Verification,
    wish: &CodeWish,
) -> Result<Prepared, PrepareError> {
    let to = verification.number().ok_or(PrepareError::NoTarget)?;
    let redirect = redirect(app, verification, &to).await?;
    let code = dispatch::code(app, verification, wish)?;
    let (mut step, id) = dispatch::step(app, verification, Channel::Sms, code.clone());
    step.dispatches = dispatches(app, id, redirect.as_ref());
    let act = acts(settings, verification, to, &code, &step.dispatches, redirect.as_ref())?;
    let guesser = Guesser { account: &verification.account, client: &verification.client };
    let limits = match verification.live {
        true => limits::for_text(&settings.config.limits, &to, guesser),
        false => Vec::new(),
    };
    Ok(Prepared { step, limits, act: channels::Act::Sms(act) })
}

/// Prepares to send the same code once more.
pub async fn prepare_again(
    app: &App,
    settings: &Settings,
    verification: &Verification,
    step: &Step,
) -> Result<PreparedAgain, PrepareError> {
    let to = verification.number().ok_or(PrepareError::NoTarget)?;
    let code = step.secret.as_ref().ok_or(PrepareError::NothingToRepeat)?;
    let redirect = redirect(app, verification, &to).await?;
    let dispatches = dispatches(app, app.message_id(app.now()), redirect.as_ref());
    let act = acts(settings, verification, to, code, &dispatches, redirect.as_ref())?;
    let limits = match verification.live {
        true => vec![limits::for_send(&settings.config.limits, &to)],
        false => Vec::new(),
    };
    let again = Again::Dispatches(dispatches);
    Ok(PreparedAgain { again, limits, act: channels::Act::Sms(act) })
}

/// The redirect that holds for the codes of a verification.
async fn redirect(
    app: &App,
    verification: &Verification,
    to: &E164,
) -> Result<Option<Redirect>, PrepareError> {
    if !redirects::may_redirect(&verification.purpose) {
        return Ok(None);
    }
    let account = verification.account.clone();
    let who = Who::Account { account, live: verification.live };
    // What is nobody's leads nowhere, after the same work.
    Ok(redirects::find(app, &who, to).await?.filter(|_| !verification.is_decoy()))
}

/// The evidence of what goes out: the text, the mail instead of it, or both.
fn dispatches(app: &App, id: MessageId, redirect: Option<&Redirect>) -> Vec<Dispatch> {
    let now = app.now();
    let text = Dispatch::queued(id, now);
    let mail = |id, redirect: &Redirect| Dispatch {
        redirect: Some(redirect.redirect_id),
        ..Dispatch::queued(id, now)
    };
    match redirect {
        None => vec![text],
        Some(redirect) => match redirect.mode {
            RedirectMode::Instead => vec![mail(id, redirect)],
            RedirectMode::Also => vec![text, mail(app.message_id(now), redirect)],
        },
    }
}

/// What carries this evidence out.
fn acts(
    settings: &Settings,
    verification: &Verification,
    to: E164,
    code: &CodeDigits,
    dispatches: &[Dispatch],
    redirect: Option<&Redirect>,
) -> Result<Act, PrepareError> {
    let mut act = Act { text: None, mail: None, way: Way::of(verification) };
    for dispatch in dispatches {
        let id = dispatch.dispatch_id;
        match redirect.filter(|redirect| dispatch.redirect == Some(redirect.redirect_id)) {
            Some(redirect) => {
                let mailbox = redirect.email.clone();
                act.mail = Some(email::act(settings, verification, mailbox, code, id)?);
            }
            None => act.text = Some(text(settings, verification, to, code, id)?),
        }
    }
    Ok(act)
}

/// Hands on what an earlier process only wrote down.
pub fn resume(app: &App, verification: &Verification, step: &Step, dispatch: &Dispatch) {
    let (app, verification) = (app.clone(), verification.clone());
    let (code, dispatch) = (step.secret.clone(), dispatch.clone());
    app.clone().spawn(async move {
        match act_again(&app, &verification, code, &dispatch).await {
            Ok(act) => act.start(&app, &verification),
            Err(error) => {
                let (outcome, word) = (DispatchOutcome::Failed, error.word().to_owned());
                let id = verification.verification_id;
                dispatch::report(app, id, dispatch.dispatch_id, outcome, word).await;
            }
        }
    });
}

/// The act of evidence that an earlier process wrote down. A redirect that is gone since leaves
/// nowhere to send it: the phone was not meant to get it.
async fn act_again(
    app: &App,
    verification: &Verification,
    code: Option<CodeDigits>,
    dispatch: &Dispatch,
) -> Result<Act, PrepareError> {
    let settings = app.settings();
    let code = code.ok_or(PrepareError::NothingToRepeat)?;
    let to = verification.number().ok_or(PrepareError::NoTarget)?;
    let redirect = match dispatch.redirect {
        None => None,
        Some(id) => Some(app.store().redirect(id).await?.ok_or(PrepareError::NoTarget)?),
    };
    let dispatches = std::slice::from_ref(dispatch);
    acts(&settings, verification, to, &code, dispatches, redirect.as_ref())
}

/// The words, and whether a way leads there.
fn text(
    settings: &Settings,
    verification: &Verification,
    to: E164,
    code: &CodeDigits,
    dispatch_id: MessageId,
) -> Result<OutgoingText, PrepareError> {
    let words = Words { code, locale: verification.locale.as_deref(), wish: &verification.wording };
    let text = wording::text(settings, &words)?;
    if verification.live {
        messages::route(settings, &to)?;
    }
    let account = settings.account(&verification.account).ok_or(PrepareError::RulesGone)?;
    let sender = account.senders.first().map(|sender| sender.reveal().to_owned());
    let proves = Some(verification.verification_id);
    Ok(OutgoingText { message_id: dispatch_id, to, sender, text, proves })
}

impl Act {
    /// Hands it on, in tasks of its own.
    pub fn start(self, app: &App, verification: &Verification) {
        let id = verification.verification_id;
        if let Some(mail) = self.mail {
            mail.start(app, verification);
        }
        if let Some(text) = self.text {
            let span = telemetry::verification_span(id);
            app.spawn(run(app.clone(), id, text, self.way).instrument(span));
        }
    }

    /// Ends the rows of what is not handed on, in tasks of its own.
    pub fn disown(self, app: &App, verification_id: VerificationId) {
        let (outcome, word) = (DispatchOutcome::Canceled, "store_unavailable".to_owned());
        if let Some(mail) = self.mail {
            mail.disown(app, verification_id);
        }
        if let Some(OutgoingText { message_id, .. }) = self.text {
            let report = dispatch::report(app.clone(), verification_id, message_id, outcome, word);
            app.spawn(report);
        }
    }
}

async fn run(app: App, verification_id: VerificationId, text: OutgoingText, way: Way) {
    let id = text.message_id;
    let (outcome, word) = match hand_on(&app, verification_id, text, way).await {
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
    text: OutgoingText,
    way: Way,
) -> Option<(DispatchOutcome, String)> {
    let id = text.message_id;
    match way {
        Way::Out => {}
        Way::Play => {
            let undelivered = MagicNumber::of(&text.to) == MagicNumber::UndeliveredText;
            return dispatch::play(app, verification_id, id, undelivered).await;
        }
        Way::Pretend => {
            let word = messages::taken_word(&app.settings());
            return dispatch::pretend(app, verification_id, id, word).await;
        }
    }
    let deadline = app.now() + ROOM_LIMIT;
    let ready = loop {
        match messages::reserve(app, &text) {
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
