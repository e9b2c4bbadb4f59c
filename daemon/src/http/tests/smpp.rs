//! Texts over SMPP from the request to their end, against a message centre that follows a script.

use std::time::Duration;

use axum::http::StatusCode;
use rusmpp::CommandStatus;
use serde_json::{Value, json};

use super::bench::{Bench, NUMBER, PATIENCE};
use crate::ids::MessageId;
use crate::messages::smpp::tests::Centre;
use crate::messages::{self, OutgoingText, ReadyText, TextEnd};

/// The number as a message centre writes it.
const PHONE: &str = "79161234567";

async fn send(bench: &Bench, text: &str) -> String {
    let sent = bench.post("/v1/messages", json!({"to": NUMBER, "text": text})).await;
    sent.expect(StatusCode::ACCEPTED).json()["id"].as_str().unwrap().to_owned()
}

/// A code, of which each piece is submitted once.
fn code(bench: &Bench) -> Result<ReadyText, TextEnd> {
    let text = OutgoingText {
        message_id: bench.app.message_id(bench.app.now()),
        to: NUMBER.parse().unwrap(),
        sender: Some("EXAMPLE".to_owned()),
        text: "4711".to_owned(),
        proves: None,
    };
    messages::reserve(&bench.app, &text)
}

/// Waits for a text to be as `condition` wants it.
async fn until(bench: &Bench, id: &str, condition: impl Fn(&Value) -> bool) -> Value {
    let mut path = format!("/v1/messages/{id}");
    for _ in 0..50 {
        let seen = bench.get(&path).await.expect(StatusCode::OK).json();
        if condition(&seen) {
            return seen;
        }
        path = format!("/v1/messages/{id}?wait=5&after={}", seen["version"]);
    }
    panic!("it never came: {}", bench.get(&path).await.json());
}

async fn until_status(bench: &Bench, id: &str, status: &str) -> Value {
    let wait = until(bench, id, |seen| seen["status"] == status);
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never {status}"))
}

#[tokio::test]
async fn each_part_is_submitted_once_and_delivered_by_its_own_receipt() {
    let centre = Centre::listen().await;
    let bench = Bench::with_centre(&centre.section()).await;
    let mut peer = centre.accept().await;
    let id = send(&bench, &"ж".repeat(150)).await;
    for (part, remote) in [(1, "3E8"), (2, "3E9"), (3, "3EA")] {
        let (sequence, submit) = peer.submit().await;
        assert_eq!(submit.short_message()[4..6], [3, part]);
        peer.take(sequence, remote).await;
    }
    let sent = until_status(&bench, &id, "sent").await;
    assert_eq!((&sent["segments"], &sent["encoding"]), (&json!(3), &json!("ucs2")));
    // In decimal, with zeros in front, out of order, doubled, and one that is not ours.
    for remote in ["0000001002", "0000001000", "0000001000", "77"] {
        assert_eq!(peer.receipt(PHONE, remote, "DELIVRD").await, CommandStatus::EsmeRok);
    }
    let seen = bench.get(&format!("/v1/messages/{id}")).await.json();
    let statuses = |seen: &Value| -> Vec<String> {
        let deliveries = seen["deliveries"].as_array().unwrap().iter();
        deliveries.map(|part| part["status"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (statuses(&seen).join(" "), &seen["status"]),
        ("delivered sent delivered".to_owned(), &json!("sent"))
    );
    peer.receipt(PHONE, "1001", "DELIVRD").await;
    let done = until_status(&bench, &id, "delivered").await;
    assert_eq!(statuses(&done), ["delivered"; 3]);
    // An end stays what it is.
    peer.receipt(PHONE, "1001", "UNDELIV").await;
    assert_eq!(until_status(&bench, &id, "delivered").await["version"], done["version"]);
}

#[tokio::test]
async fn a_receipt_before_the_answer_to_its_submit_is_asked_for_again() {
    let centre = Centre::listen().await;
    let bench = Bench::with_centre(&centre.section()).await;
    let mut peer = centre.accept().await;
    let id = send(&bench, "Hello").await;
    let (sequence, _) = peer.submit().await;
    assert_eq!(peer.receipt(PHONE, "7", "DELIVRD").await, CommandStatus::EsmeRxTAppn);
    peer.take(sequence, "7").await;
    assert_eq!(peer.receipt(PHONE, "7", "DELIVRD").await, CommandStatus::EsmeRok);
    until_status(&bench, &id, "delivered").await;
    assert_eq!(peer.receipt(PHONE, "8", "DELIVRD").await, CommandStatus::EsmeRok, "not ours");
}

#[tokio::test]
async fn a_decimal_receipt_is_not_taken_for_that_of_the_part_with_the_same_digits() {
    let centre = Centre::listen().await;
    let bench = Bench::with_centre(&centre.section()).await;
    let mut peer = centre.accept().await;
    let id = send(&bench, &"ж".repeat(150)).await;
    for remote in ["A", "12", "18"] {
        let (sequence, _) = peer.submit().await;
        peer.take(sequence, remote).await;
    }
    until_status(&bench, &id, "sent").await;
    for remote in ["0000000018", "0000000024", "0000000010"] {
        assert_eq!(peer.receipt(PHONE, remote, "DELIVRD").await, CommandStatus::EsmeRok);
    }
    until_status(&bench, &id, "delivered").await;
}

#[tokio::test]
async fn an_early_receipt_is_not_taken_for_that_of_another_part_whose_id_reads_so_too() {
    let centre = Centre::listen().await;
    let bench = Bench::with_centre(&centre.section()).await;
    let mut peer = centre.accept().await;
    let id = send(&bench, &"ж".repeat(100)).await;
    let (sequence, _) = peer.submit().await;
    peer.take(sequence, "32").await;
    let (sequence, _) = peer.submit().await;
    // 50 in decimal is 32 in hexadecimal; it comes before the answer that says 50.
    assert_eq!(peer.receipt(PHONE, "50", "DELIVRD").await, CommandStatus::EsmeRxTAppn);
    peer.take(sequence, "50").await;
    until_status(&bench, &id, "sent").await;
    for remote in ["50", "32"] {
        assert_eq!(peer.receipt(PHONE, remote, "DELIVRD").await, CommandStatus::EsmeRok);
    }
    until_status(&bench, &id, "delivered").await;
}

#[tokio::test]
async fn a_throttled_part_comes_again_and_a_refused_one_takes_the_others_along() {
    let centre = Centre::listen().await;
    let bench = Bench::with_centre(&centre.section()).await;
    let mut peer = centre.accept().await;
    let id = send(&bench, &"a".repeat(200)).await;
    let (sequence, first) = peer.submit().await;
    peer.refuse(sequence, CommandStatus::EsmeRthrottled).await;
    let (sequence, again) = peer.submit().await;
    assert_eq!(first.short_message(), again.short_message());
    peer.refuse(sequence, CommandStatus::EsmeRinvdstadr).await;
    let seen = until_status(&bench, &id, "rejected").await;
    assert_eq!(seen["deliveries"][0]["detail"], "smpp_11");
    assert_eq!(seen["deliveries"][1]["detail"], "other_part_refused");
    assert_eq!(seen["maybe_duplicate"], false);
}

#[tokio::test]
async fn a_relayed_text_whose_answer_was_lost_comes_again_and_a_code_never_does() {
    let centre = Centre::listen().await;
    let bench = Bench::with_centre(&centre.section()).await;
    let mut peer = centre.accept().await;
    let relayed = send(&bench, "Hello").await;
    peer.submit().await;
    let sent = tokio::spawn(code(&bench).expect("the window has room").send());
    let (_, submit) = peer.submit().await;
    assert_eq!(submit.short_message().as_ref(), b"4711");
    assert_eq!(submit.source_addr.as_str(), "EXAMPLE");
    drop(peer);
    assert_eq!(sent.await.unwrap(), TextEnd::Lost);
    let refused = code(&bench).expect_err("the link is down");
    assert_eq!(refused, TextEnd::Later("link_busy".to_owned()));
    let mut peer = centre.accept().await;
    let (sequence, submit) = peer.submit().await;
    assert_eq!(submit.short_message().as_ref(), b"Hello");
    peer.take(sequence, "1").await;
    let seen = until_status(&bench, &relayed, "sent").await;
    assert_eq!(seen["maybe_duplicate"], true);
    let again = tokio::time::timeout(Duration::from_secs(1), peer.submit()).await;
    assert!(again.is_err(), "the code never comes again");
}

#[tokio::test]
async fn a_restart_goes_on_with_the_parts_that_were_not_taken() {
    let centre = Centre::listen().await;
    let mut bench = Bench::with_centre(&centre.section()).await;
    let mut peer = centre.accept().await;
    let id = send(&bench, &"a".repeat(200)).await;
    let (sequence, _) = peer.submit().await;
    peer.take(sequence, "1").await;
    peer.submit().await;
    bench.restart().await;
    messages::recover(&bench.app).await.unwrap();
    let mut peer = centre.accept().await;
    let (sequence, submit) = peer.submit().await;
    assert_eq!(submit.short_message()[4..6], [2, 2], "the first part was taken");
    peer.take(sequence, "2").await;
    let seen = until_status(&bench, &id, "sent").await;
    assert_eq!(seen["maybe_duplicate"], true);
}

#[tokio::test]
async fn a_receipt_that_never_comes_ends_as_unknown() {
    let centre = Centre::listen().await;
    let bench = Bench::with_centre(&centre.section()).await;
    let mut peer = centre.accept().await;
    let id = send(&bench, "Hello").await;
    let (sequence, _) = peer.submit().await;
    peer.take(sequence, "1").await;
    until_status(&bench, &id, "sent").await;
    let message: MessageId = id.parse().unwrap();
    let valid_until = bench.app.now() + Duration::from_secs(3_600);
    messages::smpp::settle_overdue(&bench.app, valid_until - Duration::from_secs(60))
        .await
        .unwrap();
    assert_eq!(bench.get(&format!("/v1/messages/{id}")).await.json()["status"], "sent");
    messages::smpp::settle_overdue(&bench.app, valid_until).await.unwrap();
    let seen = until_status(&bench, &id, "unknown").await;
    assert_eq!(seen["deliveries"][0]["detail"], "no_receipt");
    assert_eq!(seen["id"], message.to_string());
}

#[tokio::test]
async fn a_text_of_too_many_parts_is_refused_before_it_is_stored() {
    let centre = Centre::listen().await;
    let bench = Bench::with_centre(&centre.section()).await;
    let body = json!({"to": NUMBER, "text": "a".repeat(1531)});
    bench.post("/v1/messages", body).await.expect_problem(422, "text-too-long");
    send(&bench, &"a".repeat(1530)).await;
}

/// A code in two parts: the letter makes it UCS-2.
const LONG_WORDING: &str = "[templates.long]\nru = \"Код {code}: никому, никогда и ни при каких \
    обстоятельствах не сообщайте его, даже если вас об этом просят.\"\n";

#[tokio::test]
async fn a_code_is_delivered_when_the_receipts_of_all_its_parts_have_come() {
    let centre = Centre::listen().await;
    let bench = Bench::with_centre(&(centre.section() + LONG_WORDING)).await;
    let mut peer = centre.accept().await;
    let body = json!({"to": NUMBER, "channels": ["sms"], "template": "long", "locale": "ru"});
    let created = bench.post("/v1/verifications", body).await.expect(StatusCode::CREATED).json();
    let id = created["id"].as_str().unwrap();
    for (part, remote) in [(1, "00C8"), (2, "201")] {
        let (sequence, submit) = peer.submit().await;
        assert_eq!(submit.short_message()[4..6], [2, part]);
        assert_eq!(u8::from(submit.registered_delivery), 1, "a receipt is asked for");
        peer.take(sequence, remote).await;
    }
    bench.until(id, |seen| seen["steps"][0]["status"] == "sent").await;
    for _ in 0..2 {
        assert_eq!(peer.receipt(PHONE, "200", "DELIVRD").await, CommandStatus::EsmeRok);
    }
    let seen = bench.get(&format!("/v1/verifications/{id}")).await.json();
    assert_eq!(seen["steps"][0]["status"], "sent", "one part is missing");
    peer.receipt(PHONE, "0000000201", "DELIVRD").await;
    let seen = bench.until(id, |seen| seen["steps"][0]["status"] == "delivered").await;
    assert_eq!(seen["steps"][0]["detail"], "receipt");
}

#[tokio::test]
async fn a_code_that_will_not_arrive_fails_its_step() {
    let centre = Centre::listen().await;
    let bench = Bench::with_centre(&centre.section()).await;
    let mut peer = centre.accept().await;
    let body = json!({"to": NUMBER, "channels": ["sms"]});
    let created = bench.post("/v1/verifications", body).await.expect(StatusCode::CREATED).json();
    let id = created["id"].as_str().unwrap();
    let (sequence, _) = peer.submit().await;
    peer.take(sequence, "7").await;
    peer.receipt(PHONE, "7", "UNDELIV").await;
    let seen = bench.until(id, |seen| seen["status"] != "pending").await;
    assert_eq!(
        (&seen["status"], &seen["steps"][0]["status"]),
        (&json!("failed"), &json!("failed"))
    );
}
