//! A name server of a test's own, and a process that asks it and no other.
//!
//! It writes its answers without the daemon's library, so that each reads the other.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use crate::peers::skip;

/// The only port that `resolv.conf(5)` knows.
const DNS_PORT: u16 = 53;
/// How long an answer holds. The daemon asks again no sooner than after 30 s.
const TTL_S: u32 = 300;
/// Addresses of the loopback that are tried, beginning with this one.
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 0, 53, 1);
const TRIES: u32 = 200;

/// Puts `$0` in the place of the system's configuration, then is the program that follows.
const PREPARE: &str = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";

/// What stands behind a name.
#[derive(Clone, Debug)]
pub enum Record {
    /// An address.
    A(Ipv4Addr),
    /// A host of a service: priority, weight, port and name (RFC 2782).
    Srv(u16, u16, u16, String),
    /// A service of a domain: order, preference, service and where its SRV records are (RFC 3403).
    Naptr(u16, u16, &'static str, String),
}

/// The server. It falls silent when the value is dropped.
#[derive(Debug)]
pub struct NameServer {
    ip: Ipv4Addr,
    task: JoinHandle<()>,
}

/// Prints why a process cannot be given a name server here, if it cannot.
#[must_use]
pub fn cannot_run() -> bool {
    let has_namespace = Command::new("unshare")
        .args(["-m", "mount", "--bind", "/dev/null", "/etc/resolv.conf"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !has_namespace {
        skip("a name server of our own wants root and a mount namespace");
    }
    !has_namespace
}

impl NameServer {
    /// Starts it with the records of each name. Of every other name it says that there is none.
    ///
    /// # Panics
    /// When no address of the loopback has its port free (ask [`cannot_run`] first).
    pub async fn start(records: impl IntoIterator<Item = (String, Record)>) -> Self {
        let mut zone: BTreeMap<String, Vec<Record>> = BTreeMap::new();
        for (name, record) in records {
            zone.entry(name.to_ascii_lowercase()).or_default().push(record);
        }
        for nth in 0..TRIES {
            let ip = Ipv4Addr::from(u32::from(FIRST) + nth);
            // Another test may have this one.
            let Ok(socket) = UdpSocket::bind((ip, DNS_PORT)).await else { continue };
            return Self { ip, task: tokio::spawn(serve(socket, zone)) };
        }
        panic!("no address from {FIRST} on has port {DNS_PORT} free");
    }

    /// What stands in `resolv.conf`.
    #[must_use]
    pub fn resolv_conf(&self) -> String {
        format!("nameserver {}\n", self.ip)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The words before a program that has `resolv_conf` in the place of its system's own.
pub(crate) fn under(resolv_conf: &Path) -> [String; 6] {
    let path = resolv_conf.display().to_string();
    ["unshare", "-m", "sh", "-c", PREPARE, &path].map(str::to_owned)
}

async fn serve(socket: UdpSocket, zone: BTreeMap<String, Vec<Record>>) {
    let mut packet = [0; 4096];
    while let Ok((length, remote)) = socket.recv_from(&mut packet).await {
        let Some(answer) = answer(&packet[..length], &zone) else { continue };
        // Who asked may have stopped waiting.
        let _ = socket.send_to(&answer, remote).await;
    }
}

/// The answer to a query with one question (RFC 1035 section 4.1); `None`: it is none.
fn answer(query: &[u8], zone: &BTreeMap<String, Vec<Record>>) -> Option<Vec<u8>> {
    const HEADER: usize = 12;
    let (name, end) = name(query, HEADER)?;
    let kind = u16::from_be_bytes(query.get(end..end + 2)?.try_into().ok()?);
    let records = zone.get(&name);
    let found = records.into_iter().flatten().filter(|record| record.kind() == kind);
    let found: Vec<_> = found.collect();
    let count = u16::try_from(found.len()).ok()?;
    // An authoritative answer; 3 says that there is no such name at all.
    let flags = 0x8400_u16 | u16::from_be_bytes(query.get(2..4)?.try_into().ok()?) & 0x0100;
    let status = if records.is_some() { 0 } else { 3 };
    let mut out = query.get(..2)?.to_vec();
    for word in [flags | status, 1, count, 0, 0] {
        out.extend(word.to_be_bytes());
    }
    out.extend(query.get(HEADER..end + 4)?);
    for record in found {
        // The name stands in the question.
        out.extend(0xC00C_u16.to_be_bytes());
        out.extend([kind, 1].map(u16::to_be_bytes).concat());
        out.extend(TTL_S.to_be_bytes());
        let data = record.data();
        out.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        out.extend(data);
    }
    Some(out)
}

/// A name in lower case, and what follows it.
fn name(query: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        let label = query.get(at..at + length)?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += length;
    }
}

impl Record {
    fn kind(&self) -> u16 {
        match self {
            Self::A(_) => 1,
            Self::Srv(..) => 33,
            Self::Naptr(..) => 35,
        }
    }

    fn data(&self) -> Vec<u8> {
        match self {
            Self::A(ip) => ip.octets().to_vec(),
            Self::Srv(priority, weight, port, host) => {
                let mut data = [priority, weight, port].map(|n| n.to_be_bytes()).concat();
                data.extend(written(host));
                data
            }
            Self::Naptr(order, preference, service, replacement) => {
                let mut data = [order, preference].map(|n| n.to_be_bytes()).concat();
                // SRV records follow; nothing is to be rewritten.
                for text in ["s", service, ""] {
                    data.push(u8::try_from(text.len()).expect("a short text"));
                    data.extend(text.as_bytes());
                }
                data.extend(written(replacement));
                data
            }
        }
    }
}

/// A name on the wire.
fn written(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.') {
        out.push(u8::try_from(label.len()).expect("a label has at most 63 letters"));
        out.extend(label.as_bytes());
    }
    out.push(0);
    out
}
