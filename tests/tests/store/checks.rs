//! Many checks at once: exactly as many are evaluated as there are, and at most one is right.

use daemon::ids::VerificationId;
use daemon::store::{Applied, Apply, ApplyRefused, Store};
use daemon::verification::machine::{Answer, Refusal};
use daemon::verification::model::VerificationStatus;

use crate::on_both;
use crate::world::{World, check};

on_both! {
    of_500_wrong_checks_at_once_exactly_the_allowed_ones_are_evaluated,
    of_500_right_checks_at_once_exactly_one_approves,
    after_an_approval_none_of_500_checks_is_right,
    two_processes_evaluate_no_more_than_one_would,
}

/// What many checks came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    right: usize,
    wrong: usize,
    ended: usize,
}

/// Checks at once, over the stores in turn.
async fn tally(stores: &[&Store], id: VerificationId, code: &str, count: usize) -> Tally {
    let mut tasks = tokio::task::JoinSet::new();
    for place in 0..count {
        let (store, input) = (stores[place % stores.len()].clone(), check(code));
        tasks.spawn(async move { store.apply(Apply::internal(id, input)).await.unwrap() });
    }
    let mut tally = Tally::default();
    while let Some(applied) = tasks.join_next().await {
        match applied.unwrap() {
            Applied::Accepted { answer: Answer::Checked { valid: true }, .. } => tally.right += 1,
            Applied::Accepted { answer: Answer::Checked { valid: false }, .. } => tally.wrong += 1,
            Applied::Refused { refusal: ApplyRefused::Machine(Refusal::Ended { .. }), .. } => {
                tally.ended += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    tally
}

async fn of_500_wrong_checks_at_once_exactly_the_allowed_ones_are_evaluated(world: World) {
    let id = world.stored("+79161234567", "+74951230042").await.verification_id;
    let tally = tally(&[&world.store], id, "1111", 500).await;
    assert_eq!(tally, Tally { right: 0, wrong: 3, ended: 497 });
}

async fn of_500_right_checks_at_once_exactly_one_approves(world: World) {
    let id = world.stored("+79161234567", "+74951230042").await.verification_id;
    let tally = tally(&[&world.store], id, "0042", 500).await;
    assert_eq!(tally, Tally { right: 1, wrong: 0, ended: 499 });
}

async fn after_an_approval_none_of_500_checks_is_right(world: World) {
    let id = world.stored("+79161234567", "+74951230042").await.verification_id;
    world.accepted(id, check("0042")).await;
    for code in ["1111", "0042"] {
        let tally = tally(&[&world.store], id, code, 500).await;
        assert_eq!(tally, Tally { right: 0, wrong: 0, ended: 500 });
    }
    let read = world.read(id).await;
    assert_eq!((read.status, read.checks_used), (VerificationStatus::Approved, 1));
}

async fn two_processes_evaluate_no_more_than_one_would(world: World) {
    let second = world.second().await;
    for number in 0..5 {
        let to = format!("+7916{number:07}");
        let id = world.stored(&to, "+74951230042").await.verification_id;
        let tally = tally(&[&world.store, &second], id, "1111", 60).await;
        assert_eq!(tally, Tally { right: 0, wrong: 3, ended: 57 });
    }
    second.close().await;
}
