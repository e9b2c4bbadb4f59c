//! The whole signalling path, the core and its driver over loopback UDP, TCP and TLS, against SIPp
//! as the carrier, with digest and 3 s of ringing; and SIPp itself as the caller, at the same rate
//! in the same run. Debian's SIPp speaks no TLS: a process of its own takes TLS off in front of it,
//! and SIPp as a TLS caller is missing.
//!
//! `cargo bench -p dozvon-tests --profile suite --bench signalling [-- CALLS CALLS_PER_SECOND]`.
//! Prints calls/s, CPU seconds for 1,000 calls, datagrams that the system dropped for want of room
//! in a socket's buffer, and bytes for a ringing call; judges nothing.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::alloc::System;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use config::{SipListen, TransportChoice};
use daemon::ids::CallId;
use daemon::ua_driver::{CallEnd, CallOrder, Driver, DriverSettings, TlsClient, TrunkSpec};
use dialplans::TrunkName;
use dozvon_tests::peers::{Peer, lacking};
use dozvon_tests::ports::{Port, tcp_is_bound, udp_is_bound};
use sip::message::{Framing, Parser, Status, Writer};
use sip::{
    CallIdentity, CallOutcome, CallRequest, CallerId, Incoming, Remote, Secret, Target, Transport,
    TrunkSettings, UserAgent, UserPart,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[path = "signalling/relay.rs"]
mod relay;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const RING: Duration = Duration::from_secs(3);
/// `/proc/…/stat` counts in hundredths of a second (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;
/// Bytes of SIPp's socket buffers: its own 64 KiB lose datagrams whenever the machine is busy.
const BUFFER: &str = "4194304";
const RINGING_CALLS: u32 = 10_000;

fn main() {
    if let Some(carrier) = relay::wanted() {
        return relay::run(carrier);
    }
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<u32>().ok());
    let calls = numbers.next().unwrap_or(6_000);
    let rate = numbers.next().unwrap_or(1_000);
    println!("bytes for a ringing call (the core alone): {}", bytes_of_a_ringing_call());
    if lacking(&[Peer::Sipp]) {
        return;
    }
    println!("{calls} flash calls at {rate}/s, digest on, ringing {} s", RING.as_secs());
    println!(
        "{:<10} {:<4} {:>9} {:>22} {:>8} {:>9} {:>8}",
        "caller", "over", "calls/s", "CPU s for 1,000 calls", "ok", "others", "dropped"
    );
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        row("dozvon", transport, calls, || dozvon(transport, calls, rate));
        if transport != Transport::Tls {
            row("sipp", transport, calls, || sipp(transport, calls, rate));
        }
    }
}

struct Measured {
    wall: Duration,
    cpu_s: f64,
    ok: u32,
}

fn row(name: &str, transport: Transport, calls: u32, measure: impl FnOnce() -> Measured) {
    let before = dropped();
    let measured = measure();
    let rate = f64::from(calls) / measured.wall.as_secs_f64();
    let cpu = measured.cpu_s / f64::from(calls) * 1000.0;
    let (over, others) = (transport.via_token(), calls - measured.ok);
    let (ok, dropped) = (measured.ok, dropped() - before);
    println!("{name:<10} {over:<4} {rate:>9.0} {cpu:>22.3} {ok:>8} {others:>9} {dropped:>8}");
}

/// Datagrams that found a receive buffer full, over the whole machine.
fn dropped() -> u64 {
    let table = std::fs::read_to_string("/proc/net/snmp").unwrap();
    let mut lines = table.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let mut pairs = names.split(' ').zip(values.split(' '));
    pairs.find(|(name, _)| *name == "RcvbufErrors").unwrap().1.parse().unwrap()
}

fn dozvon(transport: Transport, calls: u32, rate: u32) -> Measured {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let carrier = SippCarrier::start(transport);
        let relay = (transport == Transport::Tls).then(|| relay::Relay::start(carrier.address));
        let driver = match &relay {
            Some(relay) => driver(transport, relay.address, Some(relay.client("carrier.example"))),
            None => driver(transport, carrier.address, None),
        };
        let (before, start) = (cpu_s(Cpu::Own), Instant::now());
        // A task, as the use cases of the daemon are: from this thread each call would wake the
        // worker through the system, and be woken by it.
        let ok = tokio::spawn(place(driver, calls, rate)).await.unwrap();
        Measured { wall: start.elapsed(), cpu_s: cpu_s(Cpu::Own) - before, ok }
    })
}

/// Places the calls at their rate and tells how many went as they should.
async fn place(driver: Driver, calls: u32, rate: u32) -> u32 {
    let start = Instant::now();
    let mut watches = Vec::with_capacity(calls as usize);
    for n in 0..calls {
        tokio::time::sleep_until((start + Duration::from_secs(1) * n / rate).into()).await;
        watches.push(driver.reserve().unwrap().place_call(order(n)));
    }
    let mut ok = 0;
    for watch in watches {
        let end = tokio::time::timeout(Duration::from_secs(60), watch.ended).await;
        let rang = matches!(end, Ok(Ok(CallEnd::Ended(summary)))
            if summary.outcome == CallOutcome::Rang && summary.status == Some(487));
        ok += u32::from(rang);
    }
    ok
}

fn driver(transport: Transport, carrier: SocketAddr, tls: Option<TlsClient>) -> Driver {
    let any = "0.0.0.0:0".parse().unwrap();
    let user = UserPart::new("dozvon").unwrap();
    let mut settings = TrunkSettings::new("bench", "carrier.example", user, any);
    settings.transport = transport;
    settings.targets = vec![Target { transport, ..Target::udp(carrier) }];
    settings.password = Some(Secret::new("secret"));
    let transport = TransportChoice::Fixed(transport);
    let name = TrunkName::parse("bench").unwrap();
    let (driver, _task) = Driver::start(DriverSettings {
        listen: vec![SipListen {
            transport: Transport::Udp,
            address: "127.0.0.1:0".parse().unwrap(),
        }],
        tls: None,
        media_ports: Vec::new(),
        user_agent: sip::Settings::new([2; 32]),
        seed: [3; 32],
        trunks: vec![TrunkSpec { name, settings, calls_per_second: None, transport, tls }],
    })
    .unwrap();
    driver
}

fn order(n: u32) -> CallOrder {
    CallOrder {
        call_id: CallId(u128::from(n)),
        trunk: TrunkName::parse("bench").unwrap(),
        request: request(n),
        talk_limit: None,
    }
}

fn request(n: u32) -> CallRequest {
    let mut identity = [7; 32];
    identity[..4].copy_from_slice(&n.to_be_bytes());
    CallRequest {
        identity: CallIdentity(identity),
        called: UserPart::new(&format!("+7916{n:07}")).unwrap(),
        caller_id: CallerId::new(UserPart::new(&format!("+7495123{:04}", n % 10_000)).unwrap()),
        ring_limit: RING,
        no_ring_limit: Duration::from_secs(12),
        call_limit: Duration::from_secs(25),
        no_answer_timeout: Duration::from_secs(6),
        media_port: 20_000,
    }
}

fn sipp(transport: Transport, calls: u32, rate: u32) -> Measured {
    let carrier = SippCarrier::start(transport);
    let (folder, port) = (scenarios(), Port::reserve());
    let (before, start) = (cpu_s(Cpu::Children), Instant::now());
    let status = Command::new(Peer::Sipp.path().unwrap())
        .args(["-sf", "caller.xml", "-i", "127.0.0.1", "-s", "+79161234567", "-nostdin"])
        .args(["-t", mode(transport), "-buff_size", BUFFER])
        .args(["-m", &calls.to_string(), "-r", &rate.to_string(), "-l", &calls.to_string()])
        .args(["-p", &port.number().to_string(), &carrier.address.to_string()])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    let cpu_s = cpu_s(Cpu::Children) - before;
    Measured { wall: start.elapsed(), cpu_s, ok: if status.success() { calls } else { 0 } }
}

/// SIPp as the carrier, ended when dropped.
struct SippCarrier {
    child: Child,
    address: SocketAddr,
    _port: Port,
}

impl SippCarrier {
    fn start(transport: Transport) -> Self {
        let port = Port::reserve();
        let address = port.address();
        let number = port.number();
        let mut child = Command::new(Peer::Sipp.path().unwrap())
            .args(["-sf", "carrier.xml", "-i", "127.0.0.1", "-bind_local", "-nostdin"])
            .args(["-p", &number.to_string(), "-t", mode(transport), "-buff_size", BUFFER])
            .current_dir(scenarios())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let limit = Instant::now() + Duration::from_secs(20);
        let listens = || match transport {
            Transport::Udp => udp_is_bound(number),
            Transport::Tcp | Transport::Tls => tcp_is_bound(number),
        };
        while !listens() {
            assert!(Instant::now() < limit, "sipp does not listen");
            assert!(child.try_wait().unwrap().is_none(), "sipp ended");
            std::thread::yield_now();
        }
        Self { child, address, _port: port }
    }
}

impl Drop for SippCarrier {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One socket for all calls.
fn mode(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "u1",
        Transport::Tcp | Transport::Tls => "t1",
    }
}

fn scenarios() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/sipp")
}

enum Cpu {
    Own,
    Children,
}

/// User and system time so far, from `/proc/self/stat`.
fn cpu_s(whose: Cpu) -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    // Fields 14 to 17 of proc(5); the first after the name is the third.
    let at = match whose {
        Cpu::Own => 11,
        Cpu::Children => 13,
    };
    let ticks = |place: usize| fields[place].parse::<f64>().unwrap();
    (ticks(at) + ticks(at + 1)) / TICKS_PER_SECOND
}

/// Places calls on a core whose carrier answers 180 at once, and asks the allocator.
fn bytes_of_a_ringing_call() -> usize {
    let carrier: SocketAddr = "192.0.2.1:5060".parse().unwrap();
    let local: SocketAddr = "192.0.2.9:5060".parse().unwrap();
    let now = Instant::now();
    let mut agent = UserAgent::new(sip::Settings::new([2; 32]), [3; 32]);
    let user = UserPart::new("dozvon").unwrap();
    let mut settings = TrunkSettings::new("bench", "carrier.example", user, local);
    settings.targets = vec![Target::udp(carrier)];
    let trunk = agent.add_trunk(now, settings);
    let (mut out, mut answer, mut parser) =
        (Vec::with_capacity(2048), Vec::with_capacity(2048), Parser::new());
    while agent.poll_event().is_some() {}
    let region = Region::new(ALLOCATOR);
    for n in 0..RINGING_CALLS {
        agent.place_call(now, trunk, request(n)).unwrap();
        out.clear();
        while agent.poll_transmit(&mut out).is_some() {}
        while agent.poll_event().is_some() {}
        answer.clear();
        let invite = parser.parse(&out, Framing::Datagram).unwrap();
        Writer::reply(&mut answer, &invite.headers, Status::RINGING, "Ringing", b"tag", local)
            .finish()
            .unwrap();
        let incoming = Incoming { source: Remote::udp(carrier), local, bytes: &answer };
        agent.handle_packet(now, incoming);
        while agent.poll_event().is_some() {}
    }
    let change = region.change();
    (change.bytes_allocated + bytes_grown(&change) - change.bytes_deallocated)
        / RINGING_CALLS as usize
}

/// What reallocations added; shrinking counts as zero here.
fn bytes_grown(change: &stats_alloc::Stats) -> usize {
    usize::try_from(change.bytes_reallocated).unwrap_or(0)
}
