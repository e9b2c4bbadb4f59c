//! A process dies in the middle: what it answered is there, and the next one takes it up.

use std::sync::mpsc;
use std::time::Duration;

use daemon::ids::VerificationId;
use daemon::secrets::Keys;
use daemon::store::{Created, Who};
use daemon::verification::machine::Input;
use daemon::verification::model::{CallState, Verification, VerificationStatus};
use sip::CallOutcome;

use crate::on_both;
use crate::world::{World, check, create, ended, open_store, progress, secret};

on_both! {
    what_was_answered_before_a_kill_is_there_after_it,
    a_process_that_starts_finds_what_the_last_one_left_up,
}

/// Clients of the process that dies; each waits for its answer before it asks again.
const CLIENTS: u64 = 16;

async fn what_was_answered_before_a_kill_is_there_after_it(world: World) {
    let answered = {
        let (location, clock) = (world.location.clone(), world.clock.clone());
        let verifications: Vec<Vec<Verification>> = (0..CLIENTS)
            .map(|client| {
                let to = |n: u64| format!("+79{:02}{:07}", 10 + client, n);
                (0..400).map(|n| world.verification(&to(n), "+74951230042")).collect()
            })
            .collect();
        tokio::task::spawn_blocking(move || {
            let dying = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            let keys = Keys::derive(&secret(7));
            let store = dying.block_on(open_store(&location, &keys, &clock, 4));
            let (answers, answered) = mpsc::channel::<VerificationId>();
            for own in verifications {
                let (store, answers) = (store.clone(), answers.clone());
                dying.spawn(async move {
                    for verification in own {
                        let id = verification.verification_id;
                        let created = store.create_verification(create(verification)).await;
                        if let Ok(Created::Stored { .. }) = created
                            && answers.send(id).is_err()
                        {
                            return;
                        }
                    }
                });
            }
            let first: Vec<_> = answered.iter().take(300).collect();
            // Every task ends where it stands, in the middle of whatever it does.
            dying.shutdown_background();
            let rest: Vec<_> = answered.try_iter().collect();
            [first, rest].concat()
        })
        .await
        .unwrap()
    };
    println!("{} answered before the kill", answered.len());
    let store = world.second().await;
    for id in &answered {
        let read = store.verification(&Who::Gateway, *id).await.unwrap();
        assert!(read.is_some(), "answered and lost");
    }
    let (mut open, mut after) = (Vec::new(), None);
    loop {
        let page = store.open_verifications(after, 100).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.verification_id);
        open.extend(page);
    }
    assert!(open.len() >= answered.len());
    // What was committed and not answered is whole, too.
    assert!(open.iter().all(|open| open.steps.len() == 1 && open.steps[0].calls.len() == 1));
    store.close().await;
}

async fn a_process_that_starts_finds_what_the_last_one_left_up(world: World) {
    let mut stored = Vec::new();
    for number in 0..5 {
        let verification = world.stored(&format!("+7916123456{number}"), "+74951230042").await;
        stored.push(verification);
        world.clock.advance(Duration::from_millis(5));
    }
    let call = |n: usize| stored[n].steps[0].calls[0].clone();
    let id = |n: usize| stored[n].verification_id;
    world.accepted(id(1), progress(&call(1), 2, true, false)).await;
    let dialog = sip::SavedDialog::new(b"\xff tags and routes");
    let talking = |n: usize| Input::Talking { call_id: call(n).call_id, dialog: dialog.clone() };
    world.accepted(id(1), talking(1)).await;
    world.accepted(id(1), progress(&call(1), 2, true, false)).await;
    world.accepted(id(2), talking(2)).await;
    world.accepted(id(2), ended(&call(2), world.clock.now(), CallOutcome::Rang, true)).await;
    world.accepted(id(3), check("0042")).await;

    let store = world.second().await;
    let unfinished = store.unfinished_calls(None, 100).await.unwrap();
    let ids: Vec<_> = unfinished.iter().map(|call| call.call_id).collect();
    assert_eq!(ids, [0, 1, 3, 4].map(|n| call(n).call_id));
    let ringing = &unfinished[1];
    let target = Some("192.0.2.1:5060".parse().unwrap());
    assert_eq!(ringing.state, CallState::Up { target, last_cseq: 2, rang: true });
    assert_eq!(Some(&ringing.dialled), call(1).dialled.as_ref());
    assert_eq!(Some(ringing.caller_id), call(1).caller_id);
    assert_eq!((&ringing.dialog, &unfinished[0].dialog), (&Some(dialog), &None));
    let rest = store.unfinished_calls(Some(ids[1]), 1).await.unwrap();
    assert_eq!(rest[0].call_id, ids[2]);
    let open = store.open_verifications(None, 100).await.unwrap();
    let open: Vec<_> = open.iter().map(|open| open.verification_id).collect();
    assert_eq!(open, [0, 1, 2, 4].map(id));

    // Interrupted calls leave their codes checkable.
    let interrupted = ended(&call(1), world.clock.now(), CallOutcome::Interrupted, true);
    store.apply(daemon::store::Apply::internal(id(1), interrupted)).await.unwrap();
    let approved = world.accepted(id(1), check("0042")).await;
    assert_eq!(approved.status, VerificationStatus::Approved);
    store.close().await;
}
