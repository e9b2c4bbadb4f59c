//! Wrong codes: what they close, for whom, and for whom never.

use axum::http::StatusCode;
use serde_json::{Value, json};
use sip::{MessageHandle, MessageSummary};

use super::bench::{Answer, Bench, NUMBER};
use crate::ua_driver::MessageEnd;
use crate::ua_driver::scripted::Asked;

const NO_PAUSES: &str = "[limits]\nbetween_sends_s = 0\nsends_per_minute = 60\n";

async fn ask(bench: &Bench, channel: &str, device: &str, session: &str) -> Answer {
    let client = json!({"device_id": device, "session": session});
    let body = json!({"to": NUMBER, "channels": [channel], "client": client});
    bench.post("/v1/verifications", body).await
}

/// A text that reaches the phone: the verification's id, and the code that only its owner reads.
async fn texted(bench: &mut Bench, device: &str, session: &str) -> (String, String) {
    let made = ask(bench, "sms", device, session).await.expect(StatusCode::CREATED).json();
    let Asked::Message(message, ended) = bench.script.next().await else { panic!("no text") };
    let summary =
        MessageSummary { message: MessageHandle(1), status: Some(200), retry_after: None };
    ended.send(MessageEnd::Ended(summary)).unwrap();
    let id = made["id"].as_str().unwrap().to_owned();
    bench.until(&id, |seen| seen["steps"][0]["status"] == "sent").await;
    (id, message.text.chars().filter(char::is_ascii_digit).collect())
}

fn wrong(code: &str) -> String {
    code.chars().map(|digit| if digit == '9' { '0' } else { '9' }).collect()
}

async fn approves(bench: &Bench, id: &str, code: &str) {
    let checked: Value = bench.check(id, code).await.expect(StatusCode::OK).json();
    assert_eq!(checked["status"], "approved", "{checked}");
}

#[tokio::test]
async fn a_strangers_wrong_codes_never_stop_the_owners_text_code() {
    let mut bench = Bench::with_more(NO_PAUSES).await;
    let (id, code) = texted(&mut bench, "owners-phone", "at-home").await;
    approves(&bench, &id, &code).await;
    // Under way since before the stranger began, from a device that nobody knows.
    let (waiting, waiting_code) = texted(&mut bench, "owners-tablet", "at-work").await;
    for n in 0..4 {
        let (id, code) = texted(&mut bench, "strangers", &format!("night-{n}")).await;
        for _ in 0..3 {
            bench.check(&id, &wrong(&code)).await.expect(StatusCode::OK);
        }
    }
    let closed = ask(&bench, "sms", "strangers", "night-5").await;
    let closed = closed.expect_problem(429, "codes-closed");
    assert!(closed.header("retry-after").parse::<u32>().unwrap() > 3600);
    ask(&bench, "sms", "owners-watch", "s").await.expect_problem(429, "codes-closed");
    assert!(bench.script.is_idle(), "nothing left for who was refused");

    approves(&bench, &waiting, &waiting_code).await;
    let (id, code) = texted(&mut bench, "owners-phone", "at-night").await;
    approves(&bench, &id, &code).await;
    // The tablet proved the number meanwhile.
    let (id, code) = texted(&mut bench, "owners-tablet", "at-night").await;
    approves(&bench, &id, &code).await;
}

#[tokio::test]
async fn wrong_short_codes_close_the_flash_call_alone_and_not_for_a_device_that_proved_it() {
    let mut bench = Bench::with_more(NO_PAUSES).await;
    let (id, code) = texted(&mut bench, "owners-phone", "at-home").await;
    approves(&bench, &id, &code).await;
    for session in ["night-1", "night-2"] {
        let made = ask(&bench, "flash_call", "strangers", session).await;
        let made = made.expect(StatusCode::CREATED).json();
        let call = bench.script.call().await;
        let shown = call.shown();
        call.rang();
        let id = made["id"].as_str().unwrap();
        bench.until_call_ended(id).await;
        for _ in 0..3 {
            let guess = wrong(&shown[shown.len() - 4..]);
            bench.check(id, &guess).await.expect(StatusCode::OK);
        }
    }
    ask(&bench, "flash_call", "strangers", "night-3")
        .await
        .expect_problem(429, "flash-call-closed");
    let (id, code) = texted(&mut bench, "a-new-phone", "at-work").await;
    approves(&bench, &id, &code).await;
    ask(&bench, "flash_call", "owners-phone", "at-home").await.expect(StatusCode::CREATED);
    bench.script.call().await.rang();
}
