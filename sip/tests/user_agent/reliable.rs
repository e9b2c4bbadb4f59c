//! Reliable provisional responses (RFC 3262).

use dozvon_sip as sip;
use sip::{CallOutcome, Event, Rel100};

use crate::bench::{Bench, CARRIER, PROXY_CHALLENGE, Sent, address, ms, secs, trunk_settings};

const CONTACT: &str = "Contact: <sip:phone@192.0.2.10:5080>\r\n";

fn offering() -> Bench {
    let mut settings = trunk_settings();
    settings.rel100 = Rel100::Supported;
    Bench::with(settings)
}

fn reliable(invite: &Sent, status: u16, to_tag: &str, rseq: u32) -> String {
    let lines = format!("Require: 100rel\r\nRSeq: {rseq}\r\n{CONTACT}");
    invite.answer(status, to_tag, &lines)
}

fn rings(bench: &Bench) -> usize {
    bench.count(|event| matches!(event, Event::Ringing { .. }))
}

#[test]
fn each_reliable_response_of_each_phone_is_acknowledged_in_its_own_dialog() {
    let mut bench = offering();
    let (_, invite) = bench.invite();
    assert_eq!(invite.header("Supported"), "100rel");
    bench.receive(&reliable(&invite, 183, "a", 7));
    let first = bench.take("PRACK");
    assert_eq!((first.header("RAck"), first.header("CSeq")), ("7 1 INVITE", "2 PRACK"));
    assert_eq!(first.request_uri(), "sip:phone@192.0.2.10:5080");
    assert!(first.header("To").ends_with(";tag=a"));
    assert_eq!(first.header("From"), invite.header("From"));
    bench.receive(&first.answer(200, "", ""));
    bench.receive(&reliable(&invite, 180, "a", 8));
    let second = bench.take("PRACK");
    assert_eq!((second.header("RAck"), second.cseq()), ("8 1 INVITE", 3));
    bench.receive(&second.answer(200, "", ""));
    bench.receive(&reliable(&invite, 180, "b", 1));
    let other = bench.take("PRACK");
    assert_eq!((other.header("RAck"), other.cseq()), ("1 1 INVITE", 2));
    assert!(other.header("To").ends_with(";tag=b"));
    assert_eq!(rings(&bench), 1);
    // A BYE counts on from the PRACKs of its dialog.
    bench.receive(&invite.answer(200, "a", CONTACT));
    let sent = bench.take_all();
    assert_eq!((sent[0].cseq(), sent[1].kind(), sent[1].cseq()), (1, "BYE", 4));
    bench.receive(&sent[1].answer(200, "", ""));
    bench.assert_clean();
}

#[test]
fn an_invite_that_is_sent_again_has_its_responses_counted_anew() {
    let mut bench = offering();
    let (_, first) = bench.invite();
    bench.receive(&reliable(&first, 183, "a", 1));
    let prack = bench.take("PRACK");
    bench.receive(&prack.answer(200, "", ""));
    bench.receive(&first.answer(407, "a", PROXY_CHALLENGE));
    let invite = bench.take_all().remove(1);
    bench.receive(&reliable(&invite, 180, "a", 1));
    assert_eq!(bench.take("PRACK").header("RAck"), "1 2 INVITE");
    assert_eq!(rings(&bench), 1);
}

#[test]
fn a_repeated_response_is_neither_told_nor_acknowledged_again_but_its_prack_is_repeated() {
    let mut bench = offering();
    let (_, invite) = bench.invite();
    bench.receive(&reliable(&invite, 180, "a", 7));
    let prack = bench.take("PRACK");
    bench.receive(&reliable(&invite, 180, "a", 7));
    bench.assert_silent();
    bench.wait(ms(500));
    assert_eq!(bench.take("PRACK").text, prack.text);
    bench.receive(&prack.answer(200, "", ""));
    bench.wait(secs(3));
    bench.assert_silent();
    assert_eq!(rings(&bench), 1);
    bench.wait(ms(500));
    let cancel = bench.take("CANCEL");
    assert_eq!(cancel.cseq(), 1);
    bench.receive(&cancel.answer(200, "c", ""));
    bench.receive(&invite.answer(487, "a", ""));
    bench.take("ACK");
    let responses = bench.end().timeline.len();
    assert_eq!(responses, 4, "{:?}", bench.end().timeline);
    bench.assert_clean();
}

#[test]
fn a_response_behind_a_missing_one_waits_for_it() {
    let mut bench = offering();
    let (_, invite) = bench.invite();
    bench.receive(&reliable(&invite, 183, "a", 1));
    bench.take("PRACK");
    bench.receive(&reliable(&invite, 180, "a", 3));
    bench.assert_silent();
    assert_eq!(rings(&bench), 0);
    bench.receive(&reliable(&invite, 183, "a", 2));
    bench.take("PRACK");
    bench.receive(&reliable(&invite, 180, "a", 3));
    assert_eq!(bench.take("PRACK").header("RAck"), "3 1 INVITE");
    assert_eq!(rings(&bench), 1);
}

#[test]
fn a_prack_takes_its_route_from_record_route_and_stays_within_the_trunk() {
    let mut bench = offering();
    let (_, invite) = bench.invite();
    let route = "Record-Route: <sip:inner.example.ru;lr>, <sip:192.0.2.10:5070;lr>\r\n";
    let response = reliable(&invite, 180, "a", 1).replace("RSeq", &format!("{route}RSeq"));
    bench.receive(&response);
    let prack = bench.take("PRACK");
    assert_eq!(prack.all("Route"), ["<sip:192.0.2.10:5070;lr>", "<sip:inner.example.ru;lr>"]);
    assert_eq!(prack.to, address("192.0.2.10:5070"));
    let elsewhere = reliable(&invite, 180, "b", 1).replace("192.0.2.10", "203.0.113.77");
    bench.receive(&elsewhere);
    assert_eq!(bench.take("PRACK").to, address(CARRIER));
}

#[test]
fn only_a_pinned_realm_may_challenge_a_prack() {
    let mut bench = offering();
    let (_, first) = bench.invite();
    bench.receive(&first.answer(407, "p", PROXY_CHALLENGE));
    bench.sent.remove(0);
    let invite = bench.take("INVITE");
    bench.receive(&reliable(&invite, 180, "a", 1));
    let prack = bench.take("PRACK");
    let rogue = PROXY_CHALLENGE.replace("sip.example.ru", "rogue.example");
    bench.receive(&prack.answer(407, "", &rogue));
    bench.assert_silent();
    assert_eq!(bench.ua.counters().challenges_refused, 1);
    bench.receive(&reliable(&invite, 180, "b", 1));
    let prack = bench.take("PRACK");
    bench.receive(&prack.answer(407, "", &PROXY_CHALLENGE.replace("n1", "n2")));
    let again = bench.take("PRACK");
    assert!(again.header("Proxy-Authorization").contains("nonce=\"n2\""));
    assert_eq!((again.cseq(), again.header("RAck")), (prack.cseq() + 1, "1 2 INVITE"));
    // What was computed for one PRACK is not shown again with another.
    bench.receive(&again.answer(200, "", ""));
    bench.receive(&reliable(&invite, 180, "b", 2));
    assert_eq!(bench.take("PRACK").find("Proxy-Authorization"), None);
}

#[test]
fn nothing_is_acknowledged_that_was_not_offered_or_after_the_end_was_told() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    bench.receive(&reliable(&invite, 180, "a", 1));
    bench.assert_silent();
    assert_eq!(rings(&bench), 1);

    let mut bench = offering();
    let (_, invite) = bench.invite();
    bench.wait(secs(7));
    bench.take_all();
    assert_eq!(bench.end().outcome, CallOutcome::TrunkTimeout);
    bench.receive(&reliable(&invite, 180, "a", 1));
    bench.take("CANCEL");
}

#[test]
fn a_final_response_ends_the_pracks() {
    let mut bench = offering();
    let (_, invite) = bench.invite();
    bench.receive(&reliable(&invite, 180, "a", 1));
    bench.take("PRACK");
    bench.receive(&invite.answer(486, "a", ""));
    bench.take("ACK");
    bench.wait(secs(5));
    bench.assert_silent();
    bench.assert_clean();
}

#[test]
fn an_endless_row_of_reliable_responses_is_cut_off() {
    let mut bench = offering();
    let (_, invite) = bench.invite();
    let mut pracks = 0;
    for fork in 0..20 {
        for rseq in 1..50 {
            bench.receive(&reliable(&invite, 183, &format!("f{fork}"), rseq));
            pracks += bench.take_all().len();
        }
    }
    assert_eq!(pracks, 8 * 32);
    bench.wait(secs(12));
    bench.take_all();
    bench.receive(&invite.answer(487, "a", ""));
    bench.take("ACK");
    bench.wait(secs(40));
    bench.take_all();
    bench.assert_clean();
}
