//! A carrier of our own with as many phones as numbers are dialled, each of which rings until it is
//! cancelled, or is picked up at once; and which call.
//! For scenarios that ask about the daemon and not about SIP: those have SIPp.

use std::collections::{BTreeMap, HashMap};
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
    socket: Arc<UdpSocket>,
    messages: watch::Receiver<Vec<Captured>>,
    heard: watch::Sender<BTreeMap<u16, usize>>,
    tasks: [tokio::task::JoinHandle<()>; 2],
}

/// How the phones behave.
#[derive(Clone, Debug, Default)]
struct Manner {
    /// For each answer to a text.
    delay: Duration,
    /// They are picked up at once, with this session description.
    answer: Option<String>,
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
        Self::start(|_| Manner { delay, answer: None }).await
    }

    /// Phones that are picked up at once and listen.
    ///
    /// # Panics
    /// When no socket can be bound.
    pub async fn pick_up() -> Self {
        Self::start(|ear| {
            let media = format!("m=audio {} RTP/AVP 8\r\n", ear.port());
            Manner { answer: Some(description(&media)), ..Manner::default() }
        })
        .await
    }

    /// Phones that are picked up at once, with a session that has no audio.
    ///
    /// # Panics
    /// When no socket can be bound.
    pub async fn pick_up_without_audio() -> Self {
        Self::start(|_| {
            let media = "m=audio 0 RTP/AVP 8\r\nm=video 40000 RTP/AVP 96\r\n";
            Manner { answer: Some(description(media)), ..Manner::default() }
        })
        .await
    }

    async fn start(manner: impl FnOnce(SocketAddr) -> Manner) -> Self {
        let bind = || UdpSocket::bind("127.0.0.1:0");
        let (socket, ear) = (bind().await, bind().await);
        let socket = Arc::new(socket.expect("loopback has a free port"));
        let ear = ear.expect("loopback has a free port");
        let local = |socket: &UdpSocket| socket.local_addr().expect("a bound socket");
        let (address, manner) = (local(&socket), manner(local(&ear)));
        let (sender, messages) = watch::channel(Vec::new());
        let heard = watch::Sender::new(BTreeMap::new());
        let tasks = [
            tokio::spawn(serve(Arc::clone(&socket), sender, manner)),
            tokio::spawn(listen(ear, heard.clone())),
        ];
        Self { address, socket, messages, heard, tasks }
    }

    /// How many packets of audio came from each port so far.
    #[must_use]
    pub fn heard(&self) -> BTreeMap<u16, usize> {
        self.heard.borrow().clone()
    }

    /// Forgets what was heard: ports are given again.
    pub fn forget_heard(&self) {
        self.heard.send_modify(BTreeMap::clear);
    }

    /// Waits until this many packets of audio came from one port.
    ///
    /// # Panics
    /// When they do not within `limit`.
    pub async fn until_heard(&self, port: u16, packets: usize, limit: Duration) {
        let mut heard = self.heard.subscribe();
        let enough = heard.wait_for(|heard| heard.get(&port).is_some_and(|n| *n >= packets));
        let in_time = tokio::time::timeout(limit, enough).await.is_ok();
        assert!(in_time, "{packets} packets from {port} in {limit:?}, but {:?}", self.heard());
    }

    /// Calls `number` at `gateway`, which may be away meanwhile: the INVITE is repeated until it has
    /// a final answer. Its status; `None` when there is none within `limit`.
    pub async fn call(
        &self,
        gateway: SocketAddr,
        (caller, number, call_id): (&str, &str, &str),
        limit: Duration,
    ) -> Option<u16> {
        // RFC 3261 section 17.1.1.2, without the doubling: a test does not wait.
        const REPEAT: Duration = Duration::from_millis(250);
        let invite = format!(
            "INVITE sip:{number}@gateway.example SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK\
             {call_id};rport\r\nMax-Forwards: 70\r\nFrom: <sip:{caller}@carrier.example>;tag=\
             {call_id}\r\nTo: <sip:{number}@gateway.example>\r\nCall-ID: {call_id}\r\n\
             CSeq: 1 INVITE\r\nContact: <sip:{caller}@{}>\r\nP-Asserted-Identity: \
             <sip:{caller}@carrier.example>\r\nContent-Length: 0\r\n\r\n",
            self.address, self.address
        );
        let mut messages = self.messages.clone();
        let status = |messages: &[Captured]| {
            let mut answers = messages.iter().filter(|message| message.call_id() == call_id);
            answers.find_map(|answer| answer.status().filter(|status| *status >= 200))
        };
        let repeated = async {
            loop {
                // A daemon that was killed has no socket to refuse with.
                let _ = self.socket.send_to(invite.as_bytes(), gateway).await;
                let answered = messages.wait_for(|messages| status(messages).is_some());
                if let Ok(Ok(messages)) = tokio::time::timeout(REPEAT, answered).await {
                    return status(&messages);
                }
            }
        };
        tokio::time::timeout(limit, repeated).await.ok().flatten()
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
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
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

/// The port that an INVITE's session description wants audio at, which audio comes from as well.
///
/// # Panics
/// When it names none.
#[must_use]
pub fn media_port(invite: &Captured) -> u16 {
    let body = String::from_utf8_lossy(invite.body()).into_owned();
    let media = body.lines().find_map(|line| line.strip_prefix("m=audio ")).expect("audio");
    media.split(' ').next().and_then(|port| port.parse().ok()).expect("a port")
}

fn description(media: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n{media}")
}

async fn listen(ear: UdpSocket, heard: watch::Sender<BTreeMap<u16, usize>>) {
    let mut packet = [0; 2048];
    while let Ok((_, source)) = ear.recv_from(&mut packet).await {
        heard.send_modify(|heard| *heard.entry(source.port()).or_default() += 1);
    }
}

async fn serve(socket: Arc<UdpSocket>, record: watch::Sender<Vec<Captured>>, manner: Manner) {
    let record = Arc::new(record);
    // The INVITE of each Call-ID: its 487 repeats it, not the CANCEL.
    let mut invites = HashMap::new();
    let mut buffer = vec![0; 65_536];
    while let Ok((length, remote)) = socket.recv_from(&mut buffer).await {
        let request = captured(Direction::Received, remote, buffer[..length].to_vec());
        let Manner { delay, answer } = &manner;
        let (delay, answers) = (*delay, answers(&request, &mut invites, answer.as_deref()));
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

fn answers(
    request: &Captured,
    invites: &mut HashMap<String, Captured>,
    session: Option<&str>,
) -> Vec<Vec<u8>> {
    if request.status().is_some_and(|status| status >= 300) {
        return vec![ack(request)];
    }
    match request.method().as_deref() {
        Some("INVITE") => {
            invites.insert(request.call_id(), request.clone());
            let mut answers = vec![answer(request, "100 Trying"), answer(request, "180 Ringing")];
            answers.extend(session.map(|session| answer_with(request, "200 OK", session)));
            answers
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

/// The ACK to a refusal of a call of ours (RFC 3261 section 17.1.1.3).
fn ack(refusal: &Captured) -> Vec<u8> {
    let mut text =
        "ACK sip:gateway.example SIP/2.0\r\nMax-Forwards: 70\r\nCSeq: 1 ACK\r\n".to_owned();
    for name in ["Via", "From", "To", "Call-ID"] {
        text += &format!("{name}: {}\r\n", refusal.header(name).unwrap_or_default());
    }
    (text + "Content-Length: 0\r\n\r\n").into_bytes()
}

/// An answer to a request, such as `200 OK`, from somebody who has a telephone.
#[must_use]
pub fn answer(request: &Captured, status: &str) -> Vec<u8> {
    answer_with(request, status, "")
}

fn answer_with(request: &Captured, status: &str, session: &str) -> Vec<u8> {
    let mut text = request.answer_head(status, "phone");
    text += "Contact: <sip:phone@phones.example>\r\n";
    if !session.is_empty() {
        text += "Content-Type: application/sdp\r\n";
    }
    (text + &format!("Content-Length: {}\r\n\r\n{session}", session.len())).into_bytes()
}

fn captured(direction: Direction, remote: SocketAddr, bytes: Vec<u8>) -> Captured {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Captured { at, direction, remote: Some(remote), bytes }
}
