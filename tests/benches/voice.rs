//! How well 200 calls at once keep their pace: each packet's distance from its place on a grid of
//! 20 ms that begins with the call's first packet, as one thread that only listens sees it.
//!
//! `cargo bench -p dozvon-tests --profile suite --bench voice`. Judges nothing.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use daemon::clock::Clock;
use daemon::media::{Lines, Prompts, TalkTerms, player};
use sip::{Codec, Direction, RemoteMedia};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

const CALLS: usize = 200;
const LENGTH: Duration = Duration::from_secs(10);
const PACE: Duration = Duration::from_millis(20);

/// What one call looked like.
#[derive(Default)]
struct Seen {
    first: Option<(u16, Instant)>,
    packets: u32,
    highest: u16,
    off: Vec<Duration>,
    /// RFC 3550 section 6.4.1, in milliseconds.
    jitter: f64,
    last: Option<(u16, Instant)>,
}

impl Seen {
    fn take(&mut self, at: Instant, sequence: u16) {
        let (first, start) = *self.first.get_or_insert((sequence, at));
        let nth = sequence.wrapping_sub(first);
        self.packets += 1;
        self.highest = self.highest.max(nth);
        self.off.push(at.saturating_duration_since(start).abs_diff(PACE * u32::from(nth)));
        if let Some((last, before)) = self.last {
            let due = PACE * u32::from(sequence.wrapping_sub(last));
            let off = at.saturating_duration_since(before).abs_diff(due).as_secs_f64() * 1e3;
            self.jitter += (off - self.jitter) / 16.0;
        }
        self.last = Some((sequence, at));
    }
}

fn main() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
    socket.set_read_timeout(Some(Duration::from_secs(2))).expect("a timeout above zero");
    let address = socket.local_addr().expect("a bound socket has an address");
    let listener = std::thread::spawn(move || listen(&socket));
    let runtime = tokio::runtime::Runtime::new().expect("threads for a runtime");
    runtime.block_on(play(address));
    let seen = listener.join().expect("the listener does not panic");
    let mut off: Vec<Duration> = seen.values().flat_map(|call| call.off.iter().copied()).collect();
    off.sort_unstable();
    let at = |share: f64| off[((off.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let lost: u32 = seen.values().map(|call| u32::from(call.highest) + 1 - call.packets).sum();
    let jitter = seen.values().map(|call| call.jitter).fold(0.0, f64::max);
    println!("{} calls, {} packets, {lost} lost", seen.len(), off.len());
    println!(
        "off the grid: median {:.2} ms, 99 % {:.2} ms, 99.9 % {:.2} ms, most {:.2} ms",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
    println!("greatest jitter of a call (RFC 3550): {jitter:.2} ms");
}

async fn play(address: SocketAddr) {
    let (lines, prompts) = (Lines::new([127, 0, 0, 1].into(), &[]), Prompts::built_in());
    let (clock, stop) = (Clock::system(), CancellationToken::new());
    let media = RemoteMedia {
        address,
        codec: Codec::Pcma,
        payload_type: 8,
        telephone_event: None,
        direction: Direction::SendReceive,
    };
    let (_keep, wanted) = watch::channel(Some(media));
    let (tell, _told) = mpsc::unbounded_channel();
    let mut players = tokio::task::JoinSet::new();
    for n in 0..CALLS {
        let line = lines.bind().expect("the system has ports");
        let announcement = prompts.announce(Some("ru"), "480193");
        let terms = TalkTerms { media, trunk: None, announcement, at: clock.now() };
        let seed = [n as u8; 32];
        let (wanted, tell) = (wanted.clone(), tell.clone());
        players.spawn(player::play(line, (terms, seed), wanted, tell, stop.clone()));
        // Calls are answered one after the other.
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    tokio::time::sleep(LENGTH).await;
    stop.cancel();
    while players.join_next().await.is_some() {}
}

/// Until nothing comes any more; calls by their source.
fn listen(socket: &UdpSocket) -> BTreeMap<SocketAddr, Seen> {
    let (mut seen, mut packet) = (BTreeMap::<_, Seen>::new(), [0; 2048]);
    while let Ok((length, source)) = socket.recv_from(&mut packet) {
        if let [_, _, high, low, ..] = packet[..length] {
            let call = seen.entry(source).or_default();
            call.take(Instant::now(), u16::from_be_bytes([high, low]));
        }
    }
    seen
}
