//! A flood of what scanners send, at a steady rate, and what it costs the one who gets it.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Nobody's trunk.
const STRANGER: &str = "127.0.0.66:0";
/// The address of a trunk on loopback, which a scanner may forge.
const FORGED: &str = "127.0.0.1:0";
/// One packet in so many bears the trunk's own address.
const FORGED_SHARE: u64 = 5;
/// Begins every branch (RFC 3261 section 8.1.1.7).
const COOKIE: &str = "z9hG4bK";
/// Packets are sent in portions, as the system's clock does not wake anybody 50,000 times a second.
const PORTIONS_PER_SECOND: u32 = 500;

/// A thread that sends. It stops by itself.
#[derive(Debug)]
pub struct Flood {
    sent: Arc<AtomicU64>,
    thread: JoinHandle<Answers>,
}

/// What came back to a flood.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// Packets to an address of no trunk.
    pub to_stranger: usize,
    /// The requests that were answered at the trunk's own address, be it more than once.
    pub to_forged: BTreeSet<u64>,
}

impl Flood {
    /// Sends so many packets a second for so long, or as many as this machine can.
    ///
    /// # Panics
    /// When no loopback socket can be bound.
    #[must_use]
    pub fn at(target: SocketAddr, per_second: u32, duration: Duration) -> Self {
        let bind = |address| UdpSocket::bind(address).expect("loopback has a free port");
        let (stranger, forged) = (bind(STRANGER), bind(FORGED));
        for socket in [&stranger, &forged] {
            socket.set_nonblocking(true).expect("a socket may be asked");
        }
        let sent = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&sent);
        let thread = std::thread::spawn(move || {
            let start = Instant::now();
            let portion = per_second.div_ceil(PORTIONS_PER_SECOND);
            let mut due = Duration::ZERO;
            let mut answers = Answers::default();
            while due < duration {
                for _ in 0..portion {
                    let number = count.load(Ordering::Relaxed);
                    let is_forged = number.is_multiple_of(FORGED_SHARE);
                    let socket = if is_forged { &forged } else { &stranger };
                    // A full buffer refuses a packet; the next one is tried.
                    if socket.send_to(scan(number).as_bytes(), target).is_ok() {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }
                answers.to_stranger += waiting(&stranger).len();
                answers.to_forged.extend(waiting(&forged));
                due += Duration::from_secs(1) / PORTIONS_PER_SECOND;
                match due.checked_sub(start.elapsed()) {
                    Some(early) => std::thread::sleep(early),
                    // Too slow a machine sends fewer, and no longer.
                    None if start.elapsed() > duration => break,
                    None => {}
                }
            }
            answers
        });
        Self { sent, thread }
    }

    /// Whether it goes on.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Waits for its end: how many packets left, and what came back.
    ///
    /// # Panics
    /// When the thread did.
    #[must_use]
    pub fn end(self) -> (u64, Answers) {
        let answers = self.thread.join().expect("it only sends");
        (self.sent.load(Ordering::Relaxed), answers)
    }
}

/// The packets that wait at a socket: which of the flood's each answers. They are taken.
fn waiting(socket: &UdpSocket) -> Vec<u64> {
    let mut packet = [0; 2048];
    let mut answered = Vec::new();
    while let Ok((length, _)) = socket.recv_from(&mut packet) {
        let text = String::from_utf8_lossy(&packet[..length]).into_owned();
        let branch = text.split_once(COOKIE).map_or("", |(_, branch)| branch);
        let end = branch.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(branch.len());
        answered.push(branch[..end].parse().unwrap_or(u64::MAX));
    }
    answered
}

/// How much memory a process has in use.
///
/// # Panics
/// When there is no such process.
#[must_use]
pub fn resident_bytes(process: u32) -> u64 {
    let path = format!("/proc/{process}/status");
    let status = std::fs::read_to_string(path).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells it");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1024
}

/// What scanners send, each with a branch of its own.
fn scan(number: u64) -> String {
    let method = ["OPTIONS", "INVITE", "REGISTER", "MESSAGE"][(number / FORGED_SHARE % 4) as usize];
    format!(
        "{method} sip:100@127.0.0.1 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 127.0.0.1:5099;rport;branch={COOKIE}{number}\r\n\
         From: <sip:scan@127.0.0.1>;tag=f\r\nTo: <sip:100@127.0.0.1>\r\nCall-ID: scan-{number}\r\n\
         CSeq: 1 {method}\r\nMax-Forwards: 70\r\nUser-Agent: scanner\r\nContent-Length: 0\r\n\r\n"
    )
}
