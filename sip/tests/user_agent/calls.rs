//! A flash call, from its INVITE to the last repeat.

use dozvon_sip as sip;
use sip::{CallOutcome, Event, TimelineEvent};

use crate::bench::{Bench, CARRIER, PROXY_CHALLENGE, address, ms};

#[test]
fn a_flash_call_rings_is_cancelled_and_ends_as_rang() {
    let mut bench = Bench::new();
    let (call, first) = bench.invite();
    bench.receive(&first.answer(100, "", ""));
    bench.receive(&first.answer(407, "p", PROXY_CHALLENGE));
    let sent = bench.take_all();
    assert_eq!(sent[0].kind(), "ACK");
    assert_eq!(sent[0].branch(), first.branch());
    let invite = sent[1].clone();
    assert_eq!((sent.len(), invite.kind(), invite.cseq()), (2, "INVITE", 2));
    assert_eq!(invite.header("Call-ID"), first.header("Call-ID"));
    assert_eq!(invite.header("From"), first.header("From"));
    assert_ne!(invite.branch(), first.branch());
    bench.wait(ms(300));
    bench.receive(&invite.answer(180, "a", ""));
    bench.wait(ms(3999));
    bench.assert_silent();
    bench.wait(ms(1));
    let cancel = bench.take("CANCEL");
    bench.receive(&cancel.answer(200, "c", ""));
    bench.receive(&invite.answer(487, "a", ""));
    let ack = bench.take("ACK");
    assert_eq!(ack.branch(), invite.branch());
    assert!(ack.header("To").ends_with(";tag=a"));
    let end = bench.end();
    assert_eq!((end.call, end.outcome, end.rang), (call, CallOutcome::Rang, true));
    assert_eq!((end.status, end.last_cseq, end.target), (Some(487), 2, address(CARRIER)));
    let history: Vec<(u64, TimelineEvent)> =
        end.timeline.iter().map(|entry| (entry.at.as_millis() as u64, entry.event)).collect();
    assert_eq!(
        history,
        [
            (0, TimelineEvent::Invite { cseq: 1 }),
            (0, TimelineEvent::Response { status: 100 }),
            (0, TimelineEvent::Response { status: 407 }),
            (0, TimelineEvent::Invite { cseq: 2 }),
            (300, TimelineEvent::Response { status: 180 }),
            (4300, TimelineEvent::Cancel),
            (4300, TimelineEvent::Response { status: 487 }),
        ]
    );
    assert_eq!(bench.count(|event| matches!(event, Event::Ringing { status: 180, .. })), 1);
    assert_eq!(bench.count(|event| matches!(event, Event::Cancelled { .. })), 1);
    assert_eq!(bench.count(|event| matches!(event, Event::InviteSent { .. })), 2);
    bench.assert_clean();
    bench.assert_silent();
}
