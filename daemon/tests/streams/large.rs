//! INVITEs and texts that are too large for a datagram, at targets over UDP.

use std::net::SocketAddr;

use daemon::ua_driver::{Driver, MessageEnd, TrunkSpec};
use sip::{CallIdentity, CallOutcome, OutboundMessage, SendMessageError, Transport, UserPart};
use tokio::net::{TcpSocket, UdpSocket};

use crate::peer::{Peer, bound, driver, listener, outcome, place, soon, status, trunk, trunk_name};

/// A driver with one trunk over UDP whose operator adds lines enough for 1,300 bytes.
async fn wordy(address: SocketAddr) -> Driver {
    let mut north: TrunkSpec = trunk("north", Transport::Udp, address);
    north.settings.headers = (0..10).map(|nth| (format!("X-Line-{nth}"), "y".repeat(80))).collect();
    north.settings.sms = true;
    let ours = "127.0.0.1:0".parse().unwrap();
    let driver = driver(&[(Transport::Udp, ours)], None, vec![north]);
    bound(&driver, "north").await;
    driver
}

/// A carrier of datagrams at whose port nobody can listen for TCP.
async fn datagrams_alone() -> (UdpSocket, TcpSocket) {
    loop {
        let carrier = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let silent = TcpSocket::new_v4().unwrap();
        // Somebody else's connection may have the number.
        if silent.bind(carrier.local_addr().unwrap()).is_ok() {
            return (carrier, silent);
        }
    }
}

/// A text that a trunk sends: how it ended.
fn text(driver: &Driver, words: &str) -> tokio::sync::oneshot::Receiver<MessageEnd> {
    let message = OutboundMessage {
        identity: CallIdentity([9; 32]),
        called: UserPart::new("+79161234567").unwrap(),
        sender: None,
        text: words.to_owned(),
    };
    driver.reserve().unwrap().send_message(trunk_name("north"), message)
}

#[tokio::test]
async fn a_large_invite_goes_over_tcp_where_the_target_takes_it() {
    let (carrier, address) = listener().await;
    let driver = wordy(address).await;
    let call = place(&driver, "north", 1);
    let mut peer = Peer::new(soon(carrier.accept()).await.unwrap().0);
    peer.ring_once().await;
    assert_eq!(outcome(call).await, CallOutcome::Rang);
}

#[tokio::test]
async fn a_large_invite_is_a_datagram_where_nobody_listens_for_tcp() {
    let (carrier, _silent) = datagrams_alone().await;
    let driver = wordy(carrier.local_addr().unwrap()).await;
    let _call = place(&driver, "north", 1);
    let mut packet = [0; 4096];
    let length = soon(carrier.recv(&mut packet)).await.unwrap();
    let text = String::from_utf8_lossy(&packet[..length]);
    assert!(length > 1300 && text.starts_with("INVITE ") && text.contains("\r\nVia: SIP/2.0/UDP "));
}

#[tokio::test]
async fn a_large_text_goes_over_tcp_where_the_target_takes_it() {
    let (carrier, address) = listener().await;
    let driver = wordy(address).await;
    let words = "ж".repeat(1000);
    let ended = text(&driver, &words);
    let mut peer = Peer::new(soon(carrier.accept()).await.unwrap().0);
    let message = peer.expect("MESSAGE").await;
    assert!(message.contains("\r\nVia: SIP/2.0/TCP ") && message.ends_with(&words), "{message}");
    peer.reply(&message, status(202)).await;
    let MessageEnd::Ended(summary) = soon(ended).await.unwrap() else { panic!("it was refused") };
    assert_eq!(summary.status, Some(202));
}

#[tokio::test]
async fn a_large_text_is_refused_where_nobody_listens_for_tcp() {
    let (carrier, _silent) = datagrams_alone().await;
    let driver = wordy(carrier.local_addr().unwrap()).await;
    for _ in 0..2 {
        let end = soon(text(&driver, &"ж".repeat(1000))).await.unwrap();
        assert!(matches!(end, MessageEnd::Refused(SendMessageError::TooLong { .. })), "{end:?}");
    }
    let nothing = carrier.try_recv(&mut [0; 4096]).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
}
