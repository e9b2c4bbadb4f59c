//! Webhooks of the real daemon, judged by the npm package `standardwebhooks`; and of two daemons on
//! one Postgres.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use dozvon_tests::backend::{Backend, Posted, SECRET};
use dozvon_tests::gateway::{Engine, Gateway, Setup};
use dozvon_tests::npm;
use dozvon_tests::peers::{Peer, lacking};
use dozvon_tests::phones::Phones;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

const LIMIT: Duration = Duration::from_secs(30);

/// What the library says of each delivery.
async fn verdicts(secret: &str, deliveries: &[Value]) -> Option<Vec<String>> {
    let modules = npm::install(npm::STANDARD_WEBHOOKS).await?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/webhooks/verify.js");
    let mut node = Command::new(Peer::Node.path()?);
    node.arg(script).arg(modules).arg(secret).kill_on_drop(true);
    let mut node = node.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node starts");
    let lines: String = deliveries.iter().map(|delivery| format!("{delivery}\n")).collect();
    let mut input = node.stdin.take().expect("it is piped");
    input.write_all(lines.as_bytes()).await.expect("node reads");
    drop(input);
    let output = tokio::time::timeout(LIMIT, node.wait_with_output()).await;
    let output = output.expect("node ends").expect("node can be waited for");
    let words = String::from_utf8_lossy(&output.stdout);
    Some(words.lines().map(str::to_owned).collect())
}

#[tokio::test]
async fn a_library_that_is_not_ours_accepts_each_delivery_and_refuses_a_changed_one() {
    if npm::install(npm::STANDARD_WEBHOOKS).await.is_none() {
        return;
    }
    let (backend, phones) = (Backend::listen().await, Phones::ring().await);
    let setup = Setup::new(Engine::Sqlite).static_trunk("north", phones.address());
    let gateway = Gateway::start(setup.with(&backend.section("\"*\""))).await;
    let created = gateway.verify("+79165000001").await;
    let id = created["id"].as_str().expect("an id");
    gateway.until_call_ended(id).await;
    let kinds = |posted: &[Posted]| -> Vec<String> {
        let kind = |post: &Posted| post.event()["type"].as_str().expect("a type").to_owned();
        posted.iter().map(kind).collect()
    };
    let is_whole = |posted: &[Posted]| {
        let kinds = kinds(posted);
        let has = |kind: &str| kinds.iter().any(|known| known == kind);
        has("verification.created") && has("call.ended") && has("verification.step_changed")
    };
    let posted = backend.until(LIMIT, "events of a call", is_whole).await;
    let right: Vec<_> = posted.iter().map(Posted::to_json).collect();
    let mut wrong = Vec::new();
    for (name, value) in [
        ("webhook-id", "evt_00000000000000000000000000"),
        ("webhook-timestamp", "1795287316"),
        ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ] {
        let mut changed = right[0].clone();
        changed["headers"][name] = json!(value);
        wrong.push(changed);
    }
    let mut changed = right[0].clone();
    // One bit of one byte: `{` becomes `z`.
    changed["body"] = json!(right[0]["body"].as_str().expect("a text").replacen('{', "z", 1));
    wrong.push(changed);
    assert_eq!(verdicts(SECRET, &right).await.expect("installed"), vec!["accepted"; right.len()]);
    assert_eq!(verdicts(SECRET, &wrong).await.expect("installed"), vec!["refused"; wrong.len()]);
    let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(verdicts(other, &right).await.expect("installed"), vec!["refused"; right.len()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_on_one_postgres_send_each_event_once() {
    const TEXTS: usize = 100;
    if lacking(&[Peer::Postgres]) {
        return;
    }
    let backend = Backend::listen().await;
    let (one, two) = (Phones::ring().await, Phones::ring().await);
    let setup = |phones: &Phones| {
        let setup = Setup::new(Engine::Postgres).static_trunk("north", phones.address());
        setup.with(&backend.section("\"message.sent\"")).quiet()
    };
    let first = Gateway::start(setup(&one)).await;
    let second = Gateway::start(setup(&two).sharing(first.database_url())).await;
    // Both nodes store events, and are woken by their own.
    let posts = |node: &Gateway, first: usize| {
        let api = node.api().clone();
        async move {
            for n in (first..TEXTS).step_by(2) {
                let body = json!({"to": format!("+79164{n:06}"), "text": "Hello"});
                let _ = api.post("/v1/messages", &body).await.expect(202);
            }
        }
    };
    tokio::join!(posts(&first, 0), posts(&second, 1));
    let posted = backend.until(LIMIT, "event of each text", |all| all.len() >= TEXTS).await;
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for post in &posted {
        *times.entry(post.header("webhook-id").to_owned()).or_default() += 1;
    }
    assert_eq!((posted.len(), times.len()), (TEXTS, TEXTS), "each once: {times:?}");
}
