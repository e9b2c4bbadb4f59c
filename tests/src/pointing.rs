//! A carrier that points elsewhere in all it says, and who listens there.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use crate::capture::{Captured, Direction};

/// Where it points.
const ELSEWHERE: &str = "127.0.0.77:0";

/// What it answers an INVITE with, by the last digit of the called number.
const WAYS: [&[&str]; 5] = [
    &["302 Moved Temporarily"],
    &["305 Use Proxy"],
    &["180 Ringing", "200 OK"],
    &["183 Session Progress", "180 Ringing"],
    &["200 OK"],
];

/// The carrier. It falls silent when the value is dropped.
#[derive(Debug)]
pub struct PointingCarrier {
    address: SocketAddr,
    elsewhere: std::net::UdpSocket,
    methods: Arc<Mutex<BTreeSet<String>>>,
    task: JoinHandle<()>,
}

impl PointingCarrier {
    /// Starts it on a free loopback port.
    ///
    /// # Panics
    /// When no socket can be bound.
    pub async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = socket.local_addr().expect("a bound socket has an address");
        let elsewhere = std::net::UdpSocket::bind(ELSEWHERE).expect("loopback has many addresses");
        elsewhere.set_nonblocking(true).expect("a socket may be asked");
        let target = elsewhere.local_addr().expect("a bound socket has an address");
        let methods = Arc::new(Mutex::new(BTreeSet::new()));
        let task = tokio::spawn(serve(socket, target, Arc::clone(&methods)));
        Self { address, elsewhere, methods, task }
    }

    /// Where it is reached.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it points.
    ///
    /// # Panics
    /// Never: the socket is bound.
    #[must_use]
    pub fn elsewhere(&self) -> SocketAddr {
        self.elsewhere.local_addr().expect("a bound socket has an address")
    }

    /// How many ways of pointing there are.
    #[must_use]
    pub fn ways(&self) -> usize {
        WAYS.len()
    }

    /// The methods of the requests that came to the carrier itself.
    ///
    /// # Panics
    /// When its task did.
    #[must_use]
    pub fn methods(&self) -> BTreeSet<String> {
        self.methods.lock().expect("the task only adds").clone()
    }

    /// How many packets came where it points.
    #[must_use]
    pub fn packets_elsewhere(&self) -> usize {
        std::iter::repeat_with(|| self.elsewhere.recv_from(&mut [0; 2048]))
            .take_while(Result::is_ok)
            .count()
    }
}

impl Drop for PointingCarrier {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(socket: UdpSocket, target: SocketAddr, methods: Arc<Mutex<BTreeSet<String>>>) {
    let mut invites: HashMap<String, Captured> = HashMap::new();
    let mut buffer = vec![0; 65_536];
    while let Ok((length, remote)) = socket.recv_from(&mut buffer).await {
        let bytes = buffer[..length].to_vec();
        let at = Duration::ZERO;
        let request = Captured { at, direction: Direction::Received, remote: Some(remote), bytes };
        let Some(method) = request.method() else { continue };
        let answers = match method.as_str() {
            "INVITE" => {
                invites.insert(request.call_id(), request.clone());
                let way = way(&request).iter();
                way.map(|status| answer(&request, status, target)).collect()
            }
            "CANCEL" => {
                let invite = invites.get(&request.call_id());
                let ended = invite.map(|it| answer(it, "487 Request Terminated", target));
                std::iter::once(answer(&request, "200 OK", target)).chain(ended).collect()
            }
            "ACK" => Vec::new(),
            _ => vec![answer(&request, "200 OK", target)],
        };
        methods.lock().expect("a look only reads").insert(method);
        for answer in answers {
            // A daemon that has ended wants none.
            let _ = socket.send_to(answer.as_bytes(), remote).await;
        }
    }
}

fn way(invite: &Captured) -> &'static [&'static str] {
    let line = invite.start_line();
    let digit = line.split('@').next().and_then(|uri| uri.chars().last());
    let digit = digit.and_then(|digit| digit.to_digit(10)).unwrap_or_default();
    WAYS[digit as usize % WAYS.len()]
}

/// Everything that could name a place names the other one.
fn answer(request: &Captured, status: &str, target: SocketAddr) -> String {
    let text = request.answer_head(status, "carrier");
    let (ip, port) = (target.ip(), target.port());
    let body = format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8 0\r\n"
    );
    text + &format!(
        "Contact: <sip:x@{target}>\r\nRecord-Route: <sip:{target};lr>\r\n\
         Alert-Info: <http://{target}/>\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
