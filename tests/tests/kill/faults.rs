//! What the daemon stands on goes away: the database, its own life. Calls go on.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use dozvon_tests::capture::{Captured, requests};
use dozvon_tests::gateway::{Engine, Gateway, Setup, last_call};
use dozvon_tests::http::{Answer, Client};
use dozvon_tests::peers::{Peer, figure, lacking, long_form};
use dozvon_tests::phones::{Phones, user};
use dozvon_tests::postgres::OwnServer;
use serde_json::{Value, json};

const CALLS: usize = 30;
const CALLS_AT_THE_END: usize = 100;
const RING_LIMIT_S: u8 = 10;
/// How long phones may take to ring, all of them, on a busy machine.
const PLACING: Duration = Duration::from_secs(8);
/// Within it after the database is back, all that happened is written down.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);
/// SIGTERM to exit.
const STOP_LIMIT: Duration = Duration::from_secs(12);
/// No request waits for a database that is away longer than this, on a busy machine.
const ANSWER_LIMIT: Duration = Duration::from_secs(6);

#[tokio::test]
async fn calls_go_on_while_postgres_is_frozen_and_are_written_down_when_it_is_back() {
    if lacking(&[Peer::Postgres]) {
        return;
    }
    let server = OwnServer::start().await;
    let (gateway, phones, calls) = ringing(&server.url).await;
    server.freeze();
    let slowest = calls_end_without_a_database(&gateway, &phones).await;
    server.thaw();
    everything_is_written_down(&gateway, &calls, "frozen", slowest).await;
}

#[tokio::test]
async fn calls_go_on_while_postgres_is_stopped_and_are_written_down_when_it_is_back() {
    if lacking(&[Peer::Postgres]) {
        return;
    }
    let mut server = OwnServer::start().await;
    let (gateway, phones, calls) = ringing(&server.url).await;
    server.stop().await;
    let slowest = calls_end_without_a_database(&gateway, &phones).await;
    server.start_again().await;
    everything_is_written_down(&gateway, &calls, "stopped", slowest).await;
}

/// A daemon on that database, with phones that ring.
async fn ringing(url: &str) -> (Gateway, Phones, Vec<String>) {
    let phones = Phones::ring().await;
    let setup = Setup::new(Engine::Postgres)
        .quiet()
        .sharing(url)
        .ring_limit_s(RING_LIMIT_S)
        .static_trunk("north", phones.address());
    let gateway = Gateway::start(setup).await;
    let calls = place(&gateway, CALLS).await;
    let ring = |messages: &[Captured]| callees(messages, "INVITE").len() >= CALLS;
    phones.until(PLACING, "INVITE for each call", ring).await;
    (gateway, phones, calls)
}

/// Every phone falls silent in time although nothing can be written. Returns how long the slowest of
/// some requests waited for its answer.
async fn calls_end_without_a_database(gateway: &Gateway, phones: &Phones) -> Duration {
    let away = Duration::from_secs(if long_form() { 60 } else { 12 });
    let begin = Instant::now();
    let silent = |messages: &[Captured]| callees(messages, "ACK").len() >= CALLS;
    let asked = ask(gateway.api().clone());
    let silent = phones.until(away, "CANCEL and ACK for each call", silent);
    let (slowest, _) = tokio::join!(asked, silent);
    // What is left of the time in which nothing can be written.
    tokio::time::sleep(away.saturating_sub(begin.elapsed())).await;
    slowest
}

/// Asks for a verification a few times: it is made or refused, and nobody waits for long.
async fn ask(api: Client) -> Duration {
    let mut slowest = Duration::ZERO;
    for n in 0..3 {
        let begin = Instant::now();
        let answer = verify(&api, &format!("+7916888{n:04}")).await;
        slowest = slowest.max(begin.elapsed());
        assert!(matches!(answer.status, 201 | 503), "{}: {}", answer.status, answer.text());
    }
    assert!(slowest < ANSWER_LIMIT, "{slowest:?}");
    slowest
}

async fn everything_is_written_down(
    gateway: &Gateway,
    calls: &[String],
    how: &str,
    slowest: Duration,
) {
    let begin = Instant::now();
    for id in calls {
        let seen = readable(gateway, id, begin).await;
        assert_eq!(last_call(&seen)["outcome"], "rang", "{seen:#}");
    }
    let settled = begin.elapsed();
    figure(&format!(
        "postgres {how}: {CALLS} calls ended in time, a request waited {slowest:.1?} at most, all \
         outcomes were written {settled:.1?} after it was back"
    ));
    let answer = verify(gateway.api(), "+79168899999").await;
    assert_eq!(answer.status, 201, "{}", answer.text());
}

/// A verification with its call's outcome, once the database answers again.
async fn readable(gateway: &Gateway, id: &str, begin: Instant) -> Value {
    loop {
        let answer = gateway.api().get(&format!("/v1/verifications/{id}")).await;
        let seen = if answer.status == 200 { answer.json() } else { Value::Null };
        if last_call(&seen)["outcome"].is_string() {
            return seen;
        }
        assert!(begin.elapsed() < SETTLE_LIMIT, "{} {seen:#}", answer.status);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn told_to_stop_with_a_hundred_calls_it_lets_them_ring_out_and_forgets_none() {
    let phones = Phones::ring().await;
    let setup = Setup::new(Engine::Sqlite).quiet().static_trunk("north", phones.address());
    let mut gateway = Gateway::start(setup).await;
    let calls = place(&gateway, CALLS_AT_THE_END).await;
    let api = gateway.api().clone();
    let begin = Instant::now();
    let late = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let body = body("+79168870000").to_string().into_bytes();
        api.try_send(hyper::Method::POST, "/v1/verifications", &[], body).await
    };
    let (late, ()) = tokio::join!(late, gateway.stop(STOP_LIMIT));
    let took = begin.elapsed();
    // Where the door is closed already, nobody is promised anything either.
    assert!(late.as_ref().map_or(true, |answer| answer.status == 503), "{late:?}");
    let messages = phones.messages();
    for method in ["CANCEL", "ACK"] {
        assert_eq!(callees(&messages, method).len(), CALLS_AT_THE_END, "{method}");
    }
    gateway.start_again().await;
    let mut rang = 0;
    for id in &calls {
        let seen = gateway.until_call_ended(id).await;
        let outcome = last_call(&seen)["outcome"].clone();
        assert!(outcome == "rang" || outcome == "canceled", "{seen:#}");
        rang += usize::from(outcome == "rang");
    }
    figure(&format!("SIGTERM with {CALLS_AT_THE_END} calls: exit after {took:.1?}, {rang} rang"));
    assert!(rang > CALLS_AT_THE_END / 2, "{rang}");
}

/// Creates verifications at once: their ids.
pub(crate) async fn place(gateway: &Gateway, count: usize) -> Vec<String> {
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..count {
        let api = gateway.api().clone();
        tasks.spawn(async move {
            let created = verify(&api, &format!("+7916890{n:04}")).await.expect(201).json();
            created["id"].as_str().expect("an id").to_owned()
        });
    }
    tasks.join_all().await
}

pub(crate) async fn verify(api: &Client, to: &str) -> Answer {
    api.post("/v1/verifications", &body(to)).await
}

fn body(to: &str) -> Value {
    json!({"to": to, "channels": ["flash_call"], "purpose": "sign_in"})
}

fn callees(messages: &[Captured], method: &str) -> BTreeSet<String> {
    requests(messages, method).into_iter().map(|message| user(message, "To")).collect()
}
