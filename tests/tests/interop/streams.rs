//! Kamailio as registrar and proxy over TCP, TLS and IPv6: registration, flash calls, a text.

use std::collections::BTreeSet;
use std::time::Duration;

use dozvon_tests::capture::{Captured, Direction, ladder, requests};
use dozvon_tests::gateway::{Engine, Gateway, Setup, last_call};
use dozvon_tests::kamailio::{Account, Kamailio, Reach};
use dozvon_tests::peers::{Peer, lacking, skip};
use dozvon_tests::ports::has_ipv6;
use dozvon_tests::second_reader::disagreements;
use dozvon_tests::sipp::{Scenario, Sipp};
use serde_json::json;
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(20);
const CALLS: usize = 10;

/// Registers, places flash calls, sends a text, and returns what passed between Kamailio and us.
async fn everything(reach: Reach<'_>, keys: &str) -> Vec<Captured> {
    let account = Account::default();
    let handset = Sipp::carrier(&Scenario::named("ring_and_cancel")).await;
    let kamailio = Kamailio::start_for(&account, handset.address(), reach).await;
    let setup = Setup::new(Engine::Sqlite);
    let setup = setup.registered_trunk_with("north", kamailio.address(), &account, keys);
    let gateway = Gateway::start(setup).await;
    gateway.registered().await;
    let mut ids = Vec::new();
    for n in 0..CALLS {
        let created = gateway.verify(&format!("+79165{n:06}")).await;
        ids.push(created["id"].as_str().expect("an id").to_owned());
    }
    for id in &ids {
        let seen = gateway.until_call_ended(id).await;
        assert_eq!(last_call(&seen)["outcome"], "rang", "{seen:#}");
    }
    let text = json!({"to": "+79163000002", "text": "Код для входа"});
    let _ = gateway.api().post("/v1/messages", &text).await.expect(202);
    let of_us = |messages: &[Captured]| -> Vec<Captured> {
        let handset = Some(handset.address());
        messages.iter().filter(|message| message.remote != handset).cloned().collect()
    };
    let is_whole = |messages: &[Captured]| {
        let ours = of_us(messages);
        let count = |status| ours.iter().filter(|m| m.status() == Some(status)).count();
        count(487) == CALLS && count(202) == 1 && requests(&ours, "ACK").len() > CALLS
    };
    let all = kamailio.until(LIMIT, "487 for each call, 202 for the text", is_whole).await;
    of_us(&all)
}

/// rsip reads ours as we do. It holds a transport as an enum and writes it in capitals, and the
/// case of that parameter means nothing (RFC 3261 section 19.1.4).
fn rsip_agrees(messages: &[Captured]) {
    for message in messages.iter().filter(|message| message.direction == Direction::Received) {
        let mut found = disagreements(&message.bytes).expect("rsip reads it");
        found.retain(|difference| !difference.contains(";transport: "));
        assert!(found.is_empty(), "{found:?}\n{}", String::from_utf8_lossy(&message.bytes));
    }
}

/// Every request of ours says this transport in its Via, and all came over one connection.
fn one_connection(messages: &[Captured], transport: &str) {
    rsip_agrees(messages);
    let ours = || messages.iter().filter(|message| message.direction == Direction::Received);
    for message in ours() {
        let via = message.header("Via").expect("Via");
        assert!(via.contains(&format!("SIP/2.0/{transport}")), "{via}");
    }
    let ends: BTreeSet<_> = ours().map(|message| message.remote).collect();
    assert_eq!(ends.len(), 1, "{ends:?}\n{}", ladder(messages));
    for register in requests(messages, "REGISTER") {
        let contact = register.header("Contact").expect("Contact");
        let parameter = format!("transport={}", transport.to_lowercase());
        assert!(contact.contains(&parameter), "{contact}");
    }
}

#[tokio::test]
async fn registration_calls_and_a_text_go_over_one_tcp_connection() {
    if lacking(&[Peer::Sipp, Peer::Kamailio]) {
        return;
    }
    let messages = everything(Reach::Tcp, "transport = \"tcp\"\n").await;
    one_connection(&messages, "TCP");
}

#[tokio::test]
async fn registration_calls_and_a_text_go_over_one_tls_connection() {
    if lacking(&[Peer::Sipp, Peer::Kamailio, Peer::KamailioTls]) {
        return;
    }
    let folder = TempDir::new().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    let names = vec![Account::default().domain];
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    std::fs::write(path("cert.pem"), made.cert.pem()).expect("the folder is ours");
    std::fs::write(path("key.pem"), made.signing_key.serialize_pem()).expect("the folder is ours");
    let keys = format!(
        "transport = \"tls\"\ntls = {{ ca = \"{}\", name = \"{}\" }}\n",
        path("cert.pem").display(),
        Account::default().domain
    );
    let (certificate, key) = (path("cert.pem"), path("key.pem"));
    let messages = everything(Reach::Tls { certificate: &certificate, key: &key }, &keys).await;
    one_connection(&messages, "TLS");
}

#[tokio::test]
async fn registration_calls_and_a_text_go_over_ipv6() {
    if lacking(&[Peer::Sipp, Peer::Kamailio]) {
        return;
    }
    if !has_ipv6() {
        skip("this machine has no IPv6");
        return;
    }
    // rsip knows no IPv6 in Via.
    let messages = everything(Reach::UdpV6, "").await;
    for register in requests(&messages, "REGISTER") {
        let contact = register.header("Contact").expect("Contact");
        assert!(contact.contains("@[::1]:"), "{contact}");
    }
}
