//! What a trunk makes of connections that open, break, or prove nothing.

use dozvon_sip as sip;
use sip::{
    ConnectionChange, ConnectionHandle, HostPort, Incoming, RegistrationState, Remote, Target,
    Transport, TransportError,
};

use crate::bench::{Bench, CARRIER, LOCAL, Sent, address, secs, trunk_settings};

fn registering(transport: Transport) -> Bench {
    let mut settings = trunk_settings();
    settings.transport = transport;
    settings.registrar = Some(HostPort { host: "sip.example.ru".into(), port: None });
    settings.targets = vec![Target { transport, ..Target::udp(address(CARRIER)) }];
    Bench::with(settings)
}

/// A trunk without a registrar, over TCP, whose connection is open.
fn calling() -> Bench {
    let mut settings = trunk_settings();
    settings.transport = Transport::Tcp;
    settings.targets = vec![Target { transport: Transport::Tcp, ..Target::udp(address(CARRIER)) }];
    let mut bench = Bench::with(settings);
    opens(&mut bench, 1);
    bench
}

fn closes(bench: &mut Bench, nth: u64) {
    bench.ua.handle_connection(bench.now, ConnectionHandle(nth), ConnectionChange::Closed);
    bench.drain();
}

fn far_end(transport: Transport, connection: Option<u64>) -> Remote {
    let connection = connection.map(ConnectionHandle);
    Remote { transport, address: address(CARRIER), connection }
}

fn opens(bench: &mut Bench, nth: u64) {
    let (remote, trunk) = (far_end(Transport::Tcp, Some(nth)), Some(bench.trunk));
    let opened = ConnectionChange::Opened { remote, trunk };
    bench.ua.handle_connection(bench.now, ConnectionHandle(nth), opened);
    bench.drain();
}

/// A 200 over a connection that the far side sees at this port of ours.
fn accept(bench: &mut Bench, nth: u64, register: &Sent, port: u16) {
    let contact = format!("Contact: {};expires=600\r\n", register.header("Contact"));
    let seen = format!(";rport={port};received=203.0.113.9;");
    let answer = register.answer(200, "r", &contact).replace(";rport;", &seen);
    hears(bench, nth, &answer);
}

fn hears(bench: &mut Bench, nth: u64, bytes: &str) {
    let source = far_end(Transport::Tcp, Some(nth));
    let packet = Incoming { source, local: address(LOCAL), bytes: bytes.as_bytes() };
    bench.ua.handle_packet(bench.now, packet);
    bench.drain();
}

fn contact_of(register: &Sent) -> String {
    let value = register.header("Contact");
    value.split(['@', ';', '>']).nth(1).expect("an address").to_owned()
}

#[test]
fn the_port_of_a_connection_that_closed_stands_in_no_contact() {
    let mut bench = registering(Transport::Tcp);
    let first = bench.take("REGISTER");
    opens(&mut bench, 1);
    accept(&mut bench, 1, &first, 50_001);
    let learnt = bench.wait_for("REGISTER", secs(2));
    assert_eq!(contact_of(&learnt), "203.0.113.9:50001");
    accept(&mut bench, 1, &learnt, 50_001);
    bench.wait(secs(5));
    closes(&mut bench, 1);
    let again = bench.take("REGISTER");
    assert_eq!(contact_of(&again), "203.0.113.9:5060");
    opens(&mut bench, 2);
    accept(&mut bench, 2, &again, 50_002);
    assert_eq!(contact_of(&bench.wait_for("REGISTER", secs(2))), "203.0.113.9:50002");
}

#[test]
fn a_far_side_that_proves_nothing_is_tried_less_and_less_and_not_probed() {
    let mut bench = registering(Transport::Tls);
    let mut pauses = Vec::new();
    let mut last = bench.take("REGISTER").at;
    for nth in 0..4 {
        let (remote, trunk) = (far_end(Transport::Tls, None), bench.trunk);
        let failed = ConnectionChange::Failed { remote, trunk, kind: TransportError::Untrusted };
        bench.ua.handle_connection(bench.now, ConnectionHandle(nth), failed);
        bench.drain();
        // An OPTIONS in between would be found here.
        let register = bench.wait_for("REGISTER", secs(60));
        pauses.push(register.at - last);
        last = register.at;
    }
    for (pause, full) in pauses.iter().zip([5, 10, 20, 40]) {
        assert!((secs(full) / 2..=secs(full + 1)).contains(pause), "{pauses:?}");
    }
    let failed = |event: &sip::Event| {
        let sip::Event::Registration { state, .. } = event else { return false };
        matches!(state, RegistrationState::Failed { status: None, .. })
    };
    assert_eq!(bench.count(failed), 4);
}

#[test]
fn a_far_side_that_refuses_us_once_its_connection_is_open_is_not_asked_twice_and_not_probed() {
    let mut bench = registering(Transport::Tls);
    let first = bench.take("REGISTER").at;
    let (remote, trunk) = (far_end(Transport::Tls, Some(1)), bench.trunk);
    let failed = ConnectionChange::Failed {
        remote: far_end(Transport::Tls, None),
        trunk,
        kind: TransportError::Untrusted,
    };
    let opened = ConnectionChange::Opened { remote, trunk: Some(trunk) };
    for change in [opened, failed, ConnectionChange::Closed] {
        bench.ua.handle_connection(bench.now, ConnectionHandle(1), change);
        bench.drain();
    }
    let again = bench.wait_for("REGISTER", secs(60)).at;
    assert!((secs(5) / 2..=secs(6)).contains(&(again - first)), "{:?}", again - first);
}

#[test]
fn a_silent_far_side_that_then_refuses_us_is_probed_no_more() {
    let mut bench = registering(Transport::Tls);
    bench.take("REGISTER");
    bench.wait(secs(6));
    assert!(bench.take_all().iter().any(|sent| sent.kind() == "OPTIONS"));
    let (remote, trunk) = (far_end(Transport::Tls, None), bench.trunk);
    let failed = ConnectionChange::Failed { remote, trunk, kind: TransportError::Untrusted };
    bench.ua.handle_connection(bench.now, ConnectionHandle(1), failed);
    bench.drain();
    bench.take_all();
    // An OPTIONS would be found here.
    bench.wait_for("REGISTER", secs(60));
}

#[test]
fn a_connection_of_large_calls_says_nothing_of_a_binding_over_udp_nor_of_its_port() {
    let mut bench = registering(Transport::Udp);
    let first = bench.take("REGISTER");
    let contact = format!("Contact: {};expires=600\r\n", first.header("Contact"));
    let seen = ";rport=50001;received=203.0.113.9;";
    bench.receive(&first.answer(200, "r", &contact).replace(";rport;", seen));
    let learnt = bench.wait_for("REGISTER", secs(2));
    let contact = format!("Contact: {};expires=600\r\n", learnt.header("Contact"));
    bench.receive(&learnt.answer(200, "r", &contact).replace(";rport;", seen));
    bench.wait(secs(5));
    opens(&mut bench, 1);
    closes(&mut bench, 1);
    bench.wait(secs(5));
    bench.assert_silent();
    let refreshed = bench.wait_for("REGISTER", secs(600));
    assert_eq!(contact_of(&refreshed), "203.0.113.9:50001");
}

#[test]
fn an_invite_follows_a_broken_connection_once_and_not_when_nobody_wants_it() {
    let mut bench = calling();
    let (_, invite) = bench.invite();
    closes(&mut bench, 1);
    assert_eq!(bench.take("INVITE").text, invite.text);
    opens(&mut bench, 2);
    closes(&mut bench, 2);
    bench.assert_silent();
    assert_eq!(bench.end().outcome, sip::CallOutcome::TrunkDown);

    let mut bench = calling();
    let (call, _) = bench.invite();
    bench.hang_up(call);
    closes(&mut bench, 1);
    bench.assert_silent();
}

#[test]
fn a_call_that_is_worked_on_outlives_its_connection() {
    let mut bench = calling();
    let (_, invite) = bench.invite();
    hears(&mut bench, 1, &invite.answer(100, "", ""));
    closes(&mut bench, 1);
    bench.assert_silent();
    assert!(bench.ends().is_empty());
    opens(&mut bench, 2);
    hears(&mut bench, 2, &invite.answer(180, "a", ""));
    bench.wait(secs(4));
    let cancel = bench.take("CANCEL");
    hears(&mut bench, 2, &cancel.answer(200, "a", ""));
    hears(&mut bench, 2, &invite.answer(487, "a", ""));
    bench.take("ACK");
    assert_eq!(bench.end().outcome, sip::CallOutcome::Rang);
}

#[test]
fn what_was_sent_under_tls_is_answered_by_no_datagram() {
    let mut settings = trunk_settings();
    settings.transport = Transport::Tls;
    let tls = Transport::Tls;
    settings.targets = vec![Target { transport: tls, ..Target::udp(address(CARRIER)) }];
    let mut bench = Bench::with(settings);
    let (remote, trunk) = (far_end(tls, Some(1)), Some(bench.trunk));
    let opened = ConnectionChange::Opened { remote, trunk };
    bench.ua.handle_connection(bench.now, ConnectionHandle(1), opened);
    let (_, invite) = bench.invite();
    // From the trunk's own address: whoever can forge that has no part in the session.
    bench.receive(&invite.answer(486, "a", ""));
    bench.assert_silent();
    assert!(bench.ends().is_empty());
    let answer = invite.answer(486, "a", "");
    let packet = Incoming { source: remote, local: address(LOCAL), bytes: answer.as_bytes() };
    bench.ua.handle_packet(bench.now, packet);
    bench.drain();
    bench.take("ACK");
    assert_eq!(bench.end().outcome, sip::CallOutcome::Busy);
}

#[test]
fn a_connection_of_one_trunk_answers_nothing_of_another() {
    const SOUTH: &str = "192.0.2.99:5060";
    let mut bench = calling();
    let mut settings = trunk_settings();
    settings.name = "south".to_owned();
    settings.transport = Transport::Tcp;
    settings.targets = vec![Target { transport: Transport::Tcp, ..Target::udp(address(SOUTH)) }];
    let south = bench.ua.add_trunk(bench.now, settings);
    bench.drain();
    let remote = Remote { address: address(SOUTH), ..far_end(Transport::Tcp, Some(2)) };
    let opened = ConnectionChange::Opened { remote, trunk: Some(south) };
    bench.ua.handle_connection(bench.now, ConnectionHandle(2), opened);
    let (_, invite) = bench.invite();
    let answer = invite.answer(486, "a", "");
    let packet = Incoming { source: remote, local: address(LOCAL), bytes: answer.as_bytes() };
    bench.ua.handle_packet(bench.now, packet);
    bench.drain();
    assert!(bench.ends().is_empty());
    hears(&mut bench, 1, &answer);
    assert_eq!(bench.end().outcome, sip::CallOutcome::Busy);
}

#[test]
fn a_connection_that_the_far_side_opened_takes_nothing_of_ours_with_it() {
    let mut bench = calling();
    bench.invite();
    let remote = far_end(Transport::Tcp, Some(7));
    let opened = ConnectionChange::Opened { remote, trunk: None };
    bench.ua.handle_connection(bench.now, ConnectionHandle(7), opened);
    closes(&mut bench, 7);
    bench.assert_silent();
    assert!(bench.ends().is_empty());
}
