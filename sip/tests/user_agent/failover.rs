//! Several targets of one trunk: shares, failures, the way back (RFC 3263 section 4.3, RFC 2782).

use std::collections::BTreeMap;

use dozvon_sip as sip;
use sip::{CallOutcome, Event, Target, TimelineEvent};

use crate::bench::{
    Bench, CARRIER, PROXY_CHALLENGE, Sent, address, call_request, ms, secs, trunk_settings,
};

const SECOND: &str = "192.0.2.20:5060";

fn target(to: &str, priority: u16, weight: u16) -> Target {
    Target { priority, weight, ..Target::udp(address(to)) }
}

fn with_targets(targets: &[Target]) -> Bench {
    let mut settings = trunk_settings();
    settings.targets = targets.to_vec();
    Bench::with(settings)
}

/// A better and a worse target.
fn two() -> Bench {
    with_targets(&[target(SECOND, 20, 1), target(CARRIER, 10, 1)])
}

fn assert_follows(next: &Sent, first: &Sent) {
    assert_eq!((next.to, next.cseq()), (address(SECOND), first.cseq() + 1));
    assert_eq!(next.header("Call-ID"), first.header("Call-ID"));
    assert_eq!(next.header("From"), first.header("From"));
    assert_ne!(next.branch(), first.branch());
}

/// Where the next call goes; it is refused.
fn next_goes_to(bench: &mut Bench, number: u8) -> std::net::SocketAddr {
    bench.place(call_request(number));
    let invite = bench.take("INVITE");
    bench.receive_from(&invite.to.to_string(), invite.answer(486, "x", "").as_bytes());
    bench.take("ACK");
    invite.to
}

#[test]
fn a_503_sends_the_call_to_the_next_target_and_its_ack_goes_where_the_invite_went() {
    let mut bench = two();
    let (_, first) = bench.invite();
    assert_eq!(first.to, address(CARRIER));
    let refusal = first.answer(503, "a", "Retry-After: 1\r\n");
    bench.receive(&refusal);
    let ack = bench.sent.remove(0);
    assert_eq!((ack.kind(), ack.to, ack.branch()), ("ACK", address(CARRIER), first.branch()));
    let next = bench.take("INVITE");
    assert_follows(&next, &first);
    bench.receive(&refusal);
    assert_eq!(bench.take("ACK").to, address(CARRIER));
    bench.receive_from(SECOND, next.answer(180, "b", "").as_bytes());
    bench.wait(secs(4));
    let cancel = bench.take("CANCEL");
    assert_eq!((cancel.to, cancel.branch()), (address(SECOND), next.branch()));
    bench.receive_from(SECOND, cancel.answer(200, "c", "").as_bytes());
    bench.receive_from(SECOND, next.answer(487, "b", "").as_bytes());
    assert_eq!(bench.take("ACK").to, address(SECOND));
    let end = bench.end();
    assert_eq!((end.outcome, end.target), (CallOutcome::Rang, address(SECOND)));
    assert_eq!(bench.ua.counters().failovers, 1);
    bench.assert_clean();
    bench.assert_silent();
}

#[test]
fn a_503_of_the_last_target_ends_the_call() {
    let mut bench = two();
    let (_, first) = bench.invite();
    bench.receive(&first.answer(503, "a", ""));
    let next = bench.take_all().remove(1);
    bench.receive_from(SECOND, next.answer(503, "b", "").as_bytes());
    bench.take("ACK");
    assert_eq!(bench.end().outcome, CallOutcome::Congestion);
    bench.assert_clean();
}

#[test]
fn a_target_that_cannot_be_reached_is_left_at_once_and_passed_over_for_60_s() {
    let mut bench = two();
    let (_, first) = bench.invite();
    bench.refuse(CARRIER);
    let next = bench.take("INVITE");
    assert_follows(&next, &first);
    bench.receive_from(SECOND, next.answer(486, "b", "").as_bytes());
    bench.take("ACK");
    assert_eq!(bench.end().outcome, CallOutcome::Busy);
    let last: Vec<TimelineEvent> = bench.end().timeline.iter().map(|entry| entry.event).collect();
    assert_eq!(last[1], TimelineEvent::TransportError);
    bench.wait(ms(59_999));
    assert_eq!(next_goes_to(&mut bench, 2), address(SECOND));
    bench.wait(ms(1));
    assert_eq!(next_goes_to(&mut bench, 3), address(CARRIER));
    bench.assert_clean();
}

#[test]
fn a_call_that_does_not_ring_yet_ends_when_its_target_goes_away_and_one_that_rings_does_not() {
    let mut bench = Bench::new();
    let (_, trying) = bench.invite();
    bench.receive(&trying.answer(100, "", ""));
    bench.place(call_request(2));
    let ringing = bench.take("INVITE");
    bench.receive(&ringing.answer(180, "a", ""));
    bench.refuse(CARRIER);
    // Another trunk may ring the phone, which this one must not do if it comes back.
    assert_eq!(bench.end().outcome, CallOutcome::TrunkDown);
    let cancel = bench.take("CANCEL");
    assert_eq!(cancel.branch(), trying.branch());
    bench.receive(&trying.answer(180, "b", ""));
    assert_eq!(bench.count(|event| matches!(event, Event::LateRinging { .. })), 1);
    bench.receive(&cancel.answer(200, "b", ""));
    bench.receive(&trying.answer(487, "b", ""));
    bench.take("ACK");
    let cancel = bench.wait_for("CANCEL", secs(4));
    bench.receive(&cancel.answer(200, "a", ""));
    bench.receive(&ringing.answer(487, "a", ""));
    bench.take("ACK");
    assert_eq!(bench.ends()[1].outcome, CallOutcome::Rang);
    bench.assert_clean();
}

#[test]
fn a_silent_target_is_left_and_what_it_does_late_is_undone_in_silence() {
    let mut bench = two();
    let (_, first) = bench.invite();
    bench.wait(ms(5_999));
    bench.take_all();
    bench.wait(ms(1));
    let next = bench.take("INVITE");
    assert_follows(&next, &first);
    // The dead INVITE is not repeated; the new one is.
    bench.wait(ms(500));
    assert_eq!(bench.take("INVITE").text, next.text);
    bench.receive_from(SECOND, next.answer(180, "b", "").as_bytes());
    bench.receive(&first.answer(180, "a", ""));
    let cancel = bench.take("CANCEL");
    assert_eq!((cancel.to, cancel.branch()), (address(CARRIER), first.branch()));
    bench.receive(&cancel.answer(200, "c", ""));
    bench.receive(&first.answer(487, "a", ""));
    assert_eq!(bench.take("ACK").to, address(CARRIER));
    assert_eq!(bench.count(|event| matches!(event, Event::LateRinging { .. })), 0);
    assert!(bench.ends().is_empty());
    bench.receive_from(SECOND, next.answer(486, "b", "").as_bytes());
    bench.take("ACK");
    assert_eq!(bench.end().outcome, CallOutcome::Rang);
    bench.assert_clean();
}

#[test]
fn a_late_200_of_a_target_that_was_left_is_acked_and_byed() {
    let mut bench = two();
    let (_, first) = bench.invite();
    bench.wait(secs(6));
    let next = bench.take_all().pop().unwrap();
    bench.receive(&first.answer(200, "a", "Contact: <sip:phone@192.0.2.10>\r\n"));
    let sent = bench.take_all();
    assert_eq!((sent[0].kind(), sent[1].kind(), sent[1].to), ("ACK", "BYE", address(CARRIER)));
    bench.receive(&sent[1].answer(200, "", ""));
    assert!(bench.ends().is_empty());
    bench.receive_from(SECOND, next.answer(486, "b", "").as_bytes());
    bench.take("ACK");
    bench.assert_clean();
}

#[test]
fn both_targets_silent_end_the_call_once_and_leave_nothing() {
    let mut bench = two();
    bench.invite();
    bench.wait(secs(12));
    bench.take_all();
    assert_eq!(bench.end().outcome, CallOutcome::TrunkTimeout);
    assert_eq!(bench.end().target, address(SECOND));
    bench.assert_clean();
    bench.assert_silent();
}

#[test]
fn no_third_target_is_tried_once_nobody_waits_any_more() {
    let third = target("192.0.2.30:5060", 30, 1);
    let mut bench = with_targets(&[target(CARRIER, 10, 1), target(SECOND, 20, 1), third]);
    bench.invite();
    bench.wait(secs(12));
    let to: Vec<_> = bench.take_all().iter().map(|sent| sent.to).collect();
    assert!(!to.contains(&address("192.0.2.30:5060")));
    assert_eq!(bench.ends().len(), 1);
}

#[test]
fn a_call_that_rang_or_is_not_wanted_goes_nowhere_else() {
    let mut bench = two();
    let (_, first) = bench.invite();
    bench.receive(&first.answer(180, "a", ""));
    bench.receive(&first.answer(503, "a", ""));
    bench.take("ACK");
    assert_eq!(bench.end().outcome, CallOutcome::Rang);

    let mut bench = two();
    let (call, _) = bench.invite();
    bench.hang_up(call);
    bench.refuse(CARRIER);
    bench.assert_silent();
    assert_eq!(bench.ends().len(), 1);
}

#[test]
fn credentials_follow_the_call_with_their_next_count() {
    let mut bench = two();
    let (_, first) = bench.invite();
    bench.receive(&first.answer(407, "p", PROXY_CHALLENGE));
    let proven = bench.take_all().remove(1);
    bench.receive(&proven.answer(503, "p", ""));
    let next = bench.take_all().remove(1);
    assert_eq!((next.to, next.cseq()), (address(SECOND), 3));
    assert!(next.header("Proxy-Authorization").contains("nc=00000002"));
}

#[test]
fn targets_of_one_priority_share_by_weight_and_the_same_seed_draws_the_same() {
    let shares = || {
        let mut bench = with_targets(&[
            target(CARRIER, 10, 3),
            target(SECOND, 10, 1),
            target("192.0.2.30:5060", 10, 0),
            target("192.0.2.40:5060", 20, 60_000),
        ]);
        let mut shares: BTreeMap<String, u32> = BTreeMap::new();
        for number in 0..240 {
            let to = next_goes_to(&mut bench, number);
            *shares.entry(to.to_string()).or_default() += 1;
        }
        shares
    };
    let first = shares();
    println!("{first:?}");
    assert!((150..210).contains(&first[CARRIER]) && (30..90).contains(&first[SECOND]));
    assert!(first.get("192.0.2.30:5060").is_none_or(|calls| *calls < 5));
    assert!(!first.contains_key("192.0.2.40:5060"));
    assert_eq!(first, shares());
}

#[test]
fn a_resolver_that_answers_nothing_takes_no_target_away() {
    let mut settings = trunk_settings();
    settings.targets.clear();
    let mut bench = Bench::with(settings);
    bench.ua.set_targets(bench.now, bench.trunk, vec![Target::udp(address(CARRIER))]);
    bench.drain();
    bench.ua.set_targets(bench.now, bench.trunk, Vec::new());
    bench.wait(secs(3600));
    assert_eq!(next_goes_to(&mut bench, 1), address(CARRIER));
}
