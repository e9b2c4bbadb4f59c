//! Texts from phones, as a message centre delivers them.

use std::sync::Arc;

use axum::http::StatusCode;
use rusmpp::CommandStatus;
use rusmpp::pdus::DeliverSm;
use rusmpp::tlvs::MessageDeliveryRequestTlvValue as Tlv;
use rusmpp::types::{AnyOctetString, COctetString, OctetString};
use rusmpp::values::{DataCoding, EsmClass, MessagePayload, Ton};
use serde_json::{Value, json};

use super::bench::Bench;
use crate::clock::Timestamp;
use crate::messages::smpp;
use crate::messages::smpp::tests::Centre;
use crate::store::{Outgoing, Told};

/// A number of the account, as a message centre writes it.
const OURS: &str = "74951250000";
const PHONE: &str = "79161234567";

/// A text to us.
fn deliver(from: &str, octets: &[u8], data_coding: u8) -> DeliverSm {
    let text = |text: &str| COctetString::from_string(text.to_owned()).unwrap();
    DeliverSm::builder()
        .source_addr_ton(Ton::International)
        .source_addr(text(from))
        .dest_addr_ton(Ton::International)
        .destination_addr(text(OURS))
        .data_coding(DataCoding::from(data_coding))
        .short_message(OctetString::from_vec(octets.to_vec()).unwrap())
        .build()
}

/// A part with a header of one octet of reference.
fn part(from: &str, [reference, total, place]: [u8; 3], words: &str, data_coding: u8) -> DeliverSm {
    let mut octets = vec![5, 0, 3, reference, total, place];
    match data_coding {
        8 => octets.extend(words.encode_utf16().flat_map(u16::to_be_bytes)),
        _ => octets.extend(words.as_bytes()),
    }
    let mut deliver = deliver(from, &octets, data_coding);
    deliver.esm_class = EsmClass::from(0x40);
    deliver
}

/// What is listed, oldest first.
async fn listed(bench: &Bench) -> Vec<Value> {
    let list = bench.get("/v1/messages?direction=inbound").await.expect(StatusCode::OK).json();
    let mut texts = list["data"].as_array().unwrap().clone();
    texts.reverse();
    texts
}

#[tokio::test]
async fn a_text_in_each_alphabet_and_in_either_field_is_listed_for_its_account() {
    let centre = Centre::listen().await;
    let bench = Bench::with_centre(&centre.section()).await;
    let mut peer = centre.accept().await;
    let mut long = deliver("EXAMPLE", b"", 3);
    long.source_addr_ton = Ton::Alphanumeric;
    let octets = AnyOctetString::from_vec(b"caf\xe9 ".repeat(100));
    long.push_tlv(Tlv::MessagePayload(MessagePayload::new(octets)));
    let ucs2: Vec<u8> = "Да 😀".encode_utf16().flat_map(u16::to_be_bytes).collect();
    for text in [deliver(PHONE, &[0x00, b' ', 0x1b, 0x65], 0), deliver(PHONE, &ucs2, 8), long] {
        assert_eq!(peer.deliver(text).await, CommandStatus::EsmeRok);
    }
    let texts = listed(&bench).await;
    let seen: Vec<_> = texts
        .iter()
        .map(|it| (&it["text"], &it["encoding"], &it["sender"], &it["to"], &it["status"]))
        .collect();
    let cafes = json!("café ".repeat(100));
    let (ours, phone, received) = (json!("+74951250000"), json!("+79161234567"), json!("received"));
    assert_eq!(
        seen,
        [
            (&json!("@ €"), &json!("gsm7"), &phone, &ours, &received),
            (&json!("Да 😀"), &json!("ucs2"), &phone, &ours, &received),
            (&cafes, &json!("latin1"), &json!("EXAMPLE"), &ours, &received),
        ]
    );
    assert_eq!(texts[0]["trunk"], "centre");
}

#[tokio::test]
async fn parts_make_one_text_across_a_restart_and_repeats_make_none() {
    let centre = Centre::listen().await;
    let mut bench = Bench::with_centre(&centre.section()).await;
    let mut peer = centre.accept().await;
    let other = "79160000000";
    for text in [
        part(PHONE, [7, 3, 3], "третья", 8),
        part(other, [7, 2, 1], "one ", 0),
        part(PHONE, [7, 3, 1], "Первая, ", 8),
        part(PHONE, [7, 3, 3], "третья", 8),
        deliver(other, b"alone", 0),
    ] {
        assert_eq!(peer.deliver(text).await, CommandStatus::EsmeRok);
    }
    assert_eq!(listed(&bench).await.len(), 1);
    bench.restart().await;
    let mut peer = centre.accept().await;
    for text in [
        part(PHONE, [7, 3, 2], "вторая, ", 8),
        part(PHONE, [7, 3, 1], "Первая, ", 8),
        deliver(other, b"alone", 0),
    ] {
        assert_eq!(peer.deliver(text).await, CommandStatus::EsmeRok);
    }
    let mut by_sar = deliver(other, b"two", 0);
    for tlv in [Tlv::SarMsgRefNum(7), Tlv::SarTotalSegments(2), Tlv::SarSegmentSeqnum(2)] {
        by_sar.push_tlv(tlv);
    }
    // That is another reference than 7 in a header.
    assert_eq!(peer.deliver(by_sar).await, CommandStatus::EsmeRok);
    assert_eq!(peer.deliver(part(other, [7, 2, 2], "two", 0)).await, CommandStatus::EsmeRok);
    let texts = listed(&bench).await;
    let words: Vec<_> = texts.iter().map(|it| it["text"].as_str().unwrap()).collect();
    assert_eq!(words, ["alone", "Первая, вторая, третья", "one two"]);
    assert_eq!((&texts[1]["segments"], &texts[1]["detail"]), (&json!(3), &Value::Null));
    let now = bench.app.now();
    smpp::settle_incomplete(&bench.app, now + std::time::Duration::from_secs(1)).await.unwrap();
    let texts = listed(&bench).await;
    assert_eq!(texts[3]["text"], "[…]two");
    assert_eq!(texts[3]["detail"], "incomplete");
}

#[tokio::test]
async fn what_is_no_text_or_for_nobody_is_refused_and_a_receipt_stays_a_receipt() {
    let centre = Centre::listen().await;
    let bench = Bench::with_centre(&centre.section()).await;
    let mut peer = centre.accept().await;
    let mut stray = deliver(PHONE, b"hello", 0);
    stray.destination_addr = COctetString::from_string("74990000000".to_owned()).unwrap();
    assert_eq!(peer.deliver(stray).await, CommandStatus::EsmeRinvdstadr);
    let binary = deliver(PHONE, &[1, 2, 3], 4);
    assert_eq!(peer.deliver(binary).await, CommandStatus::EsmeRxRAppn);
    let mut vast = part(PHONE, [1, 2, 1], "", 0);
    let octets = [&[5, 0, 3, 1, 2, 1][..], &[b'a'; 1_001]].concat();
    vast.push_tlv(Tlv::MessagePayload(MessagePayload::new(AnyOctetString::from_vec(octets))));
    assert_eq!(peer.deliver(vast).await, CommandStatus::EsmeRinvmsglen);
    assert_eq!(peer.receipt(PHONE, "77", "DELIVRD").await, CommandStatus::EsmeRok);
    assert_eq!(listed(&bench).await, Vec::<Value>::new());
}

#[tokio::test]
async fn webhooks_are_told_of_a_text_once_it_is_whole() {
    let centre = Centre::listen().await;
    let bench = Bench::with_centre(&centre.section()).await;
    let mut peer = centre.accept().await;
    let announce = |_now, told: Told<'_>| match told {
        Told::Message(None, message) => vec![Outgoing {
            webhook: "crm".to_owned(),
            kind: "message.received",
            body: message.text.clone().unwrap_or_default().into_bytes(),
        }],
        _ => Vec::new(),
    };
    bench.app.store().announce_with(Arc::new(announce));
    let told = async || {
        let deliveries =
            bench.app.store().webhook_deliveries("crm", Timestamp(0), 10).await.unwrap();
        deliveries.into_iter().map(|it| String::from_utf8(it.body).unwrap()).collect::<Vec<_>>()
    };
    for place in [1, 1, 2, 2] {
        let words = ["one ", "two"][usize::from(place) - 1];
        peer.deliver(part(PHONE, [7, 2, place], words, 0)).await;
        let expected: &[&str] = if place == 2 { &["one two"] } else { &[] };
        assert_eq!(told().await, expected);
    }
}
