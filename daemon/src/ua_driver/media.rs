//! The socket whose port stands in every offer and which discards what comes: a flash call is
//! never answered, so only early media can arrive there.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use socket2::{Domain, Protocol, Socket, Type};

use super::sockets::BindError;

/// Bytes of kernel memory for early media that nobody reads.
const RECEIVE_BUFFER: usize = 4096;

/// A bound socket that is never read: the kernel drops what exceeds its small buffer.
#[derive(Debug)]
pub(super) struct MediaSink {
    _socket: Socket,
    port: u16,
}

impl MediaSink {
    /// Binds the first free even port of `ports` (RFC 3550 section 11), or any port when none
    /// is given.
    pub(super) fn bind(address: IpAddr, ports: &[RangeInclusive<u16>]) -> Result<Self, BindError> {
        let even = ports.iter().flat_map(|range| range.clone()).filter(|port| port % 2 == 0);
        let mut last = None;
        for port in even.chain(ports.is_empty().then_some(0)) {
            match Self::bind_port(SocketAddr::new(address, port)) {
                Ok(sink) => return Ok(sink),
                Err(error) => last = Some(error),
            }
        }
        let cause = last.unwrap_or_else(|| std::io::ErrorKind::AddrNotAvailable.into());
        Err(BindError::Media { cause })
    }

    fn bind_port(address: SocketAddr) -> std::io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.bind(&address.into())?;
        let port = socket.local_addr()?.as_socket().map_or(address.port(), |bound| bound.port());
        Ok(Self { _socket: socket, port })
    }

    /// The port for the offer.
    pub(super) fn port(&self) -> u16 {
        self.port
    }
}
