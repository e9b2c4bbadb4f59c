//! Addresses that nobody should give: each is told with its place, nothing leaves for it, and the
//! next letter goes.

use dozvon_tests::gateway::{Engine, Gateway, Setup};
use dozvon_tests::http::Answer;
use dozvon_tests::mail_server::Door;
use hyper::Method;
use serde_json::{Value, json};

use crate::people::{Carrier, code_of};

/// Texts with an @ that are no address, and two that a JSON reader must refuse.
fn wrong_addresses() -> Vec<String> {
    let local = "x".repeat(65);
    let label = "x".repeat(64);
    let mut wrong: Vec<String> = [
        "ivan@corp.example\r\nBcc: all@corp.example",
        "ivan@corp.example\nRCPT TO:<all@corp.example>",
        "ivan\r@corp.example",
        "iv\u{0}an@corp.example",
        "iv\u{7}an@corp.example",
        "iv\u{7f}an@corp.example",
        "iv\u{85}an@corp.example",
        "ivan\u{2028}@corp.example",
        "\u{202e}ivan@corp.example",
        "<ivan@corp.example>",
        "ivan@corp.example>",
        "ivan@corp.example,all@corp.example",
        "Ivan <ivan@corp.example>",
        "\"ivan\"@corp.example",
        "ivan@[127.0.0.1]",
        "ivan@corp",
        "ivan@-corp.example",
        "ivan@corp..example",
        "@x.example",
        "ivan@",
        "иван@corp.example",
        "ivan@пример.example",
        "ivan%40@@corp.example",
    ]
    .map(str::to_owned)
    .into();
    wrong.push(format!("{local}@corp.example"));
    wrong.push(format!("ivan@{label}.example"));
    wrong.push(format!("ivan@{}example", "corp.".repeat(60)));
    wrong
}

fn is_told(answer: &Answer, pointer: &str, what: &str) {
    let body = answer.json();
    assert_eq!(answer.status, 422, "{what}: {body}");
    assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
    let faults = body["errors"].as_array().unwrap_or_else(|| panic!("{what}: {body}"));
    let fault = faults.iter().find(|fault| fault["pointer"] == pointer);
    let fault = fault.unwrap_or_else(|| panic!("{what}: nothing at {pointer}: {body}"));
    assert!(fault["detail"].as_str().is_some_and(|text| !text.is_empty()), "{what}: {body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_address_is_told_with_its_place_and_the_next_letter_goes() {
    let carrier = Carrier::start().await;
    let setup = Setup::new(Engine::Sqlite).static_trunk("north", carrier.address());
    let gateway = Gateway::start(setup.with(&Door::Open.section(&carrier.mail))).await;
    let api = gateway.api();
    for address in wrong_addresses() {
        let what = format!("{address:?}");
        let body = json!({"to": address, "channels": ["email"]});
        is_told(&api.post("/v1/verifications", &body).await, "/to", &what);
        let body = json!({"name": "A", "email": address});
        is_told(&api.post("/v1/directory/users", &body).await, "/email", &what);
        let begun = api.post("/v1/sign-ins", &json!({"identifier": address})).await;
        assert!([404, 422].contains(&begun.status), "{what}: {}", begun.text());
    }
    // JSON can write halves of characters that no text holds (RFC 8259 section 8.2).
    for half in ["\\ud800", "\\udc00\\ud800", "\\ud83d", "\\ude00@"] {
        let body = format!("{{\"to\": \"iv{half}an@corp.example\"}}").into_bytes();
        let answer = api.send(Method::POST, "/v1/verifications", &[], body).await;
        assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("malformed-json")));
    }
    // What ends up beside the address in a letter.
    for (field, value) in [
        ("locale", json!("ru\r\nBcc: all@corp.example")),
        ("template", json!("default\r\nSubject: x")),
        ("reference", json!("17\r\nX: y")),
    ] {
        let mut body = json!({"to": "ivan@corp.example", "channels": ["email"]});
        body[field] = value;
        is_told(&api.post("/v1/verifications", &body).await, &format!("/{field}"), field);
    }
    let good = json!({"to": "ivan@corp.example", "channels": ["email"]});
    let made: Value = api.post("/v1/verifications", &good).await.expect(201).json();
    let id = made["id"].as_str().expect("an id");
    let code = code_of(&carrier.letter("ivan@corp.example").await);
    gateway.until(id, |seen| seen["steps"][0]["status"] == "sent").await;
    assert_eq!(gateway.check(id, &code).await.expect(200).json()["status"], "approved");
    assert_eq!(carrier.letters(), 1, "nothing left for a wrong address");
}
