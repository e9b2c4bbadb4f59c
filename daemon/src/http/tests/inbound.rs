//! Users who call, and texts from outside.

use std::time::Instant;

use axum::http::StatusCode;
use dialplans::TrunkName;
use serde_json::{Value, json};
use sip::{
    Caller, CallerSource, IncomingCall, IncomingText, IncomingTextHandle, TextAnswer, TrunkHandle,
    UserPart,
};
use tokio::sync::{broadcast, mpsc};

use super::bench::{Bench, NUMBER, request};
use crate::facts::Fact;
use crate::inbound;
use crate::ua_driver::Inbound;
use crate::ua_driver::scripted::Asked;
use crate::verification::model::CallVerdict;

const HANDLE: TrunkHandle = TrunkHandle { shard: 0, index: 0 };

/// A trunk over which things come in.
pub(super) struct Outside {
    inbound: mpsc::Sender<Inbound>,
    facts: broadcast::Receiver<Fact>,
}

impl Outside {
    pub(super) fn of(bench: &Bench) -> Self {
        let (inbound, heard) = mpsc::channel(8);
        let facts = bench.app.facts().hear();
        tokio::spawn(inbound::run(bench.app.clone(), heard));
        Self { inbound, facts }
    }

    /// Somebody calls; what it came to.
    pub(super) async fn call(&mut self, trunk: &str, caller: Caller, called: &str) -> CallVerdict {
        let called = UserPart::new(called).ok();
        let call = IncomingCall { trunk: HANDLE, called, caller, at: Instant::now() };
        let (trunk, call) = (TrunkName::parse(trunk).unwrap(), Box::new(call));
        self.inbound.send(Inbound::Call { trunk, call }).await.unwrap();
        match self.facts.recv().await.unwrap() {
            Fact::CallReceived { verdict, .. } => verdict,
            other => panic!("{other:?}"),
        }
    }

    async fn text(&self, called: &str, call_id: &str, body: &str) {
        let text = IncomingText {
            text: IncomingTextHandle(7),
            trunk: HANDLE,
            called: UserPart::new(called).ok(),
            caller: shown("79161234567", CallerSource::From),
            body: body.to_owned(),
            call_id: call_id.as_bytes().into(),
            cseq: 1,
            at: Instant::now(),
        };
        let (trunk, text) = (TrunkName::parse("south").unwrap(), Box::new(text));
        self.inbound.send(Inbound::Text { trunk, text }).await.unwrap();
    }
}

pub(super) fn shown(user: &str, source: CallerSource) -> Caller {
    Caller::Shown { user: UserPart::new(user).unwrap(), source }
}

fn vouched(user: &str) -> Caller {
    shown(user, CallerSource::PAssertedIdentity)
}

async fn awaited(bench: &Bench, session: &str) -> (String, String) {
    let created = bench.post("/v1/verifications", wish(session)).await;
    let created = created.expect(StatusCode::CREATED).json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    assert_eq!(created["steps"][0]["status"], "waiting", "{created}");
    let number = text(&created["incoming_call"]["number"]);
    assert_eq!(created["incoming_call"]["tel_uri"], format!("tel:{number}"));
    assert_eq!(created["incoming_call"]["until"], created["expires_at"]);
    (text(&created["id"]), number)
}

fn wish(session: &str) -> Value {
    json!({"to": NUMBER, "purpose": "sign_up", "channels": ["incoming_call"],
           "client": {"session": session}})
}

#[tokio::test]
async fn a_call_of_the_user_approves_without_a_check() {
    let bench = Bench::start().await;
    let mut outside = Outside::of(&bench);
    let (id, number) = awaited(&bench, "a").await;
    assert!(number.starts_with("+7495125000"));
    assert_eq!(outside.call("north", vouched(NUMBER), &number).await, CallVerdict::Approved);
    let seen = bench.get(&format!("/v1/verifications/{id}")).await.json();
    assert_eq!(seen["status"], "approved");
    assert_eq!(
        (&seen["steps"][0]["status"], &seen["steps"][0]["detail"]),
        (&json!("called"), &json!("approved"))
    );
    assert_eq!(seen["incoming_call"], json!(null));
    let again = outside.call("north", vouched(NUMBER), &number).await;
    assert_eq!(again, CallVerdict::Late);
}

#[tokio::test]
async fn numbers_without_a_plus_sign_and_in_national_form_are_the_same_numbers() {
    let bench = Bench::start().await;
    let mut outside = Outside::of(&bench);
    for (session, caller) in [("a", "79161234567"), ("b", "89161234567"), ("c", "9161234567")] {
        let (_, number) = awaited(&bench, session).await;
        let verdict = outside.call("north", vouched(caller), &number[1..]).await;
        assert_eq!(verdict, CallVerdict::Approved, "{caller}");
    }
}

#[tokio::test]
async fn whatever_does_not_match_is_told_by_name_and_proves_nothing() {
    let bench = Bench::start().await;
    let mut outside = Outside::of(&bench);
    let (id, number) = awaited(&bench, "a").await;
    let other = match number.as_str() {
        "+74951250000" => "+74951250001",
        _ => "+74951250000",
    };
    let from = shown(NUMBER, CallerSource::From);
    let stranger = vouched("+79160000000");
    for (trunk, caller, called, verdict, detail) in [
        ("north", stranger, number.as_str(), CallVerdict::WrongCaller, json!(null)),
        ("north", Caller::Hidden, &number, CallVerdict::HiddenNumber, json!(null)),
        ("north", vouched("alice"), &number, CallVerdict::WrongCaller, json!(null)),
        ("north", vouched(NUMBER), "+74990000000", CallVerdict::UnknownNumber, json!(null)),
        ("north", vouched(NUMBER), other, CallVerdict::WrongNumber, json!("wrong_number")),
        ("north", from, &number, CallVerdict::UntrustedNumber, json!("untrusted_number")),
        (
            "south",
            vouched(NUMBER),
            &number,
            CallVerdict::UntrustedNumber,
            json!("untrusted_number"),
        ),
    ] {
        assert_eq!(outside.call(trunk, caller, called).await, verdict);
        let seen = bench.get(&format!("/v1/verifications/{id}")).await.json();
        assert_eq!((&seen["status"], &seen["steps"][0]["detail"]), (&json!("pending"), &detail));
    }
    assert_eq!(outside.call("north", vouched(NUMBER), &number).await, CallVerdict::Approved);
}

#[tokio::test]
async fn a_call_that_comes_too_late_proves_nothing() {
    let bench = Bench::start().await;
    let mut outside = Outside::of(&bench);
    let (id, number) = awaited(&bench, "a").await;
    bench.post(&format!("/v1/verifications/{id}/cancel"), json!({})).await.expect(StatusCode::OK);
    assert_eq!(outside.call("north", vouched(NUMBER), &number).await, CallVerdict::Late);
    let seen = bench.get(&format!("/v1/verifications/{id}")).await.json();
    assert_eq!(
        (&seen["status"], &seen["steps"][0]["status"]),
        (&json!("canceled"), &json!("canceled"))
    );
}

#[tokio::test]
async fn two_sessions_wait_at_two_numbers_and_a_call_approves_one_of_them() {
    let bench = Bench::start().await;
    let mut outside = Outside::of(&bench);
    let (strangers, at_first) = awaited(&bench, "stranger").await;
    let (owners, at_second) = awaited(&bench, "owner").await;
    assert_ne!(at_first, at_second);
    bench.post("/v1/verifications", wish("third")).await.expect_problem(429, "too-many-open");
    assert_eq!(outside.call("north", vouched(NUMBER), &at_second).await, CallVerdict::Approved);
    let status = async |id: String| {
        bench.get(&format!("/v1/verifications/{id}")).await.json()["status"].clone()
    };
    assert_eq!(
        (status(owners).await, status(strangers).await),
        (json!("approved"), json!("pending"))
    );
}

#[tokio::test]
async fn only_a_purpose_that_names_it_may_wait_for_a_call() {
    let bench = Bench::start().await;
    let body = json!({"to": NUMBER, "purpose": "sign_in", "channels": ["incoming_call"]});
    bench.post("/v1/verifications", body).await.expect_problem(422, "channel-not-available");
    // The other account has no numbers.
    let key = bench.make_key(Some("other"), true, "verify").await;
    let refused = bench.send(request("POST", "/v1/verifications", &key, Some(wish("a")))).await;
    refused.expect_problem(422, "channel-not-available");
}

#[tokio::test]
async fn a_restart_waits_on_and_the_call_still_approves() {
    let mut bench = Bench::start().await;
    let (id, number) = awaited(&bench, "a").await;
    bench.restart().await;
    crate::verification::recovery::recover(&bench.app).await.unwrap();
    let mut outside = Outside::of(&bench);
    assert_eq!(outside.call("north", vouched(NUMBER), &number).await, CallVerdict::Approved);
    bench.until(&id, |seen| seen["status"] == "approved").await;
}

#[tokio::test]
async fn under_a_test_key_the_user_calls_by_himself() {
    let mut bench = Bench::start().await;
    bench.key = bench.make_key(Some("default"), false, "verify").await;
    let (id, _) = awaited(&bench, "a").await;
    bench.until(&id, |seen| seen["status"] == "approved").await;
}

#[tokio::test]
async fn a_text_from_outside_is_stored_once_for_the_account_whose_number_it_was_sent_to() {
    let mut bench = Bench::start().await;
    let outside = Outside::of(&bench);
    for body in ["Да, это я", "Да, это я", "и ещё"] {
        outside.text("74951250000", "one", body).await;
        let Asked::AnswerText(text, answer) = bench.script.next().await else { panic!() };
        assert_eq!((text, answer), (IncomingTextHandle(7), TextAnswer::Accepted));
    }
    bench.restart().await;
    let outside = Outside::of(&bench);
    outside.text("74951250000", "one", "и ещё").await;
    let Asked::AnswerText(_, TextAnswer::Accepted) = bench.script.next().await else { panic!() };
    let listed = bench.get("/v1/messages?direction=inbound").await.expect(StatusCode::OK).json();
    let texts: Vec<&Value> = listed["data"].as_array().unwrap().iter().collect();
    assert_eq!(texts.len(), 2, "{listed}");
    assert_eq!((&texts[0]["text"], &texts[1]["text"]), (&json!("и ещё"), &json!("Да, это я")));
    for (field, value) in [
        ("status", "received"),
        ("direction", "inbound"),
        ("to", "+74951250000"),
        ("trunk", "south"),
    ] {
        assert_eq!(texts[0][field], value);
    }
    let key = bench.make_key(Some("other"), true, "messages").await;
    let others = bench.send(request("GET", "/v1/messages?direction=inbound", &key, None)).await;
    assert_eq!(others.expect(StatusCode::OK).json()["data"], json!([]));
}

#[tokio::test]
async fn a_text_to_nobodys_number_is_told_so_and_not_stored() {
    let mut bench = Bench::start().await;
    let mut outside = Outside::of(&bench);
    outside.text("74990000000", "one", "hello").await;
    let Asked::AnswerText(_, answer) = bench.script.next().await else { panic!() };
    assert_eq!(answer, TextAnswer::NotFound);
    outside.text("+74951250001", "two", "hello").await;
    assert!(
        matches!(outside.facts.recv().await, Ok(Fact::TextReceived { account, .. }) if account == "default")
    );
    let listed = bench.get("/v1/messages").await.json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
}
