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
    let source = far_end(Transport::Tcp, Some(nth));
    let packet = Incoming { source, local: address(LOCAL), bytes: answer.as_bytes() };
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
    bench.ua.handle_connection(bench.now, ConnectionHandle(1), ConnectionChange::Closed);
    bench.drain();
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
