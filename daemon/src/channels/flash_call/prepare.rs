//! Prepares a flash call: the plan, the evidence, and a place in the call loop.

use std::time::Duration;

use dialplans::{Attempt, CallerIdWish, Plan, PlanRequest, RecentTails, RestingCallerIds};

use super::{Leg, Shows, disown, run};
use crate::app::{App, Settings};
use crate::channels::{self, CodeWish, PrepareError, Prepared, PreparedAgain};
use crate::ids::VerificationId;
use crate::limits::{self, Guesser};
use crate::telemetry;
use crate::ua_driver::{CallOrder, Reservation};
use crate::verification::machine::Again;
use crate::verification::model::{CallState, Channel, Step, StepStatus, Verification};
use crate::verification::service::{self, MagicNumber, Pace, Place, Placement};
use tracing::Instrument;

/// A call that is ready to be placed.
#[derive(Debug)]
pub struct Act {
    pub(in crate::channels) leg: Leg,
    pub(in crate::channels) order: CallOrder,
    pub(in crate::channels) way: Way,
}

/// Who carries the call.
#[derive(Debug)]
pub(in crate::channels) enum Way {
    /// The call loop, which has a place for it.
    Loop(Reservation),
    /// Nobody: under a test key the call is only played.
    Play(MagicNumber),
    /// Nobody: the verification is nobody's and must look like any other.
    Pretend(MagicNumber, Pace),
}

/// Who carries a call of a verification that is live. A place is asked for either way, so that a
/// full call loop says the same to both.
pub(in crate::channels) fn live_way(
    app: &App,
    verification: &Verification,
    (number, pace): (MagicNumber, Pace),
) -> Result<Way, PrepareError> {
    let reservation = app.driver().reserve()?;
    Ok(match verification.is_decoy() {
        true => Way::Pretend(number, pace),
        false => Way::Loop(reservation),
    })
}

/// Prepares the first call of a step.
pub async fn prepare(
    app: &App,
    settings: &Settings,
    verification: &Verification,
    wish: &CodeWish,
) -> Result<Prepared, PrepareError> {
    let to = verification.number().ok_or(PrepareError::NoTarget)?;
    let now = app.now();
    let id = verification.verification_id;
    let (placement, next, way) = if verification.live {
        let plan = plan(app, settings, verification, wish).await?;
        let placement = place(app, settings, verification, 1, &plan.first)?;
        let pace = Pace::of_ringing(placement.order.request.ring_limit);
        let way = live_way(app, verification, (MagicNumber::Rings, pace))?;
        (placement, plan.second, way)
    } else {
        let placement = service::sandbox_placement(now, app, id, &to);
        (placement, None, Way::Play(MagicNumber::of(&to)))
    };
    let guesser = Guesser { account: &verification.account, client: &verification.client };
    let limits = limits::for_flash_call(&settings.config.limits, &to, guesser);
    let Placement { call, code, order } = placement;
    let step = Step {
        code: Some(code),
        calls: vec![call.clone()],
        ..Step::bare(1, Channel::FlashCall, StepStatus::Queued, now)
    };
    let leg = Leg { attempt: 1, live: verification.goes_out(), call, next, shows: Shows::CallerId };
    let act = channels::Act::Call(Box::new(Act { leg, order, way }));
    Ok(Prepared { step, limits: if verification.live { limits } else { Vec::new() }, act })
}

/// Prepares to show the same caller ID once more.
pub fn prepare_again(
    app: &App,
    settings: &Settings,
    verification: &Verification,
    step: &Step,
) -> Result<PreparedAgain, PrepareError> {
    let to = verification.number().ok_or(PrepareError::NoTarget)?;
    let last = step.calls.last().filter(|call| matches!(call.state, CallState::Ended(_)));
    let last = last.ok_or(PrepareError::NothingToRepeat)?;
    let limits = limits::for_resend(&settings.config.limits, &to);
    let attempt = last.attempt.saturating_add(1);
    let (placement, way) = if verification.live {
        let shown = last.caller_id.ok_or(PrepareError::NothingToRepeat)?;
        let request = PlanRequest {
            resting: RestingCallerIds::default(),
            ..request(app, settings, verification, CallerIdWish::Again(shown))?
        };
        let health = app.driver().health();
        let recent = RecentTails::none();
        let plan =
            app.with_plans_rng(|rng| settings.dialplan.plan(rng, &to, &request, &recent, &health))?;
        let placement = place(app, settings, verification, attempt, &plan.first)?;
        let pace = Pace::of_ringing(placement.order.request.ring_limit);
        let way = live_way(app, verification, (MagicNumber::Rings, pace))?;
        (placement, way)
    } else {
        let id = verification.verification_id;
        let placement = service::sandbox_placement(app.now(), app, id, &to);
        (placement, Way::Play(MagicNumber::of(&to)))
    };
    let Placement { call, order, .. } = placement;
    // A resend shows the code that the phone may have seen; it has no second trunk.
    let shows = Shows::CallerId;
    let live = verification.goes_out();
    let leg = Leg { attempt, live, call: call.clone(), next: None, shows };
    let act = channels::Act::Call(Box::new(Act { leg, order, way }));
    let limits = if verification.live { limits } else { Vec::new() };
    Ok(PreparedAgain { again: Again::Call(Box::new(call)), limits, act })
}

/// The plan of a step's calls.
pub async fn plan(
    app: &App,
    settings: &Settings,
    verification: &Verification,
    wish: &CodeWish,
) -> Result<Plan, PrepareError> {
    let to = verification.number().ok_or(PrepareError::NoTarget)?;
    let since = app.now() - settings.config.limits.same_tail;
    let (recent, unallocated) =
        tokio::try_join!(app.store().recent_tails(&to, since), app.store().is_unallocated(&to))?;
    if unallocated {
        return Err(PrepareError::Unallocated);
    }
    let wish = match wish {
        CodeWish::Drawn => CallerIdWish::Drawn,
        CodeWish::Tail(tail) => CallerIdWish::WithTail(*tail),
        CodeWish::Digits(_) => return Err(PrepareError::OwnCode),
    };
    let request = request(app, settings, verification, wish)?;
    let health = app.driver().health();
    let dialplan = &settings.dialplan;
    Ok(app.with_plans_rng(|rng| dialplan.plan(rng, &to, &request, &recent, &health))?)
}

pub(in crate::channels) fn request(
    app: &App,
    settings: &Settings,
    verification: &Verification,
    caller_id: CallerIdWish,
) -> Result<PlanRequest, PrepareError> {
    let account = settings.account(&verification.account).ok_or(PrepareError::RulesGone)?;
    let purpose = service::purpose_of(settings, verification).ok_or(PrepareError::RulesGone)?;
    Ok(PlanRequest {
        pools: account.pools.clone(),
        min_endings: purpose.min_endings,
        allow_small_pools: purpose.allow_small_pools.as_slice().into(),
        resting: app.resting().at(app.now()),
        ring_limit: purpose.ring_limit,
        caller_id,
    })
}

pub(in crate::channels) fn place(
    app: &App,
    settings: &Settings,
    verification: &Verification,
    attempt: u8,
    planned: &Attempt,
) -> Result<Placement, PrepareError> {
    let purpose = service::purpose_of(settings, verification).ok_or(PrepareError::RulesGone)?;
    let verification_id = verification.verification_id;
    let place = Place { verification_id, purpose, attempt, elapsed: Duration::ZERO };
    Ok(service::placement(app.now(), app, settings, place, planned)?)
}

impl Act {
    /// Places the call and watches it to the end of its step, in a task of its own.
    pub fn start(self, app: &App, verification_id: VerificationId) {
        let call_id = self.leg.call.call_id;
        let watch = match self.way {
            Way::Loop(reservation) => reservation.place_call(self.order),
            Way::Play(number) => service::play(app, call_id, number, Pace::QUICK),
            Way::Pretend(number, pace) => service::play(app, call_id, number, pace),
        };
        let span = telemetry::verification_span(verification_id);
        app.spawn(run(app.clone(), verification_id, self.leg, watch).instrument(span));
    }

    /// Ends the row of a call that is not placed, in a task of its own.
    pub fn disown(self, app: &App, verification_id: VerificationId) {
        app.spawn(disown(app.clone(), verification_id, self.leg.call.call_id));
    }
}
