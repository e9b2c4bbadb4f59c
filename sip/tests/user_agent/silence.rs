//! Calls that nobody answers in time, and limits.

use dozvon_sip as sip;
use sip::{CallOutcome, Event, RingSignal};

use crate::bench::{Bench, CARRIER, Sent, call_request, ms, secs, trunk_settings};

const CONTACT: &str = "Contact: <sip:phone@192.0.2.10:5060>\r\n";

#[test]
fn a_silent_invite_is_repeated_and_abandoned_after_6_s() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    bench.wait(ms(5999));
    let repeats = bench.take_all();
    let times: Vec<u128> = repeats.iter().map(|repeat| repeat.at.as_millis()).collect();
    assert_eq!(times, [500, 1500, 3500]);
    assert!(repeats.iter().all(|repeat| repeat.text == invite.text));
    assert!(bench.ends().is_empty());
    bench.wait(ms(1));
    let end = bench.end();
    assert_eq!((end.outcome, end.status, end.rang), (CallOutcome::TrunkTimeout, None, false));
    // Timer A stops: a dead code does not ring again. Timer B stays.
    bench.wait(secs(20));
    bench.assert_silent();
    assert_ne!(bench.ua.residue(), 0);
    bench.wait(secs(6));
    assert_eq!(bench.ua.residue(), 0);
    assert_eq!(bench.ends().len(), 1);
}

#[test]
fn late_ringing_of_an_abandoned_call_is_cancelled_at_once() {
    let mut bench = Bench::new();
    let (call, invite) = bench.invite();
    bench.wait(secs(7));
    bench.take_all();
    bench.receive(&invite.answer(180, "a", ""));
    let cancel = bench.take("CANCEL");
    assert_eq!(bench.events.last(), Some(&Event::LateRinging { call, status: 180 }),);
    bench.receive(&invite.answer(180, "a", ""));
    bench.assert_silent();
    bench.receive(&cancel.answer(200, "c", ""));
    bench.receive(&invite.answer(487, "a", ""));
    bench.take("ACK");
    assert_eq!(bench.ends().len(), 1);
    assert_eq!(bench.count(|event| matches!(event, Event::LateRinging { .. })), 1);
    assert_eq!(bench.count(|event| matches!(event, Event::Ringing { .. })), 0);
    bench.assert_clean();
}

#[test]
fn a_late_100_is_cancelled_before_anything_rings() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    bench.wait(secs(7));
    bench.take_all();
    bench.receive(&invite.answer(100, "", ""));
    bench.take("CANCEL");
    assert_eq!(bench.count(|event| matches!(event, Event::LateRinging { .. })), 0);
    bench.assert_clean();
}

#[test]
fn a_late_200_of_an_abandoned_call_is_acked_and_byed() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    bench.wait(secs(7));
    bench.take_all();
    bench.receive(&invite.answer(200, "a", CONTACT));
    assert_eq!(bench.take_all().iter().map(Sent::kind).collect::<Vec<_>>(), ["ACK", "BYE"]);
    assert_eq!(bench.end().outcome, CallOutcome::TrunkTimeout);
    bench.assert_clean();
}

#[test]
fn an_abandoned_call_is_not_repeated_with_credentials() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    bench.wait(secs(7));
    bench.take_all();
    bench.receive(&invite.answer(407, "p", crate::bench::PROXY_CHALLENGE));
    bench.take("ACK");
    bench.assert_silent();
    bench.assert_clean();
}

#[test]
fn without_an_abandonment_timer_b_ends_the_call() {
    let mut bench = Bench::new();
    let mut request = call_request(1);
    request.no_answer_timeout = secs(60);
    request.no_ring_limit = secs(60);
    request.call_limit = secs(60);
    bench.place(request);
    bench.wait(ms(31_999));
    assert!(bench.ends().is_empty());
    bench.wait(ms(1));
    assert_eq!(bench.end().outcome, CallOutcome::TrunkTimeout);
    assert_eq!(bench.sent.len(), 7);
    bench.sent.clear();
    bench.assert_clean();
}

#[test]
fn the_ring_clock_starts_at_the_ringing_signal() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    bench.receive(&invite.answer(100, "", ""));
    bench.wait(secs(5));
    bench.receive(&invite.answer(183, "a", ""));
    bench.wait(secs(4));
    bench.receive(&invite.answer(180, "a", ""));
    bench.wait(ms(3999));
    bench.assert_silent();
    // A second 180 does not start it again.
    bench.receive(&invite.answer(180, "a", ""));
    bench.wait(ms(1));
    bench.take("CANCEL");
}

#[test]
fn a_call_that_does_not_ring_is_cancelled_after_12_s() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    bench.wait(ms(400));
    bench.receive(&invite.answer(100, "", ""));
    bench.wait(ms(11_599));
    bench.assert_silent();
    bench.wait(ms(1));
    bench.take("CANCEL");
    bench.receive(&invite.answer(487, "a", ""));
    bench.take("ACK");
    assert_eq!((bench.end().outcome, bench.end().rang), (CallOutcome::NoRing, false));
}

#[test]
fn the_limit_of_the_whole_call_counts_from_its_first_invite() {
    let mut bench = Bench::new();
    let mut request = call_request(1);
    request.call_limit = secs(5);
    bench.place(request);
    let first = bench.take("INVITE");
    assert_eq!(first.header("Expires"), "5");
    bench.receive(&first.answer(100, "", ""));
    bench.wait(secs(3));
    bench.receive(&first.answer(407, "p", crate::bench::PROXY_CHALLENGE));
    bench.sent.remove(0);
    let invite = bench.take("INVITE");
    bench.receive(&invite.answer(180, "a", ""));
    bench.wait(ms(1999));
    bench.assert_silent();
    bench.wait(ms(1));
    bench.take("CANCEL");
    bench.receive(&invite.answer(487, "a", ""));
    assert_eq!(bench.end().outcome, CallOutcome::Rang);
}

#[test]
fn a_port_that_refuses_the_invite_ends_the_call_at_once() {
    let mut bench = Bench::new();
    bench.invite();
    bench.refuse("192.0.2.10:5999");
    assert!(bench.ends().is_empty());
    bench.refuse(CARRIER);
    assert_eq!(bench.end().outcome, CallOutcome::TrunkDown);
    bench.assert_clean();
    bench.assert_silent();
}

#[test]
fn a_port_that_refuses_another_packet_leaves_a_ringing_call_alone() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    bench.receive(&invite.answer(180, "a", ""));
    bench.refuse(CARRIER);
    assert!(bench.ends().is_empty());
    bench.wait(secs(4));
    bench.take("CANCEL");
}

#[test]
fn what_counts_as_ringing_is_the_operators_choice() {
    let sdp = "v=0\r\n";
    let lines = "Content-Type: application/sdp\r\n";
    // Signal; 180, 183 with a body, 183 without one, 182, 199.
    let table = [
        (RingSignal::Ringing, [true, false, false, false, false]),
        (RingSignal::RingingOrSessionProgress, [true, true, false, false, false]),
        (RingSignal::Any, [true, true, true, false, false]),
    ];
    for (signal, expected) in table {
        let mut settings = trunk_settings();
        settings.ring_signal = signal;
        let rings: Vec<bool> = [(180, ""), (183, sdp), (183, ""), (182, ""), (199, "")]
            .into_iter()
            .map(|(status, body)| {
                let mut bench = Bench::with(settings.clone());
                let (_, invite) = bench.invite();
                bench.receive(&invite.answer_with_body(status, "a", lines, body));
                bench.count(|event| matches!(event, Event::Ringing { .. })) == 1
            })
            .collect();
        assert_eq!(rings, expected, "{signal:?}");
    }
}

#[test]
fn a_diverted_call_is_cancelled_at_once_and_does_not_count_as_ringing() {
    for (status, lines) in [
        (181, ""),
        (180, "Diversion: <sip:+79160000000@sip.example.ru>;reason=unconditional\r\n"),
        (183, "History-Info: <sip:+79160000000@sip.example.ru>;index=1\r\n"),
    ] {
        let mut bench = Bench::new();
        let (_, invite) = bench.invite();
        bench.receive(&invite.answer(status, "a", lines));
        bench.take("CANCEL");
        bench.receive(&invite.answer(180, "a", ""));
        bench.receive(&invite.answer(487, "a", ""));
        assert_eq!(bench.count(|event| matches!(event, Event::Ringing { .. })), 0);
        assert_eq!(bench.end().outcome, CallOutcome::Diverted, "{status}");
        assert!(!bench.end().rang);
    }
}

#[test]
fn a_ringing_call_that_is_diverted_is_withdrawn() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    bench.receive(&invite.answer(180, "a", ""));
    bench.receive(&invite.answer(181, "a", ""));
    bench.take("CANCEL");
    assert_eq!(bench.count(|event| matches!(event, Event::Cancelled { .. })), 0);
    bench.receive(&invite.answer(487, "a", ""));
    assert_eq!((bench.end().outcome, bench.end().rang), (CallOutcome::Diverted, true));
}
