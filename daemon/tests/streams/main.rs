//! The call loop over TCP and TLS, against a carrier of the test's own on loopback.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod large;
mod peer;
mod restart;
mod secure;

use std::time::{Duration, Instant};

use sip::{CallOutcome, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

use peer::{
    Peer, bound, driver, listener, outcome, place, registered, soon, status, trunk, trunk_name,
};

const OPTIONS: &str = "OPTIONS sip:dozvon@127.0.0.1 SIP/2.0\r\n\
    Via: SIP/2.0/TCP 127.0.0.1:5060;branch=z9hG4bK1;rport\r\n\
    Max-Forwards: 70\r\nFrom: <sip:carrier.test>;tag=1\r\nTo: <sip:dozvon@127.0.0.1>\r\n\
    Call-ID: options\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn calls_of_a_trunk_share_the_connection_that_the_first_one_opened() {
    let (carrier, address) = listener().await;
    let driver = driver(&[], None, vec![trunk("north", Transport::Tcp, address)]);
    bound(&driver, "north").await;
    let first = place(&driver, "north", 1);
    let (stream, _) = soon(carrier.accept()).await.unwrap();
    let mut peer = Peer::new(stream);
    peer.ring_once().await;
    assert_eq!(outcome(first).await, CallOutcome::Rang);
    let second = place(&driver, "north", 2);
    peer.ring_once().await;
    assert_eq!(outcome(second).await, CallOutcome::Rang);
}

#[tokio::test]
async fn a_carriers_request_is_answered_on_the_connection_it_came_by_whoever_opened_that() {
    let (carrier, address) = listener().await;
    let port = listener().await.1.port();
    let ours = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let north = trunk("north", Transport::Tcp, address);
    let driver = driver(&[(Transport::Tcp, ours)], None, vec![north]);
    let watch = place(&driver, "north", 1);
    let (stream, _) = soon(carrier.accept()).await.unwrap();
    let mut peer = Peer::new(stream);
    peer.expect("INVITE").await;
    peer.write(OPTIONS).await;
    peer.expect("SIP/2.0 200").await;
    drop(watch);

    let mut theirs = Peer::new(TcpStream::connect(ours).await.unwrap());
    // Joined with a ping and cut in the middle.
    let (head, tail) = OPTIONS.split_at(50);
    theirs.write(&format!("\r\n\r\n{head}")).await;
    theirs.write(&tail.replace("branch=z9hG4bK1", "branch=z9hG4bK2")).await;
    theirs.expect("SIP/2.0 200").await;
}

#[tokio::test]
async fn a_strangers_connection_is_closed_without_a_word() {
    let (_carrier, address) = listener().await;
    let port = listener().await.1.port();
    let ours = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let _driver =
        driver(&[(Transport::Tcp, ours)], None, vec![trunk("north", Transport::Tcp, address)]);
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.66:0".parse().unwrap()).unwrap();
    let mut stranger = socket.connect(ours).await.unwrap();
    // The connection may be gone before this arrives.
    let _ = stranger.write_all(OPTIONS.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = soon(stranger.read_to_end(&mut answer)).await;
    assert_eq!(answer, b"");
}

#[tokio::test]
async fn a_trunk_that_loses_its_connection_registers_again_at_once_over_another() {
    let (carrier, address) = listener().await;
    let north = registered(trunk("north", Transport::Tcp, address));
    let driver = driver(&[], None, vec![north]);
    let (stream, _) = soon(carrier.accept()).await.unwrap();
    let mut peer = Peer::new(stream);
    let register = peer.expect("REGISTER").await;
    assert!(register.contains("SIP/2.0/TCP"), "{register}");
    peer.reply(&register, status(200)).await;
    bound(&driver, "north").await;
    drop(peer);
    let lost = Instant::now();
    let (stream, _) = soon(carrier.accept()).await.unwrap();
    Peer::new(stream).expect("REGISTER").await;
    // REGISTERs are at least 1 s apart.
    assert!(lost.elapsed() < Duration::from_millis(1500), "{:?}", lost.elapsed());
}

#[tokio::test]
async fn a_call_that_rings_is_cancelled_over_another_connection_when_its_own_breaks() {
    let (carrier, address) = listener().await;
    let driver = driver(&[], None, vec![trunk("north", Transport::Tcp, address)]);
    let watch = place(&driver, "north", 1);
    let (stream, _) = soon(carrier.accept()).await.unwrap();
    let mut peer = Peer::new(stream);
    let invite = peer.expect("INVITE").await;
    peer.reply(&invite, status(180)).await;
    drop(peer);
    let (stream, _) = soon(carrier.accept()).await.unwrap();
    let mut peer = Peer::new(stream);
    let cancel = peer.expect("CANCEL").await;
    peer.reply(&cancel, status(200)).await;
    peer.reply(&invite, status(487)).await;
    peer.expect("ACK").await;
    assert_eq!(outcome(watch).await, CallOutcome::Rang);
}

#[tokio::test]
async fn a_refused_connection_ends_the_call_at_once_as_trunk_down() {
    let (carrier, address) = listener().await;
    drop(carrier);
    let driver = driver(&[], None, vec![trunk("north", Transport::Tcp, address)]);
    let start = Instant::now();
    assert_eq!(outcome(place(&driver, "north", 1)).await, CallOutcome::TrunkDown);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_carrier_that_reads_nothing_holds_up_no_other_trunk() {
    let (deaf, deaf_address) = listener().await;
    let (carrier, address) = listener().await;
    let trunks =
        vec![trunk("deaf", Transport::Tcp, deaf_address), trunk("north", Transport::Tcp, address)];
    let driver = driver(&[], None, trunks);
    bound(&driver, "deaf").await;
    let unread: Vec<_> = (10..210).map(|nth| place(&driver, "deaf", nth)).collect();
    let (_unread, _) = soon(deaf.accept()).await.unwrap();
    let watch = place(&driver, "north", 1);
    let (stream, _) = soon(carrier.accept()).await.unwrap();
    Peer::new(stream).ring_once().await;
    assert_eq!(outcome(watch).await, CallOutcome::Rang);
    assert_eq!(driver.trunk(&trunk_name("deaf")).unwrap().calls_up, 200);
    drop(unread);
}

#[tokio::test]
async fn datagram_trunks_and_stream_trunks_live_side_by_side() {
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (carrier, address) = listener().await;
    let trunks = vec![
        trunk("datagrams", Transport::Udp, udp.local_addr().unwrap()),
        trunk("stream", Transport::Tcp, address),
    ];
    let driver = driver(&[(Transport::Udp, "127.0.0.1:0".parse().unwrap())], None, trunks);
    let _watches = (place(&driver, "datagrams", 1), place(&driver, "stream", 2));
    let mut packet = [0; 2048];
    let (length, _) = soon(udp.recv_from(&mut packet)).await.unwrap();
    let invite = String::from_utf8_lossy(&packet[..length]).into_owned();
    assert!(invite.contains("Via: SIP/2.0/UDP"), "{invite}");
    let (stream, _) = soon(carrier.accept()).await.unwrap();
    let invite = Peer::new(stream).expect("INVITE").await;
    assert!(invite.contains("Via: SIP/2.0/TCP"), "{invite}");
    assert!(invite.contains("transport=tcp"), "{invite}");
}
