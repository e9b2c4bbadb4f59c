//! Reads three messages with their transaction keys typed, by our parser and by rsip, side by side.
//!
//! `cargo bench -p dozvon-tests --profile suite --bench parser`. It fails when ours allocates, and
//! when it is not five times as fast: both are the best of many short rounds taken in turns, so
//! that what else the machine does cancels out. Without optimisation the ratio says nothing.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::alloc::System;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use rsip::prelude::{HeadersExt, ToTypedHeader, UntypedHeader};
use sip::message::{Framing, Parser};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Many rounds, each shorter than a slice of the scheduler: the best ones were not interrupted.
const ROUNDS: usize = 400;
const READS: u32 = 200;
/// How many times as fast as rsip ours has to be.
const AIM: f64 = 5.0;
/// A machine that was busy during every one of so many rounds is given as many again, so often.
const TRIES: usize = 5;

const INVITE: &str = "INVITE sip:+79161234567@sip.example.ru:5060;transport=udp SIP/2.0\r\n\
    Via: SIP/2.0/UDP 198.51.100.7:5060;rport;branch=z9hG4bK5f3a9d0c7be84c1d9a6e2f10b7c4d8e3\r\n\
    Max-Forwards: 70\r\n\
    Route: <sip:edge1.sip.example.ru;lr>\r\n\
    From: \"Dozvon\" <sip:+74951230042@sip.example.ru>;tag=9f86d081884c7d65\r\n\
    To: <sip:+79161234567@sip.example.ru>\r\n\
    Call-ID: 2c26b46b68ffc68ff99b453c1d304134\r\n\
    CSeq: 101 INVITE\r\n\
    Contact: <sip:74951230042@198.51.100.7:5060;line=k3v9x1>\r\n\
    Expires: 25\r\n\
    Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, MESSAGE\r\n\
    Accept: application/sdp\r\n\
    Supported: timer\r\n\
    Session-Expires: 1800;refresher=uac\r\n\
    Min-SE: 90\r\n\
    Privacy: none\r\n\
    P-Asserted-Identity: <sip:+74951230042@sip.example.ru>\r\n\
    User-Agent: Dozvon/0.1.0\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: 203\r\n\
    \r\n\
    v=0\r\n\
    o=- 3915402 3915402 IN IP4 198.51.100.7\r\n\
    s=-\r\n\
    c=IN IP4 198.51.100.7\r\n\
    t=0 0\r\n\
    m=audio 20044 RTP/AVP 8 0 101\r\n\
    a=rtpmap:8 PCMA/8000\r\n\
    a=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\n\
    a=sendrecv\r\n";

const PROGRESS: &str = "SIP/2.0 183 Session Progress\r\n\
    Via: SIP/2.0/UDP 198.51.100.7:5060;received=198.51.100.7;rport=5060;branch=z9hG4bK5f3a9d0c7be84c1d9a6e2f10b7c4d8e3\r\n\
    Record-Route: <sip:203.0.113.9;lr;ftag=9f86d081884c7d65>\r\n\
    From: \"Dozvon\" <sip:+74951230042@sip.example.ru>;tag=9f86d081884c7d65\r\n\
    To: <sip:+79161234567@sip.example.ru>;tag=as5d3c2a7f\r\n\
    Call-ID: 2c26b46b68ffc68ff99b453c1d304134\r\n\
    CSeq: 101 INVITE\r\n\
    Contact: <sip:+79161234567@203.0.113.20:5080>\r\n\
    Server: Carrier SBC 7.2\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: 118\r\n\
    \r\n\
    v=0\r\n\
    o=- 77 77 IN IP4 203.0.113.30\r\n\
    s=-\r\n\
    c=IN IP4 203.0.113.30\r\n\
    t=0 0\r\n\
    m=audio 31000 RTP/AVP 8\r\n\
    a=rtpmap:8 PCMA/8000\r\n";

const CHALLENGE: &str = "SIP/2.0 401 Unauthorized\r\n\
    Via: SIP/2.0/UDP 198.51.100.7:5060;received=198.51.100.7;rport=5060;branch=z9hG4bK0c2d7a61f5be4f0e8d9b3c5a7e1f2d46\r\n\
    From: <sip:74951230000@sip.example.ru>;tag=7d793037a0760186\r\n\
    To: <sip:74951230000@sip.example.ru>;tag=b27e1a1d33761e85846fc98f5f3a7e58.1c9f\r\n\
    Call-ID: fcde2b2edba56bf408601fb721fe9b5c\r\n\
    CSeq: 7 REGISTER\r\n\
    WWW-Authenticate: Digest realm=\"sip.example.ru\", nonce=\"Zq9c2maFvK3t0s7E1bXw8uJhYdR5oPnL\", algorithm=MD5, qop=\"auth\"\r\n\
    Server: Carrier SBC 7.2\r\n\
    Content-Length: 0\r\n\
    \r\n";

fn main() -> ExitCode {
    let mut is_good = true;
    println!("transaction keys typed; ns are the best of {ROUNDS} rounds of {READS} reads");
    for (name, text) in [("INVITE", INVITE), ("183", PROGRESS), ("401", CHALLENGE)] {
        let bytes = text.as_bytes();
        agree(bytes);
        let mut parser = Parser::new();
        let (mut ours, mut theirs) = (f64::MAX, f64::MAX);
        for _ in 0..TRIES {
            // In turns, so that a busy machine slows both.
            for _ in 0..ROUNDS {
                ours = ours.min(ns(|| read_ours(&mut parser, black_box(bytes))));
                theirs = theirs.min(ns(|| read_theirs(black_box(bytes))));
            }
            if theirs / ours >= AIM {
                break;
            }
        }
        let our_allocations = allocations(|| read_ours(&mut parser, bytes));
        let their_allocations = allocations(|| read_theirs(bytes));
        let ratio = theirs / ours;
        println!(
            "{name:7} {:4} bytes   ours {ours:6.0} ns {our_allocations:3} allocations   \
             rsip {theirs:6.0} ns {their_allocations:3} allocations   {ratio:4.1} times",
            bytes.len()
        );
        is_good &= our_allocations == 0;
        if ratio < AIM {
            println!("FIGURE: {name} is read {ratio:.1} times as fast as by rsip, not {AIM} times");
            is_good &= !is_optimised();
        }
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The suite's profile has debug assertions, so only the folder tells: cargo calls the one of the
/// profile that does not optimise `debug`.
fn is_optimised() -> bool {
    let path = std::env::current_exe().unwrap_or_default();
    !path.iter().any(|part| part == "debug")
}

/// A sum over the keys, so that none of them is left unread.
type Keys = (usize, u32, usize, usize, usize);

fn read_ours(parser: &mut Parser, bytes: &[u8]) -> Keys {
    let message = parser.parse(bytes, Framing::Datagram).unwrap();
    (
        message.via.branch.unwrap().len(),
        message.cseq.number,
        message.call_id.len(),
        message.from.tag().unwrap().len(),
        message.to.tag().map_or(0, <[u8]>::len),
    )
}

fn read_theirs(bytes: &[u8]) -> Keys {
    let message = rsip::SipMessage::try_from(bytes).unwrap();
    let via = message.via_header().unwrap().typed().unwrap();
    let cseq = message.cseq_header().unwrap().typed().unwrap();
    let call_id = message.call_id_header().unwrap();
    let from = message.from_header().unwrap().typed().unwrap();
    let to = message.to_header().unwrap().typed().unwrap();
    (
        via.branch().unwrap().value().len(),
        cseq.seq,
        call_id.value().len(),
        from.tag().unwrap().value().len(),
        to.tag().map_or(0, |tag| tag.value().len()),
    )
}

/// Both see the same keys: nobody is fast by not reading.
fn agree(bytes: &[u8]) {
    assert_eq!(read_ours(&mut Parser::new(), bytes), read_theirs(bytes));
}

fn ns(mut read: impl FnMut() -> Keys) -> f64 {
    let start = Instant::now();
    for _ in 0..READS {
        black_box(read());
    }
    start.elapsed().as_nanos() as f64 / f64::from(READS)
}

fn allocations(mut read: impl FnMut() -> Keys) -> usize {
    let region = Region::new(ALLOCATOR);
    black_box(read());
    let change = region.change();
    change.allocations + change.reallocations
}
