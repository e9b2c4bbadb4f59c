//! Limits, idempotency and texts.

use axum::http::StatusCode;
use serde_json::json;
use sip::{MessageHandle, MessageSummary};

use super::bench::{Bench, NUMBER, request, with_idempotency};
use crate::ua_driver::MessageEnd;
use crate::ua_driver::scripted::Asked;

#[tokio::test]
async fn a_repeated_request_gets_the_very_bytes_and_no_second_call() {
    let mut bench = Bench::start().await;
    let send = |body| {
        let request = request("POST", "/v1/verifications", &bench.key, Some(body));
        bench.send(with_idempotency(request, "\"order-17\""))
    };
    let first = send(json!({"to": NUMBER, "purpose": "sign_in"})).await.expect(StatusCode::CREATED);
    let again = send(json!({"purpose": "sign_in", "to": NUMBER})).await.expect(StatusCode::CREATED);
    assert_eq!(first.bytes, again.bytes);
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!(
        (first.header("idempotent-replayed"), again.header("idempotent-replayed")),
        ("", "true")
    );
    let other = send(json!({"to": "+79161234568"})).await;
    other.expect_problem(422, "idempotency-key-reused");
    bench.script.call().await.rang();
    assert!(bench.script.is_idle());
}

#[tokio::test]
async fn a_refusal_is_not_kept_under_its_idempotency_key() {
    let mut bench = Bench::start().await;
    let send = |body| {
        let request = request("POST", "/v1/verifications", &bench.key, Some(body));
        bench.send(with_idempotency(request, "k"))
    };
    send(json!({"to": "+12125550123"})).await.expect_problem(403, "destination-not-allowed");
    send(json!({"to": NUMBER})).await.expect(StatusCode::CREATED);
    bench.script.call().await.rang();
}

#[tokio::test]
async fn a_repeated_check_gets_its_first_answer_and_costs_nothing() {
    let mut bench = Bench::start().await;
    let id = bench.create(NUMBER).await;
    bench.script.call().await.rang();
    bench.until_call_ended(&id).await;
    let path = format!("/v1/verifications/{id}/check");
    for _ in 0..5 {
        // Ten digits are never the code of four, nor the number of eleven.
        let body = json!({"code": "0000000000"});
        let check = with_idempotency(request("POST", &path, &bench.key, Some(body)), "c");
        let checked = bench.send(check).await.expect(StatusCode::OK).json();
        assert_eq!(checked["checks"]["left"], 2);
    }
}

#[tokio::test]
async fn two_sends_to_one_number_keep_their_distance() {
    let mut bench = Bench::start().await;
    bench.create(NUMBER).await;
    bench.script.call().await.rang();
    let second = bench.post("/v1/verifications", json!({"to": NUMBER})).await;
    let second = second.expect_problem(429, "resend-too-soon");
    assert!((1..=15).contains(&second.header("retry-after").parse::<u64>().unwrap()));
    let policy = second.header("ratelimit-policy");
    assert!(
        policy.starts_with("\"send\";q=1;w=15, \"key\";q=1000;w=1, \"send-minute\""),
        "{policy}"
    );
    assert_eq!(policy.matches("\"send\"").count(), 1, "{policy}");
    assert!(second.header("ratelimit").starts_with("\"send\";r=0;t="), "{second:?}");
}

#[tokio::test]
async fn a_full_call_loop_promises_and_stores_nothing() {
    let bench = Bench::with_room(1).await;
    bench.create(NUMBER).await;
    let refused = bench.post("/v1/verifications", json!({"to": "+79161234568"})).await;
    let refused = refused.expect_problem(503, "overloaded");
    assert!(!refused.header("retry-after").is_empty());
    let list = bench.get("/v1/verifications").await.expect(StatusCode::OK).json();
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_pool_of_which_too_much_was_shown_is_too_small_and_the_answer_counts() {
    let mut bench = Bench::start().await;
    // The pool of this route has exactly the thousand endings that `sign_in` wants.
    bench.create("+79011234567").await;
    bench.script.call().await.rang();
    let refused = bench.post("/v1/verifications", json!({"to": "+79011234567"})).await;
    let refused = refused.expect_problem(409, "pool-too-small").json();
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("1 shown within 24 hours: 999 left, 1000 needed"), "{detail}");
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_does_nothing() {
    let bench = Bench::start().await;
    let dry = bench.post("/v1/verifications", json!({"to": NUMBER, "dry_run": true})).await;
    let dry = dry.expect(StatusCode::OK).json();
    assert_eq!(dry["steps"][0]["trunks"], json!(["north", "south"]));
    assert_eq!(dry["code"]["space"], 10_000);
    assert!(bench.script.is_idle());
    assert_eq!(bench.get("/v1/verifications").await.json()["data"], json!([]));
}

#[tokio::test]
async fn under_a_test_key_nothing_leaves_and_zeros_approve() {
    let mut bench = Bench::start().await;
    bench.key = bench.make_key(Some("default"), false, "verify,messages").await;
    for (to, status) in [
        ("+70000000001", "rang"),
        ("+70000000002", "busy"),
        ("+70000000003", "unreachable"),
        ("+70000000004", "diverted"),
        ("+70000000005", "answered"),
    ] {
        let id = bench.create(to).await;
        let seen = bench.until_call_ended(&id).await;
        assert_eq!(
            (&seen["steps"][0]["status"], &seen["live"]),
            (&json!(status), &json!(false)),
            "{to}"
        );
        if matches!(status, "rang" | "answered") {
            assert_eq!(bench.check(&id, "0000").await.json()["valid"], true, "{to}");
        }
    }
    assert!(bench.script.is_idle());
}

fn summary(status: Option<u16>) -> MessageEnd {
    MessageEnd::Ended(MessageSummary { message: MessageHandle(1), status, retry_after: None })
}

#[tokio::test]
async fn a_text_that_the_trunk_accepts_is_sent() {
    let mut bench = Bench::start().await;
    let body = json!({"to": NUMBER, "text": "Привет", "sender": "EXAMPLE"});
    let accepted = bench.post("/v1/messages", body).await.expect(StatusCode::ACCEPTED).json();
    assert_eq!((&accepted["status"], &accepted["segments"]), (&json!("accepted"), &json!(1)));
    match bench.script.next().await {
        Asked::Message(message, ended) => {
            assert_eq!((message.called.reveal(), &*message.text), (NUMBER, "Привет"));
            assert_eq!(message.sender.unwrap().reveal(), "EXAMPLE");
            ended.send(summary(Some(202))).unwrap();
        }
        other => panic!("{other:?}"),
    }
    let path = format!("/v1/messages/{}", accepted["id"].as_str().unwrap());
    let seen = until_sent(&bench, &path).await;
    assert_eq!((&seen["status"], &seen["detail"]), (&json!("sent"), &json!("sip_202")));
    assert_eq!(seen["maybe_duplicate"], false);
}

#[tokio::test]
async fn a_text_whose_answer_was_lost_goes_out_again_and_says_so() {
    let mut bench = Bench::start().await;
    let accepted = bench.post("/v1/messages", json!({"to": NUMBER, "text": "x"})).await;
    let accepted = accepted.expect(StatusCode::ACCEPTED).json();
    answer_message(&mut bench, None).await;
    let path = format!("/v1/messages/{}", accepted["id"].as_str().unwrap());
    let mut seen = accepted;
    while seen["maybe_duplicate"] == false {
        let wait = format!("{path}?wait=10&after={}", seen["version"]);
        seen = bench.get(&wait).await.expect(StatusCode::OK).json();
    }
    assert_eq!((&seen["status"], &seen["detail"]), (&json!("accepted"), &json!("no_answer")));
    // A new start does not wait the seconds after which the old process would send it again.
    bench.restart().await;
    assert_eq!(crate::messages::recover(&bench.app).await.unwrap(), 1);
    answer_message(&mut bench, Some(200)).await;
    let seen = until_sent(&bench, &path).await;
    assert_eq!((&seen["status"], &seen["maybe_duplicate"]), (&json!("sent"), &json!(true)));
}

async fn answer_message(bench: &mut Bench, status: Option<u16>) {
    match bench.script.next().await {
        Asked::Message(_, ended) => ended.send(summary(status)).unwrap(),
        other => panic!("{other:?}"),
    }
}

async fn until_sent(bench: &Bench, path: &str) -> serde_json::Value {
    let mut seen = bench.get(path).await.expect(StatusCode::OK).json();
    while seen["status"] == "accepted" {
        let wait = format!("{path}?wait=10&after={}", seen["version"]);
        seen = bench.get(&wait).await.expect(StatusCode::OK).json();
    }
    seen
}

#[tokio::test]
async fn a_text_that_was_out_when_the_process_died_goes_out_again_and_says_so() {
    let mut bench = Bench::start().await;
    let accepted = bench.post("/v1/messages", json!({"to": NUMBER, "text": "x"})).await;
    let accepted = accepted.expect(StatusCode::ACCEPTED).json();
    let _out = bench.script.next().await;
    bench.restart().await;
    assert_eq!(crate::messages::recover(&bench.app).await.unwrap(), 1);
    answer_message(&mut bench, Some(200)).await;
    let path = format!("/v1/messages/{}", accepted["id"].as_str().unwrap());
    let seen = until_sent(&bench, &path).await;
    assert_eq!((&seen["status"], &seen["maybe_duplicate"]), (&json!("sent"), &json!(true)));
}

#[tokio::test]
async fn a_backend_with_codes_of_its_own_gets_a_call_with_that_tail_and_no_caller_id() {
    let mut bench = Bench::start().await;
    let body = json!({"to": NUMBER, "tail": "0042"});
    bench.post("/v1/calls", body.clone()).await.expect_problem(403, "scope-missing");
    bench.key = bench.make_key(Some("default"), true, "calls:own_codes,calls").await;
    let longer = json!({"to": NUMBER, "tail": "12345"});
    bench.post("/v1/calls", longer).await.expect_problem(422, "tail-not-in-pools");
    let bad = bench.post("/v1/calls", json!({"to": NUMBER, "tail": "4a"})).await;
    assert_eq!(bad.expect_problem(422, "invalid-request").json()["errors"][0]["pointer"], "/tail");
    let placed = bench.post("/v1/calls", body).await.expect(StatusCode::CREATED);
    let call = bench.script.call().await;
    assert_eq!(call.shown(), "+74951230042");
    assert!(!String::from_utf8_lossy(&placed.bytes).contains("0042"));
    let path = placed.header("location").to_owned();
    assert_eq!(bench.get(&path).await.expect(StatusCode::OK).json()["outcome"], json!(null));
    call.rang();
}

#[tokio::test]
async fn a_caller_id_that_networks_block_is_not_drawn_any_more() {
    let bench = Bench::start().await;
    let now = bench.app.now();
    for ending in 0..9_000 {
        let number = dialplans::E164::parse(&format!("+7495123{ending:04}")).unwrap();
        let length = dialplans::CodeLength::new(4).unwrap();
        let caller_id = dialplans::CallerId::new(number, length).unwrap();
        for _ in 0..20 {
            bench.app.resting().note(now, caller_id, true);
        }
    }
    let dry = bench.post("/v1/verifications", json!({"to": NUMBER, "dry_run": true})).await;
    assert_eq!(dry.expect(StatusCode::OK).json()["code"]["space"], 1_000);
}
