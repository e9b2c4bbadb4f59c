//! Verifications: stored, moved, read back.

use std::time::Duration;

use daemon::store::{Applied, ApplyRefused, Created, Who};
use daemon::verification::machine::{Answer, Input, Refusal};
use daemon::verification::model::{StepStatus, VerificationStatus};
use sip::CallOutcome;

use crate::on_both;
use crate::world::{World, check, ended, progress};

on_both! {
    a_verification_reads_back_as_it_was_stored,
    the_walk_of_a_flash_call_reads_back_after_each_step,
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
    let calls = world.store.calls(&Who::Gateway, &daemon::store::CallFilter::default()).await;
    assert_eq!(calls.unwrap().items.len(), 1);
}
