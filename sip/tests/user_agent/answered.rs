//! 2xx: every dialog is acknowledged and released.

use dozvon_sip as sip;
use sip::{CallOutcome, TimelineEvent};

use crate::bench::{Bench, CARRIER, PROXY_CHALLENGE, Sent, address, secs};

const CONTACT: &str = "Contact: <sip:phone@192.0.2.10:5080;ob>\r\n";

fn kinds(sent: &[Sent]) -> Vec<&str> {
    sent.iter().map(Sent::kind).collect()
}

#[test]
fn an_answered_call_is_acked_and_byed_at_once() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    bench.receive(&invite.answer(180, "a", ""));
    bench.receive(&invite.answer(200, "a", CONTACT));
    let sent = bench.take_all();
    assert_eq!(kinds(&sent), ["ACK", "BYE"]);
    for request in &sent {
        assert_eq!(request.request_uri(), "sip:phone@192.0.2.10:5080;ob");
        assert_eq!(request.to, address("192.0.2.10:5080"));
        assert!(request.header("To").ends_with(";tag=a"));
        assert_eq!(request.header("From"), invite.header("From"));
        assert_eq!(request.header("Call-ID"), invite.header("Call-ID"));
        assert_ne!(request.branch(), invite.branch());
    }
    let end = bench.end();
    assert_eq!((end.outcome, end.status, end.rang), (CallOutcome::Answered, Some(200), true));
    let last: Vec<TimelineEvent> =
        end.timeline.iter().rev().take(3).map(|entry| entry.event).collect();
    assert_eq!(
        last,
        [TimelineEvent::Bye, TimelineEvent::Ack, TimelineEvent::Response { status: 200 }]
    );
    bench.receive(&sent[1].answer(200, "", ""));
    bench.assert_clean();
    bench.assert_silent();
}

#[test]
fn bye_cseq_is_above_every_request_of_its_dialog() {
    let mut bench = Bench::new();
    let (_, first) = bench.invite();
    bench.receive(&first.answer(407, "p", PROXY_CHALLENGE));
    bench.sent.remove(0);
    let invite = bench.take("INVITE");
    bench.receive(&invite.answer(200, "a", CONTACT));
    let sent = bench.take_all();
    assert_eq!((sent[0].cseq(), sent[1].cseq()), (2, 3));
    // A realm that is pinned may challenge the BYE; the next one counts on.
    bench.receive(&sent[1].answer(407, "", &PROXY_CHALLENGE.replace("n1", "n2")));
    let again = bench.take("BYE");
    assert_eq!(again.cseq(), 4);
    assert!(again.header("Proxy-Authorization").contains("nonce=\"n2\""));
}

#[test]
fn the_ack_repeats_the_credentials_of_its_invite() {
    let mut bench = Bench::new();
    let (_, first) = bench.invite();
    bench.receive(&first.answer(407, "p", PROXY_CHALLENGE));
    bench.sent.remove(0);
    let invite = bench.take("INVITE");
    bench.receive(&invite.answer(200, "a", CONTACT));
    let ack = bench.sent[0].clone();
    assert_eq!(ack.header("Proxy-Authorization"), invite.header("Proxy-Authorization"));
    assert_eq!(bench.sent[1].find("Proxy-Authorization"), None);
}

#[test]
fn a_bye_challenged_by_a_foreign_realm_gets_no_credentials() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    bench.receive(&invite.answer(200, "a", CONTACT));
    let bye = bench.take_all().remove(1);
    let rogue = PROXY_CHALLENGE.replace("sip.example.ru", "rogue.example");
    bench.receive(&bye.answer(407, "", &rogue));
    bench.receive(&bye.answer(401, "", &rogue.replace("Proxy-", "WWW-")));
    bench.assert_silent();
    assert_eq!(bench.ua.counters().challenges_refused, 1);
    bench.assert_clean();
}

#[test]
fn ack_to_2xx_takes_its_route_from_record_route() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    let routes = "Record-Route: <sip:192.0.2.10:5090;lr>, <sip:inner.example.ru;lr>\r\n\
                  Record-Route: <sip:192.0.2.10:5070;lr;x=y>\r\n";
    bench.receive(&invite.answer(200, "a", &format!("{routes}{CONTACT}")));
    for request in bench.take_all() {
        assert_eq!(
            request.all("Route"),
            [
                "<sip:192.0.2.10:5070;lr;x=y>",
                "<sip:inner.example.ru;lr>",
                "<sip:192.0.2.10:5090;lr>"
            ]
        );
        assert_eq!(request.request_uri(), "sip:phone@192.0.2.10:5080;ob");
        assert_eq!(request.to, address("192.0.2.10:5070"));
    }
}

#[test]
fn a_strict_router_finds_itself_in_the_request_line() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    let route = "Record-Route: <sip:192.0.2.10:5070>\r\n";
    bench.receive(&invite.answer(200, "a", &format!("{route}{CONTACT}")));
    let ack = bench.take_all().remove(0);
    assert_eq!(ack.request_uri(), "sip:192.0.2.10:5070");
    assert_eq!(ack.all("Route"), ["<sip:phone@192.0.2.10:5080;ob>"]);
}

#[test]
fn a_contact_outside_the_trunk_draws_no_packet_there() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    let elsewhere = "Record-Route: <sip:203.0.113.66;lr>\r\nContact: <sip:x@203.0.113.77>\r\n";
    bench.receive(&invite.answer(200, "a", elsewhere));
    let sent = bench.take_all();
    assert_eq!(kinds(&sent), ["ACK", "BYE"]);
    for request in sent {
        assert_eq!(request.to, address(CARRIER));
        assert_eq!(request.request_uri(), "sip:x@203.0.113.77");
        assert_eq!(request.all("Route"), ["<sip:203.0.113.66;lr>"]);
    }
}

#[test]
fn a_repeated_200_gets_the_same_ack_and_no_second_bye() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    let answer = invite.answer(200, "a", CONTACT);
    bench.receive(&answer);
    let sent = bench.take_all();
    bench.receive(&sent[1].answer(200, "", ""));
    for _ in 0..3 {
        bench.wait(secs(4));
        bench.receive(&answer);
        assert_eq!(bench.take("ACK").text, sent[0].text);
    }
    assert_eq!(bench.ends().len(), 1);
    bench.assert_clean();
}

#[test]
fn second_forked_200_is_acked_and_byed() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    bench.receive(&invite.answer(180, "a", ""));
    bench.receive(&invite.answer(180, "b", ""));
    bench.receive(&invite.answer(200, "b", CONTACT));
    bench.take_all();
    bench.receive(&invite.answer(200, "a", "Contact: <sip:other@192.0.2.10>\r\n"));
    let sent = bench.take_all();
    assert_eq!(kinds(&sent), ["ACK", "BYE"]);
    assert!(sent.iter().all(|request| request.header("To").ends_with(";tag=a")));
    assert!(sent.iter().all(|request| request.request_uri() == "sip:other@192.0.2.10"));
    assert_eq!(bench.ends().len(), 1);
    bench.assert_clean();
}

#[test]
fn a_200_behind_a_failure_is_released_too() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    bench.receive(&invite.answer(486, "a", ""));
    bench.take("ACK");
    bench.receive(&invite.answer(200, "b", CONTACT));
    assert_eq!(kinds(&bench.take_all()), ["ACK", "BYE"]);
    assert_eq!(bench.end().outcome, CallOutcome::Busy);
    bench.assert_clean();
}

#[test]
fn an_endless_row_of_forks_is_cut_off() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    for fork in 0..100 {
        bench.receive(&invite.answer(200, &format!("f{fork}"), CONTACT));
    }
    assert_eq!(bench.take_all().len(), 16);
    assert_eq!(bench.ua.counters().forks_refused, 92);
    bench.assert_clean();
}

#[test]
fn a_200_after_its_transaction_is_gone_is_known_by_its_call_id() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    bench.wait(secs(40));
    bench.take_all();
    assert_eq!(bench.ua.residue(), 0);
    bench.receive(&invite.answer(200, "a", CONTACT));
    let sent = bench.take_all();
    assert_eq!(kinds(&sent), ["ACK", "BYE"]);
    bench.receive(&invite.answer(200, "a", CONTACT));
    assert_eq!(bench.take("ACK").text, sent[0].text);
    assert_eq!((bench.ends().len(), bench.ua.counters().released_strays), (1, 1));
    bench.receive(&sent[1].answer(200, "", ""));
    bench.assert_clean();
    // A Call-ID that we did not make is nobody's.
    let foreign = invite.answer(200, "a", CONTACT).replace("Call-ID: ", "Call-ID: 0");
    bench.receive(&foreign);
    bench.assert_silent();
    assert_eq!(bench.ua.counters().stray_responses, 1);
}

#[test]
fn a_route_over_another_transport_is_not_tried_over_ours() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    let route = "Record-Route: <sip:192.0.2.10:5070;transport=tcp;lr>\r\n";
    bench.receive(&invite.answer(200, "a", &format!("{route}{CONTACT}")));
    for request in bench.take_all() {
        assert_eq!(request.to, address(CARRIER));
    }
}

#[test]
fn a_200_without_contact_or_tag_is_released_all_the_same() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    bench.receive(&invite.answer(200, "", ""));
    let sent = bench.take_all();
    assert_eq!(kinds(&sent), ["ACK", "BYE"]);
    assert_eq!(sent[1].request_uri(), invite.request_uri());
    bench.receive(&sent[1].answer(481, "", ""));
    bench.assert_clean();
}
