//! Everything goes wrong at once: two trunks with two targets each, a resolver that lies and dies,
//! connections that break between any two messages, peers that answer anything, a driver that
//! sleeps. What the other simulation checks of one carrier's manners is not asked here; what must
//! hold whatever happens is.

mod tally;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sip::message::{Framing, HeaderName, Message, Method, Parser};
use sip::{
    CallHandle, CallIdentity, CallRequest, CallerId, ConnectionChange, ConnectionHandle, Event,
    HostPort, Incoming, OutboundMessage, Rel100, Remote, Secret, Settings, Target, Transport,
    TransportError, TrunkHandle, TrunkSettings, UserAgent, UserPart, VoiceCallRequest,
};

use tally::{LINES, STATUSES};
pub use tally::{RESPONSES, Storm};

/// The targets of the first trunk, over UDP, and of the second, over TCP.
const TARGETS: [&str; 4] = ["192.0.2.1:5060", "192.0.2.2:5060", "192.0.2.3:5060", "192.0.2.4:5060"];
/// Where nobody is: what a resolver says that lies.
const NOWHERE: [&str; 2] = ["203.0.113.1:5060", "203.0.113.2:5060"];
const LOCAL: &str = "198.51.100.7:5060";

const MEDIA: &str = "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 8 0 101\r\n";

/// INVITEs of one call at most: rounds of challenges, refusals that are mended, the next target.
const ROUNDS: usize = 3 + 1 + 4 + 1 + 1;
/// From the last thing that a call waits for to its end: 64·T1 twice, and a driver that slept.
const PATIENCE: Duration = Duration::from_secs(150);

/// Plays a seed. An error says which rule was broken, and how.
pub fn play(start: Instant, seed: u64) -> Result<Storm, String> {
    let mut world = World::new(start, seed);
    let end = start + Duration::from_secs(120);
    while world.now < end {
        world.act();
        let pause = Duration::from_millis(world.below(700));
        world.go_on(pause);
    }
    world.ua.shut_down(world.now);
    world.drain();
    world.go_on(Duration::from_secs(400));
    world.judge()
}

struct World {
    ua: UserAgent,
    rng: ChaCha8Rng,
    start: Instant,
    now: Instant,
    trunks: [TrunkHandle; 2],
    calls: Vec<Call>,
    /// Addresses that may be written to.
    known: BTreeSet<SocketAddr>,
    connections: BTreeMap<(TrunkHandle, SocketAddr), ConnectionHandle>,
    next_connection: u64,
    /// What arrives, and when.
    queue: BTreeMap<(Instant, u64), (Remote, Vec<u8>)>,
    answers: u64,
    /// INVITE branches that had a provisional response.
    proceeding: BTreeSet<Vec<u8>>,
    storm: Storm,
    broken: Option<String>,
}

struct Call {
    handle: CallHandle,
    identity: u8,
    call_id: Option<Vec<u8>>,
    placed: Instant,
    limit: Duration,
    branches: BTreeSet<Vec<u8>>,
    cancelled: BTreeSet<Vec<u8>>,
    /// To tags of 2xx that came in, in time and from the right host.
    answered: BTreeSet<Vec<u8>>,
    acked: BTreeSet<Vec<u8>>,
    ended: Option<Instant>,
}

impl World {
    fn new(start: Instant, seed: u64) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        let mut ua = UserAgent::new(Settings::new([3; 32]), [seed as u8; 32]);
        let local = address(LOCAL);
        let mut first = TrunkSettings::new("first", "first.example", user("100"), local);
        first.registrar = Some(HostPort { host: "first.example".into(), port: None });
        first.password = Some(Secret::new("secret"));
        first.rel100 = Rel100::Supported;
        first.sms = true;
        let mut second = TrunkSettings::new("second", "second.example", user("200"), local);
        second.transport = Transport::Tcp;
        second.targets = [2, 3].map(|at| target(TARGETS[at], Transport::Tcp)).to_vec();
        second.password = Some(Secret::new("secret"));
        second.options_ping = Some(Duration::from_secs(15));
        let trunks = [ua.add_trunk(start, first), ua.add_trunk(start, second)];
        let mut world = Self {
            ua,
            rng,
            start,
            now: start,
            trunks,
            calls: Vec::new(),
            known: TARGETS.iter().chain(&NOWHERE).map(|text| address(text)).collect(),
            connections: BTreeMap::new(),
            next_connection: 0,
            queue: BTreeMap::new(),
            answers: 0,
            proceeding: BTreeSet::new(),
            storm: Storm::default(),
            broken: None,
        };
        world.drain();
        world
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.rng.next_u64() % limit.max(1)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn broke(&mut self, rule: impl Into<String>) {
        let at = self.now;
        let after = at - self.start;
        self.broken.get_or_insert_with(|| format!("{} after {after:?}", rule.into()));
    }

    /// What the daemon, or the world, does by itself.
    fn act(&mut self) {
        let trunk = self.trunks[self.below(2) as usize];
        match self.below(12) {
            0..5 => self.place(trunk),
            5 => {
                if let Some(at) = (self.calls.len() as u64).checked_sub(1) {
                    let at = at.saturating_sub(self.below(4)) as usize;
                    self.ua.hang_up(self.now, self.calls[at].handle);
                }
            }
            6 => {
                let message = OutboundMessage {
                    identity: CallIdentity([self.below(256) as u8; 32]),
                    called: user("300"),
                    sender: None,
                    text: "a text".into(),
                };
                // A trunk that is down says so, which is as good here.
                let _: Result<_, _> = self.ua.send_message(self.now, self.trunks[0], message);
            }
            7 => self.break_one(),
            8 => {
                let remote = Remote::udp(address(TARGETS[self.below(2) as usize]));
                let kind = [TransportError::Refused, TransportError::Unreachable];
                let kind = kind[self.below(2) as usize];
                self.ua.handle_transport_error(self.now, remote, kind);
            }
            9 => self.resolve(),
            10 => self.step_the_clock(),
            _ => self.ua.register_now(self.now, self.trunks[0]),
        }
        self.drain();
    }

    fn place(&mut self, trunk: TrunkHandle) {
        let identity = self.calls.len() as u8;
        if self.calls.len() >= 200 {
            return;
        }
        let call = CallRequest {
            identity: CallIdentity([identity; 32]),
            called: user("400"),
            caller_id: CallerId::new(user("500")),
            ring_limit: Duration::from_secs(4),
            no_ring_limit: Duration::from_secs(12),
            call_limit: Duration::from_secs(25),
            no_answer_timeout: Duration::from_secs(6),
            media_port: 20_000,
        };
        let talk_limit = Duration::from_secs(20);
        let placed = match self.chance(40) {
            true => {
                let call = VoiceCallRequest { call, talk_limit };
                self.ua.place_voice_call(self.now, trunk, call)
            }
            false => self.ua.place_call(self.now, trunk, call),
        };
        let Ok(handle) = placed else { return };
        self.storm.calls += 1;
        self.calls.push(Call {
            handle,
            identity,
            call_id: None,
            placed: self.now,
            limit: Duration::from_secs(25) + talk_limit,
            branches: BTreeSet::new(),
            cancelled: BTreeSet::new(),
            answered: BTreeSet::new(),
            acked: BTreeSet::new(),
            ended: None,
        });
    }

    /// The resolver: the truth, half of it, nothing, or a lie.
    fn resolve(&mut self) {
        let names: &[&str] = match self.below(6) {
            0 => {
                self.storm.dead_names += 1;
                &[]
            }
            1 => {
                self.storm.lies += 1;
                &NOWHERE
            }
            2 => &TARGETS[..1],
            3 => &TARGETS[1..2],
            4 => &["192.0.2.2:5060", "203.0.113.1:5060"],
            _ => &TARGETS[..2],
        };
        let priority = self.below(2) as u16;
        let targets = names.iter().enumerate().map(|(at, name)| {
            let target = target(name, Transport::Udp);
            Target { priority: priority * at as u16, ..target }
        });
        let targets = targets.collect();
        self.ua.set_targets(self.now, self.trunks[0], targets);
    }

    /// The driver sleeps, or the whole machine does: what was due is done late.
    fn step_the_clock(&mut self) {
        let is_long = self.chance(5);
        let longest = if is_long { 2 * 60 * 60 * 1_000 } else { 4_000 };
        let slept = Duration::from_millis(self.below(longest));
        self.now += slept;
        if is_long {
            self.storm.sleeps += 1;
            // What was under way arrives nowhere, and nobody ends a call meanwhile.
            self.queue.clear();
            self.calls.iter_mut().for_each(|call| call.limit += slept);
        }
    }

    fn break_one(&mut self) {
        let at = self.below(self.connections.len() as u64) as usize;
        let Some((&key, &connection)) = self.connections.iter().nth(at) else { return };
        self.connections.remove(&key);
        self.storm.breaks += 1;
        self.ua.handle_connection(self.now, connection, ConnectionChange::Closed);
    }

    /// Lets time pass: timers when they are due, packets when they arrive.
    fn go_on(&mut self, duration: Duration) {
        let until = self.now + duration;
        loop {
            let timer = self.ua.poll_timeout().filter(|at| *at <= until);
            let packet = self.queue.first_key_value().map(|((at, _), _)| *at);
            let packet = packet.filter(|at| *at <= until);
            if packet.is_some_and(|at| timer.is_none_or(|timer| at < timer)) {
                if let Some(((at, _), (source, bytes))) = self.queue.pop_first() {
                    self.now = self.now.max(at);
                    self.arrive(source, &bytes);
                }
            } else if let Some(at) = timer {
                self.now = self.now.max(at);
                self.ua.handle_timeout(self.now);
                if self.ua.poll_timeout().is_some_and(|next| next <= self.now) {
                    self.broke("a deadline was not served");
                    return;
                }
            } else {
                break;
            }
            self.drain();
        }
        self.now = until.max(self.now);
    }

    fn arrive(&mut self, source: Remote, bytes: &[u8]) {
        let mut parser = Parser::new();
        if let Ok(message) = parser.parse(bytes, Framing::Datagram)
            && let Some(status) = message.status()
            && message.cseq.method == Method::Invite
        {
            let branch = message.via.branch.unwrap_or_default().to_vec();
            if status.is_provisional() {
                self.proceeding.insert(branch.clone());
            }
            let call = self.calls.iter_mut().find(|call| call.branches.contains(&branch));
            if let Some(call) = call.filter(|_| status.is_success()) {
                call.answered.insert(message.to.tag().unwrap_or_default().to_vec());
            }
        }
        self.ua.handle_packet(self.now, Incoming { source, local: address(LOCAL), bytes });
    }

    fn drain(&mut self) {
        let mut out = Vec::new();
        let mut left = Vec::new();
        while let Some(transmit) = self.ua.poll_transmit(&mut out) {
            left.push((transmit, out.clone()));
        }
        while let Some(event) = self.ua.poll_event() {
            self.told(&event);
        }
        let mut is_broken = false;
        for (transmit, bytes) in left {
            self.storm.packets += 1;
            self.left(transmit.remote, transmit.trunk, &bytes);
            // Between any two messages.
            if self.chance(3) {
                self.break_one();
                is_broken = true;
            }
        }
        // A connection that broke has made the core send more.
        if is_broken {
            self.drain();
        }
    }

    fn told(&mut self, event: &Event) {
        let about = match event {
            Event::InviteSent { call, .. }
            | Event::Ringing { call, .. }
            | Event::Answered { call, .. }
            | Event::MediaChanged { call, .. }
            | Event::DialogMoved { call, .. }
            | Event::Cancelled { call } => *call,
            Event::Ended(summary) => summary.call,
            Event::ResolveTargets { .. } => return self.resolve_later(),
            _ => return,
        };
        self.storm.talks += u64::from(matches!(event, Event::Answered { .. }));
        let now = self.now;
        // The first events of a call come before its handle is known here.
        let Some(call) = self.calls.iter_mut().find(|call| call.handle == about) else { return };
        if call.ended.is_some() {
            return self.broke(format!("{event:?} after the end"));
        }
        if matches!(event, Event::Ended(_)) {
            call.ended = Some(now);
            if now > call.placed + call.limit + PATIENCE {
                self.broke("a call ended long after its limits");
            }
        }
    }

    fn resolve_later(&mut self) {
        if self.chance(70) {
            self.resolve();
        }
    }

    /// A message left: the rules that it must keep, and what comes of it.
    fn left(&mut self, remote: Remote, trunk: Option<TrunkHandle>, bytes: &[u8]) {
        if !self.known.contains(&remote.address) {
            return self.broke(format!("{} was written to", remote.address));
        }
        let mut parser = Parser::new();
        let message = match parser.parse(bytes, Framing::Datagram) {
            Ok(message) => message,
            Err(_) if bytes == b"\r\n\r\n" => return,
            Err(fault) => return self.broke(format!("what left cannot be read: {fault:?}")),
        };
        self.check(&message);
        if remote.transport != Transport::Udp && !self.is_connected(remote, trunk) {
            return;
        }
        if message.request_method().is_some() && message.request_method() != Some(Method::Ack) {
            self.answer(remote, &message);
        }
    }

    /// `false`: the connection could not be opened, and the message is lost.
    fn is_connected(&mut self, remote: Remote, trunk: Option<TrunkHandle>) -> bool {
        let Some(trunk) = trunk else { return false };
        let key = (trunk, remote.address);
        if self.connections.contains_key(&key) {
            return true;
        }
        self.next_connection += 1;
        let connection = ConnectionHandle(self.next_connection);
        if self.chance(15) {
            self.storm.refused += 1;
            let kind = TransportError::Refused;
            let change = ConnectionChange::Failed { remote, trunk, kind };
            self.ua.handle_connection(self.now, connection, change);
            self.drain();
            return false;
        }
        self.connections.insert(key, connection);
        let remote = Remote { connection: Some(connection), ..remote };
        let change = ConnectionChange::Opened { remote, trunk: Some(trunk) };
        self.ua.handle_connection(self.now, connection, change);
        true
    }

    fn check(&mut self, message: &Message<'_>) {
        let Some(method) = message.request_method() else { return };
        let branch = message.via.branch.unwrap_or_default().to_vec();
        let (call_id, now) = (message.call_id, self.now);
        let is_new = method == Method::Invite;
        let newest = self.calls.len().checked_sub(1);
        let at = self.calls.iter().position(|call| call.call_id.as_deref() == Some(call_id));
        // The first INVITE of a call is the first message with its Call-ID.
        let at = at.or(newest.filter(|at| is_new && self.calls[*at].call_id.is_none()));
        let Some(at) = at else { return };
        let is_known = self.proceeding.contains(&branch);
        let call = &mut self.calls[at];
        call.call_id.get_or_insert_with(|| call_id.to_vec());
        let rule = match method {
            Method::Invite if call.ended.is_some_and(|ended| ended < now) => {
                Some("an INVITE left after the end")
            }
            Method::Invite if call.cancelled.contains(&branch) => {
                Some("an INVITE was repeated after its CANCEL")
            }
            Method::Invite => {
                call.branches.insert(branch);
                (call.branches.len() > ROUNDS).then_some("too many INVITEs for one call")
            }
            Method::Cancel if !is_known => Some("a CANCEL before any provisional response"),
            Method::Cancel => {
                call.cancelled.insert(branch);
                None
            }
            Method::Ack => {
                call.acked.insert(message.to.tag().unwrap_or_default().to_vec());
                None
            }
            _ => None,
        };
        if let Some(rule) = rule {
            let identity = call.identity;
            self.broke(format!("{rule}, call {identity}"));
        }
    }

    /// A peer takes a request, or loses it, and answers anything, or nothing.
    fn answer(&mut self, remote: Remote, request: &Message<'_>) {
        let is_nowhere = NOWHERE.iter().any(|text| address(text) == remote.address);
        if is_nowhere || self.chance(15) {
            return;
        }
        let method = request.cseq.method;
        let how_many = if method == Method::Invite { 1 + self.below(4) } else { 1 };
        let mut after = Duration::ZERO;
        for nth in 0..how_many {
            after += Duration::from_millis(5 + self.below(1_500));
            let (status, lines) = self.choose(method, nth);
            let bytes = self.response(request, status, lines);
            for _ in 0..1 + u64::from(self.chance(10)) {
                self.answers += 1;
                let key = (self.now + after, self.answers);
                self.queue.insert(key, (remote, bytes.clone()));
            }
        }
        if method == Method::Invite && self.chance(15) {
            let key = (self.now + after + Duration::from_secs(2 + self.below(9)), self.answers);
            let bye = turned_round(request, ["BYE", "INVITE"][self.below(2) as usize]);
            self.queue.insert(key, (remote, bye));
        }
    }

    fn choose(&mut self, method: Method<'_>, nth: u64) -> (u16, &'static str) {
        let speaks = method == Method::Invite && nth > 0 && self.chance(50);
        let lines = if speaks { 3 } else { self.below(LINES.len() as u64) as usize };
        let usual = match method {
            Method::Register | Method::Options | Method::Cancel | Method::Prack => 200,
            Method::Invite => [100, 183, 180, 200][nth.min(3) as usize],
            _ => 200,
        };
        if self.chance(50) {
            return (usual, LINES[lines]);
        }
        let status = self.below(STATUSES.len() as u64) as usize;
        if method == Method::Invite {
            self.storm.saw_response(status, lines);
        }
        (STATUSES[status], LINES[lines])
    }

    fn response(&mut self, request: &Message<'_>, status: u16, lines: &str) -> Vec<u8> {
        let mut bytes = format!("SIP/2.0 {status} Said\r\n").into_bytes();
        let mut line = |name: &str, value: &[u8]| {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        };
        for via in request.headers.lines(HeaderName::Via) {
            line("Via: ", via.bytes());
        }
        line("From: ", request.from.raw.bytes());
        let mut to = request.to.raw.to_vec();
        if request.to.tag().is_none() && status > 100 {
            to.extend_from_slice(format!(";tag=t{}", self.below(3)).as_bytes());
        }
        line("To: ", &to);
        line("Call-ID: ", request.call_id);
        let (number, method) = (request.cseq.number, request.cseq.method);
        line("CSeq: ", format!("{number} {method}").as_bytes());
        if method == Method::Register
            && let Some(contact) = request.headers.get(HeaderName::Contact)
        {
            line("Contact: ", &[contact.bytes(), b";expires=60"].concat());
        }
        let nonce = format!("n{}", self.below(50));
        bytes.extend_from_slice(lines.replace("NONCE", &nonce).as_bytes());
        let body = if lines.contains("application/sdp") { MEDIA } else { "" };
        bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
        bytes
    }

    fn judge(mut self) -> Result<Storm, String> {
        for call in &self.calls {
            if call.ended.is_none() {
                self.broken.get_or_insert(format!("call {} never ended", call.identity));
            }
            let missing = call.answered.difference(&call.acked).count();
            if missing > 0 {
                let what = format!("{missing} answers to call {} had no ACK", call.identity);
                self.broken.get_or_insert(what);
            }
        }
        let residue = self.ua.residue();
        if residue > 0 || self.ua.poll_timeout().is_some() {
            self.broken.get_or_insert(format!("{residue} transactions and timers were left"));
        }
        let counters = self.ua.counters();
        self.storm.failovers = counters.failovers;
        self.storm.mended = counters.refusals_mended;
        self.broken.map_or(Ok(self.storm), Err)
    }
}

/// A request of ours as one of the far side within the same call.
fn turned_round(request: &Message<'_>, method: &str) -> Vec<u8> {
    let mut to = request.to.raw.to_vec();
    to.extend_from_slice(b";tag=t0");
    let parts: [&[u8]; 10] = [
        method.as_bytes(),
        b" sip:x@198.51.100.7 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK",
        request.via.branch.unwrap_or_default(),
        b"\r\nFrom: ",
        &to,
        b"\r\nTo: ",
        request.from.raw.bytes(),
        b"\r\nCall-ID: ",
        request.call_id,
        b"\r\nCSeq: 7 ",
    ];
    let end = format!("{method}\r\nContact: <sip:x@192.0.2.2>\r\nContent-Length: 0\r\n\r\n");
    [&parts.concat(), end.as_bytes()].concat()
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address of this file")
}

fn user(text: &str) -> UserPart {
    UserPart::new(text).expect("digits are a user part")
}

fn target(text: &str, transport: Transport) -> Target {
    Target { transport, ..Target::udp(address(text)) }
}
