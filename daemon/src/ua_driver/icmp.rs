//! What the network refused: ICMP errors that Linux keeps for a datagram socket (`IP_RECVERR`),
//! each with the address that our packet was sent to.

use std::io::IoSliceMut;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};
use sip::TransportError;
use socket2::Socket;
use tokio::net::UdpSocket;

/// Errors taken in one turn; the rest waits for the next one.
const REFUSALS_PER_TURN: usize = 64;
/// Room for one control message with its address.
const CONTROL_SPACE: usize = 512;

/// A packet of ours that the network refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Where it was sent.
    pub(super) remote: SocketAddr,
    /// What the network said.
    pub(super) kind: TransportError,
}

/// Asks the system to keep ICMP errors for this socket.
pub(super) fn ask_for_refusals(socket: &Socket, address: SocketAddr) -> std::io::Result<()> {
    match address {
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4RecvErr, &true)?,
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvErr, &true)?,
    }
    Ok(())
}

/// Takes what the system kept.
pub(super) fn take_refusals(socket: &UdpSocket, refusals: &mut Vec<Refusal>) {
    for _ in 0..REFUSALS_PER_TURN {
        // The head of our own packet comes with the error; nothing of it is needed.
        let mut payload = [0; 1];
        let mut control = [0; CONTROL_SPACE];
        let mut parts = [IoSliceMut::new(&mut payload)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let received =
            recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags);
        let Ok(message) = received else { return };
        let remote = message.address.and_then(socket_address);
        let Ok(mut controls) = message.cmsgs() else { continue };
        let error = controls.find_map(|control| match control {
            ControlMessageOwned::Ipv4RecvErr(error, _) => Some(error),
            ControlMessageOwned::Ipv6RecvErr(error, _) => Some(error),
            _ => None,
        });
        if let (Some(remote), Some(kind)) = (remote, error.and_then(kind)) {
            refusals.push(Refusal { remote, kind });
        }
    }
}

fn socket_address(address: SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddrV4::from(*v4).into());
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddrV6::from(*v6).into()))
}

/// `None` for what says nothing of the far side, such as a packet too large for a link.
fn kind(error: libc::sock_extended_err) -> Option<TransportError> {
    match Errno::from_raw(i32::try_from(error.ee_errno).ok()?) {
        Errno::ECONNREFUSED => Some(TransportError::Refused),
        Errno::EHOSTUNREACH | Errno::ENETUNREACH | Errno::EACCES => {
            Some(TransportError::Unreachable)
        }
        _ => None,
    }
}
