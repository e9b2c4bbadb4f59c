//! Calls and texts from outside: whose they are, who calls whom, and what is told when.

use dozvon_sip as sip;
use sip::{
    CallRefusal, CalledSource, Caller, CallerSource, Event, IncomingCall, IncomingText,
    IncomingTextHandle, Network, Target, TextAnswer, TrunkSettings, UserPart,
};

use crate::bench::{Bench, CARRIER, address, secs, trunk_settings, user_agent_settings};

/// An address of the trunk's network that no name resolves to.
const GATEWAY: &str = "192.0.2.200:5060";

struct Request<'a> {
    method: &'a str,
    uri: &'a str,
    branch: &'a str,
    from: &'a str,
    to: &'a str,
    lines: &'a str,
    body: &'a [u8],
}

const CALL: Request<'static> = Request {
    method: "INVITE",
    uri: "sip:74951230000@198.51.100.7",
    branch: "1",
    from: "<sip:+79161234567@sip.example.ru>;tag=f",
    to: "<sip:+74951230001@sip.example.ru>",
    lines: "",
    body: b"",
};

const TEXT: Request<'static> = Request {
    method: "MESSAGE",
    lines: "Content-Type: text/plain;charset=UTF-8\r\n",
    body: "Да, это я".as_bytes(),
    ..CALL
};

impl Request<'_> {
    fn bytes(&self) -> Vec<u8> {
        let Self { method, uri, branch, from, to, lines, body } = self;
        let mut bytes = format!(
            "{method} {uri} SIP/2.0\r\n\
             Via: SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bK{branch}\r\n\
             Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: c-{branch}\r\n\
             CSeq: 7 {method}\r\n{lines}Content-Length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }
}

impl Bench {
    fn request(&mut self, request: &Request<'_>) {
        self.receive_from(CARRIER, &request.bytes());
    }

    fn calls(&self) -> Vec<&IncomingCall> {
        let found = self.events.iter().filter_map(|event| match event {
            Event::IncomingCall(call) => Some(call),
            _ => None,
        });
        found.collect()
    }

    fn texts(&self) -> Vec<&IncomingText> {
        let found = self.events.iter().filter_map(|event| match event {
            Event::IncomingText(text) => Some(text),
            _ => None,
        });
        found.collect()
    }

    fn answer_text(&mut self, text: IncomingTextHandle, answer: TextAnswer) {
        self.ua.answer_text(self.now, text, answer);
        self.drain();
    }
}

fn shown(user: &str, source: CallerSource) -> Caller {
    Caller::Shown { user: UserPart::new(user).unwrap(), source }
}

fn with_inbound(change: impl FnOnce(&mut sip::InboundSettings)) -> TrunkSettings {
    let mut settings = trunk_settings();
    change(&mut settings.inbound);
    settings
}

#[test]
fn a_call_is_refused_and_told_once_whatever_is_repeated() {
    let mut bench = Bench::new();
    bench.request(&CALL);
    bench.take("603");
    bench.request(&CALL);
    bench.take("603");
    bench.request(&Request { method: "CANCEL", ..CALL });
    bench.take("200");
    bench.request(&Request { method: "ACK", ..CALL });
    bench.assert_clean();
    let [call] = bench.calls()[..] else { panic!("{:?}", bench.events) };
    assert_eq!(call.trunk, bench.trunk);
    assert_eq!(call.called.as_ref().map(UserPart::reveal), Some("74951230000"));
    assert_eq!(call.caller, shown("+79161234567", CallerSource::From));
    assert_eq!(call.at, bench.start);
    assert_eq!(bench.ua.counters().incoming_calls, 1);
}

#[test]
fn the_refusal_is_the_one_that_the_trunk_names() {
    for (refusal, status) in [
        (CallRefusal::Decline, "603"),
        (CallRefusal::Busy, "486"),
        (CallRefusal::Unavailable, "480"),
    ] {
        let mut bench = Bench::with(with_inbound(|inbound| inbound.refusal = refusal));
        bench.request(&CALL);
        bench.take(status);
    }
}

#[test]
fn an_invite_inside_a_dialog_is_refused_and_is_no_call() {
    let mut bench = Bench::new();
    bench.request(&Request { to: "<sip:a@b>;tag=ours", ..CALL });
    bench.take("603");
    assert!(bench.calls().is_empty());
}

#[test]
fn the_called_number_is_the_first_that_the_order_finds() {
    let lines = "P-Called-Party-ID: <tel:+74951230002>\r\n\
                 Diversion: <sip:+74951230003@x>;reason=unconditional\r\n";
    let registered = "sip:account17@198.51.100.7:5060";
    let cases: [(&str, &[CalledSource], &str); 6] = [
        (CALL.uri, &[CalledSource::RequestLine, CalledSource::To], "74951230000"),
        (registered, &[CalledSource::RequestLine, CalledSource::PCalledPartyId], "+74951230002"),
        (registered, &[CalledSource::RequestLine, CalledSource::To], "+74951230001"),
        (registered, &[CalledSource::Diversion, CalledSource::To], "+74951230003"),
        (CALL.uri, &[CalledSource::To], "+74951230001"),
        (registered, &[CalledSource::RequestLine], ""),
    ];
    for (uri, order, digits) in cases {
        let mut bench = Bench::with(with_inbound(|inbound| inbound.called_from = order.into()));
        bench.request(&Request { uri, lines, ..CALL });
        let called = bench.calls()[0].called.clone();
        assert_eq!(called.as_ref().map_or("", UserPart::reveal), digits, "{uri} {order:?}");
    }
}

#[test]
fn the_calling_number_is_the_first_that_the_order_finds() {
    let pai = "P-Asserted-Identity: \"A\" <sip:+79990000001@x>, <tel:+79990000002>\r\n";
    let rpid = "Remote-Party-ID: <sip:+79990000003@x>;party=calling;privacy=off\r\n";
    let named = "P-Asserted-Identity: <sip:alice@x>, <tel:+79990000002>\r\n";
    let (vouched, older, written) =
        (CallerSource::PAssertedIdentity, CallerSource::RemotePartyId, CallerSource::From);
    let all = [vouched, older, written];
    let cases: [(&str, &[CallerSource], Caller); 6] = [
        (pai, &all, shown("+79990000001", vouched)),
        (rpid, &all, shown("+79990000003", older)),
        ("", &all, shown("+79161234567", written)),
        (named, &all, shown("+79990000002", vouched)),
        (pai, &[written], shown("+79161234567", written)),
        ("", &[vouched, older], Caller::Absent),
    ];
    for (lines, order, caller) in cases {
        let mut bench = Bench::with(with_inbound(|inbound| inbound.caller_from = order.into()));
        bench.request(&Request { lines, ..CALL });
        assert_eq!(bench.calls()[0].caller, caller, "{lines}{order:?}");
    }
}

#[test]
fn whoever_withholds_the_number_stays_hidden_although_the_trunk_knows_it() {
    let pai = "P-Asserted-Identity: <sip:+79990000001@x>\r\n";
    let hidden: [(&str, String); 5] = [
        (CALL.from, format!("{pai}Privacy: id\r\n")),
        (CALL.from, format!("{pai}Privacy: critical;ID\r\n")),
        ("\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=f", pai.into()),
        ("<sip:Anonymous@sip.example.ru>;tag=f", pai.into()),
        (CALL.from, "Remote-Party-ID: <sip:+79990000003@x>;privacy=full\r\n".into()),
    ];
    for (from, lines) in &hidden {
        let mut bench = Bench::new();
        bench.request(&Request { from, lines, ..CALL });
        assert_eq!(bench.calls()[0].caller, Caller::Hidden, "{from} {lines}");
    }
    for lines in ["Privacy: none\r\n", "Privacy: session\r\n"] {
        let mut bench = Bench::new();
        bench.request(&Request { lines, ..CALL });
        assert_ne!(bench.calls()[0].caller, Caller::Hidden, "{lines}");
    }
}

#[test]
fn a_network_of_the_trunk_may_call_and_may_answer_nothing() {
    let network = Network::parse("192.0.2.192/26").unwrap();
    let mut bench = Bench::with(with_inbound(|inbound| inbound.networks.push(network)));
    let (_, invite) = bench.invite();
    bench.receive_from(GATEWAY, invite.answer(180, "a", "").as_bytes());
    assert_eq!(bench.count(|event| matches!(event, Event::Ringing { .. })), 0);
    assert_eq!(bench.ua.counters().strangers, 1);
    bench.receive_from(GATEWAY, &CALL.bytes());
    assert_eq!(bench.take("603").to, address(GATEWAY));
    assert_eq!(bench.calls().len(), 1);
    bench.receive_from("192.0.2.100:5060", &CALL.bytes());
    bench.assert_silent();
    assert_eq!((bench.calls().len(), bench.ua.counters().strangers), (1, 2));
}

#[test]
fn of_two_trunks_behind_one_address_the_line_token_chooses_then_the_user() {
    let north = "0123456789abcdef";
    let south = "fedcba9876543210";
    let trunk = |name: &str, user: &str, line: &str| {
        let user = UserPart::new(user).unwrap();
        let mut settings =
            TrunkSettings::new(name, "sip.example.ru", user, address("198.51.100.7:5060"));
        settings.targets = vec![Target::udp(address(CARRIER))];
        settings.line = Some(line.to_owned());
        settings
    };
    let mut bench = Bench::with(trunk("north", "100", north));
    let other = bench.ua.add_trunk(bench.now, trunk("south", "200", south));
    bench.drain();
    let (first, second) = (bench.trunk, other);
    for (number, (uri, owner)) in [
        (format!("sip:100@198.51.100.7;line={south}"), second),
        (format!("sip:200@198.51.100.7;line={north}"), first),
        ("sip:200@198.51.100.7;line=another".to_owned(), second),
        ("sip:100@198.51.100.7".to_owned(), first),
        ("sip:300@198.51.100.7".to_owned(), first),
    ]
    .into_iter()
    .enumerate()
    {
        bench.request(&Request { uri: &uri, branch: &number.to_string(), ..CALL });
        assert_eq!(bench.calls().last().map(|call| call.trunk), Some(owner), "{uri}");
    }
}

#[test]
fn a_trunk_that_wants_its_token_takes_nothing_without_it_and_a_token_lets_no_stranger_in() {
    let line = "0123456789abcdef";
    let mut settings = with_inbound(|inbound| inbound.addresses = false);
    settings.line = Some(line.to_owned());
    let mut bench = Bench::with(settings);
    bench.request(&CALL);
    bench.take("404");
    bench.request(&Request { branch: "2", ..TEXT });
    bench.take("404");
    assert_eq!((bench.calls().len(), bench.ua.counters().unmatched), (0, 2));
    let uri = format!("sip:74951230000@198.51.100.7;line={line}");
    let right = Request { uri: &uri, branch: "3", ..CALL };
    bench.receive_from("203.0.113.66:5060", &right.bytes());
    bench.assert_silent();
    bench.request(&right);
    bench.take("603");
    assert_eq!(bench.calls().len(), 1);
}

#[test]
fn a_text_is_answered_when_it_is_stored_and_not_before() {
    let mut bench = Bench::new();
    bench.request(&TEXT);
    bench.wait(secs(2));
    bench.request(&TEXT);
    bench.assert_silent();
    let text = (*bench.texts()[0]).clone();
    assert_eq!((text.body.as_str(), &text.call_id[..], text.cseq), ("Да, это я", &b"c-1"[..], 7));
    assert_eq!(text.called.as_ref().map(UserPart::reveal), Some("74951230000"));
    assert_eq!(text.caller, shown("+79161234567", CallerSource::From));
    assert!(!format!("{text:?}").contains("это"));
    bench.answer_text(text.text, TextAnswer::Accepted);
    let answer = bench.take("202");
    assert_eq!((answer.header("CSeq"), answer.header("Server")), ("7 MESSAGE", "Dozvon"));
    assert_eq!(answer.header("Content-Length"), "0");
    bench.answer_text(text.text, TextAnswer::NotFound);
    bench.assert_silent();
    bench.request(&TEXT);
    assert_eq!(bench.take("202").text, answer.text);
    assert_eq!(bench.texts().len(), 1);
    bench.assert_clean();
}

#[test]
fn each_answer_to_a_text_has_its_status() {
    for (answer, status) in [
        (TextAnswer::Accepted, "202"),
        (TextAnswer::NotFound, "404"),
        (TextAnswer::Unavailable, "503"),
    ] {
        let mut bench = Bench::new();
        bench.request(&TEXT);
        let text = bench.texts()[0].text;
        bench.answer_text(text, answer);
        let sent = bench.take(status);
        assert_eq!(sent.find("Retry-After").is_some(), status == "503");
    }
}

#[test]
fn a_text_that_nobody_answers_is_told_480_in_time() {
    let mut bench = Bench::new();
    bench.request(&TEXT);
    let text = bench.texts()[0].text;
    let sent = bench.wait_for("480", secs(9));
    assert_eq!((sent.at, sent.header("Retry-After")), (secs(8), "10"));
    bench.answer_text(text, TextAnswer::Accepted);
    bench.assert_silent();
    assert_eq!(bench.ua.counters().texts_unanswered, 1);
    bench.assert_clean();
}

#[test]
fn texts_that_wait_are_bounded_and_one_more_is_told_503() {
    let mut settings = user_agent_settings();
    settings.max_incoming_texts = 2;
    let mut bench = Bench::build(settings, trunk_settings());
    for branch in ["1", "2", "3"] {
        bench.request(&Request { branch, ..TEXT });
    }
    bench.take("503");
    assert_eq!(bench.texts().len(), 2);
    let first = bench.texts()[0].text;
    bench.answer_text(first, TextAnswer::Accepted);
    bench.take("202");
    bench.request(&Request { branch: "4", ..TEXT });
    assert_eq!(bench.texts().len(), 3);
}

#[test]
fn a_text_that_cannot_be_read_is_refused_with_a_reason() {
    let plain = TEXT.lines;
    let cases: [(&str, &[u8], &str, &str); 8] = [
        ("Content-Type: text/html\r\n", b"<b>a</b>", "415", "Accept"),
        ("Content-Type: application/im-iscomposing+xml\r\n", b"<a/>", "415", "Accept"),
        ("Content-Type: text/plain\r\nContent-Encoding: gzip\r\n", b"a", "415", "Accept-Encoding"),
        ("Content-Type: text/plain;charset=koi8-r\r\n", b"abc", "488", "Warning"),
        (plain, b"\xc4\xe0", "488", "Warning"),
        (plain, b"a\0b", "488", "Warning"),
        (plain, b"", "488", "Warning"),
        (
            "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n",
            b"YQ==",
            "488",
            "Warning",
        ),
    ];
    for (lines, body, status, field) in cases {
        let mut bench = Bench::new();
        bench.request(&Request { lines, body, ..TEXT });
        let answer = bench.take(status);
        assert!(answer.find(field).is_some(), "{}", answer.text);
        assert!(bench.texts().is_empty());
    }
    let mut bench = Bench::new();
    let long = vec![b'a'; 8193];
    bench.request(&Request { body: &long, ..TEXT });
    bench.take("513");
    bench.request(&Request { body: &long[1..], branch: "2", ..TEXT });
    assert_eq!(bench.texts().len(), 1);
}

#[test]
fn a_text_inside_a_dialog_belongs_to_none() {
    let mut bench = Bench::new();
    bench.request(&Request { to: "<sip:a@b>;tag=x", ..TEXT });
    bench.take("481");
}

#[test]
fn a_bye_of_our_own_call_is_answered_200_and_any_other_481() {
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    let bye = |call_id: &str, branch: &'static str| {
        let request = Request { method: "BYE", branch, ..CALL };
        let text = String::from_utf8(request.bytes()).unwrap();
        text.replace(&format!("Call-ID: c-{branch}"), &format!("Call-ID: {call_id}"))
    };
    bench.receive(&bye(invite.header("Call-ID"), "1"));
    bench.take("200");
    bench.receive(&bye("0123456789abcdef", "2"));
    bench.take("481");
}
