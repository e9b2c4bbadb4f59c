//! The entry points of the fuzz targets over bent inputs from a seed, so that each of them runs with
//! every test run and not only where a fuzzer is.

#![expect(clippy::disallowed_methods, reason = "a test reads its own files and starts a clock")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(unreachable_pub, reason = "the fuzz targets are packages of their own")]
#[path = "../../tests/fuzz/entry.rs"]
mod entry;

use std::fs;
use std::path::Path;
use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Inputs for each entry point.
const CASES: usize = 4_000;
/// Sequences of inputs into a user agent.
const SEQUENCES: u64 = 1_500;

const URIS: [&str; 6] = [
    "sip:john.doe@example.com",
    "sips:+7(916)123;x=y@[2001:db8::1]:5061;transport=tls?subject=a%20b",
    "tel:+79161234567;phone-context=x",
    "sip:%61%20b:secret@192.0.2.1;lr",
    "http://a/b",
    "sip:a",
];
const CHALLENGES: [&str; 4] = [
    "Digest realm=\"a\", nonce=\"b\", algorithm=SHA-256, qop=\"auth,auth-int\", opaque=\"c\"",
    "Digest realm=\"a\\\"b\",nonce=\"\",stale=TRUE, Basic realm=x, Digest realm=\"c\", nonce=d",
    "digest NONCE=\"b\" , REALM=\"a\" , algorithm = md5-sess, qop=auth",
    "Digest realm=a, nonce=b, algorithm=SHA-512-256",
];
const DESCRIPTIONS: [&str; 2] = [
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 \
     101\r\na=rtpmap:101 telephone-event/8000\r\na=sendonly\r\n",
    "v=0\no=a b 1 1 IN IP6 ::1\ns=\nm=video 1 RTP/AVP 31\nm=audio 5/2 RTP/AVP 97\nc=IN IP6 ::1/3\n\
     a=rtpmap:97 PCMA/8000/1\n",
];

fn below(rng: &mut ChaCha20Rng, limit: usize) -> usize {
    rng.next_u32() as usize % limit.max(1)
}

/// A few bytes changed, doubled or gone.
fn bent(rng: &mut ChaCha20Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = corpus[below(rng, corpus.len())].clone();
    for _ in 0..below(rng, 6) {
        let at = below(rng, bytes.len());
        match below(rng, 4) {
            _ if bytes.is_empty() => bytes.push(rng.next_u32() as u8),
            0 => bytes[at] = rng.next_u32() as u8,
            1 => bytes.insert(at, b"\"\\<>,;=:@%?[] \r\n\t\0"[below(rng, 18)]),
            2 => {
                bytes.remove(at);
            }
            _ => {
                let end = bytes.len().min(at + below(rng, 60));
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
        }
    }
    bytes
}

fn messages() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rfc4475");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "dat"))
        .collect();
    files.sort();
    assert_eq!(files.len(), 49, "the messages of RFC 4475");
    files.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

#[expect(clippy::print_stdout, reason = "a test shows its seed")]
fn run(name: &str, corpus: &[Vec<u8>], entry: impl Fn(&[u8])) {
    println!("{name}: seed 4475, {CASES} cases");
    let mut rng = ChaCha20Rng::seed_from_u64(4475);
    for bytes in corpus {
        entry(bytes);
    }
    for _ in 0..CASES {
        entry(&bent(&mut rng, corpus));
    }
}

#[test]
fn whatever_is_bent_in_a_message_breaks_nothing() {
    run("message", &messages(), entry::message);
}

#[test]
fn however_a_stream_is_cut_it_holds_the_same_messages() {
    let messages = messages();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let joined: Vec<Vec<u8>> = (0..40)
        .map(|_| {
            let mut stream = vec![rng.next_u32() as u8];
            for _ in 0..3 {
                stream.extend_from_slice(&messages[below(&mut rng, messages.len())]);
                stream.extend_from_slice([&b""[..], b"\r\n\r\n"][below(&mut rng, 2)]);
            }
            stream
        })
        .collect();
    run("stream", &joined, entry::stream);
}

#[test]
fn no_challenge_ends_the_line_of_its_answer() {
    run("challenge", &texts(&CHALLENGES), entry::challenge);
}

#[test]
fn no_uri_leaves_its_place() {
    run("uri", &texts(&URIS), entry::uri);
}

#[test]
fn no_session_description_breaks_anything() {
    run("sdp", &texts(&DESCRIPTIONS), entry::sdp);
}

#[test]
fn whatever_comes_in_whatever_order_each_call_ends_once_and_nothing_is_left() {
    let start = Instant::now();
    let extras = texts(&[
        "Require: 100rel\r\nRSeq: 1\r\n",
        "Require: 100rel\r\nRSeq: 2\r\n",
        "Proxy-Authenticate: Digest realm=\"a\", nonce=\"b\", qop=\"auth\"\r\n",
        "WWW-Authenticate: Digest realm=\"a\", nonce=\"c\", algorithm=SHA-256\r\n",
        "Unsupported: 100rel\r\n",
        "Min-SE: 90\r\n",
        "Record-Route: <sip:192.0.2.2;lr>, <sip:203.0.113.9>\r\n",
        "Content-Type: application/sdp\r\nContent-Length: 90\r\n\r\nv=0\r\nc=IN IP4 192.0.2.1\r\n\
         m=audio 4000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\na=sendrecv\r\n",
    ]);
    println!("user agent: seeds 0 to {SEQUENCES}");
    for seed in 0..SEQUENCES {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut sequence = Vec::new();
        for _ in 0..30 {
            let op = rng.next_u32() as u8;
            let is_answer = matches!(op % 9, 2 | 3);
            let argument = rng.next_u32() as u8;
            sequence.extend([op, argument]);
            if is_answer {
                let extra = bent(&mut rng, &extras);
                let length = extra.len().min(255);
                sequence.extend([below(&mut rng, 4) as u8, length as u8]);
                sequence.extend_from_slice(&extra[..length]);
            }
        }
        let played = std::panic::catch_unwind(|| entry::user_agent(start, &sequence));
        assert!(played.is_ok(), "seed {seed}");
    }
}
