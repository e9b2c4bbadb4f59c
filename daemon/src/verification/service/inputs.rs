//! What clients do to a verification that is there: check, resend, switch, cancel.

use super::{Accepted, CommonRefusal, hang_up, purpose_of, settle};
use crate::accounts::ActingAccount;
use crate::app::{App, Settings};
use crate::channels::{self, CodeWish, PrepareError};
use crate::clock::Timestamp;
use crate::ids::VerificationId;
use crate::limits::{self, Guess, Guesser};
use crate::store::{Applied, Apply, ApplyRefused, Idempotency, Limit, LimitSubject, StoreError};
use crate::verification::machine::{Answer, Input, PresentedCode, Reason, Refusal};
use crate::verification::model::{Channel, Planned, Verification};

/// What is kept of the response to an input.
type Replayable = Idempotency<(Verification, Answer)>;

/// What a check came to.
#[derive(Debug)]
pub struct Checked {
    /// As it is stored.
    pub verification: Box<Verification>,
    /// Whether this very request approved it.
    pub valid: bool,
}

/// Why a code was not looked at.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It has ended.
    #[error("the verification has ended")]
    Ended(Box<Verification>),
    /// Anything that can befall every input.
    #[error(transparent)]
    Common(#[from] CommonRefusal),
}

/// Why nothing was sent, again or over another channel.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// It has ended.
    #[error("the verification has ended")]
    Ended(Box<Verification>),
    /// The machine does not allow it.
    #[error(transparent)]
    Refused(Refusal),
    /// The verification does not have this channel.
    #[error("the channel is not one of this verification")]
    ChannelNotAvailable,
    /// The channel cannot be begun.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The process is stopping.
    #[error("the process is stopping")]
    Stopping,
    /// Anything that can befall every input.
    #[error(transparent)]
    Common(#[from] CommonRefusal),
}

impl From<StoreError> for CheckError {
    fn from(error: StoreError) -> Self {
        Self::Common(error.into())
    }
}

impl From<StoreError> for SendError {
    fn from(error: StoreError) -> Self {
        Self::Common(error.into())
    }
}

/// Presents a code.
pub async fn check(
    app: &App,
    account: &ActingAccount,
    verification_id: VerificationId,
    code: PresentedCode,
    idempotency: Option<Replayable>,
) -> Result<Accepted<Checked>, CheckError> {
    let who = account.who();
    let Some(present) = app.store().verification(&who, verification_id).await? else {
        return Err(CommonRefusal::NotFound.into());
    };
    let apply = Apply {
        verification_id,
        who,
        limits: check_limits(app, &present, &code),
        input: Input::Check(code),
        idempotency,
    };
    match app.store().apply(apply).await? {
        Applied::Accepted { verification, answer, response } => {
            settle(app, &verification).await;
            let valid = matches!(answer, Answer::Checked { valid: true });
            Ok(Accepted::Done(Checked { verification, valid }, response))
        }
        Applied::Replayed(response) => Ok(Accepted::Replayed(response)),
        Applied::NotFound => Err(CommonRefusal::NotFound.into()),
        Applied::Refused { verification, refusal } => {
            settle(app, &verification).await;
            match refusal {
                ApplyRefused::Machine(_) => Err(CheckError::Ended(verification)),
                ApplyRefused::OtherRequest => Err(CommonRefusal::OtherRequest.into()),
                ApplyRefused::Limit(reached) => Err(CommonRefusal::Limit(reached).into()),
            }
        }
    }
}

/// What a wrong code is counted for. Test keys and blanked numbers count for nobody.
fn check_limits(app: &App, verification: &Verification, code: &PresentedCode) -> Vec<Limit> {
    if !verification.live {
        return Vec::new();
    }
    let digits = code.reveal().len();
    let Some((channel, guess)) = guessed_at(verification, app.now(), digits) else {
        return Vec::new();
    };
    let at = match channel {
        Channel::Email => verification.mailbox().cloned().map(LimitSubject::Mailbox),
        Channel::FlashCall | Channel::IncomingCall | Channel::Sms | Channel::Voice => {
            verification.number().map(LimitSubject::Number)
        }
    };
    let guesser = Guesser { account: &verification.account, client: &verification.client };
    limits::for_check(&app.settings().config.limits, at, guess, guesser)
}

/// Which code a guess of so many digits is counted against: the latest long one of just this
/// length, or else the latest short one. Where none can be checked any more, it is the last
/// step's.
fn guessed_at(
    verification: &Verification,
    now: Timestamp,
    digits: usize,
) -> Option<(Channel, Guess)> {
    let checkable = || {
        verification.steps.iter().rev().filter_map(|step| {
            let length = step.checkable_code(now)?.length;
            Some((step.channel, Guess::at(step.channel, length), usize::from(length)))
        })
    };
    let long = checkable().find(|(_, guess, length)| *guess == Guess::Long && *length == digits);
    let short = || checkable().find(|(_, guess, _)| *guess == Guess::Short);
    if let Some((channel, guess, _)) = long.or_else(short) {
        return Some((channel, guess));
    }
    let last = verification.steps.last()?;
    Some((last.channel, Guess::at(last.channel, verification.code_length)))
}

/// Ends a verification by the client's wish; its calls are hung up.
pub async fn cancel(
    app: &App,
    account: &ActingAccount,
    verification_id: VerificationId,
    idempotency: Option<Replayable>,
) -> Result<Accepted<Box<Verification>>, CheckError> {
    let input = Input::Cancel;
    let apply =
        Apply { verification_id, who: account.who(), input, limits: Vec::new(), idempotency };
    match app.store().apply(apply).await? {
        Applied::Accepted { verification, response, .. } => {
            settle(app, &verification).await;
            Ok(Accepted::Done(verification, response))
        }
        Applied::Replayed(response) => Ok(Accepted::Replayed(response)),
        Applied::NotFound => Err(CommonRefusal::NotFound.into()),
        Applied::Refused { verification, refusal } => match refusal {
            ApplyRefused::Machine(_) => Err(CheckError::Ended(verification)),
            ApplyRefused::OtherRequest => Err(CommonRefusal::OtherRequest.into()),
            ApplyRefused::Limit(reached) => Err(CommonRefusal::Limit(reached).into()),
        },
    }
}

/// Sends the present step's code once more.
pub async fn resend(
    app: &App,
    account: &ActingAccount,
    verification_id: VerificationId,
    idempotency: Option<Replayable>,
) -> Result<Accepted<Box<Verification>>, SendError> {
    let present = present(app, account, verification_id).await?;
    let settings = app.settings();
    let prepared = channels::prepare_again(app, &settings, &present).await?;
    let apply = Apply {
        verification_id,
        who: account.who(),
        input: Input::Resend {
            again: prepared.again,
            next_send_allowed_at: app.now() + settings.config.limits.between_sends,
        },
        limits: prepared.limits,
        idempotency,
    };
    send(app, apply, prepared.act).await
}

/// Begins another channel, because the user wants it. The calls of the earlier ones are hung up.
pub async fn switch(
    app: &App,
    account: &ActingAccount,
    verification_id: VerificationId,
    channel: Channel,
    idempotency: Option<Replayable>,
) -> Result<Accepted<Box<Verification>>, SendError> {
    let present = present(app, account, verification_id).await?;
    let settings = app.settings();
    if !may_switch_to(&settings, &present, channel) {
        return Err(SendError::ChannelNotAvailable);
    }
    let wish = CodeWish::of_next_step(&present);
    let prepared = channels::prepare(app, &settings, &present, channel, &wish).await?;
    let apply = Apply {
        verification_id,
        who: account.who(),
        input: Input::NextStep {
            step: Box::new(prepared.step),
            reason: Reason::Chosen,
            next_send_allowed_at: app.now() + settings.config.limits.between_sends,
        },
        limits: prepared.limits,
        idempotency,
    };
    let accepted = send(app, apply, prepared.act).await?;
    if let Accepted::Done(verification, _) = &accepted
        && let [earlier @ .., _present] = verification.steps.as_slice()
    {
        hang_up(app, earlier).await;
    }
    Ok(accepted)
}

/// The channels that the client named, tried or not, and those of the purpose.
fn may_switch_to(settings: &Settings, verification: &Verification, channel: Channel) -> bool {
    let own = verification.steps.iter().map(|step| step.channel);
    let planned = verification.workflow.iter().map(|planned| planned.channel);
    let of_purpose = purpose_of(settings, verification)
        .into_iter()
        .flat_map(|purpose| purpose.workflow.iter().map(|step| Planned::of_purpose(step).channel));
    own.chain(planned).chain(of_purpose).any(|known| known == channel)
}

/// The verification that something is to be sent for.
async fn present(
    app: &App,
    account: &ActingAccount,
    verification_id: VerificationId,
) -> Result<Verification, SendError> {
    if app.stop().is_cancelled() {
        return Err(SendError::Stopping);
    }
    match app.store().verification(&account.who(), verification_id).await? {
        None => Err(CommonRefusal::NotFound.into()),
        Some(verification) if !verification.is_pending() => {
            Err(SendError::Ended(Box::new(verification)))
        }
        Some(verification) => Ok(verification),
    }
}

/// Stores what is to go out, and only then lets it.
async fn send(
    app: &App,
    apply: Apply,
    act: channels::Act,
) -> Result<Accepted<Box<Verification>>, SendError> {
    let verification_id = apply.verification_id;
    let applied = match app.store().apply(apply).await {
        Ok(applied) => applied,
        Err(error) => {
            if error == StoreError::OutcomeUnknown {
                act.disown(app, verification_id);
            }
            return Err(error.into());
        }
    };
    match applied {
        Applied::Accepted { verification, response, .. } => {
            act.start(app, &verification);
            settle(app, &verification).await;
            Ok(Accepted::Done(verification, response))
        }
        Applied::Replayed(response) => Ok(Accepted::Replayed(response)),
        Applied::NotFound => Err(CommonRefusal::NotFound.into()),
        Applied::Refused { verification, refusal } => match refusal {
            ApplyRefused::Machine(Refusal::Ended { .. }) => Err(SendError::Ended(verification)),
            ApplyRefused::Machine(refusal) => Err(SendError::Refused(refusal)),
            ApplyRefused::OtherRequest => Err(CommonRefusal::OtherRequest.into()),
            ApplyRefused::Limit(reached) => Err(CommonRefusal::Limit(reached).into()),
        },
    }
}
