//! The user calls.

use dialplans::E164;

use super::{at, fresh, keys};
use crate::verification::machine::{Answer, Input, Refusal};
use crate::verification::model::{
    CallVerdict, Channel, Step, StepStatus, Verification, VerificationStatus,
};

const OURS: &str = "+74951250000";

fn waiting() -> Verification {
    let bare = Step::bare(1, Channel::IncomingCall, StepStatus::Waiting, at(0));
    let step = Step { awaits: E164::parse(OURS).ok(), ..bare };
    Verification { steps: vec![step], ..fresh() }
}

fn call(called: &str, is_trusted: bool) -> Input {
    Input::IncomingCall { called: E164::parse(called).unwrap(), is_trusted }
}

fn apply(
    verification: &mut Verification,
    seconds: u64,
    input: &Input,
) -> Result<CallVerdict, Refusal> {
    match verification.apply(at(seconds), &keys(), input)? {
        Answer::Called(verdict) => Ok(verdict),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_trusted_call_to_the_number_that_was_given_out_approves_once() {
    let mut verification = waiting();
    assert_eq!(apply(&mut verification, 5, &call(OURS, true)), Ok(CallVerdict::Approved));
    assert_eq!(verification.status, VerificationStatus::Approved);
    assert_eq!((verification.ended_at, verification.checks_used), (Some(at(5)), 0));
    let step = &verification.steps[0];
    assert_eq!((step.status, step.awaits), (StepStatus::Called, None));
    let status = VerificationStatus::Approved;
    assert_eq!(apply(&mut verification, 6, &call(OURS, true)), Err(Refusal::Ended { status }));
}

#[test]
fn any_other_call_leaves_it_waiting_and_says_why() {
    let mut verification = waiting();
    for (input, verdict) in [
        (call("+74951250001", true), CallVerdict::WrongNumber),
        (call(OURS, false), CallVerdict::UntrustedNumber),
    ] {
        assert_eq!(apply(&mut verification, 5, &input), Ok(verdict));
        assert_eq!(verification.steps[0].detail.as_deref(), Some(verdict.as_str()));
        assert_eq!(verification.steps[0].status, StepStatus::Waiting);
        assert!(verification.is_pending());
    }
}

#[test]
fn a_call_after_the_time_ran_out_proves_nothing() {
    let mut verification = waiting();
    let late = call(OURS, true);
    let status = VerificationStatus::Expired;
    assert_eq!(apply(&mut verification, 301, &late), Err(Refusal::Ended { status }));
    assert_eq!(verification.steps[0].status, StepStatus::Canceled);
}

#[test]
fn a_flash_call_waits_for_no_call_of_its_user() {
    let mut verification = fresh();
    assert_eq!(apply(&mut verification, 5, &call(OURS, true)), Err(Refusal::NotAwaited));
}
