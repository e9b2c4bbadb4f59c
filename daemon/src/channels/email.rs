//! The code as a mail.

use std::fmt;
use std::time::{Duration, SystemTime};

use tracing::Instrument;

use crate::app::{App, Settings};
use crate::channels::dispatch::Way;
use crate::channels::wording::{self, Words};
use crate::channels::{self, CodeWish, PrepareError, Prepared, PreparedAgain, dispatch};
use crate::clock::Timestamp;
use crate::email_address::EmailAddress;
use crate::ids::{MessageId, VerificationId};
use crate::limits::{self, Guesser};
use crate::mail::{ComposeError, Composed, Letter, MailEnd, Mailer, Refusal};
use crate::telemetry;
use crate::verification::machine::Again;
use crate::verification::model::{
    Channel, CodeDigits, Dispatch, DispatchOutcome, Step, Verification,
};

/// Between two offers of one mail, while its server is away or wants it later.
const PAUSES: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(20),
];
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// What a server says that takes a mail.
const TAKEN: &str = "smtp_250";

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
    /// Shown large.
    code: CodeDigits,
    way: Way,
    /// Nobody needs it later.
    until: Timestamp,
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
    let again = Again::Dispatches(vec![dispatch]);
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
            app.spawn(dispatch::report(app.clone(), verification_id, id, outcome, word));
        }
    }
}

/// The words, and whether there is a way out of this gateway.
pub(super) fn act(
    settings: &Settings,
    verification: &Verification,
    to: EmailAddress,
    code: &CodeDigits,
    message_id: MessageId,
) -> Result<Act, PrepareError> {
    if verification.live && settings.config.email.is_none() {
        return Err(PrepareError::NotOffered);
    }
    let words = Words { code, locale: verification.locale.as_deref(), wish: &verification.wording };
    let (subject, text) = wording::mail(settings, &words)?;
    let mail = OutgoingMail { message_id, to, subject, text };
    let (code, until) = (code.clone(), verification.expires_at);
    Ok(Act { mail, code, way: Way::of(verification), until })
}

impl Act {
    /// Hands the mail on, in a task of its own.
    pub fn start(self, app: &App, verification: &Verification) {
        let id = verification.verification_id;
        let span = telemetry::verification_span(id);
        app.spawn(run(app.clone(), id, self).instrument(span));
    }

    /// Ends the row of a mail that is not handed on, in a task of its own.
    pub fn disown(self, app: &App, verification_id: VerificationId) {
        let (outcome, word) = (DispatchOutcome::Canceled, "store_unavailable".to_owned());
        let id = self.mail.message_id;
        app.spawn(dispatch::report(app.clone(), verification_id, id, outcome, word));
    }
}

async fn run(app: App, verification_id: VerificationId, act: Act) {
    let id = act.mail.message_id;
    // Mailboxes of a domain that nobody can have (RFC 2606) do not get it.
    let undelivered = act.mail.to.reveal().ends_with(".invalid");
    let end = match act.way {
        Way::Out => hand_on(&app, verification_id, &act).await,
        Way::Play => dispatch::play(&app, verification_id, id, undelivered).await,
        Way::Pretend => dispatch::pretend(&app, verification_id, id, TAKEN).await,
    };
    if let Some((outcome, word)) = end {
        dispatch::report(app, verification_id, id, outcome, word).await;
    }
}

/// Offers the mail until the server takes it or refuses it for good, or nobody needs it. Its
/// departure is written down when the server has asked for the content, so that whatever breaks
/// before is tried again, also by the next process, and what breaks after it never is.
/// `None`: it was not handed on, and there is nothing to report.
async fn hand_on(
    app: &App,
    verification_id: VerificationId,
    act: &Act,
) -> Option<(DispatchOutcome, String)> {
    let failed = |word: &str| Some((DispatchOutcome::Failed, word.to_owned()));
    let Some(mailer) = app.mailer() else { return failed("not_offered") };
    let (mut pauses, mut is_written, mut is_delayed) = (PAUSES.into_iter(), false, false);
    loop {
        let Ok(letter) = compose(app, mailer, act) else { return failed("no_wording") };
        let word = match mailer.offer(letter).await {
            Err(Refusal::Rejected(word)) => return Some((DispatchOutcome::Rejected, word)),
            Err(Refusal::Later(word)) => word,
            Ok(offered) => {
                let id = act.mail.message_id;
                is_written = is_written || dispatch::is_wanted(app, verification_id, id).await;
                if !is_written {
                    return None;
                }
                match offered.send().await {
                    MailEnd::Sent(word) => return Some((DispatchOutcome::Sent, word)),
                    MailEnd::Rejected(word) => return Some((DispatchOutcome::Rejected, word)),
                    MailEnd::Lost => {
                        return Some((DispatchOutcome::Unknown, "no_answer".to_owned()));
                    }
                    // The server says that it does not have it.
                    MailEnd::Later(word) => word,
                }
            }
        };
        let pause = pauses.next().unwrap_or(LAST_PAUSE);
        if app.now() + pause >= act.until {
            return failed(&word);
        }
        match is_delayed {
            false => tracing::warn!(word, retry_in = ?pause, "a mail was not taken yet"),
            true => tracing::debug!(word, retry_in = ?pause, "a mail was not taken yet, again"),
        }
        is_delayed = true;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            // What was only queued waits for the next start.
            () = app.stop().cancelled() => return if is_written { failed(&word) } else { None },
        }
    }
}

fn compose(app: &App, mailer: &Mailer, act: &Act) -> Result<Composed, ComposeError> {
    let letter = Letter {
        to: act.mail.to.reveal(),
        subject: &act.mail.subject,
        text: &act.mail.text,
        emphasis: Some(act.code.reveal()),
        id: &act.mail.message_id.to_string(),
        date: SystemTime::UNIX_EPOCH + app.now().since(Timestamp(0)),
    };
    Composed::new(mailer.sender(), &letter)
}
