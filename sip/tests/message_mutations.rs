//! The messages of RFC 4475, bent at random: whatever is read can be answered, whatever is answered
//! can be read, and nothing breaks.

#![expect(clippy::disallowed_methods, reason = "a test reads its own files")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use dozvon_sip as sip;

use sip::auth::{Challenges, challenges};
use sip::message::{
    Framer, Framing, HeaderName, Headers, Message, ParseFault, Parser, Status, Writer,
};
use sip::server::check::{check_request, refuse, refuse_fault};

const SEED: u64 = 4475;
const CASES: usize = 20_000;

/// What is put in between, beside random bytes and pieces of the message itself.
const PIECES: [&[u8]; 18] = [
    b"\"", b"<", b">", b",", b";", b"=", b"\\", b"\r\n ", b"\r\n", b"%", b"@", b":", b"[", b"]",
    b"?", b"\0", b" ", b"\n",
];

fn below(rng: &mut ChaCha20Rng, limit: usize) -> usize {
    rng.next_u32() as usize % limit
}

fn bend(rng: &mut ChaCha20Rng, bytes: &mut Vec<u8>) {
    let at = below(rng, bytes.len());
    match below(rng, 4) {
        0 => bytes[at] = rng.next_u32() as u8,
        1 => {
            let piece = PIECES[below(rng, PIECES.len())];
            bytes.splice(at..at, piece.iter().copied());
        }
        2 => {
            bytes.remove(at);
        }
        _ => {
            let end = bytes.len().min(at + below(rng, 40));
            let copy = bytes[at..end].to_vec();
            let to = below(rng, bytes.len());
            bytes.splice(to..to, copy);
        }
    }
}

fn source() -> SocketAddr {
    "192.0.2.77:5099".parse().unwrap()
}

/// Asks for the views that a user agent asks for.
fn look_at(message: &Message<'_>) {
    assert!(!message.redacted().to_string().bytes().any(|byte| byte < b' ' && byte != b'\n'));
    for name in [HeaderName::From, HeaderName::Contact, HeaderName::Route] {
        for address in message.headers.addresses(name).flatten() {
            if let Ok(uri) = address.uri() {
                assert!(uri.is_equivalent(&uri), "{}", uri.raw().escape_ascii());
            }
        }
    }
    for (_, value) in challenges(message) {
        assert!(Challenges::new(value).count() <= value.len());
    }
}

/// Answers what can be answered, as the user agent does; the answer to a readable message must be
/// readable, have every Via, and a tag.
fn answer(result: &Result<Message<'_>, ParseFault<'_>>, out: &mut Vec<u8>) {
    match result {
        Err(fault) => {
            if let Some(written) = refuse_fault(out, fault, b"ours", source()) {
                written.unwrap();
            }
        }
        Ok(message) => {
            look_at(message);
            let headers = &message.headers;
            match check_request(message) {
                Err(rejection) => refuse(out, headers, rejection, b"ours", source()).unwrap(),
                Ok(()) => Writer::reply(out, headers, Status::OK, "OK", b"ours", source())
                    .finish()
                    .unwrap(),
            }
            assert_answer(headers, out);
        }
    }
}

fn assert_answer(request: &Headers<'_>, answer: &[u8]) {
    let mut parser = Parser::new();
    match parser.parse(answer, Framing::Datagram) {
        Ok(read) => {
            assert_eq!(read.headers.vias().count(), request.vias().count());
            assert!(read.to.params.get("tag").is_some());
        }
        Err(fault) => panic!("{:?} in our own {}", fault.fault, answer.escape_ascii()),
    }
}

#[test]
fn whatever_is_read_can_be_answered_and_the_answer_be_read() {
    println!("seed {SEED}");
    let mut rng = ChaCha20Rng::seed_from_u64(SEED);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rfc4475");
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "dat"));
    paths.sort();
    let originals: Vec<_> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    assert_eq!(originals.len(), 49);

    let mut parser = Parser::new();
    let mut out = Vec::new();
    let mut read = 0;
    for _ in 0..CASES {
        let mut bytes = originals[below(&mut rng, 49)].clone();
        for _ in 0..=below(&mut rng, 5) {
            bend(&mut rng, &mut bytes);
        }
        let framing = if below(&mut rng, 2) == 0 { Framing::Datagram } else { Framing::Stream };
        let result = parser.parse(&bytes, framing);
        read += usize::from(result.is_ok());
        out.clear();
        answer(&result, &mut out);
        let mut framer = Framer::new();
        framer.push(&bytes);
        while let Ok(Some(_)) = framer.next_piece() {}
    }
    assert!(read > CASES / 20, "only {read} of {CASES} were read: the bending is too hard");
}
