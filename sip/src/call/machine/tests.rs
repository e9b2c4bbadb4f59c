//! The machine as a table: every state with every input. What has no row changes nothing.

use super::*;
use crate::number::{CallerId, UserPart};
use crate::{CallIdentity, CallRequest};

fn epoch() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the origin of virtual time")]
    Instant::now()
}

fn limits(now: Instant) -> Limits {
    let digits = UserPart::new("1234").unwrap();
    let request = CallRequest {
        identity: CallIdentity([0; 32]),
        called: digits.clone(),
        caller_id: CallerId::new(digits),
        ring_limit: Duration::from_secs(4),
        no_ring_limit: Duration::from_secs(12),
        call_limit: Duration::from_secs(25),
        no_answer_timeout: Duration::from_secs(6),
        media_port: 1,
    };
    Limits::new(now, (&request, Duration::from_secs(60)), Timings::default())
}

const NOTHING: Step = Step {
    silence: false,
    ringing: false,
    late_ringing: false,
    answered: false,
    bye: false,
    cancel: false,
    cancelled: false,
    end: None,
    forget: false,
};

fn end(cause: Cause, reason: Option<Reason>, rang: bool) -> Step {
    Step { end: Some(End { cause, reason, rang }), ..NOTHING }
}

/// The states, with their names for the table.
fn states(now: Instant) -> [(&'static str, State); 13] {
    let later = now + Duration::from_secs(3);
    let cancelling = |reason, rang| State::Cancelling { reason, rang, until: later };
    [
        ("calling", State::calling(now, &limits(now))),
        ("unwanted", State::Unwanted { reason: Reason::HungUp, no_answer: later }),
        ("proceeding", State::Proceeding { no_ring: later }),
        ("ringing", State::Ringing { until: later }),
        ("up", State::Up { rang: true, until: later }),
        ("cancelling", cancelling(Reason::NoRing, false)),
        ("cancelling, rang", cancelling(Reason::RangEnough, true)),
        ("cancelling, hung up", cancelling(Reason::HungUp, false)),
        ("cancelling, diverted", cancelling(Reason::Diverted, false)),
        ("abandoned", State::Abandoned { is_told: true }),
        ("undoing", State::Undoing { late_ring: false, until: later }),
        ("undoing, rang", State::Undoing { late_ring: true, until: later }),
        ("over", State::Over),
    ]
}

/// Name of a state whatever its instants are.
fn name(state: &State) -> &'static str {
    match state {
        State::Calling { .. } => "calling",
        State::Unwanted { .. } => "unwanted",
        State::Proceeding { .. } => "proceeding",
        State::Ringing { .. } => "ringing",
        State::Up { .. } => "up",
        State::Cancelling { reason: Reason::Diverted, .. } => "cancelling, diverted",
        State::Cancelling { rang: true, .. } => "cancelling, rang",
        State::Cancelling { reason: Reason::HungUp, .. } => "cancelling, hung up",
        State::Cancelling { .. } => "cancelling",
        State::Abandoned { .. } => "abandoned",
        State::Undoing { late_ring: false, .. } => "undoing",
        State::Undoing { late_ring: true, .. } => "undoing, rang",
        State::Over => "over",
    }
}

const PROGRESS: Input = Input::Provisional(Signal::Progress);
const RINGING: Input = Input::Provisional(Signal::Ringing);
const DIVERTED: Input = Input::Provisional(Signal::Diverted);

/// State, input, next state, what is done.
fn table() -> Vec<(&'static str, Input, &'static str, Step)> {
    use Cause::{Success, TransportError};
    use Reason::HungUp;
    let cancel = Step { cancel: true, ..NOTHING };
    let cancelled = Step { cancelled: true, ..cancel };
    let ringing = Step { ringing: true, ..NOTHING };
    let silence = Step { silence: true, ..NOTHING };
    let answered = Step { answered: true, ..NOTHING };
    let late = Step { late_ringing: true, ..NOTHING };
    let mut rows = vec![
        ("calling", PROGRESS, "proceeding", NOTHING),
        ("calling", RINGING, "ringing", ringing),
        ("calling", DIVERTED, "cancelling, diverted", cancel),
        ("calling", Input::HangUp, "unwanted", silence),
        // Not after 6 s without an answer but within them: the limit of the whole call.
        ("calling", Input::Deadline, "unwanted", silence),
        ("unwanted", PROGRESS, "cancelling, hung up", cancel),
        ("unwanted", RINGING, "cancelling, rang", Step { ringing: true, ..cancelled }),
        ("unwanted", DIVERTED, "cancelling, diverted", cancel),
        (
            "unwanted",
            Input::Deadline,
            "abandoned",
            Step { silence: true, ..end(Cause::Abandoned, Some(HungUp), false) },
        ),
        ("proceeding", PROGRESS, "proceeding", NOTHING),
        ("proceeding", RINGING, "ringing", ringing),
        ("proceeding", DIVERTED, "cancelling, diverted", cancel),
        ("proceeding", Input::HangUp, "cancelling, hung up", cancel),
        ("proceeding", Input::Deadline, "cancelling", cancel),
        (
            "proceeding",
            Input::TargetLost,
            "undoing",
            Step { cancel: true, ..end(TransportError, None, false) },
        ),
        ("ringing", DIVERTED, "cancelling, diverted", cancel),
        ("ringing", Input::HangUp, "cancelling, rang", cancelled),
        ("ringing", Input::Deadline, "cancelling, rang", cancelled),
        ("calling", Input::Answered, "up", answered),
        ("proceeding", Input::Answered, "up", answered),
        ("ringing", Input::Answered, "up", answered),
        ("up", Input::HangUp, "over", Step { bye: true, ..end(Success, Some(HungUp), true) }),
        ("up", Input::Deadline, "over", Step { bye: true, ..end(Success, None, true) }),
        ("up", Input::FarHangUp, "over", end(Success, None, true)),
        ("cancelling", RINGING, "cancelling, rang", ringing),
        ("cancelling, hung up", RINGING, "cancelling, rang", ringing),
        ("abandoned", PROGRESS, "undoing", cancel),
        ("abandoned", RINGING, "undoing, rang", Step { late_ringing: true, ..cancel }),
        ("abandoned", DIVERTED, "undoing", cancel),
        ("undoing", RINGING, "undoing, rang", late),
    ];
    for state in ["cancelling", "cancelling, rang", "cancelling, hung up"] {
        rows.push((state, DIVERTED, "cancelling, diverted", NOTHING));
    }
    rows.extend(unanswered_cancels());
    rows.extend(ends());
    rows
}

/// A CANCEL after which nothing comes any more.
fn unanswered_cancels() -> Vec<(&'static str, Input, &'static str, Step)> {
    use Cause::{CancelTimeout, TransportError};
    use Reason::{Diverted, HungUp, NoRing, RangEnough};
    let mut rows = Vec::new();
    for (state, reason, rang) in [
        ("cancelling", NoRing, false),
        ("cancelling, rang", RangEnough, true),
        ("cancelling, hung up", HungUp, false),
        ("cancelling, diverted", Diverted, false),
    ] {
        let over = |cause| end(cause, Some(reason), rang);
        rows.push((state, Input::Deadline, "over", Step { forget: true, ..over(CancelTimeout) }));
        rows.push((
            state,
            Input::TransportError,
            "over",
            Step { forget: true, ..over(TransportError) },
        ));
    }
    rows
}

/// What ends a call ends it in whatever state it is; its end is told once.
fn ends() -> Vec<(&'static str, Input, &'static str, Step)> {
    use Cause::{Failure, Success, Timeout, TransportError};
    use Reason::{Diverted, HungUp, NoRing, RangEnough};
    let forget = Step { forget: true, ..NOTHING };
    let mut rows = Vec::new();
    for (state, reason, rang) in [
        ("calling", None, false),
        ("unwanted", Some(HungUp), false),
        ("proceeding", None, false),
        ("ringing", None, true),
        ("cancelling", Some(NoRing), false),
        ("cancelling, rang", Some(RangEnough), true),
        ("cancelling, hung up", Some(HungUp), false),
        ("cancelling, diverted", Some(Diverted), false),
    ] {
        rows.push((state, Input::Success, "over", end(Success, reason, rang)));
        if reason.is_some() {
            rows.push((state, Input::Answered, "over", end(Success, reason, rang)));
        }
        rows.push((state, Input::Failure, "over", end(Failure, reason, rang)));
        rows.push((state, Input::Timeout, "over", end(Timeout, reason, rang)));
        if matches!(state, "calling" | "unwanted") {
            rows.push((state, Input::TransportError, "over", end(TransportError, reason, rang)));
        }
    }
    for state in ["abandoned", "undoing", "undoing, rang"] {
        rows.push((state, Input::Success, "over", NOTHING));
        rows.push((state, Input::Answered, "over", NOTHING));
        rows.push((state, Input::Failure, "over", NOTHING));
        let step = if state == "abandoned" { NOTHING } else { forget };
        rows.push((state, Input::TransportError, "over", step));
        if state != "abandoned" {
            rows.push((state, Input::Deadline, "over", forget));
        }
    }
    rows.push(("abandoned", Input::Timeout, "over", NOTHING));
    rows
}

#[test]
fn every_state_does_with_every_input_what_the_table_says() {
    let now = epoch();
    let inputs = [
        PROGRESS,
        RINGING,
        DIVERTED,
        Input::Success,
        Input::Answered,
        Input::FarHangUp,
        Input::Failure,
        Input::Timeout,
        Input::TransportError,
        Input::TargetLost,
        Input::HangUp,
        Input::Deadline,
    ];
    let table = table();
    let mut pairs = 0;
    for (from, state) in states(now) {
        assert_eq!(name(&state), from);
        for input in inputs {
            let mut next = state;
            let step = next.step(now, &limits(now), input);
            let row = table.iter().find(|row| row.0 == from && row.1 == input);
            let (to, expected) = row.map_or((from, NOTHING), |row| (row.2, row.3));
            assert_eq!((name(&next), step), (to, expected), "{from} on {input:?}");
            pairs += 1;
        }
    }
    assert_eq!(pairs, 13 * 12);
}

#[test]
fn a_call_without_an_answer_for_6_s_is_abandoned() {
    let now = epoch();
    let mut state = State::calling(now, &limits(now));
    assert_eq!(state.deadline(&limits(now)), Some(now + Duration::from_secs(6)));
    let step = state.step(now + Duration::from_secs(6), &limits(now), Input::Deadline);
    assert_eq!(step, Step { silence: true, ..end(Cause::Abandoned, None, false) });
    assert_eq!((state, state.deadline(&limits(now))), (State::Abandoned { is_told: true }, None));
}

#[test]
fn a_call_ends_once_whatever_comes_after_what() {
    // Every row of five inputs, from the start: at most one end, and never a word after it but
    // a late ringing.
    let now = epoch();
    let inputs = [
        PROGRESS,
        RINGING,
        DIVERTED,
        Input::Success,
        Input::Answered,
        Input::FarHangUp,
        Input::Failure,
        Input::Timeout,
        Input::TransportError,
        Input::TargetLost,
        Input::HangUp,
        Input::Deadline,
    ];
    let mut walks = 0;
    for walk in 0..inputs.len().pow(5) {
        let mut state = State::calling(now, &limits(now));
        let (mut at, mut code, mut ends) = (now, walk, 0);
        for _ in 0..5 {
            let input = inputs[code % inputs.len()];
            code /= inputs.len();
            if input == Input::Deadline {
                match state.deadline(&limits(now)) {
                    Some(deadline) => at = at.max(deadline),
                    None => continue,
                }
            }
            let was_ended = state.is_ended();
            let step = state.step(at, &limits(now), input);
            ends += usize::from(step.end.is_some());
            assert!(!(was_ended && (step.ringing || step.cancelled || step.end.is_some())));
            assert!(!step.late_ringing || was_ended);
            assert_eq!(state.is_ended(), ends == 1, "walk {walk}");
        }
        walks += 1;
    }
    assert_eq!(walks, 248_832);
}
