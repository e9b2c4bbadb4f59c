//! Calls of an earlier process: cancelled from what was written down, released when answered.

use std::net::SocketAddr;

use dozvon_sip as sip;
use sip::{CallHandle, Event, InterruptedCall, SavedDialog, VoiceCallRequest};

use crate::bench::{Bench, CARRIER, PROXY_CHALLENGE, Sent, address, call_request, ms, secs};

fn interrupted(target: SocketAddr, last_cseq: u32) -> InterruptedCall {
    let request = call_request(1);
    InterruptedCall {
        identity: request.identity,
        called: request.called,
        caller_id: request.caller_id,
        target,
        last_cseq,
        dialog: None,
    }
}

/// A process that starts after a crash.
fn restarted(last_cseq: u32) -> (Bench, CallHandle) {
    let mut bench = Bench::new();
    let call = interrupted(address(CARRIER), last_cseq);
    let call = bench.ua.cancel_interrupted(bench.now, bench.trunk, call).unwrap();
    bench.drain();
    (bench, call)
}

fn told(bench: &Bench) -> Vec<Option<u16>> {
    bench
        .events
        .iter()
        .filter_map(|event| match event {
            Event::InterruptedCallCancelled { status, .. } => Some(*status),
            _ => None,
        })
        .collect()
}

#[test]
fn the_cancel_after_a_crash_is_the_one_that_the_dead_process_would_have_sent() {
    let mut before = Bench::new();
    let (_, first) = before.invite();
    before.receive(&first.answer(407, "p", PROXY_CHALLENGE));
    before.sent.remove(0);
    let invite = before.take("INVITE");
    before.receive(&invite.answer(180, "a", ""));
    before.wait(secs(4));
    let expected = before.take("CANCEL");

    let (mut after, call) = restarted(2);
    let cancel = after.take("CANCEL");
    assert_eq!((&cancel.text, cancel.to), (&expected.text, expected.to));
    after.receive(&cancel.answer(200, "c", ""));
    let done = Event::InterruptedCallCancelled { call, status: Some(200) };
    assert_eq!(after.events.last(), Some(&done));
    after.receive(&invite.answer(487, "a", ""));
    let ack = after.take("ACK");
    assert_eq!((ack.branch(), ack.cseq()), (invite.branch(), 2));
    assert!(after.ends().is_empty());
    after.assert_clean();
    after.assert_silent();
}

#[test]
fn a_later_cseq_is_tried_when_the_far_side_knows_no_such_invite() {
    let (mut bench, _) = restarted(1);
    let mut cseqs = Vec::new();
    let mut branches = Vec::new();
    while let Some(cancel) = bench.sent.pop() {
        cseqs.push(cancel.cseq());
        branches.push(cancel.branch().to_owned());
        bench.receive(&cancel.answer(481, "c", ""));
    }
    assert_eq!(cseqs, [1, 2, 3, 4, 5, 6, 7, 8]);
    branches.dedup();
    assert_eq!(branches.len(), 8);
    assert_eq!(told(&bench), [Some(481)]);
    bench.assert_clean();
}

#[test]
fn the_right_cseq_is_found_and_its_487_acked() {
    let (mut bench, _) = restarted(1);
    let first = bench.take("CANCEL");
    bench.receive(&first.answer(481, "c", ""));
    let second = bench.take("CANCEL");
    bench.receive(&second.answer(200, "c", ""));
    let terminated = second.answer(487, "a", "").replace("CSeq: 2 CANCEL", "CSeq: 2 INVITE");
    bench.receive(&terminated);
    assert_eq!(bench.take("ACK").cseq(), 2);
    assert_eq!(told(&bench), [Some(200)]);
    bench.assert_clean();
}

#[test]
fn the_487_may_come_before_the_answer_to_the_cancel() {
    let (mut bench, _) = restarted(1);
    let cancel = bench.take("CANCEL");
    let terminated = cancel.answer(487, "a", "").replace("CANCEL\r\n", "INVITE\r\n");
    bench.receive(&terminated);
    bench.take("ACK");
    // The CANCEL itself is repeated until it is answered.
    bench.wait(ms(500));
    assert_eq!(bench.take("CANCEL").text, cancel.text);
    assert_eq!(told(&bench), []);
    bench.receive(&cancel.answer(200, "c", ""));
    assert_eq!(told(&bench), [Some(200)]);
    bench.assert_clean();
}

#[test]
fn an_answered_call_of_a_dead_process_is_acked_and_byed() {
    let (mut bench, _) = restarted(1);
    let cancel = bench.take("CANCEL");
    let answered = cancel
        .answer(200, "a", "Contact: <sip:phone@192.0.2.10>\r\n")
        .replace("CSeq: 1 CANCEL", "CSeq: 1 INVITE");
    bench.receive(&answered);
    assert_eq!(bench.take_all().iter().map(Sent::kind).collect::<Vec<_>>(), ["ACK", "BYE"]);
    bench.receive(&cancel.answer(481, "c", ""));
    assert_eq!(told(&bench), [Some(481)]);
    bench.wait(secs(20));
    bench.take_all();
    bench.receive(&answered);
    bench.take("ACK");
    bench.wait(secs(15));
    bench.take_all();
    bench.assert_clean();
}

#[test]
fn nobody_answers_the_cancel() {
    let (mut bench, _) = restarted(1);
    bench.wait(ms(31_999));
    assert_eq!(told(&bench), []);
    bench.wait(ms(1));
    assert_eq!(told(&bench), [None]);
    bench.assert_clean();
}

#[test]
fn the_port_refuses_the_cancel() {
    let (mut bench, _) = restarted(1);
    bench.refuse(CARRIER);
    assert_eq!(told(&bench), [None]);
    bench.take_all();
    bench.assert_clean();
    bench.assert_silent();
}

#[test]
fn a_target_that_has_left_the_trunk_since_is_heard() {
    let mut bench = Bench::new();
    let call = interrupted(address("192.0.2.11:5060"), 1);
    bench.ua.cancel_interrupted(bench.now, bench.trunk, call).unwrap();
    bench.drain();
    let cancel = bench.take("CANCEL");
    assert_eq!(cancel.to, address("192.0.2.11:5060"));
    bench.receive_from("192.0.2.11:5060", cancel.answer(200, "c", "").as_bytes());
    assert_eq!(told(&bench), [Some(200)]);
}

const CONTACT: &str = "Contact: <sip:phone@192.0.2.10:5080>\r\nRecord-Route: <sip:192.0.2.10;lr>\r\n\
                       Content-Type: application/sdp\r\n";
const MEDIA: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
                     m=audio 40000 RTP/AVP 0\r\n";

/// A call that stayed up until its process died: the BYE that it would have sent, and what it
/// wrote down.
fn left_up(challenged: bool) -> (Sent, SavedDialog) {
    let mut before = Bench::new();
    let request = VoiceCallRequest { call: call_request(1), talk_limit: secs(60) };
    let call = before.ua.place_voice_call(before.now, before.trunk, request).unwrap();
    before.drain();
    let mut invite = before.take("INVITE");
    if challenged {
        before.receive(&invite.answer(407, "p", PROXY_CHALLENGE));
        before.sent.remove(0);
        invite = before.take("INVITE");
    }
    before.receive(&invite.answer_with_body(200, "a", CONTACT, MEDIA));
    before.take("ACK");
    let dialog = before.events.iter().find_map(|event| match event {
        Event::Answered { dialog, .. } => dialog.clone(),
        _ => None,
    });
    before.hang_up(call);
    (before.take("BYE"), dialog.unwrap())
}

/// A process that starts after the crash, and the BYE that it sends.
fn restarted_in(dialog: SavedDialog) -> (Bench, Sent) {
    let mut bench = Bench::new();
    let call = InterruptedCall { dialog: Some(dialog), ..interrupted(address(CARRIER), 1) };
    bench.ua.cancel_interrupted(bench.now, bench.trunk, call).unwrap();
    bench.drain();
    let bye = bench.take("BYE");
    bench.assert_silent();
    (bench, bye)
}

#[test]
fn a_call_that_was_left_up_gets_the_bye_that_the_dead_process_would_have_sent() {
    for challenged in [false, true] {
        let (expected, dialog) = left_up(challenged);
        assert!(!format!("{dialog:?}").contains("7916"));
        let (mut bench, bye) = restarted_in(SavedDialog::new(dialog.reveal()));
        // Only the branch, which is drawn for each request, may differ.
        let other = bye.text.replace(bye.branch(), expected.branch());
        assert_eq!((other, bye.to), (expected.text.clone(), expected.to));
        assert_eq!(bye.cseq(), if challenged { 3 } else { 2 });
        assert_eq!(told(&bench), []);
        bench.receive(&bye.answer(200, "", ""));
        assert_eq!(told(&bench), [Some(200)]);
        assert!(bench.ends().is_empty());
        bench.assert_clean();
        bench.assert_silent();
    }
}

#[test]
fn a_far_side_that_has_forgotten_the_call_has_ended_it() {
    let (mut bench, bye) = restarted_in(left_up(false).1);
    bench.receive(&bye.answer(481, "", ""));
    assert_eq!(told(&bench), [Some(481)]);
    bench.assert_clean();
}

#[test]
fn nobody_answers_the_bye_of_a_call_that_was_left_up() {
    let (mut bench, _) = restarted_in(left_up(false).1);
    bench.wait(ms(31_999));
    assert_eq!(told(&bench), []);
    bench.wait(ms(1));
    assert_eq!(told(&bench), [None]);
    bench.take_all();
    bench.assert_clean();
}

#[test]
fn the_port_refuses_the_bye_of_a_call_that_was_left_up() {
    let (mut bench, bye) = restarted_in(left_up(false).1);
    bench.refuse(&bye.to.to_string());
    assert_eq!(told(&bench), [None]);
    bench.assert_clean();
}

#[test]
fn a_dialog_that_cannot_be_read_is_cancelled_like_any_other() {
    let mut bench = Bench::new();
    let dialog = Some(SavedDialog::new(b"something else"));
    let call = InterruptedCall { dialog, ..interrupted(address(CARRIER), 1) };
    bench.ua.cancel_interrupted(bench.now, bench.trunk, call).unwrap();
    bench.drain();
    bench.take("CANCEL");
}
