//! From one channel to the next.

use super::*;

/// The phone rang at 10 s, and the workflow goes on with a text.
fn rang() -> Verification {
    let mut verification = with_workflow();
    for input in [invite_sent(1), cancelled(1), ended(1, CallOutcome::Rang, true)] {
        verification.apply(at(10), &keys(), &input).unwrap();
    }
    verification
}

/// The text of [`rang`] was handed on at 71 s.
fn sent() -> Verification {
    let mut verification = rang();
    verification.apply(at(70), &keys(), &next_step(5, Reason::Due, 70)).unwrap();
    let sending = Input::Sending { dispatch_id: MessageId(5) };
    verification.apply(at(70), &keys(), &sending).unwrap();
    verification.apply(at(71), &keys(), &dispatched(5, DispatchOutcome::Sent)).unwrap();
    verification
}

fn is_right(verification: &Verification, seconds: u64, code: &str) -> bool {
    let answer = verification.clone().apply(at(seconds), &keys(), &check(code));
    answer == Ok(Answer::Checked { valid: true })
}

#[test]
fn the_next_channel_waits_a_minute_after_a_call_that_rang() {
    let mut verification = with_workflow();
    for input in [invite_sent(1), cancelled(1)] {
        verification.apply(at(8), &keys(), &input).unwrap();
        assert_eq!(verification.next(), None, "a call is up");
    }
    verification.apply(at(10), &keys(), &ended(1, CallOutcome::Rang, true)).unwrap();
    assert_eq!(verification.next(), Some((Channel::Sms, at(70))));
    let early = verification.apply(at(69), &keys(), &next_step(5, Reason::Due, 69));
    assert_eq!(early, Err(Refusal::NotDue));
    verification.apply(at(70), &keys(), &next_step(5, Reason::Due, 70)).unwrap();
    assert_eq!((verification.steps[1].n, verification.sends_used), (2, 2));
    assert_eq!((verification.code_length, verification.next()), (6, None));
    let twice = verification.apply(at(70), &keys(), &next_step(6, Reason::Due, 70));
    assert_eq!(twice, Err(Refusal::NotDue));
}

#[test]
fn evidence_that_nothing_rang_moves_the_workflow_at_once() {
    let outcomes = [CallOutcome::Busy, CallOutcome::Unreachable, CallOutcome::Diverted];
    for outcome in outcomes.into_iter().chain([CallOutcome::TrunkDown, CallOutcome::Canceled]) {
        let mut verification = with_workflow();
        verification.apply(at(3), &keys(), &ended(1, outcome, false)).unwrap();
        assert_eq!(verification.next(), None, "{outcome:?}: another trunk may follow");
        verification.apply(at(4), &keys(), &Input::NothingLeft).unwrap();
        assert_eq!(verification.next(), Some((Channel::Sms, at(4))), "{outcome:?}");
    }
}

#[test]
fn the_user_need_not_wait_for_another_channel() {
    let mut verification = rang();
    let soon = verification.apply(at(14), &keys(), &next_step(5, Reason::Chosen, 14));
    assert_eq!(soon, Err(Refusal::TooSoon { allowed_at: at(15) }));
    verification.apply(at(15), &keys(), &next_step(5, Reason::Chosen, 15)).unwrap();
    assert_eq!((verification.workflow.len(), verification.steps.len()), (0, 2));
    let again = verification.apply(at(40), &keys(), &next_step(6, Reason::Chosen, 40));
    assert_eq!(again, Err(Refusal::NotRepeatable), "a resend is meant");
}

#[test]
fn an_earlier_code_lives_sixty_seconds_beside_the_one_that_went_out() {
    let both = sent();
    for (seconds, code, right) in
        [(130, "0042", true), (131, "0042", false), (131, "654321", true), (131, "9077", false)]
    {
        assert_eq!(is_right(&both, seconds, code), right, "{code} after {seconds} s");
    }
}

#[test]
fn an_earlier_code_lives_on_when_the_next_one_never_went_out() {
    let mut verification = rang();
    verification.apply(at(70), &keys(), &next_step(5, Reason::Due, 70)).unwrap();
    let failed = dispatched(5, DispatchOutcome::Failed);
    verification.apply(at(80), &keys(), &failed).unwrap();
    assert_eq!(verification.status, VerificationStatus::Pending);
    assert!(is_right(&verification, 250, "0042"));
    assert!(!is_right(&verification, 250, "654321"));
}

#[test]
fn a_receipt_that_says_undelivered_fails_the_step_and_one_that_comes_twice_changes_nothing() {
    let mut verification = sent();
    verification.steps.remove(0);
    let late = dispatched(5, DispatchOutcome::Failed);
    verification.apply(at(90), &keys(), &late).unwrap();
    assert_eq!(verification.status, VerificationStatus::Failed);

    let mut delivered = sent();
    delivered.apply(at(90), &keys(), &dispatched(5, DispatchOutcome::Delivered)).unwrap();
    assert_eq!(delivered.steps[1].status, StepStatus::Delivered);
    let version = delivered.version;
    delivered.apply(at(91), &keys(), &late).unwrap();
    assert_eq!((delivered.version, delivered.steps[1].status), (version, StepStatus::Delivered));
}

#[test]
fn a_lost_answer_leaves_the_code_checkable_and_is_never_sent_again() {
    let mut verification = with_workflow();
    verification.steps = vec![Step { n: 1, ..sms_step(5) }];
    let sending = Input::Sending { dispatch_id: MessageId(5) };
    verification.apply(at(1), &keys(), &sending).unwrap();
    assert_eq!(verification.steps[0].status, StepStatus::Sending);
    assert_eq!(verification.apply(at(2), &keys(), &sending), Err(Refusal::NotRepeatable));
    verification.apply(at(3), &keys(), &dispatched(5, DispatchOutcome::Unknown)).unwrap();
    assert_eq!(verification.steps[0].status, StepStatus::Interrupted);
    assert_eq!(verification.apply(at(4), &keys(), &sending), Err(Refusal::NotRepeatable));
    assert!(is_right(&verification, 5, "654321"));
}

#[test]
fn what_was_not_handed_on_when_the_verification_ended_is_not_handed_on() {
    let mut verification = rang();
    verification.apply(at(70), &keys(), &next_step(5, Reason::Due, 70)).unwrap();
    verification.apply(at(71), &keys(), &check("0042")).unwrap();
    assert_eq!(verification.steps[1].status, StepStatus::Canceled);
    let sending = Input::Sending { dispatch_id: MessageId(5) };
    let refused = verification.apply(at(72), &keys(), &sending);
    assert_eq!(refused, Err(Refusal::Ended { status: VerificationStatus::Approved }));
    assert!(matches!(verification.steps[1].dispatches[0].state, DispatchState::Ended { .. }));
}

#[test]
fn a_resend_of_a_text_keeps_its_code_and_a_failed_one_takes_nothing_back() {
    let mut verification = sent();
    let again = Again::Dispatches(vec![Dispatch::queued(MessageId(6), at(90))]);
    let resend = Input::Resend { again, next_send_allowed_at: at(105) };
    verification.apply(at(90), &keys(), &resend).unwrap();
    assert_eq!(verification.steps[1].status, StepStatus::Sent);
    verification.apply(at(91), &keys(), &dispatched(6, DispatchOutcome::Rejected)).unwrap();
    assert_eq!(verification.steps[1].status, StepStatus::Sent);
    assert!(is_right(&verification, 200, "654321"));
}

#[test]
fn channels_that_cannot_be_begun_are_left_out_one_after_the_other() {
    let mut verification = with_workflow();
    let voice = Planned { channel: Channel::Voice, after: DEFAULT_AFTER };
    verification.workflow.push(voice);
    verification.apply(at(3), &keys(), &ended(1, CallOutcome::Busy, true)).unwrap();
    let skipped = |channel| Input::Skipped {
        channel,
        status: StepStatus::NoRoute,
        detail: "no_route".to_owned(),
    };
    let wrong = verification.apply(at(3), &keys(), &skipped(Channel::Voice));
    assert_eq!(wrong, Err(Refusal::NotDue));
    verification.apply(at(3), &keys(), &skipped(Channel::Sms)).unwrap();
    assert_eq!(verification.next(), Some((Channel::Voice, at(3))));
    verification.apply(at(4), &keys(), &skipped(Channel::Voice)).unwrap();
    assert_eq!(verification.status, VerificationStatus::Failed);
    assert_eq!((verification.steps.len(), verification.sends_used), (3, 1));
}

#[test]
fn an_attempt_of_a_step_that_the_user_left_is_not_begun() {
    let mut verification = with_workflow();
    verification.apply(at(15), &keys(), &next_step(5, Reason::Chosen, 15)).unwrap();
    verification.apply(at(16), &keys(), &ended(1, CallOutcome::Congestion, false)).unwrap();
    let late = verification.apply(at(16), &keys(), &attempt(3, SHOWN, None));
    assert_eq!(late, Err(Refusal::NotRepeatable));
}

#[test]
fn without_a_send_left_no_channel_is_due() {
    let mut verification = Verification { sends_max: 1, ..with_workflow() };
    verification.apply(at(3), &keys(), &ended(1, CallOutcome::Rang, true)).unwrap();
    assert_eq!((verification.next(), verification.is_pending()), (None, true));
    let mut verification = Verification { sends_max: 1, ..with_workflow() };
    verification.apply(at(3), &keys(), &ended(1, CallOutcome::Busy, true)).unwrap();
    assert_eq!(verification.status, VerificationStatus::Failed);
}

#[test]
fn drawn_codes_have_six_digits_and_are_spread_evenly() {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let mut first = [0_u32; 10];
    for _ in 0..10_000 {
        let code = CodeDigits::draw(&mut rng);
        assert_eq!(code.reveal().len(), 6);
        first[usize::from(code.reveal().as_bytes()[0] - b'0')] += 1;
    }
    assert!(first.iter().all(|&count| (850..1_150).contains(&count)), "{first:?}");
}

#[test]
fn a_text_of_two_parts_has_arrived_with_the_second_receipt_and_none_counts_twice() {
    let mut verification = sent();
    let mut status_after = |input: Input| {
        verification.apply(at(72), &keys(), &input).unwrap();
        (verification.steps[1].status, verification.version)
    };
    let (first, version) = status_after(receipt(5, 1, true));
    assert_eq!(first, StepStatus::Sent);
    assert_eq!(status_after(receipt(5, 1, true)), (StepStatus::Sent, version), "doubled");
    assert_eq!(status_after(receipt(5, 2, true)), (StepStatus::Sent, version), "of no part");
    let delivered = status_after(receipt(5, 0, true));
    assert_eq!(delivered, (StepStatus::Delivered, version + 1));
    assert_eq!(status_after(receipt(5, 0, false)), delivered, "an end stays what it is");
    assert!(is_right(&verification, 73, "654321"));
}

#[test]
fn one_part_that_will_not_arrive_is_enough_and_a_late_other_one_changes_nothing() {
    let mut verification = sent();
    verification.apply(at(72), &keys(), &receipt(5, 1, false)).unwrap();
    assert_eq!(verification.steps[1].status, StepStatus::Failed);
    assert_eq!(verification.steps[1].detail.as_deref(), Some("receipt"));
    for part in [0, 1] {
        verification.apply(at(73), &keys(), &receipt(5, part, true)).unwrap();
    }
    assert_eq!(verification.steps[1].status, StepStatus::Failed);
}

#[test]
fn a_receipt_that_overtakes_the_answer_is_not_taken_back_by_it() {
    let mut verification = rang();
    verification.apply(at(70), &keys(), &next_step(5, Reason::Due, 70)).unwrap();
    let sending = Input::Sending { dispatch_id: MessageId(5) };
    verification.apply(at(70), &keys(), &sending).unwrap();
    for input in [receipt(5, 0, true), receipt(5, 1, true), dispatched(5, DispatchOutcome::Sent)] {
        verification.apply(at(71), &keys(), &input).unwrap();
    }
    assert_eq!(verification.steps[1].status, StepStatus::Delivered);
}
