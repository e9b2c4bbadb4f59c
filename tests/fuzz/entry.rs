//! What a fuzzer, or a test with a corpus of bent messages, does with bytes from outside.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use dozvon_sip as sip;

use sip::auth::{AuthRequest, Authenticator, ChallengeKind, Credentials};
use sip::message::{Framer, Framing, HeaderName, Message, Parser, Piece, Status, Uri, Writer};
use sip::server::check::{check_request, refuse, refuse_fault};
use sip::{
    CallHandle, CallIdentity, CallRequest, CallerId, Codec, Event, Incoming, OutboundMessage,
    Rel100, Remote, RemoteMedia, Secret, Settings, Target, TransportError, TrunkSettings,
    UserAgent, UserPart, VoiceCallRequest,
};

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address of this file")
}

/// One message: it is read, looked at and answered, and what is answered can be read.
pub fn message(data: &[u8]) {
    for framing in [Framing::Datagram, Framing::Stream] {
        let mut parser = Parser::new();
        let mut out = Vec::new();
        let source = address("192.0.2.77:5099");
        let is_written = match parser.parse(data, framing) {
            Ok(message) => {
                look_at(&message);
                if message.status().is_some() {
                    continue;
                }
                match check_request(&message) {
                    Err(rejection) => refuse(&mut out, &message.headers, rejection, b"t", source),
                    Ok(()) => {
                        let headers = &message.headers;
                        let status = Status::OK;
                        let reply = Writer::reply(&mut out, headers, status, "OK", b"t", source);
                        reply.finish()
                    }
                }
                .is_ok()
            }
            Err(fault) if fault.is_answerable() => {
                matches!(refuse_fault(&mut out, &fault, b"t", source), Some(Ok(())))
            }
            Err(_) => false,
        };
        if is_written {
            let mut again = Parser::new();
            if let Err(fault) = again.parse(&out, Framing::Datagram) {
                // An answer repeats what came; only what was faulty may be faulty in it.
                assert!(
                    parser.parse(data, framing).is_err(),
                    "an answer cannot be read: {fault:?}"
                );
            }
        }
    }
}

fn look_at(message: &Message<'_>) {
    let headers = message.headers;
    let shown = message.redacted().to_string();
    assert!(!shown.bytes().any(|byte| byte < b' ' && byte != b'\n'));
    for via in headers.vias().flatten() {
        via.is_rfc3261();
    }
    for name in [HeaderName::Contact, HeaderName::Route, HeaderName::RecordRoute] {
        for address in headers.addresses(name).flatten() {
            address.tag();
            address.expires_s();
            if let Ok(uri) = address.uri() {
                assert!(uri.is_equivalent(&uri) || uri.host.is_none());
            }
        }
    }
    headers.q850();
    headers.rack();
    headers.rseq();
    headers.min_se_s();
    headers.retry_after_s();
    headers.content_type();
    headers.accepts().count();
    RemoteMedia::read(message.body, &[Codec::Pcma, Codec::Pcmu]);
}

/// Bytes of a stream, cut as the first byte says: every cut gives the same messages.
pub fn stream(data: &[u8]) {
    let Some((&cut, data)) = data.split_first() else { return };
    let whole = pieces(data, data.len().max(1));
    let parts = pieces(data, usize::from(cut).max(1));
    assert_eq!(whole, parts);
}

/// The lengths of the messages of a stream, and whether its framing was lost.
fn pieces(data: &[u8], step: usize) -> (Vec<usize>, bool) {
    let mut framer = Framer::default();
    let mut messages = Vec::new();
    for chunk in data.chunks(step) {
        framer.push(chunk);
        loop {
            match framer.next_piece() {
                Ok(Some(Piece::Message(bytes))) => messages.push(bytes.len()),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return (messages, true),
            }
        }
    }
    (messages, false)
}

/// A challenge: what answers it stands on one line.
pub fn challenge(data: &[u8]) {
    let mut settings = trunk();
    settings.realms.clear();
    let mut authenticator = Authenticator::new(&settings);
    let mut credentials = Credentials::default();
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let request = AuthRequest { method: "INVITE", uri: "sip:1@a", in_dialog: false };
    for kind in [ChallengeKind::Proxy, ChallengeKind::Server] {
        let challenges = std::iter::once((kind, data));
        if authenticator.answer(&mut rng, challenges, request, &mut credentials).is_ok() {
            for (_, value) in credentials.values() {
                assert!(!value.iter().any(|byte| *byte < b' '), "a line could be ended");
            }
        }
    }
}

/// A URI: what was read is itself.
pub fn uri(data: &[u8]) {
    let Ok(uri) = Uri::parse(data) else { return };
    uri.transport();
    uri.is_loose_route();
    let mut out = Vec::new();
    let writer = Writer::request(&mut out, sip::message::Method::Options, uri);
    if writer.finish().is_ok() {
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 3, "a line was added");
    }
}

/// A session description.
pub fn sdp(data: &[u8]) {
    if let Some(media) = RemoteMedia::read(data, &[Codec::Pcma, Codec::Pcmu]) {
        assert_ne!(media.address.port(), 0);
        media.is_hold();
    }
}

fn user(text: &str) -> UserPart {
    UserPart::new(text).expect("digits are a user part")
}

fn trunk() -> TrunkSettings {
    let mut trunk = TrunkSettings::new("t", "a.example", user("100"), address("198.51.100.7:5060"));
    trunk.targets = vec![Target::udp(address(PEERS[0])), Target::udp(address(PEERS[1]))];
    trunk.password = Some(Secret::new("secret"));
    trunk.rel100 = Rel100::Supported;
    trunk.sms = true;
    trunk
}

const PEERS: [&str; 3] = ["192.0.2.1:5060", "192.0.2.2:5060", "203.0.113.9:5060"];
/// Statuses that something is done with.
const STATUSES: [u16; 24] = [
    100, 180, 181, 183, 200, 202, 302, 401, 403, 404, 407, 408, 413, 420, 421, 422, 481, 486, 487,
    488, 500, 503, 513, 603,
];

/// A sequence of inputs into a user agent: each call ends once, nobody is written to but the
/// trunk, no deadline is passed over, and after a shutdown nothing is left.
pub fn user_agent(now: Instant, data: &[u8]) {
    let mut world = World::new(now);
    let mut rest = data;
    while let [op, argument, tail @ ..] = rest {
        rest = tail;
        rest = world.act(*op, *argument, rest);
    }
    world.ua.shut_down(world.now);
    world.drain();
    world.wait(Duration::from_secs(300));
    assert_eq!(world.ua.residue(), 0, "something is left");
    assert!(world.calls.iter().all(|(_, ends)| *ends == 1), "a call did not end");
}

struct World {
    ua: UserAgent,
    trunk: sip::TrunkHandle,
    now: Instant,
    calls: Vec<(CallHandle, u32)>,
    /// The last requests that left, newest last.
    sent: Vec<(SocketAddr, Vec<u8>)>,
}

impl World {
    fn new(now: Instant) -> Self {
        let mut ua = UserAgent::new(Settings::new([1; 32]), [2; 32]);
        let trunk = ua.add_trunk(now, trunk());
        let mut world = Self { ua, trunk, now, calls: Vec::new(), sent: Vec::new() };
        world.drain();
        world
    }

    /// Does what two bytes and perhaps some that follow say; returns what follows them.
    fn act<'d>(&mut self, op: u8, argument: u8, rest: &'d [u8]) -> &'d [u8] {
        match op % 9 {
            0 => self.place(argument),
            1 => self.wait(Duration::from_millis(u64::from(argument) * 50)),
            2 | 3 => return self.answer(argument, rest),
            4 => {
                let length = usize::from(argument).min(rest.len());
                let (bytes, rest) = rest.split_at(length);
                self.receive(PEERS[usize::from(op / 9) % PEERS.len()], bytes);
                return rest;
            }
            5 => {
                if let Some((call, _)) = self.calls.get(usize::from(argument)) {
                    self.ua.hang_up(self.now, *call);
                }
            }
            6 => {
                let remote = Remote::udp(address(PEERS[usize::from(argument) % 2]));
                self.ua.handle_transport_error(self.now, remote, TransportError::Refused);
            }
            7 => {
                let message = OutboundMessage {
                    identity: CallIdentity([argument; 32]),
                    called: user("200"),
                    sender: None,
                    text: String::from("a text"),
                };
                let _: Result<_, _> = self.ua.send_message(self.now, self.trunk, message);
            }
            _ => self.turn_round(argument),
        }
        self.drain();
        rest
    }

    fn place(&mut self, argument: u8) {
        let call = CallRequest {
            identity: CallIdentity([self.calls.len() as u8; 32]),
            called: user("200"),
            caller_id: CallerId::new(user("300")),
            ring_limit: Duration::from_secs(4),
            no_ring_limit: Duration::from_secs(12),
            call_limit: Duration::from_secs(25),
            no_answer_timeout: Duration::from_secs(6),
            media_port: 20_000,
        };
        if self.calls.len() == 200 {
            return;
        }
        let placed = match argument % 2 {
            0 => self.ua.place_call(self.now, self.trunk, call),
            _ => {
                let voice = VoiceCallRequest { call, talk_limit: Duration::from_secs(30) };
                self.ua.place_voice_call(self.now, self.trunk, voice)
            }
        };
        self.calls.extend(placed.ok().map(|call| (call, 0)));
    }

    /// Answers one of the last requests, with the lines that the following bytes hold.
    fn answer<'d>(&mut self, argument: u8, rest: &'d [u8]) -> &'d [u8] {
        let [which, length, tail @ ..] = rest else { return &[] };
        let (extra, rest) = tail.split_at(usize::from(*length).min(tail.len()));
        let at = self.sent.len().checked_sub(1 + usize::from(*which % 8));
        let Some((to, request)) = at.and_then(|at| self.sent.get(at)).cloned() else { return rest };
        let status = STATUSES[usize::from(argument) % STATUSES.len()];
        let mut answer = format!("SIP/2.0 {status} Said\r\n").into_bytes();
        let text = String::from_utf8_lossy(&request).into_owned();
        for line in text.lines().skip(1).take_while(|line| !line.is_empty()) {
            let name = line.split(':').next().unwrap_or_default();
            if ["Via", "From", "To", "Call-ID", "CSeq"].contains(&name) {
                answer.extend_from_slice(line.as_bytes());
                if name == "To" && !line.contains(";tag=") && status > 100 {
                    answer.extend_from_slice(format!(";tag=t{}", argument / 24 % 4).as_bytes());
                }
                answer.extend_from_slice(b"\r\n");
            }
        }
        answer.extend_from_slice(b"Contact: <sip:x@192.0.2.1>\r\n");
        answer.extend_from_slice(extra);
        if !extra.windows(4).any(|four| four == b"\r\n\r\n") {
            answer.extend_from_slice(b"\r\n\r\n");
        }
        self.receive(&to.to_string(), &answer);
        rest
    }

    /// Sends a request of ours back, as one of theirs within the same call.
    fn turn_round(&mut self, argument: u8) {
        let Some((to, request)) = self.sent.last().cloned() else { return };
        let method = ["BYE", "INVITE", "ACK", "OPTIONS"][usize::from(argument) % 4];
        let text = String::from_utf8_lossy(&request).into_owned();
        let text = text.replace("From: ", "X: ").replace("To: ", "From: ").replace("X: ", "To: ");
        let (line, rest) = text.split_once(' ').unwrap_or_default();
        let rest = rest.replace(&format!(" {line}\r\n"), &format!(" {method}\r\n"));
        let rest = rest.replace("z9hG4bK", &format!("z9hG4bK{argument}"));
        self.receive(&to.to_string(), format!("{method} {rest}").as_bytes());
    }

    fn receive(&mut self, source: &str, bytes: &[u8]) {
        let source = Remote::udp(address(source));
        let local = address("198.51.100.7:5060");
        self.ua.handle_packet(self.now, Incoming { source, local, bytes });
        self.drain();
    }

    fn wait(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some(at) = self.ua.poll_timeout().filter(|at| *at <= until) {
            assert!(at >= self.now, "a deadline in the past");
            self.now = at;
            self.ua.handle_timeout(at);
            self.drain();
            assert!(self.ua.poll_timeout().is_none_or(|next| next > at), "a deadline not served");
        }
        self.now = until;
    }

    fn drain(&mut self) {
        let mut out = Vec::new();
        let mut parser = Parser::new();
        while let Some(transmit) = self.ua.poll_transmit(&mut out) {
            let to = transmit.remote.address;
            assert!(to.ip() != address(PEERS[2]).ip(), "a stranger was written to");
            assert!(parser.parse(&out, Framing::Datagram).is_ok(), "what left cannot be read");
            if !out.starts_with(b"SIP/2.0") && !out.starts_with(b"ACK") {
                self.sent.push((to, out.clone()));
            }
        }
        if self.sent.len() > 64 {
            self.sent.drain(..32);
        }
        while let Some(event) = self.ua.poll_event() {
            if let Event::Ended(summary) = event {
                let call = self.calls.iter_mut().find(|(call, _)| *call == summary.call);
                let (_, ends) = call.expect("an end of a call that was placed");
                *ends += 1;
                assert_eq!(*ends, 1, "an end was told twice");
            }
        }
    }
}
