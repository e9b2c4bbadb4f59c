//! The far side: a registrar and proxy that may want credentials, and the phones behind it. It
//! repeats what RFC 3261 section 17.2 and 13.3.1.4 want repeated.

mod guard;
mod invite;

use std::collections::BTreeMap;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;

use super::packet::Packet;
use super::scenario::Scenario;
pub(super) use guard::PASSWORD;
use guard::{Gatekeeper, Verdict};
use invite::InviteServer;

/// T1 and T2 of the carrier.
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
/// 64·T1.
const TRANSACTION: Duration = Duration::from_secs(32);

/// What the carrier wants done.
#[derive(Debug)]
pub(super) enum Action {
    Send(Vec<u8>),
    /// Call [`Carrier::wake`] with this token after this time.
    Wake(Duration, Token),
}

/// What the carrier waits for: an INVITE's server, by its place, and what is due there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    server: usize,
    what: Due,
}

#[derive(Clone, Copy, Debug)]
enum Due {
    /// The next line of the phone's script.
    Script,
    /// The repeat of a final response, after this interval; for a 2xx with its place.
    Repeat { success: Option<usize>, interval: Duration, left: Duration },
    /// The INVITE's Expires.
    Expires,
    /// A 487 that was put off.
    Terminate,
}

/// What a phone knows when all is over.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// INVITEs that passed the guard: more than one is two calls for one attempt.
    pub accepted: u32,
    /// Whether it rang.
    pub rang: bool,
    /// Whether it rings still.
    pub rings: bool,
    /// To tags of its answers, with what became of each.
    pub answers: Vec<Answer>,
}

/// One answered phone.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The tag.
    pub tag: String,
    /// Whether an ACK came.
    pub acknowledged: bool,
    /// Whether a BYE came.
    pub released: bool,
}

/// The carrier.
pub(super) struct Carrier {
    scenario: Scenario,
    gatekeeper: Gatekeeper,
    servers: Vec<InviteServer>,
    /// Which server has this branch.
    branches: BTreeMap<String, usize>,
    /// Final responses to other requests, by branch and method, for their repeats; `None`: silence.
    replies: BTreeMap<(String, String), Option<Vec<u8>>>,
    pub(super) truths: Vec<Truth>,
    /// Texts that were taken, by Call-ID.
    pub(super) texts: BTreeMap<String, u32>,
    /// Whether the last REGISTER bound or unbound.
    pub(super) bound: bool,
    /// What the core did that no carrier should see.
    pub(super) complaints: Vec<String>,
    actions: Vec<Action>,
    now: Duration,
}

impl Carrier {
    pub(super) fn new(scenario: &Scenario, rng: ChaCha8Rng) -> Self {
        Self {
            gatekeeper: Gatekeeper::new(scenario.guard.clone(), scenario.weather, rng),
            truths: vec![Truth::default(); scenario.calls.len()],
            scenario: scenario.clone(),
            servers: Vec::new(),
            branches: BTreeMap::new(),
            replies: BTreeMap::new(),
            texts: BTreeMap::new(),
            bound: false,
            complaints: Vec::new(),
            actions: Vec::new(),
            now: Duration::ZERO,
        }
    }

    /// A packet from the core arrives.
    pub(super) fn receive(&mut self, now: Duration, bytes: &[u8]) -> Vec<Action> {
        self.now = now;
        if let Some(packet) = Packet::read(bytes) {
            match packet.method() {
                "INVITE" => self.invite(&packet, bytes),
                "CANCEL" => self.cancel(&packet),
                "ACK" => self.ack(&packet),
                "SIP/2.0" => {}
                _ => self.other(&packet),
            }
        }
        std::mem::take(&mut self.actions)
    }

    /// Time has come for something that was asked for.
    pub(super) fn wake(&mut self, now: Duration, token: Token) -> Vec<Action> {
        self.now = now;
        match token.what {
            Due::Script => self.script(token.server),
            Due::Repeat { success, interval, left } => {
                self.repeat(token.server, success, interval, left);
            }
            Due::Expires | Due::Terminate => self.terminate(token.server),
        }
        std::mem::take(&mut self.actions)
    }

    fn send(&mut self, bytes: Vec<u8>) {
        self.actions.push(Action::Send(bytes));
    }

    fn wait(&mut self, delay: Duration, server: usize, what: Due) {
        self.actions.push(Action::Wake(delay, Token { server, what }));
    }

    /// REGISTER, MESSAGE, BYE, OPTIONS: one final response, repeated when the request is.
    fn other(&mut self, packet: &Packet<'_>) {
        let key = (packet.branch().to_owned(), packet.method().to_owned());
        if let Some(reply) = self.replies.get(&key) {
            self.actions.extend(reply.clone().map(Action::Send));
            return;
        }
        let reply = match packet.method() {
            "REGISTER" => self.register(packet),
            "MESSAGE" => self.message(packet),
            "BYE" => self.bye(packet),
            "OPTIONS" => Some(packet.answer(200, "o", "")),
            _ => Some(packet.answer(501, "x", "")),
        };
        self.actions.extend(reply.clone().map(Action::Send));
        self.replies.insert(key, reply);
    }

    fn register(&mut self, packet: &Packet<'_>) -> Option<Vec<u8>> {
        match self.gatekeeper.judge_register(self.now, packet) {
            Verdict::Pass => {}
            Verdict::Refuse(status, lines) => return Some(packet.answer(status, "r", &lines)),
            Verdict::Complain(what) => self.complaints.push(what),
        }
        if !packet.to_tag().is_empty() {
            self.complaints.push("a REGISTER with a To tag".to_owned());
        }
        let asked: u32 = packet.header("Expires").parse().unwrap_or(0);
        self.bound = asked > 0;
        if asked == 0 {
            return Some(packet.answer(200, "r", ""));
        }
        if let Some(least) = self.gatekeeper.too_brief(asked) {
            return Some(packet.answer(423, "r", &format!("Min-Expires: {least}\r\n")));
        }
        let granted = self.gatekeeper.granted(asked);
        let contact = packet.header("Contact").split(";expires").next().unwrap_or_default();
        let lines = format!("Contact: {contact};expires={granted}\r\n");
        Some(packet.answer(200, "r", &lines))
    }

    fn message(&mut self, packet: &Packet<'_>) -> Option<Vec<u8>> {
        match self.gatekeeper.judge(self.now, packet) {
            Verdict::Pass => {}
            Verdict::Refuse(status, lines) => return Some(packet.answer(status, "m", &lines)),
            Verdict::Complain(what) => self.complaints.push(what),
        }
        let plan = numbered(packet).and_then(|at| self.scenario.texts.get(at))?;
        let status = plan.status?;
        *self.texts.entry(packet.call_id().to_owned()).or_default() += 1;
        Some(packet.answer(status, "m", ""))
    }

    fn bye(&mut self, packet: &Packet<'_>) -> Option<Vec<u8>> {
        let authorized = ["Authorization", "Proxy-Authorization"]
            .into_iter()
            .any(|name| packet.all(name).any(|value| value.contains("\"rogue.example\"")));
        if authorized {
            self.complaints.push("a foreign realm got an answer to its challenge".to_owned());
        }
        let answer = self
            .servers
            .iter()
            .filter(|server| server.call_id == packet.call_id())
            .flat_map(|server| self.truths[server.call].answers.iter())
            .any(|answer| answer.tag == packet.to_tag());
        if !answer {
            return Some(packet.answer(481, "b", ""));
        }
        for truth in &mut self.truths {
            for answer in truth.answers.iter_mut().filter(|one| one.tag == packet.to_tag()) {
                answer.released = true;
            }
        }
        if self.scenario.guard.rogue_bye {
            let lines = "WWW-Authenticate: Digest realm=\"rogue.example\", nonce=\"1\"\r\n";
            return Some(packet.answer(401, "b", lines));
        }
        Some(packet.answer(200, "b", ""))
    }
}

/// The plan's number, which is the tail of the called number.
fn numbered(packet: &Packet<'_>) -> Option<usize> {
    let user = packet.request_uri().strip_prefix("sip:")?.split('@').next()?;
    user.get(user.len().checked_sub(4)?..)?.parse().ok()
}
