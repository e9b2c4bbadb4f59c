//! Streams without a network, in virtual time.

use tokio::io::DuplexStream;
use tokio::task::JoinHandle;

use super::*;

const MESSAGE: &str = "OPTIONS sip:a SIP/2.0\r\nContent-Length: 4\r\n\r\nbody";
const OURS: Side = Side::Ours { keep_alive: Duration::from_secs(30) };

struct Peer {
    stream: DuplexStream,
    outgoing: mpsc::Sender<Vec<u8>>,
    told: mpsc::Receiver<Told>,
    end: JoinHandle<End>,
}

/// A connection whose pipe holds so many bytes.
fn connection(side: Side, pipe: usize) -> Peer {
    let (stream, ours) = tokio::io::duplex(pipe);
    let (outgoing, queue) = mpsc::channel(1024);
    let (sender, told) = mpsc::channel(1024);
    let end = tokio::spawn(async move {
        let (told, queued) = (sender, AtomicUsize::new(1 << 40));
        let connection = ConnectionHandle(7);
        let wires = Wires { connection, side, outgoing: queue, queued: &queued, told: &told };
        serve(ours, wires).await
    });
    Peer { stream, outgoing, told, end }
}

impl Peer {
    async fn message(&mut self) -> String {
        match self.told.recv().await.unwrap().news {
            News::Message(bytes) => String::from_utf8(bytes).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    async fn read(&mut self, length: usize) -> String {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn joined_and_split_messages_come_one_by_one_and_a_ping_between_them_is_answered() {
    let mut peer = connection(Side::Theirs, 1 << 16);
    let text = format!("{MESSAGE}{MESSAGE}\r\n\r\n{MESSAGE}");
    let (head, tail) = text.split_at(text.len() - 7);
    peer.stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(peer.message().await, MESSAGE);
    assert_eq!(peer.message().await, MESSAGE);
    assert_eq!(peer.read(2).await, "\r\n");
    peer.stream.write_all(tail.as_bytes()).await.unwrap();
    assert_eq!(peer.message().await, MESSAGE);
}

#[tokio::test(start_paused = true)]
async fn a_header_section_that_trickles_in_is_cut_off_after_five_seconds() {
    let mut peer = connection(OURS, 1 << 16);
    let start = Instant::now();
    for byte in MESSAGE.bytes() {
        if peer.stream.write_all(&[byte]).await.is_err() {
            break;
        }
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert!(matches!(peer.end.await.unwrap(), End::TooSlow));
    assert!(start.elapsed() < Duration::from_secs(9), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_body_has_ten_seconds() {
    let mut peer = connection(OURS, 1 << 16);
    peer.stream.write_all(&MESSAGE.as_bytes()[..MESSAGE.len() - 1]).await.unwrap();
    let start = Instant::now();
    assert!(matches!(peer.end.await.unwrap(), End::TooSlow));
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_too_long_closes_the_connection_and_a_bad_one_does_not() {
    let mut peer = connection(OURS, 1 << 16);
    let bad = "nonsense\r\nl: 0\r\n\r\n";
    peer.stream.write_all(bad.as_bytes()).await.unwrap();
    assert_eq!(peer.message().await, bad);
    peer.stream.write_all(b"A\r\nContent-Length: 2147483648\r\n\r\n").await.unwrap();
    let end = peer.end.await.unwrap();
    assert!(matches!(end, End::FramingLost(FramingLost::MessageTooLong)), "{end}");
}

#[tokio::test(start_paused = true)]
async fn our_connections_are_kept_alive_and_theirs_are_closed_when_nothing_comes() {
    let mut ours = connection(OURS, 1 << 16);
    let start = Instant::now();
    for minute in 1..=40 {
        assert_eq!(ours.read(4).await, "\r\n\r\n");
        assert_eq!(start.elapsed().as_secs(), 30 * minute);
    }
    let theirs = connection(Side::Theirs, 1 << 16);
    let start = Instant::now();
    assert!(matches!(theirs.end.await.unwrap(), End::Idle));
    assert_eq!(start.elapsed(), IDLE_LIMIT);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answered_a_keep_alive_and_stops_doing_so_is_gone() {
    let mut peer = connection(OURS, 1 << 16);
    assert_eq!(peer.read(4).await, "\r\n\r\n");
    peer.stream.write_all(b"\r\n").await.unwrap();
    assert_eq!(peer.read(4).await, "\r\n\r\n");
    let start = Instant::now();
    assert!(matches!(peer.end.await.unwrap(), End::NoPong));
    assert_eq!(start.elapsed(), PONG_LIMIT);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_left_after_ten_seconds() {
    let peer = connection(OURS, 64);
    peer.outgoing.send(vec![b'x'; 1000]).await.unwrap();
    let start = Instant::now();
    assert!(matches!(peer.end.await.unwrap(), End::NotReading));
    assert_eq!(start.elapsed(), WRITE_LIMIT);
}

#[tokio::test(start_paused = true)]
async fn what_was_queued_is_written_before_we_close() {
    let mut peer = connection(OURS, 1 << 16);
    peer.outgoing.send(b"one".to_vec()).await.unwrap();
    peer.outgoing.send(b"two".to_vec()).await.unwrap();
    drop(peer.outgoing);
    assert!(matches!(peer.end.await.unwrap(), End::Dropped));
    let mut all = String::new();
    peer.stream.read_to_string(&mut all).await.unwrap();
    assert_eq!(all, "onetwo");
}
