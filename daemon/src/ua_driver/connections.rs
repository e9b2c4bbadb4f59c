//! The table of stream connections: which one leads where, and what each tells.
//!
//! A connection that we open belongs to one trunk and one address of it, and everything that is
//! sent for that trunk to that address goes over it; what the carrier wants of us comes over it
//! too. Over TLS the trunk also says which name the far side must prove, so two trunks at one
//! address never share a connection.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use sip::{
    ConnectionChange, ConnectionHandle, Remote, Transmit, Transport, TransportError, TrunkHandle,
};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::listeners::Accepted;
use super::stream::{News, Side, Told, Wires};
use super::tcp;

/// Messages of all connections that wait for the call loop. With 64 KiB each, the most that they
/// can hold is 8 MiB; a connection whose message finds no place reads no further.
const TOLD_LIMIT: usize = 128;
/// Messages that may wait to be written to one connection, also while it is being opened.
const QUEUE_MESSAGES: usize = 8192;
/// Their bytes. A peer that lets more pile up does not read, and its connection is closed.
const QUEUE_BYTES: usize = 4 << 20;
/// Connections that carriers may have opened to us, in all.
const ACCEPTED_LIMIT: usize = 1024;
/// Connections that one address may have opened: gateways open one for each of their workers.
const ACCEPTED_FROM_ONE: usize = 64;
/// Ways whose last fault is remembered.
const COMPLAINT_LIMIT: usize = 4096;
/// The interval of keep-alives is drawn from these seconds for each connection.
const KEEP_ALIVE_S: std::ops::Range<u64> = 30..120;

/// Every connection that is open or being opened.
#[derive(Debug)]
pub(super) struct Connections {
    rng: ChaCha20Rng,
    table: HashMap<ConnectionHandle, Entry>,
    /// Those that we opened.
    by_way: HashMap<Way, ConnectionHandle>,
    /// Why a way of ours could not be opened the last time.
    complaints: HashMap<Way, String>,
    last: u64,
    told: mpsc::Sender<Told>,
    inbox: mpsc::Receiver<Told>,
    /// Connections that we closed ourselves; the user agent is to be told.
    closed: Vec<ConnectionHandle>,
}

/// What a connection of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Way {
    trunk: TrunkHandle,
    is_secure: bool,
    address: SocketAddr,
}

#[derive(Debug)]
struct Entry {
    remote: Remote,
    /// `None`: the far side opened it.
    way: Option<Way>,
    state: State,
    outgoing: mpsc::Sender<Vec<u8>>,
    queued: Arc<AtomicUsize>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Opening,
    Open { local: SocketAddr },
}

/// What the call loop has to do about news.
#[derive(Debug)]
pub(super) enum Fact {
    /// Tell the user agent.
    Change(ConnectionHandle, ConnectionChange),
    /// Hand it a message.
    Message { source: Remote, local: SocketAddr, bytes: Vec<u8> },
}

impl Connections {
    pub(super) fn new(rng: ChaCha20Rng) -> Self {
        let (told, inbox) = mpsc::channel(TOLD_LIMIT);
        Self {
            rng,
            table: HashMap::new(),
            by_way: HashMap::new(),
            complaints: HashMap::new(),
            last: 0,
            told,
            inbox,
            closed: Vec::new(),
        }
    }

    /// Waits for news. Cancelling loses none.
    pub(super) async fn news(&mut self) -> Told {
        self.inbox.recv().await.expect("the table holds a sender")
    }

    /// News that wait already.
    pub(super) fn waiting_news(&mut self) -> Option<Told> {
        self.inbox.try_recv().ok()
    }

    /// What follows from news. `None`: they are of a connection that we let go of.
    pub(super) fn fact(&mut self, told: Told) -> Option<Fact> {
        let connection = told.connection;
        let entry = self.table.get_mut(&connection)?;
        let (remote, way) = (entry.remote, entry.way);
        match told.news {
            News::Opened { local } => {
                entry.state = State::Open { local };
                let trunk = way.map(|way| way.trunk);
                Some(Fact::Change(connection, ConnectionChange::Opened { remote, trunk }))
            }
            News::Message(bytes) => match entry.state {
                State::Open { local } => {
                    // One that has just been opened may yet be refused for our certificate.
                    if way.is_some_and(|way| self.complaints.remove(&way).is_some()) {
                        tracing::info!(remote = %remote.address, "a connection is open again");
                    }
                    Some(Fact::Message { source: remote, local, bytes })
                }
                State::Opening => None,
            },
            News::Failed { kind, cause } => {
                self.complain(remote, way, cause);
                let entry = self.remove(connection)?;
                if matches!(entry.state, State::Open { .. }) {
                    self.closed.push(connection);
                }
                let trunk = entry.way?.trunk;
                let remote = Remote { connection: None, ..remote };
                let failed = ConnectionChange::Failed { remote, trunk, kind };
                Some(Fact::Change(connection, failed))
            }
            News::Closed => {
                self.remove(connection);
                Some(Fact::Change(connection, ConnectionChange::Closed))
            }
        }
    }

    /// The next connection that we closed ourselves.
    pub(super) fn poll_closed(&mut self) -> Option<(ConnectionHandle, ConnectionChange)> {
        let connection = self.closed.pop()?;
        Some((connection, ConnectionChange::Closed))
    }

    /// Hands a message to the connection it belongs to. Without one, `open` starts what leads to
    /// the far side for that trunk, and the message waits for it.
    pub(super) fn send(
        &mut self,
        transmit: &Transmit,
        bytes: &[u8],
        open: impl FnOnce() -> tcp::Dial,
    ) {
        let named = transmit.remote.connection.filter(|named| self.table.contains_key(named));
        let Some(connection) = named.or_else(|| self.way_to(transmit, open)) else {
            tracing::debug!("an answer has no connection to go by");
            return;
        };
        let Some(entry) = self.table.get(&connection) else { return };
        let waiting = entry.queued.fetch_add(bytes.len(), Ordering::Relaxed);
        let is_taken =
            waiting + bytes.len() <= QUEUE_BYTES && entry.outgoing.try_send(bytes.to_vec()).is_ok();
        if !is_taken {
            tracing::warn!(remote = %entry.remote.address, "the far side does not read, closed");
            self.close(connection);
        }
    }

    /// Takes over a connection that the far side opened. `false`: there are too many.
    pub(super) fn accept(&mut self, accepted: Accepted) -> bool {
        let theirs = || self.table.values().filter(|entry| entry.way.is_none());
        let ip = accepted.remote.address.ip();
        let from_one = theirs().filter(|entry| entry.remote.address.ip() == ip).count();
        if theirs().count() >= ACCEPTED_LIMIT || from_one >= ACCEPTED_FROM_ONE {
            return false;
        }
        let Accepted { remote, stream, security } = accepted;
        self.start(remote, None, Side::Theirs, async move {
            tcp::prepare(&stream)?;
            Ok((stream, security))
        });
        true
    }

    /// Says why a connection could not be opened: once for each cause, however often it is tried.
    fn complain(&mut self, remote: Remote, way: Option<Way>, cause: String) {
        let remote = remote.address;
        let Some(way) = way else {
            tracing::warn!(%remote, "a connection to us came to nothing: {cause}");
            return;
        };
        // A certificate that has run out is described with the time of the look.
        let key: String = cause.chars().filter(|one| !one.is_ascii_digit()).collect();
        if self.complaints.get(&way) == Some(&key) {
            tracing::debug!(%remote, "a connection still cannot be opened: {cause}");
            return;
        }
        tracing::warn!(%remote, "a connection cannot be opened: {cause}");
        if self.complaints.len() >= COMPLAINT_LIMIT {
            self.complaints.clear();
        }
        self.complaints.insert(way, key);
    }

    fn close(&mut self, connection: ConnectionHandle) {
        if self.remove(connection).is_some() {
            self.closed.push(connection);
        }
    }

    /// The connection over which requests of a trunk go to an address.
    fn way_to(
        &mut self,
        transmit: &Transmit,
        open: impl FnOnce() -> tcp::Dial,
    ) -> Option<ConnectionHandle> {
        let Remote { transport, address, .. } = transmit.remote;
        let way = Way { trunk: transmit.trunk?, is_secure: transport == Transport::Tls, address };
        if let Some(connection) = self.by_way.get(&way) {
            return Some(*connection);
        }
        let seconds = KEEP_ALIVE_S.end - KEEP_ALIVE_S.start;
        let seconds = KEEP_ALIVE_S.start + self.rng.next_u64() % seconds;
        let side = Side::Ours { keep_alive: Duration::from_secs(seconds) };
        let dial = open();
        let connection = self.start(transmit.remote, Some(way), side, dial.connect());
        self.by_way.insert(way, connection);
        Some(connection)
    }

    fn start(
        &mut self,
        remote: Remote,
        way: Option<Way>,
        side: Side,
        stream: impl Future<Output = Result<(TcpStream, tcp::Security), tcp::OpenError>>
        + Send
        + 'static,
    ) -> ConnectionHandle {
        self.last += 1;
        let connection = ConnectionHandle(self.last);
        let remote = Remote { connection: Some(connection), ..remote };
        let (outgoing, queue) = mpsc::channel(QUEUE_MESSAGES);
        let queued = Arc::new(AtomicUsize::new(0));
        let counter = queued.clone();
        let told = self.told.clone();
        let task = async move {
            let wires = Wires { connection, side, outgoing: queue, queued: &counter, told: &told };
            tcp::run(remote.address, stream, wires).await;
        };
        let task = AbortOnDropHandle::new(tokio::spawn(task));
        let entry = Entry { remote, way, state: State::Opening, outgoing, queued, _task: task };
        self.table.insert(connection, entry);
        connection
    }

    fn remove(&mut self, connection: ConnectionHandle) -> Option<Entry> {
        let entry = self.table.remove(&connection)?;
        if let Some(way) = entry.way {
            self.by_way.remove(&way);
        }
        Some(entry)
    }
}

/// A connection that could not be opened, as the user agent is told.
pub(super) fn transport_error(error: &std::io::Error) -> TransportError {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => TransportError::Refused,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::TimedOut => {
            TransportError::Unreachable
        }
        _ => TransportError::Local,
    }
}
