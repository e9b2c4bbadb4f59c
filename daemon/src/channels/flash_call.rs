//! Carries out a step of calls: watches the call, writes down what it tells, and goes to the
//! next trunk when nothing rang. A call that says its code walks the same way.

mod prepare;

pub use prepare::{Act, plan, prepare, prepare_again};
pub(super) use prepare::{Way, live_way, place, request};

use std::time::Duration;

use dialplans::{Attempt, TrunkState};
use sip::outcome::Follow;
use sip::{CallOutcome, CallSummary, PlaceCallError};

use crate::app::App;
use crate::channels::voice::{self, Speech};
use crate::clock::Timestamp;
use crate::ids::{CallId, VerificationId};
use crate::store::{Applied, Apply, StoreError, WRITE_RETRY, Who};
use crate::ua_driver::{CallEnd, CallOrder, CallProgress, CallWatch, Reservation};
use crate::verification::machine::Input;
use crate::verification::model::{Call, CallRecord, StepCode, Verification};
use crate::verification::service::{self, Place};

/// Trunks that one step may try.
const TRUNK_LIMIT: u8 = 2;

/// From a step's first INVITE to the second: later the user has given up.
const ATTEMPT_WINDOW: Duration = Duration::from_secs(10);

/// How long a number counts as unallocated.
const UNALLOCATED_FOR: Duration = Duration::from_secs(3600);

/// The call that is up, and what could follow it.
#[derive(Debug)]
pub struct Leg {
    /// From 1 within the step.
    pub attempt: u8,
    /// False when the call is only played.
    pub live: bool,
    /// As it was written down.
    pub call: Call,
    /// The plan's attempt over another trunk.
    pub next: Option<Attempt>,
    /// How it shows its code.
    pub shows: Shows,
}

/// How a call shows its code.
#[derive(Debug)]
pub enum Shows {
    /// By the number that calls.
    CallerId,
    /// By saying it, once it is answered; `None`: it is only played, or has been said.
    Speech(Option<Speech>),
}

async fn run(app: App, verification_id: VerificationId, mut leg: Leg, mut watch: CallWatch) {
    let first_invite = leg.call.created_at;
    loop {
        let call_id = leg.call.call_id;
        let end = match &mut leg.shows {
            Shows::CallerId => follow_call(&app, verification_id, call_id, &mut watch).await,
            Shows::Speech(speech) => {
                voice::follow_call(&app, verification_id, call_id, speech, &mut watch).await
            }
        };
        let record = record(app.now(), end.as_ref());
        if let (Some(shown), Some(CallEnd::Ended(_))) = (leg.call.caller_id, &end)
            && leg.live
            && matches!(leg.shows, Shows::CallerId)
        {
            app.resting().note(app.now(), shown, record.outcome == CallOutcome::Blocked);
        }
        if matches!(record.outcome, CallOutcome::TrunkTimeout | CallOutcome::TrunkDown) {
            let late = late_ring(app.clone(), verification_id, call_id, record.clone(), watch);
            app.spawn(late);
        }
        let follow = end.as_ref().map_or(Follow::End, follow);
        remember(&app, verification_id, &leg, end.as_ref(), follow).await;
        let next = next(&app, verification_id, &mut leg, first_invite, &record, follow).await;
        let ended = Input::CallEnded { call_id, record, last: next.is_none() };
        let stored = write(&app, verification_id, ended).await;
        let Some(next) = next else {
            settle(&app, stored).await;
            return;
        };
        match begin(&app, verification_id, next).await {
            Ok((begun, begun_watch)) => (leg, watch) = (begun, begun_watch),
            Err(call_id) => return disown(app, verification_id, call_id).await,
        }
    }
}

/// Writes down progress until the end is told; `None`: the call loop died.
async fn follow_call(
    app: &App,
    verification_id: VerificationId,
    call_id: CallId,
    watch: &mut CallWatch,
) -> Option<CallEnd> {
    let mut telling = true;
    loop {
        tokio::select! {
            biased;
            changed = watch.progress.changed(), if telling => {
                telling = changed.is_ok();
                let progress = watch.progress.borrow_and_update().clone();
                if telling && progress != CallProgress::default() {
                    write_progress(app, verification_id, call_id, &progress).await;
                }
            }
            end = &mut watch.ended => return end.ok(),
        }
    }
}

/// An abandoned call may ring late: the call loop cancels it at once, and the step learns that
/// the phone has shown its caller ID after all.
async fn late_ring(
    app: App,
    verification_id: VerificationId,
    call_id: CallId,
    record: CallRecord,
    mut watch: CallWatch,
) {
    let rang = tokio::select! {
        rang = watch.progress.wait_for(|progress| progress.late_ringing) => rang.is_ok(),
        // Nothing is lost: the next start does not know of it either way.
        () = app.stop().cancelled() => false,
    };
    if rang {
        let record = CallRecord { outcome: CallOutcome::LateRing, rang: true, ..record };
        let ended = Input::CallEnded { call_id, record, last: true };
        let stored = write(&app, verification_id, ended).await;
        settle(&app, stored).await;
    }
}

/// Progress is worth one try: the end says the same again, save for the CSeq, which only a
/// process that dies at this very moment would need.
pub(super) async fn write_progress(
    app: &App,
    verification_id: VerificationId,
    call_id: CallId,
    progress: &CallProgress,
) {
    let input = Input::Progress {
        call_id,
        target: progress.target,
        cseq: progress.cseq,
        ringing: progress.ringing,
        cancelled: progress.cancelled,
    };
    if let Err(error) = app.store().apply(Apply::internal(verification_id, input)).await {
        tracing::warn!(%error, %call_id, "progress was not written down");
    }
}

/// An end is tried until it is stored, or the store is closed: then the next start finds the
/// call without an end. `None`: it was refused or never stored.
pub(crate) async fn write(
    app: &App,
    verification_id: VerificationId,
    input: Input,
) -> Option<Box<Verification>> {
    loop {
        let apply = Apply::internal(verification_id, input.clone());
        match app.store().apply(apply).await {
            Ok(Applied::Accepted { verification, .. }) => return Some(verification),
            Ok(Applied::Refused { .. } | Applied::NotFound | Applied::Replayed(_)) => return None,
            Err(StoreError::Closed) => return None,
            Err(error) => {
                tracing::warn!(%error, %verification_id, "a call's end was not written down");
                tokio::time::sleep(WRITE_RETRY).await;
            }
        }
    }
}

async fn settle(app: &App, stored: Option<Box<Verification>>) {
    if let Some(verification) = stored {
        service::settle(app, &verification).await;
    }
}

fn record(now: Timestamp, end: Option<&CallEnd>) -> CallRecord {
    match end {
        Some(CallEnd::Ended(summary)) => CallRecord {
            ended_at: now,
            outcome: summary.outcome,
            rang: summary.rang,
            status: summary.status,
            q850: summary.q850,
            retry_after: summary.retry_after,
            target: Some(summary.target),
            timeline: summary.timeline.clone(),
        },
        Some(CallEnd::Refused(refused)) => unplaced(now, refused_outcome(*refused)),
        // The call loop died with the call up: as after a restart.
        None => unplaced(now, CallOutcome::Interrupted),
    }
}

/// The record of a call of which nothing is known but its outcome.
pub(crate) fn unplaced(now: Timestamp, outcome: CallOutcome) -> CallRecord {
    CallRecord {
        ended_at: now,
        outcome,
        rang: false,
        status: None,
        q850: None,
        retry_after: None,
        target: None,
        timeline: Vec::new(),
    }
}

fn refused_outcome(refused: PlaceCallError) -> CallOutcome {
    match refused {
        PlaceCallError::ChannelsBusy => CallOutcome::Congestion,
        PlaceCallError::UnknownTrunk
        | PlaceCallError::Paused
        | PlaceCallError::NotRegistered
        | PlaceCallError::NoTarget => CallOutcome::TrunkDown,
    }
}

fn follow(end: &CallEnd) -> Follow {
    match end {
        CallEnd::Ended(summary) => summary.follow(),
        CallEnd::Refused(_) => Follow::NextTrunk,
    }
}

/// Remembers a number that does not exist: when the network said so beyond doubt, or a second
/// trunk said it again.
async fn remember(
    app: &App,
    verification_id: VerificationId,
    leg: &Leg,
    end: Option<&CallEnd>,
    follow: Follow,
) {
    let Some(CallEnd::Ended(CallSummary { outcome: CallOutcome::Unallocated, .. })) = end else {
        return;
    };
    if follow == Follow::NextTrunkOnce && leg.attempt < TRUNK_LIMIT {
        return;
    }
    let stored = app.store().verification(&Who::Gateway, verification_id).await;
    let to = stored.ok().flatten().filter(|stored| stored.live).and_then(|stored| stored.number());
    let Some(to) = to else { return };
    if let Err(error) = app.store().remember_unallocated(&to, app.now() + UNALLOCATED_FOR).await {
        tracing::warn!(%error, "a number without a subscriber was not remembered");
    }
}

/// A further attempt with its place in the call loop.
struct Next {
    leg: Leg,
    follows: CallId,
    code: Option<StepCode>,
    order: CallOrder,
    reservation: Reservation,
}

/// The attempt over the next trunk, if one may follow. A second missed call with another caller
/// ID breaks the code, so nothing follows a call that rang.
async fn next(
    app: &App,
    verification_id: VerificationId,
    leg: &mut Leg,
    first_invite: Timestamp,
    record: &CallRecord,
    follow: Follow,
) -> Option<Next> {
    let wanted = matches!(follow, Follow::NextTrunk | Follow::NextTarget | Follow::NextTrunkOnce);
    let now = app.now();
    let elapsed = now.since(first_invite);
    if !wanted || record.rang || leg.attempt >= TRUNK_LIMIT || elapsed >= ATTEMPT_WINDOW {
        return None;
    }
    let attempt = leg.next.as_ref()?;
    if app.stop().is_cancelled() || app.driver().health().state(&attempt.trunk) != TrunkState::Up {
        return None;
    }
    let settings = app.settings();
    let stored = app.store().verification(&Who::Gateway, verification_id).await.ok()??;
    let purpose = service::purpose_of(&settings, &stored)?;
    let place = Place { verification_id, purpose, attempt: leg.attempt + 1, elapsed };
    let mut placement = match service::placement(now, app, &settings, place, attempt) {
        Ok(placement) => placement,
        Err(error) => {
            tracing::warn!(%error, trunk = %attempt.trunk, "the next trunk cannot take the call");
            return None;
        }
    };
    let reservation = app.driver().reserve().ok()?;
    let same = leg.call.caller_id.as_ref() == Some(&attempt.caller_id);
    let code = (!same).then_some(placement.code);
    let (shows, code) = match &mut leg.shows {
        Shows::CallerId => (Shows::CallerId, code),
        Shows::Speech(speech) => {
            // What was not said yet is said over the next trunk, from the same port.
            let speech = speech.take()?;
            speech.shape(&mut placement.order);
            (Shows::Speech(Some(speech)), None)
        }
    };
    let (attempt, call) = (leg.attempt + 1, placement.call);
    Some(Next {
        leg: Leg { attempt, live: true, call, next: None, shows },
        follows: leg.call.call_id,
        code,
        order: placement.order,
        reservation,
    })
}

/// Commits the attempt, with its code when that changed, and only then places its call.
async fn begin(
    app: &App,
    verification_id: VerificationId,
    next: Next,
) -> Result<(Leg, CallWatch), CallId> {
    let Next { leg, follows, code, order, reservation } = next;
    let input = Input::NextAttempt { follows, call: Box::new(leg.call.clone()), code };
    match app.store().apply(Apply::internal(verification_id, input)).await {
        Ok(Applied::Accepted { .. }) => Ok((leg, reservation.place_call(order))),
        Ok(Applied::Refused { .. } | Applied::NotFound | Applied::Replayed(_)) => {
            Err(leg.call.call_id)
        }
        Err(error) => {
            tracing::warn!(%error, "the next attempt was not written down");
            Err(leg.call.call_id)
        }
    }
}

/// Ends a call that may have been written down and was not placed, and with it its step.
async fn disown(app: App, verification_id: VerificationId, call_id: CallId) {
    let record = unplaced(app.now(), CallOutcome::Canceled);
    write(&app, verification_id, Input::CallEnded { call_id, record, last: true }).await;
    let stored = write(&app, verification_id, Input::NothingLeft).await;
    settle(&app, stored).await;
}
