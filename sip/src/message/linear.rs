//! The work for the worst messages grows with their size and no faster, counted in bytes looked at.

use std::net::SocketAddr;

use super::scan::work;
use super::{Framing, HeaderName, MESSAGE_LIMIT, Message, Parser, Status, Writer};
use crate::auth;

const KIB: usize = 1024;

/// However bad the message, no byte of it is looked at more often than this, all views asked for.
const LOOKS_PER_BYTE: usize = 20;

/// A shape: its name, what stands in front, what is repeated, what stands behind.
type Shape = (&'static str, &'static str, &'static str, &'static str);

const SHAPES: [Shape; 22] = [
    ("headers", "", "X: y\r\n", ""),
    ("one name", "", "Route: <sip:a>\r\n", ""),
    ("folds", "X: y", "\r\n ", "z\r\n"),
    ("folds of quotes", "Contact: \"", "\r\n \\\"", "\" <sip:a>\r\n"),
    ("spaces", "X: ", " ", "y\r\n"),
    ("spaces in front of a colon", "X", " ", ": y\r\n"),
    ("vias", "Via: SIP/2.0/UDP a", ",SIP/2.0/UDP a", "\r\n"),
    ("via parameters", "Via: SIP/2.0/UDP a", ";b", "\r\n"),
    ("via spaces", "Via: SIP/2.0/UDP", " ", "a\r\n"),
    ("routes", "Route: <sip:a>", ",<sip:a;lr>", "\r\n"),
    ("contacts", "Contact: sip:a", ",sip:a", "\r\n"),
    ("empty elements", "Contact: sip:a", ",", "\r\n"),
    ("contact parameters", "Contact: <sip:a>", ";a=b", "\r\n"),
    ("empty parameters", "Contact: <sip:a>", ";", "\r\n"),
    ("uri parameters", "Contact: <sip:a", ";a=b", ">\r\n"),
    ("uri escapes", "Contact: <sip:", "%41", "@b>\r\n"),
    ("quotes", "Contact: ", "\"a\" ", "<sip:a>\r\n"),
    ("an open quote", "Contact: \"", "\\\"", "\r\n"),
    ("open brackets", "Contact: ", "<", "\r\n"),
    ("challenges", "WWW-Authenticate: Digest a=b", ", Digest a=\"b\"", "\r\n"),
    ("challenge parameters", "WWW-Authenticate: Digest a=b", ",a=\"\\\"\"", "\r\n"),
    ("tokens", "Require: a", ",a", "\r\n"),
];

fn message(shape: &Shape, size: usize) -> Vec<u8> {
    let (_, front, repeated, behind) = shape;
    let start = "OPTIONS sip:a SIP/2.0\r\n";
    let keys =
        "Via: SIP/2.0/UDP a\r\nFrom: <sip:a>\r\nTo: <sip:b>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n";
    // A Via of the shape's own stands in front, so that it is the topmost.
    let fixed = start.len() + front.len() + behind.len() + keys.len() + 2;
    let count = (size - fixed) / repeated.len();
    let text = [start, front, &repeated.repeat(count), behind, keys, "\r\n"].concat();
    assert!(text.len() <= MESSAGE_LIMIT);
    text.into_bytes()
}

/// Everything that anybody could ask of a message.
fn ask_all(message: &Message<'_>) {
    let headers = message.headers;
    for via in headers.vias().flatten() {
        via.is_rfc3261();
    }
    for name in [HeaderName::Contact, HeaderName::Route] {
        for address in headers.addresses(name).flatten() {
            address.tag();
            address.expires_s();
            address.q_thousandths();
            address.display_text();
            if let Ok(uri) = address.uri() {
                uri.transport();
                uri.is_equivalent(&uri);
            }
        }
    }
    headers.has_contact_star();
    headers.q850();
    headers.get_named("y");
    assert!(!headers.has_token(HeaderName::Require, "b"));
    for (_, value) in auth::challenges(message) {
        auth::Challenges::new(value).count();
    }
}

fn looks(bytes: &[u8]) -> usize {
    let source: SocketAddr = "192.0.2.1:5060".parse().unwrap();
    let mut out = Vec::new();
    work::of(|| {
        let mut parser = Parser::new();
        let headers = match parser.parse(bytes, Framing::Datagram) {
            Ok(message) => {
                ask_all(&message);
                message.headers
            }
            Err(fault) => fault.headers,
        };
        let mut reply = Writer::reply(&mut out, &headers, Status::OK, "OK", b"tag", source);
        reply.copy_all(HeaderName::Route, &headers);
        let _: Result<(), _> = reply.finish();
    })
}

#[test]
fn work_grows_with_the_size_of_the_message_and_no_faster() {
    let mut wrong = Vec::new();
    for shape in &SHAPES {
        let sizes = [KIB, 16 * KIB, 64 * KIB];
        let counts = sizes.map(|size| looks(&message(shape, size)));
        println!("{:28} {counts:?}", shape.0);
        for (size, count) in sizes.iter().zip(counts) {
            if count > LOOKS_PER_BYTE * size {
                wrong.push(format!("{}: {count} looks at {size} bytes", shape.0));
            }
        }
        // Four times the bytes, four times the work, and a little for what does not grow.
        if counts[2] > counts[1] * 9 / 2 {
            wrong.push(format!("{}: {counts:?}", shape.0));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
