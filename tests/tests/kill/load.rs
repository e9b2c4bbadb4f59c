//! kill -9 at a random instant of fifty requests at once: whatever was answered with 201 or 202 is
//! there afterwards, and no number is dialled by two calls.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dozvon_tests::capture::{Captured, ladder, requests};
use dozvon_tests::chance::Chance;
use dozvon_tests::gateway::{Engine, Gateway, Setup, last_call};
use dozvon_tests::peers::{Peer, figure, lacking, long_form};
use dozvon_tests::phones::{Phones, user};
use serde_json::{Value, json};
use tokio::sync::watch;

const REQUESTS: usize = 50;
const TIMES: usize = 6;
const TIMES_LONG: usize = 50;
/// From the answer that was drawn to the kill, at most.
const AFTER: Duration = Duration::from_millis(20);
/// For fifty answers on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// What was answered before the kill.
struct Accepted {
    path: &'static str,
    id: String,
    number: String,
}

#[tokio::test]
async fn killed_under_load_it_has_all_that_it_accepted_and_dials_nothing_twice_on_sqlite() {
    kill_under_load(Engine::Sqlite).await;
}

#[tokio::test]
async fn killed_under_load_it_has_all_that_it_accepted_and_dials_nothing_twice_on_postgres() {
    if lacking(&[Peer::Postgres]) {
        return;
    }
    kill_under_load(Engine::Postgres).await;
}

async fn kill_under_load(engine: Engine) {
    let mut chance = Chance::of(&format!("killed under load, {engine:?}"));
    let phones = Phones::ring().await;
    let setup = Setup::new(engine).ring_limit_s(20).static_trunk("north", phones.address());
    let mut gateway = Gateway::start(setup).await;
    let times = if long_form() { TIMES_LONG } else { TIMES };
    let (mut all, mut whole) = (Vec::new(), 0);
    for time in 0..times {
        let (answers, mut answered) = watch::channel(0);
        let tasks = ask(&gateway, time, &answers);
        let so_many = chance.below(REQUESTS);
        let enough = answered.wait_for(|answers| *answers >= so_many);
        assert!(tokio::time::timeout(LIMIT, enough).await.is_ok(), "{so_many} answers");
        chance.wait_within(AFTER).await;
        gateway.kill().await;
        let accepted: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
        whole += usize::from(accepted.len() == REQUESTS);
        gateway.start_again().await;
        for one in &accepted {
            is_kept(&gateway, one).await;
        }
        all.extend(accepted);
    }
    // What an earlier life wrote is there after all the later ones too.
    for one in &all {
        is_kept(&gateway, one).await;
        if one.path == "/v1/verifications" {
            gateway.until(&one.id, |seen| last_call(seen)["outcome"] == "interrupted").await;
        }
    }
    dialled_once(&phones.messages());
    let (asked, kept) = (times * REQUESTS, all.len());
    assert!(kept > 0, "every kill came before the first answer");
    figure(&format!(
        "{engine:?}: {times} kills, {asked} requests, {kept} accepted and kept, {whole} kills after the last answer"
    ));
}

/// Asks for flash calls and texts in turn without waiting.
fn ask(
    gateway: &Gateway,
    time: usize,
    answers: &watch::Sender<usize>,
) -> tokio::task::JoinSet<Option<Accepted>> {
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..REQUESTS {
        let (api, number) = (gateway.api().clone(), format!("+791665{time:03}{n:02}"));
        let answers = answers.clone();
        tasks.spawn(async move {
            let (path, body, status) = match n % 5 {
                4 => ("/v1/messages", json!({"to": number, "text": "Hello"}), 202),
                _ => (
                    "/v1/verifications",
                    json!({"to": number, "channels": ["flash_call"], "purpose": "sign_in"}),
                    201,
                ),
            };
            let body = body.to_string().into_bytes();
            let sent = api.try_send(hyper::Method::POST, path, &[], body).await;
            let answer = sent.ok().filter(|answer| answer.status == status)?;
            answers.send_modify(|answers| *answers += 1);
            let id = answer.json()["id"].as_str()?.to_owned();
            Some(Accepted { path, id, number })
        });
    }
    tasks
}

async fn is_kept(gateway: &Gateway, one: &Accepted) {
    let read = gateway.api().get(&format!("{}/{}", one.path, one.id)).await.expect(200).json();
    let shown: Option<&str> = read["to"].as_str();
    let ending = |number: &str| number[number.len() - 2..].to_owned();
    assert_eq!(shown.map(ending), Some(ending(&one.number)), "{read:#}");
    assert!(read["status"] != Value::Null, "{read:#}");
}

/// However often an INVITE was repeated, it is one call's.
fn dialled_once(messages: &[Captured]) {
    let mut calls: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for invite in requests(messages, "INVITE") {
        calls.entry(user(invite, "To")).or_default().insert(invite.call_id());
    }
    assert!(!calls.is_empty(), "no phone ever rang");
    assert!(calls.values().all(|calls| calls.len() == 1), "{}", ladder(messages));
}
