//! SIPp as the carrier, one scenario a test: what the carrier saw, and which outcome the API reports.

use std::time::Duration;

use dozvon_tests::capture::{Captured, requests};
use dozvon_tests::sipp::Scenario;

use crate::run::Run;

fn to_tag(message: &Captured) -> Option<String> {
    message.header("To")?.split_once(";tag=").map(|(_, tag)| tag.to_owned())
}

#[tokio::test]
async fn a_phone_that_rings_is_cancelled_after_four_seconds_and_its_code_proves_the_number() {
    let Some(run) = Run::of(Scenario::named("ring_and_cancel")).await else { return };
    run.shows("rang", "rang");
    assert_eq!(run.timeline(), ["invite", "100", "180", "cancel", "487"]);
    let messages = run.carrier_saw(&["INVITE", "CANCEL", "ACK"]).await;
    let at = |method: &str| requests(&messages, method)[0].at;
    let rang = at("CANCEL") - messages.iter().find(|m| m.status() == Some(180)).expect("180").at;
    assert!((3_900..4_500).contains(&rang.as_millis()), "it rang for {rang:?}");
    let invite = requests(&messages, "INVITE")[0];
    assert!(invite.bytes.len() < 1300, "{} bytes", invite.bytes.len());
    for header in ["From", "P-Asserted-Identity"] {
        let value = invite.header(header).expect("the caller ID's header");
        assert!(value.contains("sip:+7495123"), "{header}");
    }
    let cancel = requests(&messages, "CANCEL")[0];
    for header in ["Via", "From", "To", "Call-ID"] {
        assert_eq!(cancel.header(header), invite.header(header), "{header} of the CANCEL");
    }
    assert_eq!(cancel.header("Max-Forwards").as_deref(), Some("70"));
    run.code_is_checkable(&messages, true).await;
}

#[tokio::test]
async fn ringing_counts_from_the_180_behind_a_183() {
    let Some(run) = Run::of(Scenario::named("session_progress_then_ring")).await else { return };
    run.shows("rang", "rang");
    assert_eq!(run.timeline(), ["invite", "100", "183", "180", "cancel", "487"]);
    let messages = run.carrier_saw(&["INVITE", "CANCEL", "ACK"]).await;
    let rang = messages.iter().find(|m| m.status() == Some(180)).expect("180").at;
    let rang = requests(&messages, "CANCEL")[0].at - rang;
    assert!((3_900..4_500).contains(&rang.as_millis()), "it rang for {rang:?}");
}

#[tokio::test]
async fn a_call_that_is_answered_is_acknowledged_and_hung_up_at_once() {
    let Some(run) = Run::of(Scenario::named("answer_after_1_s")).await else { return };
    run.shows("answered", "answered");
    let messages = run.carrier_saw(&["INVITE", "ACK", "BYE"]).await;
    let bye = requests(&messages, "BYE")[0];
    let is_answer =
        |m: &&Captured| m.status() == Some(200) && m.cseq() == Some((1, "INVITE".into()));
    let answered = messages.iter().find(is_answer).expect("200").at;
    assert!(bye.at - answered < Duration::from_millis(500));
    assert_eq!(bye.cseq(), Some((2, "BYE".to_owned())));
    assert!(bye.start_line().starts_with("BYE sip:handset@"), "{}", bye.start_line());
    run.code_is_checkable(&messages, true).await;
}

#[tokio::test]
async fn a_200_that_crosses_the_cancel_is_acknowledged_and_hung_up() {
    let Some(run) = Run::of(Scenario::named("answer_across_the_cancel")).await else { return };
    run.shows("answered", "answered");
    run.carrier_saw(&["INVITE", "CANCEL", "ACK", "BYE"]).await;
}

/// A refusal at once: the step, the call's outcome.
async fn refused(status: &str, header: &str, step: &str, outcome: &str) -> Option<Run> {
    let scenario = Scenario::named("reject").key("status", status).key("header", header);
    let run = Run::of(scenario).await?;
    run.shows(step, outcome);
    let messages = run.carrier_saw(&["INVITE", "ACK"]).await;
    let invite = requests(&messages, "INVITE")[0];
    let ack = requests(&messages, "ACK")[0];
    // The ACK of a failure belongs to the INVITE's transaction (RFC 3261 section 17.1.1.3).
    assert_eq!(ack.header("Via"), invite.header("Via"));
    run.code_is_checkable(&messages, false).await;
    Some(run)
}

#[tokio::test]
async fn a_486_without_ringing_is_busy() {
    refused("486 Busy Here", "Server: peer", "busy", "busy").await;
}

#[tokio::test]
async fn a_404_with_cause_1_is_an_unallocated_number() {
    refused("404 Not Found", "Reason: Q.850;cause=1", "no_route", "unallocated").await;
}

#[tokio::test]
async fn a_404_without_a_reason_is_an_unallocated_number() {
    refused("404 Not Found", "Server: peer", "no_route", "unallocated").await;
}

#[tokio::test]
async fn a_480_is_unreachable() {
    refused("480 Temporarily Unavailable", "Server: peer", "unreachable", "unreachable").await;
}

#[tokio::test]
async fn a_503_with_retry_after_is_congestion_and_rests_the_trunk() {
    let retry = "Retry-After: 5";
    let Some(run) = refused("503 Service Unavailable", retry, "failed", "congestion").await else {
        return;
    };
    let body =
        serde_json::json!({"to": "+79161234568", "channels": ["flash_call"], "purpose": "sign_in"});
    let second = run.gateway.api().post("/v1/verifications", &body).await.expect(503);
    assert_eq!(second.json()["code"], "no-trunk-up", "{}", second.text());
    let wait: u64 = second.header("retry-after").parse().expect("seconds in Retry-After");
    assert!((1..=5).contains(&wait), "Retry-After: {wait}");
}

#[tokio::test]
async fn a_480_and_a_500_ask_for_a_pause_that_concerns_no_other_call() {
    for (status, step, outcome) in [
        ("480 Temporarily Unavailable", "unreachable", "unreachable"),
        ("500 Server Internal Error", "failed", "trunk_error"),
    ] {
        let Some(run) = refused(status, "Retry-After: 5", step, outcome).await else { return };
        let second = run.gateway.verify("+79161234568").await;
        assert_eq!(second["status"], "pending", "{second:#}");
    }
}

#[tokio::test]
async fn a_302_is_never_followed() {
    let contact = "Contact: <sip:+79161234569@127.0.0.1:9>;q=0.9";
    let Some(run) = refused("302 Moved Temporarily", contact, "failed", "trunk_protocol").await
    else {
        return;
    };
    assert_eq!(run.timeline(), ["invite", "100", "302"]);
    run.carrier_saw(&["INVITE", "ACK"]).await;
}

#[tokio::test]
async fn a_603_without_ringing_is_declined() {
    refused("603 Decline", "Server: peer", "declined", "blocked").await;
}

#[tokio::test]
async fn a_486_after_ringing_is_a_call_that_rang() {
    let scenario = Scenario::named("ring_then_reject").key("status", "486 Busy Here");
    let Some(run) = Run::of(scenario).await else { return };
    run.shows("rang", "rang");
    let messages = run.carrier_saw(&["INVITE", "ACK"]).await;
    run.code_is_checkable(&messages, true).await;
}

#[tokio::test]
async fn silence_is_abandoned_after_six_seconds_and_the_invite_is_repeated_no_more() {
    let Some(run) = Run::of(Scenario::named("silence")).await else { return };
    run.shows("failed", "trunk_timeout");
    // At 0, 0.5, 1.5 and 3.5 s; timer A would fire again at 7.5 s.
    let messages = run.carrier_saw(&["INVITE"; 4]).await;
    let first = requests(&messages, "INVITE")[0];
    assert!(requests(&messages, "INVITE").iter().all(|invite| invite.bytes == first.bytes));
    tokio::time::sleep(Duration::from_secs(3)).await;
    run.carrier_saw(&["INVITE"; 4]).await;
}

#[tokio::test]
async fn a_call_of_which_only_100_is_heard_is_cancelled_after_twelve_seconds() {
    let Some(run) = Run::of(Scenario::named("trying_only")).await else { return };
    run.shows("unreachable", "no_ring");
    let messages = run.carrier_saw(&["INVITE", "CANCEL", "ACK"]).await;
    let waited = requests(&messages, "CANCEL")[0].at - requests(&messages, "INVITE")[0].at;
    assert!((11_900..12_500).contains(&waited.as_millis()), "cancelled after {waited:?}");
}

#[tokio::test]
async fn a_lost_invite_is_repeated_and_doubled_answers_change_nothing() {
    let scenario = Scenario::named("first_invite_lost_answers_doubled").without_retransmissions();
    let Some(run) = Run::of(scenario).await else { return };
    run.shows("rang", "rang");
    let messages = run.carrier_saw(&["INVITE", "INVITE", "CANCEL", "ACK", "ACK"]).await;
    let invites = requests(&messages, "INVITE");
    assert!(invites[0].bytes == invites[1].bytes, "the repeated INVITE differs");
    let acks = requests(&messages, "ACK");
    assert!(acks[0].bytes == acks[1].bytes, "the repeated ACK differs");
    assert_eq!(run.timeline(), ["invite", "100", "180", "cancel", "487"]);
}

#[tokio::test]
async fn the_phone_that_answers_beside_another_that_rings_is_the_one_hung_up() {
    let Some(run) = Run::of(Scenario::named("two_phones_ring_one_answers")).await else { return };
    run.shows("answered", "answered");
    let messages = run.carrier_saw(&["INVITE", "ACK", "BYE"]).await;
    for method in ["ACK", "BYE"] {
        let tag = to_tag(requests(&messages, method)[0]).expect("a To tag");
        assert!(tag.starts_with("second-"), "{method} to {tag}");
    }
}

#[tokio::test]
async fn a_487_that_never_comes_changes_nothing_about_a_call_that_rang() {
    let Some(run) = Run::of(Scenario::named("missing_487")).await else { return };
    run.shows("rang", "rang");
    let messages = run.carrier_saw(&["INVITE", "CANCEL"]).await;
    run.code_is_checkable(&messages, true).await;
}

#[tokio::test]
async fn a_diverted_call_is_cancelled_at_once_and_its_code_is_withdrawn() {
    let Some(run) = Run::of(Scenario::named("diverted")).await else { return };
    run.shows("diverted", "diverted");
    let messages = run.carrier_saw(&["INVITE", "CANCEL", "ACK"]).await;
    let waited = requests(&messages, "CANCEL")[0].at - requests(&messages, "INVITE")[0].at;
    assert!(waited < Duration::from_millis(500), "cancelled after {waited:?}");
    run.code_is_checkable(&messages, false).await;
}
