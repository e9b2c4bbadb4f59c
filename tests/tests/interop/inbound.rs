//! Somebody on the network calls our number and writes to it: SIPp is the phone, Kamailio the
//! carrier that vouches for its number and forwards to our registered binding.

use std::time::Duration;

use dozvon_tests::backend::{Backend, Posted};
use dozvon_tests::capture::{Captured, ladder, received, requests};
use dozvon_tests::gateway::{Engine, Gateway, Setup, last_step};
use dozvon_tests::kamailio::{Account, Kamailio};
use dozvon_tests::peers::{Peer, figure, lacking};
use dozvon_tests::sipp::{Scenario, Sipp};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(20);
/// From the INVITE at the carrier to the approval.
const APPROVAL_LIMIT_MS: u128 = 100;
const DAY_MS: u128 = 24 * 3_600_000;
const CALLER: &str = "+79163000010";
const OURS: &str = "\n[accounts.default]\npools = [\"all\"]\ndefault_region = \"RU\"\n\
                    inbound_numbers = [\"+74951250000-+74951250009\"]\n\
                    [purposes.sign_up]\nworkflow = [\"incoming_call\"]\n";

struct Stage {
    backend: Backend,
    account: Account,
    kamailio: Kamailio,
    gateway: Gateway,
}

impl Stage {
    /// `None` when a peer is not installed.
    async fn set() -> Option<Self> {
        if lacking(&[Peer::Sipp, Peer::Kamailio]) {
            return None;
        }
        let account = Account::default();
        let nobody = "127.0.0.1:9".parse().expect("an address");
        let kamailio = Kamailio::start(&account, nobody).await;
        let setup = Setup::new(Engine::Sqlite);
        let setup = setup.registered_trunk("north", kamailio.address(), &account);
        let backend = Backend::listen().await;
        let events = backend.section("\"message.received\", \"call.received\"");
        let setup = setup.with("cli_trusted = true\n").with(OURS).with(&events);
        let gateway = Gateway::start(setup).await;
        gateway.registered().await;
        Some(Self { backend, account, kamailio, gateway })
    }

    /// A phone that plays this scenario once towards one of our numbers.
    async fn phone(&self, scenario: Scenario, user: &str, called: &str) -> Vec<Captured> {
        let scenario = scenario.key("user", user).key("domain", &self.account.domain);
        let mut phone = Sipp::caller(&scenario, self.kamailio.address(), called, 1);
        let status = phone.ended(LIMIT).await;
        let seen = phone.messages();
        assert!(status.success(), "{}{}", phone.errors(), ladder(&seen));
        seen
    }

    /// A call that is refused; `header` is a further line of its INVITE.
    async fn call(&self, user: &str, called: &str, header: &str) -> Vec<Captured> {
        let scenario = Scenario::named("caller_is_refused").key("header", header);
        self.phone(scenario, user, called).await
    }

    /// Waits until this many calls were told to the backend; what each came to.
    async fn told(&self, calls: usize) -> Vec<String> {
        let enough = |posted: &[Posted]| posted.len() >= calls;
        let posted = self.backend.until(LIMIT, "what the calls came to", enough).await;
        let verdict =
            |posted: &Posted| posted.event()["data"]["verdict"].as_str().map(str::to_owned);
        posted.iter().filter_map(verdict).collect()
    }

    async fn waiting(&self) -> (String, String) {
        let body = json!({"to": CALLER, "purpose": "sign_up", "channels": ["incoming_call"]});
        let created = self.gateway.api().post("/v1/verifications", &body).await;
        let created = created.expect(201).json();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        (text(&created["id"]), text(&created["incoming_call"]["number"]))
    }

    async fn read(&self, id: &str) -> Value {
        self.gateway.api().get(&format!("/v1/verifications/{id}")).await.expect(200).json()
    }
}

#[tokio::test]
async fn a_call_through_kamailio_approves_at_once_and_is_never_answered() {
    let Some(stage) = Stage::set().await else { return };
    let mut slowest = 0;
    for _ in 0..10 {
        let (id, number) = stage.waiting().await;
        let before = requests(&stage.kamailio.messages(), "INVITE").len();
        let seen = stage.call(CALLER, &number, "X-Call: 1").await;
        let statuses: Vec<_> = received(&seen).filter_map(Captured::status).collect();
        assert!(statuses.iter().all(|status| matches!(status, 100 | 603)), "{statuses:?}");
        let approved = stage.gateway.until(&id, |seen| seen["status"] == "approved").await;
        assert_eq!(last_step(&approved)["status"], "called", "{approved:#}");
        let messages = stage.kamailio.until(LIMIT, "the INVITE to us", |messages| {
            requests(messages, "INVITE").len() > before
        });
        let messages = messages.await;
        let invite = requests(&messages, "INVITE")[before].at.as_millis() % DAY_MS;
        let ended = approved["ended_at"].as_str().expect("a time");
        slowest = slowest.max(ms_of_day(ended).saturating_sub(invite));
    }
    figure(&format!(
        "incoming call, INVITE at the carrier to approval: {slowest} ms, slowest of 10"
    ));
    assert!(slowest <= APPROVAL_LIMIT_MS, "{slowest} ms");
}

#[tokio::test]
async fn every_call_that_proves_nothing_is_refused_and_told_by_its_name() {
    let Some(stage) = Stage::set().await else { return };
    let (id, number) = stage.waiting().await;
    let other = if number.ends_with('0') { "+74951250001" } else { "+74951250000" };
    let mut names = Vec::new();
    for (user, called, header, verdict, detail) in [
        (CALLER, number.as_str(), "X-Claimed: yes", "untrusted_number", "untrusted_number"),
        (CALLER, other, "X-Call: 1", "wrong_number", "wrong_number"),
        // Who calls is not known to be ours: the step knows nothing of it.
        ("anonymous", &number, "Privacy: id", "hidden_number", "wrong_number"),
        ("+79163000011", &number, "X-Call: 1", "wrong_caller", "wrong_number"),
    ] {
        stage.call(user, called, header).await;
        names.push(verdict);
        // Deliveries may overtake each other.
        let mut told = stage.told(names.len()).await;
        told.sort_unstable();
        names.sort_unstable();
        assert_eq!(told, names);
        let seen = stage.read(&id).await;
        assert_eq!(
            (&seen["status"], &last_step(&seen)["detail"]),
            (&json!("pending"), &json!(detail))
        );
    }
    stage.call(CALLER, &number, "X-Call: 1").await;
    stage.gateway.until(&id, |seen| seen["status"] == "approved").await;
    assert!(stage.told(5).await.contains(&"approved".to_owned()));
    stage.call(CALLER, &number, "X-Call: late").await;
    assert!(stage.told(6).await.contains(&"late".to_owned()));
    assert_eq!(stage.read(&id).await["status"], "approved");
}

#[tokio::test]
async fn a_cyrillic_text_through_kamailio_is_stored_and_then_accepted() {
    const TEXT: &str = "Да, это я. Код не нужен.";
    let Some(stage) = Stage::set().await else { return };
    let writes =
        |status: &str| Scenario::named("caller_writes").key("status", status).key("text", TEXT);
    stage.phone(writes("202"), CALLER, "+74951250003").await;
    stage.phone(writes("404"), CALLER, "+74951259999").await;
    let listed = stage.gateway.api().get("/v1/messages?direction=inbound").await.expect(200).json();
    let texts = listed["data"].as_array().expect("a list");
    assert_eq!(texts.len(), 1, "{listed:#}");
    assert_eq!(texts[0]["text"].as_str().map(str::trim_end), Some(TEXT));
    for (field, value) in [("status", "received"), ("to", "+74951250003"), ("trunk", "north")] {
        assert_eq!(texts[0][field], value, "{listed:#}");
    }
    let posted = stage.backend.until(LIMIT, "event", |posted| !posted.is_empty()).await;
    let event = posted[0].event();
    assert_eq!((event["type"].as_str(), posted.len()), (Some("message.received"), 1));
    assert_eq!(
        (&event["data"]["id"], &event["data"]["text"]),
        (&texts[0]["id"], &texts[0]["text"])
    );
}

/// The milliseconds of the day in `2026-01-31T10:20:30.456Z`.
fn ms_of_day(time: &str) -> u128 {
    let part = |range: std::ops::Range<usize>| time[range].parse::<u128>().expect("digits");
    ((part(11..13) * 60 + part(14..16)) * 60 + part(17..19)) * 1000 + part(20..23)
}
