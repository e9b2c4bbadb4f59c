//! What must hold whatever happens, checked from outside: only from the packets that reached the
//! core, those that left it, and its events.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use sip::{CallHandle, CallOutcome, CallSummary, Event};

use super::packet::Packet;

/// Rounds of challenges that an INVITE may have, and so INVITEs of one call.
const MAX_INVITES: usize = 5;
/// How long a client repeats its ACK to a final response: Timer D and Timer M, less a margin.
const ANSWERS_REPEATS_FOR: Duration = Duration::from_secs(30);
/// The shortest time between two repeats of a request.
const T1: Duration = Duration::from_millis(500);
/// An INVITE without any answer for so long is forgotten.
const TIMER_B: Duration = Duration::from_secs(32);
/// Dialogs of one INVITE that are released.
const MAX_FORKS: usize = 8;

/// A rule that was broken.
#[derive(Clone, Debug)]
pub struct Violation {
    /// When, since the start.
    pub at: Duration,
    /// Which rule, and by what.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {:?}: {}", self.at, self.what)
    }
}

/// Everything that was seen.
#[derive(Default)]
pub(super) struct Checker {
    now: Duration,
    calls: Vec<Watched>,
    by_call_id: BTreeMap<String, usize>,
    /// When each request left last, for telling a repeat from news.
    sent: BTreeMap<Vec<u8>, Duration>,
    violations: Vec<Violation>,
}

/// One call.
#[derive(Default)]
pub(super) struct Watched {
    pub(super) handle: Option<CallHandle>,
    pub(super) end: Option<CallSummary>,
    ring_limit: Duration,
    latest_end: Duration,
    /// When a CANCEL must have left at the latest, unless a final response comes before.
    cancel_by: Option<Duration>,
    cancelled_at: Option<Duration>,
    rounds: Vec<Round>,
    rang: bool,
    diverted: bool,
    told_ringing: u32,
    told_cancelled: u32,
    pub(super) told_late: u32,
    successes: BTreeMap<String, Success>,
}

/// One INVITE.
#[derive(Default)]
struct Round {
    sent: Duration,
    branch: String,
    uri: String,
    via: String,
    cseq: u32,
    answered: bool,
    provisional: bool,
    failure: Option<u16>,
    failures: u32,
    first_failure: Duration,
    acks: u32,
    success: bool,
}

#[derive(Default)]
struct Success {
    first: Duration,
    received: u32,
    acks: u32,
    byes: u32,
}

impl Checker {
    pub(super) fn new(calls: usize) -> Self {
        Self { calls: (0..calls).map(|_| Watched::default()).collect(), ..Self::default() }
    }

    pub(super) fn set_now(&mut self, now: Duration) {
        self.now = now;
    }

    pub(super) fn broken(&mut self, what: impl Into<String>) {
        self.violations.push(Violation { at: self.now, what: what.into() });
    }

    pub(super) fn first_violation(&self) -> Option<&Violation> {
        self.violations.first()
    }

    pub(super) fn call(&self, at: usize) -> &Watched {
        &self.calls[at]
    }

    pub(super) fn placed(
        &mut self,
        at: usize,
        handle: CallHandle,
        ring_limit: Duration,
        call_limit: Duration,
    ) {
        let call = &mut self.calls[at];
        call.handle = Some(handle);
        call.ring_limit = ring_limit;
        call.latest_end = self.now + call_limit + TIMER_B;
    }

    /// A packet is about to reach the core.
    pub(super) fn delivered(&mut self, bytes: &[u8]) {
        let Some(packet) = Packet::read(bytes) else {
            return;
        };
        let Some(status) = packet.status() else {
            return;
        };
        let Some(&at) = self.by_call_id.get(packet.call_id()) else {
            return;
        };
        if packet.cseq().1 != "INVITE" {
            return;
        }
        let now = self.now;
        let call = &mut self.calls[at];
        let rounds = call.rounds.len();
        let Some(place) = call.rounds.iter().position(|round| round.branch == packet.branch())
        else {
            return;
        };
        let is_current = place + 1 == rounds;
        let round = &mut call.rounds[place];
        if !round.answered && now - round.sent >= TIMER_B {
            return;
        }
        round.answered = true;
        match status {
            100..200 => {
                let is_open = round.failure.is_none() && !round.success;
                round.provisional |= is_open;
                let diverts = status == 181 || packet.all("Diversion").next().is_some();
                if is_current && is_open && call.end.is_none() {
                    call.diverted |= diverts;
                    let rings = status == 180 && !diverts;
                    call.rang |= rings;
                    if diverts {
                        call.cancel_by = Some(now);
                    } else if rings {
                        call.cancel_by.get_or_insert(now + call.ring_limit);
                    }
                } else if is_current && is_open {
                    // The call was given up: nothing of it may go on.
                    call.cancel_by = Some(now);
                }
            }
            200..300 => {
                round.success = true;
                let tag = packet.to_tag().to_owned();
                let success = call
                    .successes
                    .entry(tag)
                    .or_insert(Success { first: now, ..Success::default() });
                success.received += 1;
            }
            _ if round.success => {}
            _ => {
                if round.failure.is_none() {
                    round.first_failure = now;
                }
                round.failure.get_or_insert(status);
                round.failures += 1;
            }
        }
    }

    /// A packet left the core.
    pub(super) fn left(&mut self, bytes: &[u8], placing: Option<usize>) {
        let Some(packet) = Packet::read(bytes) else {
            return;
        };
        let before = self.sent.insert(bytes.to_vec(), self.now);
        let is_repeat = before.is_some();
        let is_prompted = matches!(packet.method(), "ACK" | "SIP/2.0");
        if before.is_some_and(|before| self.now < before + T1) && !is_prompted {
            self.broken(format!("{} was repeated within T1", packet.method()));
        }
        match packet.method() {
            "INVITE" => self.invite_left(&packet, is_repeat, placing),
            "CANCEL" => self.cancel_left(&packet, is_repeat),
            "ACK" => self.ack_left(&packet),
            "BYE" => self.bye_left(&packet, is_repeat),
            "REGISTER" | "OPTIONS" | "MESSAGE" | "SIP/2.0" => {}
            other => self.broken(format!("a request that is not ours to send: {other}")),
        }
    }

    fn invite_left(&mut self, packet: &Packet<'_>, is_repeat: bool, placing: Option<usize>) {
        let at = match (self.by_call_id.get(packet.call_id()), placing) {
            (Some(&at), _) => at,
            (None, Some(at)) => {
                self.by_call_id.insert(packet.call_id().to_owned(), at);
                at
            }
            (None, None) => return self.broken("an INVITE of a call that nobody placed"),
        };
        let call = &self.calls[at];
        let last = call.rounds.last();
        let mut faults = Vec::new();
        if call.end.is_some() {
            faults.push("an INVITE after the end was told");
        }
        if is_repeat {
            if last.is_some_and(|last| last.branch != packet.branch() || last.answered) {
                faults.push("an INVITE was repeated after an answer to it");
            }
        } else {
            if last.is_some_and(|last| !matches!(last.failure, Some(401 | 407))) {
                faults.push("a second INVITE although the first was not challenged");
            }
            if call.rounds.iter().any(|round| round.branch == packet.branch()) {
                faults.push("a changed INVITE under an old branch");
            }
            if last.is_some_and(|last| last.cseq + 1 != packet.cseq().0) {
                faults.push("the CSeq number of an INVITE does not follow the last one");
            }
            if call.rounds.len() == MAX_INVITES {
                faults.push("too many INVITEs for one call");
            }
            let sent = self.now;
            self.calls[at].rounds.push(Round {
                sent,
                branch: packet.branch().to_owned(),
                uri: packet.request_uri().to_owned(),
                via: packet.header("Via").to_owned(),
                cseq: packet.cseq().0,
                ..Round::default()
            });
        }
        for fault in faults {
            self.broken(fault);
        }
    }

    fn cancel_left(&mut self, packet: &Packet<'_>, is_repeat: bool) {
        let Some(&at) = self.by_call_id.get(packet.call_id()) else {
            return self.broken("a CANCEL for no call");
        };
        let call = &self.calls[at];
        let Some(round) = call.rounds.iter().find(|round| round.branch == packet.branch()) else {
            return self.broken("a CANCEL for no INVITE");
        };
        let same = round.cseq == packet.cseq().0
            && round.uri == packet.request_uri()
            && round.via == packet.header("Via");
        let abandoned = call.end.as_ref().is_none_or(|end| end.status.is_none());
        let provisional = round.provisional;
        let now = self.now;
        let finished = round.failure.is_some() || round.success;
        self.calls[at].cancelled_at.get_or_insert(now);
        if !same {
            self.broken("a CANCEL that differs from its INVITE");
        }
        if !is_repeat && !provisional {
            self.broken("a CANCEL before a provisional response");
        }
        if !is_repeat && finished {
            self.broken("a CANCEL after the final response");
        }
        if !is_repeat && !abandoned {
            self.broken("a CANCEL after the end was told");
        }
    }

    fn ack_left(&mut self, packet: &Packet<'_>) {
        let Some(&at) = self.by_call_id.get(packet.call_id()) else {
            return self.broken("an ACK for no call");
        };
        let call = &mut self.calls[at];
        if let Some(round) = call.rounds.iter_mut().find(|round| round.branch == packet.branch()) {
            round.acks += 1;
            if round.failure.is_none() {
                self.broken("an ACK to no failure");
            }
            return;
        }
        match call.successes.get_mut(packet.to_tag()) {
            Some(success) => success.acks += 1,
            None => self.broken("an ACK to no answer"),
        }
    }

    fn bye_left(&mut self, packet: &Packet<'_>, is_repeat: bool) {
        let Some(&at) = self.by_call_id.get(packet.call_id()) else {
            return self.broken("a BYE for no call");
        };
        let call = &mut self.calls[at];
        let highest = call.rounds.iter().map(|round| round.cseq).max().unwrap_or(0);
        match call.successes.get_mut(packet.to_tag()) {
            Some(success) if !is_repeat => success.byes += 1,
            Some(_) => {}
            None => return self.broken("a BYE for no answer"),
        }
        if packet.cseq().0 <= highest {
            self.broken("a BYE whose CSeq number is not above its INVITE's");
        }
    }

    /// The core told something.
    pub(super) fn told(&mut self, event: &Event) {
        match event {
            Event::Ended(summary) => self.ended(summary),
            Event::Ringing { call, .. } => {
                self.progress(*call, "ringing", |call| {
                    call.told_ringing += 1;
                    call.rang && call.told_ringing == 1
                });
            }
            Event::Cancelled { call } => {
                self.progress(*call, "cancelled", |call| {
                    call.told_cancelled += 1;
                    call.rang && call.told_cancelled == 1
                });
            }
            Event::InviteSent { call, .. } => self.progress(*call, "invite sent", |_| true),
            Event::LateRinging { call, .. } => match self.of(*call) {
                Some(at) => {
                    self.calls[at].told_late += 1;
                    if self.calls[at].end.is_none() || self.calls[at].told_late > 1 {
                        self.broken("late ringing before the end, or twice");
                    }
                }
                None => self.broken("late ringing of a call that nobody placed"),
            },
            _ => {}
        }
    }

    fn of(&self, handle: CallHandle) -> Option<usize> {
        self.calls.iter().position(|call| call.handle == Some(handle))
    }

    fn progress(
        &mut self,
        handle: CallHandle,
        name: &str,
        take: impl FnOnce(&mut Watched) -> bool,
    ) {
        let Some(at) = self.of(handle) else {
            return self.broken(format!("{name} of a call that nobody placed"));
        };
        if self.calls[at].end.is_some() {
            self.broken(format!("{name} after the end was told"));
        }
        if !take(&mut self.calls[at]) {
            self.broken(format!("{name} without cause, or twice"));
        }
    }

    fn ended(&mut self, summary: &CallSummary) {
        let Some(at) = self.of(summary.call) else {
            return self.broken("the end of a call that nobody placed");
        };
        if self.calls[at].end.is_some() {
            return self.broken("the end of a call was told twice");
        }
        let call = &self.calls[at];
        let answered = matches!(summary.status, Some(200..300));
        let expected = match summary.outcome {
            CallOutcome::Diverted => call.diverted,
            _ if call.diverted => false,
            CallOutcome::Answered => answered,
            _ if answered => false,
            CallOutcome::Rang => call.rang,
            _ => !call.rang,
        };
        let current = call.rounds.last();
        let status_came = match summary.status {
            Some(200..300) => !call.successes.is_empty(),
            Some(status) => current.is_some_and(|round| round.failure == Some(status)),
            None => {
                current.is_some_and(|round| round.failure.is_none()) && call.successes.is_empty()
            }
        };
        let cseq = current.map(|round| round.cseq);
        let (rang, told) = (call.rang, call.told_ringing);
        let diverted = call.diverted;
        if !expected {
            let what = format!(
                "outcome {:?} although rang {rang}, diverted {diverted}, status {:?}",
                summary.outcome, summary.status
            );
            self.broken(what);
        }
        if summary.rang != rang || told != u32::from(rang) {
            self.broken(format!(
                "rang is {}, told {told} times, {rang} by the packets",
                summary.rang
            ));
        }
        if !status_came {
            self.broken(format!("the end has status {:?}, which did not come", summary.status));
        }
        if Some(summary.last_cseq) != cseq {
            self.broken("the end names another CSeq number than the last INVITE's");
        }
        if summary.timeline.is_empty() || summary.timeline.len() > 32 {
            self.broken("a timeline of no or too many entries");
        }
        self.calls[at].end = Some(summary.clone());
    }

    /// After every step: what came was acknowledged as often as it came.
    pub(super) fn step_is_over(&mut self) {
        let mut faults = Vec::new();
        for call in self.calls.iter().filter(|call| call.handle.is_some()) {
            let finished = call.rounds.last().is_some_and(|it| it.failure.is_some() || it.success);
            if call.end.is_none() && self.now > call.latest_end {
                faults.push("a call without an end long after its limits".to_owned());
            }
            if call.end.is_none() && call.cancelled_at.is_some_and(|at| self.now > at + TIMER_B) {
                faults.push("a call without an end 64·T1 after its CANCEL".to_owned());
            }
            if !finished
                && call.cancelled_at.is_none()
                && call.cancel_by.is_some_and(|by| self.now > by)
            {
                faults.push("a call that should have been cancelled".to_owned());
            }
            for round in &call.rounds {
                let recent = self.now - round.first_failure < ANSWERS_REPEATS_FOR;
                if round.acks > round.failures || recent && round.acks < round.failures {
                    faults.push(format!(
                        "{} ACKs to {} failures {:?}",
                        round.acks, round.failures, round.failure
                    ));
                }
            }
            for success in call.successes.values().take(MAX_FORKS) {
                let recent = self.now - success.first < ANSWERS_REPEATS_FOR;
                if recent && (success.acks != success.received || success.byes != 1) {
                    faults.push(format!(
                        "{} ACKs and {} BYEs to {} answers",
                        success.acks, success.byes, success.received
                    ));
                }
            }
        }
        for fault in faults {
            self.broken(fault);
        }
    }
}
