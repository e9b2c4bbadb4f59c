//! The user chooses: from one channel to the next, resends, restarts.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use sip::{CallOutcome, MessageHandle, MessageSummary, OutboundMessage};
use tokio::sync::oneshot;

use super::bench::{Bench, NUMBER, request};
use crate::ua_driver::MessageEnd;
use crate::ua_driver::scripted::Asked;

type Ended = oneshot::Sender<MessageEnd>;

fn answered(status: Option<u16>) -> MessageEnd {
    MessageEnd::Ended(MessageSummary { message: MessageHandle(1), status, retry_after: None })
}

/// The next text that leaves.
async fn text(bench: &mut Bench) -> (OutboundMessage, Ended) {
    match bench.script.next().await {
        Asked::Message(message, ended) => (message, ended),
        other => panic!("{other:?}"),
    }
}

/// The six digits of a text.
fn code(message: &OutboundMessage) -> String {
    let digits = |part: &&str| part.len() == 6 && part.bytes().all(|b| b.is_ascii_digit());
    let mut parts = message.text.split(|c: char| !c.is_ascii_digit());
    parts.find(digits).expect("a text with a code").to_owned()
}

async fn create(bench: &Bench, body: Value) -> String {
    let created = bench.post("/v1/verifications", body).await.expect(StatusCode::CREATED).json();
    created["id"].as_str().unwrap().to_owned()
}

fn stands(seen: &Value, step: usize, status: &str) -> bool {
    seen["steps"][step]["status"] == status
}

#[tokio::test]
async fn a_busy_phone_gets_a_text_at_once_and_its_code_approves() {
    let mut bench = Bench::start().await;
    bench.goes_on();
    let id = create(&bench, json!({"to": NUMBER, "channels": ["flash_call", "sms"]})).await;
    bench.script.call().await.end(CallOutcome::Busy, 486);
    let (message, ended) = text(&mut bench).await;
    assert_eq!((message.called.reveal(), message.sender.unwrap().reveal()), (NUMBER, "EXAMPLE"));
    ended.send(answered(Some(202))).unwrap();
    let seen = bench.until(&id, |seen| stands(seen, 1, "sent")).await;
    assert_eq!((&seen["steps"][0]["status"], &seen["next"]), (&json!("busy"), &json!(null)));
    assert_eq!((&seen["code"]["length"], &seen["sends"]["left"]), (&json!(6), &json!(3)));
    let message = OutboundMessage { sender: None, ..message };
    assert!(!seen.to_string().contains(&code(&message)));
    assert_eq!(bench.check(&id, &code(&message)).await.json()["status"], "approved");
}

#[tokio::test]
async fn a_phone_that_rang_waits_and_the_answer_says_what_comes_next() {
    let mut bench = Bench::start().await;
    bench.goes_on();
    let channels = json!(["flash_call", {"channel": "sms", "after_s": 90}]);
    let id = create(&bench, json!({"to": NUMBER, "channels": channels})).await;
    bench.script.call().await.rang();
    let seen = bench.until(&id, |seen| seen["next"].is_object()).await;
    assert_eq!(seen["next"]["channel"], "sms");
    assert!(bench.script.is_idle());
    let soon = json!({"channel": "sms"});
    let path = format!("/v1/verifications/{id}/switch");
    bench.post(&path, soon).await.expect_problem(429, "resend-too-soon");
    let email = json!({"channel": "email"});
    bench.post(&path, email).await.expect_problem(422, "channel-not-available");
}

#[tokio::test]
async fn a_first_channel_that_cannot_be_begun_leaves_the_way_to_the_next() {
    let mut bench = Bench::start().await;
    // The pool of this route has a thousand endings, one too few once one was shown.
    let number = "+79011234567";
    create(&bench, json!({"to": number, "channels": ["flash_call"]})).await;
    bench.script.call().await.rang();
    bench.key = bench.make_key(Some("other"), true, "verify").await;
    let body = json!({"to": "+79161234568", "channels": ["sms"], "locale": "ru",
        "autofill": {"web_origin": "app.example.ru", "android_app_hash": "A1b2C3d4E5f"}});
    let id = create(&bench, body).await;
    let (message, ended) = text(&mut bench).await;
    ended.send(answered(Some(200))).unwrap();
    let code = code(&message);
    assert!(message.text.starts_with("Ваш код"), "{}", message.text);
    assert!(message.text.ends_with(&format!("\n@app.example.ru #{code}")));
    bench.until(&id, |seen| stands(seen, 0, "sent")).await;
    assert_eq!(bench.check(&id, &code).await.json()["valid"], true);
}

#[tokio::test]
async fn a_text_that_was_only_written_down_leaves_after_a_restart_and_one_that_was_out_never() {
    let mut bench = Bench::with_room(1).await;
    // The only place is taken, so the text waits for one.
    create(&bench, json!({"to": "+79161234500"})).await;
    let id = create(&bench, json!({"to": NUMBER, "channels": ["sms"]})).await;
    bench.app.stop().cancel();
    bench.restart().await;
    crate::verification::recovery::recover(&bench.app).await.unwrap();
    let mut found = None;
    while found.is_none() {
        if let Asked::Message(message, ended) = bench.script.next().await {
            found = Some((message, ended));
        }
    }
    let (message, _lost) = found.unwrap();
    bench.until(&id, |seen| stands(seen, 0, "sending")).await;
    bench.restart().await;
    crate::verification::recovery::recover(&bench.app).await.unwrap();
    let seen = bench.until(&id, |seen| stands(seen, 0, "interrupted")).await;
    assert_eq!(seen["steps"][0]["detail"], "interrupted");
    assert_eq!(bench.check(&id, &code(&message)).await.json()["valid"], true);
}

#[tokio::test]
async fn a_channel_that_was_due_when_the_process_died_begins_after_the_restart() {
    let mut bench = Bench::start().await;
    let id = create(&bench, json!({"to": NUMBER, "channels": ["flash_call", "sms"]})).await;
    bench.script.call().await.end(CallOutcome::Unreachable, 480);
    // Nobody goes on with workflows in this process.
    bench.until(&id, |seen| seen["next"].is_object()).await;
    bench.restart().await;
    crate::verification::recovery::recover(&bench.app).await.unwrap();
    bench.goes_on();
    let (_, ended) = text(&mut bench).await;
    ended.send(answered(Some(200))).unwrap();
    bench.until(&id, |seen| stands(seen, 1, "sent")).await;
}

#[tokio::test]
async fn a_refused_text_fails_the_verification_when_nothing_else_is_left() {
    let mut bench = Bench::start().await;
    let id = create(&bench, json!({"to": NUMBER, "channels": ["sms"]})).await;
    let (_, ended) = text(&mut bench).await;
    ended.send(answered(Some(404))).unwrap();
    let seen = bench.until(&id, |seen| seen["status"] != "pending").await;
    assert_eq!(
        (&seen["status"], &seen["steps"][0]["status"]),
        (&json!("failed"), &json!("rejected"))
    );
}

#[tokio::test]
async fn a_code_of_the_clients_own_needs_its_scope_and_a_channel_that_writes() {
    let mut bench = Bench::start().await;
    let body = json!({"to": NUMBER, "channels": ["sms"], "code": "00112233"});
    bench.post("/v1/verifications", body.clone()).await.expect_problem(403, "scope-missing");
    bench.key = bench.make_key(Some("default"), true, "verify,calls:own_codes").await;
    let short = json!({"to": NUMBER, "channels": ["sms"], "code": "1234"});
    bench.post("/v1/verifications", short).await.expect_problem(422, "invalid-request");
    let shown = json!({"to": NUMBER, "channels": ["flash_call"], "code": "00112233"});
    bench.post("/v1/verifications", shown).await.expect_problem(422, "channel-not-available");
    let id = create(&bench, body).await;
    let (message, ended) = text(&mut bench).await;
    assert!(message.text.contains("00112233"));
    ended.send(answered(Some(200))).unwrap();
    assert_eq!(bench.check(&id, "00112233").await.json()["valid"], true);
}

#[tokio::test]
async fn under_a_test_key_a_text_is_played_and_an_undelivered_one_fails() {
    let mut bench = Bench::start().await;
    bench.goes_on();
    bench.key = bench.make_key(Some("default"), false, "verify").await;
    let id = create(&bench, json!({"to": "+70000000001", "channels": ["sms"]})).await;
    bench.until(&id, |seen| stands(seen, 0, "delivered")).await;
    assert_eq!(bench.check(&id, "000000").await.json()["valid"], true);
    let id = create(&bench, json!({"to": "+70000000006", "channels": ["sms", "flash_call"]})).await;
    bench.until(&id, |seen| stands(seen, 1, "rang")).await;
    assert!(bench.script.is_idle());
}

#[tokio::test]
async fn a_repeated_switch_gets_its_first_answer() {
    let mut bench = Bench::start().await;
    bench.key = bench.make_key(Some("default"), false, "verify").await;
    let body = json!({"to": "+70000000001", "channels": ["flash_call", "sms"]});
    let id = create(&bench, body).await;
    bench.until(&id, |seen| stands(seen, 0, "rang")).await;
    let path = format!("/v1/verifications/{id}/switch");
    let early = bench.post(&path, json!({"channel": "sms"})).await;
    assert_eq!(early.status, 429);
    let wait = Duration::from_secs(early.header("retry-after").parse().unwrap());
    assert!(wait <= Duration::from_secs(15));
    let none = request("POST", &path, &bench.key, None);
    assert_eq!(bench.send(none).await.status, 400);
}
