//! One flash call through one SIPp, and what both sides say of it.

use std::net::SocketAddr;
use std::time::Duration;

use dozvon_tests::capture::{Captured, ladder, received, requests};
use dozvon_tests::gateway::{Engine, Gateway, Setup, code_of, last_call, last_step};
use dozvon_tests::peers::{Peer, lacking};
use dozvon_tests::second_reader::disagreements;
use dozvon_tests::sipp::{Scenario, Sipp};
use serde_json::Value;

const NUMBER: &str = "+79161234567";
/// For what follows the outcome at once.
const SOON: Duration = Duration::from_secs(5);

/// A flash call through one carrier, run until the API shows its outcome.
pub(crate) struct Run {
    pub(crate) carrier: Sipp,
    pub(crate) gateway: Gateway,
    pub(crate) verification: Value,
}

impl Run {
    /// `None` when SIPp is not installed.
    pub(crate) async fn of(scenario: Scenario) -> Option<Self> {
        let known = |carrier: SocketAddr| Setup::new(Engine::Sqlite).static_trunk("north", carrier);
        Self::over(scenario, known).await
    }

    /// The same with a setup that is made for the carrier's address.
    pub(crate) async fn over(
        scenario: Scenario,
        setup: impl FnOnce(SocketAddr) -> Setup,
    ) -> Option<Self> {
        if lacking(&[Peer::Sipp]) {
            return None;
        }
        let carrier = Sipp::carrier(&scenario).await;
        let gateway = Gateway::start(setup(carrier.address())).await;
        let created = gateway.verify(NUMBER).await;
        let id = created["id"].as_str().expect("a verification has an id");
        let verification = gateway.until_call_ended(id).await;
        Some(Self { carrier, gateway, verification })
    }

    /// Asserts what the API shows.
    pub(crate) fn shows(&self, step: &str, outcome: &str) {
        let seen =
            (&last_step(&self.verification)["status"], &last_call(&self.verification)["outcome"]);
        assert_eq!(seen, (&step.into(), &outcome.into()), "{:#}", self.verification);
    }

    /// The events of the call's timeline.
    pub(crate) fn timeline(&self) -> Vec<String> {
        let timeline =
            last_call(&self.verification)["timeline"].as_array().cloned().unwrap_or_default();
        timeline
            .iter()
            .map(|entry| entry["event"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// Waits until the carrier has seen exactly these requests, in this order, and had no complaint;
    /// every one of them is read by rsip too.
    pub(crate) async fn carrier_saw(&self, methods: &[&str]) -> Vec<Captured> {
        let enough = |messages: &[Captured]| methods_of(messages).len() >= methods.len();
        let messages = self.carrier.until(SOON, &format!("{methods:?}"), enough).await;
        assert_eq!(methods_of(&messages), methods, "{}", ladder(&messages));
        assert_eq!(self.carrier.errors(), "");
        for message in received(&messages) {
            let found = disagreements(&message.bytes);
            assert_eq!(found, Ok(Vec::new()), "{}", String::from_utf8_lossy(&message.bytes));
        }
        messages
    }

    /// Asserts that the code can or cannot be checked: the tail of the caller ID in the INVITE.
    pub(crate) async fn code_is_checkable(&self, messages: &[Captured], checkable: bool) {
        let code = code_shown(messages);
        let id = self.verification["id"].as_str().expect("an id");
        let answer = self.gateway.check(id, &code).await;
        assert_eq!(
            answer.status == 200 && answer.json()["valid"] == true,
            checkable,
            "{}",
            answer.text()
        );
    }
}

fn methods_of(messages: &[Captured]) -> Vec<String> {
    received(messages).filter_map(Captured::method).filter(|method| method != "OPTIONS").collect()
}

/// The last digits of the user part of From.
fn code_shown(messages: &[Captured]) -> String {
    let from = requests(messages, "INVITE")[0].header("From").expect("an INVITE has From");
    let user =
        from.split_once("sip:").and_then(|(_, rest)| rest.split_once('@')).expect("a user").0;
    code_of(user).to_owned()
}
