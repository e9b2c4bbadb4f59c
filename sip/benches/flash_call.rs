//! What a flash call costs the user agent, without sockets: bytes while it rings, processor time
//! and allocations from its INVITE to its ACK. Digest is on.
//!
//! `cargo bench -p dozvon-sip --profile suite --bench flash_call`

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::alloc::System;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use dozvon_sip as sip;
use sip::{
    CallIdentity, CallRequest, CallerId, Event, Incoming, Remote, Secret, Settings, Target,
    TrunkHandle, TrunkSettings, UserAgent, UserPart,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CALLS: u32 = 20_000;
/// The most that a ringing call may keep.
const BYTES_LIMIT: usize = 1024;
/// Calls that are timed together: few, so that a busy machine leaves some batches undisturbed.
const BATCH: u32 = 50;

const CHALLENGE: &str = "Proxy-Authenticate: Digest realm=\"sip.example.ru\", \
    nonce=\"ZTQxNmM1Y2E0YzRjZjY0ZjI4ZGM5YzQ0\", algorithm=SHA-256, qop=\"auth\"\r\n";

struct Bench {
    ua: UserAgent,
    trunk: TrunkHandle,
    now: Instant,
    out: Vec<u8>,
    /// Time spent inside the user agent.
    spent: Duration,
}

impl Bench {
    fn new() -> Self {
        let now = Instant::now();
        let mut ua = UserAgent::new(Settings::new([1; 32]), [2; 32]);
        let user = UserPart::new("74951230000").unwrap();
        let mut settings =
            TrunkSettings::new("north", "sip.example.ru", user, address("198.51.100.7:5060"));
        settings.targets = vec![Target::udp(address("192.0.2.10:5060"))];
        settings.password = Some(Secret::new("secret"));
        let trunk = ua.add_trunk(now, settings);
        Self { ua, trunk, now, out: Vec::with_capacity(2048), spent: Duration::ZERO }
    }

    fn measure<R>(&mut self, act: impl FnOnce(&mut UserAgent) -> R) -> R {
        let start = Instant::now();
        let result = act(&mut self.ua);
        self.spent += start.elapsed();
        result
    }

    /// Everything that left, as text.
    fn sent(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let mut out = std::mem::take(&mut self.out);
            let transmit = self.measure(|ua| ua.poll_transmit(&mut out));
            if transmit.is_some() {
                all.push(String::from_utf8(out.clone()).unwrap());
            }
            self.out = out;
            if transmit.is_none() {
                return all;
            }
        }
    }

    fn events(&mut self) -> Vec<Event> {
        let mut all = Vec::new();
        while let Some(event) = self.measure(UserAgent::poll_event) {
            all.push(event);
        }
        all
    }

    fn receive(&mut self, packet: &str) {
        let (now, local) = (self.now, address("198.51.100.7:5060"));
        let source = Remote::udp(address("192.0.2.10:5060"));
        let bytes = packet.as_bytes();
        self.measure(|ua| ua.handle_packet(now, Incoming { source, local, bytes }));
    }

    /// Places a call and brings it to ringing; returns its last INVITE.
    fn ring(&mut self, number: u32) -> String {
        let mut identity = [3; 32];
        identity[..4].copy_from_slice(&number.to_be_bytes());
        let request = CallRequest {
            identity: CallIdentity(identity),
            called: UserPart::new("+79161234567").unwrap(),
            caller_id: CallerId::new(UserPart::new("+74951230042").unwrap()),
            ring_limit: Duration::from_secs(4),
            no_ring_limit: Duration::from_secs(12),
            call_limit: Duration::from_secs(25),
            no_answer_timeout: Duration::from_secs(6),
            media_port: 20_000,
        };
        let (now, trunk) = (self.now, self.trunk);
        self.measure(|ua| ua.place_call(now, trunk, request)).unwrap();
        let mut invite = self.sent().pop().unwrap();
        if !invite.contains("Proxy-Authorization") {
            self.receive(&answer(&invite, 407, CHALLENGE));
            invite = self.sent().pop().unwrap();
        }
        self.receive(&answer(&invite, 100, ""));
        self.receive(&answer(&invite, 180, ""));
        self.events();
        invite
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn answer(request: &str, status: u16, lines: &str) -> String {
    let mut answer = format!("SIP/2.0 {status} Said\r\n");
    for line in request.lines() {
        if line.starts_with("To:") && !line.contains("tag=") && status > 100 {
            answer.push_str(&format!("{line};tag=as5d3c2a7f\r\n"));
        } else if ["Via:", "From:", "To:", "Call-ID:", "CSeq:"]
            .iter()
            .any(|it| line.starts_with(it))
        {
            answer.push_str(&format!("{line}\r\n"));
        }
    }
    answer + lines + "Content-Length: 0\r\n\r\n"
}

fn bytes_of_a_ringing_call() -> usize {
    let mut bench = Bench::new();
    // What is made once is made before.
    bench.ring(CALLS);
    let region = Region::new(ALLOCATOR);
    for number in 0..CALLS {
        bench.ring(number);
    }
    let change = region.change();
    // A reallocation is counted in both.
    let held = change.bytes_allocated - change.bytes_deallocated;
    let held = held / CALLS as usize;
    drop(bench);
    held
}

/// Nanoseconds in the user agent for one whole call.
fn time_of_a_call() -> f64 {
    let mut bench = Bench::new();
    let mut ends = 0;
    let mut best = Duration::MAX;
    for batch in 0..CALLS / BATCH {
        bench.spent = Duration::ZERO;
        let invites: Vec<String> =
            (0..BATCH).map(|number| bench.ring(batch * BATCH + number)).collect();
        bench.now += Duration::from_secs(4);
        let now = bench.now;
        bench.measure(|ua| ua.handle_timeout(now));
        for (cancel, invite) in bench.sent().into_iter().zip(&invites) {
            assert!(cancel.starts_with("CANCEL "), "{cancel}");
            bench.receive(&answer(&cancel, 200, ""));
            bench.receive(&answer(invite, 487, ""));
        }
        assert_eq!(bench.sent().len(), BATCH as usize);
        ends += bench.events().iter().filter(|event| matches!(event, Event::Ended(_))).count();
        best = best.min(bench.spent);
    }
    assert_eq!(ends, CALLS as usize);
    best.as_nanos() as f64 / f64::from(BATCH)
}

fn main() -> ExitCode {
    let bytes = bytes_of_a_ringing_call();
    let time = time_of_a_call();
    println!("a ringing call keeps                {bytes:>8} bytes (at most {BYTES_LIMIT})");
    println!("a whole call takes                  {:>8.1} us in the user agent", time / 1000.0);
    if bytes <= BYTES_LIMIT { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
