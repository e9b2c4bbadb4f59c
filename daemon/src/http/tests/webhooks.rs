//! Events from what they tell to the backend that takes them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use dialplans::TrunkState;
use serde_json::{Value, json};
use sip::{CallOutcome, CallerSource, MessageHandle, MessageSummary};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::bench::{Bench, NUMBER, PATIENCE};
use super::inbound::{Outside, shown};
use crate::clock::{Clock, Timestamp};
use crate::ua_driver::MessageEnd;
use crate::ua_driver::scripted::Asked;
use crate::webhooks::client::Net;
use crate::webhooks::signature::{SigningKey, signature};
use crate::webhooks::{hooks, start_with};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD_SECRET: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A backend that takes events.
struct Backend(TcpListener);

/// What it was sent.
struct Posted {
    head: String,
    body: Vec<u8>,
    stream: TcpStream,
}

impl Backend {
    async fn listen() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn section(&self) -> String {
        let address = self.0.local_addr().unwrap();
        section(&format!("http://{address}/hooks?a=b"), "allow_private = true")
    }

    fn section_of(&self, events: &str) -> String {
        let address = self.0.local_addr().unwrap();
        section_of(events, &format!("http://{address}/"), "allow_private = true")
    }

    /// Takes so many events and answers their types, sorted, with what stands in them.
    async fn take(&self, count: usize) -> Vec<(String, Value)> {
        let mut events = Vec::new();
        for _ in 0..count {
            let posted = self.next().await;
            let event = posted.json();
            let kind = event["type"].as_str().unwrap().to_owned();
            events.push((kind, event["data"].clone()));
            posted.answer("204 No Content").await;
        }
        events.sort_by(|(one, _), (other, _)| one.cmp(other));
        events
    }

    async fn next(&self) -> Posted {
        let next = async {
            let (mut stream, _) = self.0.accept().await.unwrap();
            let mut bytes = Vec::new();
            loop {
                assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0);
                let text = String::from_utf8_lossy(&bytes);
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let head = head.to_owned();
                let length: usize = field(&head, "content-length").parse().unwrap();
                if body.len() >= length {
                    return Posted { body: body.as_bytes().to_vec(), head, stream };
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("an event comes")
    }
}

impl Posted {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    async fn answer(mut self, head: &str) {
        let answer = format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n");
        self.stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

fn field(head: &str, name: &str) -> String {
    let line = head.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then(|| value.to_owned())
    });
    line.unwrap_or_else(|| panic!("{name} is missing in {head}"))
}

fn section(url: &str, more: &str) -> String {
    section_of("message.*", url, more)
}

fn section_of(events: &str, url: &str, more: &str) -> String {
    format!(
        "[webhooks.crm]\nurl = \"{url}\"\nsecret = \"{SECRET}\"\n\
         previous_secret = \"{OLD_SECRET}\"\nevents = [\"{events}\"]\n{more}\n"
    )
}

async fn bench(section: &str, net: Net) -> Bench {
    let bench = Bench::with_more(section).await;
    let hooks = hooks(&bench.app.settings().config).unwrap();
    start_with(&bench.app, hooks, net).await.unwrap();
    bench
}

/// A text that a trunk takes.
async fn send(bench: &mut Bench, to: &str) -> String {
    let created = bench.post("/v1/messages", json!({"to": to, "text": "Hello"})).await;
    let id = created.expect(StatusCode::ACCEPTED).json()["id"].as_str().unwrap().to_owned();
    let Asked::Message(_, ended) = bench.script.next().await else { panic!("a text") };
    let summary =
        MessageSummary { message: MessageHandle(1), status: Some(202), retry_after: None };
    ended.send(MessageEnd::Ended(summary)).expect("the sender waits");
    id
}

async fn waiting(bench: &Bench) -> Vec<u32> {
    let deliveries = bench.app.store().webhook_deliveries("crm", Timestamp(0), 10).await.unwrap();
    deliveries.iter().map(|delivery| delivery.attempts).collect()
}

/// Waits until so many deliveries are left, tried so often.
async fn until_waiting(bench: &Bench, expected: &[u32]) {
    let wait = async {
        while waiting(bench).await != expected {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the delivery is settled");
}

#[tokio::test]
async fn an_event_is_signed_with_both_secrets_and_sent_until_it_is_taken() {
    let backend = Backend::listen().await;
    let mut bench = bench(&backend.section(), Net::system()).await;
    let id = send(&mut bench, NUMBER).await;
    let posted = backend.next().await;
    assert!(posted.head.starts_with("POST /hooks?a=b HTTP/1.1\r\n"), "{}", posted.head);
    let event = posted.json();
    assert_eq!((&event["type"], &event["data"]["id"]), (&json!("message.sent"), &json!(id)));
    assert_eq!(event["data"]["to"], NUMBER);
    let (name, time) =
        (field(&posted.head, "webhook-id"), field(&posted.head, "webhook-timestamp"));
    assert!(name.starts_with("evt_"));
    let keys = [SECRET, OLD_SECRET].map(|secret| SigningKey::parse(secret).unwrap());
    let expected = signature(&keys, &name, time.parse().unwrap(), &posted.body);
    assert_eq!(field(&posted.head, "webhook-signature"), expected);
    posted.answer("503 Service Unavailable\r\nretry-after: 0").await;
    until_waiting(&bench, &[1]).await;
    // Half to all of five seconds later, with the same id.
    let again = backend.next().await;
    assert_eq!(field(&again.head, "webhook-id"), name);
    again.answer("204 No Content").await;
    until_waiting(&bench, &[]).await;
}

#[tokio::test]
async fn an_address_that_is_gone_gets_nothing_more_and_a_redirect_is_not_followed() {
    let backend = Backend::listen().await;
    let elsewhere = Backend::listen().await;
    let mut bench = bench(&backend.section(), Net::system()).await;
    send(&mut bench, NUMBER).await;
    let there = elsewhere.0.local_addr().unwrap();
    let redirect = format!("307 Temporary Redirect\r\nlocation: http://{there}/");
    backend.next().await.answer(&redirect).await;
    until_waiting(&bench, &[1]).await;
    send(&mut bench, "+79161234568").await;
    backend.next().await.answer("410 Gone").await;
    until_waiting(&bench, &[1]).await;
    let url = format!("http://{}/hooks?a=b", backend.0.local_addr().unwrap());
    assert!(bench.app.store().is_webhook_disabled("crm", &url).await.unwrap());
    send(&mut bench, "+79161234569").await;
    until_waiting(&bench, &[1]).await;
    let followed = tokio::time::timeout(std::time::Duration::from_millis(50), elsewhere.0.accept());
    assert!(followed.await.is_err(), "a redirect was followed");
}

type Noted<T> = Arc<Mutex<T>>;

/// Doors that note who was reached; the name answers with these addresses in turn.
fn noting(answers: Vec<SocketAddr>) -> (Net, Noted<Vec<SocketAddr>>, Noted<usize>) {
    let (reached, asked) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
    let (note, count) = (Arc::clone(&reached), Arc::clone(&asked));
    let net = Net {
        resolve: Arc::new(move |_, _| {
            let mut asked = count.lock().unwrap();
            let answer = answers[(*asked).min(answers.len() - 1)];
            *asked += 1;
            Box::pin(async move { Ok(vec![answer]) })
        }),
        connect: Arc::new(move |address| {
            note.lock().unwrap().push(address);
            Box::pin(async { Err(std::io::ErrorKind::ConnectionRefused.into()) })
        }),
    };
    (net, reached, asked)
}

#[tokio::test]
async fn a_name_that_turns_to_this_host_is_not_reached_there() {
    let public: SocketAddr = "8.8.8.8:443".parse().unwrap();
    let (net, reached, asked) = noting(vec![public, "127.0.0.1:443".parse().unwrap()]);
    let mut bench = bench(&section("https://crm.example.ru/", ""), net).await;
    send(&mut bench, NUMBER).await;
    until_waiting(&bench, &[1]).await;
    send(&mut bench, "+79161234568").await;
    until_waiting(&bench, &[1, 1]).await;
    assert_eq!(*asked.lock().unwrap(), 2, "one resolution for each try");
    assert_eq!(*reached.lock().unwrap(), [public], "connects to this host: 0");
}

fn kinds(events: &[(String, Value)]) -> Vec<&str> {
    events.iter().map(|(kind, _)| kind.as_str()).collect()
}

#[tokio::test]
async fn a_verification_and_its_call_are_told_from_the_beginning_to_the_end() {
    let backend = Backend::listen().await;
    let mut bench = bench(&backend.section_of("*"), Net::system()).await;
    let id = bench.create(NUMBER).await;
    let call = bench.script.call().await;
    let shown = call.shown();
    let created = backend.take(1).await;
    assert_eq!((kinds(&created), &created[0].1["id"]), (vec!["verification.created"], &json!(id)));
    call.ring();
    let rang = backend.take(2).await;
    assert_eq!(kinds(&rang), ["call.rang", "verification.step_changed"]);
    assert_eq!((&rang[0].1["verification_id"], &rang[0].1["to"]), (&json!(id), &json!(NUMBER)));
    assert_eq!(rang[0].1["outcome"], Value::Null);
    call.end(CallOutcome::Rang, 487);
    let ended = backend.take(2).await;
    assert_eq!(kinds(&ended), ["call.ended", "verification.step_changed"]);
    assert_eq!((&ended[0].1["outcome"], &ended[0].1["status"]), (&json!("rang"), &json!(487)));
    bench.check(&id, &shown[shown.len() - 4..]).await.expect(StatusCode::OK);
    let approved = backend.take(1).await;
    assert_eq!(kinds(&approved), ["verification.approved"]);
    for (_, data) in created.iter().chain(&rang).chain(&ended).chain(&approved) {
        assert!(!data.to_string().contains(&shown[1..]), "the caller ID is the code: {data}");
    }
}

#[tokio::test]
async fn a_verification_that_fails_or_runs_out_of_time_is_told_so() {
    let backend = Backend::listen().await;
    let ends = "verification.failed\", \"verification.expired";
    let mut bench = bench(&backend.section_of(ends), Net::system()).await;
    bench.create(NUMBER).await;
    bench.script.call().await.end(CallOutcome::Busy, 486);
    let failed = backend.take(1).await;
    assert_eq!(kinds(&failed), ["verification.failed"]);
    assert_eq!(failed[0].1["status"], "failed");
    let id = bench.create("+79161234568").await;
    bench.script.call().await.rang();
    bench.until_call_ended(&id).await;
    let id: crate::ids::VerificationId = id.parse().unwrap();
    let later = bench.app.now() + std::time::Duration::from_secs(301);
    bench.restart_at(Clock::manual(later)).await;
    let hooks = hooks(&bench.app.settings().config).unwrap();
    start_with(&bench.app, hooks, Net::system()).await.unwrap();
    let input = crate::verification::machine::Input::Expire;
    bench.app.store().apply(crate::store::Apply::internal(id, input)).await.unwrap();
    let expired = backend.take(1).await;
    assert_eq!(kinds(&expired), ["verification.expired"]);
}

#[tokio::test]
async fn a_trunk_is_told_to_who_names_trunks_and_a_call_from_outside_to_whose_number_it_was() {
    let (by_name, by_all) = (Backend::listen().await, Backend::listen().await);
    let more = by_name.section_of("trunk.*")
        + &by_all.section_of("*").replace("webhooks.crm", "webhooks.all");
    let bench = bench(&more, Net::system()).await;
    let up = by_name.take(2).await;
    assert_eq!(kinds(&up), ["trunk.up", "trunk.up"]);
    bench.script.set("north", TrunkState::Down);
    let down = by_name.take(1).await;
    assert_eq!((kinds(&down), &down[0].1["name"]), (vec!["trunk.down"], &json!("north")));
    assert_eq!(down[0].1["state"], "down");
    let mut outside = Outside::of(&bench);
    let caller = shown("79161234567", CallerSource::PAssertedIdentity);
    outside.call("north", caller, "+74951250001").await;
    let called = by_all.take(1).await;
    assert_eq!(kinds(&called), ["call.received"]);
    let expected = json!({
        "live": true, "trunk": "north", "called": "+74951250001", "caller": NUMBER,
        "verdict": "wrong_caller", "verification_id": null,
    });
    assert_eq!(called[0].1, expected);
}
