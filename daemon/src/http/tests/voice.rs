//! The code as a voice: what is said, what is not, and what becomes of the step.

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::StatusCode;
use rtp_rs::RtpReader;
use serde_json::{Value, json};
use sip::CallOutcome;
use tokio::net::UdpSocket;

use super::bench::{Bench, NUMBER, PATIENCE};
use crate::media::{Ear, Prompts};
use crate::ua_driver::scripted::{Asked, ScriptedCall};

async fn create(bench: &Bench, body: Value) -> String {
    let created = bench.post("/v1/verifications", body).await.expect(StatusCode::CREATED).json();
    created["id"].as_str().unwrap().to_owned()
}

async fn called(bench: &mut Bench) -> (String, ScriptedCall) {
    let id = create(bench, json!({"to": NUMBER, "channels": ["voice"], "locale": "ru"})).await;
    (id, bench.script.call().await)
}

async fn phone() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn stands(seen: &Value, status: &str, detail: &str) -> bool {
    let step = &seen["steps"].as_array().unwrap().last().unwrap();
    step["status"] == status && step["detail"] == detail
}

#[tokio::test]
async fn an_answered_call_says_the_code_and_the_code_that_was_heard_approves() {
    let mut bench = Bench::start().await;
    let (id, call) = called(&mut bench).await;
    assert_eq!(call.order.talk_limit, Some(Duration::from_secs(60)));
    assert!(call.order.request.ring_limit >= Duration::from_secs(20));
    let (socket, address) = phone().await;
    call.answer(address);
    let ear = Ear::new(&Prompts::built_in());
    let (mut heard, mut packet) = (Vec::new(), [0; 2048]);
    let recording = async {
        loop {
            let (length, source) = socket.recv_from(&mut packet).await.unwrap();
            assert_eq!(source.port(), call.order.request.media_port);
            heard.extend_from_slice(RtpReader::new(&packet[..length]).unwrap().payload());
            if heard.len() % 16_000 == 0 && stands_said(&bench, &id).await {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, recording).await.unwrap();
    let code = ear.codes(&heard).remove(0);
    assert_eq!(code.len(), 6);
    let seen = bench.until(&id, |seen| stands(seen, "answered", "said")).await;
    assert_eq!(seen["code"]["length"], 6);
    assert!(!seen.to_string().contains(&code));
    assert_eq!(bench.check(&id, &code).await.json()["status"], "approved");
    assert!(matches!(bench.script.next().await, Asked::HangUp(_)));
    call.end(CallOutcome::Answered, 200);
}

async fn stands_said(bench: &Bench, id: &str) -> bool {
    let seen = bench.get(&format!("/v1/verifications/{id}")).await.json();
    stands(&seen, "answered", "said")
}

#[tokio::test]
async fn who_hangs_up_before_the_code_was_said_has_not_heard_it() {
    let mut bench = Bench::start().await;
    let (id, call) = called(&mut bench).await;
    let (socket, address) = phone().await;
    call.answer(address);
    socket.recv_from(&mut [0; 2048]).await.unwrap();
    let port = call.order.request.media_port;
    call.end(CallOutcome::Answered, 200);
    let seen = bench.until(&id, |seen| stands(seen, "declined", "hung_up")).await;
    assert_eq!(seen["status"], "failed");
    // The last packet is a BYE of RTCP, and then the port is free again.
    let free = async {
        while UdpSocket::bind(("127.0.0.1", port)).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, free).await.unwrap();
}

#[tokio::test]
async fn an_answer_without_audio_fails_the_step_with_its_name() {
    let mut bench = Bench::start().await;
    let (id, call) = called(&mut bench).await;
    call.ring();
    call.end(CallOutcome::Answered, 200);
    let seen = bench.until(&id, |seen| stands(seen, "failed", "format")).await;
    assert_eq!(seen["steps"][0]["calls"][0]["outcome"], "format");
}

#[tokio::test]
async fn a_phone_that_nobody_picks_up_has_shown_nothing() {
    let mut bench = Bench::start().await;
    let (id, call) = called(&mut bench).await;
    call.rang();
    let seen = bench.until(&id, |seen| stands(seen, "unreachable", "no_reply")).await;
    assert_eq!(seen["status"], "failed");
}

#[tokio::test]
async fn a_trunk_that_fails_is_followed_by_the_next_from_the_same_port() {
    let mut bench = Bench::start().await;
    let (id, first) = called(&mut bench).await;
    let port = first.order.request.media_port;
    let trunk = first.order.trunk.clone();
    first.end(CallOutcome::Congestion, 503);
    let second = bench.script.call().await;
    assert_eq!((second.order.request.media_port, second.order.talk_limit.is_some()), (port, true));
    assert_ne!(second.order.trunk, trunk);
    second.end(CallOutcome::Busy, 486);
    bench.until(&id, |seen| stands(seen, "busy", "busy")).await;
}

#[tokio::test]
async fn a_number_may_be_called_again_by_voice_however_few_numbers_the_pool_has() {
    let mut bench = Bench::start().await;
    for _ in 0..3 {
        let to = "+79011234567";
        let body = json!({"to": to, "channels": ["voice"], "client": {"session": "s"}});
        let created = bench.post("/v1/verifications", body).await;
        if created.status == 201 {
            bench.script.call().await.end(CallOutcome::Busy, 486);
        } else {
            created.expect_problem(429, "resend-too-soon");
        }
    }
}

#[tokio::test]
async fn under_a_test_key_the_call_is_played_and_zeros_are_the_code() {
    let mut bench = Bench::start().await;
    bench.key = bench.make_key(Some("default"), false, "verify").await;
    let id = create(&bench, json!({"to": "+70000000001", "channels": ["voice"]})).await;
    bench.until(&id, |seen| stands(seen, "answered", "said")).await;
    assert_eq!(bench.check(&id, "000000").await.json()["valid"], true);
}
