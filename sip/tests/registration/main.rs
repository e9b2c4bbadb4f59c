//! The registration machine under virtual time.

mod desk;
mod failures;
mod probing;

use std::time::Duration;

use desk::{CONTACT, Desk, REGISTRAR, SECOND, s};
use dozvon_sip::RegistrationState;
use dozvon_sip::registration::{Pace, Registration};

#[test]
fn first_registration_answers_its_challenge_and_is_bound() {
    let mut desk = Desk::started();
    let first = desk.register();
    assert_eq!((first.cseq, first.expires_s, first.target.address), (1, 600, REGISTRAR));
    assert!(desk.authorization().is_none());
    desk.challenge(401, "n1");
    let second = desk.register();
    assert_eq!(second.cseq, 2);
    assert!(desk.authorization().is_some());
    desk.pass(Duration::from_millis(40));
    desk.respond(200, &format!("Contact: <{CONTACT}>;expires=600\r\n"));
    match desk.told() {
        Some(RegistrationState::Registered { granted, round_trip, target, .. }) => {
            assert_eq!((granted, round_trip), (s(600), Duration::from_millis(40)));
            assert_eq!(target, REGISTRAR);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(desk.registration.bound_to().unwrap().address, REGISTRAR);
}

#[test]
fn a_registrar_that_challenges_by_407_is_answered_too() {
    let mut desk = Desk::started();
    desk.register();
    desk.challenge(407, "n1");
    desk.register();
    assert!(desk.authorization().is_some());
}

#[test]
fn a_refresh_leaves_at_80_to_90_percent_of_the_grant() {
    for seed in 0..200 {
        let mut desk = Desk::bound_with(
            seed,
            "Contact: <sip:u@198.51.100.7:5060;line=0123456789abcdef>;expires=100\r\n",
        );
        let waited = desk.until_register();
        assert!((s(80)..=s(90)).contains(&waited), "seed {seed}: {waited:?}");
        assert_eq!(desk.register().expires_s, 600);
    }
}

#[test]
fn granted_expiry_is_read_from_our_own_contact() {
    let rows = [
        (
            "Contact: <sip:u@192.0.2.9>;expires=3000, <sip:u@198.51.100.7:5060;line=0123456789abcdef>;expires=120\r\nExpires: 900\r\n",
            120,
        ),
        (
            "m: <sip:other@192.0.2.9>;expires=3000\r\nContact: <sip:u@198.51.100.7:5060;LINE=0123456789abcdef>;q=1;EXPIRES=121\r\n",
            121,
        ),
        // The registrar shows where it saw us; the token is still ours.
        ("Contact: <sip:u@203.0.113.5:40000;line=0123456789abcdef>;expires=122\r\n", 122),
        // Not ours at all.
        ("Contact: <sip:other@192.0.2.9>;expires=3000\r\nExpires: 900\r\n", 900),
        ("Contact: <sip:u@198.51.100.7:5060;line=0123456789abcdef>\r\nExpires: 901\r\n", 901),
        ("Contact: <sip:other@192.0.2.9>;expires=3000\r\n", 600),
        ("", 600),
        ("Contact: *\r\n", 600),
        ("Contact: <<<>>>;expires=17\r\n", 600),
    ];
    for (headers, granted) in rows {
        let mut desk = Desk::bound_with(1, headers);
        assert_eq!(desk.granted(), s(granted), "{headers}");
    }
}

#[test]
fn expires_shorter_than_the_refresh_margin_does_not_panic() {
    for granted in [1_u64, 2, 3, 5, 10, 29, 30, 59] {
        let mut desk = Desk::bound_with(3, &format!("Expires: {granted}\r\n"));
        assert_eq!(desk.granted(), s(granted));
        for _ in 0..50 {
            let waited = desk.until_register();
            assert!(waited >= s(1), "{granted}: {waited:?}");
            assert!(waited <= s(1).max(s(granted) * 9 / 10), "{granted}: {waited:?}");
            desk.register();
            desk.respond(200, &format!("Expires: {granted}\r\n"));
            desk.granted();
        }
    }
}

#[test]
fn hostile_lifetimes_are_clamped() {
    let rows = [
        ("3600", 3600),
        ("3601", 3600),
        ("86400", 3600),
        ("4294967295", 3600),
        ("4294967296", 3600),
        ("99999999999999999999999999", 3600),
        ("-1", 3600),
        ("abc", 3600),
    ];
    for (text, granted) in rows {
        let mut desk = Desk::bound_with(1, &format!("Expires: {text}\r\n"));
        assert_eq!(desk.granted(), s(granted), "Expires: {text}");
        let own = format!("Contact: <{CONTACT}>;expires={text}\r\n");
        let mut desk = Desk::bound_with(1, &own);
        assert_eq!(desk.granted(), s(granted), "{own}");
        assert!(desk.until_register() <= s(3240));
    }
}

#[test]
fn a_grant_of_nothing_is_a_failure() {
    let mut desk = Desk::bound_with(1, &format!("Contact: <{CONTACT}>;expires=0\r\n"));
    assert!(matches!(desk.told(), Some(RegistrationState::Failed { status: Some(200), .. })));
    assert!(desk.registration.bound_to().is_none());
    assert!(desk.until_register() >= s(2));
}

#[test]
fn call_refusals_doubt_a_binding_that_was_not_confirmed_lately() {
    let mut desk = Desk::bound();
    desk.pass(s(29));
    desk.registration.call_refused(desk.now, &mut desk.rng);
    assert!(desk.until_register() > s(400));

    let mut desk = Desk::bound();
    desk.pass(s(30));
    desk.registration.call_refused(desk.now, &mut desk.rng);
    assert!(desk.until_register() <= s(1));
    desk.register();
    assert!(desk.registration.bound_to().is_some(), "calls go on meanwhile");
}

#[test]
fn a_lost_connection_registers_at_once_but_not_twice_a_second() {
    let mut desk = Desk::bound();
    desk.registration.register_soon(desk.now);
    assert_eq!(desk.until_register(), s(1), "the last one left just now");
    desk.register();
    // What changed while a REGISTER was under way needs another one.
    desk.registration.register_soon(desk.now);
    desk.respond(200, "Expires: 600\r\n");
    assert_eq!(desk.until_register(), s(1));
    desk.register();
    desk.respond(200, "Expires: 600\r\n");
    desk.pass(s(100));
    desk.registration.register_soon(desk.now);
    assert_eq!(desk.until_register(), s(0));
}

#[test]
fn service_route_is_kept_and_replaced() {
    let route = "Service-Route: <sip:edge.example;lr>, <sip:core.example;lr>\r\n";
    let mut desk = Desk::bound_with(1, route);
    let routes = |desk: &Desk| desk.registration.service_route().to_vec();
    assert_eq!(
        routes(&desk),
        [b"<sip:edge.example;lr>"[..].into(), b"<sip:core.example;lr>"[..].into()]
    );
    desk.until_register();
    desk.register();
    desk.respond(200, "Service-Route: <sip:edge2.example;lr>\r\n");
    assert_eq!(routes(&desk), [b"<sip:edge2.example;lr>"[..].into()]);
    desk.until_register();
    desk.register();
    desk.respond(200, "Path: <sip:edge.example;lr>\r\n");
    assert!(routes(&desk).is_empty());
    desk.until_register();
    desk.register();
    let endless = "Service-Route: <sip:edge.example;lr>\r\n".repeat(9);
    desk.respond(200, &endless);
    assert!(routes(&desk).is_empty(), "a route that is too long for an INVITE");
}

#[test]
fn unregistering_takes_our_own_contact_away_and_answers_a_challenge() {
    let mut desk = Desk::bound();
    let before = desk.cseq;
    desk.unregister();
    let removal = desk.register();
    assert_eq!((removal.expires_s, removal.cseq), (0, before + 1));
    assert_eq!(removal.target.address, REGISTRAR);
    desk.challenge(401, "fresh");
    assert_eq!(desk.register().expires_s, 0);
    desk.respond(200, "");
    assert_eq!(desk.told(), Some(RegistrationState::Unregistered));
    assert!(desk.registration.is_idle());
    assert_eq!(desk.registration.poll_timeout(), None);
}

#[test]
fn unregistering_takes_two_seconds_at_most() {
    let mut desk = Desk::bound();
    desk.unregister();
    desk.register();
    let before = desk.now;
    while !desk.registration.is_idle() {
        desk.step();
    }
    assert_eq!(desk.now - before, s(2));
    assert_eq!(desk.told(), Some(RegistrationState::Unregistered));
}

#[test]
fn unregistering_without_a_binding_says_nothing_to_the_registrar() {
    let mut desk = Desk::started();
    desk.register();
    desk.respond(503, "Retry-After: 60\r\n");
    desk.told();
    desk.unregister();
    assert_eq!(desk.told(), Some(RegistrationState::Unregistered));
    assert!(desk.registrations.is_empty());
}

#[test]
fn a_registration_under_way_is_taken_back_too() {
    let mut desk = Desk::started();
    desk.register();
    desk.unregister();
    assert_eq!(desk.register().expires_s, 0);
}

#[test]
fn a_removed_registration_can_start_again() {
    let mut desk = Desk::bound();
    desk.unregister();
    desk.register();
    desk.respond(200, "");
    desk.told();
    desk.registration.start(desk.now);
    desk.until_register();
    assert_eq!(desk.register().expires_s, 600);
}

#[test]
fn a_target_that_left_the_list_is_not_registered_with_any_longer() {
    let mut desk = Desk::bound();
    desk.pass(s(10));
    desk.registration.set_targets(desk.now, vec![desk::target(SECOND)]);
    desk.until_register();
    assert_eq!(desk.register().target.address, SECOND);
    desk.respond(200, "Expires: 600\r\n");
    // The same list again, or an outage of the name service, changes nothing.
    desk.registration.set_targets(desk.now, vec![desk::target(SECOND)]);
    desk.registration.set_targets(desk.now, Vec::new());
    assert!(desk.until_register() > s(400));
}

#[test]
fn targets_that_come_late_are_used_at_once() {
    let mut desk = Desk::new(1);
    desk.registration.start(desk.now);
    desk.collect();
    assert_eq!(desk.resolves, 1);
    desk.pass(s(4));
    desk.registration.set_targets(desk.now, vec![desk::target(REGISTRAR)]);
    assert_eq!(desk.until_register(), s(0));
}

#[test]
fn a_trunk_without_targets_says_so_and_asks_again() {
    let mut desk = Desk::new(1);
    desk.registration.start(desk.now);
    for _ in 0..5 {
        desk.step();
    }
    assert!(desk.resolves >= 3);
    assert!(matches!(desk.told(), Some(RegistrationState::Failed { status: None, .. })));
}

#[test]
fn cseq_rises_with_every_register_whatever_happens() {
    let mut desk = Desk::started();
    let mut last = 0;
    for round in 0..300 {
        let cseq = desk.register().cseq;
        assert_eq!(cseq, last + 1);
        last = cseq;
        match round % 6 {
            0 => desk.challenge(401, &format!("n{round}")),
            1 => desk.respond(200, "Expires: 60\r\n"),
            2 => desk.respond(500, ""),
            3 => desk.no_answer(),
            4 => desk.respond(403, ""),
            _ => desk.respond(423, &format!("Min-Expires: {}\r\n", 600 + round)),
        }
        if desk.registrations.is_empty() {
            desk.until_register();
        }
    }
}

#[test]
fn a_thousand_registrations_start_at_forty_a_second() {
    let mut pace = Pace::new(40);
    let mut desk = Desk::new(9);
    let mut times = Vec::new();
    let start = desk.now;
    for _ in 0..1000 {
        desk.registration = Registration::new(s(600));
        desk.registration.set_targets(start, vec![desk::target(REGISTRAR)]);
        desk.registration.start(start);
        desk.now = start;
        std::mem::swap(&mut desk.pace, &mut pace);
        desk.until_register();
        std::mem::swap(&mut desk.pace, &mut pace);
        desk.registrations.clear();
        times.push(desk.now - start);
    }
    times.sort();
    assert_eq!(times[0], s(0));
    for second in times.windows(41) {
        assert!(second[40] - second[0] >= s(1));
    }
    assert!(times[999] < s(26));
}
