//! Kamailio as registrar and proxy that challenges REGISTER with 401 and INVITE and MESSAGE with 407,
//! a handset of SIPp's behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dozvon_tests::backend::Backend;
use dozvon_tests::capture::{Captured, Direction, ladder, requests};
use dozvon_tests::gateway::{Engine, Gateway, POOL_PREFIX, Setup, code_of, last_call, last_step};
use dozvon_tests::kamailio::{Account, Kamailio};
use dozvon_tests::peers::{Peer, lacking};
use dozvon_tests::second_reader::disagreements;
use dozvon_tests::sipp::{Scenario, Sipp};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(20);

struct Stage {
    backend: Backend,
    handset: Sipp,
    kamailio: Kamailio,
    gateway: Gateway,
}

impl Stage {
    /// `None` when a peer is not installed.
    async fn set(account: Account) -> Option<Self> {
        if lacking(&[Peer::Sipp, Peer::Kamailio]) {
            return None;
        }
        let handset = Sipp::carrier(&Scenario::named("ring_and_cancel")).await;
        let kamailio = Kamailio::start(&account, handset.address()).await;
        let setup = Setup::new(Engine::Sqlite);
        let setup = setup.registered_trunk("north", kamailio.address(), &account);
        let backend = Backend::listen().await;
        let gateway = Gateway::start(setup.with(&backend.section("\"message.*\""))).await;
        gateway.registered().await;
        Some(Self { backend, handset, kamailio, gateway })
    }

    /// What passed between Kamailio and us, once `condition` holds for it.
    async fn ours(&self, what: &str, condition: impl Fn(&[Captured]) -> bool) -> Vec<Captured> {
        let us = self.gateway.sip();
        let of_us = |messages: &[Captured]| -> Vec<Captured> {
            messages.iter().filter(|message| message.remote == Some(us)).cloned().collect()
        };
        let all = self.kamailio.until(LIMIT, what, |messages| condition(&of_us(messages))).await;
        of_us(&all)
    }
}

/// Asserts that no datagram was sent twice, in either direction, and that rsip reads ours as we do.
fn no_repeats_and_rsip_agrees(messages: &[Captured]) {
    let mut seen = BTreeSet::new();
    for message in messages {
        let key = (message.direction == Direction::Sent, &message.bytes);
        assert!(seen.insert(key), "sent twice: {}\n{}", message.start_line(), ladder(messages));
        if message.direction == Direction::Received {
            let found = disagreements(&message.bytes);
            assert_eq!(found, Ok(Vec::new()), "{}", String::from_utf8_lossy(&message.bytes));
        }
    }
}

#[tokio::test]
async fn a_hundred_flash_calls_pass_the_407_ring_and_end_with_487_without_a_repeat() {
    const CALLS: usize = 100;
    let Some(stage) = Stage::set(Account::default()).await else { return };
    let numbers: Vec<_> = (0..CALLS).map(|n| format!("+79162{n:06}")).collect();
    let mut ids = BTreeMap::new();
    for number in &numbers {
        let created = stage.gateway.verify(number).await;
        ids.insert(number.clone(), created["id"].as_str().expect("an id").to_owned());
    }
    for id in ids.values() {
        let seen = stage.gateway.until_call_ended(id).await;
        assert_eq!(last_step(&seen)["status"], "rang", "{seen:#}");
        assert_eq!(last_call(&seen)["outcome"], "rang", "{seen:#}");
    }
    let answers = |messages: &[Captured], status: u16| {
        messages.iter().filter(|message| message.status() == Some(status)).count()
    };
    let finished =
        |messages: &[Captured]| requests(messages, "ACK").len() >= CALLS + answers(messages, 407);
    let messages = stage.ours("ACK of each 407 and 487", finished).await;
    no_repeats_and_rsip_agrees(&messages);
    let answers = |status: u16| answers(&messages, status);
    let count = |method: &str| requests(&messages, method).len();
    assert_eq!((answers(180), answers(487)), (CALLS, CALLS));
    // A nonce that was good once is used again: the proxy need not challenge every call.
    let challenges = answers(407);
    assert!((1..=CALLS).contains(&challenges), "{challenges} challenges");
    let (invites, acks) = (CALLS + challenges, CALLS + challenges);
    assert_eq!((count("INVITE"), count("CANCEL"), count("ACK")), (invites, CALLS, acks));
    assert_eq!((count("REGISTER"), answers(401)), (2, 1));

    let rung = requests(&stage.handset.messages(), "INVITE").len();
    assert_eq!(rung, CALLS, "the handset rings once for each call");
    for invite in requests(&stage.handset.messages(), "INVITE") {
        let number = user(&invite.header("To").expect("To"));
        let shown = user(&invite.header("From").expect("From"));
        assert!(shown.starts_with(POOL_PREFIX), "From shows a number of the pool");
        let asserted = invite.header("P-Asserted-Identity").expect("P-Asserted-Identity");
        assert_eq!(user(&asserted), shown);
        let answer = stage.gateway.check(&ids[&number], code_of(&shown)).await.expect(200);
        assert_eq!(answer.json()["valid"], true, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_proxy_that_challenges_with_sha_256_is_answered_with_it() {
    let account = Account { algorithm: "SHA-256".to_owned(), ..Account::default() };
    let Some(stage) = Stage::set(account).await else { return };
    let created = stage.gateway.verify("+79163000001").await;
    let seen = stage.gateway.until_call_ended(created["id"].as_str().expect("an id")).await;
    assert_eq!(last_call(&seen)["outcome"], "rang", "{seen:#}");
    let finished = |messages: &[Captured]| requests(messages, "ACK").len() >= 2;
    let messages = stage.ours("ACK of 407 and 487", finished).await;
    no_repeats_and_rsip_agrees(&messages);
    let register = requests(&messages, "REGISTER")[1].header("Authorization").expect("credentials");
    let invite =
        requests(&messages, "INVITE")[1].header("Proxy-Authorization").expect("credentials");
    for credentials in [register, invite] {
        assert!(credentials.contains("algorithm=SHA-256"), "{credentials}");
    }
}

#[tokio::test]
async fn a_cyrillic_text_is_accepted_with_202() {
    const TEXT: &str = "Код 4821 для входа. Никому не сообщайте его.";
    let Some(stage) = Stage::set(Account::default()).await else { return };
    let body = json!({"to": "+79163000002", "text": TEXT});
    let accepted = stage.gateway.api().post("/v1/messages", &body).await.expect(202).json();
    let finished = |messages: &[Captured]| messages.iter().any(|m| m.status() == Some(202));
    let messages = stage.ours("202", finished).await;
    no_repeats_and_rsip_agrees(&messages);
    let sent = requests(&messages, "MESSAGE");
    assert_eq!(sent.len(), 2, "one without and one with credentials:\n{}", ladder(&messages));
    assert_eq!(sent[1].body(), TEXT.as_bytes());
    let kind = sent[1].header("Content-Type").expect("Content-Type");
    assert_eq!(kind.to_lowercase().replace(' ', ""), "text/plain;charset=utf-8");
    let path = format!("/v1/messages/{}", accepted["id"].as_str().expect("an id"));
    let mut seen = stage.gateway.api().get(&path).await.expect(200).json();
    if seen["status"] == "accepted" {
        let wait = format!("{path}?wait=10&after={}", seen["version"]);
        seen = stage.gateway.api().get(&wait).await.expect(200).json();
    }
    assert_eq!(seen["status"], "sent", "202 is accepted and not delivered: {seen:#}");
    let posted = stage.backend.until(LIMIT, "event", |posted| !posted.is_empty()).await;
    let event = posted[0].event();
    assert_eq!((&event["type"], &event["data"]["id"]), (&json!("message.sent"), &seen["id"]));
    assert_eq!((posted.len(), &event["data"]["text"]), (1, &json!(TEXT)));
}

#[tokio::test]
async fn a_stop_removes_the_binding() {
    let Some(mut stage) = Stage::set(Account::default()).await else { return };
    stage.gateway.stop(Duration::from_secs(12)).await;
    let gone = |messages: &[Captured]| requests(messages, "REGISTER").len() >= 3;
    let messages = stage.ours("a REGISTER that removes the binding", gone).await;
    let last = *requests(&messages, "REGISTER").last().expect("a REGISTER");
    let contact = last.header("Contact").expect("our own Contact, never *");
    let expires = last.header("Expires");
    assert!(
        contact.contains("expires=0") || expires.as_deref() == Some("0"),
        "{contact} {expires:?}"
    );
    assert!(contact.contains("sip:"), "{contact}");
}

fn user(address: &str) -> String {
    let behind = address.split_once("sip:").map_or(address, |(_, behind)| behind);
    behind.split_once('@').map_or(behind, |(user, _)| user).to_owned()
}
