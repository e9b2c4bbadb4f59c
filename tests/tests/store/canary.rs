//! No full number and no code stands in the database in clear.

use std::sync::Arc;

use daemon::ids::MessageId;
use daemon::store::{
    Apply, Create, CreateMessage, Direction, Idempotency, Limit, LimitRule, LimitSubject, LimitUse,
    Location, Message, MessageStatus,
};
use daemon::verification::machine::Input;
use daemon::verification::model::{StepCode, Verification};
use dialplans::{CallerId, CodeLength, E164};
use dozvon_tests::canary::Canary;
use sip::CallOutcome;
use sqlx::{Connection, PgConnection, SqliteConnection};

use crate::on_both;
use crate::world::{World, check, create, ended, progress, response};

on_both! {
    no_number_and_no_code_stands_in_any_column_while_calls_ring_and_after,
    the_end_leaves_no_code_and_no_caller_id,
}

const TO: &str = "+79167654321";
const SHOWN: &str = "+74958675309";
const CODE: &str = "58675309";

/// A verification whose code is long enough to be searched for.
fn long_code(world: &World) -> Verification {
    let mut verification = world.verification(TO, SHOWN);
    let number: E164 = SHOWN.parse().unwrap();
    let caller_id = CallerId::new(number, CodeLength::new(8).unwrap()).unwrap();
    let id = verification.verification_id;
    let step = &mut verification.steps[0];
    step.code = Some(StepCode::of_caller_id(&world.keys, id, &caller_id, 10_000));
    step.calls[0].caller_id = Some(caller_id);
    step.calls[0].caller_id_masked = caller_id.to_string();
    verification.code_length = 8;
    verification
}

fn canary() -> Canary {
    let mut canary = Canary::default();
    canary.add_number(TO);
    canary.add_number(SHOWN);
    canary.add(CODE);
    canary.add("password 4711");
    canary
}

async fn fill(world: &World) -> Verification {
    let verification = long_code(world);
    let limit = Limit {
        scope: "send",
        subject: LimitSubject::Number(TO.parse().unwrap()),
        rules: vec![LimitRule { max: 5, window: std::time::Duration::from_secs(60) }],
        limit_use: LimitUse::Take,
    };
    let idempotency = Idempotency {
        key: format!("key of {TO}"),
        request: TO.as_bytes().to_vec(),
        render: Arc::new(|_: &Verification| Some(response(TO))),
    };
    let create = Create {
        limits: vec![limit],
        idempotency: Some(idempotency),
        ..create(verification.clone())
    };
    world.store.create_verification(create).await.unwrap();
    let now = world.clock.now();
    let message = Message {
        message_id: MessageId::first_of(now),
        account: "vats".to_owned(),
        live: true,
        version: 1,
        direction: Direction::Outbound,
        status: MessageStatus::Accepted,
        detail: None,
        to: TO.parse::<E164>().unwrap().into(),
        sender: None,
        from: None,
        parts: Vec::new(),
        text: Some("password 4711".to_owned()),
        encoding: "utf8".to_owned(),
        segments: 1,
        reference: None,
        trunk: None,
        maybe_duplicate: false,
        created_at: now,
        valid_until: now,
        updated_at: now,
    };
    let create = CreateMessage { message, limits: Vec::new(), idempotency: None };
    world.store.create_message(create).await.unwrap();
    world.store.remember_unallocated(&TO.parse().unwrap(), now).await.unwrap();
    verification
}

async fn scan(world: &World, moment: &str) {
    let canary = canary();
    let scan = canary.scan_database(&world.url).await;
    println!("{moment}: {} columns, {} values", scan.columns, scan.values);
    assert!(scan.columns > 100 && scan.values > 80, "{scan:?}");
    assert_eq!(scan.hits, Vec::<String>::new(), "{moment}");
    if let Location::Sqlite(path) = &world.location {
        for file in [path.clone(), path.with_extension("db-wal")] {
            let bytes = std::fs::read(&file).unwrap();
            assert!(bytes.len() > 10_000, "{}", file.display());
            assert_eq!(canary.hits("file", &bytes), Vec::<String>::new(), "{moment}");
        }
    }
}

async fn no_number_and_no_code_stands_in_any_column_while_calls_ring_and_after(world: World) {
    let verification = fill(&world).await;
    let (id, call) = (verification.verification_id, &verification.steps[0].calls[0]);
    scan(&world, "queued").await;
    world.accepted(id, progress(call, 1, true, false)).await;
    scan(&world, "ringing").await;
    let wrong = Apply::internal(id, check("11111111"));
    world.store.apply(wrong).await.unwrap();
    world.accepted(id, check(CODE)).await;
    scan(&world, "approved while ringing").await;
    world.accepted(id, ended(call, world.clock.now(), CallOutcome::Rang, true)).await;
    scan(&world, "ended").await;
}

async fn the_end_leaves_no_code_and_no_caller_id(world: World) {
    let approved = fill(&world).await;
    let call = approved.steps[0].calls[0].clone();
    world.accepted(approved.verification_id, check(CODE)).await;
    let end = ended(&call, world.clock.now(), CallOutcome::Rang, true);
    world.accepted(approved.verification_id, end).await;
    let canceled = world.stored("+79161112233", SHOWN).await;
    let end = ended(&canceled.steps[0].calls[0], world.clock.now(), CallOutcome::Busy, false);
    world.accepted(canceled.verification_id, end).await;
    assert_eq!(left(&world).await, (1, 1), "a resend would show it again");
    world.accepted(canceled.verification_id, Input::Cancel).await;
    assert_eq!(left(&world).await, (0, 0));
}

/// Steps that hold something of a code, and calls that hold a caller ID or dialled digits.
async fn left(world: &World) -> (i64, i64) {
    const STEPS: &str = "select count(*) from step where code_tail_hmac is not null \
                         or code_number_hmac is not null or code_length is not null";
    const CALLS: &str = "select count(*) from call where caller_id_sealed is not null \
                         or dialled_sealed is not null or dialog_sealed is not null";
    if world.is_postgres() {
        let mut connection = PgConnection::connect(&world.url).await.unwrap();
        let steps = sqlx::query_scalar(STEPS).fetch_one(&mut connection).await.unwrap();
        (steps, sqlx::query_scalar(CALLS).fetch_one(&mut connection).await.unwrap())
    } else {
        let mut connection = SqliteConnection::connect(&world.url).await.unwrap();
        let steps = sqlx::query_scalar(STEPS).fetch_one(&mut connection).await.unwrap();
        (steps, sqlx::query_scalar(CALLS).fetch_one(&mut connection).await.unwrap())
    }
}
