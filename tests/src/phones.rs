//! A carrier of our own with as many phones as numbers are dialled, each of which rings until it is
//! cancelled. For scenarios that ask about the daemon and not about SIP: those have SIPp.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::UdpSocket;
use tokio::sync::watch;

use crate::capture::{Captured, Direction, ladder};

/// Phones that ring. They fall silent when the value is dropped.
#[derive(Debug)]
pub struct Phones {
    address: SocketAddr,
    messages: watch::Receiver<Vec<Captured>>,
    task: tokio::task::JoinHandle<()>,
}

impl Phones {
    /// Starts them on a free loopback port.
    ///
    /// # Panics
    /// When no socket can be bound.
    pub async fn ring() -> Self {
        Self::slow(Duration::ZERO).await
    }

    /// The same on a network that takes so long for each answer to a text.
    ///
    /// # Panics
    /// When no socket can be bound.
    pub async fn slow(delay: Duration) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = socket.local_addr().expect("a bound socket has an address");
        let (sender, messages) = watch::channel(Vec::new());
        let task = tokio::spawn(serve(socket, sender, delay));
        Self { address, messages, task }
    }

    /// Where the phones are reached.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What came and went so far.
    #[must_use]
    pub fn messages(&self) -> Vec<Captured> {
        self.messages.borrow().clone()
    }

    /// Waits until the record fulfils `condition`, and returns it.
    ///
    /// # Panics
    /// When it does not within `limit`; `what` says what was waited for.
    pub async fn until(
        &self,
        limit: Duration,
        what: &str,
        condition: impl Fn(&[Captured]) -> bool,
    ) -> Vec<Captured> {
        let mut messages = self.messages.clone();
        let reached = messages.wait_for(|messages| condition(messages));
        let reached = tokio::time::timeout(limit, reached).await.is_ok_and(|seen| seen.is_ok());
        let seen = self.messages();
        assert!(reached, "phones: no {what} in {limit:?}:\n{}", ladder(&seen));
        seen
    }
}

impl Drop for Phones {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The user part of a header such as From.
///
/// # Panics
/// When the message has no such header.
#[must_use]
pub fn user(message: &Captured, header: &str) -> String {
    let value = message.header(header).unwrap_or_else(|| panic!("no {header}"));
    let behind = value.split_once("sip:").map_or(value.as_str(), |(_, behind)| behind);
    behind.split_once('@').map_or(behind, |(user, _)| user).to_owned()
}

async fn serve(socket: UdpSocket, record: watch::Sender<Vec<Captured>>, delay: Duration) {
    let (socket, record) = (Arc::new(socket), Arc::new(record));
    // The INVITE of each Call-ID: its 487 repeats it, not the CANCEL.
    let mut invites = HashMap::new();
    let mut buffer = vec![0; 65_536];
    while let Ok((length, remote)) = socket.recv_from(&mut buffer).await {
        let request = captured(Direction::Received, remote, buffer[..length].to_vec());
        let answers = answers(&request, &mut invites);
        let is_late = !delay.is_zero() && request.method().as_deref() == Some("MESSAGE");
        record.send_modify(|messages| messages.push(request));
        let (socket, record) = (Arc::clone(&socket), Arc::clone(&record));
        if is_late {
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                send(&socket, &record, remote, answers).await;
            });
        } else {
            send(&socket, &record, remote, answers).await;
        }
    }
}

async fn send(
    socket: &UdpSocket,
    record: &watch::Sender<Vec<Captured>>,
    remote: SocketAddr,
    answers: Vec<Vec<u8>>,
) {
    for answer in answers {
        // A daemon that was killed has no socket to refuse with; the next one asks again.
        let _ = socket.send_to(&answer, remote).await;
        record.send_modify(|messages| messages.push(captured(Direction::Sent, remote, answer)));
    }
}

fn answers(request: &Captured, invites: &mut HashMap<String, Captured>) -> Vec<Vec<u8>> {
    match request.method().as_deref() {
        Some("INVITE") => {
            invites.insert(request.call_id(), request.clone());
            vec![answer(request, "100 Trying"), answer(request, "180 Ringing")]
        }
        Some("CANCEL") => match invites.get(&request.call_id()) {
            Some(invite) => {
                vec![answer(request, "200 OK"), answer(invite, "487 Request Terminated")]
            }
            None => vec![answer(request, "481 Call/Transaction Does Not Exist")],
        },
        Some("MESSAGE") => vec![answer(request, "202 Accepted")],
        Some("OPTIONS" | "BYE" | "REGISTER") => vec![answer(request, "200 OK")],
        _ => Vec::new(),
    }
}

fn answer(request: &Captured, status: &str) -> Vec<u8> {
    let mut text = format!("SIP/2.0 {status}\r\n");
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        for mut value in request.headers(name) {
            if name == "To" && !status.starts_with("100") && !value.contains(";tag=") {
                value.push_str(";tag=phone");
            }
            text += &format!("{name}: {value}\r\n");
        }
    }
    (text + "Contact: <sip:phone@phones.example>\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

fn captured(direction: Direction, remote: SocketAddr, bytes: Vec<u8>) -> Captured {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Captured { at, direction, remote: Some(remote), bytes }
}
