//! Requests that nobody should send: each is a problem with its place, and nothing is stored.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};

use super::bench::{Bench, NUMBER, request};

const PATH: &str = "/v1/verifications";

fn raw(bench: &Bench, body: impl Into<Body>) -> Request<Body> {
    let request = Request::post(PATH).header("authorization", format!("Bearer {}", bench.key));
    request.body(body.into()).unwrap()
}

async fn assert_nothing_happened(bench: &Bench) {
    assert!(bench.script.is_idle());
    assert_eq!(bench.get(PATH).await.expect(StatusCode::OK).json()["data"], json!([]));
}

#[tokio::test]
async fn what_is_no_json_is_400_and_a_megabyte_413() {
    let bench = Bench::start().await;
    let bodies: [&[u8]; 6] =
        [b"", b"{\"to\":", b"{'to': 1}", b"{\"to\": \"\\ud800\"}", b"{\"to\": \"\xff\"}", b"{} {}"];
    for body in bodies {
        let answer = bench.send(raw(&bench, body.to_vec())).await;
        answer.expect_problem(400, "malformed-json");
    }
    for body in [vec![b' '; 1 << 20], vec![b'['; 70_000]] {
        bench.send(raw(&bench, body)).await.expect_problem(413, "body-too-large");
    }
    assert_nothing_happened(&bench).await;
}

#[tokio::test]
async fn every_wrong_field_has_its_pointer() {
    let bench = Bench::start().await;
    let cases = [
        (json!([]), ""),
        (json!({}), "/to"),
        (json!({"to": 79161234567_u64}), "/to"),
        (json!({"to": NUMBER, "wat": 1}), "/wat"),
        (json!({"to": NUMBER, "a/b~c": 1}), "/a~1b~0c"),
        (json!({"to": NUMBER, "ttl_s": "300"}), "/ttl_s"),
        (json!({"to": NUMBER, "ttl_s": 1e30}), "/ttl_s"),
        (json!({"to": NUMBER, "channels": "flash_call"}), "/channels"),
        (json!({"to": NUMBER, "channels": []}), "/channels"),
        (json!({"to": NUMBER, "channels": [7]}), "/channels/0"),
        (json!({"to": NUMBER, "channels": [{"channel": 7}]}), "/channels/0/channel"),
        (json!({"to": NUMBER, "channels": [{"channel": "flash_call", "x": 1}]}), "/channels/0/x"),
        (json!({"to": NUMBER, "reference": "a\r\nX: b"}), "/reference"),
        (json!({"to": NUMBER, "reference": "a\u{0}"}), "/reference"),
        (json!({"to": NUMBER, "metadata": {"k": {}}}), "/metadata/k"),
        (json!({"to": NUMBER, "client": {"ip": "300.1.1.1"}}), "/client/ip"),
        (json!({"to": NUMBER, "client": {"device": "x"}}), "/client/device"),
        (json!({"to": NUMBER, "purpose": "sign in"}), "/purpose"),
        (json!({"to": NUMBER, "locale": "ru_RU"}), "/locale"),
        (json!({"to": NUMBER, "dry_run": "yes"}), "/dry_run"),
    ];
    for (body, pointer) in cases {
        let shown = body.to_string();
        let answer = bench.post(PATH, body).await.expect_problem(422, "invalid-request").json();
        assert_eq!(answer["errors"][0]["pointer"], pointer, "{shown}: {answer}");
        assert_eq!(answer["errors"].as_array().unwrap().len(), 1, "{shown}: {answer}");
    }
    assert_nothing_happened(&bench).await;
}

#[tokio::test]
async fn a_fault_of_the_table_gives_its_code_to_the_problem() {
    let bench = Bench::start().await;
    let cases = [
        (json!({"to": "+1 800 FLOWERS"}), "not-a-phone-number", "/to"),
        (json!({"to": "112"}), "not-a-phone-number", "/to"),
        (json!({"to": "ivan@corp"}), "not-an-email-address", "/to"),
        (json!({"to": "+7916\r\n1234567"}), "invalid-request", "/to"),
        (json!({"to": "+70000000001"}), "number-invalid", "/to"),
        (json!({"to": NUMBER, "channels": ["pigeon"]}), "channel-not-available", "/channels/0"),
        (json!({"to": NUMBER, "code": "123456"}), "channel-not-available", "/code"),
        (json!({"to": NUMBER, "purpose": "nothing"}), "purpose-unknown", "/purpose"),
    ];
    for (body, code, pointer) in cases {
        let answer = bench.post(PATH, body).await.expect_problem(422, code).json();
        assert_eq!(answer["errors"][0]["pointer"], pointer, "{answer}");
    }
    assert_nothing_happened(&bench).await;
}

#[tokio::test]
async fn every_byte_in_every_text_field_is_taken_whole_or_refused_at_its_place() {
    let bench = Bench::start().await;
    for byte in 0..=255_u8 {
        let text = format!("a{}b", char::from(byte));
        for field in ["reference", "locale", "purpose"] {
            let mut body = json!({"to": NUMBER, "dry_run": true});
            body[field] = json!(text);
            let answer = bench.post(PATH, body).await;
            assert!([200, 422].contains(&answer.status), "{byte:#04x} in {field}");
            if char::from(byte).is_control() {
                assert_eq!(answer.status, 422, "{byte:#04x} in {field}");
            }
        }
    }
    assert_nothing_happened(&bench).await;
}

#[tokio::test]
async fn another_accounts_id_is_not_there() {
    let mut bench = Bench::start().await;
    let id = bench.create(NUMBER).await;
    bench.script.call().await.rang();
    bench.until_call_ended(&id).await;
    bench.key = bench.make_key(Some("other"), true, "verify,calls,messages").await;
    let path = format!("{PATH}/{id}");
    bench.get(&path).await.expect_problem(404, "not-found");
    bench.check(&id, "1234").await.expect_problem(404, "not-found");
    for verb in ["resend", "cancel"] {
        bench.post(&format!("{path}/{verb}"), json!({})).await.expect_problem(404, "not-found");
    }
    bench.get(&format!("{path}/events")).await.expect_problem(404, "not-found");
    assert_eq!(bench.get(PATH).await.json()["data"], json!([]));
    assert_eq!(bench.get("/v1/calls").await.json()["data"], json!([]));
    bench.key = bench.make_key(Some("default"), false, "verify").await;
    bench.get(&path).await.expect_problem(404, "not-found");
}

#[tokio::test]
async fn what_is_no_id_no_route_or_no_method_is_a_problem_too() {
    let bench = Bench::start().await;
    for path in ["/v1/nothing", "/", "/v1/verifications/1", "/v1/verifications/%ff%00"] {
        bench.get(path).await.expect_problem(404, "not-found");
    }
    let answer = bench.send(request("DELETE", PATH, &bench.key, None)).await;
    assert!(answer.header("allow").contains("POST"), "{answer:?}");
    answer.expect_problem(405, "method-not-allowed");
    for query in
        ["limit=0", "limit=many", "cursor=x", "wat=1", "limit=1&limit=2", "to=7916", "status=x"]
    {
        let answer = bench.get(&format!("{PATH}?{query}")).await;
        let body = answer.expect_problem(422, "invalid-request").json();
        assert!(body["errors"][0]["parameter"].is_string(), "{query}: {body}");
    }
}

#[tokio::test]
async fn a_key_that_is_missing_wrong_or_weak_lets_nobody_in() {
    let bench = Bench::start().await;
    let mut guessed = bench.key.clone();
    let last = guessed.pop().unwrap();
    guessed.push(if last == 'A' { 'B' } else { 'A' });
    let disguised = bench.make_key(Some("default"), false, "verify").await;
    for key in ["", "nonsense", &guessed, &disguised.replace("dz_test_", "dz_live_")] {
        let answer = bench.send(request("GET", PATH, key, None)).await;
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{key}");
        answer.expect_problem(401, "unauthorized");
    }
    let weak = bench.make_key(Some("default"), true, "messages").await;
    let answer = bench.send(request("GET", PATH, &weak, None)).await;
    answer.expect_problem(403, "scope-missing");
    let gateway = bench.make_key(None, true, "operator").await;
    let body = Some(json!({"to": NUMBER}));
    bench.send(request("POST", PATH, &gateway, body)).await.expect_problem(403, "scope-missing");
}

#[tokio::test]
async fn bad_texts_are_refused_at_their_place() {
    let bench = Bench::start().await;
    let cases: [(Value, &str, &str); 6] = [
        (json!({"to": NUMBER}), "invalid-request", "/text"),
        (json!({"to": NUMBER, "text": ""}), "invalid-request", "/text"),
        (json!({"to": NUMBER, "text": "x", "template": "t"}), "invalid-request", "/template"),
        (json!({"to": NUMBER, "template": "none"}), "invalid-request", "/template"),
        (json!({"to": NUMBER, "text": "x", "sender": "Bank"}), "sender-not-allowed", "/sender"),
        (json!({"to": NUMBER, "text": "я".repeat(2000)}), "text-too-long", "/text"),
    ];
    for (body, code, pointer) in cases {
        let answer = bench.post("/v1/messages", body).await.expect_problem(422, code).json();
        assert_eq!(answer["errors"][0]["pointer"], pointer, "{answer}");
    }
    let unrouted = bench.post("/v1/messages", json!({"to": "+12125550123", "text": "x"})).await;
    unrouted.expect_problem(403, "destination-not-allowed");
    assert!(bench.script.is_idle());
    assert_eq!(bench.get("/v1/messages").await.json()["data"], json!([]));
}
