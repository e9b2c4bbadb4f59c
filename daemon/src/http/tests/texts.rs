//! Texts: what they are cut into, and how their changes are told.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use sip::{MessageHandle, MessageSummary};

use super::bench::{Bench, NUMBER, PATIENCE, request};
use crate::ua_driver::MessageEnd;
use crate::ua_driver::scripted::Asked;

#[tokio::test]
async fn a_preview_counts_parts_and_names_what_forces_ucs2() {
    let bench = Bench::start().await;
    let preview = |text: String| bench.post("/v1/messages/preview", json!({"text": text}));
    let plain = preview("a".repeat(161)).await.expect(StatusCode::OK).json();
    assert_eq!(
        (&plain["encoding"], &plain["segments"], &plain["units_left"]),
        (&json!("gsm7"), &json!(2), &json!(145))
    );
    assert_eq!(plain["forcing_characters"], json!([]));
    let forced = preview("Total — 5 €".to_owned()).await.expect(StatusCode::OK).json();
    assert_eq!((&forced["encoding"], &forced["segments"]), (&json!("ucs2"), &json!(1)));
    assert_eq!(forced["forcing_characters"], json!(["—"]));
    let both = json!({"text": "a", "template": "b"});
    bench.post("/v1/messages/preview", both).await.expect_problem(422, "invalid-request");
    let list = bench.get("/v1/messages").await.expect(StatusCode::OK).json();
    assert_eq!(list["data"], json!([]), "nothing is stored");
}

#[tokio::test]
async fn a_waiting_reader_is_told_when_the_text_moves() {
    let mut bench = Bench::start().await;
    let created = bench.post("/v1/messages", json!({"to": NUMBER, "text": "Hello"})).await;
    let id = created.expect(StatusCode::ACCEPTED).json()["id"].as_str().unwrap().to_owned();
    let Asked::Message(_, ended) = bench.script.next().await else { panic!("a text") };
    let seen = bench.get(&format!("/v1/messages/{id}")).await.expect(StatusCode::OK).json();
    let path = format!("/v1/messages/{id}?wait=30&after={}", seen["version"]);
    let waiting = bench.send_later(request("GET", &path, &bench.key, None));
    let summary =
        MessageSummary { message: MessageHandle(1), status: Some(202), retry_after: None };
    ended.send(MessageEnd::Ended(summary)).expect("the sender waits");
    let told = tokio::time::timeout(PATIENCE, waiting).await.expect("it is told").unwrap();
    assert_eq!(told.expect(StatusCode::OK).json()["status"], "sent");
    assert!(PATIENCE < Duration::from_secs(30), "else the wait itself would have ended it");
}
