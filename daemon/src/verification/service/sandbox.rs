//! Verifications under a test key: nothing leaves the machine, the code is zeros, and the last
//! digit of a magic number says how the call goes.

use std::time::Duration;

use dialplans::{CallerId, CodeLength, E164, TrunkName};
use sip::{
    CallHandle, CallIdentity, CallOutcome, CallRequest, CallSummary, TimelineEntry, TimelineEvent,
    UserPart,
};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::Placement;
use crate::app::App;
use crate::clock::Timestamp;
use crate::ids::{CallId, VerificationId};
use crate::ua_driver::{CallEnd, CallOrder, CallProgress, CallWatch};
use crate::verification::model::{Call, CallState, StepCode};

/// Digits of the code, which are all zeros.
pub(super) const CODE_LENGTH: u8 = 4;

/// The trunk that stands in the records; no trunk of a file can carry the call.
const TRUNK: &str = "test";

/// The number that the phone would show.
const CALLER_ID: &str = "+70000000000";

/// How long whatever is played under a test key takes: a text or letter on its way, the user who
/// calls, the far side's first word.
pub const PLAY: Duration = Duration::from_millis(150);

/// From ringing to the CANCEL.
const RING_FOR: Duration = Duration::from_millis(350);

/// How quickly a call is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From the INVITE to what the far side says; of an answered call, to its end.
    answer_after: Duration,
    /// From ringing to the CANCEL.
    ring_for: Duration,
    /// Whether it is told that the INVITE left, as of a call that is placed.
    is_lifelike: bool,
}

impl Pace {
    /// As under a test key.
    pub const QUICK: Self = Self { answer_after: PLAY, ring_for: RING_FOR, is_lifelike: false };

    /// As of a phone that rings so long, after networks took their usual time to find it.
    pub fn of_ringing(ring_for: Duration) -> Self {
        Self { answer_after: Duration::from_secs(2), ring_for, is_lifelike: true }
    }

    /// As of somebody who picks up and listens to a code twice.
    pub fn of_speech() -> Self {
        Self { answer_after: Duration::from_secs(25), ring_for: Duration::ZERO, is_lifelike: true }
    }
}

/// How a call to a magic number goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MagicNumber {
    /// +70000000001, and every number that is not magic.
    Rings,
    /// +70000000002.
    Busy,
    /// +70000000003.
    Unreachable,
    /// +70000000004.
    Diverted,
    /// +70000000005.
    Answered,
    /// +70000000006: a call rings, a text is not delivered.
    UndeliveredText,
}

impl MagicNumber {
    /// What a number means under a test key.
    pub fn of(to: &E164) -> Self {
        match to.reveal().as_str() {
            "+70000000002" => Self::Busy,
            "+70000000003" => Self::Unreachable,
            "+70000000004" => Self::Diverted,
            "+70000000005" => Self::Answered,
            "+70000000006" => Self::UndeliveredText,
            _ => Self::Rings,
        }
    }

    /// Whether this is one of the numbers `+7000000000x`, which are in no numbering plan.
    pub fn parse(text: &str) -> Option<E164> {
        let digit = text.strip_prefix("+7000000000")?;
        E164::parse(text).ok().filter(|_| digit.len() == 1)
    }

    fn outcome(self) -> CallOutcome {
        match self {
            Self::Rings | Self::UndeliveredText => CallOutcome::Rang,
            Self::Busy => CallOutcome::Busy,
            Self::Unreachable => CallOutcome::Unreachable,
            Self::Diverted => CallOutcome::Diverted,
            Self::Answered => CallOutcome::Answered,
        }
    }

    /// What the far side says first.
    fn status(self) -> u16 {
        match self {
            Self::Rings | Self::UndeliveredText => 180,
            Self::Busy => 486,
            Self::Unreachable => 480,
            Self::Diverted => 181,
            Self::Answered => 200,
        }
    }
}

/// The rows of a call that is only played.
pub(crate) fn placement(
    now: Timestamp,
    app: &App,
    verification_id: VerificationId,
    to: &E164,
) -> Placement {
    let number = E164::parse(CALLER_ID).expect("a number in E.164 form");
    let length = CodeLength::new(CODE_LENGTH).expect("four digits are a code");
    let shown = CallerId::new(number, length).expect("eleven digits are more than four");
    let trunk = TrunkName::parse(TRUNK).expect("a name of letters");
    let called = UserPart::new(to.reveal().as_str()).expect("digits are a user part");
    let caller_id = UserPart::new(CALLER_ID).expect("digits are a user part");
    let call_id = app.call_id(now);
    let call = Call {
        call_id,
        attempt: 1,
        trunk: trunk.clone(),
        dialled: Some(called.clone()),
        caller_id: Some(shown),
        caller_id_masked: shown.to_string(),
        dialog: None,
        created_at: now,
        state: CallState::Up { target: None, last_cseq: 0, rang: false },
    };
    let request = CallRequest {
        identity: CallIdentity([0; 32]),
        called,
        caller_id: sip::CallerId::new(caller_id),
        ring_limit: RING_FOR,
        no_ring_limit: RING_FOR,
        call_limit: RING_FOR,
        no_answer_timeout: RING_FOR,
        media_port: 0,
    };
    Placement {
        call,
        code: StepCode::of_caller_id(app.keys(), verification_id, &shown, length.space()),
        order: CallOrder { call_id, trunk, request, talk_limit: None },
    }
}

/// Plays the call; what is told has the form of what the call loop tells.
pub(crate) fn play(app: &App, call_id: CallId, number: MagicNumber, pace: Pace) -> CallWatch {
    let (progress, progress_watch) = watch::channel(CallProgress::default());
    let (ended, ended_watch) = oneshot::channel();
    let hung_up = app.played().begin(call_id);
    let app = app.clone();
    app.clone().spawn(async move {
        // Whoever watches may be gone; the play goes on for the record.
        let told = perform(&app, &hung_up, number, pace, &progress).await;
        app.played().end(call_id);
        let _ = ended.send(CallEnd::Ended(told));
    });
    CallWatch { progress: progress_watch, ended: ended_watch }
}

/// The call from its INVITE to its end. When the process stops, it is over at once.
async fn perform(
    app: &App,
    hung_up: &CancellationToken,
    number: MagicNumber,
    pace: Pace,
    progress: &watch::Sender<CallProgress>,
) -> CallSummary {
    let wait = async |limit: Duration| {
        let begun = app.now();
        tokio::select! {
            () = tokio::time::sleep(limit) => (limit, false),
            () = app.stop().cancelled() => (limit, false),
            () = hung_up.cancelled() => (app.now().since(begun), true),
        }
    };
    let begun = CallProgress { cseq: u32::from(pace.is_lifelike), ..CallProgress::default() };
    let _ = progress.send(begun.clone());
    let (answer_after, is_hung_up) = wait(pace.answer_after).await;
    if is_hung_up {
        return unanswered(answer_after);
    }
    if number.outcome() != CallOutcome::Rang {
        return summary(number, pace);
    }
    let ringing = CallProgress { ringing: true, ..begun };
    let _ = progress.send(ringing.clone());
    let (ring_for, _hung_up) = wait(pace.ring_for).await;
    let _ = progress.send(CallProgress { cancelled: true, ..ringing });
    summary(number, Pace { ring_for, ..pace })
}

/// A call that was hung up before the far side said anything.
fn unanswered(after: Duration) -> CallSummary {
    let end = TimelineEvent::Response { status: 487 };
    let timeline = vec![
        TimelineEntry { at: Duration::ZERO, event: TimelineEvent::Invite { cseq: 1 } },
        TimelineEntry { at: after, event: TimelineEvent::Cancel },
        TimelineEntry { at: after, event: end },
    ];
    CallSummary {
        outcome: CallOutcome::Canceled,
        rang: false,
        timeline,
        ..summary(MagicNumber::Rings, Pace::QUICK)
    }
}

fn summary(number: MagicNumber, pace: Pace) -> CallSummary {
    let Pace { answer_after, ring_for, .. } = pace;
    let outcome = number.outcome();
    let rang = outcome == CallOutcome::Rang;
    let mut timeline = vec![
        TimelineEntry { at: Duration::ZERO, event: TimelineEvent::Invite { cseq: 1 } },
        TimelineEntry {
            at: answer_after,
            event: TimelineEvent::Response { status: number.status() },
        },
    ];
    if rang {
        timeline.push(TimelineEntry { at: answer_after + ring_for, event: TimelineEvent::Cancel });
        let end = TimelineEvent::Response { status: 487 };
        timeline.push(TimelineEntry { at: answer_after + ring_for, event: end });
    }
    let status = if rang || outcome == CallOutcome::Diverted { 487 } else { number.status() };
    CallSummary {
        call: CallHandle(0),
        outcome,
        rang,
        status: Some(status),
        q850: sip::outcome::usual_cause(status),
        q850_from_reason: false,
        retry_after: None,
        target: std::net::SocketAddr::from(([0, 0, 0, 0], 0)),
        last_cseq: 1,
        timeline,
    }
}
