//! SIPp as a proxy that asks for credentials again and again.

use dozvon_tests::capture::{Captured, requests};
use dozvon_tests::gateway::{Engine, Setup};
use dozvon_tests::kamailio::Account;
use dozvon_tests::sipp::Scenario;
use md5::{Digest, Md5};

use crate::run::Run;

const FIRST_NONCE: &str = "0f0e0d0c0b0a";
const SECOND_NONCE: &str = "1f1e1d1c1b1a";

async fn run(scenario: Scenario) -> Option<Run> {
    let asked = |carrier| Setup::new(Engine::Sqlite).asked_trunk("north", carrier, &account());
    Run::over(scenario, asked).await
}

fn account() -> Account {
    Account::default()
}

/// A proxy that asks twice, the second time with `challenge`, and takes the answer to that.
async fn asked_twice(challenge: &str) -> Option<Vec<Captured>> {
    let scenario = Scenario::named("challenged_twice_then_ring").key("challenge", challenge);
    let run = run(scenario).await?;
    run.shows("rang", "rang");
    let methods = ["INVITE", "ACK", "INVITE", "ACK", "INVITE", "CANCEL", "ACK"];
    let messages = run.carrier_saw(&methods).await;
    let invites = requests(&messages, "INVITE");
    assert_eq!(invites[0].header("Proxy-Authorization"), None);
    for (nth, invite) in (1..).zip(&invites) {
        assert_eq!(invite.cseq(), Some((nth, "INVITE".to_owned())));
        assert_eq!(invite.header("Call-ID"), invites[0].header("Call-ID"));
        assert_eq!(invite.header("From"), invites[0].header("From"));
    }
    let branches: std::collections::BTreeSet<_> =
        invites.iter().map(|it| it.header("Via")).collect();
    assert_eq!(branches.len(), 3, "{branches:?}");
    for invite in &invites[1..] {
        assert!(is_right(&credentials(invite)), "the digest is wrong");
    }
    // The CANCEL is that of the INVITE that was let through.
    let cancel = requests(&messages, "CANCEL")[0];
    assert_eq!(cancel.header("Via"), invites[2].header("Via"));
    assert_eq!(cancel.cseq(), Some((3, "CANCEL".to_owned())));
    run.code_is_checkable(&messages, true).await;
    Some(messages)
}

/// The credentials of an INVITE.
fn credentials(invite: &Captured) -> String {
    invite.header("Proxy-Authorization").expect("credentials")
}

fn says(invite: &Captured, nonce: &str, count: u32) -> bool {
    let credentials = credentials(invite);
    credentials.contains(&format!("nonce=\"{nonce}\""))
        && credentials.contains(&format!("nc={count:08}"))
}

/// Computes the digest anew (RFC 7616 section 3.4), because SIPp looks at Authorization alone.
fn is_right(credentials: &str) -> bool {
    let value = |name: &str| {
        let fields = credentials.trim_start_matches("Digest ").split(',');
        let mut pairs = fields.filter_map(|field| field.trim().split_once('='));
        let found = pairs.find(|(field, _)| *field == name);
        found.map(|(_, value)| value.trim_matches('"').to_owned()).expect(name)
    };
    let Account { user, password, .. } = account();
    let secret = md5(&format!("{user}:{}:{password}", value("realm")));
    let request = md5(&format!("INVITE:{}", value("uri")));
    let [nonce, count, cnonce] = ["nonce", "nc", "cnonce"].map(value);
    value("username") == user
        && value("response") == md5(&format!("{secret}:{nonce}:{count}:{cnonce}:auth:{request}"))
}

fn md5(text: &str) -> String {
    Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_nonce_that_is_called_stale_is_replaced_by_the_new_one() {
    let challenge = format!("nonce=\"{SECOND_NONCE}\", stale=true");
    let Some(messages) = asked_twice(&challenge).await else { return };
    assert!(says(requests(&messages, "INVITE")[1], FIRST_NONCE, 1));
    assert!(says(requests(&messages, "INVITE")[2], SECOND_NONCE, 1));
}

#[tokio::test]
async fn another_nonce_without_the_stale_flag_is_a_fresh_challenge() {
    let challenge = format!("nonce=\"{SECOND_NONCE}\"");
    let Some(messages) = asked_twice(&challenge).await else { return };
    assert!(says(requests(&messages, "INVITE")[1], FIRST_NONCE, 1));
    assert!(says(requests(&messages, "INVITE")[2], SECOND_NONCE, 1));
}

#[tokio::test]
async fn the_same_nonce_called_stale_is_counted_on() {
    let challenge = format!("nonce=\"{FIRST_NONCE}\", stale=true");
    let Some(messages) = asked_twice(&challenge).await else { return };
    assert!(says(requests(&messages, "INVITE")[1], FIRST_NONCE, 1));
    assert!(says(requests(&messages, "INVITE")[2], FIRST_NONCE, 2));
}

#[tokio::test]
async fn the_same_nonce_again_means_that_the_credentials_are_wrong() {
    let Some(run) = run(Scenario::named("challenged_for_ever")).await else { return };
    run.shows("rejected", "auth_failed");
    let messages = run.carrier_saw(&["INVITE", "ACK", "INVITE", "ACK"]).await;
    run.code_is_checkable(&messages, false).await;
}

#[tokio::test]
async fn a_realm_is_answered_twice_for_a_call_and_no_more() {
    let Some(run) = run(Scenario::named("always_another_nonce")).await else { return };
    run.shows("rejected", "auth_failed");
    let methods = ["INVITE", "ACK", "INVITE", "ACK", "INVITE", "ACK"];
    let messages = run.carrier_saw(&methods).await;
    assert!(says(requests(&messages, "INVITE")[2], SECOND_NONCE, 1));
    run.code_is_checkable(&messages, false).await;
}
