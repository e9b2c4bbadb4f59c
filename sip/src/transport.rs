//! What crosses the border between the user agent and its sockets.

use std::net::SocketAddr;

use crate::trunk::TrunkHandle;

/// How a message travels (RFC 3261 section 18).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// Datagrams; transactions repeat requests themselves.
    Udp,
    /// A stream without encryption.
    Tcp,
    /// A stream under TLS.
    Tls,
}

impl Transport {
    /// Whether the transport repeats lost bytes itself (RFC 3261 section 17).
    pub fn is_reliable(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp | Self::Tls => true,
        }
    }

    /// The token of the Via header field: `UDP`, `TCP` or `TLS`.
    pub fn via_token(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }
}

/// Our name for a stream connection that the driver holds open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionHandle(pub u64);

/// The far end of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remote {
    /// The transport that leads there.
    pub transport: Transport,
    /// Address and port of the peer.
    pub address: SocketAddr,
    /// The connection it used; `None` over UDP.
    pub connection: Option<ConnectionHandle>,
}

impl Remote {
    /// A peer behind a datagram socket.
    pub fn udp(address: SocketAddr) -> Self {
        Self { transport: Transport::Udp, address, connection: None }
    }
}

/// One resolved place where a trunk can be reached (RFC 3263 section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The transport to use.
    pub transport: Transport,
    /// Address and port.
    pub address: SocketAddr,
    /// Lower is tried first.
    pub priority: u16,
    /// Share among targets of one priority.
    pub weight: u16,
}

impl Target {
    /// A target over UDP with the first priority.
    pub fn udp(address: SocketAddr) -> Self {
        Self { transport: Transport::Udp, address, priority: 0, weight: 1 }
    }
}

/// One packet, or one framed message of a stream, as the driver received it.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// Who sent it.
    pub source: Remote,
    /// The address of ours at which it arrived.
    pub local: SocketAddr,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// Where the bytes just written by `poll_transmit` go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The far end.
    pub remote: Remote,
    /// The trunk it is sent for; `None` when the bytes answer a stray message.
    pub trunk: Option<TrunkHandle>,
}

/// What happened to a stream connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionChange {
    /// It can be written to.
    Opened {
        /// The far end, with its connection.
        remote: Remote,
        /// The trunk whose requests it was opened for; `None`: the far side opened it.
        trunk: Option<TrunkHandle>,
    },
    /// It could not be opened for this trunk's requests, or the far side refused us when it had
    /// been opened (`Closed` follows then); nothing that waited for it was read.
    Failed {
        /// The far end.
        remote: Remote,
        /// The trunk.
        trunk: TrunkHandle,
        /// Why.
        kind: TransportError,
    },
    /// It is gone, by either side's wish or by an error.
    Closed,
}

/// A stream connection that is open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connection {
    pub(crate) remote: Remote,
    /// Whose requests it was opened for; `None`: the far side opened it.
    pub(crate) trunk: Option<u32>,
}

/// What was sent to a far end and not read there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loss {
    pub(crate) remote: Remote,
    /// Only this trunk's packets are concerned; `None`: everybody's.
    pub(crate) trunk: Option<u32>,
    pub(crate) kind: TransportError,
}

impl Loss {
    /// Whether what a trunk sent to `remote` is lost. Which connection it was to travel by is no
    /// matter: one connection leads to a far end for each trunk.
    pub(crate) fn concerns(&self, trunk: u32, remote: &Remote) -> bool {
        self.trunk.is_none_or(|concerned| concerned == trunk)
            && (self.remote.transport, self.remote.address) == (remote.transport, remote.address)
    }
}

/// Why the network refused what we sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportError {
    /// ICMP port unreachable, or RST on connect.
    Refused,
    /// ICMP host or network unreachable.
    Unreachable,
    /// The connection broke after it was open: what waits for an answer is sent once more.
    Reset,
    /// The far side did not prove its name under TLS, or refused the handshake.
    Untrusted,
    /// The local socket could not send.
    Local,
}
