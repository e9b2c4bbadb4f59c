//! Opening: tables, keys, versions.

use daemon::clock::Clock;
use daemon::secrets::Keys;
use daemon::store::{Location, OpenError, Store, migrate};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sqlx::{Connection, PgConnection, SqliteConnection};

use crate::on_both;
use crate::world::{RETENTION, START, World, secret};

on_both! {
    another_secret_key_does_not_open_the_database,
    a_replaced_key_is_taken_over_and_then_not_needed_for_the_check,
    tables_of_a_newer_version_are_left_alone,
    migrating_twice_changes_nothing,
}

async fn open(world: &World, keys: Keys) -> Result<Store, OpenError> {
    let rng = ChaCha20Rng::from_seed([5; 32]);
    Store::open(&world.location, keys, world.clock.clone(), rng, RETENTION).await
}

async fn another_secret_key_does_not_open_the_database(world: World) {
    let refused = open(&world, Keys::derive(&secret(8))).await;
    assert!(matches!(refused, Err(OpenError::WrongKey)));
    open(&world, Keys::derive(&secret(7))).await.unwrap().close().await;
}

async fn a_replaced_key_is_taken_over_and_then_not_needed_for_the_check(world: World) {
    let id = world.stored("+79161234567", "+74951230042").await.verification_id;
    let rotated = Keys::derive(&secret(8)).with_old(&[secret(7)]);
    let store = open(&world, rotated).await.unwrap();
    let who = daemon::store::Who::Gateway;
    let read = store.verification(&who, id).await.unwrap().unwrap();
    assert_eq!(read.number(), "+79161234567".parse().ok());
    let check = daemon::store::Apply::internal(id, crate::world::check("0042"));
    let applied = store.apply(check).await.unwrap();
    assert!(matches!(applied, daemon::store::Applied::Accepted { .. }));
    let approved = store.verification(&who, id).await.unwrap().unwrap();
    assert!(!approved.is_pending());
    store.close().await;
    open(&world, Keys::derive(&secret(8))).await.unwrap().close().await;
    let refused = open(&world, Keys::derive(&secret(7))).await;
    assert!(matches!(refused, Err(OpenError::WrongKey)));
}

async fn tables_of_a_newer_version_are_left_alone(world: World) {
    const NEWER: &str = "update _sqlx_migrations set version = 9999 where version = 1";
    if world.is_postgres() {
        let mut connection = PgConnection::connect(&world.url).await.unwrap();
        sqlx::query(NEWER).execute(&mut connection).await.unwrap();
    } else {
        let mut connection = SqliteConnection::connect(&world.url).await.unwrap();
        sqlx::query(NEWER).execute(&mut connection).await.unwrap();
    }
    let refused = open(&world, world.keys.clone()).await;
    assert!(matches!(refused, Err(OpenError::TooNew)));
    assert!(matches!(migrate(&world.location).await, Err(OpenError::TooNew)));
}

async fn migrating_twice_changes_nothing(world: World) {
    let id = world.stored("+79161234567", "+74951230042").await.verification_id;
    assert_eq!(migrate(&world.location).await.unwrap(), 0);
    world.read(id).await;
}

#[tokio::test]
async fn a_database_without_tables_asks_for_migrate_and_one_that_is_not_there_too() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Sqlite(folder.path().join("dozvon.db"));
    let open = || async {
        let (keys, clock) = (Keys::derive(&secret(7)), Clock::manual(START));
        Store::open(&location, keys, clock, ChaCha20Rng::from_seed([5; 32]), RETENTION).await
    };
    assert!(matches!(open().await, Err(OpenError::NotMigrated)));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made");
    std::fs::write(folder.path().join("dozvon.db"), b"").unwrap();
    assert!(matches!(open().await, Err(OpenError::NotMigrated)));
    migrate(&location).await.unwrap();
    open().await.unwrap().close().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_in_time() {
    let port = dozvon_tests::ports::Port::reserve();
    let url = format!("postgres://postgres@127.0.0.1:{}/none", port.number());
    let location = Location::Postgres { url, password: None };
    assert!(matches!(migrate(&location).await, Err(OpenError::Unavailable(_))));
    let location = Location::Postgres { url: "mysql://here".to_owned(), password: None };
    assert!(matches!(migrate(&location).await, Err(OpenError::Address)));
}
