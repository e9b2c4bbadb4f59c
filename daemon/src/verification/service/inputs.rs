//! What clients do to a verification that is there: check, resend, cancel.

use std::time::Duration;

use dialplans::{CallerIdWish, PlanError, PlanRequest, RecentTails, RestingCallerIds};

use super::sandbox::{self, MagicNumber};
use super::{Accepted, CommonRefusal, Place, PlacementError, placement, purpose_of, settle};
use crate::accounts::ActingAccount;
use crate::app::{App, Settings};
use crate::channels::flash_call::{self, Leg};
use crate::ids::VerificationId;
use crate::limits::{self, Guesser};
use crate::store::{Applied, Apply, ApplyRefused, Idempotency, StoreError};
use crate::ua_driver::DriverBusy;
use crate::verification::machine::{Answer, Input, PresentedCode, Refusal};
use crate::verification::model::{Call, CallState, Verification};

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

/// Why nothing was sent again.
#[derive(Debug, thiserror::Error)]
pub enum ResendError {
    /// It has ended.
    #[error("the verification has ended")]
    Ended(Box<Verification>),
    /// The machine does not allow it.
    #[error(transparent)]
    Refused(Refusal),
    /// There is no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The plan cannot become a call.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// The call loop has no room.
    #[error(transparent)]
    Driver(#[from] DriverBusy),
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

impl From<StoreError> for ResendError {
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
        input: Input::Check(code),
        limits: check_limits(app, &present),
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
fn check_limits(app: &App, verification: &Verification) -> Vec<crate::store::Limit> {
    let (Some(to), Some(step), true) =
        (verification.to.full(), verification.steps.last(), verification.live)
    else {
        return Vec::new();
    };
    let guesser = Guesser { account: &verification.account, client: &verification.client };
    let limits = &app.settings().config.limits;
    limits::for_check(limits, &to, step.channel, verification.code_length, guesser)
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

/// Shows the same caller ID once more.
pub async fn resend(
    app: &App,
    account: &ActingAccount,
    verification_id: VerificationId,
    idempotency: Option<Replayable>,
) -> Result<Accepted<Box<Verification>>, ResendError> {
    if app.stop().is_cancelled() {
        return Err(ResendError::Stopping);
    }
    let who = account.who();
    let Some(present) = app.store().verification(&who, verification_id).await? else {
        return Err(CommonRefusal::NotFound.into());
    };
    let settings = app.settings();
    let now = app.now();
    let refused = || ResendError::Refused(Refusal::NotRepeatable);
    let to = present.to.full().ok_or_else(refused)?;
    let last = last_call(&present).ok_or_else(refused)?;
    let live = present.live;
    let (placement, reservation) = if live {
        let plan_first = again(app, &settings, account, &present, last)?;
        let purpose = purpose_of(&settings, &present).ok_or_else(refused)?;
        let place = Place {
            verification_id,
            purpose,
            attempt: last.attempt.saturating_add(1),
            elapsed: Duration::ZERO,
        };
        let placement = placement(now, app, &settings, place, &plan_first)?;
        (placement, Some(app.driver().reserve()?))
    } else {
        (sandbox::placement(now, app, verification_id, &to), None)
    };
    let limits = &settings.config.limits;
    let apply = Apply {
        verification_id,
        who,
        input: Input::Resend {
            call: Box::new(placement.call.clone()),
            next_send_allowed_at: now + limits.between_sends,
        },
        limits: if live { limits::for_resend(limits, &to) } else { Vec::new() },
        idempotency,
    };
    match app.store().apply(apply).await? {
        Applied::Accepted { verification, response, .. } => {
            let watch = match reservation {
                Some(reservation) => reservation.place_call(placement.order),
                None => sandbox::play(app, MagicNumber::of(&to)),
            };
            // A resend shows the code that the phone may have seen; it has no second trunk.
            let attempt = placement.call.attempt;
            let leg = Leg { attempt, live, call: placement.call, next: None };
            flash_call::start(app, verification_id, leg, watch);
            Ok(Accepted::Done(verification, response))
        }
        Applied::Replayed(response) => Ok(Accepted::Replayed(response)),
        Applied::NotFound => Err(CommonRefusal::NotFound.into()),
        Applied::Refused { verification, refusal } => match refusal {
            ApplyRefused::Machine(Refusal::Ended { .. }) => Err(ResendError::Ended(verification)),
            ApplyRefused::Machine(refusal) => Err(ResendError::Refused(refusal)),
            ApplyRefused::OtherRequest => Err(CommonRefusal::OtherRequest.into()),
            ApplyRefused::Limit(reached) => Err(CommonRefusal::Limit(reached).into()),
        },
    }
}

fn again(
    app: &App,
    settings: &Settings,
    account: &ActingAccount,
    present: &Verification,
    last: &Call,
) -> Result<dialplans::Attempt, ResendError> {
    let refused = || ResendError::Refused(Refusal::NotRepeatable);
    let to = present.to.full().ok_or_else(refused)?;
    let caller_id = last.caller_id.ok_or_else(refused)?;
    let purpose = purpose_of(settings, present).ok_or_else(refused)?;
    let request = PlanRequest {
        pools: account.rules.pools.clone(),
        min_endings: purpose.min_endings,
        allow_small_pools: purpose.allow_small_pools.as_slice().into(),
        resting: RestingCallerIds::default(),
        ring_limit: purpose.ring_limit,
        caller_id: CallerIdWish::Again(caller_id),
    };
    let health = app.driver().health();
    let dialplan = &settings.dialplan;
    let plan =
        app.with_plans_rng(|rng| dialplan.plan(rng, &to, &request, &RecentTails::none(), &health))?;
    Ok(plan.first)
}

/// The call whose caller ID is shown again.
fn last_call(verification: &Verification) -> Option<&Call> {
    let calls = &verification.steps.last()?.calls;
    calls.last().filter(|call| matches!(call.state, CallState::Ended(_)))
}
