//! UDP sockets of the call loop.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::Poll;

use nix::sys::socket::{setsockopt, sockopt};
use sip::Transport;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{Interest, Ready};
use tokio::net::UdpSocket;

use super::icmp;
pub(super) use super::icmp::Refusal;

/// Kernel buffer for one socket: at 500 bytes a packet, 8,000 packets of a burst.
const SOCKET_BUFFER: usize = 4 << 20;

/// Why the call loop cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// An address of `[sip] listen` cannot be bound.
    #[error("cannot listen on {}:{address}: {cause}", transport.via_token().to_ascii_lowercase())]
    Sip {
        /// What it speaks.
        transport: Transport,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// No port of `[sip] media_ports` is free.
    #[error("no media port can be bound: {cause}")]
    Media {
        /// What the system said of the last one.
        cause: io::Error,
    },
}

/// What a socket has for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Readiness {
    /// Which socket.
    pub(super) index: usize,
    /// Whether the network refused packets of ours.
    pub(super) has_errors: bool,
}

/// The sockets that the call loop reads and writes.
#[derive(Debug)]
pub(super) struct Sockets {
    udp: Vec<(SocketAddr, UdpSocket)>,
}

impl Sockets {
    /// Binds every address. Port 0 takes a free one.
    pub(super) fn bind(addresses: &[SocketAddr]) -> Result<Self, BindError> {
        let mut udp = Vec::with_capacity(addresses.len());
        for &address in addresses {
            let bound = bind_udp(address).map_err(|cause| BindError::Sip {
                transport: Transport::Udp,
                address,
                cause,
            })?;
            udp.push(bound);
        }
        Ok(Self { udp })
    }

    /// The bound addresses, in the order of the file.
    pub(super) fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.udp.iter().map(|(address, _)| *address)
    }

    /// One socket with its bound address.
    pub(super) fn get(&self, index: usize) -> (SocketAddr, &UdpSocket) {
        let (address, socket) = &self.udp[index];
        (*address, socket)
    }

    /// Waits until a socket has a datagram or an error for us; answers which. Never ends without
    /// sockets. One socket, or one for each address family, is what nearly every file has: they
    /// are waited for without a box.
    pub(super) async fn ready(&self) -> Readiness {
        let (index, ready) = match self.udp.as_slice() {
            [] => return std::future::pending().await,
            [(_, only)] => (0, only.ready(WANTED).await),
            [(_, first), (_, second)] => tokio::select! {
                ready = first.ready(WANTED) => (0, ready),
                ready = second.ready(WANTED) => (1, ready),
            },
            many => first_ready(many).await,
        };
        Readiness { index, has_errors: ready.is_ok_and(Ready::is_error) }
    }

    /// Sends one datagram from the first socket of the remote's address family. An error that
    /// an earlier datagram left at the socket is put into `refusals` and does not count here.
    pub(super) fn send(
        &self,
        bytes: &[u8],
        remote: SocketAddr,
        refusals: &mut Vec<Refusal>,
    ) -> io::Result<()> {
        let socket = self.udp.iter().find(|(address, _)| address.is_ipv4() == remote.is_ipv4());
        let Some((_, socket)) = socket else {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        };
        match socket.try_send_to(bytes, remote) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
            Err(_) => {
                icmp::take_refusals(socket, refusals);
                socket.try_send_to(bytes, remote).map(drop)
            }
        }
    }

    /// What the network refused of the datagrams that left one socket.
    pub(super) fn take_refusals(&self, index: usize, refusals: &mut Vec<Refusal>) {
        let socket = &self.udp[index].1;
        // What is left would be told again by the system; the readiness must be cleared by hand,
        // because no read of tokio's looks at it.
        let _: io::Result<()> = socket.try_io(Interest::ERROR, || {
            icmp::take_refusals(socket, refusals);
            Err(io::ErrorKind::WouldBlock.into())
        });
    }
}

/// What a datagram socket is waited for.
const WANTED: Interest = Interest::READABLE.add(Interest::ERROR);

/// The first of many sockets to be ready.
async fn first_ready(sockets: &[(SocketAddr, UdpSocket)]) -> (usize, io::Result<Ready>) {
    let waits = sockets.iter().map(|(_, socket)| Box::pin(socket.ready(WANTED)));
    let mut waits: Vec<_> = waits.collect();
    std::future::poll_fn(|context| {
        let mut polled = waits.iter_mut().map(|wait| wait.as_mut().poll(context)).enumerate();
        polled
            .find_map(|(index, poll)| match poll {
                Poll::Ready(ready) => Some(Poll::Ready((index, ready))),
                Poll::Pending => None,
            })
            .unwrap_or(Poll::Pending)
    })
    .await
}

/// The address of ours that stands in what is sent to `remote`: that of a socket of the same
/// transport, else of any that is bound, else the transport's usual port; behind a wildcard, the
/// address that the system's routes choose. Sends nothing.
pub(super) fn local_towards(
    bound: &[(Transport, SocketAddr)],
    transport: Transport,
    remote: Option<SocketAddr>,
) -> SocketAddr {
    let wanted_v4 = remote.is_none_or(|address| address.is_ipv4());
    let rank = |candidate: &&(Transport, SocketAddr)| {
        (candidate.1.is_ipv4() != wanted_v4, candidate.0 != transport)
    };
    let best = bound.iter().min_by_key(rank).map(|(_, address)| *address);
    let usual_port = if transport == Transport::Tls { 5061 } else { 5060 };
    let port = best.map_or(usual_port, |address| address.port());
    if let Some(address) = best
        && address.is_ipv4() == wanted_v4
        && !address.ip().is_unspecified()
    {
        return address;
    }
    let probe = remote.unwrap_or_else(|| documentation_address(wanted_v4));
    SocketAddr::new(route_source(probe).unwrap_or_else(|| loopback(wanted_v4)), port)
}

fn bind_udp(address: SocketAddr) -> io::Result<(SocketAddr, UdpSocket)> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    enlarge_buffers(&socket, address)?;
    socket.set_nonblocking(true)?;
    icmp::ask_for_refusals(&socket, address)?;
    socket.bind(&address.into())?;
    let socket = UdpSocket::from_std(socket.into())?;
    Ok((socket.local_addr()?, socket))
}

/// The system caps a wish at its own limit, unless we may overrule it (`CAP_NET_ADMIN`). A smaller
/// buffer drops datagrams in a burst that is longer than it; the operator is told how to help.
fn enlarge_buffers(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    let forced = setsockopt(socket, sockopt::RcvBufForce, &SOCKET_BUFFER)
        .and_then(|()| setsockopt(socket, sockopt::SndBufForce, &SOCKET_BUFFER));
    if forced.is_err() {
        socket.set_recv_buffer_size(SOCKET_BUFFER)?;
        socket.set_send_buffer_size(SOCKET_BUFFER)?;
    }
    // Linux tells the double of what it granted (socket(7)).
    let granted = socket.recv_buffer_size()? / 2;
    if granted < SOCKET_BUFFER {
        tracing::info!(
            granted,
            wished = SOCKET_BUFFER,
            "udp:{address} has a small receive buffer: raise net.core.rmem_max for bursts of calls"
        );
    }
    Ok(())
}

/// Connecting a datagram socket asks the routing table and sends nothing.
fn route_source(remote: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match remote {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let probe = std::net::UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    probe.connect(remote).ok()?;
    Some(probe.local_addr().ok()?.ip())
}

/// An address that is never anybody's (RFC 5737, RFC 3849): the default route leads there.
fn documentation_address(v4: bool) -> SocketAddr {
    let ip: IpAddr = if v4 {
        Ipv4Addr::new(192, 0, 2, 1).into()
    } else {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()
    };
    SocketAddr::new(ip, 9)
}

fn loopback(v4: bool) -> IpAddr {
    if v4 { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_a_wildcard_the_route_chooses_our_address() {
        let bound = [(Transport::Udp, "0.0.0.0:5062".parse().unwrap())];
        let remote = "127.0.0.9:5060".parse().unwrap();
        let local = local_towards(&bound, Transport::Udp, Some(remote));
        assert!(local.ip().is_loopback(), "{local}");
        assert_eq!(local.port(), 5062);
    }

    #[test]
    fn a_socket_of_the_transport_is_preferred_and_no_other_family_is_shown() {
        let bound = [
            (Transport::Udp, "192.0.2.1:5060".parse().unwrap()),
            (Transport::Tls, "192.0.2.1:5071".parse().unwrap()),
        ];
        let towards = |transport, remote: &str| {
            local_towards(&bound, transport, Some(remote.parse().unwrap())).to_string()
        };
        assert_eq!(towards(Transport::Tls, "127.0.0.9:5061"), "192.0.2.1:5071");
        assert_eq!(towards(Transport::Tcp, "127.0.0.9:5060"), "192.0.2.1:5060");
        assert_eq!(towards(Transport::Tls, "[::1]:5061"), "[::1]:5071");
        assert_eq!(local_towards(&[], Transport::Tls, None).port(), 5061);
    }

    #[tokio::test]
    async fn a_taken_port_is_an_error_that_names_it() {
        let first = Sockets::bind(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let taken = first.addresses().next().unwrap();
        let error = Sockets::bind(&[taken]).unwrap_err().to_string();
        assert!(error.contains(&taken.to_string()), "{error}");
    }
}
