//! Free ports on the loopback address for programs that must be told theirs before they start.

use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

/// Ports are drawn from below the range from which Linux serves `bind(0)` and outgoing
/// connections, so that nobody is given one between our look and the peer's bind.
const RANGE: std::ops::Range<u16> = 10_000..32_000;

/// Only even ports are given, as RTP wants them (RFC 3550 section 11).
const STEP: u32 = 2;

/// A port of 127.0.0.1 that is ours until the value is dropped, over all tests of this machine.
#[derive(Debug)]
pub struct Port {
    number: u16,
    // Held for its lock alone, which the system releases however this process ends.
    _reservation: File,
}

impl Port {
    /// Reserves a port that is free for UDP and for TCP.
    ///
    /// # Panics
    /// When the temporary folder cannot be written, or every port of the range is taken.
    #[must_use]
    pub fn reserve() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let folder = std::env::temp_dir().join("dozvon-ports");
        std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
        let size = u32::from(RANGE.end - RANGE.start) / STEP;
        for _ in 0..size {
            // Processes start at different places; the factor spreads neighbours.
            let next = NEXT.fetch_add(1, Ordering::Relaxed);
            let offset = std::process::id().wrapping_mul(7919).wrapping_add(next) % size * STEP;
            let number = RANGE.start + u16::try_from(offset).expect("the range is of u16");
            let path = folder.join(number.to_string());
            let Ok(file) = OpenOptions::new().create(true).append(true).open(path) else {
                continue;
            };
            if file.try_lock().is_ok() && is_free(number) {
                return Self { number, _reservation: file };
            }
        }
        panic!("no free port in {RANGE:?}");
    }

    /// The number of the port.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    /// The port with the address 127.0.0.1.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

/// Whether a UDP socket is bound to the port on any address, as the kernel's table shows it.
///
/// # Panics
/// When `/proc/net/udp` cannot be read.
#[must_use]
pub fn udp_is_bound(port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/udp").expect("Linux has /proc/net/udp");
    let port = format!(":{port:04X}");
    table.lines().filter_map(|l| l.split_whitespace().nth(1)).any(|local| local.ends_with(&port))
}

/// Whether a TCP socket listens on the port on any address, as the kernel's table shows it.
///
/// # Panics
/// When `/proc/net/tcp` cannot be read.
#[must_use]
pub fn tcp_is_bound(port: u16) -> bool {
    const LISTENS: &str = "0A";
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux has /proc/net/tcp");
    let port = format!(":{port:04X}");
    table.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        matches!(fields[..], [_, local, _, LISTENS, ..] if local.ends_with(&port))
    })
}

/// Whether this machine has an IPv6 loopback.
#[must_use]
pub fn has_ipv6() -> bool {
    UdpSocket::bind((std::net::Ipv6Addr::LOCALHOST, 0)).is_ok()
}

fn is_free(port: u16) -> bool {
    UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
        && TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_reservations_never_share_a_port() {
        let ports: Vec<_> = (0..50).map(|_| Port::reserve()).collect();
        let mut numbers: Vec<_> = ports.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 50);
    }

    #[test]
    fn a_bound_udp_port_is_seen_and_a_free_one_is_not() {
        let port = Port::reserve();
        assert!(!udp_is_bound(port.number()));
        let _socket = UdpSocket::bind(port.address()).unwrap();
        assert!(udp_is_bound(port.number()));
    }
}
