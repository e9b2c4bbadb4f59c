//! The link against a message centre that follows a script.

use std::time::Duration;

use config::Smpp;
use rusmpp::pdus::{DeliverSm, SubmitSm, SubmitSmResp};
use rusmpp::types::{COctetString, OctetString};
use rusmpp::values::EsmClass;
use rusmpp::{Command, CommandStatus, Pdu};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::link::{self, LinkParts};
use super::session::{Session, SessionError, SubmitEnd};
use super::wire::{Frame, Wire};

/// A message centre.
pub(crate) struct Centre(TcpListener);

impl Centre {
    pub(crate) async fn listen() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    /// The part of a file that leads here.
    pub(crate) fn section(&self) -> String {
        let address = self.0.local_addr().unwrap();
        format!("[smpp.centre]\nhost = \"{address}\"\nsystem_id = \"dozvon\"\n")
    }

    /// The next connection, bound.
    pub(crate) async fn accept(&self) -> Peer<TcpStream> {
        let (stream, _) = self.0.accept().await.unwrap();
        Peer::bound(stream).await
    }
}

/// The far side of a bound connection.
pub(crate) struct Peer<S> {
    wire: Wire<S>,
    sequence: u32,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    async fn bound(stream: S) -> Self {
        let mut peer = Self { wire: Wire::new(stream), sequence: 1_000 };
        let bind = peer.next().await;
        let Some(Pdu::BindTransceiver(bound)) = bind.pdu() else { panic!("a bind comes first") };
        assert_eq!(bound.system_id.as_str(), "dozvon");
        assert_eq!(u8::from(bound.interface_version), 0x34);
        let answer = rusmpp::pdus::BindTransceiverResp::default();
        peer.answer(bind.sequence_number(), CommandStatus::EsmeRok, answer).await;
        peer
    }

    async fn next(&mut self) -> Command {
        match self.wire.next().await.expect("the gateway is there") {
            Frame::Command(command) => *command,
            Frame::Unreadable { .. } => panic!("the gateway writes what can be read"),
        }
    }

    async fn answer(&mut self, sequence: u32, status: CommandStatus, pdu: impl Into<Pdu>) {
        self.wire.send(&Command::new(status, sequence, pdu)).await.unwrap();
    }

    /// The next part that is submitted, and its number.
    pub(crate) async fn submit(&mut self) -> (u32, SubmitSm) {
        let command = self.next().await;
        match command.pdu() {
            Some(Pdu::SubmitSm(submit)) => (command.sequence_number(), submit.clone()),
            other => panic!("a submit was awaited, not {:?}", other.map(Pdu::command_id)),
        }
    }

    /// Takes a part under an id.
    pub(crate) async fn take(&mut self, sequence: u32, id: &str) {
        let id = COctetString::from_string(id.to_owned()).unwrap();
        let taken = SubmitSmResp::builder().message_id(id).build();
        self.answer(sequence, CommandStatus::EsmeRok, taken).await;
    }

    /// Answers a submit with another status.
    pub(crate) async fn refuse(&mut self, sequence: u32, status: CommandStatus) {
        self.answer(sequence, status, SubmitSmResp::default()).await;
    }

    /// Delivers something and waits for how it is answered.
    pub(crate) async fn deliver(&mut self, deliver: DeliverSm) -> CommandStatus {
        self.sequence += 1;
        self.answer(self.sequence, CommandStatus::EsmeRok, deliver).await;
        let answer = self.next().await;
        assert!(matches!(answer.pdu(), Some(Pdu::DeliverSmResp(_)) | None));
        assert_eq!(answer.sequence_number(), self.sequence);
        answer.status()
    }

    /// A receipt in its text, from a phone.
    pub(crate) async fn receipt(&mut self, phone: &str, id: &str, stat: &str) -> CommandStatus {
        let text = format!("id:{id} sub:001 dlvrd:001 stat:{stat} err:000 text:");
        let mut deliver = DeliverSm::builder()
            .source_addr(COctetString::from_string(phone.to_owned()).unwrap())
            .short_message(OctetString::from_vec(text.into_bytes()).unwrap())
            .build();
        deliver.esm_class = EsmClass::from(0x04);
        self.deliver(deliver).await
    }
}

fn settings() -> Smpp {
    let text = "[trunks.n]\ntargets = [\"10.0.0.1\"]\n[smpp.centre]\nhost = \"10.0.0.2\"\n\
                system_id = \"dozvon\"\nthroughput = 1000\nwindow = 2\n";
    let config = config::parse(&[config::Source { name: "t", text }]).unwrap().config;
    config.smpp.into_values().next().unwrap()
}

fn parts(stop: &CancellationToken) -> LinkParts {
    let (deliveries, _nobody) = mpsc::channel(1);
    let jitter = Box::new(|wait| wait);
    LinkParts { settings: settings(), password: None, deliveries, jitter, stop: stop.clone() }
}

#[tokio::test(start_paused = true)]
async fn a_centre_that_goes_silent_is_asked_and_left() {
    let stop = CancellationToken::new();
    let (near, far) = tokio::io::duplex(4096);
    let (_orders, mut waiting) = mpsc::channel(1);
    let (deliveries, _arrived) = mpsc::channel(1);
    let bind = rusmpp::pdus::BindTransceiver::builder()
        .system_id(COctetString::from_string("dozvon".to_owned()).unwrap())
        .interface_version(rusmpp::values::InterfaceVersion::Smpp3_4)
        .build();
    let interval = Duration::from_secs(30);
    let bound = Session::bind(near, bind, interval, deliveries);
    let (session, mut peer) = tokio::join!(bound, Peer::bound(far));
    let began = tokio::time::Instant::now();
    let run = tokio::spawn(async move {
        session.unwrap_or_else(|error| panic!("{error}")).run(&mut waiting, &stop).await
    });
    let asked = peer.next().await;
    assert_eq!((asked.pdu(), began.elapsed()), (Some(&Pdu::EnquireLink), interval));
    peer.answer(asked.sequence_number(), CommandStatus::EsmeRok, Pdu::EnquireLinkResp).await;
    let again = peer.next().await;
    assert_eq!((again.pdu(), began.elapsed()), (Some(&Pdu::EnquireLink), interval * 2));
    assert!(matches!(run.await.unwrap(), Err(SessionError::Silent)));
    assert_eq!(began.elapsed(), interval * 2 + Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_window_of_two_lets_two_out_and_a_lost_connection_loses_exactly_those() {
    let stop = CancellationToken::new();
    let parts = parts(&stop);
    let (near, far) = tokio::io::duplex(4096);
    let (orders, mut waiting) = mpsc::channel(2);
    let (bound, is_bound) = tokio::sync::watch::channel(false);
    let link = link::door(&parts.settings, is_bound, orders);
    let served = tokio::spawn(async move { link::serve(&parts, near, &mut waiting, &bound).await });
    let mut peer = Peer::bound(far).await;
    let submit = || async {
        let slot = link.reserve().await;
        slot.submit(SubmitSm::default()).await
    };
    let far_side = async {
        let (first, _) = peer.submit().await;
        let (second, _) = peer.submit().await;
        let third = tokio::time::timeout(Duration::from_secs(5), peer.submit()).await;
        assert!(third.is_err(), "the window is full");
        peer.take(second, "2").await;
        let (_third, _) = peer.submit().await;
        let _ = first;
        drop(peer);
    };
    let (first, second, third, ()) = tokio::join!(submit(), submit(), submit(), far_side);
    let taken = |end: &SubmitEnd| matches!(end, SubmitEnd::Answered { .. });
    let ends = [first, second, third];
    assert_eq!(ends.iter().filter(|end| taken(end)).count(), 1, "{ends:?}");
    assert_eq!(ends.iter().filter(|end| **end == SubmitEnd::Lost).count(), 2, "{ends:?}");
    assert!(served.await.unwrap().is_err());
}
