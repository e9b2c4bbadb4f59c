//! The clock, the queue of what is under way, and the play itself.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use sip::{
    CallIdentity, CallOutcome, CallRequest, CallerId, Event, HostPort, Incoming, MessageHandle,
    OutboundMessage, PlaceCallError, RegistrationState, Remote, Secret, SendMessageError, Settings,
    Target, TrunkHandle, TrunkSettings, UserPart,
};

use super::carrier::{Action, Carrier, PASSWORD, Token, Truth};
use super::checker::{Checker, Violation};
use super::network::Network;
use super::packet::Packet;
use super::scenario::{Scenario, chance, stream};
use super::subject::{Bug, Subject};

const CARRIER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10)), 5060);
const STRANGER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 66)), 5060);
const OTHER_TRUNK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 77)), 5060);
const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)), 5060);

/// How long every call may ring.
const RING_LIMIT: Duration = Duration::from_secs(4);
/// No play takes longer: the longest call, its 64·T1 and its repeats, and a slow registrar.
const LONGEST: Duration = Duration::from_secs(3600);
/// No play has more steps.
const MOST_STEPS: u32 = 100_000;
/// A call that the trunk is not ready for is placed again after this.
const PLACE_AGAIN: Duration = Duration::from_millis(500);
/// After this nobody tries to place a call any more.
const PATIENCE: Duration = Duration::from_secs(600);

/// How a play went.
#[derive(Clone, Debug)]
pub struct Report {
    /// Hash of every packet that the core sent, with its time and destination.
    pub hash: u64,
    /// Each call that was placed.
    pub calls: Vec<CallReport>,
    /// Packets that the network lost.
    pub lost: u64,
    /// Packets that the core sent.
    pub packets: u64,
    /// How long it took in virtual time.
    pub lasted: Duration,
}

/// How a call went.
#[derive(Clone, Copy, Debug)]
pub struct CallReport {
    /// What the core said.
    pub outcome: CallOutcome,
    /// Whether no phone was left ringing or talking.
    pub is_clean: bool,
    /// Whether the core said what the phone did; a lost 180 that nobody repeats lets them differ.
    pub agrees: bool,
}

enum Item {
    ToCore(Vec<u8>),
    ToCarrier(Vec<u8>),
    Carrier(Token),
    Place(usize),
    HangUp(usize),
    Text(usize),
}

struct World {
    scenario: Scenario,
    start: Instant,
    now: Duration,
    queue: BTreeMap<(Duration, u64), Item>,
    queued: u64,
    subject: Subject,
    trunk: TrunkHandle,
    carrier: Carrier,
    to_core: Network,
    to_carrier: Network,
    forger: rand_chacha::ChaCha8Rng,
    checker: Checker,
    /// The call whose first INVITE leaves in this step.
    placing: Option<usize>,
    given_up: Vec<bool>,
    texts: BTreeMap<MessageHandle, (usize, u32)>,
    texts_waited_for: usize,
    stopping: bool,
    stopped: bool,
    hash: DefaultHasher,
    packets: u64,
    buffer: Vec<u8>,
    /// Where the messages are written down, if somebody wants to read them.
    ladder: Option<Rc<RefCell<String>>>,
}

/// Plays the scenario of a seed, with a fault planted or none.
pub fn run(seed: u64, bug: Option<Bug>) -> Result<Report, Violation> {
    World::new(seed, Scenario::of(seed), bug).play()
}

/// Plays a seed and tells what went over the wire: time, direction, first line and CSeq of each
/// message that left the core or reached it.
pub fn ladder(seed: u64, bug: Option<Bug>) -> String {
    let mut world = World::new(seed, Scenario::of(seed), bug);
    let lines = Rc::new(RefCell::new(String::new()));
    world.ladder = Some(Rc::clone(&lines));
    let ended = world.play();
    let mut lines = lines.take();
    if let Err(violation) = ended {
        lines += &format!("{violation}\n");
    }
    lines
}

impl World {
    fn new(seed: u64, scenario: Scenario, bug: Option<Bug>) -> Self {
        let start = Instant::now();
        let mut bits = [0; 32];
        bits[..8].copy_from_slice(&seed.to_be_bytes());
        let mut subject = Subject::new(Settings::new([0x5a; 32]), bits, bug);
        let trunk = subject.add_trunk(start, trunk_settings(&scenario));
        subject.add_trunk(start, other_trunk_settings());
        let carrier = Carrier::new(&scenario, stream(seed, b'C'));
        Self {
            start,
            now: Duration::ZERO,
            queue: BTreeMap::new(),
            queued: 0,
            subject,
            trunk,
            carrier,
            to_core: Network::new(scenario.weather, stream(seed, b'D')),
            to_carrier: Network::new(scenario.weather, stream(seed, b'U')),
            forger: stream(seed, b'F'),
            checker: Checker::new(scenario.calls.len()),
            placing: None,
            given_up: vec![false; scenario.calls.len()],
            texts: BTreeMap::new(),
            texts_waited_for: scenario.texts.len(),
            stopping: false,
            stopped: false,
            hash: DefaultHasher::new(),
            packets: 0,
            buffer: Vec::new(),
            ladder: None,
            scenario,
        }
    }

    fn play(mut self) -> Result<Report, Violation> {
        for at in 0..self.scenario.calls.len() {
            self.push(self.scenario.calls[at].at, Item::Place(at));
        }
        for at in 0..self.scenario.texts.len() {
            self.push(self.scenario.texts[at].at, Item::Text(at));
        }
        self.drain();
        let mut steps = 0;
        while self.step() {
            steps += 1;
            if let Some(violation) = self.checker.first_violation() {
                return Err(violation.clone());
            }
            if self.now > LONGEST || steps > MOST_STEPS {
                self.checker.broken(format!("no end after {steps} steps"));
            }
        }
        self.check_the_end();
        match self.checker.first_violation() {
            Some(violation) => Err(violation.clone()),
            None => Ok(self.report()),
        }
    }

    /// One packet, one timer or one wish. `false`: nothing is left to happen.
    fn step(&mut self) -> bool {
        self.stop_when_done();
        let timer = self.subject.poll_timeout().map(|at| at.saturating_duration_since(self.start));
        let queued = self.queue.first_key_value().map(|((at, _), _)| *at);
        let next = match (timer, queued) {
            (Some(timer), Some(queued)) => timer.min(queued),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return false,
        };
        if next < self.now {
            self.checker.broken("a deadline in the past");
        }
        self.now = self.now.max(next);
        self.checker.set_now(self.now);
        if timer.is_some_and(|timer| timer <= self.now) {
            self.subject.handle_timeout(self.start + self.now);
            self.drain();
            let late = |at: Instant| at.saturating_duration_since(self.start) <= self.now;
            if self.subject.poll_timeout().is_some_and(late) {
                self.checker.broken("a deadline that was served stays");
            }
        } else if let Some((_, item)) = self.queue.pop_first() {
            self.happen(item);
        }
        self.checker.step_is_over();
        true
    }

    fn happen(&mut self, item: Item) {
        match item {
            Item::ToCore(bytes) => self.deliver(&bytes),
            Item::ToCarrier(bytes) => {
                let actions = self.carrier.receive(self.now, &bytes);
                self.act(actions);
            }
            Item::Carrier(token) => {
                let actions = self.carrier.wake(self.now, token);
                self.act(actions);
            }
            Item::Place(at) => self.place(at),
            Item::HangUp(at) => {
                if let Some(handle) = self.checker.call(at).handle {
                    self.subject.hang_up(self.start + self.now, handle);
                    self.drain();
                }
            }
            Item::Text(at) => self.text(at),
        }
    }

    fn deliver(&mut self, bytes: &[u8]) {
        let now = self.start + self.now;
        // Somebody who is not the trunk says the same first, and something worse; so does another
        // trunk. Nothing of it may be believed.
        if chance(&mut self.forger, 30) {
            let forged = String::from_utf8_lossy(bytes).replacen("SIP/2.0 1", "SIP/2.0 2", 1);
            let refused = forged.replacen("SIP/2.0 2", "SIP/2.0 6", 1);
            for (source, bytes) in [
                (STRANGER, bytes),
                (STRANGER, forged.as_bytes()),
                (OTHER_TRUNK, refused.as_bytes()),
            ] {
                let source = Remote::udp(source);
                self.subject.handle_packet(now, Incoming { source, local: LOCAL, bytes });
            }
            self.drain();
        }
        self.write_down("<-", bytes);
        self.checker.delivered(bytes);
        let source = Remote::udp(CARRIER);
        self.subject.handle_packet(now, Incoming { source, local: LOCAL, bytes });
        self.drain();
    }

    fn place(&mut self, at: usize) {
        let plan = &self.scenario.calls[at];
        let [no_answer_timeout, no_ring_limit, call_limit] = plan.limits();
        let request = CallRequest {
            identity: CallIdentity([at as u8 + 1; 32]),
            called: user(&format!("+7916123{at:04}")),
            caller_id: CallerId::new(user(&format!("+7495123{:04}", at + 42))),
            ring_limit: RING_LIMIT,
            no_ring_limit,
            call_limit,
            no_answer_timeout,
            media_port: 20_000,
        };
        match self.subject.place_call(self.start + self.now, self.trunk, request) {
            Ok(handle) => {
                self.checker.placed(at, handle, RING_LIMIT, call_limit);
                if let Some(after) = plan.hang_up {
                    self.push(self.now + after, Item::HangUp(at));
                }
                self.placing = Some(at);
                self.drain();
                self.placing = None;
            }
            Err(PlaceCallError::NotRegistered) if self.now < PATIENCE => {
                self.push(self.now + PLACE_AGAIN, Item::Place(at));
            }
            Err(PlaceCallError::NotRegistered) => self.given_up[at] = true,
            Err(error) => self.checker.broken(format!("a call was not placed: {error}")),
        }
    }

    fn text(&mut self, at: usize) {
        let message = OutboundMessage {
            identity: CallIdentity([at as u8 + 101; 32]),
            called: user(&format!("+7916123{at:04}")),
            sender: None,
            text: "Код 123456".to_owned(),
        };
        match self.subject.send_message(self.start + self.now, self.trunk, message) {
            Ok(handle) => {
                self.texts.insert(handle, (at, 0));
                self.drain();
            }
            Err(SendMessageError::TrunkDown) if self.now < PATIENCE => {
                self.push(self.now + PLACE_AGAIN, Item::Text(at));
            }
            Err(SendMessageError::TrunkDown) => self.texts_waited_for -= 1,
            Err(error) => self.checker.broken(format!("a text was not sent: {error}")),
        }
    }

    /// When everything has been told, the user agent is to go; it may take its time for repeats.
    fn stop_when_done(&mut self) {
        let calls = self.scenario.calls.len();
        let ended = (0..calls).all(|at| self.given_up[at] || self.checker.call(at).end.is_some());
        if !self.stopping && ended && self.texts_waited_for == 0 {
            self.stopping = true;
            self.subject.shut_down(self.start + self.now);
            self.drain();
        }
    }

    /// Takes everything that the core has to say.
    fn drain(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut refused = Vec::new();
        while let Some(transmit) = self.subject.poll_transmit(&mut buffer) {
            if transmit.remote.transport.is_reliable() {
                // An INVITE above 1300 bytes: this carrier speaks UDP alone, as its host says.
                refused.push(transmit);
                continue;
            }
            (self.now, transmit.remote.address, &buffer).hash(&mut self.hash);
            self.packets += 1;
            if transmit.remote.address != CARRIER {
                self.checker.broken(format!("a packet to {}", transmit.remote.address));
            }
            self.write_down("->", &buffer);
            self.checker.left(&buffer, self.placing);
            for delay in self.to_carrier.carry().into_iter().flatten() {
                self.push(self.now + delay, Item::ToCarrier(buffer.clone()));
            }
        }
        self.buffer = buffer;
        while let Some(event) = self.subject.poll_event() {
            self.checker.told(&event);
            self.note(&event);
        }
        if !refused.is_empty() {
            for transmit in refused {
                self.subject.refuse(self.start + self.now, transmit);
            }
            self.drain();
        }
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::MessageEnded(summary) => match self.texts.get_mut(&summary.message) {
                Some((at, ends)) => {
                    *ends += 1;
                    let (at, ends) = (*at, *ends);
                    self.texts_waited_for = self.texts_waited_for.saturating_sub(1);
                    let plan = self.scenario.texts[at].status;
                    if ends > 1 {
                        self.checker.broken("the end of a text was told twice");
                    }
                    if self.scenario.weather.is_calm() && summary.status != plan {
                        let what = format!("a text ended with {:?}, not {plan:?}", summary.status);
                        self.checker.broken(what);
                    }
                }
                None => self.checker.broken("the end of a text that nobody sent"),
            },
            Event::ShutDown if self.stopped => self.checker.broken("shut down twice"),
            Event::ShutDown => self.stopped = true,
            Event::Registration {
                state: RegistrationState::AuthFailed { .. } | RegistrationState::Rejected { .. },
                ..
            } if self.scenario.weather.is_calm() => {
                self.checker.broken("a registration was refused that should not be");
            }
            _ => {}
        }
    }

    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send(bytes) => {
                    for delay in self.to_core.carry().into_iter().flatten() {
                        self.push(self.now + delay, Item::ToCore(bytes.clone()));
                    }
                }
                Action::Wake(delay, token) => self.push(self.now + delay, Item::Carrier(token)),
            }
        }
        for complaint in std::mem::take(&mut self.carrier.complaints) {
            self.checker.broken(complaint);
        }
    }

    fn write_down(&self, arrow: &str, bytes: &[u8]) {
        let (Some(ladder), Some(packet)) = (&self.ladder, Packet::read(bytes)) else { return };
        let what = match packet.status() {
            Some(status) => status.to_string(),
            None => packet.method().to_owned(),
        };
        let (number, method) = packet.cseq();
        let call = packet.call_id().get(..6).unwrap_or_default();
        let line = format!("{:>12?} {arrow} {what} ({number} {method}) {call}\n", self.now);
        ladder.borrow_mut().push_str(&line);
    }

    fn push(&mut self, at: Duration, item: Item) {
        self.queued += 1;
        self.queue.insert((at, self.queued), item);
    }

    fn check_the_end(&mut self) {
        if !self.stopped {
            self.checker.broken("nothing is left to happen, and the end was not told");
        }
        if self.subject.residue() != 0 {
            self.checker.broken(format!("{} things are left over", self.subject.residue()));
        }
        if self.carrier.bound && self.scenario.weather.is_calm() {
            self.checker.broken("the binding was not taken away");
        }
        for at in 0..self.scenario.calls.len() {
            if self.given_up[at] && self.to_core.lost == 0 {
                self.checker.broken("a trunk that loses nothing was never registered");
            }
            let plan = &self.scenario.calls[at];
            let truth = &self.carrier.truths[at];
            let call = self.checker.call(at);
            let Some(end) = &call.end else { continue };
            let mut faults = Vec::new();
            if truth.accepted > 1 {
                faults.push(format!("{} calls for one attempt", truth.accepted));
            }
            if self.scenario.weather.is_calm() {
                let expected = plan.expected();
                let hung_up = plan.hang_up.is_some() && end.outcome == CallOutcome::Canceled;
                if end.outcome != expected && !hung_up && !is_cut_short(plan.hang_up, end.outcome) {
                    faults.push(format!("{:?} instead of {expected:?}: {plan:?}", end.outcome));
                }
                if !is_clean(truth) {
                    faults.push(format!("a phone is left over: {truth:?}, {plan:?}"));
                }
            }
            for fault in faults {
                self.checker.broken(fault);
            }
        }
    }

    fn report(mut self) -> Report {
        let calls = (0..self.scenario.calls.len())
            .filter_map(|at| {
                let outcome = self.checker.call(at).end.as_ref()?.outcome;
                let is_clean = is_clean(&self.carrier.truths[at]);
                let plan = &self.scenario.calls[at];
                let agrees = outcome == plan.expected() || plan.hang_up.is_some();
                Some(CallReport { outcome, is_clean, agrees })
            })
            .collect();
        self.packets.hash(&mut self.hash);
        Report {
            hash: self.hash.finish(),
            calls,
            lost: self.to_core.lost + self.to_carrier.lost,
            packets: self.packets,
            lasted: self.now,
        }
    }
}

/// Whether no phone rings or talks any more, as far as the carrier knows.
fn is_clean(truth: &Truth) -> bool {
    !truth.rings && truth.answers.iter().all(|answer| answer.acknowledged && answer.released)
}

/// A daemon that hangs up may see a call that rang already, or was answered across its CANCEL.
fn is_cut_short(hang_up: Option<Duration>, outcome: CallOutcome) -> bool {
    hang_up.is_some() && matches!(outcome, CallOutcome::Rang | CallOutcome::Answered)
}

fn trunk_settings(scenario: &Scenario) -> TrunkSettings {
    let mut settings = TrunkSettings::new("north", "carrier.example", user("74951230000"), LOCAL);
    settings.targets = vec![Target::udp(CARRIER)];
    settings.password = Some(Secret::new(PASSWORD));
    settings.sms = true;
    settings.line = Some("0123456789abcdef".to_owned());
    if scenario.registered {
        settings.registrar = Some(HostPort { host: "carrier.example".to_owned(), port: None });
    }
    settings
}

/// A trunk over which nothing is sent.
fn other_trunk_settings() -> TrunkSettings {
    let mut settings = TrunkSettings::new("south", "other.example", user("74950000000"), LOCAL);
    settings.targets = vec![Target::udp(OTHER_TRUNK)];
    settings
}

fn user(text: &str) -> UserPart {
    UserPart::new(text).expect("digits")
}
