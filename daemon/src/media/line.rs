//! A call's pair of ports: audio on the even one, reports on the one above it.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

/// Expedited forwarding (RFC 3246), as voice is marked.
const EXPEDITED: u32 = 46 << 2;
/// Tries for a pair where the system chooses.
const ANY_TRIES: usize = 32;

/// From where the lines of calls are taken.
#[derive(Debug)]
pub struct Lines {
    address: IpAddr,
    /// The even ports whose neighbour may be bound too; empty: the system chooses.
    ports: Vec<u16>,
    /// Where the search goes on: a port that was just given back may still be spoken to.
    next: AtomicUsize,
}

/// Two bound sockets; the ports are free again when it is dropped.
#[derive(Debug)]
pub struct Line {
    pub(super) rtp: UdpSocket,
    pub(super) rtcp: UdpSocket,
    port: u16,
}

/// Every port of `[sip] media_ports` is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no media port is free")]
pub struct NoFreePort;

impl Lines {
    /// Lines at an address of ours, over these ports.
    pub fn new(address: IpAddr, ranges: &[RangeInclusive<u16>]) -> Self {
        let pairs = |range: &RangeInclusive<u16>| {
            let end = *range.end();
            range.clone().filter(move |port| port % 2 == 0 && *port < end)
        };
        let ports = ranges.iter().flat_map(pairs).collect();
        Self { address, ports, next: AtomicUsize::new(0) }
    }

    /// Binds a free pair.
    pub fn bind(&self) -> Result<Line, NoFreePort> {
        if self.ports.is_empty() {
            return (0..ANY_TRIES).find_map(|_| self.bind_any()).ok_or(NoFreePort);
        }
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let mut tries = (0..self.ports.len()).map(|n| start.wrapping_add(n) % self.ports.len());
        tries.find_map(|place| self.bind_pair(self.ports[place])).ok_or(NoFreePort)
    }

    fn bind_pair(&self, port: u16) -> Option<Line> {
        let rtp = bind(SocketAddr::new(self.address, port)).ok()?;
        let rtcp = bind(SocketAddr::new(self.address, port + 1)).ok()?;
        Some(Line { rtp, rtcp, port })
    }

    fn bind_any(&self) -> Option<Line> {
        let rtp = bind(SocketAddr::new(self.address, 0)).ok()?;
        let port = rtp.local_addr().ok()?.port();
        let above = (port % 2 == 0).then(|| SocketAddr::new(self.address, port + 1))?;
        Some(Line { rtp, rtcp: bind(above).ok()?, port })
    }
}

impl Line {
    /// The port for the offer.
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn bind(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv4() {
        // A wish: a network that forbids it carries the packets all the same.
        let _ = socket.set_tos_v4(EXPEDITED);
    }
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_call_has_its_own_pair_until_none_is_left_and_gives_it_back() {
        let any = Lines::new([127, 0, 0, 1].into(), &[]);
        let free = any.bind().unwrap().port();
        // Both ports were just given back by the system; an odd start holds no pair of its own.
        let lines = Lines::new([127, 0, 0, 1].into(), &[free - 1..=free + 1]);
        let first = lines.bind().unwrap();
        assert_eq!(first.port(), free);
        assert_eq!(lines.bind().unwrap_err(), NoFreePort);
        drop(first);
        assert_eq!(lines.bind().unwrap().port(), free);
    }

    #[test]
    fn a_port_without_its_neighbour_is_not_used() {
        let lines = Lines::new([127, 0, 0, 1].into(), &[20_000..=20_004, 30_001..=30_002]);
        assert_eq!(lines.ports, [20_000, 20_002]);
    }
}
