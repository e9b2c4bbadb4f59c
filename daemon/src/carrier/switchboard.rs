//! The simulator without its socket: packets and instants in, packets and reports out.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sip::message::{Framing, HeaderName, Message, Method, Parser, SipUri, Start, Status, Writer};
use sip::{Codec, RemoteMedia};

use super::CarrierSettings;
use super::behaviour::{Act, Behaviour};
use super::challenge::{Admission, Gate};
use super::leg::{Due, Invite, Leg, State};
use super::legs::Legs;
use super::recording::{Recording, Recordings};
use super::report::{Direction, Report};
use super::user::{Out, Users, Wish};

/// Legs kept at once; an INVITE beyond it is answered 503.
const LEG_LIMIT: usize = 10_000;
/// Bindings never live longer than this.
const EXPIRES_CAP_S: u32 = 3600;
/// Lost on purpose: the first INVITE of each Call-ID to a lossy handset.
const LOST_LIMIT: usize = 10_000;

/// The port that discards what comes.
const DISCARD: u16 = 9;

const UNAUTHORIZED: Status = status(401);
const PROXY_AUTHENTICATION_REQUIRED: Status = status(407);
const CALL_DOES_NOT_EXIST: Status = status(481);

const fn status(code: u16) -> Status {
    Status::new(code).expect("a status of 100 to 699")
}

/// The simulator's state.
pub struct Switchboard {
    address: SocketAddr,
    gate: Gate,
    legs: Legs,
    users: Users,
    /// The gateway's Contact URI and where it registered from.
    binding: Option<(String, SocketAddr)>,
    lost: BTreeSet<Vec<u8>>,
    recordings: Recordings,
    recorded: VecDeque<Recording>,
    /// Where handsets listen; 9 discards.
    media_port: u16,
    started_at: Instant,
    transmits: VecDeque<(SocketAddr, Vec<u8>)>,
    reports: VecDeque<Report>,
}

impl Switchboard {
    /// An idle carrier at `address`; `seed` feeds tags and nonces.
    pub fn new(
        address: SocketAddr,
        settings: CarrierSettings,
        seed: [u8; 32],
        now: Instant,
    ) -> Self {
        Self {
            address,
            users: Users::new(address, &settings.realm),
            binding: None,
            gate: Gate::new(settings, ChaCha20Rng::from_seed(seed)),
            legs: Legs::default(),
            lost: BTreeSet::new(),
            recordings: Recordings::default(),
            recorded: VecDeque::new(),
            media_port: DISCARD,
            started_at: now,
            transmits: VecDeque::new(),
            reports: VecDeque::new(),
        }
    }

    /// The next packet to send.
    pub fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.transmits.pop_front()
    }

    /// The next thing to tell.
    pub fn poll_report(&mut self) -> Option<Report> {
        self.reports.pop_front()
    }

    /// The next call whose handset has heard all that it will.
    pub fn poll_recording(&mut self) -> Option<Recording> {
        self.recorded.pop_front()
    }

    /// Handsets listen at this port from here on.
    pub fn listen_at(&mut self, media_port: u16) {
        self.media_port = media_port;
    }

    /// Takes one datagram of the handsets' port.
    pub fn handle_media(&mut self, now: Instant, source: SocketAddr, bytes: &[u8]) {
        self.recordings.take(now, source, bytes);
    }

    /// When [`Switchboard::handle_timeout`] has work.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.legs.next_deadline().into_iter().chain(self.users.next_deadline()).min()
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.with_users(now, |users, out| users.handle_timeout(now, out));
        while let Some(place) = self.legs.due(now) {
            match self.legs[place].due(now) {
                None => {}
                Some(Due::Act(act)) => self.act(now, place, act),
                Some(Due::Repeat) => self.repeat_answer(now, place),
                Some(Due::GiveUp) => {
                    let State::Completed { status, .. } = self.legs[place].state else {
                        unreachable!("only a completed leg gives up")
                    };
                    self.over(now, place, status, false);
                }
                Some(Due::Forget) => {
                    if self.legs[place].state == State::Proceeding {
                        self.over(now, place, 0, false);
                    }
                    self.legs.remove(place);
                }
            }
            self.legs.rearm(place);
        }
    }

    /// Takes one datagram.
    pub fn handle_packet(&mut self, now: Instant, source: SocketAddr, bytes: &[u8]) {
        let mut parser = Parser::new();
        let Ok(message) = parser.parse(bytes, Framing::Datagram) else { return };
        self.tell_message(now, Direction::In, &message, self.is_repeated(&message));
        let Start::Request { method, .. } = message.start else {
            return self.with_users(now, |users, out| users.handle_response(now, &message, out));
        };
        match method {
            Method::Register => self.register(now, source, &message),
            Method::Invite => self.invite(now, source, &message, bytes),
            Method::Ack => self.ack(now, &message),
            Method::Cancel => self.cancel(now, source, &message),
            Method::Bye => self.bye(now, source, &message),
            Method::Message => self.text(now, source, &message),
            Method::Options => self.answer(now, source, &message, Status::OK),
            _ => self.answer(now, source, &message, Status::METHOD_NOT_ALLOWED),
        }
    }

    /// Somebody on the network calls the gateway or writes to it.
    pub fn reach(&mut self, now: Instant, wish: Wish) {
        let mark = self.gate.tag();
        let binding = self.binding.clone();
        let binding = binding.as_ref().map(|(uri, source)| (uri.as_str(), *source));
        self.with_users(now, |users, out| users.reach(now, wish, binding, &mark, out));
    }

    /// Lets the users do something, and draws what they send.
    fn with_users(&mut self, now: Instant, act: impl FnOnce(&mut Users, &mut Out<'_>)) {
        let mut packets = VecDeque::new();
        let t_ms = self.t_ms(now);
        let mut out = Out { t_ms, packets: &mut packets, reports: &mut self.reports };
        act(&mut self.users, &mut out);
        for (to, bytes) in packets {
            self.send(now, to, bytes);
        }
    }

    fn register(&mut self, now: Instant, source: SocketAddr, request: &Message<'_>) {
        if let Admission::Challenged { value } = self.gate.judge(request, HeaderName::Authorization)
        {
            return self.challenge(now, source, request, UNAUTHORIZED, &value);
        }
        let contact = request.headers.get(HeaderName::Contact).map(|raw| raw.to_vec());
        let asked = request
            .headers
            .contacts()
            .next()
            .and_then(|address| address.ok()?.expires_s())
            .or_else(|| request.headers.expires_s())
            .unwrap_or(EXPIRES_CAP_S);
        let granted = asked.min(EXPIRES_CAP_S);
        let mut out = Vec::new();
        let mut writer = self.reply(&mut out, request, Status::OK, source);
        if let Some(contact) = &contact
            && granted > 0
        {
            writer.header_bytes(HeaderName::Contact, &with_expires(contact, granted));
        }
        writer.number(HeaderName::Expires, granted);
        if writer.finish().is_ok() {
            self.send(now, source, out);
        }
        let uri =
            request.headers.contacts().find_map(|address| Some(text_of(address.ok()?.uri_raw)));
        self.binding = uri.filter(|_| granted > 0).map(|uri| (uri, source));
        let contact = contact.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        self.reports.push_back(Report::Registered {
            t_ms: self.t_ms(now),
            contact: contact.unwrap_or_default(),
            expires_s: granted,
        });
    }

    fn invite(&mut self, now: Instant, source: SocketAddr, request: &Message<'_>, bytes: &[u8]) {
        if let Some(place) = self.leg_by_branch(request) {
            self.legs[place].repeated_invites += 1;
            return self.repeat_answer(now, place);
        }
        if self.gate.challenges_calls()
            && let Admission::Challenged { value } =
                self.gate.judge(request, HeaderName::ProxyAuthorization)
        {
            let status = PROXY_AUTHENTICATION_REQUIRED;
            return self.challenge(now, source, request, status, &value);
        }
        let called = user_of(request.request_uri());
        if Behaviour::of(&called) == Behaviour::LossyRing && self.is_lost(request.call_id) {
            return;
        }
        if self.legs.len() >= LEG_LIMIT {
            return self.answer(now, source, request, Status::SERVICE_UNAVAILABLE);
        }
        if Behaviour::of(&called) == Behaviour::Listen
            && let Some(media) = RemoteMedia::read(request.body, &[Codec::Pcma])
        {
            self.recordings.start(media.address, text_of(request.call_id));
        }
        let shown = request.headers.get(HeaderName::PAssertedIdentity).map(|raw| raw.to_vec());
        let from = user_of(request.from.uri().ok());
        let call = text_of(request.call_id);
        self.reports.push_back(Report::Invited {
            t_ms: self.t_ms(now),
            call,
            called: called.clone(),
            caller_id: shown.and_then(|value| asserted_user(&value)).unwrap_or(from.clone()),
            from,
        });
        let invite = Invite {
            call_id: request.call_id.to_vec(),
            branch: request.via.branch.unwrap_or_default().to_vec(),
            called,
            request: bytes.to_vec(),
            source,
        };
        let (tag, second_tag) = (self.gate.tag(), self.gate.tag());
        self.legs.push(Leg::new(now, invite, tag, second_tag));
        self.handle_timeout(now);
    }

    /// Whether this INVITE is the one that a lossy network swallows.
    fn is_lost(&mut self, call_id: &[u8]) -> bool {
        if self.lost.len() >= LOST_LIMIT {
            self.lost.clear();
        }
        self.lost.insert(call_id.to_vec())
    }

    fn ack(&mut self, now: Instant, request: &Message<'_>) {
        let by_branch = self.leg_by_branch(request);
        let place = by_branch.or_else(|| self.leg_by_call(request));
        let Some(place) = place else { return };
        if let State::Completed { status, .. } = self.legs[place].state {
            // The ACK of a 2xx has a branch of its own (RFC 3261 section 13.2.2.4).
            if (status < 300) == by_branch.is_none() {
                self.over(now, place, status, true);
            }
        }
    }

    fn cancel(&mut self, now: Instant, source: SocketAddr, request: &Message<'_>) {
        let Some(place) = self.leg_by_branch(request) else {
            return self.answer(now, source, request, CALL_DOES_NOT_EXIST);
        };
        let across = self.legs[place].behaviour == Behaviour::AnswerAcrossCancel;
        if across && self.legs[place].state == State::Proceeding {
            self.act(now, place, Act::Final { status: 200 });
        }
        self.answer(now, source, request, Status::OK);
        if self.legs[place].state != State::Proceeding {
            return;
        }
        self.legs[place].cancelled = true;
        if self.legs[place].behaviour == Behaviour::RingWithoutEnd {
            self.over(now, place, 0, false);
        } else {
            self.act(now, place, Act::Final { status: 487 });
        }
    }

    fn bye(&mut self, now: Instant, source: SocketAddr, request: &Message<'_>) {
        let status = match self.leg_by_call(request) {
            Some(_) => {
                self.recorded.extend(self.recordings.end(&text_of(request.call_id)));
                Status::OK
            }
            None => CALL_DOES_NOT_EXIST,
        };
        self.answer(now, source, request, status);
    }

    fn text(&mut self, now: Instant, source: SocketAddr, request: &Message<'_>) {
        if self.gate.challenges_calls()
            && let Admission::Challenged { value } =
                self.gate.judge(request, HeaderName::ProxyAuthorization)
        {
            let status = PROXY_AUTHENTICATION_REQUIRED;
            return self.challenge(now, source, request, status, &value);
        }
        self.reports.push_back(Report::Text {
            t_ms: self.t_ms(now),
            called: user_of(request.request_uri()),
            from: user_of(request.from.uri().ok()),
            text: String::from_utf8_lossy(request.body).into_owned(),
        });
        self.answer(now, source, request, Status::ACCEPTED);
    }

    /// A handset does something by itself, or because of a CANCEL.
    fn act(&mut self, now: Instant, place: usize, act: Act) {
        let (status, second) = match act {
            Act::Provisional { status, second } => (status, second),
            Act::Final { status } => (status, false),
        };
        let leg = &self.legs[place];
        let tag = if second { leg.second_tag.clone() } else { leg.tag.clone() };
        let answer = self.build_answer(place, status, &tag);
        let (source, twice) = (leg.source, leg.behaviour == Behaviour::LossyRing);
        let call = text_of(&leg.call_id);
        let leg = &mut self.legs[place];
        leg.last_answer = Some(answer.clone());
        if status == 180 && leg.ringing_since.is_none() {
            leg.ringing_since = Some(now);
            self.reports.push_back(Report::Ringing { t_ms: self.t_ms(now), call });
        }
        if status >= 200 {
            self.legs[place].completed(now, status);
            self.legs.rearm(place);
        }
        if twice {
            self.send(now, source, answer.clone());
        }
        self.send(now, source, answer);
    }

    fn build_answer(&self, place: usize, status: u16, tag: &str) -> Vec<u8> {
        let leg = &self.legs[place];
        let mut parser = Parser::new();
        let request = parser
            .parse(&leg.request, Framing::Datagram)
            .expect("a leg is made of a request that was read");
        let status = Status::new(status).expect("a script holds statuses of 100 to 699");
        let mut out = Vec::new();
        let source = leg.source;
        let phrase = status.phrase();
        let mut writer =
            Writer::reply(&mut out, &request.headers, status, phrase, tag.as_bytes(), source);
        writer.copy_all(HeaderName::RecordRoute, &request.headers);
        if status.code() > 100 && status.code() < 300 {
            let host = self.address.ip().to_string();
            let port = Some(self.address.port());
            let uri = SipUri { user: Some("handset"), host: &host, port, params: "" };
            writer.address(HeaderName::Contact, uri);
        }
        if let Behaviour::Refuse { retry_after_s: Some(seconds), .. } = leg.behaviour
            && status.is_final()
        {
            writer.number(HeaderName::RetryAfter, seconds);
        }
        let finished = match status.code() {
            183 | 200 => writer.finish_with_body("application/sdp", &self.offer_answer()),
            _ => writer.finish(),
        };
        finished.expect("an answer to a request that was read can be written");
        out
    }

    fn offer_answer(&self) -> Vec<u8> {
        let ip = self.address.ip();
        let port = self.media_port;
        let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
        format!(
            "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 8\r\n"
        )
        .into_bytes()
    }

    fn repeat_answer(&mut self, now: Instant, place: usize) {
        let leg = &self.legs[place];
        let source = leg.source;
        if let (Some(answer), State::Proceeding | State::Completed { .. }) =
            (leg.last_answer.clone(), &leg.state)
        {
            self.send(now, source, answer);
        }
    }

    fn over(&mut self, now: Instant, place: usize, status: u16, acknowledged: bool) {
        let t_ms = self.t_ms(now);
        let leg = &mut self.legs[place];
        leg.over(now, status, acknowledged);
        self.reports.push_back(Report::Ended {
            t_ms,
            call: text_of(&leg.call_id),
            status,
            cancelled: leg.cancelled,
            acknowledged,
            repeated_invites: leg.repeated_invites,
            rang_ms: u64::try_from(leg.rang.as_millis()).unwrap_or(u64::MAX),
        });
        self.legs.rearm(place);
    }

    fn challenge(
        &mut self,
        now: Instant,
        source: SocketAddr,
        request: &Message<'_>,
        status: Status,
        value: &str,
    ) {
        let header = if status == UNAUTHORIZED {
            HeaderName::WwwAuthenticate
        } else {
            HeaderName::ProxyAuthenticate
        };
        let mut out = Vec::new();
        let mut writer = self.reply(&mut out, request, status, source);
        writer.header(header, value);
        if writer.finish().is_ok() {
            self.send(now, source, out);
        }
    }

    fn answer(&mut self, now: Instant, source: SocketAddr, request: &Message<'_>, status: Status) {
        let mut out = Vec::new();
        if self.reply(&mut out, request, status, source).finish().is_ok() {
            self.send(now, source, out);
        }
    }

    fn reply<'o>(
        &mut self,
        out: &'o mut Vec<u8>,
        request: &Message<'_>,
        status: Status,
        source: SocketAddr,
    ) -> Writer<'o> {
        let tag = self.gate.tag();
        Writer::reply(out, &request.headers, status, status.phrase(), tag.as_bytes(), source)
    }

    fn send(&mut self, now: Instant, to: SocketAddr, bytes: Vec<u8>) {
        let mut parser = Parser::new();
        if let Ok(message) = parser.parse(&bytes, Framing::Datagram) {
            self.tell_message(now, Direction::Out, &message, false);
        }
        self.transmits.push_back((to, bytes));
    }

    fn tell_message(
        &mut self,
        now: Instant,
        direction: Direction,
        message: &Message<'_>,
        repeated: bool,
    ) {
        let line = match message.start {
            Start::Request { method, .. } => method.as_str().to_owned(),
            Start::Response { status, reason } => {
                format!("{} {}", status.code(), String::from_utf8_lossy(reason))
            }
        };
        self.reports.push_back(Report::Message {
            t_ms: self.t_ms(now),
            direction,
            line,
            method: message.cseq.method.as_str().to_owned(),
            call: text_of(message.call_id),
            repeated,
        });
    }

    fn is_repeated(&self, message: &Message<'_>) -> bool {
        message.request_method() == Some(Method::Invite) && self.leg_by_branch(message).is_some()
    }

    fn leg_by_branch(&self, request: &Message<'_>) -> Option<usize> {
        self.legs.of_branch(request.via.branch?, request.call_id)
    }

    fn leg_by_call(&self, request: &Message<'_>) -> Option<usize> {
        self.legs.of_call(request.call_id, request.to.tag()?)
    }

    /// Since the start, in milliseconds.
    pub(super) fn t_ms(&self, now: Instant) -> u64 {
        u64::try_from(now.duration_since(self.started_at).as_millis()).unwrap_or(u64::MAX)
    }
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn user_of(uri: Option<sip::message::Uri<'_>>) -> String {
    uri.and_then(|uri| uri.user).map(text_of).unwrap_or_default()
}

/// The user part of `"name" <sip:user@host>`.
fn asserted_user(value: &[u8]) -> Option<String> {
    let inner = value.split(|byte| *byte == b'<').nth(1).unwrap_or(value);
    let uri = inner.split(|byte| *byte == b'>').next()?;
    sip::message::Uri::parse(uri).ok()?.user.map(text_of)
}

/// The Contact with what was granted as its last parameter.
fn with_expires(contact: &[u8], granted: u32) -> Vec<u8> {
    let text = text_of(contact);
    let kept: Vec<&str> =
        text.split(';').filter(|part| !part.trim_start().starts_with("expires=")).collect();
    format!("{};expires={granted}", kept.join(";")).into_bytes()
}
