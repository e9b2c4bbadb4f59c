//! Two carriers as programs: what the first one refuses or leaves unanswered rings over the second,
//! with the same number shown, and the API tells of both.

use std::time::Duration;

use dozvon_tests::capture::{Captured, ladder, received, requests};
use dozvon_tests::gateway::{Engine, Gateway, Setup, code_of, last_step};
use dozvon_tests::peers::{Peer, lacking};
use dozvon_tests::phones::user;
use dozvon_tests::sipp::{Scenario, Sipp};
use serde_json::Value;

const NUMBER: &str = "+79161234580";
const SOON: Duration = Duration::from_secs(5);

struct Stage {
    north: Sipp,
    south: Sipp,
    gateway: Gateway,
}

impl Stage {
    /// `None` when SIPp is not installed.
    async fn set(north: Scenario, south: Scenario) -> Option<Self> {
        if lacking(&[Peer::Sipp]) {
            return None;
        }
        let (north, south) = (Sipp::carrier(&north).await, Sipp::carrier(&south).await);
        let setup = Setup::new(Engine::Sqlite)
            .static_trunk("north", north.address())
            .static_trunk("south", south.address());
        Some(Self { north, south, gateway: Gateway::start(setup).await })
    }

    /// A flash call, run until it has so many calls, each with its outcome.
    async fn call(&self, many: usize) -> Value {
        let created = self.gateway.verify(NUMBER).await;
        let id = created["id"].as_str().expect("an id");
        let settled = |seen: &Value| {
            let calls = calls(seen);
            calls.len() >= many && calls.iter().all(|(_, outcome)| !outcome.is_empty())
        };
        self.gateway.until(id, settled).await
    }

    async fn until(&self, carrier: &Sipp, methods: &[&str]) -> Vec<Captured> {
        let enough = |messages: &[Captured]| methods_of(messages).len() >= methods.len();
        let messages = carrier.until(SOON, &format!("{methods:?}"), enough).await;
        assert_eq!(methods_of(&messages), methods, "{}", ladder(&messages));
        messages
    }
}

/// Trunk and outcome of each call of the last step.
fn calls(seen: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let calls = last_step(seen)["calls"].as_array().cloned().unwrap_or_default();
    calls.iter().map(|call| (text(&call["trunk"]), text(&call["outcome"]))).collect()
}

fn methods_of(messages: &[Captured]) -> Vec<String> {
    received(messages).filter_map(Captured::method).filter(|method| method != "OPTIONS").collect()
}

fn rejects(status: &str, header: &str) -> Scenario {
    Scenario::named("reject").key("status", status).key("header", header)
}

/// The first carrier fails with `outcome`; the phone rings over the second, and its code proves.
async fn second_rings(north: Scenario, outcome: &str, asked: &[&str]) {
    let Some(stage) = Stage::set(north, Scenario::named("ring_and_cancel")).await else { return };
    let seen = stage.call(2).await;
    let pair = |trunk: &str, outcome: &str| (trunk.to_owned(), outcome.to_owned());
    assert_eq!(calls(&seen), [pair("north", outcome), pair("south", "rang")], "{seen:#}");
    assert_eq!(last_step(&seen)["status"], "rang", "{seen:#}");
    assert_eq!(seen["steps"].as_array().map(Vec::len), Some(1), "one step: {seen:#}");
    let first = stage.until(&stage.north, asked).await;
    let second = stage.until(&stage.south, &["INVITE", "CANCEL", "ACK"]).await;
    let (first, second) = (requests(&first, "INVITE")[0], requests(&second, "INVITE")[0]);
    assert_ne!(first.call_id(), second.call_id(), "a new attempt is a new call");
    let shown = user(second, "From");
    assert!(user(first, "From") == shown, "both may show the number, so it stays");
    assert!(second.at - first.at < Duration::from_secs(10));
    let id = seen["id"].as_str().expect("an id");
    let answer = stage.gateway.check(id, code_of(&shown)).await.expect(200);
    assert_eq!(answer.json()["valid"], true, "{}", answer.text());
}

#[tokio::test]
async fn what_the_first_carrier_answers_with_503_rings_over_the_second() {
    let north = rejects("503 Service Unavailable", "Server: peer");
    second_rings(north, "congestion", &["INVITE", "ACK"]).await;
}

#[tokio::test]
async fn what_the_first_carrier_leaves_in_silence_rings_over_the_second() {
    second_rings(Scenario::named("silence"), "trunk_timeout", &["INVITE"; 4]).await;
}

#[tokio::test]
async fn a_number_that_the_first_carrier_does_not_know_is_asked_of_the_second_once() {
    let north = rejects("404 Not Found", "Server: peer");
    second_rings(north, "unallocated", &["INVITE", "ACK"]).await;
}

#[tokio::test]
async fn a_number_that_both_carriers_do_not_know_is_called_no_more() {
    let unknown = || rejects("404 Not Found", "Server: peer");
    let Some(stage) = Stage::set(unknown(), unknown()).await else { return };
    let seen = stage.call(2).await;
    let pair = |trunk: &str| (trunk.to_owned(), "unallocated".to_owned());
    assert_eq!(calls(&seen), [pair("north"), pair("south")], "{seen:#}");
    assert_eq!(last_step(&seen)["status"], "no_route", "{seen:#}");
    for carrier in [&stage.north, &stage.south] {
        stage.until(carrier, &["INVITE", "ACK"]).await;
    }
    let body = serde_json::json!({"to": NUMBER, "channels": ["flash_call"], "purpose": "sign_in"});
    let second = stage.gateway.api().post("/v1/verifications", &body).await;
    assert!(second.status >= 400, "{}", second.text());
    for carrier in [&stage.north, &stage.south] {
        stage.until(carrier, &["INVITE", "ACK"]).await;
    }
}

#[tokio::test]
async fn a_number_that_is_surely_unallocated_is_not_asked_of_the_second_carrier() {
    let north = rejects("404 Not Found", "Reason: Q.850;cause=1");
    let Some(stage) = Stage::set(north, Scenario::named("ring_and_cancel")).await else { return };
    let seen = stage.call(1).await;
    assert_eq!(calls(&seen), [("north".to_owned(), "unallocated".to_owned())], "{seen:#}");
    stage.until(&stage.south, &[]).await;
}
