//! A carrier at the other end of a stream: it reads whole messages and answers what the test says.

use std::net::SocketAddr;
use std::time::Duration;

use daemon::ids::CallId;
use daemon::ua_driver::{
    CallEnd, CallOrder, CallWatch, Driver, DriverSettings, TlsClient, TlsServer, TrunkSpec,
};
use dialplans::TrunkName;
use sip::message::{Framer, Framing, Parser, Piece, Status, Writer};
use sip::{
    CallIdentity, CallRequest, CallerId, HostPort, Target, Transport, TrunkSettings, UserPart,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

/// Nothing that these tests wait for takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it comes within 10 s")
}

pub(crate) async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

pub(crate) struct Peer<S> {
    pub(crate) stream: S,
    framer: Framer,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, framer: Framer::new() }
    }

    /// The next message; `None`: the connection is closed.
    pub(crate) async fn message(&mut self) -> Option<String> {
        soon(self.message_at_any_time()).await
    }

    /// The same, however long it takes.
    pub(crate) async fn message_at_any_time(&mut self) -> Option<String> {
        let mut chunk = [0; 2048];
        loop {
            if let Some(Piece::Message(bytes)) = self.framer.next_piece().unwrap() {
                return Some(String::from_utf8(bytes.to_vec()).unwrap());
            }
            match self.stream.read(&mut chunk).await {
                Ok(0) | Err(_) => return None,
                Ok(length) => self.framer.push(&chunk[..length]),
            }
        }
    }

    /// The next request, which must be of this method.
    pub(crate) async fn expect(&mut self, method: &str) -> String {
        let message = self.message().await.expect("the connection is open");
        assert!(message.starts_with(method), "{method} was awaited, not {message}");
        message
    }

    pub(crate) async fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub(crate) async fn reply(&mut self, request: &str, status: Status) {
        let mut parser = Parser::new();
        let request = parser.parse(request.as_bytes(), Framing::Stream).unwrap();
        let mut out = Vec::new();
        let source = "127.0.0.1:9".parse().unwrap();
        let mut reply = Writer::reply(&mut out, &request.headers, status, "", b"tag", source);
        if request.cseq.method == sip::message::Method::Register {
            let contact = request.headers.get(sip::message::HeaderName::Contact).unwrap();
            reply.copy(sip::message::HeaderName::Contact, contact);
            reply.number(sip::message::HeaderName::Expires, 600);
        }
        reply.finish().unwrap();
        self.stream.write_all(&out).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Lets one call ring until its CANCEL, and ends it as RFC 3261 wants.
    pub(crate) async fn ring_once(&mut self) {
        let invite = self.expect("INVITE").await;
        self.reply(&invite, status(180)).await;
        let cancel = self.expect("CANCEL").await;
        self.reply(&cancel, status(200)).await;
        self.reply(&invite, status(487)).await;
        self.expect("ACK").await;
    }
}

pub(crate) fn status(code: u16) -> Status {
    Status::new(code).unwrap()
}

pub(crate) fn trunk_name(name: &str) -> TrunkName {
    TrunkName::parse(name).unwrap()
}

pub(crate) fn trunk(name: &str, transport: Transport, address: SocketAddr) -> TrunkSpec {
    let user = UserPart::new("dozvon").unwrap();
    let any = "0.0.0.0:0".parse().unwrap();
    let mut settings = TrunkSettings::new(name, "carrier.test", user, any);
    settings.transport = transport;
    settings.targets = vec![Target { transport, ..Target::udp(address) }];
    let transport = config::TransportChoice::Fixed(transport);
    TrunkSpec { name: trunk_name(name), settings, calls_per_second: None, transport, tls: None }
}

pub(crate) fn registered(mut spec: TrunkSpec) -> TrunkSpec {
    let port = spec.settings.targets[0].address.port();
    spec.settings.registrar = Some(HostPort { host: "127.0.0.1".to_owned(), port: Some(port) });
    spec
}

pub(crate) fn secured(mut spec: TrunkSpec, tls: TlsClient) -> TrunkSpec {
    spec.tls = Some(tls);
    spec
}

pub(crate) fn driver(
    listen: &[(Transport, SocketAddr)],
    tls: Option<TlsServer>,
    trunks: Vec<TrunkSpec>,
) -> Driver {
    let listen = listen
        .iter()
        .map(|(transport, address)| config::SipListen { transport: *transport, address: *address });
    let (driver, _task) = Driver::start(DriverSettings {
        listen: listen.collect(),
        tls,
        media_ports: Vec::new(),
        user_agent: sip::Settings::new([2; 32]),
        seed: [3; 32],
        trunks,
    })
    .unwrap();
    driver
}

pub(crate) fn place(driver: &Driver, trunk: &str, nth: u8) -> CallWatch {
    let request = CallRequest {
        identity: CallIdentity([nth; 32]),
        called: UserPart::new("+79161234567").unwrap(),
        caller_id: CallerId::new(UserPart::new("+74951230042").unwrap()),
        ring_limit: Duration::from_millis(100),
        no_ring_limit: Duration::from_secs(6),
        call_limit: Duration::from_secs(9),
        no_answer_timeout: Duration::from_secs(5),
        media_port: 0,
    };
    let call_id = CallId(u128::from(nth));
    let order = CallOrder { call_id, trunk: trunk_name(trunk), request, talk_limit: None };
    driver.reserve().unwrap().place_call(order)
}

pub(crate) async fn outcome(watch: CallWatch) -> sip::CallOutcome {
    match soon(watch.ended).await.unwrap() {
        CallEnd::Ended(summary) => summary.outcome,
        CallEnd::Refused(error) => panic!("refused: {error}"),
    }
}

/// Waits until calls may leave over a trunk.
pub(crate) async fn bound(driver: &Driver, name: &str) {
    let mut table = driver.watch_trunks();
    let is_up = |table: &std::sync::Arc<daemon::ua_driver::TrunkTable>| {
        let mut trunks = table.trunks.iter();
        trunks.any(|trunk| trunk.name.as_str() == name && trunk.state == dialplans::TrunkState::Up)
    };
    soon(table.wait_for(is_up)).await.unwrap();
}
