//! `unknown_user = "conceal"`: nobody can tell from the answers, nor from the work behind them,
//! whether somebody is registered.

use axum::http::StatusCode;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::{Value, json};
use sip::{MessageHandle, MessageSummary};

use super::bench::{Bench, NUMBER};
use crate::ua_driver::MessageEnd;
use crate::ua_driver::scripted::Asked;

/// Goes on in the table of the account `other`.
const CONCEALS: &str = "unknown_user = \"conceal\"\n\
    [limits]\nbetween_sends_s = 0\nsends_per_minute = 60\n\
    [email]\nsmtp = \"smtp://127.0.0.1:25\"\ntls = \"off\"\nfrom = \"noreply@example.ru\"\n";
const NOBODY: &str = "+79161230000";
const DISABLED: &str = "+79161230001";

async fn bench() -> Bench {
    let mut bench = Bench::with_more(CONCEALS).await;
    bench.key = bench.make_key(Some("other"), true, "verify,directory").await;
    for user in [
        json!({"name": "A", "phone": NUMBER, "email": "ivan@corp.ru", "login": "ivan"}),
        json!({"name": "B", "phone": DISABLED, "email": "off@corp.ru", "enabled": false}),
    ] {
        bench.post("/v1/directory/users", user).await.expect(StatusCode::CREATED);
    }
    bench
}

/// What is the same for two people: ids by their kind, times and targets as such.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), shape(value))).collect()
        }
        Value::Array(values) => values.iter().map(shape).collect(),
        Value::String(text) if text.len() == 30 && text.as_bytes()[3] == b'_' => text[..4].into(),
        Value::String(text) if text.ends_with('Z') && text.contains('T') => "time".into(),
        Value::String(text) if text.starts_with("+7") => "number".into(),
        Value::String(text) if text.contains('@') => "mailbox".into(),
        other => other.clone(),
    }
}

/// The work that the store was given so far: reads, and requests to the writer.
struct Work(PrometheusHandle);

impl Work {
    fn done(&self) -> [u64; 2] {
        let text = self.0.render();
        ["dozvon_store_reads_total", "dozvon_store_requests_total"].map(|name| {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
            line.map_or(0, |count| count.parse().unwrap())
        })
    }
}

/// Everything that a client sees of one sign-in by text, with the work behind each answer.
struct Transcript {
    seen: Vec<Value>,
    work: Vec<[u64; 2]>,
}

impl Transcript {
    async fn ask(&mut self, bench: &Bench, work: &Work, path: &str, body: Option<Value>) -> Value {
        let before = work.done();
        let answer = match body {
            Some(body) => bench.post(path, body).await,
            None => bench.get(path).await,
        };
        let after = work.done();
        self.work.push([after[0] - before[0], after[1] - before[1]]);
        let mut body = answer.json();
        if answer.status >= 400 {
            body["request_id"] = json!("some");
            body["instance"] = json!("some");
        }
        self.seen.push(json!([answer.status, shape(&body)]));
        body
    }
}

/// Signs in by a text whose code is never guessed; `is_real`: somebody gets it.
async fn by_text(bench: &mut Bench, work: &Work, who: &str, is_real: bool) -> Transcript {
    let mut told = Transcript { seen: Vec::new(), work: Vec::new() };
    let begun = told.ask(bench, work, "/v1/sign-ins", Some(json!({"identifier": who}))).await;
    let sign_in = format!("/v1/sign-ins/{}", begun["id"].as_str().unwrap());
    told.ask(bench, work, &sign_in, None).await;
    let body = json!({"to": begun["id"], "channels": ["sms"]});
    let made = told.ask(bench, work, "/v1/verifications", Some(body)).await;
    // What the answer leaves behind writes beside it.
    if let Some([_reads, requests]) = told.work.last_mut() {
        *requests = 0;
    }
    let mut code = "000000".to_owned();
    if is_real {
        let Asked::Message(message, ended) = bench.script.next().await else { panic!("no text") };
        let summary =
            MessageSummary { message: MessageHandle(1), status: Some(202), retry_after: None };
        ended.send(MessageEnd::Ended(summary)).unwrap();
        code = message.text.chars().filter(char::is_ascii_digit).collect();
    }
    let id = made["id"].as_str().unwrap();
    let path = format!("/v1/verifications/{id}");
    let sent = bench.until(id, |seen| seen["steps"][0]["status"] == "sent").await;
    told.seen.push(shape(&sent));
    let wrong: String = code.chars().map(|digit| if digit == '9' { '0' } else { '9' }).collect();
    for _ in 0..3 {
        let check = format!("{path}/check");
        told.ask(bench, work, &check, Some(json!({"code": wrong}))).await;
        told.ask(bench, work, &path, None).await;
    }
    told.ask(bench, work, &sign_in, None).await;
    let again = json!({"to": begun["id"]});
    told.ask(bench, work, "/v1/verifications", Some(again)).await;
    assert!(bench.script.is_idle(), "{who}: nothing else left");
    told
}

#[tokio::test]
async fn a_stranger_and_a_disabled_user_look_like_one_who_is_registered() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let work = Work(recorder.handle());
    let _installed = metrics::set_default_local_recorder(&recorder);
    let mut bench = bench().await;
    // What is read once and kept is read before.
    by_text(&mut bench, &work, "+79161239999", false).await;
    let real = least_work(&mut bench, &work, NUMBER, true).await;
    assert_eq!(real.seen[0][0], 201, "{:#?}", real.seen);
    assert_eq!(real.seen[0][1]["user_id"], Value::Null);
    assert!(real.work.iter().map(|work| work[0]).sum::<u64>() > 5, "{:?}", real.work);
    for who in [NOBODY, DISABLED] {
        let other = least_work(&mut bench, &work, who, false).await;
        assert_eq!(other.seen, real.seen, "{who}");
        assert_eq!(other.work, real.work, "{who}");
    }
}

/// The same three times; what goes on beside an answer can only add to the work behind it.
async fn least_work(bench: &mut Bench, work: &Work, who: &str, is_real: bool) -> Transcript {
    let mut least = by_text(bench, work, who, is_real).await;
    for _ in 0..2 {
        let again = by_text(bench, work, who, is_real).await;
        assert_eq!(again.seen, least.seen, "{who}");
        for (least, again) in least.work.iter_mut().zip(again.work) {
            *least = [least[0].min(again[0]), least[1].min(again[1])];
        }
    }
    least
}

#[tokio::test]
async fn only_the_channels_of_what_was_typed_are_told_whoever_typed_it() {
    let bench = bench().await;
    for (kind, typed, channels) in [
        ("phone", [NUMBER, NOBODY, DISABLED], 4),
        ("mailbox", ["ivan@corp.ru", "nobody@corp.ru", "off@corp.ru"], 1),
        ("login", ["ivan", "petr", "olga"], 0),
    ] {
        let mut shapes = Vec::new();
        for identifier in typed {
            let begun = bench.post("/v1/sign-ins", json!({"identifier": identifier})).await;
            let begun = begun.expect(StatusCode::CREATED).json();
            assert_eq!(begun["channels"].as_array().unwrap().len(), channels, "{begun}");
            let body = json!({"to": begun["id"], "channels": ["incoming_call"]});
            let refused = bench.post("/v1/verifications", body).await;
            shapes.push((shape(&begun), refused.status, refused.json()["code"].clone()));
        }
        assert_eq!((&shapes[1], &shapes[2]), (&shapes[0], &shapes[0]), "{kind}");
    }
    for nonsense in ["112", "@", "🦆", "a@b\r\nBcc: c@d.ru"] {
        let refused = bench.post("/v1/sign-ins", json!({"identifier": nonsense})).await;
        let refused = refused.expect_problem(422, "invalid-request").json();
        assert_eq!(refused["errors"][0]["pointer"], "/identifier", "{nonsense}");
    }
}

#[tokio::test]
async fn a_call_for_nobody_is_planned_and_never_placed() {
    let mut bench = bench().await;
    let mut seen = Vec::new();
    for (who, is_real) in [(NUMBER, true), (NOBODY, false)] {
        let begun = bench.post("/v1/sign-ins", json!({"identifier": who})).await.json();
        let body = json!({"to": begun["id"], "channels": ["flash_call"]});
        let made = bench.post("/v1/verifications", body).await.expect(StatusCode::CREATED).json();
        let id = made["id"].as_str().unwrap();
        if is_real {
            let call = bench.script.call().await;
            call.invite();
            let dialing = bench.until(id, |seen| seen["steps"][0]["status"] == "dialing").await;
            seen.push((shape(&made), shape(&dialing)));
            call.rang();
        } else {
            let dialing = bench.until(id, |seen| seen["steps"][0]["status"] == "dialing").await;
            seen.push((shape(&made), shape(&dialing)));
            // It dies with the call up: there is nothing to cancel.
            bench.restart().await;
            crate::verification::recovery::recover(&bench.app).await.unwrap();
            let ended = bench.until_call_ended(id).await;
            assert_eq!(ended["steps"][0]["status"], "interrupted");
        }
    }
    assert_eq!(seen[0], seen[1]);
    assert!(bench.script.is_idle(), "no call, no CANCEL");
}

#[tokio::test]
async fn a_call_for_nobody_is_hung_up_when_it_is_cancelled() {
    let bench = bench().await;
    let begun = bench.post("/v1/sign-ins", json!({"identifier": NOBODY})).await.json();
    for channel in ["flash_call", "voice"] {
        let body = json!({"to": begun["id"], "channels": [channel]});
        let made = bench.post("/v1/verifications", body).await.expect(StatusCode::CREATED).json();
        let id = made["id"].as_str().unwrap();
        bench.until(id, |seen| seen["steps"][0]["status"] == "dialing").await;
        let cancel = format!("/v1/verifications/{id}/cancel");
        bench.post(&cancel, json!({})).await.expect(StatusCode::OK);
        let ended = bench.until_call_ended(id).await;
        assert_eq!(ended["steps"][0]["calls"][0]["outcome"], "canceled", "{channel}");
    }
}
