//! `Idempotency-Key`: one deed, and the same bytes each time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use daemon::store::{
    Applied, Apply, ApplyRefused, Create, CreateRefused, Created, Idempotency, Replay,
    StoredResponse,
};
use daemon::verification::machine::Input;
use daemon::verification::model::{Verification, VerificationStatus};

use crate::on_both;
use crate::world::{World, check, create, response};

on_both! {
    a_repeated_create_makes_one_verification_and_gets_the_same_bytes,
    the_same_key_with_another_request_is_refused,
    a_refusal_is_not_kept,
    twenty_repeats_at_once_make_one_verification,
    a_repeated_check_is_evaluated_once,
    a_key_belongs_to_one_account,
    a_key_is_forgotten_after_a_day,
}

const TO: &str = "+79161234567";

fn key(request: &str) -> Idempotency<Verification> {
    Idempotency {
        key: "key-1".to_owned(),
        request: request.as_bytes().to_vec(),
        render: Arc::new(|verification: &Verification| {
            Some(response(&format!(
                "{} version {}",
                verification.verification_id, verification.version
            )))
        }),
    }
}

fn keyed(world: &World, shown: u32, request: &str) -> Create {
    let verification = world.verification(TO, &format!("+7495123{shown:04}"));
    Create { idempotency: Some(key(request)), ..create(verification) }
}

async fn stored(world: &World, create: Create) -> StoredResponse {
    match world.store.create_verification(create).await.unwrap() {
        Created::Stored { response: Some(response), .. } => response,
        other => panic!("not stored: {other:?}"),
    }
}

async fn a_repeated_create_makes_one_verification_and_gets_the_same_bytes(world: World) {
    assert_eq!(world.store.replay("vats", "key-1", b"body").await.unwrap(), Replay::Fresh);
    let first = stored(&world, keyed(&world, 1, "body")).await;
    let repeated = world.store.create_verification(keyed(&world, 2, "body")).await.unwrap();
    assert!(matches!(repeated, Created::Replayed(replayed) if replayed == first));
    let replay = world.store.replay("vats", "key-1", b"body").await.unwrap();
    assert_eq!(replay, Replay::Response(first));
    assert_eq!(world.store.open_verifications(None, 10).await.unwrap().len(), 1);
}

async fn the_same_key_with_another_request_is_refused(world: World) {
    stored(&world, keyed(&world, 1, "body")).await;
    let other = world.store.create_verification(keyed(&world, 2, "other body")).await.unwrap();
    assert!(matches!(other, Created::Refused(CreateRefused::OtherRequest)));
    let replay = world.store.replay("vats", "key-1", b"other body").await.unwrap();
    assert_eq!(replay, Replay::OtherRequest);
}

async fn a_refusal_is_not_kept(world: World) {
    let full = Create { max_open: 0, ..keyed(&world, 1, "body") };
    let refused = world.store.create_verification(full).await.unwrap();
    assert!(matches!(refused, Created::Refused(CreateRefused::TooManyOpen)));
    stored(&world, keyed(&world, 1, "body")).await;
}

async fn twenty_repeats_at_once_make_one_verification(world: World) {
    let second = world.second().await;
    let mut tasks = tokio::task::JoinSet::new();
    for place in 0..20 {
        let store = if place % 2 == 0 { world.store.clone() } else { second.clone() };
        let create = keyed(&world, place, "body");
        tasks.spawn(async move { store.create_verification(create).await.unwrap() });
    }
    let (mut made, mut bytes) = (0, Vec::new());
    while let Some(created) = tasks.join_next().await {
        match created.unwrap() {
            Created::Stored { response: Some(response), .. } => {
                made += 1;
                bytes.push(response);
            }
            Created::Replayed(response) => bytes.push(response),
            other => panic!("{other:?}"),
        }
    }
    bytes.dedup();
    assert_eq!((made, bytes.len()), (1, 1));
    second.close().await;
}

async fn a_repeated_check_is_evaluated_once(world: World) {
    let id = world.stored(TO, "+74951230042").await.verification_id;
    let rendered = Arc::new(AtomicUsize::new(0));
    let apply = || {
        let rendered = rendered.clone();
        let idempotency = Idempotency {
            key: "key-2".to_owned(),
            request: b"check".to_vec(),
            render: Arc::new(move |(verification, answer): &(Verification, _)| {
                rendered.fetch_add(1, Ordering::Relaxed);
                Some(response(&format!("{answer:?} {}", verification.checks_used)))
            }),
        };
        Apply { idempotency: Some(idempotency), ..Apply::internal(id, check("1111")) }
    };
    let Applied::Accepted { response: Some(first), .. } = world.store.apply(apply()).await.unwrap()
    else {
        panic!("the first check is evaluated")
    };
    for _ in 0..5 {
        let repeated = world.store.apply(apply()).await.unwrap();
        assert!(matches!(repeated, Applied::Replayed(replayed) if replayed == first));
    }
    assert_eq!((world.read(id).await.checks_used, rendered.load(Ordering::Relaxed)), (1, 1));
    // Also after the end.
    world.accepted(id, Input::Cancel).await;
    let repeated = world.store.apply(apply()).await.unwrap();
    assert!(matches!(repeated, Applied::Replayed(replayed) if replayed == first));
    let other = Apply { input: check("0042"), ..apply() };
    let other = Apply {
        idempotency: other.idempotency.map(|it| Idempotency { request: b"other".to_vec(), ..it }),
        ..other
    };
    let Applied::Refused { refusal: ApplyRefused::OtherRequest, verification } =
        world.store.apply(other).await.unwrap()
    else {
        panic!("another request is refused")
    };
    assert_eq!(verification.status, VerificationStatus::Canceled);
}

async fn a_key_belongs_to_one_account(world: World) {
    stored(&world, keyed(&world, 1, "body")).await;
    let mut other = keyed(&world, 2, "body");
    other.verification.account = "other".to_owned();
    stored(&world, other).await;
}

async fn a_key_is_forgotten_after_a_day(world: World) {
    stored(&world, keyed(&world, 1, "body")).await;
    world.clock.advance(Duration::from_secs(86_399));
    // A new process does its housekeeping at its start.
    world.second().await.close().await;
    let replay = world.store.replay("vats", "key-1", b"body").await.unwrap();
    assert!(matches!(replay, Replay::Response(_)));
    world.clock.advance(Duration::from_secs(2));
    world.second().await.close().await;
    assert_eq!(world.store.replay("vats", "key-1", b"body").await.unwrap(), Replay::Fresh);
}
