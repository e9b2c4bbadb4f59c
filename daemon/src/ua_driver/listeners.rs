//! Sockets to which carriers connect.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use sip::{Remote, Transport};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use super::sockets::BindError;
use super::tcp::Security;
use super::tls::TlsServer;

/// Connections that the system holds for us until we look.
const BACKLOG: i32 = 1024;
/// Connections that wait for the call loop to say whether their far end may write to us.
const ACCEPTED_LIMIT: usize = 64;
/// Without free descriptors nothing can be accepted; trying again at once would only burn time.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection that the far side opened, before a byte of it was read.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) remote: Remote,
    pub(super) stream: TcpStream,
    pub(super) security: Security,
}

/// The listening sockets. Each has a task that only accepts.
#[derive(Debug)]
pub(super) struct Listeners {
    bound: Vec<(Transport, SocketAddr)>,
    accepted: mpsc::Receiver<Accepted>,
    /// Held so that the channel does not end without listeners.
    _sender: mpsc::Sender<Accepted>,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

impl Listeners {
    /// Binds every address that is not for datagrams. Port 0 takes a free one.
    pub(super) fn bind(
        listen: &[config::SipListen],
        tls: &watch::Receiver<Option<TlsServer>>,
    ) -> Result<Self, BindError> {
        let (sender, accepted) = mpsc::channel(ACCEPTED_LIMIT);
        let (mut bound, mut tasks) = (Vec::new(), Vec::new());
        for listen in listen.iter().filter(|listen| listen.transport.is_reliable()) {
            let config::SipListen { transport, address } = *listen;
            let listener = bind(address);
            let failed = |cause| BindError::Sip { transport, address, cause };
            let (listener, address) = listener.map_err(failed)?;
            bound.push((transport, address));
            let task = accept(listener, transport, tls.clone(), sender.clone());
            tasks.push(AbortOnDropHandle::new(tokio::spawn(task)));
        }
        Ok(Self { bound, accepted, _sender: sender, _tasks: tasks })
    }

    /// What is bound, in the order of the file.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (Transport, SocketAddr)> + '_ {
        self.bound.iter().copied()
    }

    /// Waits for the next connection. Cancelling loses none.
    pub(super) async fn accepted(&mut self) -> Accepted {
        self.accepted.recv().await.expect("the listeners hold a sender")
    }
}

fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restart must not wait for what the last process left behind.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from_std(socket.into())?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

async fn accept(
    listener: TcpListener,
    transport: Transport,
    tls: watch::Receiver<Option<TlsServer>>,
    accepted: mpsc::Sender<Accepted>,
) {
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(opened) => opened,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let security = match (transport, tls.borrow().clone()) {
            (Transport::Tls, Some(server)) => Security::Server(server),
            // Without a certificate there is nothing to say to the far side.
            (Transport::Tls, None) => continue,
            (Transport::Tcp | Transport::Udp, _) => Security::Clear,
        };
        let remote = Remote { transport, address, connection: None };
        if accepted.send(Accepted { remote, stream, security }).await.is_err() {
            return;
        }
    }
}
