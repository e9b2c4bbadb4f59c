//! Attacks on the trunk side over real sockets: what a carrier points at, a flood, slow and endless
//! messages. Their tests without sockets stand in `sip/tests/user_agent/threats.rs`.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dozvon_tests::capture::{Captured, requests};
use dozvon_tests::flood::{Flood, resident_bytes};
use dozvon_tests::gateway::{Engine, Gateway, Setup, last_call};
use dozvon_tests::peers::{figure, long_form};
use dozvon_tests::phones::{Phones, user};
use dozvon_tests::pointing::PointingCarrier;

const MIB: u64 = 1 << 20;
/// Calls that are up when the flood begins.
const CALLS: usize = 100;
/// Calls that are placed while it lasts.
const MORE_CALLS: usize = 10;
const PACKETS_PER_SECOND: u32 = 50_000;
/// Long enough for 100 phones to ring at once on a busy machine, short enough to end in the flood.
const RING_LIMIT_S: u8 = 10;
/// Requests that one trunk may send us in a second: more are not answered.
const ANSWERED_PER_SECOND: u64 = 200;
/// What a flood may make us keep.
const FLOOD_MEMORY: u64 = 16 * MIB;
/// What messages that never end may make us keep.
const STREAM_MEMORY: u64 = 4 * MIB;
/// What breaks a limit of size is cut off as it comes.
const AT_ONCE: u64 = 0;
/// Seconds in which a header section must end, and a body behind it.
const HEADER_LIMIT_S: u64 = 5;
const BODY_LIMIT_S: u64 = 10;
/// How much later a busy machine may cut off.
const LATE_S: u64 = 3;

#[tokio::test]
async fn threat_4_a_host_that_a_carrier_points_at_sees_no_packet() {
    let carrier = PointingCarrier::start().await;
    let setup = Setup::new(Engine::Sqlite).static_trunk("north", carrier.address());
    let gateway = Gateway::start(setup).await;
    let mut outcomes = BTreeSet::new();
    for number in 0..carrier.ways() {
        let created = gateway.verify(&format!("+7916700000{number}")).await;
        let seen = gateway.until_call_ended(created["id"].as_str().expect("an id")).await;
        outcomes.insert(last_call(&seen)["outcome"].as_str().unwrap_or_default().to_owned());
    }
    assert_eq!(carrier.packets_elsewhere(), 0, "packets to {}", carrier.elsewhere());
    let methods = carrier.methods();
    assert!(methods.contains("BYE") && methods.contains("CANCEL"), "{methods:?}");
    assert!(outcomes.contains("answered") && outcomes.contains("rang"), "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threat_6_fifty_thousand_packets_a_second_cost_no_call_and_little_memory() {
    let phones = Phones::ring().await;
    let setup = Setup::new(Engine::Sqlite)
        .quiet()
        .ring_limit_s(RING_LIMIT_S)
        .static_trunk("north", phones.address());
    let gateway = Gateway::start(setup).await;
    let up = verifications(&gateway, "+791671", CALLS).await;
    let ring = |messages: &[Captured]| callees(messages, "INVITE").len() >= CALLS;
    phones.until(Duration::from_secs(20), "INVITE for each call", ring).await;

    let before = resident_bytes(gateway.process_id());
    let seconds = if long_form() { 30 } else { 10 };
    let flood = Flood::at(gateway.sip(), PACKETS_PER_SECOND, Duration::from_secs(seconds));
    let begin = Instant::now();
    let more = verifications(&gateway, "+791672", MORE_CALLS).await;
    let answered_in = begin.elapsed();
    let mut most = 0;
    while flood.is_running() {
        tokio::time::sleep(Duration::from_millis(100)).await;
        most = most.max(resident_bytes(gateway.process_id()).saturating_sub(before));
    }
    let (sent, answers) = flood.end();
    for id in &up {
        let seen = gateway.until_call_ended(id).await;
        assert_eq!(last_call(&seen)["outcome"], "rang", "{seen:#}");
    }
    let mut rang = 0;
    for id in &more {
        let seen = gateway.until_call_ended(id).await;
        rang += usize::from(last_call(&seen)["outcome"] == "rang");
    }
    figure(&format!(
        "flood: {sent} packets in {seconds} s ({} a second), {CALLS} calls up all ended rightly, {rang} \
         of {MORE_CALLS} placed meanwhile in {answered_in:.1?} rang, {} packets answered, {} KiB more in \
         memory",
        sent / seconds,
        answers.to_forged.len(),
        most / 1024
    ));
    assert!(most < FLOOD_MEMORY, "{most} bytes");
    assert_eq!(answers.to_stranger, 0, "a stranger was answered");
    // The bucket is full at the beginning, and the last second may be a longer one.
    let answered = answers.to_forged.len() as u64;
    assert!(answered <= ANSWERED_PER_SECOND * (seconds + 2), "{answered} were answered");
    let released = |messages: &[Captured]| callees(messages, "ACK").len() >= CALLS;
    phones.until(Duration::from_secs(5), "ACK for each call", released).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threat_7_messages_that_are_slow_or_never_end_are_cut_off_and_keep_no_memory() {
    let phones = Phones::ring().await;
    let setup =
        Setup::new(Engine::Sqlite).quiet().listening("tcp").static_trunk("north", phones.address());
    let gateway = Gateway::start(setup).await;
    let sip = gateway.sip();
    // The trunk's own address connects: a stranger would be turned away at the door.
    let answer = tokio::task::spawn_blocking(move || asks(sip)).await.expect("it ends");
    assert!(answer.starts_with("SIP/2.0 200"), "{answer}");

    let before = resident_bytes(gateway.process_id());
    let head = "OPTIONS sip:a SIP/2.0\r\n";
    let endless: Arc<[u8]> =
        [head, "Content-Length: 2147483648\r\n\r\n"].concat().into_bytes().into();
    let folds: Arc<[u8]> = [head, "X: y"].concat().into_bytes().into();
    let body = [head, "Content-Length: 60000\r\n\r\n"].concat();
    let mut attacks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (endless, folds, body) = (Arc::clone(&endless), Arc::clone(&folds), body.clone());
        attacks.spawn_blocking(move || (AT_ONCE, pour(sip, &endless, &[0; 1024])));
        attacks.spawn_blocking(move || (AT_ONCE, pour(sip, &folds, b"\r\n z")));
        attacks.spawn_blocking(move || (HEADER_LIMIT_S, trickle(sip, "")));
        attacks.spawn_blocking(move || (BODY_LIMIT_S, trickle(sip, &body)));
    }
    let mut most = 0;
    let mut taken = Vec::new();
    while !attacks.is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        most = most.max(resident_bytes(gateway.process_id()).saturating_sub(before));
        while let Some(attack) = attacks.try_join_next() {
            taken.push(attack.expect("it was cut off"));
        }
    }
    assert_eq!(taken.len(), 16);
    for (limit, time) in &taken {
        let late = *limit + LATE_S;
        assert!((*limit..late).contains(&time.as_secs()), "{time:?} of {limit} s: {taken:?}");
    }
    let slowest = taken.iter().map(|(_, time)| *time).max().unwrap_or_default();
    figure(&format!(
        "16 messages without an end: the last cut off after {slowest:.1?}, {} KiB more",
        most / 1024
    ));
    assert!(most < STREAM_MEMORY, "{most} bytes");
    let answer = tokio::task::spawn_blocking(move || asks(sip)).await.expect("it ends");
    assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
}

/// Creates verifications at once: their ids.
pub(crate) async fn verifications(gateway: &Gateway, prefix: &str, count: usize) -> Vec<String> {
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..count {
        let (api, to) = (gateway.api().clone(), format!("{prefix}{n:05}"));
        tasks.spawn(async move {
            let body =
                serde_json::json!({"to": to, "channels": ["flash_call"], "purpose": "sign_in"});
            let created = api.post("/v1/verifications", &body).await.expect(201).json();
            created["id"].as_str().expect("an id").to_owned()
        });
    }
    tasks.join_all().await
}

/// Whom requests of a method were for.
pub(crate) fn callees(messages: &[Captured], method: &str) -> BTreeSet<String> {
    requests(messages, method).into_iter().map(|message| user(message, "To")).collect()
}

fn connect(sip: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(sip).expect("it listens");
    // A daemon that neither reads nor closes must not hold the test up.
    stream.set_write_timeout(Some(Duration::from_secs(20))).expect("a limit");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit");
    stream
}

/// What an honest OPTIONS gets.
fn asks(sip: SocketAddr) -> String {
    let mut stream = connect(sip);
    let text = "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bKhonest\r\nFrom: <sip:a>;tag=a\r\n\
                To: <sip:b>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(text.as_bytes()).expect("it reads");
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer).expect("it answers");
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

/// Writes a beginning and then the same again, until it is cut off: how long that took.
fn pour(sip: SocketAddr, begin: &[u8], again: &[u8]) -> Duration {
    const MOST: u64 = 64 * MIB;
    let start = Instant::now();
    let mut stream = connect(sip);
    stream.write_all(begin).expect("it reads what could be a message");
    let again = again.repeat(4096 / again.len());
    for _ in 0..MOST / again.len() as u64 {
        if stream.write_all(&again).is_err() {
            return start.elapsed();
        }
    }
    panic!("{MOST} bytes were taken");
}

/// Writes a beginning and then a byte a second, until it is cut off: how long that took.
fn trickle(sip: SocketAddr, begin: &str) -> Duration {
    let start = Instant::now();
    let mut stream = connect(sip);
    stream.set_read_timeout(Some(Duration::from_secs(1))).expect("a limit");
    stream.write_all(begin.as_bytes()).expect("it reads what could be a message");
    for byte in b"OPTIONS sip:a SIP/2.0\r\n".iter().cycle().take(20) {
        if stream.write_all(&[*byte]).is_err() || matches!(stream.read(&mut [0; 1]), Ok(0)) {
            return start.elapsed();
        }
    }
    panic!("20 bytes in 20 s were waited for");
}
