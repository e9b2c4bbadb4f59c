mod incoming_call;
mod workflow;

use std::net::SocketAddr;
use std::time::Duration;

use dialplans::{CallerId, CodeLength, E164, TrunkName};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use sip::UserPart;

use super::*;
use crate::ids::{MessageId, VerificationId};
use crate::secrets::SecretKey;
use crate::verification::model::{
    Channel, Client, CodeDigits, DEFAULT_AFTER, DispatchOutcome, DispatchState, Planned, Wording,
};

const START: Timestamp = Timestamp(1_769_850_000_000);
const SHOWN: &str = "+74951230042";
const OTHER: &str = "+74951239077";

fn keys() -> Keys {
    Keys::derive(&SecretKey::parse(&[7; 32]).unwrap())
}

fn at(seconds: u64) -> Timestamp {
    START + Duration::from_secs(seconds)
}

fn caller_id(number: &str) -> CallerId {
    CallerId::new(E164::parse(number).unwrap(), CodeLength::new(4).unwrap()).unwrap()
}

fn code(number: &str) -> StepCode {
    StepCode::of_caller_id(&keys(), VerificationId(1), &caller_id(number), 10_000)
}

fn call(id: u128, number: &str) -> Call {
    Call {
        call_id: CallId(id),
        attempt: 1,
        trunk: TrunkName::parse("north").unwrap(),
        dialled: Some(UserPart::new("+79161234567").unwrap()),
        caller_id: Some(caller_id(number)),
        caller_id_masked: caller_id(number).to_string(),
        dialog: None,
        created_at: START,
        state: CallState::Up { target: None, last_cseq: 0, rang: false },
    }
}

fn step(n: u8, call: Call) -> Step {
    let number = call.caller_id.unwrap().reveal();
    Step {
        n,
        channel: Channel::FlashCall,
        status: StepStatus::Queued,
        detail: None,
        created_at: START,
        code: Some(code(&number)),
        secret: None,
        awaits: None,
        calls: vec![call],
        dispatches: Vec::new(),
    }
}

fn fresh() -> Verification {
    Verification {
        verification_id: VerificationId(1),
        account: "vats".to_owned(),
        live: true,
        version: 1,
        status: VerificationStatus::Pending,
        to: E164::parse("+79161234567").unwrap().into(),
        also: None,
        user_id: None,
        sign_in_id: None,
        purpose: "sign_in".to_owned(),
        locale: None,
        reference: None,
        metadata: None,
        client: Client::default(),
        created_at: START,
        expires_at: at(300),
        ended_at: None,
        code_length: 4,
        code_space: 10_000,
        checks_max: 3,
        checks_used: 0,
        sends_max: 3,
        sends_used: 1,
        next_send_allowed_at: at(15),
        wording: Wording::default(),
        own_code: false,
        proved: None,
        workflow: Vec::new(),
        next_at: None,
        steps: vec![step(1, call(1, SHOWN))],
    }
}

fn check(text: &str) -> Input {
    Input::Check(PresentedCode::parse(text).unwrap())
}

fn resend(id: u128, seconds: u64) -> Input {
    let again = Again::Call(Box::new(call(id, SHOWN)));
    Input::Resend { again, next_send_allowed_at: at(seconds + 15) }
}

/// A step that writes, with the code 654321.
fn sms_step(id: u128) -> Step {
    let digits = CodeDigits::parse("654321").unwrap();
    Step {
        code: Some(StepCode::of_digits(&keys(), VerificationId(1), &digits)),
        secret: Some(digits),
        dispatches: vec![Dispatch::queued(MessageId(id), START)],
        ..Step::bare(9, Channel::Sms, StepStatus::Queued, START)
    }
}

fn next_step(id: u128, reason: Reason, seconds: u64) -> Input {
    let step = Box::new(sms_step(id));
    Input::NextStep { step, reason, next_send_allowed_at: at(seconds + 15) }
}

fn dispatched(id: u128, outcome: DispatchOutcome) -> Input {
    let detail = outcome.as_str().to_owned();
    Input::Dispatched { dispatch_id: MessageId(id), outcome, detail }
}

/// A receipt of one of two parts.
fn receipt(id: u128, part: usize, delivered: bool) -> Input {
    let detail = "receipt".to_owned();
    Input::Receipt { dispatch_id: MessageId(id), part, parts: 2, delivered, detail }
}

fn invite_sent(id: u128) -> Input {
    let target: SocketAddr = "192.0.2.1:5060".parse().unwrap();
    let call_id = CallId(id);
    Input::Progress { call_id, target: Some(target), cseq: 1, ringing: false, cancelled: false }
}

fn cancelled(id: u128) -> Input {
    let call_id = CallId(id);
    Input::Progress { call_id, target: None, cseq: 2, ringing: true, cancelled: true }
}

fn ended(id: u128, outcome: CallOutcome, last: bool) -> Input {
    let record = CallRecord {
        ended_at: at(10),
        outcome,
        rang: outcome == CallOutcome::Rang,
        status: Some(487),
        q850: None,
        retry_after: None,
        target: None,
        timeline: Vec::new(),
    };
    Input::CallEnded { call_id: CallId(id), record, last }
}

/// Applies inputs that must be accepted, all at one moment.
fn after(now: Timestamp, inputs: &[Input]) -> Verification {
    let mut verification = fresh();
    for input in inputs {
        verification.apply(now, &keys(), input).unwrap();
    }
    verification
}

#[test]
fn each_outcome_gives_its_step_status_and_says_whether_the_code_lives_on() {
    use VerificationStatus::{Failed, Pending};
    let table = [
        (CallOutcome::Rang, StepStatus::Rang, Pending),
        (CallOutcome::Answered, StepStatus::Answered, Pending),
        (CallOutcome::Busy, StepStatus::Busy, Failed),
        (CallOutcome::Diverted, StepStatus::Diverted, Failed),
        (CallOutcome::Unallocated, StepStatus::NoRoute, Failed),
        (CallOutcome::NoRoute, StepStatus::NoRoute, Failed),
        (CallOutcome::Changed, StepStatus::Unreachable, Failed),
        (CallOutcome::BadNumber, StepStatus::NoRoute, Failed),
        (CallOutcome::Unreachable, StepStatus::Unreachable, Failed),
        (CallOutcome::NoRing, StepStatus::Unreachable, Failed),
        (CallOutcome::Congestion, StepStatus::Failed, Failed),
        (CallOutcome::TrunkTimeout, StepStatus::Failed, Failed),
        (CallOutcome::TrunkDown, StepStatus::Failed, Failed),
        (CallOutcome::Blocked, StepStatus::Declined, Failed),
        (CallOutcome::TrunkForbids, StepStatus::Rejected, Failed),
        (CallOutcome::NoFunds, StepStatus::Rejected, Failed),
        (CallOutcome::AuthFailed, StepStatus::Rejected, Failed),
        (CallOutcome::Identity, StepStatus::Rejected, Failed),
        (CallOutcome::TrunkError, StepStatus::Failed, Failed),
        (CallOutcome::Format, StepStatus::Failed, Failed),
        (CallOutcome::TrunkProtocol, StepStatus::Failed, Failed),
        (CallOutcome::Canceled, StepStatus::Canceled, Failed),
        (CallOutcome::LateRing, StepStatus::Rang, Pending),
        (CallOutcome::Interrupted, StepStatus::Interrupted, Pending),
    ];
    assert_eq!(table.len(), CallOutcome::ALL.len());
    for (outcome, step, status) in table {
        let verification = after(at(10), &[invite_sent(1), ended(1, outcome, true)]);
        let stands = (verification.steps[0].status, verification.status);
        assert_eq!(stands, (step, status), "{outcome:?}");
        assert_eq!(verification.steps[0].detail.as_deref(), Some(outcome.as_str()));
        let lives_on = verification.steps[0].checkable_code(at(11)).is_some();
        assert_eq!(lives_on, status == Pending, "{outcome:?}");
        assert_eq!(verification.steps[0].calls[0].dialled, None);
        let verification = after(at(10), &[invite_sent(1), ended(1, outcome, false)]);
        assert_eq!(verification.status, Pending, "{outcome:?}: something is left to try");
    }
}

#[test]
fn the_last_digits_or_the_whole_caller_number_approve_and_nothing_between() {
    for (text, right) in [
        ("0042", true),
        ("+74951230042", true),
        ("7 (495) 123-00-42", true),
        ("42", false),
        ("0043", false),
        ("30042", false),
        ("4951230042", false),
        ("+74951239042", false),
        ("00420042", false),
    ] {
        let mut verification = after(at(5), &[invite_sent(1), cancelled(1)]);
        let answer = verification.apply(at(6), &keys(), &check(text));
        assert_eq!(answer, Ok(Answer::Checked { valid: right }), "{text}");
        assert_eq!(verification.status == VerificationStatus::Approved, right, "{text}");
        assert_eq!(verification.checks_used, 1);
    }
}

#[test]
fn a_text_without_digits_or_with_letters_is_no_code() {
    for text in ["", " - ", "12a4", "１２３４", &"1".repeat(33)] {
        assert_eq!(PresentedCode::parse(text), Err(PresentedCodeError), "{text}");
    }
}

#[test]
fn the_last_wrong_check_locks_and_a_right_one_comes_too_late() {
    let mut verification = after(at(5), &[check("1111"), check("2222"), check("3333")]);
    assert_eq!(verification.status, VerificationStatus::Locked);
    assert_eq!(verification.ended_at, Some(at(5)));
    let late = verification.apply(at(6), &keys(), &check("0042"));
    assert_eq!(late, Err(Refusal::Ended { status: VerificationStatus::Locked }));
    assert_eq!((verification.checks_used, verification.version), (3, 4));
}

#[test]
fn a_code_is_right_until_the_last_millisecond_and_expired_from_then_on() {
    let mut verification = fresh();
    let just_in_time = at(300) - Duration::from_millis(1);
    let answer = verification.apply(just_in_time, &keys(), &check("0042"));
    assert_eq!(answer, Ok(Answer::Checked { valid: true }));

    let mut verification = fresh();
    let late = verification.apply(at(300), &keys(), &check("0042"));
    assert_eq!(late, Err(Refusal::Ended { status: VerificationStatus::Expired }));
    assert_eq!((verification.version, verification.ended_at), (2, Some(at(300))));
}

#[test]
fn an_interrupted_call_leaves_its_code_checkable() {
    let interrupted = ended(1, CallOutcome::Interrupted, true);
    let mut verification = after(at(20), &[invite_sent(1), interrupted]);
    assert_eq!(verification.steps[0].status, StepStatus::Interrupted);
    let answer = verification.apply(at(21), &keys(), &check("0042"));
    assert_eq!(answer, Ok(Answer::Checked { valid: true }));
}

#[test]
fn a_diverted_call_withdraws_the_code() {
    let mut verification = after(at(5), &[invite_sent(1), ended(1, CallOutcome::Diverted, false)]);
    assert!(verification.steps[0].code.is_none());
    let answer = verification.apply(at(6), &keys(), &check("0042"));
    assert_eq!(answer, Ok(Answer::Checked { valid: false }));
    let refused = verification.apply(at(20), &keys(), &resend(2, 20));
    assert_eq!(refused, Err(Refusal::NotRepeatable));
}

#[test]
fn a_step_rang_as_soon_as_our_cancel_left_and_a_crossing_200_makes_it_answered() {
    let mut verification = after(at(5), &[invite_sent(1), cancelled(1)]);
    assert_eq!(verification.steps[0].status, StepStatus::Rang);
    assert_eq!(verification.steps[0].detail.as_deref(), Some("ring_limit"));
    let mut rang = verification.clone();
    rang.apply(at(6), &keys(), &ended(1, CallOutcome::Rang, true)).unwrap();
    assert_eq!(rang.steps[0].detail.as_deref(), Some("ring_limit"));
    verification.apply(at(6), &keys(), &ended(1, CallOutcome::Answered, true)).unwrap();
    assert_eq!(verification.steps[0].status, StepStatus::Answered);
    assert!(verification.steps[0].checkable_code(at(7)).is_some());
}

#[test]
fn a_resend_waits_its_time_counts_as_a_send_and_keeps_the_code() {
    let rang = [invite_sent(1), cancelled(1), ended(1, CallOutcome::Rang, true)];
    let mut verification = after(at(10), &rang);
    let soon = verification.apply(at(14), &keys(), &resend(2, 14));
    assert_eq!(soon, Err(Refusal::TooSoon { allowed_at: at(15) }));
    assert_eq!(verification.apply(at(15), &keys(), &resend(2, 15)), Ok(Answer::Done));
    assert_eq!((verification.sends_used, verification.steps[0].calls[1].attempt), (2, 2));
    let up = verification.apply(at(31), &keys(), &resend(3, 31));
    assert_eq!(up, Err(Refusal::NotRepeatable));
    // The second call fails; the first one has shown the code.
    verification.apply(at(32), &keys(), &ended(2, CallOutcome::Busy, true)).unwrap();
    assert_eq!(verification.steps[0].status, StepStatus::Rang);
    verification.apply(at(33), &keys(), &resend(3, 33)).unwrap();
    verification.apply(at(34), &keys(), &ended(3, CallOutcome::Rang, true)).unwrap();
    let none = verification.apply(at(90), &keys(), &resend(4, 90));
    assert_eq!(none, Err(Refusal::NoSendLeft));
    let answer = verification.apply(at(91), &keys(), &check("0042"));
    assert_eq!(answer, Ok(Answer::Checked { valid: true }));
}

#[test]
fn a_next_attempt_follows_only_when_nothing_rang_and_may_bring_a_new_code() {
    let attempt = |id, number, code| {
        let follows = CallId(id - 1);
        Input::NextAttempt { follows, call: Box::new(call(id, number)), code }
    };
    let mut verification = after(at(2), &[invite_sent(1)]);
    let up = verification.apply(at(3), &keys(), &attempt(2, SHOWN, None));
    assert_eq!(up, Err(Refusal::NotRepeatable));
    verification.apply(at(6), &keys(), &ended(1, CallOutcome::TrunkTimeout, false)).unwrap();
    let new = StepCode { space: 5_000, ..code(OTHER) };
    verification.apply(at(7), &keys(), &attempt(2, OTHER, Some(new))).unwrap();
    assert_eq!((verification.sends_used, verification.code_space), (1, 5_000));
    verification.apply(at(8), &keys(), &cancelled(2)).unwrap();
    let old = verification.apply(at(9), &keys(), &check("0042"));
    assert_eq!(old, Ok(Answer::Checked { valid: false }));
    verification.apply(at(9), &keys(), &ended(2, CallOutcome::Rang, false)).unwrap();
    let rang = verification.apply(at(10), &keys(), &attempt(3, OTHER, None));
    assert_eq!(rang, Err(Refusal::NotRepeatable));
    let right = verification.apply(at(11), &keys(), &check("9077"));
    assert_eq!(right, Ok(Answer::Checked { valid: true }));
}

#[test]
fn a_late_ring_of_an_earlier_caller_id_ends_the_step_and_its_code() {
    let mut verification = after(at(2), &[invite_sent(1)]);
    let second = Call { attempt: 2, ..call(2, OTHER) };
    verification.steps[0].calls.push(second);
    verification.steps[0].code = Some(code(OTHER));
    verification.apply(at(3), &keys(), &ended(1, CallOutcome::LateRing, false)).unwrap();
    assert_eq!(verification.steps[0].status, StepStatus::Failed);
    assert!(verification.steps[0].code.is_none());
}

#[test]
fn nothing_left_waits_for_what_is_under_way() {
    let mut verification = fresh();
    assert_eq!(verification.apply(at(1), &keys(), &Input::NothingLeft), Ok(Answer::Done));
    assert_eq!((verification.status, verification.version), (VerificationStatus::Pending, 1));
    verification.apply(at(2), &keys(), &ended(1, CallOutcome::Busy, false)).unwrap();
    verification.apply(at(3), &keys(), &Input::NothingLeft).unwrap();
    assert_eq!(verification.status, VerificationStatus::Failed);
}

#[test]
fn the_end_forgets_codes_and_the_caller_ids_of_ended_calls() {
    let mut verification = after(at(5), &[invite_sent(1), check("0042")]);
    assert_eq!(verification.status, VerificationStatus::Approved);
    assert!(verification.steps[0].code.is_none());
    assert!(verification.steps[0].calls[0].caller_id.is_some(), "a CANCEL still needs it");
    verification.apply(at(6), &keys(), &ended(1, CallOutcome::Canceled, true)).unwrap();
    assert_eq!(verification.steps[0].calls[0].caller_id, None);
    assert_eq!(verification.steps[0].status, StepStatus::Canceled);
    assert_eq!(
        (verification.status, verification.ended_at),
        (VerificationStatus::Approved, Some(at(5)))
    );
}

#[test]
fn facts_of_a_call_only_accumulate() {
    let mut verification = after(at(5), &[cancelled(1)]);
    let version = verification.version;
    let late = Input::Progress {
        call_id: CallId(1),
        target: None,
        cseq: 1,
        ringing: false,
        cancelled: false,
    };
    assert_eq!(verification.apply(at(6), &keys(), &late), Ok(Answer::Done));
    assert_eq!(verification.version, version);
    let unknown = verification.apply(at(6), &keys(), &cancelled(77));
    assert_eq!(unknown, Err(Refusal::NoSuchCall));
}

/// An attempt that follows the first call.
fn attempt(id: u128, number: &str, code: Option<StepCode>) -> Input {
    Input::NextAttempt { follows: CallId(1), call: Box::new(call(id, number)), code }
}

/// One whose workflow goes on with a text.
fn with_workflow() -> Verification {
    let planned = Planned { channel: Channel::Sms, after: DEFAULT_AFTER };
    Verification { workflow: vec![planned], ..fresh() }
}

/// What a walk is made of: everything that can happen, with right and wrong matter.
fn alphabet() -> Vec<Input> {
    let mut inputs = vec![
        check("0042"),
        check(SHOWN),
        check("9077"),
        check("1111"),
        Input::Cancel,
        Input::Supersede,
        Input::NothingLeft,
        Input::Expire,
        resend(2, 0),
        attempt(3, SHOWN, None),
        attempt(4, OTHER, Some(code(OTHER))),
        next_step(5, Reason::Due, 0),
        next_step(6, Reason::Chosen, 0),
        Input::Sending { dispatch_id: MessageId(5) },
        dispatched(5, DispatchOutcome::Sent),
        dispatched(5, DispatchOutcome::Failed),
    ];
    for id in [1, 2, 4] {
        inputs.extend([invite_sent(id), cancelled(id)]);
        for outcome in [CallOutcome::Rang, CallOutcome::Busy, CallOutcome::Diverted] {
            inputs.push(ended(id, outcome, id == 4));
        }
    }
    inputs
}

/// Applies one input and holds the invariants against what was before. Says whether a check
/// approved.
fn step_of_walk(verification: &mut Verification, now: Timestamp, keys: &Keys, input: &Input) {
    let before = verification.clone();
    let answer = verification.apply(now, keys, input);
    let mut same_version = verification.clone();
    same_version.version = before.version;
    let rise = u32::from(same_version != before);
    assert_eq!(verification.version, before.version + rise, "{input:?}: {before:#?}");
    assert!(verification.checks_used <= verification.checks_max);
    assert!(verification.sends_used <= verification.sends_max);
    assert_eq!(verification.is_pending(), verification.ended_at.is_none());
    let approved = !before.steps.is_empty()
        && before.is_pending()
        && verification.status == VerificationStatus::Approved;
    assert_eq!(approved, answer == Ok(Answer::Checked { valid: true }));
    if !before.is_pending() {
        let frozen = |v: &Verification| {
            (v.status, v.ended_at, v.checks_used, v.sends_used, v.steps.len(), v.code_length)
        };
        assert_eq!(frozen(verification), frozen(&before), "an ended one moved by {input:?}");
        assert!(!matches!(answer, Ok(Answer::Checked { .. })));
    }
    if !verification.is_pending() {
        let forgot = |step: &Step| step.code.is_none() && step.secret.is_none();
        assert!(verification.steps.iter().all(forgot));
        let open = |step: &Step| step.dispatches.iter().any(Dispatch::is_open);
        assert!(!verification.steps.iter().any(open));
        assert_eq!(verification.next_at, None);
        let mut calls = verification.steps.iter().flat_map(|step| &step.calls);
        assert!(calls.all(|call| call.is_up() || call.caller_id.is_none()));
    }
    if answer.is_err() && before.is_pending() && now < before.expires_at {
        assert_eq!(*verification, before, "a refusal changes nothing");
    }
}

#[test]
fn every_walk_of_four_inputs_keeps_the_invariants() {
    let (inputs, keys) = (alphabet(), keys());
    let mut walks = 0;
    let mut stack = vec![(with_workflow(), 0)];
    while let Some((verification, depth)) = stack.pop() {
        for input in &inputs {
            // Inputs are 20 s apart, so that resends are due and codes of earlier steps lapse.
            let mut next = verification.clone();
            step_of_walk(&mut next, at(20 * (depth + 1)), &keys, input);
            walks += 1;
            // What an ended one does is the same whatever ended it: two more steps show it.
            if depth < 3 && (next.is_pending() || depth < 1) {
                stack.push((next, depth + 1));
            }
        }
    }
    println!("{walks} steps over {} inputs", inputs.len());
    assert!(walks > 300_000);
}

#[test]
fn long_random_walks_keep_the_invariants_and_approve_at_most_once() {
    let seed = 20_260_131_u64;
    println!("seed {seed}");
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let (inputs, keys) = (alphabet(), keys());
    let mut ends = std::collections::BTreeMap::new();
    for _ in 0..3_000 {
        let mut verification = with_workflow();
        let mut seconds = 0;
        for _ in 0..40 {
            seconds += u64::from(rng.next_u32() % 16);
            let input = &inputs[rng.next_u32() as usize % inputs.len()];
            // Wrong codes and cancels end a walk early; most are skipped.
            let ending = matches!(input, Input::Check(_) | Input::Cancel | Input::Supersede);
            if !ending || rng.next_u32().is_multiple_of(4) {
                step_of_walk(&mut verification, at(seconds), &keys, input);
            }
        }
        *ends.entry(verification.status).or_insert(0) += 1;
    }
    println!("{ends:?}");
    assert!(ends.len() >= 6, "walks reach every end: {ends:?}");
}
