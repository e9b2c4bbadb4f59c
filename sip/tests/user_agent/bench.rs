//! A user agent with one trunk, a clock that tests move, and a carrier that tests write.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dozvon_sip as sip;
use sip::{
    CallHandle, CallIdentity, CallRequest, CallSummary, CallerId, Event, Incoming, MessageHandle,
    OutboundMessage, Remote, Secret, SendMessageError, Settings, Target, TransportError,
    TrunkHandle, TrunkSettings, UserAgent, UserPart,
};

/// The trunk's address.
pub(crate) const CARRIER: &str = "192.0.2.10:5060";
/// Ours.
pub(crate) const LOCAL: &str = "198.51.100.7:5060";

/// What a proxy asks of an INVITE.
pub(crate) const PROXY_CHALLENGE: &str = "Proxy-Authenticate: Digest realm=\"sip.example.ru\", \
                                          nonce=\"n1\", algorithm=SHA-256, qop=\"auth\"\r\n";

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A message that left, with the address it went to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) text: String,
    pub(crate) to: SocketAddr,
    pub(crate) by: sip::Transport,
    pub(crate) at: Duration,
}

impl Sent {
    /// The method, or the status.
    pub(crate) fn kind(&self) -> &str {
        let mut words = self.text.split(' ');
        match words.next().unwrap() {
            "SIP/2.0" => words.next().unwrap(),
            method => method,
        }
    }

    pub(crate) fn request_uri(&self) -> &str {
        self.text.split(' ').nth(1).unwrap()
    }

    /// The first value of a header field.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.find(name).unwrap_or_else(|| panic!("no {name} in\n{}", self.text))
    }

    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// All values of a header field.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let head = self.text.split("\r\n\r\n").next().unwrap();
        head.lines()
            .filter_map(|line| line.split_once(": "))
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }

    pub(crate) fn branch(&self) -> &str {
        parameter(self.header("Via"), "branch").unwrap()
    }

    pub(crate) fn cseq(&self) -> u32 {
        self.header("CSeq").split(' ').next().unwrap().parse().unwrap()
    }

    pub(crate) fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").unwrap().1
    }

    /// A response to this request. `to_tag` empty: none is added. `lines` end in CRLF each.
    pub(crate) fn answer(&self, status: u16, to_tag: &str, lines: &str) -> String {
        self.answer_with_body(status, to_tag, lines, "")
    }

    pub(crate) fn answer_with_body(
        &self,
        status: u16,
        to_tag: &str,
        lines: &str,
        body: &str,
    ) -> String {
        let vias: String = self.all("Via").iter().map(|via| format!("Via: {via}\r\n")).collect();
        let tag = match to_tag {
            "" => String::new(),
            _ if self.header("To").contains(";tag=") => String::new(),
            tag => format!(";tag={tag}"),
        };
        format!(
            "SIP/2.0 {status} Said\r\n{vias}From: {}\r\nTo: {}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             {lines}Content-Length: {}\r\n\r\n{body}",
            self.header("From"),
            self.header("To"),
            self.header("Call-ID"),
            self.header("CSeq"),
            body.len()
        )
    }
}

/// The value of a parameter.
pub(crate) fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    value.split(';').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
}

pub(crate) struct Bench {
    pub(crate) ua: UserAgent,
    pub(crate) trunk: TrunkHandle,
    pub(crate) now: Instant,
    pub(crate) start: Instant,
    pub(crate) events: Vec<Event>,
    /// What left and was not taken yet.
    pub(crate) sent: Vec<Sent>,
}

/// A static trunk with a password.
pub(crate) fn trunk_settings() -> TrunkSettings {
    let user = UserPart::new("74951230000").unwrap();
    let mut settings = TrunkSettings::new("north", "sip.example.ru", user, address(LOCAL));
    settings.targets = vec![Target::udp(address(CARRIER))];
    settings.password = Some(Secret::new("secret"));
    settings
}

pub(crate) fn user_agent_settings() -> Settings {
    Settings::new([0x42; 32])
}

pub(crate) fn call_request(number: u8) -> CallRequest {
    CallRequest {
        identity: CallIdentity([number; 32]),
        called: UserPart::new("+79161234567").unwrap(),
        caller_id: CallerId::new(UserPart::new("+74951230042").unwrap()),
        ring_limit: secs(4),
        no_ring_limit: secs(12),
        call_limit: secs(25),
        no_answer_timeout: secs(6),
        media_port: 20_000,
    }
}

impl Bench {
    /// With a static trunk.
    pub(crate) fn new() -> Self {
        Self::with(trunk_settings())
    }

    pub(crate) fn with(settings: TrunkSettings) -> Self {
        Self::build(user_agent_settings(), settings)
    }

    pub(crate) fn build(settings: Settings, trunk: TrunkSettings) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the origin of virtual time")]
        let now = Instant::now();
        let mut ua = UserAgent::new(settings, [7; 32]);
        let trunk = ua.add_trunk(now, trunk);
        let mut bench = Self { ua, trunk, now, start: now, events: Vec::new(), sent: Vec::new() };
        bench.drain();
        bench
    }

    pub(crate) fn drain(&mut self) {
        let mut out = Vec::new();
        while let Some(transmit) = self.ua.poll_transmit(&mut out) {
            assert!(!out.is_empty(), "an empty packet left");
            self.sent.push(Sent {
                text: String::from_utf8_lossy(&out).into_owned(),
                to: transmit.remote.address,
                by: transmit.remote.transport,
                at: self.now - self.start,
            });
        }
        while let Some(event) = self.ua.poll_event() {
            self.events.push(event);
        }
    }

    /// Lets time pass, doing what is due when it is due.
    pub(crate) fn wait(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some(at) = self.ua.poll_timeout().filter(|at| *at <= until) {
            assert!(at >= self.now, "a deadline in the past");
            self.now = at;
            self.ua.handle_timeout(at);
            self.drain();
            assert!(
                self.ua.poll_timeout().is_none_or(|next| next > at),
                "a deadline was not served"
            );
        }
        self.now = until;
    }

    /// Lets time pass until something leaves, and takes it. It must be of this kind.
    pub(crate) fn wait_for(&mut self, kind: &str, limit: Duration) -> Sent {
        self.assert_silent();
        let until = self.now + limit;
        while self.sent.is_empty() {
            let at = self.ua.poll_timeout().filter(|at| *at <= until).expect("nothing left");
            self.wait(at - self.now);
        }
        self.take(kind)
    }

    /// A packet arrives from the carrier.
    pub(crate) fn receive(&mut self, packet: &str) {
        self.receive_from(CARRIER, packet.as_bytes());
    }

    pub(crate) fn receive_from(&mut self, source: &str, packet: &[u8]) {
        let source = Remote::udp(address(source));
        self.ua.handle_packet(self.now, Incoming { source, local: address(LOCAL), bytes: packet });
        self.drain();
    }

    pub(crate) fn place(&mut self, request: CallRequest) -> CallHandle {
        let call = self.ua.place_call(self.now, self.trunk, request).unwrap();
        self.drain();
        call
    }

    /// Sends a text from the trunk's own user.
    pub(crate) fn send_text(
        &mut self,
        number: u8,
        text: &str,
    ) -> Result<MessageHandle, SendMessageError> {
        let message = OutboundMessage {
            identity: CallIdentity([number; 32]),
            called: UserPart::new("+79161234567").unwrap(),
            sender: None,
            text: text.into(),
        };
        let handle = self.ua.send_message(self.now, self.trunk, message);
        self.drain();
        handle
    }

    /// Places a call and takes its INVITE.
    pub(crate) fn invite(&mut self) -> (CallHandle, Sent) {
        let call = self.place(call_request(1));
        (call, self.take("INVITE"))
    }

    pub(crate) fn hang_up(&mut self, call: CallHandle) {
        self.ua.hang_up(self.now, call);
        self.drain();
    }

    /// The network refuses what went to this address.
    pub(crate) fn refuse(&mut self, peer: &str) {
        let remote = Remote::udp(address(peer));
        self.ua.handle_transport_error(self.now, remote, TransportError::Refused);
        self.drain();
    }

    /// Takes the only message that left, which must be of this kind.
    pub(crate) fn take(&mut self, kind: &str) -> Sent {
        assert_eq!(self.kinds(), [kind]);
        self.sent.remove(0)
    }

    /// Takes everything that left.
    pub(crate) fn take_all(&mut self) -> Vec<Sent> {
        std::mem::take(&mut self.sent)
    }

    /// The kinds of what left and was not taken.
    pub(crate) fn kinds(&self) -> Vec<&str> {
        self.sent.iter().map(Sent::kind).collect()
    }

    pub(crate) fn assert_silent(&self) {
        assert_eq!(self.kinds(), [""; 0]);
    }

    /// The only end that was told.
    pub(crate) fn end(&self) -> &CallSummary {
        let ends: Vec<&CallSummary> = self.ends();
        assert_eq!(ends.len(), 1, "{:?}", self.events);
        ends[0]
    }

    pub(crate) fn ends(&self) -> Vec<&CallSummary> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::Ended(summary) => Some(summary),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|event| wanted(event)).count()
    }

    /// Nothing may be left once the longest timers have passed.
    pub(crate) fn assert_clean(&mut self) {
        self.wait(secs(70));
        assert_eq!(self.ua.poll_timeout(), None);
        assert_eq!(self.ua.residue(), 0, "a transaction was left");
    }
}
