//! One stream connection: a task cuts what it reads into messages for the call loop and writes
//! what the call loop hands it.
//!
//! Each connection has a task of its own, and does not share the call loop's turn as datagram
//! sockets do: connecting, a TLS handshake, half a message and half a write all wait, each with a
//! deadline of its own, and what waits in order is read best as a row of `await`s. The call loop
//! sees whole messages and bounded channels only, so no slow peer holds it up.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use sip::message::{Awaiting, Framer, FramingLost, Piece};
use sip::{ConnectionHandle, TransportError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout, timeout_at};

/// A header section that was begun must end within this.
const HEADER_LIMIT: Duration = Duration::from_secs(5);
/// A body must follow its header section within this.
const BODY_LIMIT: Duration = Duration::from_secs(10);
/// A connection that the far side opened, and over which nothing comes for so long, is closed:
/// five of the longest intervals in which clients keep connections alive (RFC 5626 section 4.4.1).
const IDLE_LIMIT: Duration = Duration::from_secs(600);
/// A write that takes longer has a peer that does not read.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// A peer that has answered a keep-alive before must answer the next ones within this
/// (RFC 5626 section 4.4.1).
const PONG_LIMIT: Duration = Duration::from_secs(10);
/// Bytes read at once. Also what a silent connection costs.
const CHUNK: usize = 4096;
/// Messages that are written together.
const BATCH: usize = 64;
/// Two line ends ask for one (RFC 5626 section 3.5.1).
const PING: &[u8] = b"\r\n\r\n";
const PONG: &[u8] = b"\r\n";

/// What a connection tells the call loop.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) connection: ConnectionHandle,
    pub(super) news: News,
}

/// `Opened` or `Failed` comes first, `Closed` or `Failed` comes last.
#[derive(Debug)]
pub(super) enum News {
    /// It can be used; this is our address on it.
    Opened { local: SocketAddr },
    /// It could not be opened, or the far side refused us when it had been.
    Failed { kind: TransportError, cause: String },
    /// One whole message.
    Message(Vec<u8>),
    /// It is gone.
    Closed,
}

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// We, and so we keep it alive, so often.
    Ours { keep_alive: Duration },
    /// The far side. It keeps it alive, or loses it.
    Theirs,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    /// The call loop let go of it.
    #[error("closed by us")]
    Dropped,
    /// The far side closed it.
    #[error("closed by the far side")]
    Finished,
    /// The network broke it.
    #[error("broken: {0}")]
    Broken(#[from] std::io::Error),
    /// Nobody can tell where the next message starts.
    #[error("framing lost: {0}")]
    FramingLost(#[from] FramingLost),
    /// A message was begun and not ended in time.
    #[error("a message was begun and not ended in time")]
    TooSlow,
    /// Nothing came for ten minutes.
    #[error("idle")]
    Idle,
    /// The far side does not read.
    #[error("the far side does not read")]
    NotReading,
    /// A keep-alive was not answered.
    #[error("a keep-alive was not answered")]
    NoPong,
}

/// The call loop's end of a connection's task.
#[derive(Debug)]
pub(super) struct Wires<'a> {
    pub(super) connection: ConnectionHandle,
    pub(super) side: Side,
    /// What is to be written.
    pub(super) outgoing: mpsc::Receiver<Vec<u8>>,
    /// How many bytes wait there.
    pub(super) queued: &'a AtomicUsize,
    /// What is told.
    pub(super) told: &'a mpsc::Sender<Told>,
}

/// What the reading and the writing half know of each other.
#[derive(Debug)]
struct Pulse {
    /// The far side wants a pong.
    pong_wanted: Notify,
    /// Something was read since the last ping.
    heard: AtomicBool,
    /// The far side has answered a ping.
    answers_pings: AtomicBool,
}

/// Reads and writes until one of both ends, and tells why.
pub(super) async fn serve<S: AsyncRead + AsyncWrite>(stream: S, wires: Wires<'_>) -> End {
    let (reader, writer) = tokio::io::split(stream);
    let pulse = Pulse {
        pong_wanted: Notify::new(),
        heard: AtomicBool::new(true),
        answers_pings: AtomicBool::new(false),
    };
    let Wires { connection, side, outgoing, queued, told } = wires;
    let reading = pin!(read(reader, connection, side, told, &pulse));
    let writing = pin!(write(writer, side, outgoing, queued, &pulse));
    tokio::select! {
        end = reading => end,
        end = writing => end,
    }
}

async fn read<S: AsyncRead>(
    mut reader: ReadHalf<S>,
    connection: ConnectionHandle,
    side: Side,
    told: &mpsc::Sender<Told>,
    pulse: &Pulse,
) -> End {
    let mut framer = Framer::new();
    let mut chunk = vec![0; CHUNK];
    let mut begun = (Awaiting::Message, Instant::now());
    loop {
        let limit = match (begun.0, side) {
            (Awaiting::HeaderSection, _) => Some((HEADER_LIMIT, End::TooSlow)),
            (Awaiting::Body, _) => Some((BODY_LIMIT, End::TooSlow)),
            (Awaiting::Message, Side::Theirs) => Some((IDLE_LIMIT, End::Idle)),
            (Awaiting::Message, Side::Ours { .. }) => None,
        };
        let length = match limit {
            Some((limit, end)) => {
                match timeout_at(begun.1 + limit, reader.read(&mut chunk)).await {
                    Ok(length) => length,
                    Err(_elapsed) => return end,
                }
            }
            None => reader.read(&mut chunk).await,
        };
        let bytes = match length {
            Ok(0) => return End::Finished,
            Ok(length) => &chunk[..length],
            Err(error) => return End::Broken(error),
        };
        let is_first = !pulse.heard.swap(true, Ordering::Relaxed);
        let is_pong = bytes.starts_with(PONG) && !bytes.starts_with(PING);
        if is_first && is_pong && begun.0 == Awaiting::Message {
            pulse.answers_pings.store(true, Ordering::Relaxed);
        }
        framer.push(bytes);
        let mut took_one = false;
        loop {
            match framer.next_piece() {
                Ok(Some(Piece::Message(bytes))) => {
                    let news = News::Message(bytes.to_vec());
                    if told.send(Told { connection, news }).await.is_err() {
                        return End::Dropped;
                    }
                    took_one = true;
                }
                Ok(Some(Piece::Ping)) => pulse.pong_wanted.notify_one(),
                Ok(None) => break,
                Err(lost) => return End::FramingLost(lost),
            }
        }
        let awaiting = framer.awaiting();
        // Time runs from the first byte of a section on: what trickles in does not stop it.
        if took_one || awaiting != begun.0 || awaiting == Awaiting::Message {
            begun = (awaiting, Instant::now());
        }
    }
}

async fn write<S: AsyncWrite>(
    mut writer: WriteHalf<S>,
    side: Side,
    mut outgoing: mpsc::Receiver<Vec<u8>>,
    queued: &AtomicUsize,
    pulse: &Pulse,
) -> End {
    let mut batch = Vec::with_capacity(BATCH);
    let mut bytes = Vec::new();
    let mut next_ping = keep_alive(side).map(|interval| Instant::now() + interval);
    let mut pong_until: Option<Instant> = None;
    loop {
        bytes.clear();
        tokio::select! {
            biased;
            count = outgoing.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    // What is left of a TLS session is no loss to a peer that we leave.
                    let _ = timeout(WRITE_LIMIT, writer.shutdown()).await;
                    return End::Dropped;
                }
                for message in batch.drain(..) {
                    queued.fetch_sub(message.len(), Ordering::Relaxed);
                    bytes.extend_from_slice(&message);
                }
            }
            () = pulse.pong_wanted.notified() => bytes.extend_from_slice(PONG),
            () = until(pong_until) => {
                pong_until = None;
                let heard = pulse.heard.load(Ordering::Relaxed);
                if !heard && pulse.answers_pings.load(Ordering::Relaxed) {
                    return End::NoPong;
                }
            }
            () = until(next_ping) => {
                next_ping = keep_alive(side).map(|interval| Instant::now() + interval);
                pong_until = Some(Instant::now() + PONG_LIMIT);
                pulse.heard.store(false, Ordering::Relaxed);
                bytes.extend_from_slice(PING);
            }
        }
        if bytes.is_empty() {
            continue;
        }
        let written = async {
            writer.write_all(&bytes).await?;
            writer.flush().await
        };
        match timeout(WRITE_LIMIT, written).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return End::Broken(error),
            Err(_elapsed) => return End::NotReading,
        }
        bytes.shrink_to(CHUNK);
    }
}

fn keep_alive(side: Side) -> Option<Duration> {
    match side {
        Side::Ours { keep_alive } => Some(keep_alive),
        Side::Theirs => None,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
