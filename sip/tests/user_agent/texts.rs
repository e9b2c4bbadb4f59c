//! Texts by MESSAGE.

use dozvon_sip as sip;
use sip::{Event, MessageSummary, SendMessageError};

use crate::bench::{Bench, CARRIER, PROXY_CHALLENGE, secs, trunk_settings};

fn texting() -> Bench {
    let mut settings = trunk_settings();
    settings.sms = true;
    Bench::with(settings)
}

fn ends(bench: &Bench) -> Vec<&MessageSummary> {
    bench
        .events
        .iter()
        .filter_map(|event| match event {
            Event::MessageEnded(summary) => Some(summary),
            _ => None,
        })
        .collect()
}

#[test]
fn a_cyrillic_text_is_challenged_sent_again_and_accepted() {
    let mut bench = texting();
    let text = bench.send_text(1, "Код 1234").unwrap();
    let first = bench.take("MESSAGE");
    assert_eq!(first.header("Content-Type"), "text/plain;charset=UTF-8");
    assert_eq!(first.body(), "Код 1234");
    assert_eq!(first.request_uri(), "sip:+79161234567@sip.example.ru");
    assert!(first.header("From").starts_with("<sip:74951230000@sip.example.ru>;tag="));
    assert_eq!(first.find("Contact"), None);
    bench.receive(&first.answer(407, "p", PROXY_CHALLENGE));
    let second = bench.take("MESSAGE");
    assert_eq!((second.cseq(), second.header("Call-ID")), (2, first.header("Call-ID")));
    assert!(
        second.header("Proxy-Authorization").contains("uri=\"sip:+79161234567@sip.example.ru\"")
    );
    assert_ne!(first.branch(), second.branch());
    bench.receive(&second.answer(202, "m", ""));
    bench.receive(&second.answer(202, "m", ""));
    let summary = MessageSummary { message: text, status: Some(202), retry_after: None };
    assert_eq!(ends(&bench), [&summary]);
    bench.assert_clean();
    bench.assert_silent();
}

#[test]
fn a_text_that_is_too_large_is_sent_once_without_what_it_does_not_need() {
    for status in [413, 513] {
        let mut bench = texting();
        bench.send_text(1, "text").unwrap();
        let first = bench.take("MESSAGE");
        assert_eq!(first.header("User-Agent"), "Dozvon");
        bench.receive(&first.answer(407, "p", PROXY_CHALLENGE));
        let proven = bench.take("MESSAGE");
        bench.receive(&proven.answer(status, "m", ""));
        let smaller = bench.take("MESSAGE");
        assert_eq!((smaller.find("User-Agent"), smaller.cseq()), (None, 3));
        assert_eq!(smaller.header("Call-ID"), first.header("Call-ID"));
        assert!(smaller.header("Proxy-Authorization").contains("nc=00000002"));
        bench.receive(&smaller.answer(status, "m", ""));
        assert_eq!(ends(&bench)[0].status, Some(status));
        bench.assert_clean();
        bench.assert_silent();
    }
    let mut bench = texting();
    bench.send_text(1, "text").unwrap();
    let first = bench.take("MESSAGE");
    bench.receive(&first.answer(420, "m", "Unsupported: 100rel\r\n"));
    assert_eq!(ends(&bench)[0].status, Some(420));
    bench.assert_silent();
}

#[test]
fn a_trunk_without_texts_offers_none() {
    let mut bench = Bench::new();
    assert_eq!(bench.send_text(1, "x"), Err(SendMessageError::NotOffered));
}

#[test]
fn silence_and_a_refused_port_end_a_text_without_a_status() {
    let mut bench = texting();
    bench.send_text(1, "x").unwrap();
    bench.wait(secs(32));
    assert_eq!(bench.take_all().len(), 11);
    bench.send_text(2, "x").unwrap();
    bench.refuse(CARRIER);
    assert_eq!(ends(&bench).iter().map(|end| end.status).collect::<Vec<_>>(), [None, None]);
    bench.take_all();
    bench.assert_clean();
}

#[test]
fn an_endless_row_of_challenges_ends_a_text() {
    let mut bench = texting();
    bench.send_text(1, "x").unwrap();
    for round in 0..3 {
        let message = bench.take("MESSAGE");
        let challenge = PROXY_CHALLENGE.replace("n1", &format!("n{round}"));
        bench.receive(&message.answer(407, "p", &challenge));
    }
    bench.assert_silent();
    assert_eq!(ends(&bench)[0].status, Some(407));
    bench.assert_clean();
}

#[test]
fn texts_that_wait_are_bounded() {
    let mut bench = texting();
    for number in 0..=255 {
        bench.send_text(number, "x").unwrap();
    }
    assert_eq!(bench.send_text(1, "x"), Err(SendMessageError::Busy));
}
