//! A trunk that is down, and how soon it is noticed that it is back.

use std::time::Duration;

use super::desk::{Desk, REGISTRAR, SECOND, s};

#[test]
fn a_silent_registrar_is_asked_every_second_for_two_minutes_and_then_every_ten() {
    let mut desk = Desk::started();
    desk.register();
    desk.pass(Duration::from_millis(3_999));
    assert!(desk.pings.is_empty());
    desk.pass(Duration::from_millis(1));
    assert_eq!(desk.pings, [REGISTRAR]);
    desk.pass(s(119));
    assert_eq!(desk.pings.len(), 120);
    desk.pass(s(100));
    assert_eq!(desk.pings.len(), 120 + 10);
}

#[test]
fn an_answer_to_a_question_registers_within_a_second() {
    for seed in 0..50 {
        let mut desk = Desk::started_with(seed, &[REGISTRAR]);
        desk.register();
        desk.pass(s(32));
        desk.no_answer();
        desk.pass(s(70));
        desk.registrations.clear();
        desk.no_answer();
        desk.pass(Duration::from_millis(300));
        let (now, rng) = (desk.now, &mut desk.rng);
        desk.registration.ping_answered(now, rng, REGISTRAR);
        assert!(desk.until_register() <= s(1), "seed {seed}");
        desk.register();
        desk.respond(200, "Expires: 600\r\n");
        desk.pings.clear();
        desk.pass(s(300));
        assert!(desk.pings.is_empty(), "a bound trunk is not asked");
    }
}

#[test]
fn the_target_that_answered_is_registered_with() {
    let mut desk = Desk::started_with(2, &[REGISTRAR, SECOND]);
    desk.register();
    desk.no_answer();
    desk.until_register();
    desk.register();
    desk.pass(s(5));
    let asked: Vec<_> = desk.pings.drain(..).collect();
    assert!(asked.contains(&REGISTRAR) && asked.contains(&SECOND));
    // The second one still has our REGISTER, but it is this one that lives.
    desk.registration.ping_answered(desk.now, &mut desk.rng, SECOND);
    assert!(desk.until_register() <= s(1));
    assert_eq!(desk.register().target.address, SECOND);
    desk.pings.clear();
    desk.pass(s(3));
    assert!(desk.pings.iter().all(|target| *target == REGISTRAR));
}

#[test]
fn a_provisional_response_ends_the_suspicion() {
    let mut desk = Desk::started();
    desk.register();
    desk.pass(s(2));
    desk.respond(100, "");
    desk.pass(s(20));
    assert!(desk.pings.is_empty());
    desk.respond(200, "Expires: 600\r\n");
    desk.granted();
}

#[test]
fn a_registrar_in_trouble_is_not_asked_because_it_answers() {
    let mut desk = Desk::started();
    desk.register();
    desk.respond(503, "");
    desk.pass(s(2));
    assert!(desk.pings.is_empty());
}

#[test]
fn a_host_that_answers_only_options_is_registered_with_less_and_less() {
    let mut desk = Desk::started();
    desk.register();
    desk.no_answer();
    let start = desk.now;
    let mut tries = 0;
    while desk.now - start < s(3600) {
        desk.step();
        if !desk.pings.is_empty() {
            desk.pings.clear();
            desk.registration.ping_answered(desk.now, &mut desk.rng, REGISTRAR);
        }
        if !desk.registrations.is_empty() {
            desk.register();
            desk.no_answer();
            tries += 1;
        }
    }
    assert!((10..40).contains(&tries), "{tries} in an hour");
}

#[test]
fn answers_from_elsewhere_and_late_ones_change_nothing() {
    let mut desk = Desk::bound();
    desk.registration.ping_answered(desk.now, &mut desk.rng, REGISTRAR);
    desk.registration.ping_answered(desk.now, &mut desk.rng, SECOND);
    assert!(desk.until_register() > s(400));
}

#[test]
fn a_refused_packet_to_the_bound_target_asks_it_at_once() {
    let mut desk = Desk::bound();
    desk.pass(s(10));
    desk.registration.unreachable(desk.now, SECOND);
    desk.registration.unreachable(desk.now, REGISTRAR);
    assert_eq!(desk.until_register(), s(0));
    desk.register();
    desk.no_answer();
    assert!(desk.registration.bound_to().is_none());
    assert_eq!(desk.pings, [REGISTRAR]);
}
