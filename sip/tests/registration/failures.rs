//! What follows refusals, trouble and silence.

use std::time::Duration;

use dozvon_sip::RegistrationState;

use super::desk::{Desk, REGISTRAR, SECOND, s};

#[test]
fn min_expires_is_remembered() {
    let mut desk = Desk::started();
    desk.register();
    desk.respond(423, "Min-Expires: 1800\r\n");
    assert_eq!(desk.register().expires_s, 1800, "at once");
    desk.respond(200, "Expires: 1800\r\n");
    for _ in 0..3 {
        desk.until_register();
        assert_eq!(desk.register().expires_s, 1800);
        desk.respond(200, "Expires: 1800\r\n");
    }
    desk.until_register();
    desk.register();
    desk.no_answer();
    desk.until_register();
    assert_eq!(desk.register().expires_s, 1800, "after a failure too");
}

#[test]
fn min_expires_is_obeyed_once_and_within_a_day() {
    let rows = [
        ("Min-Expires: 86400\r\n", true),
        ("Min-Expires: 86401\r\n", false),
        ("Min-Expires: 4294967295\r\n", false),
        ("Min-Expires: 600\r\n", false),
        ("Min-Expires: 0\r\n", false),
        ("Min-Expires: x\r\n", false),
        ("", false),
    ];
    for (headers, obeyed) in rows {
        let mut desk = Desk::started();
        desk.register();
        desk.respond(423, headers);
        assert_eq!(desk.registrations.len() == 1, obeyed, "{headers}");
        if obeyed {
            desk.register();
            desk.respond(423, "Min-Expires: 86400\r\n");
        }
        assert!(desk.registrations.is_empty(), "{headers}");
        assert!((s(120)..=s(240)).contains(&desk.retry_in()));
    }
}

#[test]
fn a_min_expires_that_grows_each_time_is_followed_once() {
    let mut desk = Desk::started();
    desk.register();
    desk.respond(423, "Min-Expires: 1200\r\n");
    desk.register();
    desk.respond(423, "Min-Expires: 2400\r\n");
    assert!(desk.registrations.is_empty());
    assert!(desk.retry_in() >= s(120));
}

#[test]
fn a_day_that_the_registrar_asked_for_is_believed() {
    let mut desk = Desk::started();
    desk.register();
    desk.respond(423, "Min-Expires: 86400\r\n");
    desk.register();
    desk.respond(200, "Expires: 86400\r\n");
    assert_eq!(desk.granted(), s(86_400));
}

#[test]
fn retry_after_is_capped() {
    let rows = [
        ("0", s(2), s(5)),
        ("60", s(60), s(60)),
        ("3600 (lunch);duration=60", s(3600), s(3600)),
        ("3601", s(3600), s(3600)),
        ("4294967295", s(3600), s(3600)),
        ("99999999999999999999", s(3600), s(3600)),
        ("-1", s(2), s(5)),
    ];
    for (value, low, high) in rows {
        let mut desk = Desk::started();
        desk.register();
        desk.respond(503, &format!("Retry-After: {value}\r\n"));
        let retry_in = desk.retry_in();
        assert!((low..=high).contains(&retry_in), "{value}: {retry_in:?}");
        assert_eq!(desk.until_register(), retry_in);
    }
}

#[test]
fn trouble_goes_to_the_next_target_at_once_and_then_pauses() {
    for trouble in [
        Desk::no_answer,
        |desk: &mut Desk| desk.respond(500, ""),
        |desk: &mut Desk| {
            desk.respond(408, "");
        },
    ] {
        let mut desk = Desk::started_with(5, &[REGISTRAR, SECOND]);
        for round in 0..3 {
            assert_eq!(desk.register().target.address, REGISTRAR);
            desk.told();
            trouble(&mut desk);
            // Only the pace of all trunks stands between.
            assert!(desk.until_register() <= Duration::from_millis(26));
            assert_eq!(desk.register().target.address, SECOND);
            trouble(&mut desk);
            let full = s(5 << round);
            let retry_in = desk.retry_in();
            assert!((full / 2..=full).contains(&retry_in), "{round}: {retry_in:?}");
            assert_eq!(desk.until_register(), retry_in);
        }
    }
}

#[test]
fn retry_after_of_one_target_holds_back_the_next_round_only() {
    let mut desk = Desk::started_with(5, &[REGISTRAR, SECOND]);
    desk.register();
    desk.respond(503, "Retry-After: 300\r\n");
    assert!(desk.until_register() <= Duration::from_millis(26));
    desk.register();
    desk.respond(500, "");
    assert_eq!(desk.retry_in(), s(300));
    desk.until_register();
    desk.register();
    desk.respond(500, "");
    desk.until_register();
    desk.register();
    desk.respond(500, "");
    assert!(desk.retry_in() <= s(10));
}

/// The waits after so many equal failures, as shares of what the table of doubling says.
fn waits(mut fail: impl FnMut(&mut Desk), first: u64, times: usize) {
    for seed in 0..20 {
        let mut desk = Desk::started_with(seed, &[REGISTRAR]);
        let mut full = s(first);
        let mut shares = Vec::new();
        for round in 0..times {
            desk.register();
            desk.told();
            fail(&mut desk);
            let retry_in = desk.retry_in();
            assert!((full / 2..=full).contains(&retry_in), "seed {seed} {round}: {retry_in:?}");
            assert_eq!(desk.until_register(), retry_in);
            shares.push(retry_in.as_secs_f64() / full.as_secs_f64());
            full = (full * 2).min(s(1800));
        }
        let spread = shares.iter().fold(0.0_f64, |most, share| most.max((share - shares[0]).abs()));
        assert!(spread > 0.05 || times < 10, "seed {seed}: the waits are not jittered: {shares:?}");
    }
}

#[test]
fn silence_waits_five_seconds_doubling_to_half_an_hour_for_ever() {
    waits(Desk::no_answer, 5, 40);
}

#[test]
fn trouble_waits_five_seconds_doubling_to_half_an_hour_for_ever() {
    waits(|desk| desk.respond(500, ""), 5, 40);
}

#[test]
fn a_403_waits_two_to_thirty_minutes_and_is_told_as_rejected() {
    let reject = |desk: &mut Desk| {
        desk.respond(403, "");
        assert!(matches!(desk.states.back(), Some(RegistrationState::Rejected { .. })));
    };
    waits(reject, 240, 20);
}

#[test]
fn other_refusals_wait_as_long_and_are_told_with_their_status() {
    for status in [300, 302, 400, 404, 405, 416, 420, 481, 600, 603] {
        let refuse = |desk: &mut Desk| {
            desk.respond(status, "");
            match desk.states.back() {
                Some(RegistrationState::Failed { status: told, .. }) => {
                    assert_eq!(*told, Some(status));
                }
                other => panic!("{status}: {other:?}"),
            }
        };
        waits(refuse, 240, 4);
    }
}

#[test]
fn a_wrong_password_waits_five_to_thirty_minutes() {
    let mut nonce = 0;
    let fail = move |desk: &mut Desk| {
        nonce += 1;
        let value = format!("n{nonce}");
        desk.challenge(401, &value);
        desk.register();
        desk.challenge(401, &value);
        assert!(matches!(desk.states.back(), Some(RegistrationState::AuthFailed { .. })));
    };
    waits(fail, 600, 10);
}

#[test]
fn endless_401_gets_two_answers_and_then_a_pause() {
    let mut desk = Desk::started();
    let mut answers = 0;
    for round in 0..10 {
        desk.challenge(401, &format!("n{round}"));
        match desk.registrations.pop_front() {
            Some(_) if desk.authorization().is_some() => answers += 1,
            _ => break,
        }
    }
    assert_eq!(answers, 2);
    assert!(desk.retry_in() >= s(300));
}

#[test]
fn a_new_kind_of_failure_starts_its_own_waits() {
    let mut desk = Desk::started();
    for _ in 0..10 {
        desk.register();
        desk.no_answer();
        desk.until_register();
    }
    desk.register();
    desk.told();
    desk.respond(403, "");
    assert!(desk.retry_in() <= s(240));
    desk.until_register();
    desk.register();
    desk.respond(200, "Expires: 600\r\n");
    desk.until_register();
    desk.register();
    desk.respond(500, "");
    assert!(desk.retry_in() <= s(5), "a success forgets the failures before it");
}

#[test]
fn a_binding_outlives_trouble_but_not_silence_or_a_refusal() {
    type Fail = fn(&mut Desk);
    let rows: [(Fail, bool); 5] = [
        (|desk| desk.respond(503, ""), true),
        (|desk| desk.respond(400, ""), true),
        (Desk::no_answer, false),
        (|desk| desk.respond(403, ""), false),
        (|desk| desk.respond(404, ""), false),
    ];
    for (at, (fail, outlives)) in rows.into_iter().enumerate() {
        let mut desk = Desk::bound();
        desk.until_register();
        desk.register();
        fail(&mut desk);
        assert_eq!(desk.registration.bound_to().is_some(), outlives, "row {at}");
    }
}

#[test]
fn a_binding_that_is_not_renewed_ends_with_its_grant() {
    let mut desk = Desk::bound();
    let refresh = desk.until_register();
    desk.register();
    // The REGISTER stays without any answer for longer than the binding lives.
    desk.pass(s(600) - refresh - Duration::from_millis(1));
    assert!(desk.registration.bound_to().is_some());
    desk.pass(Duration::from_millis(1));
    assert!(desk.registration.bound_to().is_none());
    assert_eq!(desk.told(), Some(RegistrationState::Registering));
}
