//! Verifications from the request to their end.

use axum::http::StatusCode;
use dialplans::TrunkState;
use serde_json::json;
use sip::CallOutcome;

use super::bench::{Bench, NUMBER, PATIENCE, request};
use crate::ua_driver::scripted::Asked;

/// The code that a caller ID shows.
fn code(shown: &str) -> &str {
    &shown[shown.len() - 4..]
}

fn wrong(code: &str) -> String {
    format!("{:04}", (code.parse::<u32>().unwrap() + 1) % 10_000)
}

#[tokio::test]
async fn a_phone_rings_and_its_code_approves_once() {
    let mut bench = Bench::start().await;
    let body = json!({"to": "8 (916) 123-45-67", "reference": "order-17", "metadata": {"k": "v"}});
    let created = bench.post("/v1/verifications", body).await.expect(StatusCode::CREATED);
    let location = created.header("location").to_owned();
    let created = created.json();
    assert_eq!(location, format!("/v1/verifications/{}", created["id"].as_str().unwrap()));
    assert_eq!(
        (created["to"].as_str(), created["status"].as_str()),
        (Some(NUMBER), Some("pending"))
    );
    assert_eq!(created["steps"][0]["status"], "queued");
    assert_eq!(created["metadata"]["k"], "v");
    assert_eq!(created["checks"], json!({"max": 3, "left": 3}));

    let call = bench.script.call().await;
    assert_eq!(call.order.request.called.reveal(), NUMBER);
    let shown = call.shown();
    call.rang();
    let id = created["id"].as_str().unwrap();
    let rang = bench.until_call_ended(id).await;
    assert_eq!(rang["steps"][0]["status"], "rang");
    assert_eq!(rang["steps"][0]["calls"][0]["outcome"], "rang");
    assert!(!rang.to_string().contains(&shown[1..]), "the caller ID is the code");

    let refused = bench.check(id, &wrong(code(&shown))).await.expect(StatusCode::OK).json();
    assert_eq!(
        (refused["valid"].as_bool(), refused["checks"]["left"].as_u64()),
        (Some(false), Some(2))
    );
    let approved = bench.check(id, code(&shown)).await.expect(StatusCode::OK).json();
    assert_eq!(
        (approved["valid"].as_bool(), approved["status"].as_str()),
        (Some(true), Some("approved"))
    );
    bench.check(id, code(&shown)).await.expect_problem(409, "verification-ended");
}

#[tokio::test]
async fn the_whole_caller_number_is_a_code_too() {
    let mut bench = Bench::start().await;
    let id = bench.create(NUMBER).await;
    let call = bench.script.call().await;
    let shown = call.shown();
    call.rang();
    bench.until_call_ended(&id).await;
    assert_eq!(bench.check(&id, &shown).await.json()["valid"], true);
}

#[tokio::test]
async fn a_trunk_that_fails_hands_over_to_the_next_with_the_same_caller_id() {
    let mut bench = Bench::start().await;
    let id = bench.create(NUMBER).await;
    let first = bench.script.call().await;
    let (trunk, shown) = (first.order.trunk.clone(), first.shown());
    assert_eq!(trunk.as_str(), "north");
    first.invite();
    first.end(CallOutcome::Congestion, 503);
    let second = bench.script.call().await;
    assert_eq!((second.order.trunk.as_str(), second.shown()), ("south", shown.clone()));
    second.rang();
    let seen = bench.until(&id, |seen| seen["steps"][0]["status"] == "rang").await;
    let outcomes: Vec<_> = seen["steps"][0]["calls"].as_array().unwrap().iter().collect();
    assert_eq!(outcomes.len(), 2);
    assert_eq!(
        (&outcomes[0]["outcome"], &outcomes[0]["trunk"]),
        (&json!("congestion"), &json!("north"))
    );
    assert_eq!(bench.check(&id, code(&shown)).await.json()["valid"], true);
}

#[tokio::test]
async fn a_call_that_rang_is_never_followed_by_another() {
    let mut bench = Bench::start().await;
    let id = bench.create(NUMBER).await;
    let call = bench.script.call().await;
    call.ring();
    call.end(CallOutcome::TrunkError, 500);
    let ended = bench.until(&id, |seen| seen["status"] != "pending");
    tokio::time::timeout(PATIENCE, ended).await.expect("a second call is out");
    assert!(bench.script.is_idle());
}

#[tokio::test]
async fn a_second_trunk_that_is_down_is_not_asked_and_the_verification_fails() {
    let mut bench = Bench::start().await;
    let id = bench.create(NUMBER).await;
    let call = bench.script.call().await;
    bench.script.set("south", TrunkState::Down);
    call.end(CallOutcome::TrunkTimeout, 408);
    let seen = bench.until(&id, |seen| seen["status"] != "pending").await;
    assert_eq!(
        (&seen["status"], &seen["steps"][0]["status"]),
        (&json!("failed"), &json!("failed"))
    );
    assert!(bench.script.is_idle());
}

#[tokio::test]
async fn a_diverted_call_withdraws_its_code() {
    let mut bench = Bench::start().await;
    let id = bench.create(NUMBER).await;
    let call = bench.script.call().await;
    let shown = call.shown();
    call.end(CallOutcome::Diverted, 487);
    let seen = bench.until(&id, |seen| seen["status"] != "pending").await;
    assert_eq!(seen["steps"][0]["status"], "diverted");
    bench.check(&id, code(&shown)).await.expect_problem(409, "verification-ended");
}

#[tokio::test]
async fn a_late_ring_after_the_next_trunk_began_with_the_same_number_keeps_the_code() {
    let mut bench = Bench::start().await;
    let id = bench.create(NUMBER).await;
    let first = bench.script.call().await;
    let shown = first.shown();
    let progress = first.end(CallOutcome::TrunkTimeout, 408);
    let second = bench.script.call().await;
    progress.send_modify(|progress| progress.late_ringing = true);
    bench.until(&id, |seen| seen["steps"][0]["calls"][0]["outcome"] == "late_ring").await;
    second.end(CallOutcome::Busy, 486);
    bench.until_call_ended(&id).await;
    assert_eq!(bench.check(&id, code(&shown)).await.json()["valid"], true);
}

#[tokio::test]
async fn a_number_that_nobody_has_is_not_called_again_for_an_hour() {
    let mut bench = Bench::start().await;
    let id = bench.create(NUMBER).await;
    bench.script.call().await.end(CallOutcome::Unallocated, 604);
    bench.until(&id, |seen| seen["status"] == "failed").await;
    let again = bench.post("/v1/verifications", json!({"to": NUMBER})).await;
    again.expect_problem(422, "number-invalid");
}

#[tokio::test]
async fn a_bare_404_is_asked_of_the_next_trunk_and_remembered_when_that_agrees() {
    let mut bench = Bench::start().await;
    let id = bench.create(NUMBER).await;
    bench.script.call().await.end(CallOutcome::Unallocated, 404);
    bench.script.call().await.end(CallOutcome::Unallocated, 404);
    bench.until(&id, |seen| seen["status"] == "failed").await;
    let again = bench.post("/v1/verifications", json!({"to": NUMBER})).await;
    again.expect_problem(422, "number-invalid");
}

#[tokio::test]
async fn a_cancelled_verification_hangs_its_call_up() {
    let mut bench = Bench::start().await;
    let id = bench.create(NUMBER).await;
    let call = bench.script.call().await;
    let cancelled = bench.post(&format!("/v1/verifications/{id}/cancel"), json!({})).await;
    assert_eq!(cancelled.expect(StatusCode::OK).json()["status"], "canceled");
    match bench.script.next().await {
        Asked::HangUp(call_id) => assert_eq!(call_id, call.order.call_id),
        other => panic!("{other:?}"),
    }
    call.end(CallOutcome::Canceled, 487);
    bench.until_call_ended(&id).await;
}

#[tokio::test]
async fn a_waiting_reader_is_answered_by_the_next_change() {
    let mut bench = Bench::start().await;
    let id = bench.create(NUMBER).await;
    let call = bench.script.call().await;
    let path = format!("/v1/verifications/{id}?wait=30");
    let waiting = bench.send_later(request("GET", &path, &bench.key, None));
    call.ring();
    let seen = tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap().json();
    assert!(seen["version"].as_u64().unwrap() > 1, "{seen}");
    call.rang();
    bench.until_call_ended(&id).await;
}

#[tokio::test]
async fn the_stop_answers_every_waiting_reader() {
    let mut bench = Bench::start().await;
    let id = bench.create(NUMBER).await;
    let _call = bench.script.call().await;
    let path = format!("/v1/verifications/{id}?wait=30");
    let waiting = bench.send_later(request("GET", &path, &bench.key, None));
    tokio::task::yield_now().await;
    bench.app.stop().cancel();
    let seen = tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap();
    assert_eq!(seen.status, 200);
    let refused = bench.post("/v1/verifications", json!({"to": "+79161234568"})).await;
    refused.expect_problem(503, "shutting-down");
}

#[tokio::test]
async fn events_tell_each_version_and_end_with_the_verification() {
    let mut bench = Bench::start().await;
    let id = bench.create(NUMBER).await;
    let call = bench.script.call().await;
    let path = format!("/v1/verifications/{id}/events");
    let stream = bench.send_later(request("GET", &path, &bench.key, None));
    let shown = call.shown();
    call.rang();
    bench.until_call_ended(&id).await;
    bench.check(&id, code(&shown)).await.expect(StatusCode::OK);
    let events = tokio::time::timeout(PATIENCE, stream).await.unwrap().unwrap();
    assert_eq!(events.header("content-type"), "text/event-stream");
    let text = String::from_utf8(events.bytes).unwrap();
    assert!(text.starts_with("event: verification\nid: "), "{text}");
    assert!(text.trim_end().rsplit("\n\n").next().unwrap().contains("\"approved\""), "{text}");
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_only_its_wait() {
    let mut bench = Bench::start().await;
    let create = request("POST", "/v1/verifications", &bench.key, Some(json!({"to": NUMBER})));
    let sent = bench.send_later(create);
    tokio::task::yield_now().await;
    sent.abort();
    let mut list = json!({"data": []});
    // The request may have been dropped before it was read at all; then it is never there.
    for _ in 0..200 {
        list = bench.get("/v1/verifications").await.expect(StatusCode::OK).json();
        if !list["data"].as_array().unwrap().is_empty() || bench.app.tasks().is_empty() {
            break;
        }
    }
    if let Some(stored) = list["data"].as_array().unwrap().first() {
        bench.script.call().await.rang();
        bench.until_call_ended(stored["id"].as_str().unwrap()).await;
    }
}

#[tokio::test]
async fn after_a_restart_a_call_is_cancelled_once_never_dialled_and_its_code_still_checks() {
    let mut bench = Bench::start().await;
    let id = bench.create(NUMBER).await;
    let call = bench.script.call().await;
    let (shown, call_id) = (call.shown(), call.order.call_id);
    call.ring();
    bench.until(&id, |seen| seen["version"].as_u64() > Some(1)).await;
    bench.restart().await;
    let found = crate::verification::recovery::recover(&bench.app).await.unwrap();
    assert_eq!((found.calls, found.open), (1, 1));
    match bench.script.next().await {
        Asked::CancelInterrupted(trunk, interrupted) => {
            assert_eq!(trunk.as_str(), "north");
            assert_eq!((interrupted.caller_id.reveal(), interrupted.last_cseq), (&*shown, 1));
            let identity = bench.app.keys().call_identity(call_id);
            assert!(interrupted.identity == identity);
        }
        other => panic!("{other:?}"),
    }
    let seen = bench.until_call_ended(&id).await;
    assert_eq!(seen["steps"][0]["status"], "interrupted");
    assert_eq!(bench.check(&id, code(&shown)).await.json()["valid"], true);
    assert!(bench.script.is_idle());
}

#[tokio::test]
async fn a_resend_shows_the_same_caller_id_once_more() {
    let mut bench = Bench::start().await;
    let id = bench.create(NUMBER).await;
    let call = bench.script.call().await;
    call.rang();
    bench.until_call_ended(&id).await;
    let path = format!("/v1/verifications/{id}/resend");
    let soon = bench.post(&path, json!({})).await.expect_problem(429, "resend-too-soon");
    assert!(soon.header("retry-after").parse::<u64>().unwrap() <= 15);
}
