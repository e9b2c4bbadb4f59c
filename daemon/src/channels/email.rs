//! The code as a mail.

use std::fmt;

use tracing::Instrument;

use crate::app::{App, Settings};
use crate::channels::wording::{self, Words};
use crate::channels::{self, CodeWish, PrepareError, Prepared, PreparedAgain, dispatch};
use crate::email_address::EmailAddress;
use crate::ids::{MessageId, VerificationId};
use crate::limits::{self, Guesser};
use crate::telemetry;
use crate::verification::machine::Again;
use crate::verification::model::{
    Channel, CodeDigits, Dispatch, DispatchOutcome, Step, Verification,
};

/// A mail that is ready to be handed on. Never prints.
#[derive(Clone)]
pub struct OutgoingMail {
    /// Its id.
    pub message_id: MessageId,
    /// To whom.
    pub to: EmailAddress,
    /// One line, without the code: it is shown on locked screens.
    pub subject: String,
    /// The plain text.
    pub text: String,
}

/// A mail with the way it takes.
pub struct Act {
    mail: OutgoingMail,
}

impl fmt::Debug for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Act(***)")
    }
}

/// Prepares the first mail of a step.
pub fn prepare(
    app: &App,
    settings: &Settings,
    verification: &Verification,
    wish: &CodeWish,
) -> Result<Prepared, PrepareError> {
    let to = verification.mailbox().cloned().ok_or(PrepareError::NoTarget)?;
    let code = dispatch::code(app, verification, wish)?;
    let (step, id) = dispatch::step(app, verification, Channel::Email, code.clone());
    let guesser = Guesser { account: &verification.account, client: &verification.client };
    let limits = match verification.live {
        true => limits::for_mail(&settings.config.limits, &to, guesser),
        false => Vec::new(),
    };
    let act = act(settings, verification, to, &code, id)?;
    Ok(Prepared { step, limits, act: channels::Act::Email(act) })
}

/// Prepares to send the same code once more.
pub fn prepare_again(
    app: &App,
    settings: &Settings,
    verification: &Verification,
    step: &Step,
) -> Result<PreparedAgain, PrepareError> {
    let to = verification.mailbox().cloned().ok_or(PrepareError::NoTarget)?;
    let code = step.secret.as_ref().ok_or(PrepareError::NothingToRepeat)?;
    let now = app.now();
    let dispatch = Dispatch::queued(app.message_id(now), now);
    let limits = match verification.live {
        true => vec![limits::for_mail_send(&settings.config.limits, &to)],
        false => Vec::new(),
    };
    let act = act(settings, verification, to, code, dispatch.dispatch_id)?;
    let again = Again::Dispatch(dispatch);
    Ok(PreparedAgain { again, limits, act: channels::Act::Email(act) })
}

/// Hands on what an earlier process only wrote down.
pub fn resume(app: &App, verification: &Verification, step: &Step, dispatch: &Dispatch) {
    let settings = app.settings();
    let id = dispatch.dispatch_id;
    let act = match (verification.mailbox().cloned(), &step.secret) {
        (Some(to), Some(code)) => act(&settings, verification, to, code, id),
        _ => Err(PrepareError::NothingToRepeat),
    };
    match act {
        Ok(act) => act.start(app, verification),
        Err(error) => {
            let (outcome, word) = (DispatchOutcome::Failed, error.word().to_owned());
            let verification_id = verification.verification_id;
            app.tasks().spawn(dispatch::report(app.clone(), verification_id, id, outcome, word));
        }
    }
}

/// The words. A live mail needs a way out of this gateway, which has none.
fn act(
    settings: &Settings,
    verification: &Verification,
    to: EmailAddress,
    code: &CodeDigits,
    message_id: MessageId,
) -> Result<Act, PrepareError> {
    if verification.live {
        return Err(PrepareError::NotOffered);
    }
    let words = Words { code, locale: verification.locale.as_deref(), wish: &verification.wording };
    let (subject, text) = wording::mail(settings, &words)?;
    Ok(Act { mail: OutgoingMail { message_id, to, subject, text } })
}

impl Act {
    /// Hands the mail on, in a task of its own.
    pub fn start(self, app: &App, verification: &Verification) {
        let id = verification.verification_id;
        let span = telemetry::verification_span(id);
        app.tasks().spawn(run(app.clone(), id, self).instrument(span));
    }

    /// Ends the row of a mail that is not handed on, in a task of its own.
    pub fn disown(self, app: &App, verification_id: VerificationId) {
        let (outcome, word) = (DispatchOutcome::Canceled, "store_unavailable".to_owned());
        let id = self.mail.message_id;
        app.tasks().spawn(dispatch::report(app.clone(), verification_id, id, outcome, word));
    }
}

async fn run(app: App, verification_id: VerificationId, act: Act) {
    let id = act.mail.message_id;
    // Mailboxes of a domain that nobody can have (RFC 2606) do not get it.
    let undelivered = act.mail.to.reveal().ends_with(".invalid");
    if let Some((outcome, word)) = dispatch::play(&app, verification_id, id, undelivered).await {
        dispatch::report(app, verification_id, id, outcome, word).await;
    }
}
