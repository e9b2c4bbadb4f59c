//! CANCEL: when it leaves, what it carries, and everything that may come after it.

use dozvon_sip as sip;
use sip::{CallOutcome, Event, TimelineEvent};

use crate::bench::{Bench, CARRIER, PROXY_CHALLENGE, Sent, address, call_request, ms, secs};

/// A call that rings: its handle and its INVITE.
fn ringing(bench: &mut Bench) -> (sip::CallHandle, Sent) {
    let (call, invite) = bench.invite();
    bench.receive(&invite.answer(180, "a", ""));
    bench.assert_silent();
    (call, invite)
}

/// A call that rang and was cancelled: its INVITE and its CANCEL.
fn cancelled(bench: &mut Bench) -> (Sent, Sent) {
    let (_, invite) = ringing(bench);
    bench.wait(secs(4));
    let cancel = bench.take("CANCEL");
    (invite, cancel)
}

#[test]
fn cancel_copies_the_authenticated_invite() {
    let mut bench = Bench::new();
    let (_, first) = bench.invite();
    bench.receive(&first.answer(407, "p", PROXY_CHALLENGE));
    bench.sent.remove(0);
    let invite = bench.take("INVITE");
    bench.receive(&invite.answer(180, "a", ""));
    bench.wait(secs(4));
    let cancel = bench.take("CANCEL");
    for name in ["Via", "From", "To", "Call-ID", "Max-Forwards"] {
        assert_eq!(cancel.all(name), invite.all(name), "{name}");
    }
    assert_eq!(cancel.request_uri(), invite.request_uri());
    assert_eq!(cancel.header("CSeq"), "2 CANCEL");
    assert_eq!(cancel.to, invite.to);
    // No answer to a challenge is given away with a CANCEL.
    assert_eq!(cancel.find("Proxy-Authorization"), None);
    assert!(!cancel.header("To").contains("tag="));
}

#[test]
fn ack_and_cancel_repeat_the_invite_cseq() {
    let mut bench = Bench::new();
    let (invite, cancel) = cancelled(&mut bench);
    bench.receive(&invite.answer(487, "a", ""));
    let ack = bench.take("ACK");
    assert_eq!((cancel.cseq(), ack.cseq()), (invite.cseq(), invite.cseq()));
    assert_eq!(ack.header("CSeq"), "1 ACK");
}

#[test]
fn cancel_waits_for_a_provisional() {
    let mut bench = Bench::new();
    let (call, invite) = bench.invite();
    bench.hang_up(call);
    bench.assert_silent();
    bench.wait(secs(3));
    // Nor is the INVITE repeated: a lost one must not arrive after all.
    bench.assert_silent();
    bench.receive(&invite.answer(100, "", ""));
    let cancel = bench.take("CANCEL");
    bench.receive(&cancel.answer(200, "c", ""));
    bench.receive(&invite.answer(487, "a", ""));
    bench.take("ACK");
    assert_eq!((bench.end().outcome, bench.end().rang), (CallOutcome::Canceled, false));
    assert_eq!(bench.count(|event| matches!(event, Event::Cancelled { .. })), 0);
    bench.assert_clean();
}

#[test]
fn hang_up_after_a_provisional_cancels_at_once() {
    let mut bench = Bench::new();
    let (call, invite) = bench.invite();
    bench.receive(&invite.answer(183, "a", ""));
    bench.hang_up(call);
    bench.take("CANCEL");
    bench.hang_up(call);
    bench.assert_silent();
    bench.receive(&invite.answer(487, "a", ""));
    assert_eq!(bench.end().outcome, CallOutcome::Canceled);
}

#[test]
fn hang_up_of_a_ringing_call_leaves_it_as_one_that_rang() {
    let mut bench = Bench::new();
    let (call, invite) = ringing(&mut bench);
    bench.hang_up(call);
    bench.take("CANCEL");
    assert_eq!(bench.count(|event| matches!(event, Event::Cancelled { .. })), 1);
    bench.receive(&invite.answer(487, "a", ""));
    assert_eq!((bench.end().outcome, bench.end().rang), (CallOutcome::Rang, true));
}

#[test]
fn the_487_may_come_before_the_200_to_the_cancel() {
    let mut bench = Bench::new();
    let (invite, cancel) = cancelled(&mut bench);
    bench.receive(&invite.answer(487, "a", ""));
    bench.take("ACK");
    bench.receive(&cancel.answer(200, "c", ""));
    bench.assert_silent();
    assert_eq!(bench.end().outcome, CallOutcome::Rang);
    bench.assert_clean();
    bench.assert_silent();
}

#[test]
fn a_response_to_the_cancel_never_ends_the_invite() {
    for status in [200, 481, 500, 603] {
        let mut bench = Bench::new();
        let (invite, cancel) = cancelled(&mut bench);
        bench.receive(&cancel.answer(status, "c", ""));
        bench.wait(secs(20));
        assert!(bench.ends().is_empty(), "{status}");
        bench.receive(&invite.answer(487, "a", ""));
        bench.take("ACK");
        assert_eq!(bench.end().outcome, CallOutcome::Rang);
        bench.assert_clean();
    }
}

#[test]
fn a_cancel_is_repeated_until_it_is_answered() {
    let mut bench = Bench::new();
    let (_, cancel) = cancelled(&mut bench);
    bench.wait(ms(1600));
    let repeats = bench.take_all();
    assert_eq!(repeats.iter().map(Sent::kind).collect::<Vec<_>>(), ["CANCEL", "CANCEL"]);
    assert!(repeats.iter().all(|repeat| repeat.text == cancel.text));
    bench.receive(&cancel.answer(200, "c", ""));
    bench.wait(secs(20));
    bench.assert_silent();
}

#[test]
fn missing_487_ends_after_64_t1() {
    let mut bench = Bench::new();
    let (_, cancel) = cancelled(&mut bench);
    bench.receive(&cancel.answer(200, "c", ""));
    bench.wait(ms(31_999));
    assert!(bench.ends().is_empty());
    bench.wait(ms(1));
    let end = bench.end();
    assert_eq!((end.outcome, end.status, end.rang), (CallOutcome::Rang, None, true));
    assert_eq!(end.timeline.last().unwrap().event, TimelineEvent::Timeout);
    bench.assert_silent();
    bench.assert_clean();
}

#[test]
fn the_200_to_the_cancel_gives_the_channel_back() {
    let mut settings = crate::bench::trunk_settings();
    settings.max_calls = 1;
    let mut bench = Bench::with(settings);
    let (_, cancel) = cancelled(&mut bench);
    let busy = bench.ua.place_call(bench.now, bench.trunk, call_request(2));
    assert_eq!(busy, Err(sip::PlaceCallError::ChannelsBusy));
    bench.receive(&cancel.answer(200, "c", ""));
    bench.place(call_request(2));
    bench.take("INVITE");
}

#[test]
fn repeated_487_is_acked_again() {
    let mut bench = Bench::new();
    let (invite, _) = cancelled(&mut bench);
    let answer = invite.answer(487, "a", "");
    bench.receive(&answer);
    let ack = bench.take("ACK");
    for _ in 0..3 {
        bench.wait(secs(4));
        bench.sent.retain(|sent| sent.kind() != "CANCEL");
        bench.receive(&answer);
        assert_eq!(bench.take("ACK").text, ack.text);
    }
    assert_eq!(bench.ends().len(), 1);
    bench.assert_clean();
}

#[test]
fn late_200_after_cancel_is_acked_and_byed() {
    let mut bench = Bench::new();
    let (invite, cancel) = cancelled(&mut bench);
    bench.receive(&cancel.answer(200, "c", ""));
    bench.receive(&invite.answer(200, "a", "Contact: <sip:phone@192.0.2.10:5060>\r\n"));
    let sent = bench.take_all();
    assert_eq!(sent.iter().map(Sent::kind).collect::<Vec<_>>(), ["ACK", "BYE"]);
    assert_eq!((bench.end().outcome, bench.end().rang), (CallOutcome::Answered, true));
    bench.receive(&sent[1].answer(200, "", ""));
    bench.assert_clean();
    bench.assert_silent();
}

#[test]
fn ringing_that_crosses_the_cancel_counts_as_ringing() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    bench.receive(&invite.answer(100, "", ""));
    bench.wait(secs(12));
    bench.take("CANCEL");
    bench.receive(&invite.answer(180, "a", ""));
    bench.receive(&invite.answer(180, "a", ""));
    assert_eq!(bench.count(|event| matches!(event, Event::Ringing { .. })), 1);
    bench.receive(&invite.answer(487, "a", ""));
    assert_eq!((bench.end().outcome, bench.end().rang), (CallOutcome::Rang, true));
}

#[test]
fn ack_to_failure_goes_where_the_invite_went() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    let answer = invite.answer(
        486,
        "a",
        "Contact: <sip:phone@192.0.2.99>\r\nRecord-Route: <sip:192.0.2.98;lr>\r\n",
    );
    bench.receive_from("192.0.2.10:5999", answer.as_bytes());
    let ack = bench.take("ACK");
    assert_eq!(ack.to, address(CARRIER));
    assert_eq!(ack.request_uri(), invite.request_uri());
    assert_eq!(ack.all("Via"), invite.all("Via"));
    assert_eq!(ack.all("Route"), [""; 0]);
}

#[test]
fn a_port_that_refuses_the_cancel_ends_the_call() {
    let mut bench = Bench::new();
    cancelled(&mut bench);
    bench.refuse(CARRIER);
    assert_eq!((bench.end().outcome, bench.end().rang), (CallOutcome::Rang, true));
    assert_eq!(bench.end().timeline.last().unwrap().event, TimelineEvent::TransportError);
    bench.assert_clean();
    bench.assert_silent();
}
