//! One bad row, connections that are cut, a store that is closed.

use std::time::Duration;

use daemon::store::{Created, StoreError, Who};
use daemon::verification::machine::Input;
use dozvon_tests::peers::{Peer, lacking};
use sqlx::{Connection, PgConnection};

use crate::on_both;
use crate::world::{World, create};

on_both! {
    a_row_that_the_database_refuses_fails_alone,
    a_closed_store_says_so_and_loses_nothing_that_waited,
    a_ping_asks_both_sides,
}

async fn a_row_that_the_database_refuses_fails_alone(world: World) {
    let taken = world.stored("+79161234567", "+74951230042").await;
    let mut tasks = tokio::task::JoinSet::new();
    for place in 0..80 {
        let mut verification = world.verification(&format!("+7916{place:07}"), "+74951230042");
        if place % 40 == 20 {
            verification.verification_id = taken.verification_id;
        }
        let store = world.store.clone();
        tasks.spawn(async move {
            let id = verification.verification_id;
            (id, store.create_verification(create(verification)).await)
        });
    }
    let (mut stored, mut refused) = (Vec::new(), 0);
    while let Some(result) = tasks.join_next().await {
        match result.unwrap() {
            (id, Ok(Created::Stored { .. })) => stored.push(id),
            (id, Err(StoreError::Rejected)) if id == taken.verification_id => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((stored.len(), refused), (78, 2));
    for id in stored {
        assert!(world.store.verification(&Who::Gateway, id).await.unwrap().is_some());
    }
    assert_eq!(world.read(taken.verification_id).await, taken);
}

async fn a_closed_store_says_so_and_loses_nothing_that_waited(world: World) {
    let mut tasks = tokio::task::JoinSet::new();
    for place in 0..50 {
        let verification = world.verification(&format!("+7916{place:07}"), "+74951230042");
        let store = world.store.clone();
        tasks.spawn(async move {
            let id = verification.verification_id;
            (id, store.create_verification(create(verification)).await)
        });
    }
    tokio::task::yield_now().await;
    world.store.close().await;
    let second = world.second().await;
    let mut stored = 0;
    while let Some(result) = tasks.join_next().await {
        let (id, created) = result.unwrap();
        let is_there = second.verification(&Who::Gateway, id).await.unwrap().is_some();
        match created {
            Ok(Created::Stored { .. }) => assert!(is_there),
            Err(StoreError::Closed) => assert!(!is_there),
            other => panic!("{other:?}"),
        }
        stored += usize::from(is_there);
    }
    println!("{stored} of 50 were stored before the end");
    let late =
        world.store.create_verification(create(world.verification("+79161234567", "+74951230042")));
    assert_eq!(late.await.unwrap_err(), StoreError::Closed);
    let read = world.store.open_verifications(None, 1).await;
    assert_eq!(read.unwrap_err(), StoreError::Closed);
    second.close().await;
}

async fn a_ping_asks_both_sides(world: World) {
    world.store.ping().await.unwrap();
    world.store.close().await;
    assert!(world.store.ping().await.is_err());
}

/// Ends the store's connections on the server; gives how many.
async fn cut_connections(admin: &mut PgConnection) -> usize {
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity \
               where application_name = 'dozvon' and datname = current_database()";
    sqlx::query(cut).fetch_all(admin).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_the_server_cuts_lose_nothing_that_was_answered() {
    if lacking(&[Peer::Postgres]) {
        return;
    }
    let world = World::postgres().await;
    let mut admin = PgConnection::connect(&world.url).await.unwrap();
    assert!(cut_connections(&mut admin).await > 0);
    let quiet = world.stored("+79161234567", "+74951230042").await;
    world.accepted(quiet.verification_id, Input::Cancel).await;
    let mut tasks = tokio::task::JoinSet::new();
    for place in 0..400 {
        let verification = world.verification(&format!("+7917{place:07}"), "+74951230042");
        let store = world.store.clone();
        tasks.spawn(async move {
            tokio::time::sleep(Duration::from_millis(place)).await;
            let id = verification.verification_id;
            (id, store.create_verification(create(verification)).await)
        });
    }
    let (mut stored, mut failed, mut cut) = (0, 0, 0);
    while let Some(result) = tasks.join_next().await {
        let (id, created) = result.unwrap();
        match created {
            Ok(Created::Stored { .. }) => {
                stored += 1;
                // Reads are cut too; one that fails is asked again.
                let read = loop {
                    if let Ok(read) = world.store.verification(&Who::Gateway, id).await {
                        break read;
                    }
                };
                assert!(read.is_some(), "answered and lost");
            }
            Err(StoreError::Unavailable) => failed += 1,
            other => panic!("{other:?}"),
        }
        if stored % 40 == 0 {
            cut += cut_connections(&mut admin).await;
        }
    }
    println!("{cut} connections cut, {stored} stored, {failed} refused");
    assert!(cut > 5 && stored > 350);
}
