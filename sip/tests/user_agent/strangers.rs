//! Packets from elsewhere, and packets that belong to nothing.

use dozvon_sip as sip;
use sip::{Settings, Target, UserAgent};

use crate::bench::{Bench, address, secs, trunk_settings, user_agent_settings};

#[test]
fn a_forged_response_with_the_right_branch_changes_nothing() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    let events = bench.events.len();
    for status in [100, 180, 200, 407, 486] {
        bench.receive_from("203.0.113.66:5060", invite.answer(status, "a", "").as_bytes());
    }
    bench.assert_silent();
    assert_eq!(bench.events.len(), events);
    assert_eq!((bench.ua.counters().strangers, bench.ua.counters().stray_responses), (5, 0));
    bench.wait(secs(1));
    bench.take("INVITE");
}

#[test]
fn another_trunk_cannot_answer_for_this_one() {
    let mut bench = Bench::new();
    let mut other = trunk_settings();
    other.name = "south".into();
    other.targets = vec![Target::udp(address("192.0.2.20:5060"))];
    bench.ua.add_trunk(bench.now, other);
    bench.drain();
    let (_, invite) = bench.invite();
    bench.receive_from("192.0.2.20:5060", invite.answer(180, "a", "").as_bytes());
    bench.receive_from(
        "192.0.2.20:5060",
        invite.answer(200, "a", "Contact: <sip:a@192.0.2.20>\r\n").as_bytes(),
    );
    assert_eq!(bench.count(|event| matches!(event, sip::Event::Ringing { .. })), 0);
    assert!(bench.ends().is_empty());
    assert_eq!(bench.ua.counters().strangers, 0);
}

#[test]
fn responses_that_belong_to_nothing_are_counted_and_dropped() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    let right = invite.answer(180, "a", "");
    let strays = [
        right.replace(invite.branch(), "z9hG4bK00000000000000000000000000000000"),
        right.replace(invite.branch(), "z9hG4bK"),
        right.replace(invite.branch(), "1"),
        right.replace("CSeq: 1 INVITE", "CSeq: 1 BYE"),
        right.replace("CSeq: 1 INVITE", "CSeq: 1 CANCEL"),
        right.replace("CSeq: 1 INVITE", "CSeq: 1 REGISTER"),
    ];
    for stray in &strays {
        bench.receive(stray);
    }
    bench.assert_silent();
    assert_eq!(bench.ua.counters().stray_responses, 6);
    assert_eq!(bench.count(|event| matches!(event, sip::Event::Ringing { .. })), 0);
}

#[test]
fn keep_alives_are_swallowed() {
    let mut bench = Bench::new();
    for packet in ["", "\r\n", "\r\n\r\n", "\0\0\0\0"] {
        bench.receive(packet);
    }
    bench.assert_silent();
    assert_eq!(bench.ua.counters().keep_alives, 4);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let run = |settings: Settings, seed: u8| {
        let mut bench = Bench::build(settings, trunk_settings());
        bench.ua = UserAgent::new(user_agent_settings(), [seed; 32]);
        bench.trunk = bench.ua.add_trunk(bench.now, trunk_settings());
        bench.drain();
        let (_, first) = bench.invite();
        bench.receive(&first.answer(407, "p", crate::bench::PROXY_CHALLENGE));
        bench.wait(secs(40));
        bench.sent.iter().map(|sent| sent.text.clone()).collect::<Vec<_>>()
    };
    let first = run(user_agent_settings(), 1);
    assert_eq!(first, run(user_agent_settings(), 1));
    assert_ne!(first, run(user_agent_settings(), 2));
}
