//! Final failures, challenges, redirects.

use std::time::Duration;

use dozvon_sip as sip;
use sip::CallOutcome;

use crate::bench::{Bench, PROXY_CHALLENGE, secs};

#[test]
fn a_failure_is_acked_and_ends_the_call_with_its_outcome() {
    for (status, lines, outcome, cause) in [
        (486, "", CallOutcome::Busy, Some(17)),
        (404, "", CallOutcome::Unallocated, Some(1)),
        (404, "Reason: Q.850;cause=3\r\n", CallOutcome::NoRoute, Some(3)),
        (480, "Reason: SIP;cause=480, Q.850;cause=34\r\n", CallOutcome::Congestion, Some(34)),
        (503, "Retry-After: 5\r\n", CallOutcome::Congestion, Some(41)),
        (603, "", CallOutcome::Blocked, Some(21)),
        (499, "", CallOutcome::TrunkProtocol, None),
    ] {
        let mut bench = Bench::new();
        let (_, invite) = bench.invite();
        bench.receive(&invite.answer(status, "a", lines));
        bench.take("ACK");
        let end = bench.end();
        assert_eq!((end.outcome, end.status, end.q850), (outcome, Some(status), cause));
        assert_eq!(end.q850_from_reason, lines.contains("Q.850"));
        bench.assert_clean();
        bench.assert_silent();
    }
}

#[test]
fn a_call_that_rang_stays_so_whatever_ends_it() {
    for status in [408, 480, 486, 487, 603] {
        let mut bench = Bench::new();
        let (_, invite) = bench.invite();
        bench.receive(&invite.answer(180, "a", ""));
        bench.receive(&invite.answer(status, "a", ""));
        bench.take("ACK");
        assert_eq!(bench.end().outcome, CallOutcome::Rang);
    }
}

#[test]
fn retry_after_is_capped() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    bench.receive(&invite.answer(503, "a", "Retry-After: 99999999999\r\n"));
    assert_eq!(bench.end().retry_after, Some(Duration::from_secs(300)));
}

#[test]
fn a_redirect_is_acked_and_never_followed() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    bench.receive(&invite.answer(302, "a", "Contact: <sip:+79991234567@203.0.113.77>\r\n"));
    bench.take("ACK");
    assert_eq!(bench.end().outcome, CallOutcome::TrunkProtocol);
    bench.assert_clean();
    bench.assert_silent();
}

#[test]
fn an_endless_row_of_challenges_is_answered_twice_and_no_more() {
    let mut bench = Bench::new();
    let (_, mut invite) = bench.invite();
    let mut invites = 1;
    loop {
        let challenge = PROXY_CHALLENGE.replace("n1", &format!("n{invites}"));
        bench.receive(&invite.answer(407, "p", &challenge));
        let mut sent = bench.take_all();
        assert_eq!(sent[0].kind(), "ACK");
        if sent.len() == 1 {
            break;
        }
        invite = sent.remove(1);
        invites += 1;
    }
    assert_eq!(invites, 3);
    assert_eq!(bench.end().outcome, CallOutcome::AuthFailed);
    assert_eq!(bench.ua.counters().challenges_refused, 1);
    bench.assert_clean();
}

#[test]
fn a_repeated_407_is_acked_on_its_own_branch_while_the_next_invite_is_out() {
    let mut bench = Bench::new();
    let (_, first) = bench.invite();
    let challenge = first.answer(407, "p", PROXY_CHALLENGE);
    bench.receive(&challenge);
    bench.sent.remove(0);
    let second = bench.take("INVITE");
    bench.receive(&challenge);
    let ack = bench.take("ACK");
    assert_eq!((ack.branch(), ack.cseq()), (first.branch(), 1));
    bench.receive(&second.answer(486, "a", ""));
    assert_eq!(bench.take("ACK").branch(), second.branch());
    assert_eq!(bench.ends().len(), 1);
    bench.assert_clean();
}

#[test]
fn a_call_to_be_cancelled_is_not_sent_again_with_credentials() {
    let mut bench = Bench::new();
    let (call, invite) = bench.invite();
    bench.hang_up(call);
    bench.receive(&invite.answer(407, "p", PROXY_CHALLENGE));
    bench.take("ACK");
    assert_eq!(bench.end().outcome, CallOutcome::Canceled);
    bench.assert_clean();
}

#[test]
fn the_next_call_proves_itself_without_being_asked() {
    let mut bench = Bench::new();
    let (_, first) = bench.invite();
    bench.receive(&first.answer(407, "p", PROXY_CHALLENGE));
    bench.sent.remove(0);
    let second = bench.take("INVITE");
    bench.receive(&second.answer(180, "a", ""));
    bench.receive(&second.answer(486, "a", ""));
    bench.take("ACK");
    bench.place(crate::bench::call_request(2));
    let invite = bench.take("INVITE");
    assert!(invite.header("Proxy-Authorization").contains("nc=00000002"));
    bench.receive(&invite.answer(486, "a", ""));
    assert_eq!(bench.ends().len(), 2);
    bench.take("ACK");
    bench.wait(secs(33));
    bench.assert_clean();
}

#[test]
fn a_new_attempt_has_a_new_call_id_and_from_tag() {
    let mut bench = Bench::new();
    let (_, first) = bench.invite();
    bench.place(crate::bench::call_request(2));
    let second = bench.take("INVITE");
    assert_ne!(first.header("Call-ID"), second.header("Call-ID"));
    assert_ne!(first.header("From"), second.header("From"));
    assert_ne!(first.branch(), second.branch());
}
