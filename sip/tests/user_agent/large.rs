//! INVITEs and texts that are too large for a datagram (RFC 3261 section 18.1.1, RFC 3428
//! section 8).

use dozvon_sip as sip;
use sip::{
    ConnectionChange, ConnectionHandle, Event, MessageHandle, MessageSummary, Remote,
    SendMessageError, Target, Transport, TransportError, TrunkSettings,
};

use crate::bench::{
    Bench, CARRIER, PROXY_CHALLENGE, Sent, address, call_request, ms, secs, trunk_settings,
};

/// A trunk over UDP whose operator adds lines enough for 1,300 bytes.
fn wordy() -> Bench {
    let mut settings = trunk_settings();
    settings.headers = (0..10).map(|nth| (format!("X-Line-{nth}"), "y".repeat(80))).collect();
    Bench::with(settings)
}

fn far_end(connection: Option<u64>) -> Remote {
    let connection = connection.map(ConnectionHandle);
    Remote { transport: Transport::Tcp, address: address(CARRIER), connection }
}

fn fails(bench: &mut Bench, kind: TransportError) {
    let (remote, trunk) = (far_end(None), bench.trunk);
    let failed = ConnectionChange::Failed { remote, trunk, kind };
    bench.ua.handle_connection(bench.now, ConnectionHandle(1), failed);
    bench.drain();
}

fn opens(bench: &mut Bench) {
    let (remote, trunk) = (far_end(Some(1)), Some(bench.trunk));
    let opened = ConnectionChange::Opened { remote, trunk };
    bench.ua.handle_connection(bench.now, ConnectionHandle(1), opened);
}

fn answers(bench: &mut Bench, answer: &str) {
    let local = address("198.51.100.7:49152");
    let packet = sip::Incoming { source: far_end(Some(1)), local, bytes: answer.as_bytes() };
    bench.ua.handle_packet(bench.now, packet);
    bench.drain();
}

fn is_over(sent: &Sent, transport: Transport) -> bool {
    let via = format!("SIP/2.0/{} ", transport.via_token());
    sent.by == transport && sent.header("Via").starts_with(&via)
}

#[test]
fn an_invite_above_1300_bytes_goes_over_tcp_with_everything_that_belongs_to_it() {
    let mut bench = wordy();
    let (_, invite) = bench.invite();
    assert!(invite.text.len() > 1300, "{}", invite.text.len());
    assert!(is_over(&invite, Transport::Tcp), "{}", invite.text);
    assert!(!invite.header("Contact").contains("transport="));
    opens(&mut bench);
    // TCP repeats what is lost; we do not.
    bench.wait(secs(3));
    bench.assert_silent();
    answers(&mut bench, &invite.answer(180, "a", ""));
    bench.wait(secs(4));
    let cancel = bench.take("CANCEL");
    assert!(is_over(&cancel, Transport::Tcp));
    assert_eq!(cancel.header("Via"), invite.header("Via"));
    answers(&mut bench, &cancel.answer(200, "a", ""));
    answers(&mut bench, &invite.answer(487, "a", ""));
    assert!(is_over(&bench.take("ACK"), Transport::Tcp));
    assert_eq!(bench.end().outcome, sip::CallOutcome::Rang);
    bench.assert_clean();
}

#[test]
fn a_200_to_it_is_acknowledged_and_hung_up_over_tcp() {
    let mut bench = wordy();
    let (_, invite) = bench.invite();
    opens(&mut bench);
    answers(&mut bench, &invite.answer(200, "a", "Contact: <sip:phone@192.0.2.10>\r\n"));
    let sent = bench.take_all();
    assert_eq!(sent.iter().map(Sent::kind).collect::<Vec<_>>(), ["ACK", "BYE"]);
    assert!(sent.iter().all(|sent| is_over(sent, Transport::Tcp)));
    answers(&mut bench, &sent[1].answer(200, "", ""));
    bench.assert_clean();
}

#[test]
fn where_tcp_is_refused_it_goes_by_udp_and_tcp_is_not_tried_again_for_ten_minutes() {
    let mut bench = wordy();
    let (_, invite) = bench.invite();
    fails(&mut bench, TransportError::Refused);
    let fallen_back = bench.take("INVITE");
    assert!(is_over(&fallen_back, Transport::Udp), "{}", fallen_back.text);
    assert_eq!((fallen_back.branch(), fallen_back.cseq()), (invite.branch(), 1));
    bench.wait(ms(500));
    assert_eq!(bench.take("INVITE").text, fallen_back.text);
    bench.receive(&fallen_back.answer(486, "a", ""));
    assert!(is_over(&bench.take("ACK"), Transport::Udp));
    assert_eq!(bench.end().outcome, sip::CallOutcome::Busy);
    bench.wait(secs(300));
    bench.place(call_request(2));
    let second = bench.take("INVITE");
    assert!(is_over(&second, Transport::Udp));
    bench.receive(&second.answer(486, "a", ""));
    bench.take("ACK");
    bench.wait(secs(301));
    bench.place(call_request(3));
    assert!(is_over(&bench.take("INVITE"), Transport::Tcp));
}

#[test]
fn a_connection_that_breaks_under_a_large_invite_may_have_carried_it() {
    let mut bench = wordy();
    let (_, invite) = bench.invite();
    opens(&mut bench);
    bench.ua.handle_connection(bench.now, ConnectionHandle(1), ConnectionChange::Closed);
    bench.drain();
    let again = bench.take("INVITE");
    assert!(is_over(&again, Transport::Tcp));
    assert_eq!(again.text, invite.text);
}

#[test]
fn of_many_targets_that_refuse_tcp_the_oldest_is_forgotten() {
    const REMEMBERED: u8 = 64;
    let mut bench = wordy();
    for nth in 0..=REMEMBERED {
        bench.ua.set_targets(bench.now, bench.trunk, vec![Target::udp(nth_target(nth))]);
        bench.drain();
        bench.place(call_request(nth));
        assert!(is_over(&bench.take("INVITE"), Transport::Tcp));
        let remote = Remote { address: nth_target(nth), ..far_end(None) };
        let (trunk, kind) = (bench.trunk, TransportError::Refused);
        let failed = ConnectionChange::Failed { remote, trunk, kind };
        bench.ua.handle_connection(bench.now, ConnectionHandle(1), failed);
        bench.drain();
        assert!(is_over(&bench.take("INVITE"), Transport::Udp));
    }
    for (nth, transport) in [(1, Transport::Udp), (0, Transport::Tcp)] {
        bench.ua.set_targets(bench.now, bench.trunk, vec![Target::udp(nth_target(nth))]);
        bench.drain();
        bench.place(call_request(100 + nth));
        assert!(is_over(&bench.take("INVITE"), transport), "{nth}");
    }
}

fn nth_target(nth: u8) -> std::net::SocketAddr {
    address(&format!("192.0.2.{}:5060", 100 + nth))
}

#[test]
fn a_call_that_is_not_wanted_any_more_does_not_fall_back() {
    let mut bench = wordy();
    let (call, _) = bench.invite();
    bench.hang_up(call);
    fails(&mut bench, TransportError::Refused);
    bench.assert_silent();
    assert_eq!(bench.ends().len(), 1);
    bench.assert_clean();
}

#[test]
fn the_port_of_its_connection_is_no_port_of_the_trunk() {
    let mut bench = wordy();
    let (_, invite) = bench.invite();
    opens(&mut bench);
    let seen = ";rport=49152;received=203.0.113.9;";
    answers(&mut bench, &invite.answer(486, "a", "").replace(";rport;", seen));
    bench.take("ACK");
    bench.place(call_request(2));
    assert!(bench.take("INVITE").header("Contact").contains("@198.51.100.7:5060"));
}

#[test]
fn an_invite_that_fits_stays_a_datagram() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    assert!(is_over(&invite, Transport::Udp));
}

/// A trunk that takes texts.
fn texting(change: impl FnOnce(&mut TrunkSettings)) -> Bench {
    let mut settings = trunk_settings();
    settings.sms = true;
    change(&mut settings);
    Bench::with(settings)
}

/// How each text ended: its status, or the bytes by which it was too long.
fn text_ends(bench: &Bench) -> Vec<(MessageHandle, Result<Option<u16>, usize>)> {
    let end = |event: &Event| match event {
        Event::MessageEnded(MessageSummary { message, status, .. }) => {
            Some((*message, Ok(*status)))
        }
        Event::MessageTooLong { message, excess } => Some((*message, Err(*excess))),
        _ => None,
    };
    bench.events.iter().filter_map(end).collect()
}

#[test]
fn a_text_above_1300_bytes_goes_over_tcp_and_so_does_its_answer_to_a_challenge() {
    let mut bench = texting(|_| {});
    let words = "ж".repeat(600);
    let text = bench.send_text(1, &words).unwrap();
    let first = bench.take("MESSAGE");
    assert!(first.text.len() > 1300 && is_over(&first, Transport::Tcp), "{}", first.text);
    assert_eq!(first.body(), words);
    opens(&mut bench);
    // TCP repeats what is lost; we do not.
    bench.wait(secs(5));
    bench.assert_silent();
    answers(&mut bench, &first.answer(407, "p", PROXY_CHALLENGE));
    let second = bench.take("MESSAGE");
    assert!(is_over(&second, Transport::Tcp));
    answers(&mut bench, &second.answer(202, "m", ""));
    assert_eq!(text_ends(&bench), [(text, Ok(Some(202)))]);
    bench.assert_clean();
}

#[test]
fn where_tcp_is_refused_it_is_told_as_too_long_and_the_next_one_is_not_tried() {
    let mut bench = texting(|_| {});
    let words = "ж".repeat(600);
    let text = bench.send_text(1, &words).unwrap();
    bench.take("MESSAGE");
    fails(&mut bench, TransportError::Refused);
    bench.assert_silent();
    let ends = text_ends(&bench);
    let [(ended, Err(excess))] = ends[..] else { panic!("{ends:?}") };
    assert_eq!(ended, text);
    bench.assert_clean();
    assert_eq!(bench.send_text(2, &words), Err(SendMessageError::TooLong { excess }));
    bench.assert_silent();

    let fits = "ж".repeat(600 - excess.div_ceil(2));
    bench.send_text(3, &fits).unwrap();
    let first = bench.take("MESSAGE");
    assert!(is_over(&first, Transport::Udp));
    bench.receive(&first.answer(407, "p", PROXY_CHALLENGE));
    let second = bench.take("MESSAGE");
    assert!(second.text.len() <= 1300, "{}", second.text.len());
    assert!(bench.send_text(4, &format!("{fits}жж")).is_err());
    bench.receive(&second.answer(202, "m", ""));
    bench.assert_clean();

    bench.wait(secs(600));
    bench.send_text(5, &words).unwrap();
    assert!(is_over(&bench.take("MESSAGE"), Transport::Tcp));
}

#[test]
fn a_connection_that_breaks_under_a_large_text_may_have_carried_it() {
    let mut bench = texting(|_| {});
    let text = bench.send_text(1, &"ж".repeat(600)).unwrap();
    let first = bench.take("MESSAGE");
    opens(&mut bench);
    bench.ua.handle_connection(bench.now, ConnectionHandle(1), ConnectionChange::Closed);
    bench.drain();
    assert_eq!(bench.take("MESSAGE").text, first.text);
    fails(&mut bench, TransportError::Refused);
    assert_eq!(text_ends(&bench), [(text, Ok(None))]);
    bench.assert_clean();
}

#[test]
fn an_answer_to_a_challenge_that_grows_too_large_goes_over_tcp() {
    let mut bench = texting(|_| {});
    bench.send_text(1, &"ж".repeat(250)).unwrap();
    let first = bench.take("MESSAGE");
    assert!(is_over(&first, Transport::Udp));
    let nonce = "n".repeat(500);
    bench.receive(&first.answer(407, "p", &PROXY_CHALLENGE.replace("n1", &nonce)));
    let second = bench.take("MESSAGE");
    assert!(second.text.len() > 1300 && is_over(&second, Transport::Tcp), "{}", second.text);
}

#[test]
fn a_stream_carries_texts_up_to_64_kib() {
    for transport in [Transport::Tcp, Transport::Tls] {
        let mut bench = texting(|settings| {
            settings.transport = transport;
            settings.targets = vec![Target { transport, ..Target::udp(address(CARRIER)) }];
        });
        bench.send_text(1, &"ж".repeat(2000)).unwrap();
        assert!(is_over(&bench.take("MESSAGE"), transport));
        let refused = bench.send_text(2, &"ж".repeat(33_000));
        assert!(matches!(refused, Err(SendMessageError::TooLong { .. })), "{refused:?}");
        bench.assert_silent();
    }
}
