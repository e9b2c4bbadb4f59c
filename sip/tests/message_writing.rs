//! What the writer lets out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;

use dozvon_sip as sip;

use sip::message::{
    AddressValue, Framing, HeaderName, Method, Parser, SipUri, Status, UriValue, WriteFault, Writer,
};

/// An INVITE with one text in one place; the places are counted below.
fn invite(out: &mut Vec<u8>, place: usize, text: &str) -> Result<(), WriteFault> {
    let at = |wanted: usize, usual: &'static str| if place == wanted { text } else { usual };
    let uri =
        SipUri { user: Some(at(0, "100")), host: at(1, "h"), port: Some(5060), params: at(2, "") };
    let mut writer = Writer::request(out, Method::Other(at(3, "INVITE")), uri);
    writer.via(at(4, "UDP"), at(5, "192.0.2.1:5060"), at(6, "z9hG4bKa"), true);
    writer.number(HeaderName::MaxForwards, 70);
    writer.address(
        HeaderName::From,
        AddressValue {
            display: Some(at(7, "d")),
            uri: UriValue::Whole(at(8, "sip:a@b").as_bytes()),
            tag: Some(at(9, "t").as_bytes()),
            params: at(10, ""),
        },
    );
    writer.address(HeaderName::To, "sip:100@h");
    writer.call_id(at(11, "c").as_bytes());
    writer.cseq(1, Method::Other(at(3, "INVITE")));
    writer.header(HeaderName::Supported, at(12, "timer"));
    writer.header_bytes(HeaderName::UserAgent, at(13, "u").as_bytes());
    writer.named_header(at(14, "X-A"), at(15, "v"));
    writer.tokens(HeaderName::Require, [at(16, "r").as_bytes()].into_iter());
    writer.finish_with_body(at(17, "a/b"), b"body")
}

const PLACES: usize = 18;

fn line_count(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

#[test]
fn no_character_in_any_value_changes_the_number_of_lines() {
    let mut usual = Vec::new();
    invite(&mut usual, PLACES, "").unwrap();
    let mut parser = Parser::new();
    let (mut built, mut refused) = (0, 0);
    for place in 0..PLACES {
        for code in 0..=255 {
            // Places 2 and 10 hold parameters.
            let front = if matches!(place, 2 | 10) { ";a=" } else { "a" };
            let text = format!("{front}{}X: y", char::from(code));
            let mut out = b"before".to_vec();
            match invite(&mut out, place, &text) {
                Ok(()) => {
                    built += 1;
                    assert_eq!(line_count(&out), line_count(&usual), "place {place}, {text:?}");
                    let message = parser.parse(&out[6..], Framing::Datagram).unwrap();
                    assert_eq!(message.headers.len(), 12);
                    assert_eq!(message.body, b"body");
                    assert!(!matches!(code, 0 | 10 | 13), "place {place} let {code} out");
                }
                Err(_) => {
                    refused += 1;
                    assert_eq!(out, b"before", "place {place}, {text:?}");
                }
            }
        }
    }
    assert_eq!(built + refused, PLACES * 256);
    assert!(built > 1000, "{built} built");
}

#[test]
fn parameters_cannot_leave_their_place() {
    let contact = |params: &str| {
        let mut out = Vec::new();
        let mut writer = Writer::response(&mut out, Status::OK, "OK");
        let uri = UriValue::Whole(b"sip:a@b");
        let value = AddressValue { display: None, uri, tag: None, params };
        writer.address(HeaderName::Contact, value);
        writer.finish()
    };
    for good in ["", ";q=0.5;expires=60", ";+sip.instance=\"<urn:uuid:1>\"", ";a=[::1]"] {
        assert_eq!(contact(good), Ok(()), "{good}");
    }
    for bad in ["q=1", ";a,<sip:evil>", ";a=<x>", ";a=\"x", ";a=\"x\"y", ";a b", ";a=b c", ";=x"] {
        assert_eq!(contact(bad), Err(WriteFault::Params("Contact")), "{bad}");
    }
}

#[test]
fn a_writer_dropped_before_its_end_leaves_nothing() {
    let mut out = b"before".to_vec();
    let mut writer = Writer::request(&mut out, Method::Options, "sip:a@b");
    writer.number(HeaderName::MaxForwards, 70);
    drop(writer);
    assert_eq!(out, b"before");
}

#[test]
fn a_fault_is_kept_until_the_end() {
    let mut out = Vec::new();
    let mut writer = Writer::request(&mut out, Method::Options, "sip:a@b");
    writer.header(HeaderName::UserAgent, "a\r\nContact: <sip:evil@evil>");
    writer.number(HeaderName::MaxForwards, 70);
    assert_eq!(writer.finish(), Err(WriteFault::Control("User-Agent")));
    assert!(out.is_empty());
}

#[test]
fn crlf_in_a_caller_name_cannot_start_a_header() {
    let mut out = Vec::new();
    assert_eq!(invite(&mut out, 7, "a\r\nX: y"), Err(WriteFault::Control("From")));
    assert!(out.is_empty());
}

#[test]
fn display_names_and_user_parts_are_escaped() {
    let mut out = Vec::new();
    let mut writer = Writer::response(&mut out, Status::OK, "OK");
    let uri = SipUri { user: Some("a b@c:\"<\u{44f}"), host: "::1", port: None, params: ";lr" };
    let value =
        AddressValue { display: Some("q\"b\\e"), uri: uri.into(), tag: None, params: ";q=1" };
    writer.address(HeaderName::Contact, value);
    writer.finish().unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.contains("Contact: \"q\\\"b\\\\e\" <sip:a%20b%40c%3A%22%3C%D1%8F@[::1];lr>;q=1\r\n"),
        "{text}"
    );
}

const REQUEST: &str = "OPTIONS sip:a@b SIP/2.0\r\n\
    Via: SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bKa;RPORT;received=203.0.113.1;x=\"y\r\n z\" , SIP/2.0/TCP p\r\n\
    v: SIP/2.0/UDP q\r\nFrom:\r\n <sip:a@b>;tag=1\r\nTo: \"T\" <sip:c@d>\r\nCall-ID: x\r\n\
    CSeq: 1 OPTIONS\r\nTimestamp: 7\r\nContent-Length: 0\r\n\r\n";

fn reply(request: &str, status: Status) -> String {
    let source: SocketAddr = "192.0.2.77:5099".parse().unwrap();
    let mut out = Vec::new();
    let mut parser = Parser::new();
    let message = parser.parse(request.as_bytes(), Framing::Datagram).unwrap();
    let writer =
        Writer::reply(&mut out, &message.headers, status, status.phrase(), b"ours", source);
    writer.finish().unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_reply_copies_what_it_must_and_tells_where_the_request_came_from() {
    assert_eq!(
        reply(REQUEST, Status::OK),
        "SIP/2.0 200 OK\r\n\
         Via: SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bKa;x=\"y z\";received=192.0.2.77;rport=5099, SIP/2.0/TCP p\r\n\
         Via: SIP/2.0/UDP q\r\nFrom: <sip:a@b>;tag=1\r\nTo: \"T\" <sip:c@d>;tag=ours\r\nCall-ID: x\r\n\
         CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    );
}

#[test]
fn trying_has_no_tag_and_repeats_the_timestamp() {
    let text = reply(REQUEST, Status::TRYING);
    assert!(text.contains("\r\nTo: \"T\" <sip:c@d>\r\n") && text.contains("\r\nTimestamp: 7\r\n"));
}

#[test]
fn a_tag_that_is_there_is_not_replaced() {
    let text = reply(&REQUEST.replace("<sip:c@d>", "<sip:c@d>;TAG=theirs"), Status::OK);
    assert!(text.contains("\r\nTo: \"T\" <sip:c@d>;TAG=theirs\r\n"), "{text}");
}

#[test]
fn a_via_that_tells_the_truth_is_copied_byte_by_byte() {
    let via = "Via: SIP/2.0/UDP  192.0.2.77 ;branch= z9hG4bKa;;x";
    let start = REQUEST.find("Via:").unwrap();
    let end = REQUEST.find("v: ").unwrap();
    let request = format!("{}{via}\r\n{}", &REQUEST[..start], &REQUEST[end..]);
    assert!(reply(&request, Status::OK).contains(&format!("\r\n{via}\r\n")));
}
