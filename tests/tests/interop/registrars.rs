//! SIPp as a registrar of its own mind: what it saw, and what `dozvon trunks` says.

use std::time::Duration;

use dozvon_tests::capture::{Captured, ladder, requests};
use dozvon_tests::gateway::{Engine, Gateway, Setup};
use dozvon_tests::kamailio::Account;
use dozvon_tests::peers::{Peer, lacking};
use dozvon_tests::sipp::{Scenario, Sipp};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(20);

/// A trunk with a registrar of its own.
struct Stage {
    registrar: Sipp,
    gateway: Gateway,
}

impl Stage {
    /// `None` when SIPp is not installed.
    async fn of(scenario: Scenario) -> Option<Self> {
        if lacking(&[Peer::Sipp]) {
            return None;
        }
        let registrar = Sipp::carrier(&scenario).await;
        let setup = Setup::new(Engine::Sqlite);
        let setup = setup.registered_trunk("north", registrar.address(), &Account::default());
        Some(Self { gateway: Gateway::start(setup).await, registrar })
    }

    /// Waits until the trunk is bound for so long.
    async fn granted(&self, seconds: u64) -> Value {
        let granted =
            |trunk: &Value| trunk["state"] == "up" && trunk["registration"]["granted_s"] == seconds;
        self.gateway.until_trunk("north", LIMIT, granted).await
    }

    /// The REGISTERs that came, which are `count`: one Call-ID, one From tag, no To tag, numbers
    /// that rise.
    async fn registers(&self, count: usize) -> Vec<Captured> {
        registers_of(&self.registrar, count).await
    }
}

async fn registers_of(registrar: &Sipp, count: usize) -> Vec<Captured> {
    let enough = |messages: &[Captured]| requests(messages, "REGISTER").len() >= count;
    let messages = registrar.until(LIMIT, "REGISTER", enough).await;
    let seen: Vec<_> = requests(&messages, "REGISTER").into_iter().cloned().collect();
    assert_eq!(seen.len(), count, "{}", ladder(&messages));
    assert_eq!(registrar.errors(), "");
    for (number, register) in (1..).zip(&seen) {
        assert_eq!(register.cseq(), Some((number, "REGISTER".to_owned())));
        assert_eq!(register.header("Call-ID"), seen[0].header("Call-ID"));
        assert_eq!(register.header("From"), seen[0].header("From"));
        assert!(!register.header("To").expect("To").contains("tag="), "a refresh has no To tag");
    }
    seen
}

fn expires(register: &Captured) -> String {
    register.header("Expires").expect("Expires")
}

fn authorization(register: &Captured) -> String {
    register.header("Authorization").unwrap_or_default()
}

/// From the nth REGISTER to the one after it.
fn pause(registers: &[Captured], nth: usize) -> Duration {
    registers[nth + 1].at - registers[nth].at
}

/// A refresh of a binding of two seconds leaves in time, and not at once: 1.6 s after the REGISTER
/// left at the earliest, which a busy registrar may have read half a second late; any later, and it
/// would have come twice.
fn refreshed_in_time(pause: Duration) {
    assert!((1_000..2_000).contains(&pause.as_millis()), "refreshed after {pause:?}");
}

/// The nonce of the second challenge, which came to the refresh.
async fn goes_stale(challenge: &str) {
    let Account { user, password, .. } = Account::default();
    let scenario = Scenario::named("register_stale").key("user", &user).key("password", &password);
    let Some(stage) = Stage::of(scenario.key("challenge", challenge)).await else { return };
    stage.granted(60).await;
    let registers = stage.registers(4).await;
    refreshed_in_time(pause(&registers, 1));
    let said: Vec<_> = registers.iter().map(authorization).collect();
    assert_eq!(said[0], "");
    // The refresh tries the nonce that worked, with its next count.
    for (said, nonce, count) in [
        (&said[1], "0f0e0d0c0b0a", 1),
        (&said[2], "0f0e0d0c0b0a", 2),
        (&said[3], "1f1e1d1c1b1a", 1),
    ] {
        assert!(said.contains(&format!("nonce=\"{nonce}\"")), "{nonce}");
        assert!(said.contains(&format!("nc={count:08}")), "{nonce} {count}");
    }
    let log = stage.gateway.log().join("\n");
    assert!(!log.contains("auth_failed") && !log.contains("credentials"), "{log}");
}

#[tokio::test]
async fn a_stale_nonce_of_a_refresh_costs_one_more_register() {
    goes_stale("nonce=\"1f1e1d1c1b1a\", stale=true").await;
}

#[tokio::test]
async fn a_nonce_that_goes_stale_without_the_flag_costs_no_more() {
    goes_stale("nonce=\"1f1e1d1c1b1a\"").await;
}

#[tokio::test]
async fn min_expires_of_a_423_is_obeyed_at_once_and_remembered() {
    let Some(stage) = Stage::of(Scenario::named("register_too_brief")).await else { return };
    stage.granted(1200).await;
    let registers = stage.registers(3).await;
    let asked: Vec<_> = registers.iter().map(expires).collect();
    assert_eq!(asked, ["600", "1200", "1200"]);
    assert!(pause(&registers, 0) < Duration::from_millis(500), "{:?}", pause(&registers, 0));
    refreshed_in_time(pause(&registers, 1));
}

/// The registrar says with `header` that our binding is good for two seconds.
async fn grants_two_seconds(header: &str) {
    let scenario = Scenario::named("register_granted").key("header", header);
    let Some(stage) = Stage::of(scenario).await else { return };
    let trunk = stage.granted(2).await;
    assert_eq!(trunk["registration"]["state"], "registered", "{trunk:#}");
    stage.granted(60).await;
    refreshed_in_time(pause(&stage.registers(2).await, 0));
}

#[tokio::test]
async fn what_is_granted_is_read_from_our_own_contact_behind_a_foreign_one() {
    let foreign = "Contact: <sip:trunk-17@192.0.2.77:5060>;expires=3000";
    grants_two_seconds(&format!("{foreign}\n    [last_Contact:];expires=2")).await;
}

#[tokio::test]
async fn what_is_granted_may_stand_in_the_expires_header_alone() {
    grants_two_seconds("[last_Contact:]\n    Expires: 2").await;
}

#[tokio::test]
async fn retry_after_of_a_refused_register_is_obeyed() {
    if lacking(&[Peer::Sipp]) {
        return;
    }
    let refusals = [
        ("busy", "503 Service Unavailable", 503),
        ("away", "480 Temporarily Unavailable", 480),
        ("broken", "500 Server Internal Error", 500),
    ];
    let (mut setup, mut registrars) = (Setup::new(Engine::Sqlite), Vec::new());
    for (name, status, _) in refusals {
        let scenario = Scenario::named("register_try_later").key("status", status);
        // The first pause of our own is at most 5 s.
        let registrar = Sipp::carrier(&scenario.key("header", "Retry-After: 7")).await;
        setup = setup.registered_trunk(name, registrar.address(), &Account::default());
        registrars.push(registrar);
    }
    let gateway = Gateway::start(setup).await;
    for (name, _, status) in refusals {
        let failed = |trunk: &Value| trunk["registration"]["state"] == "failed";
        let seen = gateway.until_trunk(name, LIMIT, failed).await;
        assert_eq!(seen["registration"]["last_status"], status, "{seen:#}");
        let wait = seen["registration"]["retry_in_s"].as_u64().expect("seconds");
        assert!((5..=7).contains(&wait), "{name} waits for {wait} s");
    }
    for ((name, ..), registrar) in refusals.iter().zip(&registrars) {
        gateway.until_trunk(name, LIMIT, |trunk| trunk["state"] == "up").await;
        let waited = pause(&registers_of(registrar, 2).await, 0);
        assert!((7_000..8_500).contains(&waited.as_millis()), "{name} waited {waited:?}");
    }
}
