//! Verifications: stored, moved, read back.

use std::time::Duration;

use daemon::ids::{CallId, VerificationId};
use daemon::store::{Applied, Apply, ApplyRefused, Created, Who};
use daemon::verification::machine::{Again, Answer, Input, Refusal};
use daemon::verification::model::{
    CallState, StepCode, StepStatus, StoredTarget, VerificationStatus,
};
use sip::CallOutcome;

use crate::on_both;
use crate::world::{World, caller_id, check, ended, progress, record};

on_both! {
    a_verification_reads_back_as_it_was_stored,
    the_walk_of_a_flash_call_reads_back_after_each_step,
    a_second_attempt_and_a_resend_read_back_with_their_calls,
    what_is_not_theirs_is_not_there,
    a_version_is_told_after_its_commit_and_not_before,
    a_call_is_recorded_after_its_verification_has_ended,
    a_number_without_a_line_is_remembered_for_its_time,
}

async fn a_verification_reads_back_as_it_was_stored(world: World) {
    let mut verification = world.verification("+79161234567", "+74951230042");
    verification.reference = Some("order-17".to_owned());
    verification.client.session = Some("session".to_owned());
    let created = world.create(verification.clone()).await;
    assert!(matches!(created, Created::Stored { superseded: None, response: None, .. }));
    assert_eq!(world.read(verification.verification_id).await, verification);
}

async fn the_walk_of_a_flash_call_reads_back_after_each_step(world: World) {
    let stored = world.stored("+79161234567", "+74951230042").await;
    let (id, call) = (stored.verification_id, &stored.steps[0].calls[0]);
    let mut version = 1;
    for (input, status) in [
        (progress(call, 1, false, false), StepStatus::Dialing),
        (progress(call, 2, true, false), StepStatus::Dialing),
        (progress(call, 2, true, true), StepStatus::Rang),
        (ended(call, world.clock.now(), CallOutcome::Rang, true), StepStatus::Rang),
    ] {
        world.clock.advance(Duration::from_secs(1));
        let applied = world.accepted(id, input).await;
        version += 1;
        assert_eq!((applied.version, applied.steps[0].status), (version, status));
        assert_eq!(world.read(id).await, applied);
    }
    let Applied::Accepted { verification, answer, .. } = world.apply(id, check("0043")).await
    else {
        panic!("a check is accepted")
    };
    assert_eq!((answer, verification.checks_used), (Answer::Checked { valid: false }, 1));
    let approved = world.accepted(id, check("0042")).await;
    assert_eq!(approved.status, VerificationStatus::Approved);
    let read = world.read(id).await;
    assert_eq!(read, approved);
    assert!(read.steps[0].code.is_none() && read.steps[0].calls[0].caller_id.is_none());
    let refused = world.apply(id, Input::Cancel).await;
    let status = VerificationStatus::Approved;
    let reason = ApplyRefused::Machine(Refusal::Ended { status });
    assert!(matches!(refused, Applied::Refused { refusal, .. } if refusal == reason));
    let call = world.store.call(&Who::Gateway, call.call_id).await.unwrap().unwrap();
    assert_eq!(call.state, CallState::Ended(record(crate::world::START, CallOutcome::Rang)));
    assert_eq!((call.step_n, StoredTarget::Number(call.to)), (1, stored.to));
}

async fn a_second_attempt_and_a_resend_read_back_with_their_calls(world: World) {
    let stored = world.stored("+79161234567", "+74951230042").await;
    let (id, call) = (stored.verification_id, &stored.steps[0].calls[0]);
    let now = world.clock.now();
    world.accepted(id, ended(call, now, CallOutcome::TrunkTimeout, false)).await;
    let second = world.call("+79161234567", "+74951239077");
    let code = StepCode::of_caller_id(&world.keys, id, &caller_id("+74951239077"), 5_000);
    let attempt = Input::NextAttempt {
        follows: call.call_id,
        call: Box::new(second.clone()),
        code: Some(code),
    };
    world.accepted(id, attempt).await;
    world.accepted(id, ended(&second, now, CallOutcome::Rang, true)).await;
    world.clock.advance(Duration::from_secs(20));
    let third = world.call("+79161234567", "+74951239077");
    let next_send_allowed_at = world.clock.now() + Duration::from_secs(15);
    let resend = Input::Resend { again: Again::Call(Box::new(third)), next_send_allowed_at };
    let resent = world.accepted(id, resend).await;
    assert_eq!(
        resent.steps[0].calls.iter().map(|call| call.attempt).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert_eq!((resent.code_space, resent.sends_used), (5_000, 2));
    assert_eq!(world.read(id).await, resent);
    assert_eq!(world.accepted(id, check("9077")).await.status, VerificationStatus::Approved);
}

async fn what_is_not_theirs_is_not_there(world: World) {
    let stored = world.stored("+79161234567", "+74951230042").await;
    let id = stored.verification_id;
    let who = |account: &str, live| Who::Account { account: account.to_owned(), live };
    for (who, theirs) in
        [(who("vats", true), true), (who("vats", false), false), (who("other", true), false)]
    {
        assert_eq!(world.store.verification(&who, id).await.unwrap().is_some(), theirs, "{who:?}");
        let call_id = stored.steps[0].calls[0].call_id;
        assert_eq!(world.store.call(&who, call_id).await.unwrap().is_some(), theirs, "{who:?}");
        let apply = Apply { who, ..Apply::internal(id, Input::NothingLeft) };
        let applied = world.store.apply(apply).await.unwrap();
        assert_eq!(!matches!(applied, Applied::NotFound), theirs);
    }
    let unknown = VerificationId(id.0 + 1);
    assert!(world.store.verification(&Who::Gateway, unknown).await.unwrap().is_none());
    assert!(world.store.call(&Who::Gateway, CallId(1)).await.unwrap().is_none());
    assert!(matches!(world.apply(unknown, Input::Cancel).await, Applied::NotFound));
}

async fn a_version_is_told_after_its_commit_and_not_before(world: World) {
    let id = world.stored("+79161234567", "+74951230042").await.verification_id;
    let mut watch = world.store.watch(id);
    let waiting = tokio::time::timeout(Duration::from_millis(20), watch.above(1)).await;
    assert!(waiting.is_err(), "nothing has changed");
    let store = world.store.clone();
    let waiter = tokio::spawn(async move {
        watch.above(1).await;
        store.verification(&Who::Gateway, id).await.unwrap().unwrap().status
    });
    world.accepted(id, Input::Cancel).await;
    assert_eq!(waiter.await.unwrap(), VerificationStatus::Canceled);
    let mut waiting = world.store.watch(id);
    world.store.close().await;
    waiting.above(9).await;
}

async fn a_call_is_recorded_after_its_verification_has_ended(world: World) {
    let stored = world.stored("+79161234567", "+74951230042").await;
    let (id, call) = (stored.verification_id, &stored.steps[0].calls[0]);
    world.accepted(id, progress(call, 1, true, false)).await;
    let approved = world.accepted(id, check("0042")).await;
    assert!(approved.steps[0].calls[0].caller_id.is_some(), "a CANCEL still needs it");
    assert_eq!(world.store.unfinished_calls(None, 10).await.unwrap().len(), 1);
    let late = world.accepted(id, ended(call, world.clock.now(), CallOutcome::Rang, true)).await;
    assert_eq!((late.status, late.steps[0].status), (approved.status, StepStatus::Rang));
    assert_eq!(late.steps[0].calls[0].caller_id, None);
    assert_eq!(world.read(id).await, late);
    assert!(world.store.unfinished_calls(None, 10).await.unwrap().is_empty());
}

async fn a_number_without_a_line_is_remembered_for_its_time(world: World) {
    let number = "+79161234567".parse().unwrap();
    let until = world.clock.now() + Duration::from_secs(3_600);
    assert!(!world.store.is_unallocated(&number).await.unwrap());
    world.store.remember_unallocated(&number, until).await.unwrap();
    assert!(world.store.is_unallocated(&number).await.unwrap());
    assert!(!world.store.is_unallocated(&"+79161234568".parse().unwrap()).await.unwrap());
    world.clock.advance(Duration::from_secs(3_600));
    assert!(!world.store.is_unallocated(&number).await.unwrap());
    let again = world.clock.now() + Duration::from_secs(3_600);
    world.store.remember_unallocated(&number, again).await.unwrap();
    assert!(world.store.is_unallocated(&number).await.unwrap());
}
