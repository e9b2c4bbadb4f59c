//! What an operator sees and does.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::bench::{Bench, NUMBER, request};
use crate::http::serve::Peer;
use crate::store::ApiKeyId;
use crate::ua_driver::TrunkCommand;
use crate::ua_driver::scripted::Asked;

#[tokio::test]
async fn an_operator_sees_calls_masked_and_their_owner_sees_the_number() {
    let mut bench = Bench::start().await;
    let id = bench.create(NUMBER).await;
    let call = bench.script.call().await;
    let shown = call.shown();
    call.rang();
    bench.until_call_ended(&id).await;
    let own = bench.get("/v1/calls").await.expect(StatusCode::OK).json();
    assert_eq!(own["data"][0]["to"], NUMBER);
    bench.key = bench.make_key(None, true, "operator").await;
    let list = bench.get("/v1/calls?outcome=rang").await.expect(StatusCode::OK).json();
    let call = &list["data"][0];
    assert_eq!((&call["to"], &call["trunk"]), (&json!("+7916*****67"), &json!("north")));
    assert_eq!(call["caller_id"], "+7495123****");
    assert_eq!((&call["status"], &call["verification_id"]), (&json!(487), &json!(id)));
    let one = bench.get(&format!("/v1/calls/{}", call["id"].as_str().unwrap())).await.json();
    assert_eq!(one["timeline"][0]["event"], "invite");
    assert!(!one.to_string().contains(&shown[1..]));
    assert!(!list.to_string().contains(&NUMBER[1..]));
}

#[tokio::test]
async fn an_operator_reads_pauses_and_resumes_trunks() {
    let mut bench = Bench::start().await;
    bench.get("/v1/trunks").await.expect_problem(403, "scope-missing");
    bench.key = bench.make_key(None, true, "operator").await;
    let list = bench.get("/v1/trunks").await.expect(StatusCode::OK).json();
    assert_eq!(list["data"][1]["name"], "south");
    assert_eq!(list["data"][0]["registration"]["state"], "static");
    bench.post("/v1/trunks/north/pause", json!({})).await.expect(StatusCode::OK);
    match bench.script.next().await {
        Asked::Trunk(name, TrunkCommand::Pause) => assert_eq!(name.as_str(), "north"),
        other => panic!("{other:?}"),
    }
    bench.post("/v1/trunks/west/resume", json!({})).await.expect_problem(404, "not-found");
    bench.get("/v1/trunks/no%20such").await.expect_problem(404, "not-found");
}

#[tokio::test]
async fn the_local_socket_needs_no_key_and_acts_for_the_default_account() {
    let mut bench = Bench::start().await;
    let mut create = request("POST", "/v1/verifications", "", Some(json!({"to": NUMBER})));
    create.headers_mut().remove("authorization");
    create.extensions_mut().insert(Peer::Operator { uid: 0 });
    bench.send(create).await.expect(StatusCode::CREATED);
    bench.script.call().await.rang();
    let own = bench.get("/v1/verifications").await.expect(StatusCode::OK).json();
    assert_eq!(own["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_dialplan_is_explained_to_an_operator() {
    let mut bench = Bench::start().await;
    bench.key = bench.make_key(None, true, "operator").await;
    let body = json!({"to": "8 916 123-45-67"});
    let explained = bench.post("/v1/dialplan/explain", body).await.expect(StatusCode::OK).json();
    assert_eq!(explained["routes"], json!(["+79"]));
    assert_eq!(explained["trunks"][0]["endings"], 10_000);
    assert!(explained["text"].as_str().unwrap().contains("route +79"), "{explained}");
}

#[tokio::test]
async fn a_revoked_key_is_out_within_two_seconds() {
    let bench = Bench::start().await;
    bench.get("/v1/verifications").await.expect(StatusCode::OK);
    let id = ApiKeyId::parse(&bench.key[8..18]).unwrap();
    assert!(crate::accounts::revoke_key(bench.app.store(), &id).await.unwrap());
    let revoked = std::time::Instant::now();
    while bench.get("/v1/verifications").await.status == 200 {
        assert!(revoked.elapsed().as_millis() < 2000);
        tokio::task::yield_now().await;
    }
    bench.get("/v1/verifications").await.expect_problem(401, "unauthorized");
}

#[tokio::test]
async fn the_openapi_document_names_every_route_and_every_code() {
    let bench = Bench::start().await;
    let document = bench.get("/v1/openapi.json").await.expect(StatusCode::OK).json();
    for path in
        ["/v1/verifications/{id}/check", "/v1/messages", "/v1/trunks/{name}/pause", "/healthz"]
    {
        assert!(document["paths"][path].is_object(), "{path}");
    }
    let text = document["info"]["description"].as_str().unwrap();
    for code in crate::http::error::Code::ALL {
        assert!(text.contains(&format!("`{}`", code.as_str())), "{}", code.as_str());
    }
    assert_references_resolve(&document, &document);
}

fn assert_references_resolve(document: &Value, part: &Value) {
    match part {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
            }
            fields.values().for_each(|value| assert_references_resolve(document, value));
        }
        Value::Array(items) => {
            items.iter().for_each(|item| assert_references_resolve(document, item));
        }
        _ => {}
    }
}

#[tokio::test]
async fn health_needs_no_key_and_the_stop_makes_it_not_ready() {
    let bench = Bench::start().await;
    let get = |path: &str| {
        let mut get = request("GET", path, "", None);
        get.headers_mut().remove("authorization");
        bench.send(get)
    };
    assert_eq!(get("/healthz").await.expect(StatusCode::OK).json()["status"], "ok");
    let ready = get("/readyz").await.expect(StatusCode::OK).json();
    assert_eq!((&ready["status"], &ready["trunks_up"]), (&json!("ready"), &json!(2)));
    bench.app.stop().cancel();
    get("/readyz").await.expect_problem(503, "shutting-down");
    get("/healthz").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn every_answer_to_a_key_says_what_it_has_left_and_above_it_there_is_none() {
    let bench = Bench::start().await;
    let mut settings = bench.app.settings();
    let mut config = config::Config::clone(&settings.config);
    config.limits.requests_per_second = 2;
    settings.config = std::sync::Arc::new(config);
    bench.app.reload(settings);
    let answers = [
        bench.get("/v1/verifications").await.expect(StatusCode::OK),
        bench.get("/v1/verifications/none").await,
        bench.get("/v1/verifications").await.expect_problem(429, "too-many-requests"),
    ];
    for (answer, left) in answers.iter().zip([1, 0, 0]) {
        assert_eq!(answer.header("ratelimit-policy"), "\"key\";q=2;w=1");
        assert_eq!(answer.header("ratelimit"), format!("\"key\";r={left};t=1"), "{answer:?}");
    }
    assert_eq!(answers[2].header("retry-after"), "1");
    let open = bench.get("/healthz").await.expect(StatusCode::OK);
    assert_eq!(open.header("ratelimit"), "", "no key, no pace");
}

#[tokio::test]
async fn the_document_is_drawn_by_pages_of_our_own() {
    let bench = Bench::start().await;
    for (path, kind) in [
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/docs.css", "text/css; charset=utf-8"),
        ("/docs/docs.js", "text/javascript; charset=utf-8"),
    ] {
        let page = bench.send(request("GET", path, "", None)).await.expect(StatusCode::OK);
        assert_eq!(page.header("content-type"), kind);
        assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
    }
}
