//! Binding, addresses, and the end of a trunk.

use dozvon_sip as sip;
use sip::{Event, HostPort, PlaceCallError, RegistrationState, Target, Transport};

use crate::bench::{
    Bench, CARRIER, LOCAL, Sent, address, call_request, ms, parameter, secs, trunk_settings,
};

const CHALLENGE: &str = "WWW-Authenticate: Digest realm=\"sip.example.ru\", nonce=\"r1\", \
                         algorithm=SHA-256, qop=\"auth\"\r\n";

fn registering() -> Bench {
    let mut settings = trunk_settings();
    settings.registrar = Some(HostPort { host: "sip.example.ru".into(), port: None });
    settings.line = Some("line-token-of-north".into());
    Bench::with(settings)
}

/// A 200 to a REGISTER that shows us behind this address.
fn accept(register: &Sent, seen: &str) -> String {
    let seen = address(seen);
    let contact = format!("Contact: {};expires=600\r\n", register.header("Contact"));
    let answer = register.answer(200, "r", &contact);
    answer.replace(";rport;", &format!(";rport={};received={};", seen.port(), seen.ip()))
}

/// Registers, with a challenge, from behind no NAT.
fn register(bench: &mut Bench) {
    let first = bench.take("REGISTER");
    bench.receive(&first.answer(401, "r", CHALLENGE));
    let second = bench.take("REGISTER");
    bench.receive(&accept(&second, LOCAL));
}

fn states(bench: &Bench) -> Vec<&RegistrationState> {
    bench
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Registration { state, .. } => Some(state),
            _ => None,
        })
        .collect()
}

#[test]
fn a_trunk_registers_answers_the_401_and_then_takes_calls() {
    let mut bench = registering();
    let refused = bench.ua.place_call(bench.now, bench.trunk, call_request(1));
    assert_eq!(refused, Err(PlaceCallError::NotRegistered));
    let first = bench.take("REGISTER");
    assert_eq!(first.request_uri(), "sip:sip.example.ru");
    assert_eq!(first.header("To"), "<sip:74951230000@sip.example.ru>");
    assert!(first.header("From").starts_with("<sip:74951230000@sip.example.ru>;tag="));
    assert_eq!(
        first.header("Contact"),
        "<sip:74951230000@198.51.100.7:5060;line=line-token-of-north>"
    );
    assert_eq!(first.header("Expires"), "600");
    bench.receive(&first.answer(401, "r", CHALLENGE));
    let second = bench.take("REGISTER");
    assert!(second.header("Authorization").contains("username=\"74951230000\""));
    assert_eq!((second.cseq(), second.header("Call-ID")), (2, first.header("Call-ID")));
    bench.wait(ms(40));
    bench.receive(&accept(&second, LOCAL));
    let last = states(&bench).pop().unwrap();
    let RegistrationState::Registered { granted, target, contact, round_trip, .. } = last else {
        panic!("{last:?}");
    };
    assert_eq!((*granted, *round_trip), (secs(600), ms(40)));
    assert_eq!((*target, *contact), (address(CARRIER), address(LOCAL)));
    bench.place(call_request(1));
    bench.take("INVITE");
}

#[test]
fn refresh_register_carries_no_to_tag() {
    let mut bench = registering();
    register(&mut bench);
    let refresh = bench.wait_for("REGISTER", secs(541));
    assert_eq!(refresh.header("To"), "<sip:74951230000@sip.example.ru>");
    assert_eq!(refresh.cseq(), 3);
    assert!(refresh.at >= secs(480), "{:?}", refresh.at);
}

#[test]
fn private_address_in_contact_is_replaced() {
    let mut bench = registering();
    let first = bench.take("REGISTER");
    let seen = first.answer(401, "r", CHALLENGE);
    bench.receive(&seen.replace(";rport;", ";rport=40001;received=203.0.113.9;"));
    let second = bench.take("REGISTER");
    assert_eq!(
        second.header("Contact"),
        "<sip:74951230000@203.0.113.9:40001;line=line-token-of-north>"
    );
    // Via stays: an INVITE must be cancelled by the next process with the same one.
    assert!(second.header("Via").contains(" 198.51.100.7:5060;"));
    bench.receive(&accept(&second, "203.0.113.9:40001"));
    bench.wait(secs(30));
    bench.assert_silent();
    bench.place(call_request(1));
    let invite = bench.take("INVITE");
    assert!(invite.header("Contact").contains("@203.0.113.9:40001;"));
    assert!(invite.body().contains("\r\nc=IN IP4 203.0.113.9\r\n"));
}

#[test]
fn a_static_trunk_learns_our_address_from_any_response() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    let seen = invite.answer(486, "a", "");
    bench.receive(&seen.replace(";rport;", ";rport=40001;received=203.0.113.9;"));
    bench.take("ACK");
    bench.place(call_request(2));
    assert!(bench.take("INVITE").header("Contact").contains("@203.0.113.9:40001"));
}

#[test]
fn only_the_registrar_teaches_a_registered_trunk_its_address() {
    let mut bench = registering();
    register(&mut bench);
    let (_, invite) = bench.invite();
    let seen = invite.answer(486, "a", "");
    bench.receive(&seen.replace(";rport;", ";rport=40001;received=203.0.113.9;"));
    bench.take("ACK");
    bench.wait(secs(10));
    bench.assert_silent();
    bench.place(call_request(2));
    assert!(bench.take("INVITE").header("Contact").contains("@198.51.100.7:5060;"));
}

#[test]
fn a_fixed_external_address_stands_in_via_contact_and_offer() {
    let mut settings = trunk_settings();
    settings.external =
        sip::External::Fixed { address: "203.0.113.5".parse().unwrap(), port: Some(5070) };
    let mut bench = Bench::with(settings);
    let (_, invite) = bench.invite();
    assert!(invite.header("Via").contains(" 203.0.113.5:5070;"));
    assert!(invite.header("Contact").contains("@203.0.113.5:5070"));
    assert!(invite.body().contains("\r\nc=IN IP4 203.0.113.5\r\n"));
    let seen = invite.answer(486, "a", "");
    bench.receive(&seen.replace(";rport;", ";rport=40001;received=203.0.113.9;"));
    bench.take("ACK");
    bench.place(call_request(2));
    assert!(bench.take("INVITE").header("Contact").contains("@203.0.113.5:5070"));
}

#[test]
fn another_address_seen_at_a_refresh_is_registered_at_once() {
    let mut bench = registering();
    register(&mut bench);
    let refresh = bench.wait_for("REGISTER", secs(541));
    bench.receive(&accept(&refresh, "203.0.113.9:40001"));
    let again = bench.wait_for("REGISTER", secs(1));
    assert!(again.header("Contact").contains("@203.0.113.9:40001;"));
}

#[test]
fn service_route_is_the_route_of_calls_and_not_of_registers() {
    let mut bench = registering();
    let first = bench.take("REGISTER");
    bench.receive(&first.answer(401, "r", CHALLENGE));
    let second = bench.take("REGISTER");
    let accepted = accept(&second, LOCAL).replace(
        "Content-Length",
        "Service-Route: <sip:edge.example.ru;lr>, <sip:core.example.ru;lr>\r\nContent-Length",
    );
    bench.receive(&accepted);
    bench.place(call_request(1));
    let invite = bench.take("INVITE");
    assert_eq!(invite.all("Route"), ["<sip:edge.example.ru;lr>", "<sip:core.example.ru;lr>"]);
    bench.receive(&invite.answer(486, "x", ""));
    assert_eq!(bench.take("ACK").all("Route"), invite.all("Route"));
    assert_eq!(bench.wait_for("REGISTER", secs(541)).all("Route"), [""; 0]);
}

#[test]
fn resolved_address_never_enters_the_request_line() {
    let mut settings = trunk_settings();
    settings.targets.clear();
    settings.registrar = Some(HostPort { host: "sip.example.ru".into(), port: Some(5070) });
    let mut bench = Bench::with(settings);
    bench.assert_silent();
    let asked = bench.events.iter().find_map(|event| match event {
        Event::ResolveTargets { name, transport, .. } => Some((name.clone(), *transport)),
        _ => None,
    });
    let name = HostPort { host: "sip.example.ru".into(), port: Some(5070) };
    assert_eq!(asked, Some((name, Transport::Udp)));
    bench.ua.set_targets(bench.now, bench.trunk, vec![Target::udp(address(CARRIER))]);
    bench.drain();
    register(&mut bench);
    bench.place(call_request(1));
    let invite = bench.take("INVITE");
    assert_eq!(invite.to, address(CARRIER));
    assert_eq!(invite.request_uri(), "sip:+79161234567@sip.example.ru");
    assert!(!invite.text.contains("192.0.2.10"), "{}", invite.text);
}

#[test]
fn outbound_proxy_serves_every_method() {
    let mut settings = trunk_settings();
    settings.targets.clear();
    settings.registrar = Some(HostPort { host: "sip.example.ru".into(), port: None });
    settings.outbound_proxy = Some(HostPort { host: "edge.example.ru".into(), port: None });
    settings.sms = true;
    let mut bench = Bench::with(settings);
    let asked = bench.events.iter().find_map(|event| match event {
        Event::ResolveTargets { name, .. } => Some(name.host.clone()),
        _ => None,
    });
    assert_eq!(asked.as_deref(), Some("edge.example.ru"));
    bench.ua.set_targets(bench.now, bench.trunk, vec![Target::udp(address(CARRIER))]);
    bench.drain();
    let mut all = vec![bench.sent[0].clone()];
    register(&mut bench);
    bench.place(call_request(1));
    all.push(bench.take("INVITE"));
    bench.send_text(1, "code 1234").unwrap();
    all.push(bench.take("MESSAGE"));
    assert!(all.iter().all(|sent| sent.to == address(CARRIER)));
}

#[test]
fn a_call_that_is_refused_as_unknown_makes_the_trunk_register_again() {
    let mut bench = registering();
    register(&mut bench);
    bench.wait(secs(60));
    bench.place(call_request(1));
    let invite = bench.take("INVITE");
    bench.receive(&invite.answer(403, "x", ""));
    bench.take("ACK");
    bench.wait_for("REGISTER", secs(1));
}

#[test]
fn a_removed_trunk_hangs_up_takes_its_own_contact_away_and_is_forgotten() {
    let mut bench = registering();
    register(&mut bench);
    bench.place(call_request(1));
    let invite = bench.take("INVITE");
    bench.receive(&invite.answer(180, "a", ""));
    bench.ua.remove_trunk(bench.now, bench.trunk);
    bench.drain();
    let cancel = bench.take("CANCEL");
    bench.receive(&invite.answer(487, "a", ""));
    bench.take("ACK");
    bench.receive(&cancel.answer(200, "c", ""));
    let removal = bench.take("REGISTER");
    assert_eq!(removal.header("Expires"), "0");
    assert!(removal.header("Contact").contains("198.51.100.7:5060;line="));
    bench.receive(&removal.answer(200, "r", ""));
    assert_eq!(states(&bench).last(), Some(&&RegistrationState::Unregistered));
    bench.assert_clean();
    let refused = bench.ua.place_call(bench.now, bench.trunk, call_request(2));
    assert_eq!(refused, Err(PlaceCallError::UnknownTrunk));
    bench.receive("OPTIONS sip:x SIP/2.0\r\n\r\n");
    assert_eq!(bench.ua.counters().strangers, 1);
}

#[test]
fn shut_down_lets_a_ringing_phone_ring_its_limit_and_then_unregisters() {
    let mut bench = registering();
    register(&mut bench);
    bench.place(call_request(1));
    let ringing = bench.take("INVITE");
    bench.receive(&ringing.answer(180, "a", ""));
    bench.place(call_request(2));
    let silent = bench.take("INVITE");
    bench.receive(&silent.answer(100, "", ""));
    bench.wait(secs(1));
    bench.ua.shut_down(bench.now);
    bench.drain();
    let cancel = bench.take("CANCEL");
    assert_eq!(cancel.header("Call-ID"), silent.header("Call-ID"));
    assert_eq!(
        bench.ua.place_call(bench.now, bench.trunk, call_request(3)),
        Err(PlaceCallError::Paused)
    );
    bench.receive(&cancel.answer(200, "c", ""));
    bench.receive(&silent.answer(487, "b", ""));
    bench.take("ACK");
    bench.wait(secs(3));
    let cancel = bench.take("CANCEL");
    bench.receive(&cancel.answer(200, "c", ""));
    // The trunk's binding is not needed for the missing 487.
    let removal = bench.take("REGISTER");
    bench.receive(&ringing.answer(487, "a", ""));
    bench.take("ACK");
    assert_eq!(bench.count(|event| *event == Event::ShutDown), 0);
    bench.receive(&removal.answer(200, "r", ""));
    assert_eq!(bench.count(|event| *event == Event::ShutDown), 1);
    bench.assert_clean();
}

#[test]
fn options_answer_404_means_alive() {
    let mut settings = trunk_settings();
    settings.options_ping = Some(secs(30));
    let mut bench = Bench::with(settings);
    for _ in 0..3 {
        let options = bench.take("OPTIONS");
        bench.receive(&options.answer(404, "o", ""));
        bench.wait(secs(30));
    }
    bench.take_all();
    bench.place(call_request(1));
}

#[test]
fn a_static_trunk_is_down_after_three_missed_options_and_up_after_two_answers() {
    let mut settings = trunk_settings();
    settings.options_ping = Some(secs(30));
    let mut bench = Bench::with(settings);
    bench.wait(secs(89));
    let attempt = |bench: &mut Bench, number: u8| {
        bench.ua.place_call(bench.now, bench.trunk, call_request(number)).is_ok()
    };
    assert!(attempt(&mut bench, 1));
    bench.wait(secs(1));
    assert!(!attempt(&mut bench, 2));
    assert!(matches!(states(&bench).last(), Some(RegistrationState::Failed { .. })));
    bench.take_all();
    for _ in 0..2 {
        assert!(!attempt(&mut bench, 3));
        bench.wait(secs(30));
        let sent = bench.take_all();
        let options = sent.iter().rfind(|sent| sent.kind() == "OPTIONS").unwrap();
        bench.receive(&options.answer(200, "o", ""));
    }
    assert!(attempt(&mut bench, 4));
    assert_eq!(states(&bench).last(), Some(&&RegistrationState::Static));
}

#[test]
fn a_nat_binding_is_kept_open() {
    let mut settings = trunk_settings();
    settings.keep_alive = Some(secs(25));
    let mut bench = Bench::with(settings);
    bench.wait(secs(51));
    let sent = bench.take_all();
    assert_eq!(sent.iter().map(|sent| sent.text.as_str()).collect::<Vec<_>>(), ["\r\n\r\n"; 2]);
    assert_eq!(parameter("a;b=c", "b"), Some("c"));

    // A stream is kept open by whoever holds the connection.
    let mut settings = trunk_settings();
    settings.keep_alive = Some(secs(25));
    settings.transport = Transport::Tcp;
    settings.targets = vec![Target { transport: Transport::Tcp, ..Target::udp(address(CARRIER)) }];
    let mut bench = Bench::with(settings);
    bench.wait(secs(51));
    bench.assert_silent();
}

#[test]
fn changed_settings_that_leave_the_contact_alone_keep_the_binding() {
    let mut bench = registering();
    register(&mut bench);
    let mut settings = trunk_settings();
    settings.registrar = Some(HostPort { host: "sip.example.ru".into(), port: None });
    settings.line = Some("line-token-of-north".into());
    settings.max_calls = 1;
    bench.ua.update_trunk(bench.now, bench.trunk, settings.clone());
    bench.drain();
    bench.wait(secs(60));
    bench.assert_silent();
    bench.place(call_request(1));
    bench.take("INVITE");
    let busy = bench.ua.place_call(bench.now, bench.trunk, call_request(2));
    assert_eq!(busy, Err(PlaceCallError::ChannelsBusy));
    settings.contact_user = sip::UserPart::new("another").unwrap();
    bench.ua.update_trunk(bench.now, bench.trunk, settings);
    bench.drain();
    assert!(bench.take("REGISTER").header("Contact").starts_with("<sip:another@"));
}

#[test]
fn another_lifetime_is_asked_for_at_once() {
    let mut bench = registering();
    register(&mut bench);
    bench.wait(secs(1));
    let mut settings = trunk_settings();
    settings.registrar = Some(HostPort { host: "sip.example.ru".into(), port: None });
    settings.line = Some("line-token-of-north".into());
    settings.expires = secs(120);
    bench.ua.update_trunk(bench.now, bench.trunk, settings);
    bench.drain();
    assert_eq!(bench.take("REGISTER").header("Expires"), "120");
}

#[test]
fn what_was_learnt_of_one_socket_is_not_believed_of_another() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    let seen = invite.answer(486, "a", "");
    bench.receive(&seen.replace(";rport;", ";rport=40001;received=203.0.113.9;"));
    bench.take("ACK");
    let mut settings = trunk_settings();
    settings.local = address("198.51.100.8:5070");
    bench.ua.update_trunk(bench.now, bench.trunk, settings);
    bench.drain();
    bench.place(call_request(2));
    assert!(bench.take("INVITE").header("Contact").contains("@198.51.100.8:5070"));
}

#[test]
fn a_registrar_of_another_name_is_asked_for_and_nothing_goes_to_the_old_one() {
    let mut settings = trunk_settings();
    settings.targets.clear();
    settings.registrar = Some(HostPort { host: "sip.example.ru".into(), port: None });
    let mut bench = Bench::with(settings.clone());
    bench.ua.set_targets(bench.now, bench.trunk, vec![Target::udp(address(CARRIER))]);
    bench.drain();
    register(&mut bench);
    settings.registrar = Some(HostPort { host: "sip.other.example".into(), port: None });
    bench.ua.update_trunk(bench.now, bench.trunk, settings);
    bench.drain();
    bench.wait(secs(2));
    bench.assert_silent();
    let asked = |event: &Event| matches!(event, Event::ResolveTargets { name, .. } if name.host == "sip.other.example");
    assert_eq!(bench.count(asked), 1);
    bench.ua.set_targets(bench.now, bench.trunk, vec![Target::udp(address("192.0.2.11:5060"))]);
    bench.drain();
    assert_eq!(bench.take("REGISTER").to, address("192.0.2.11:5060"));
}

#[test]
fn other_fixed_targets_are_registered_with_at_once() {
    let mut bench = registering();
    register(&mut bench);
    let mut settings = trunk_settings();
    settings.registrar = Some(HostPort { host: "sip.example.ru".into(), port: None });
    settings.line = Some("line-token-of-north".into());
    settings.targets = vec![Target::udp(address("192.0.2.11:5060"))];
    bench.ua.update_trunk(bench.now, bench.trunk, settings);
    bench.drain();
    let register = bench.wait_for("REGISTER", secs(2));
    assert_eq!(register.to, address("192.0.2.11:5060"));
}

#[test]
fn a_call_repeats_the_settings_it_started_with() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    let mut settings = trunk_settings();
    settings.domain = "other.example.ru".into();
    bench.ua.update_trunk(bench.now, bench.trunk, settings);
    bench.drain();
    bench.wait(ms(500));
    assert_eq!(bench.take("INVITE").text, invite.text);
    bench.receive(&invite.answer(180, "a", ""));
    bench.wait(secs(4));
    let cancel = bench.take("CANCEL");
    assert_eq!(cancel.request_uri(), invite.request_uri());
    assert_eq!(cancel.header("Via"), invite.header("Via"));
}

#[test]
fn a_paused_trunk_takes_no_calls_and_keeps_its_binding() {
    let mut bench = registering();
    register(&mut bench);
    bench.ua.pause_trunk(bench.now, bench.trunk, true);
    let refused = bench.ua.place_call(bench.now, bench.trunk, call_request(1));
    assert_eq!(refused, Err(PlaceCallError::Paused));
    assert_eq!(bench.wait_for("REGISTER", secs(541)).header("Expires"), "600");
    bench.ua.pause_trunk(bench.now, bench.trunk, false);
    assert!(bench.ua.place_call(bench.now, bench.trunk, call_request(1)).is_ok());
}

#[test]
fn an_operator_may_ask_for_a_register_at_any_time() {
    let mut bench = registering();
    register(&mut bench);
    bench.wait(secs(60));
    bench.ua.register_now(bench.now, bench.trunk);
    bench.drain();
    bench.take("REGISTER");
}

#[test]
fn what_waits_on_a_connection_that_closes_is_sent_once_over_another_one() {
    let mut settings = trunk_settings();
    settings.transport = Transport::Tcp;
    settings.targets = vec![Target { transport: Transport::Tcp, ..Target::udp(address(CARRIER)) }];
    let mut bench = Bench::with(settings);
    let connection = sip::ConnectionHandle(1);
    let remote = sip::Remote {
        transport: Transport::Tcp,
        address: address(CARRIER),
        connection: Some(connection),
    };
    let opened = sip::ConnectionChange::Opened { remote, trunk: Some(bench.trunk) };
    bench.ua.handle_connection(bench.now, connection, opened);
    let (_, invite) = bench.invite();
    assert!(invite.header("Via").starts_with("SIP/2.0/TCP "));
    assert!(invite.header("Contact").contains(";transport=tcp"));
    bench.wait(secs(5));
    bench.assert_silent();
    bench.ua.handle_connection(bench.now, connection, sip::ConnectionChange::Closed);
    bench.drain();
    assert_eq!(bench.take("INVITE").header("Via"), invite.header("Via"));
    let failed = sip::ConnectionChange::Failed {
        remote: sip::Remote { connection: None, ..remote },
        trunk: bench.trunk,
        kind: sip::TransportError::Refused,
    };
    bench.ua.handle_connection(bench.now, sip::ConnectionHandle(2), failed);
    bench.drain();
    assert_eq!(bench.end().outcome, sip::CallOutcome::TrunkDown);
    bench.assert_clean();
}

#[test]
fn a_call_goes_on_when_the_names_of_its_trunk_move() {
    let mut settings = trunk_settings();
    settings.targets.clear();
    let mut bench = Bench::with(settings);
    let refused = bench.ua.place_call(bench.now, bench.trunk, call_request(1));
    assert_eq!(refused, Err(PlaceCallError::NoTarget));
    bench.ua.set_targets(bench.now, bench.trunk, vec![Target::udp(address(CARRIER))]);
    bench.drain();
    let (_, invite) = bench.invite();
    bench.ua.set_targets(bench.now, bench.trunk, vec![Target::udp(address("192.0.2.11:5060"))]);
    bench.drain();
    // An outage of the name service takes nothing away.
    bench.ua.set_targets(bench.now, bench.trunk, vec![]);
    bench.drain();
    bench.receive(&invite.answer(180, "a", ""));
    bench.wait(secs(4));
    assert_eq!(bench.take("CANCEL").to, address(CARRIER));
    bench.place(call_request(2));
    assert_eq!(bench.take("INVITE").to, address("192.0.2.11:5060"));
}

#[test]
fn a_binding_at_an_address_that_the_name_has_no_more_takes_no_call() {
    let mut bench = registering();
    register(&mut bench);
    bench.ua.set_targets(bench.now, bench.trunk, vec![Target::udp(address("192.0.2.11:5060"))]);
    bench.drain();
    let refused = bench.ua.place_call(bench.now, bench.trunk, call_request(1));
    assert_eq!(refused, Err(PlaceCallError::NotRegistered));
    assert_eq!(bench.wait_for("REGISTER", secs(2)).to, address("192.0.2.11:5060"));
}

#[test]
fn a_static_trunk_whose_name_does_not_resolve_asks_again() {
    let mut settings = trunk_settings();
    settings.targets.clear();
    let mut bench = Bench::with(settings);
    bench.wait(secs(61));
    assert_eq!(bench.count(|event| matches!(event, Event::ResolveTargets { .. })), 3);
}
