//! Makes a verification: prepare, record, act; where a channel cannot be begun, the next one.

use std::time::Duration;

use config::{Purpose, PurposeName};
use dialplans::Plan;

use super::{Accepted, settle};
use crate::accounts::ActingAccount;
use crate::app::{App, Settings};
use crate::channels::{self, CodeWish, PrepareError, flash_call};
use crate::clock::Timestamp;
use crate::directory::Target;
use crate::ids::VerificationId;
use crate::limits::{self, Guesser};
use crate::store::{Create, CreateRefused, Created, Idempotency, LimitReached, StoreError, Who};
use crate::telemetry;
use crate::verification::model::{
    Channel, Client, DEFAULT_AFTER, Planned, Step, StepStatus, StoredTarget, Verification,
    VerificationStatus, Wording,
};

/// How often a plan is made anew because another request showed its tail in the meantime.
const PLAN_LIMIT: usize = 4;

/// What a client wishes, checked in form. Never prints: it may hold a code.
#[derive(Clone)]
pub struct NewVerification {
    /// What is to be proved.
    pub to: Target,
    /// The channels in order; none: the purpose's workflow.
    pub channels: Vec<Planned>,
    /// Which code it carries.
    pub code: CodeWish,
    /// How its texts and mails are worded.
    pub wording: Wording,
    /// Whose rules hold.
    pub purpose: PurposeName,
    /// How long it lives; `None`: as the purpose says.
    pub ttl: Option<Duration>,
    /// A BCP 47 tag.
    pub locale: Option<String>,
    /// The client's own reference.
    pub reference: Option<String>,
    /// The client's own JSON object, as text.
    pub metadata: Option<String>,
    /// Whose it is.
    pub client: Client,
}

/// Why no verification was made. Nothing was stored and nothing sent.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The file has no such purpose.
    #[error("no such purpose")]
    PurposeUnknown,
    /// The account may not use it.
    #[error("the account may not use this purpose")]
    PurposeNotAllowed,
    /// Its channel cannot be begun.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// A limit has no room.
    #[error("a limit has no room")]
    Limit(LimitReached),
    /// Other sessions have open ones for this number and purpose.
    #[error("too many are open")]
    TooManyOpen,
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    OtherRequest,
    /// Every plan showed a tail that another request had just shown.
    #[error("no plan outlived the requests beside it")]
    Contended,
    /// The process is stopping.
    #[error("the process is stopping")]
    Stopping,
    /// The database did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a dry run found.
#[derive(Debug)]
pub struct DryRun {
    /// The plan of the calls; a test key and a channel without calls have none.
    pub plan: Option<Plan>,
    /// How it would go on.
    pub rehearsed: Rehearsed,
}

/// The figures of a verification that was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rehearsed {
    /// The first channel.
    pub channel: Channel,
    /// Digits of the code.
    pub code_length: u8,
    /// How many different codes could be drawn.
    pub code_space: u64,
}

/// Makes a verification and begins its first channel that can be begun.
pub async fn create(
    app: &App,
    account: &ActingAccount,
    wish: NewVerification,
    idempotency: Option<Idempotency<Verification>>,
) -> Result<Accepted<Box<Verification>>, CreateError> {
    let settings = app.settings();
    let purpose = purpose(&settings, account, &wish)?;
    if app.stop().is_cancelled() {
        return Err(CreateError::Stopping);
    }
    let mut verification = verification(app, account, &settings, purpose, &wish)?;
    let mut first_error = None;
    while let Some(planned) = verification.workflow.first().copied() {
        verification.workflow.remove(0);
        let error = match begin(app, &settings, &verification, planned.channel, &wish, &idempotency)
            .await
        {
            Ok(accepted) => return Ok(accepted),
            Err(error) => error,
        };
        // Another channel may do where this one cannot; the record says why it was left out.
        let Some((status, word)) = left_out(&error) else { return Err(error) };
        let n = verification.steps.len() as u8 + 1;
        let bare = Step::bare(n, planned.channel, status, verification.created_at);
        verification.steps.push(Step { detail: Some(word.to_owned()), ..bare });
        first_error.get_or_insert(error);
    }
    Err(first_error.unwrap_or(CreateError::Prepare(PrepareError::NotOffered)))
}

/// Stores the verification with this channel as its first one that goes out, and carries it out.
async fn begin(
    app: &App,
    settings: &Settings,
    verification: &Verification,
    channel: Channel,
    wish: &NewVerification,
    idempotency: &Option<Idempotency<Verification>>,
) -> Result<Accepted<Box<Verification>>, CreateError> {
    let limits = &settings.config.limits;
    let live = verification.live;
    for _ in 0..PLAN_LIMIT {
        let prepared = channels::prepare(app, settings, verification, channel, &wish.code).await?;
        let create = Create {
            verification: with_step(verification, prepared.step),
            max_open: if live { limits.open_verifications } else { u32::MAX },
            // Under a test key the code is always the same, so nothing that was shown counts.
            tails_since: if live { app.now() - limits.same_tail } else { Timestamp::MAX },
            limits: prepared.limits,
            idempotency: idempotency.clone(),
        };
        let id = verification.verification_id;
        let created = match app.store().create_verification(create).await {
            Err(StoreError::OutcomeUnknown) => match read_back(app, id).await {
                Ok(created) => created,
                Err(error) => {
                    prepared.act.disown(app, id);
                    return Err(error);
                }
            },
            created => created?,
        };
        match created {
            Created::Stored { verification, response, superseded } => {
                prepared.act.start(app, &verification);
                started(app, &verification, superseded).await;
                return Ok(Accepted::Done(verification, response));
            }
            Created::Replayed(response) => return Ok(Accepted::Replayed(response)),
            Created::Refused(CreateRefused::TailShown) => {}
            Created::Refused(refused) => return Err(refused.into()),
        }
    }
    Err(CreateError::Contended)
}

/// What the step of a channel is called that could not be begun, when another may do.
fn left_out(error: &CreateError) -> Option<(StepStatus, &'static str)> {
    match error {
        CreateError::Prepare(error) if error.is_of_channel() => {
            Some((error.step_status(), error.word()))
        }
        CreateError::Limit(reached) if limits::is_of_channel(reached) => {
            Some((StepStatus::Rejected, limits::kind(reached).word()))
        }
        CreateError::Contended => Some((StepStatus::Failed, "contended")),
        _ => None,
    }
}

/// Says what [`create`] would do with the first channel, and does none of it.
pub async fn rehearse(
    app: &App,
    account: &ActingAccount,
    wish: &NewVerification,
) -> Result<DryRun, CreateError> {
    let settings = app.settings();
    let purpose = purpose(&settings, account, wish)?;
    let verification = verification(app, account, &settings, purpose, wish)?;
    let channel = verification.workflow.first().map(|planned| planned.channel);
    let channel = channel.ok_or(CreateError::Prepare(PrepareError::NotOffered))?;
    if verification.live && channel == Channel::FlashCall {
        let plan = flash_call::plan(app, &settings, &verification, &wish.code).await?;
        let guesser = Guesser { account: account.name.as_str(), client: &wish.client };
        let to = verification.number().ok_or(CreateError::Prepare(PrepareError::NoTarget))?;
        let limits = limits::for_flash_call(&settings.config.limits, &to, guesser);
        if let Some(reached) = app.store().limit_reached(&limits).await? {
            return Err(CreateError::Limit(reached));
        }
        let length = plan.first.caller_id.code_length();
        let rehearsed = Rehearsed {
            channel,
            code_length: length.digits() as u8,
            code_space: plan.first.endings.unwrap_or(length.space()),
        };
        return Ok(DryRun { plan: Some(plan), rehearsed });
    }
    let prepared = channels::prepare(app, &settings, &verification, channel, &wish.code).await?;
    if let Some(reached) = app.store().limit_reached(&prepared.limits).await? {
        return Err(CreateError::Limit(reached));
    }
    let (code_length, code_space) =
        prepared.step.code.map_or((0, 1), |code| (code.length, code.space));
    let rehearsed = Rehearsed { channel, code_length, code_space };
    Ok(DryRun { plan: None, rehearsed })
}

fn purpose<'a>(
    settings: &'a Settings,
    account: &ActingAccount,
    wish: &NewVerification,
) -> Result<&'a Purpose, CreateError> {
    let purpose = settings.config.purposes.get(&wish.purpose).ok_or(CreateError::PurposeUnknown)?;
    if !account.rules.purposes.contains(&wish.purpose) {
        return Err(CreateError::PurposeNotAllowed);
    }
    Ok(purpose)
}

/// As it begins, without a step.
fn verification(
    app: &App,
    account: &ActingAccount,
    settings: &Settings,
    purpose: &Purpose,
    wish: &NewVerification,
) -> Result<Verification, CreateError> {
    let now = app.now();
    let workflow = match wish.channels.is_empty() {
        true => default_workflow(purpose, &wish.to),
        false => wish.channels.clone(),
    };
    let shows_short_code =
        |planned: &Planned| matches!(planned.channel, Channel::FlashCall | Channel::IncomingCall);
    if wish.purpose.as_str() == config::PASSWORD_RESET && workflow.iter().any(shows_short_code) {
        return Err(CreateError::Prepare(PrepareError::NotOffered));
    }
    let (to, also) = targets(&wish.to, &workflow)?;
    Ok(Verification {
        verification_id: app.verification_id(now),
        account: account.name.to_string(),
        live: account.live,
        version: 1,
        status: VerificationStatus::Pending,
        to,
        also,
        user_id: wish.to.user_id,
        sign_in_id: wish.to.sign_in_id,
        purpose: wish.purpose.to_string(),
        locale: wish.locale.clone(),
        reference: wish.reference.clone(),
        metadata: wish.metadata.clone(),
        client: wish.client.clone(),
        created_at: now,
        expires_at: now + wish.ttl.unwrap_or(purpose.ttl),
        ended_at: None,
        code_length: 0,
        code_space: 1,
        checks_max: purpose.checks,
        checks_used: 0,
        sends_max: purpose.sends,
        sends_used: 1,
        next_send_allowed_at: now + settings.config.limits.between_sends,
        wording: wish.wording.clone(),
        own_code: matches!(wish.code, CodeWish::Digits(_)),
        proved: None,
        workflow,
        next_at: None,
        steps: Vec::new(),
    })
}

/// The purpose's channels that reach the target; a mail where none does.
fn default_workflow(purpose: &Purpose, to: &Target) -> Vec<Planned> {
    let own = purpose.workflow.iter().map(Planned::of_purpose);
    let own: Vec<_> = own.filter(|planned| channels::reaches(planned.channel, to)).collect();
    match own.is_empty() {
        true => vec![Planned { channel: Channel::Email, after: DEFAULT_AFTER }],
        false => own,
    }
}

/// The target that the first channel reaches, and the other one.
fn targets(
    to: &Target,
    workflow: &[Planned],
) -> Result<(StoredTarget, Option<StoredTarget>), CreateError> {
    let number = to.number.map(StoredTarget::from);
    let mailbox = to.mailbox.clone().map(StoredTarget::from);
    let is_mail = |planned: &Planned| planned.channel == Channel::Email;
    let mail_first = workflow.first().is_some_and(is_mail);
    match (number, mailbox) {
        (Some(number), mailbox) if !mail_first || mailbox.is_none() => Ok((number, mailbox)),
        (number, Some(mailbox)) => Ok((mailbox, number)),
        (_, None) => Err(CreateError::Prepare(PrepareError::NoTarget)),
    }
}

fn with_step(verification: &Verification, step: Step) -> Verification {
    let mut verification = verification.clone();
    let n = verification.steps.len() as u8 + 1;
    if let Some(code) = &step.code {
        (verification.code_length, verification.code_space) = (code.length, code.space);
    }
    verification.steps.push(Step { n, ..step });
    verification.plan_next();
    verification
}

/// A commit whose answer is unknown is settled by reading the id back. When that fails too,
/// nothing goes out.
async fn read_back(app: &App, verification_id: VerificationId) -> Result<Created, CreateError> {
    match app.store().verification(&Who::Gateway, verification_id).await {
        Ok(Some(stored)) => {
            let verification = Box::new(stored);
            Ok(Created::Stored { verification, response: None, superseded: None })
        }
        Ok(None) => Err(StoreError::Unavailable.into()),
        Err(error) => Err(error.into()),
    }
}

/// What follows from the commit.
async fn started(app: &App, verification: &Verification, superseded: Option<Box<Verification>>) {
    app.expiry().add(verification);
    telemetry::verification_created(&verification.purpose);
    settle(app, verification).await;
    if let Some(superseded) = superseded {
        settle(app, &superseded).await;
    }
}

impl From<CreateRefused> for CreateError {
    fn from(refused: CreateRefused) -> Self {
        match refused {
            CreateRefused::OtherRequest => Self::OtherRequest,
            CreateRefused::Limit(reached) => Self::Limit(reached),
            CreateRefused::TooManyOpen => Self::TooManyOpen,
            CreateRefused::TailShown => Self::Contended,
        }
    }
}
