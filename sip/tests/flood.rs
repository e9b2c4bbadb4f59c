//! A flood at our user-agent server while calls are up: nothing is allocated for strangers, little
//! for a trunk, and no call is lost.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::alloc::System;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dozvon_sip as sip;
use sip::{
    CallIdentity, CallOutcome, CallRequest, CallerId, Event, Incoming, Remote, Settings, Target,
    TrunkSettings, UserAgent, UserPart,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TRUNK: &str = "192.0.2.10:5060";
const STRANGER: &str = "203.0.113.66:5060";
const CALLS: u8 = 100;
const PACKETS_PER_SECOND: u32 = 50_000;
const SECONDS: u32 = 10;
/// What a flood may make us keep.
const MEMORY_LIMIT: usize = 16 << 20;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn receive(ua: &mut UserAgent, now: Instant, source: &str, bytes: &[u8]) {
    let source = Remote::udp(address(source));
    ua.handle_packet(now, Incoming { source, local: address("198.51.100.7:5060"), bytes });
}

fn sent(ua: &mut UserAgent) -> Vec<String> {
    let mut out = Vec::new();
    let mut all = Vec::new();
    while ua.poll_transmit(&mut out).is_some() {
        all.push(String::from_utf8(out.clone()).unwrap());
    }
    all
}

fn answer(request: &str, status: u16) -> String {
    let copied = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
    let lines: Vec<String> = request
        .lines()
        .filter(|line| copied.iter().any(|name| line.starts_with(name)))
        .map(|line| if line.starts_with("To:") { format!("{line};tag=a") } else { line.into() })
        .collect();
    format!("SIP/2.0 {status} Said\r\n{}\r\nContent-Length: 0\r\n\r\n", lines.join("\r\n"))
}

/// What scanners send, each with a branch of its own.
fn scan(number: u32) -> String {
    let (method, content) = match number % 4 {
        0 => ("OPTIONS", ""),
        1 => ("INVITE", ""),
        2 => ("MESSAGE", "Content-Type: text/plain\r\n"),
        _ => return format!("REGISTER sip:{number} SIP/2.0\r\nVia: nobody\r\n\r\n"),
    };
    let body = if content.is_empty() { "" } else { "free money" };
    format!(
        "{method} sip:100@198.51.100.7 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bK{number}\r\n\
         From: <sip:x@y>;tag=f\r\nTo: <sip:100@198.51.100.7>\r\nCall-ID: {number}\r\n\
         CSeq: 1 {method}\r\n{content}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A user agent with calls that ring, and their INVITEs.
fn ringing(start: Instant) -> (UserAgent, Vec<String>) {
    let mut ua = UserAgent::new(Settings::new([1; 32]), [2; 32]);
    let user = UserPart::new("74951230000").unwrap();
    let mut settings =
        TrunkSettings::new("north", "sip.example.ru", user, address("198.51.100.7:5060"));
    settings.targets = vec![Target::udp(address(TRUNK))];
    let trunk = ua.add_trunk(start, settings);
    for number in 0..CALLS {
        let request = CallRequest {
            identity: CallIdentity([number; 32]),
            called: UserPart::new("+79161234567").unwrap(),
            caller_id: CallerId::new(UserPart::new("+74951230042").unwrap()),
            ring_limit: Duration::from_secs(11),
            no_ring_limit: Duration::from_secs(12),
            call_limit: Duration::from_secs(25),
            no_answer_timeout: Duration::from_secs(6),
            media_port: 20_000,
        };
        ua.place_call(start, trunk, request).unwrap();
    }
    let invites = sent(&mut ua);
    assert_eq!(invites.len(), usize::from(CALLS));
    for invite in &invites {
        receive(&mut ua, start, TRUNK, answer(invite, 180).as_bytes());
    }
    while ua.poll_event().is_some() {}
    (ua, invites)
}

#[test]
fn threat_6_a_flood_costs_no_call_and_little_memory() {
    #[expect(clippy::disallowed_methods, reason = "the origin of virtual time")]
    let start = Instant::now();
    let (mut ua, invites) = ringing(start);

    let packet = scan(0);
    let region = Region::new(ALLOCATOR);
    for _ in 0..PACKETS_PER_SECOND {
        receive(&mut ua, start, STRANGER, packet.as_bytes());
    }
    let strangers = region.change();
    assert_eq!((strangers.allocations, strangers.reallocations), (0, 0));

    // One packet in five bears the trunk's own address; nobody acknowledges or answers anything.
    let mut most = 0;
    let mut calls = 0;
    for number in 0..PACKETS_PER_SECOND * SECONDS {
        let now = start + Duration::from_secs(1) * number / PACKETS_PER_SECOND;
        if ua.poll_timeout().is_some_and(|at| at <= now) {
            ua.handle_timeout(now);
        }
        let source = if number % 5 == 0 { TRUNK } else { STRANGER };
        receive(&mut ua, now, source, scan(number / 5).as_bytes());
        let _ = sent(&mut ua);
        while let Some(event) = ua.poll_event() {
            calls += u64::from(matches!(event, Event::IncomingCall(_)));
        }
        let change = region.change();
        most =
            most.max(change.bytes_allocated - change.bytes_deallocated.min(change.bytes_allocated));
    }
    let counters = ua.counters();
    println!(
        "{} packets in {SECONDS} s: at most {most} bytes more, {counters:?}",
        PACKETS_PER_SECOND * SECONDS
    );
    assert!(most < MEMORY_LIMIT, "{most} bytes");
    let allowed = u64::from(200 * (SECONDS + 1));
    assert_eq!(counters.incoming_calls, calls);
    assert!(0 < calls && calls + counters.incoming_texts < allowed);
    assert!(counters.strangers > u64::from(PACKETS_PER_SECOND * SECONDS) * 4 / 5);
    assert!(counters.requests_over_rate > 50_000);

    let now = start + Duration::from_secs(11);
    ua.handle_timeout(now);
    assert_eq!(sent(&mut ua).iter().filter(|it| it.starts_with("CANCEL")).count(), 100);
    for invite in &invites {
        receive(&mut ua, now, TRUNK, answer(invite, 487).as_bytes());
    }
    let mut rang = 0;
    while let Some(event) = ua.poll_event() {
        rang += usize::from(matches!(event, Event::Ended(end) if end.outcome == CallOutcome::Rang));
    }
    assert_eq!(rang, usize::from(CALLS));
}
