//! Channels: how a step of a verification is prepared, and how it is carried out.
//!
//! Every channel has a file with the same two halves. *Prepare* decides without touching the
//! world: the plan, the code, the rows that are the evidence, the limits that count, and a place
//! where one is needed. Then the caller commits the step, and only then *act* carries it out in
//! a task of its own and reports what became of it as inputs of the machine.

mod dispatch;
pub mod email;
pub mod flash_call;
pub mod incoming_call;
pub mod sms;
pub mod voice;
pub mod wording;

use dialplans::{DialError, PlanError, Tail};
use sip::UserPartError;

use crate::app::{App, Settings};
use crate::directory::Target;
use crate::ids::VerificationId;
use crate::media::NoFreePort;
use crate::messages::RouteError;
use crate::store::{Limit, StoreError};
use crate::ua_driver::DriverBusy;
use crate::verification::machine::Again;
use crate::verification::model::{
    Channel, CodeDigits, DispatchState, Step, StepStatus, Verification,
};
use crate::verification::service::PlacementError;

/// Which code a channel shows. Never prints.
#[derive(Clone)]
pub enum CodeWish {
    /// One that is drawn.
    Drawn,
    /// A caller ID with this tail: only a flash call can.
    Tail(Tail),
    /// These digits: only channels that write or speak can.
    Digits(CodeDigits),
}

impl CodeWish {
    /// A code that the client gave is carried by every channel.
    pub fn of_next_step(verification: &Verification) -> Self {
        let given = verification.steps.iter().rev().find_map(|step| step.secret.clone());
        match given.filter(|_| verification.own_code) {
            Some(digits) => Self::Digits(digits),
            None => Self::Drawn,
        }
    }
}

/// A step that is ready to be written down and then carried out.
#[derive(Debug)]
pub struct Prepared {
    /// With its code and what goes out first; its `n` is set where it is added.
    pub step: Step,
    /// What must find room, and is counted.
    pub limits: Vec<Limit>,
    /// To be started after the commit.
    pub act: Act,
}

/// The present step's code once more, ready to be written down and then carried out.
#[derive(Debug)]
pub struct PreparedAgain {
    /// What is added to the step.
    pub again: Again,
    /// What must find room, and is counted.
    pub limits: Vec<Limit>,
    /// To be started after the commit.
    pub act: Act,
}

/// What is done once the evidence is committed.
#[derive(Debug)]
pub enum Act {
    /// Places a call.
    Call(Box<flash_call::Act>),
    /// Hands a text on.
    Sms(sms::Act),
    /// Hands a mail on.
    Email(email::Act),
    /// Waits for the user's call.
    IncomingCall(incoming_call::Act),
}

/// Why a channel cannot be begun. Nothing was stored and nothing sent.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// This gateway has no way to carry it.
    #[error("the channel is not offered")]
    NotOffered,
    /// It cannot show the code that the client gave.
    #[error("the channel cannot show a given code")]
    OwnCode,
    /// The verification has no target that this channel reaches.
    #[error("there is no target for this channel")]
    NoTarget,
    /// Each number that could be called is awaited by another verification of this target.
    #[error("every number is awaited already")]
    NumbersTaken,
    /// The file lost the account or purpose since.
    #[error("the account or the purpose is not in the file any more")]
    RulesGone,
    /// The network said lately that nobody has this number.
    #[error("the network said that the number does not exist")]
    Unallocated,
    /// There is no plan for a call.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The plan cannot become a call.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// No way leads a text there.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// The words cannot be made.
    #[error(transparent)]
    Wording(#[from] wording::WordingError),
    /// No port is left to speak from.
    #[error(transparent)]
    Line(#[from] NoFreePort),
    /// There is nothing that could be shown again.
    #[error("there is nothing to repeat")]
    NothingToRepeat,
    /// The call loop has no room.
    #[error(transparent)]
    Driver(#[from] DriverBusy),
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PrepareError {
    /// What a step is called that could not be begun for this reason.
    pub fn step_status(&self) -> StepStatus {
        match self {
            Self::Unallocated | Self::Route(RouteError::NoRoute | RouteError::Dial(_)) => {
                StepStatus::NoRoute
            }
            Self::Plan(PlanError::NoRoute { .. } | PlanError::NotDialable { .. }) => {
                StepStatus::NoRoute
            }
            _ => StepStatus::Failed,
        }
    }

    /// The exact word for a step's `detail`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::NotOffered | Self::Route(RouteError::NotOffered) => "not_offered",
            Self::OwnCode => "own_code",
            Self::NoTarget => "no_target",
            Self::NumbersTaken => "numbers_taken",
            Self::RulesGone => "rules_gone",
            Self::Unallocated => "unallocated",
            Self::Plan(PlanError::NoTrunkUp { .. }) => "no_trunk_up",
            Self::Plan(PlanError::PoolTooSmall(_)) => "pool_too_small",
            Self::Plan(_) | Self::Placement(_) => "no_plan",
            Self::Route(_) => "no_route",
            Self::Wording(_) => "no_wording",
            Self::NothingToRepeat => "nothing_to_repeat",
            Self::Line(_) => "no_media_port",
            Self::Driver(_) => "overloaded",
            Self::Store(_) => "store_unavailable",
        }
    }

    /// Whether another channel may do where this one cannot.
    pub fn is_of_channel(&self) -> bool {
        !matches!(self, Self::RulesGone | Self::Unallocated | Self::Driver(_) | Self::Store(_))
    }
}

impl From<DialError> for PrepareError {
    fn from(error: DialError) -> Self {
        Self::Route(error.into())
    }
}

impl From<UserPartError> for PrepareError {
    fn from(error: UserPartError) -> Self {
        Self::Route(error.into())
    }
}

/// Whether this gateway can carry the channel at all.
pub fn is_offered(settings: &Settings, channel: Channel, live: bool) -> bool {
    match channel {
        Channel::FlashCall | Channel::Voice => true,
        Channel::Sms => settings.config.sms.default.is_some() || !live,
        // Under a test key mails are played.
        Channel::Email => settings.config.email.is_some() || !live,
        Channel::IncomingCall => incoming_call::is_offered(settings),
    }
}

/// Whether the channel reaches one of these targets.
pub fn reaches(channel: Channel, target: &Target) -> bool {
    match channel {
        Channel::Email => target.mailbox.is_some(),
        Channel::FlashCall | Channel::IncomingCall | Channel::Sms | Channel::Voice => {
            target.number.is_some()
        }
    }
}

/// Prepares a step. `verification` need not be stored yet, nor have a step.
pub async fn prepare(
    app: &App,
    settings: &Settings,
    verification: &Verification,
    channel: Channel,
    wish: &CodeWish,
) -> Result<Prepared, PrepareError> {
    match channel {
        Channel::FlashCall => flash_call::prepare(app, settings, verification, wish).await,
        Channel::Sms => sms::prepare(app, settings, verification, wish).await,
        Channel::Email => email::prepare(app, settings, verification, wish),
        Channel::Voice => voice::prepare(app, settings, verification, wish).await,
        Channel::IncomingCall => {
            // It reads whole verifications, which would make every caller's future large.
            Box::pin(incoming_call::prepare(app, settings, verification, wish)).await
        }
    }
}

/// Prepares to show the present step's code once more.
pub async fn prepare_again(
    app: &App,
    settings: &Settings,
    verification: &Verification,
) -> Result<PreparedAgain, PrepareError> {
    let step = verification.steps.last().ok_or(PrepareError::NothingToRepeat)?;
    match step.channel {
        Channel::FlashCall => flash_call::prepare_again(app, settings, verification, step),
        Channel::Sms => sms::prepare_again(app, settings, verification, step).await,
        Channel::Email => email::prepare_again(app, settings, verification, step),
        Channel::Voice => voice::prepare_again(app, settings, verification, step),
        Channel::IncomingCall => Err(PrepareError::NothingToRepeat),
    }
}

impl Act {
    /// Carries it out, after the commit, in a task of its own.
    pub fn start(self, app: &App, verification: &Verification) {
        match self {
            Self::Call(act) => act.start(app, verification.verification_id),
            Self::Sms(act) => act.start(app, verification),
            Self::Email(act) => act.start(app, verification),
            Self::IncomingCall(act) => act.start(app, verification.verification_id),
        }
    }

    /// Nobody knows whether the evidence was stored, and nothing is done: a task of its own
    /// ends what may be there.
    pub fn disown(self, app: &App, verification_id: VerificationId) {
        match self {
            Self::Call(act) => act.disown(app, verification_id),
            Self::Sms(act) => act.disown(app, verification_id),
            Self::Email(act) => act.disown(app, verification_id),
            // Nothing goes out: what may be there waits for a call until its time runs out.
            Self::IncomingCall(_) => {}
        }
    }
}

/// Goes on with the texts and mails of an earlier process: what was only written down is handed
/// on, what may have left is never sent again. Answers whether there was anything.
pub fn resume(app: &App, verification: &Verification) -> bool {
    let mut found = false;
    for step in &verification.steps {
        for dispatch in step.dispatches.iter().filter(|dispatch| dispatch.is_open()) {
            found = true;
            let id = dispatch.dispatch_id;
            let queued = dispatch.state == DispatchState::Queued;
            match step.channel {
                Channel::Sms if queued => sms::resume(app, verification, step, dispatch),
                Channel::Email if queued => email::resume(app, verification, step, dispatch),
                _ => dispatch::give_up(app, verification.verification_id, id),
            }
        }
    }
    found
}
