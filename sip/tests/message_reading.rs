//! What the parser takes from sloppy carriers, and what it refuses from anybody.

use dozvon_sip as sip;

use sip::auth::{ChallengeKind, challenges};
use sip::message::{
    Fault, Framing, HEADER_SECTION_LIMIT, HEADERS_LIMIT, HeaderName, Host, MESSAGE_LIMIT, Method,
    Parser, Rport, Scheme, Start, Status, Uri, VIA_LIMIT, is_keep_alive,
};

const KEYS: &str = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\nFrom: <sip:a@b>;tag=1\r\n\
    To: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n";

/// An OPTIONS with these lines behind those that every message has.
fn options(lines: &str) -> String {
    format!("OPTIONS sip:a@b SIP/2.0\r\n{KEYS}{lines}\r\n")
}

fn fault(bytes: &[u8], framing: Framing) -> Option<Fault> {
    Parser::new().parse(bytes, framing).err().map(|fault| fault.fault)
}

fn datagram(text: &str) -> Option<Fault> {
    fault(text.as_bytes(), Framing::Datagram)
}

fn stream(text: &str) -> Option<Fault> {
    fault(text.as_bytes(), Framing::Stream)
}

#[test]
fn lines_may_end_in_lf_alone_on_a_datagram_but_not_on_a_stream() {
    let text = options("Supported: timer\r\n").replace("\r\n", "\n");
    assert_eq!(datagram(&text), None);
    assert_eq!(stream(&text), Some(Fault::BareLf));
}

#[test]
fn empty_lines_in_front_are_passed_over() {
    assert_eq!(datagram(&format!("\r\n\r\n{}", options(""))), None);
}

#[test]
fn names_are_read_in_any_case_compact_and_with_space_before_the_colon() {
    let text = "OPTIONS sip:a@b SIP/2.0\r\nV : SIP/2.0/UDP h\r\nfROM\t: sip:a@b\r\nt:sip:c@d\r\n\
        I: x\r\ncseq: 1 OPTIONS\r\nk:\r\n\r\n";
    let mut parser = Parser::new();
    let message = parser.parse(text.as_bytes(), Framing::Datagram).unwrap();
    assert_eq!(message.call_id, b"x");
    assert!(message.headers.has(HeaderName::Supported));
    assert_eq!(message.headers.tokens(HeaderName::Supported).count(), 0);
}

#[test]
fn a_line_end_before_the_colon_is_no_space() {
    let refused = "Content-Length\r\n : 5\r\n";
    assert_eq!(datagram(&options(refused)), Some(Fault::BadHeaderName));
    assert_eq!(datagram(&options("Content Length: 5\r\n")), Some(Fault::BadHeaderName));
    assert_eq!(datagram(&options(": 5\r\n")), Some(Fault::BadHeaderName));
    assert_eq!(datagram(&options("X\u{1}Y: 5\r\n")), Some(Fault::BadHeaderName));
    let first = format!("OPTIONS sip:a@b SIP/2.0\r\n folded\r\n{KEYS}\r\n");
    assert_eq!(datagram(&first), Some(Fault::FoldWithoutHeader));
}

#[test]
fn control_characters_stand_in_quoted_pairs_only() {
    assert_eq!(datagram(&options("Contact: \"\\\u{7}\\\u{0}\" <sip:a@b>\r\n")), None);
    for bad in
        ["X: a\u{0}b\r\n", "X: a\rb\r\n", "X: \"\u{0}\"\r\n", "X: \\\u{0}\r\n", "X: \u{7f}\r\n"]
    {
        assert_eq!(datagram(&options(bad)), Some(Fault::ControlCharacter), "{bad:?}");
    }
    assert_eq!(datagram(&options("X: a\tb\r\n")), None);
}

#[test]
fn cp1251_is_kept_in_display_name_and_reason_phrase() {
    let mut bytes =
        b"SIP/2.0 486 \xc7\xe0\xed\xff\xf2\xee\r\nContact: \xcf\xe5 <sip:a@b>\r\n".to_vec();
    bytes.extend_from_slice(KEYS.as_bytes());
    bytes.extend_from_slice(b"\r\n");
    let mut parser = Parser::new();
    let message = parser.parse(&bytes, Framing::Datagram).unwrap();
    let Start::Response { status, reason } = message.start else { panic!("a response") };
    assert_eq!((status.code(), reason), (486, &b"\xc7\xe0\xed\xff\xf2\xee"[..]));
    let contact = message.headers.contacts().next().unwrap().unwrap();
    assert_eq!(contact.display_text().unwrap(), &b"\xcf\xe5"[..]);
}

#[test]
fn status_lines_without_a_phrase_are_read() {
    for (line, status) in [("SIP/2.0 180", 180), ("SIP/2.0 180 ", 180), ("sip/2.0 699 x", 699)] {
        let text = format!("{line}\r\n{KEYS}\r\n");
        let mut parser = Parser::new();
        let message = parser.parse(text.as_bytes(), Framing::Datagram).unwrap();
        assert_eq!(message.status(), Status::new(status));
    }
    for line in ["SIP/2.0 99 x", "SIP/2.0 700 x", "SIP/2.0 0180 x", "SIP/2.0 18 x", "SIP/2.0  180"]
    {
        assert_eq!(
            datagram(&format!("{line}\r\n{KEYS}\r\n")),
            Some(Fault::BadStatusCode),
            "{line}"
        );
    }
    assert_eq!(datagram(&format!("SIP/3.0 200 OK\r\n{KEYS}\r\n")), Some(Fault::UnknownVersion));
}

#[test]
fn two_content_lengths_are_refused_even_when_they_agree() {
    let text = options("Content-Length: 0\r\nl: 0\r\n");
    assert_eq!(datagram(&text), Some(Fault::TwoContentLengths));
    for bad in ["-1", "+1", "0x1", "1,1", "99999999999999999999999999", "", "1 1"] {
        let text = options(&format!("Content-Length: {bad}\r\n"));
        assert_eq!(datagram(&text), Some(Fault::BadContentLength), "{bad}");
    }
}

#[test]
fn the_body_is_what_the_framing_says() {
    let text = format!("{}12345", options("Content-Length: 3\r\nContent-Type: a/b\r\n"));
    let mut parser = Parser::new();
    assert_eq!(parser.parse(text.as_bytes(), Framing::Datagram).unwrap().body, b"123");
    assert_eq!(stream(&text), Some(Fault::ContentLengthShortOfMessage));
    let text = format!("{}12", options("Content-Length: 3\r\n"));
    assert_eq!(datagram(&text), Some(Fault::ContentLengthBeyondMessage));
    let text = format!("{}12", options(""));
    assert_eq!(parser.parse(text.as_bytes(), Framing::Datagram).unwrap().body, b"12");
    assert_eq!(stream(&text), Some(Fault::Missing(HeaderName::ContentLength)));
    let huge = options("Content-Length: 2147483648\r\n");
    assert_eq!(datagram(&huge), Some(Fault::ContentLengthBeyondMessage));
}

#[test]
fn limits_are_exact() {
    let lines = |count: usize| options(&"X: y\r\n".repeat(count - 5));
    assert_eq!(datagram(&lines(HEADERS_LIMIT)), None);
    assert_eq!(datagram(&lines(HEADERS_LIMIT + 1)), Some(Fault::TooManyHeaders));
    let vias =
        |count: usize| options(&format!("v: {}\r\n", vec!["SIP/2.0/UDP a"; count - 1].join(",")));
    assert_eq!(datagram(&vias(VIA_LIMIT)), None);
    assert_eq!(datagram(&vias(VIA_LIMIT + 1)), Some(Fault::TooManyVias));
    let padded =
        |size: usize| options(&format!("X: {}\r\n", "y".repeat(size - options("X: \r\n").len())));
    assert_eq!(datagram(&padded(MESSAGE_LIMIT)), None);
    assert_eq!(datagram(&padded(MESSAGE_LIMIT + 1)), Some(Fault::MessageTooLong));
    assert_eq!(stream(&padded(HEADER_SECTION_LIMIT)), None);
    assert_eq!(stream(&padded(HEADER_SECTION_LIMIT + 100)), Some(Fault::HeaderSectionTooLong));
}

#[test]
fn every_prefix_of_a_message_is_refused_or_read_without_harm() {
    let text = format!("{}v=0\r\n", options("Contact: \"a\\\"b\" <sip:a@b;c>;d=\"e\"\r\nl: 5\r\n"));
    let mut read = 0;
    for end in 0..text.len() {
        read += usize::from(datagram(&text[..end]).is_none());
    }
    assert_eq!(read, 0, "a cut message was taken for a whole one");
    assert_eq!(datagram(&text), None);
}

#[test]
fn every_byte_at_every_place_does_no_harm() {
    let text =
        options("Contact: \"a\" <sip:a@b>;c=\"d\"\r\nRoute: <sip:e;lr>, <sip:f>\r\nl: 0\r\n");
    let mut parser = Parser::new();
    let mut cases = 0;
    for at in 0..text.len() {
        for byte in 0..=255 {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = byte;
            if let Ok(message) = parser.parse(&bytes, Framing::Datagram) {
                for address in message.headers.contacts().flatten() {
                    let _: Result<_, _> = address.uri();
                }
                assert_ne!(message.redacted().to_string(), "");
            }
            cases += 1;
        }
    }
    assert_eq!(cases, text.len() * 256);
}

#[test]
fn a_refusal_is_never_sent_to_an_ack_a_response_or_noise() {
    let answerable = |text: &str| {
        Parser::new().parse(text.as_bytes(), Framing::Datagram).unwrap_err().is_answerable()
    };
    let broken = options("l: x\r\n");
    assert!(answerable(&broken));
    assert!(!answerable(&broken.replace("OPTIONS", "ACK")));
    assert!(!answerable(&broken.replace("OPTIONS sip:a@b SIP/2.0", "SIP/2.0 200 OK")));
    assert!(!answerable(&broken.replace("Via", "Vai")));
    assert!(!answerable("hello"));
    assert!(!answerable("GET / HTTP/1.1\r\nVia: x\r\n\r\n"));
}

#[test]
fn keep_alives_are_known() {
    for bytes in [&b""[..], b"\r\n", b"\r\n\r\n", b"\0\0\0\0"] {
        assert!(is_keep_alive(bytes));
    }
    assert!(!is_keep_alive(b"ACK"));
}

#[test]
fn uris_of_all_kinds_are_split() {
    let uri = Uri::parse(b"sip:john.doe;x=1:pw@[2001:db8::1]:5070;lr;transport=foo?a=b").unwrap();
    assert!(uri.scheme == Scheme::Sip);
    assert_eq!(uri.user, Some(&b"john.doe;x=1"[..]));
    assert_eq!(uri.password, Some(&b"pw"[..]));
    assert!(uri.host == Some(Host::Address("2001:db8::1".parse().unwrap())));
    assert_eq!(uri.port, Some(5070));
    assert!(uri.is_loose_route());
    assert_eq!(uri.transport(), Some(&b"foo"[..]));
    assert_eq!(uri.headers, Some(&b"a=b"[..]));

    let tel = Uri::parse(b"tel:+7(916)123-45-67;phone-context=x").unwrap();
    assert_eq!((tel.user, tel.host), (Some(&b"+7(916)123-45-67"[..]), None));
    let secure = Uri::parse(b"SIPS:example.com").unwrap();
    assert!(secure.scheme == Scheme::Sips && secure.user.is_none());
    let withheld = Uri::parse(b"sip:@h").unwrap();
    assert!(withheld.user.is_none() && withheld.host == Some(Host::Name(b"h")));
    let other = Uri::parse(b"soap.beep://192.0.2.103:3002").unwrap();
    assert!(other.scheme == Scheme::Other(b"soap.beep"));

    for bad in [
        "",
        "sip",
        "sip:",
        "sip::p@h",
        "sip:a@",
        "sip:a@h:x",
        "sip:a@h:65536",
        "sip:a b@h",
        "sip:a@h@i",
        "sip:[::1",
        "sip:[::g]",
        "1:a",
        "tel:",
        "tel:x",
        "<sip:a>",
        "sip:a@h\0",
    ] {
        assert!(Uri::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn every_typed_view_reads_its_field() {
    let text = options(
        "Expires: 60\r\nMin-Expires: 120\r\nRetry-After: 18 (busy);duration=9\r\nMax-Forwards: 70\r\n\
         Content-Type: application/SDP;charset=x\r\nReason: SIP;cause=200, q.850 ;text=\"a;b\"; cause=16\r\n\
         RSeq: 7\r\nRAck: 7  101 INVITE\r\nSupported: timer, 100rel\r\nSupported: path\r\n\
         WWW-Authenticate: Digest realm=\"a\", nonce=\"b\"\r\nProxy-Authenticate: Digest realm=c\r\n\
         Diversion: <sip:x@y>\r\nAccept: text/plain;q=0, application/*\r\n\
         Contact: \"a, b\" <sip:a@b>;expires=30;q=0.5, <sip:c@d,e>\r\nContact: sip:f@g\r\n",
    );
    let mut parser = Parser::new();
    let message = parser.parse(text.as_bytes(), Framing::Datagram).unwrap();
    let headers = message.headers;
    assert_eq!(headers.expires_s(), Some(60));
    assert_eq!(headers.min_expires_s(), Some(120));
    assert_eq!(headers.retry_after_s(), Some(18));
    assert_eq!(headers.max_forwards(), Some(70));
    assert!(headers.content_type().unwrap().is("application", "sdp"));
    assert_eq!(headers.q850().unwrap().0, 16);
    assert_eq!(headers.rseq(), Some(7));
    let rack = headers.rack().unwrap();
    assert_eq!((rack.rseq, rack.cseq, rack.method), (7, 101, Method::Invite));
    assert!(headers.has_token(HeaderName::Supported, "100REL"));
    assert_eq!(headers.tokens(HeaderName::Supported).count(), 3);
    let askers: Vec<_> = challenges(&message).map(|(kind, _)| kind).collect();
    assert_eq!(askers, [ChallengeKind::Server, ChallengeKind::Proxy]);
    assert!(headers.is_diverted());
    let allows = |main, sub| headers.accepts().any(|range| range.allows(main, sub));
    assert!(allows("application", "sdp") && !allows("text", "plain"));
    let contacts: Vec<_> =
        headers.contacts().map(|contact| contact.unwrap().uri_raw.to_vec()).collect();
    assert_eq!(contacts, [&b"sip:a@b"[..], b"sip:c@d,e", b"sip:f@g"]);
    assert_eq!(headers.contacts().next().unwrap().unwrap().expires_s(), Some(30));
    assert_eq!(message.via.rport, Rport::Absent);
}

#[test]
fn hostile_numbers_are_what_rfc_3261_makes_of_them() {
    let view = |lines: &str| {
        let text = options(lines);
        let mut parser = Parser::new();
        let headers = parser.parse(text.as_bytes(), Framing::Datagram).unwrap().headers;
        (headers.expires_s(), headers.max_forwards(), headers.retry_after_s())
    };
    assert_eq!(view(""), (None, None, None));
    assert_eq!(
        view(
            "Expires: 99999999999999999999\r\nMax-Forwards: 256\r\nRetry-After: 99999999999999999999\r\n"
        ),
        (Some(3600), None, Some(u32::MAX))
    );
    assert_eq!(view("Expires: -1\r\nRetry-After: soon\r\n"), (Some(3600), None, None));
    assert_eq!(view("Expires: 60\r\nExpires: 61\r\n").0, Some(3600));
    assert_eq!(view("Expires: 60\r\nExpires: 60\r\n").0, Some(60));
}
