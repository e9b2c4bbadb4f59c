//! Refusals that are obeyed once: 413, 420, 421, 422, 513.

use dozvon_sip as sip;
use sip::{CallOutcome, Rel100};

use crate::bench::{Bench, PROXY_CHALLENGE, Sent, secs, trunk_settings};

fn with_rel100(rel100: Rel100) -> Bench {
    let mut settings = trunk_settings();
    settings.rel100 = rel100;
    Bench::with(settings)
}

/// Refuses an INVITE and takes the one that follows.
fn refuse(bench: &mut Bench, invite: &Sent, status: u16, lines: &str) -> Sent {
    bench.receive(&invite.answer(status, "r", lines));
    let ack = bench.sent.remove(0);
    assert_eq!((ack.kind(), ack.branch()), ("ACK", invite.branch()));
    let next = bench.take("INVITE");
    assert_eq!(next.header("Call-ID"), invite.header("Call-ID"));
    assert_eq!(next.header("From"), invite.header("From"));
    assert_eq!(next.cseq(), invite.cseq() + 1);
    assert_ne!(next.branch(), invite.branch());
    next
}

fn refuse_for_good(bench: &mut Bench, invite: &Sent, status: u16, lines: &str) {
    bench.receive(&invite.answer(status, "r", lines));
    bench.take("ACK");
    assert_eq!(bench.end().outcome, CallOutcome::Format);
    bench.assert_clean();
    bench.assert_silent();
}

#[test]
fn a_420_takes_away_what_it_names_and_a_second_one_is_the_end() {
    let mut bench = with_rel100(Rel100::Required);
    let (_, invite) = bench.invite();
    assert_eq!(invite.header("Require"), "100rel");
    let next = refuse(&mut bench, &invite, 420, "Unsupported: 100rel\r\n");
    assert_eq!((next.find("Require"), next.find("Supported")), (None, None));
    assert_eq!(bench.ua.counters().refusals_mended, 1);
    refuse_for_good(&mut bench, &next, 420, "Unsupported: 100rel\r\n");
}

#[test]
fn a_420_that_names_what_was_not_asked_for_is_the_end() {
    let mut bench = with_rel100(Rel100::Required);
    let (_, invite) = bench.invite();
    refuse_for_good(&mut bench, &invite, 420, "Unsupported: timer\r\n");
}

#[test]
fn a_421_is_obeyed_once_where_we_can() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    assert_eq!(invite.find("Supported"), None);
    let next = refuse(&mut bench, &invite, 421, "Require: 100rel\r\n");
    assert_eq!(next.header("Supported"), "100rel");
    refuse_for_good(&mut bench, &next, 421, "Require: 100rel\r\n");

    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    refuse_for_good(&mut bench, &invite, 421, "Require: 100rel, precondition\r\n");
}

#[test]
fn a_422_is_answered_with_a_session_that_is_never_refreshed_and_hostile_ones_are_not_obeyed() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    let next = refuse(&mut bench, &invite, 422, "Min-SE: 90;x=y\r\n");
    assert_eq!(next.header("Session-Expires"), "1800;refresher=uas");
    assert_eq!((next.header("Min-SE"), next.header("Supported")), ("1800", "timer"));
    refuse_for_good(&mut bench, &next, 422, "Min-SE: 3000\r\n");
    for hostile in ["", "Min-SE: 3601\r\n", "Min-SE: 4294967296\r\n", "Min-SE: -1\r\n"] {
        let mut bench = Bench::new();
        let (_, invite) = bench.invite();
        refuse_for_good(&mut bench, &invite, 422, hostile);
    }
}

#[test]
fn a_413_and_a_513_leave_everything_out_that_is_not_needed() {
    for status in [413, 513] {
        let mut bench = Bench::new();
        let (_, invite) = bench.invite();
        let next = refuse(&mut bench, &invite, status, "");
        assert_eq!((next.find("User-Agent"), next.find("Allow")), (None, None));
        assert!(next.text.len() + 100 < invite.text.len(), "{}", next.text);
        assert!(next.body().contains("m=audio 20000 RTP/AVP 8 0 101\r\n"));
        assert_eq!(next.header("P-Asserted-Identity"), invite.header("P-Asserted-Identity"));
        assert_eq!(next.header("Expires"), invite.header("Expires"));
        refuse_for_good(&mut bench, &next, 413, "");
    }
}

#[test]
fn each_refusal_is_mended_beside_the_others_and_credentials_count_on() {
    let mut bench = with_rel100(Rel100::Required);
    let (_, first) = bench.invite();
    let proven = refuse(&mut bench, &first, 407, PROXY_CHALLENGE);
    assert!(proven.header("Proxy-Authorization").contains("nc=00000001"));
    let next = refuse(&mut bench, &proven, 420, "Unsupported: 100rel\r\n");
    assert!(next.header("Proxy-Authorization").contains("nc=00000002"));
    let next = refuse(&mut bench, &next, 422, "Min-SE: 1900\r\n");
    let next = refuse(&mut bench, &next, 513, "");
    assert_eq!(next.header("Min-SE"), "1900");
    bench.receive(&next.answer(180, "a", ""));
    bench.wait(secs(4));
    let cancel = bench.take("CANCEL");
    assert_eq!((cancel.branch(), cancel.cseq()), (next.branch(), 5));
    bench.receive(&cancel.answer(200, "c", ""));
    bench.receive(&next.answer(487, "a", ""));
    bench.take("ACK");
    assert_eq!(bench.end().outcome, CallOutcome::Rang);
    bench.assert_clean();
}

#[test]
fn a_call_to_be_cancelled_or_that_rang_is_not_mended() {
    let mut bench = Bench::new();
    let (call, invite) = bench.invite();
    bench.hang_up(call);
    bench.receive(&invite.answer(513, "r", ""));
    bench.take("ACK");
    assert_eq!(bench.ends().len(), 1);
    bench.assert_clean();

    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    bench.receive(&invite.answer(180, "r", ""));
    bench.receive(&invite.answer(513, "r", ""));
    bench.take("ACK");
    assert_eq!(bench.end().outcome, CallOutcome::Rang);
    bench.assert_clean();
}
