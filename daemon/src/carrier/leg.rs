//! One INVITE as the carrier sees it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::behaviour::{Act, Behaviour};

/// T1 and T2 of RFC 3261 section 17.1.1.1.
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
/// 64·T1: the end of timers H and, for a 2xx, of its repeats.
const GIVE_UP: Duration = Duration::from_secs(32);
/// A handset that listens knows its call for as long as a talk may last.
const TALK: Duration = Duration::from_secs(100);

/// How far the INVITE is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// No final response yet.
    Proceeding,
    /// A final response is repeated until it is acknowledged.
    Completed { status: u16, repeat_at: Instant, interval: Duration, give_up_at: Instant },
    /// Nothing more is sent; kept for repeats until `until`.
    Over { status: u16, acknowledged: bool, until: Instant },
}

/// One INVITE with everything needed to answer it.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) call_id: Vec<u8>,
    pub(super) branch: Vec<u8>,
    /// The request as it came: every answer is built from it.
    pub(super) request: Vec<u8>,
    pub(super) source: SocketAddr,
    pub(super) tag: String,
    pub(super) second_tag: String,
    pub(super) behaviour: Behaviour,
    pub(super) state: State,
    pub(super) cancelled: bool,
    pub(super) repeated_invites: u32,
    /// The latest answer, for a repeated INVITE.
    pub(super) last_answer: Option<Vec<u8>>,
    pub(super) ringing_since: Option<Instant>,
    pub(super) rang: Duration,
    started_at: Instant,
    script: Vec<(Duration, Act)>,
    next_act: usize,
}

/// The parts of an INVITE that a leg is made of.
pub(super) struct Invite {
    pub(super) call_id: Vec<u8>,
    pub(super) branch: Vec<u8>,
    pub(super) called: String,
    pub(super) request: Vec<u8>,
    pub(super) source: SocketAddr,
}

/// What a leg wants at its deadline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The script goes on.
    Act(Act),
    /// The final response again.
    Repeat,
    /// Nobody acknowledged it.
    GiveUp,
    /// It can be forgotten.
    Forget,
}

impl Leg {
    pub(super) fn new(now: Instant, invite: Invite, tag: String, second_tag: String) -> Self {
        let behaviour = Behaviour::of(&invite.called);
        Self {
            call_id: invite.call_id,
            branch: invite.branch,
            request: invite.request,
            source: invite.source,
            tag,
            second_tag,
            behaviour,
            state: State::Proceeding,
            cancelled: false,
            repeated_invites: 0,
            last_answer: None,
            ringing_since: None,
            rang: Duration::ZERO,
            started_at: now,
            script: behaviour.script(),
            next_act: 0,
        }
    }

    /// When the leg wants something; a leg that waits for the client alone is forgotten in time.
    pub(super) fn deadline(&self) -> Instant {
        match &self.state {
            State::Proceeding => match self.script.get(self.next_act) {
                Some((after, _)) => self.started_at + *after,
                None => self.started_at + GIVE_UP * 4,
            },
            State::Completed { repeat_at, give_up_at, .. } => (*repeat_at).min(*give_up_at),
            State::Over { until, .. } => *until,
        }
    }

    /// What it wants at `now`, if anything.
    pub(super) fn due(&mut self, now: Instant) -> Option<Due> {
        if self.deadline() > now {
            return None;
        }
        match &mut self.state {
            State::Proceeding => match self.script.get(self.next_act) {
                Some((_, act)) => {
                    self.next_act += 1;
                    Some(Due::Act(*act))
                }
                None => Some(Due::Forget),
            },
            State::Completed { give_up_at, .. } if *give_up_at <= now => Some(Due::GiveUp),
            State::Completed { repeat_at, interval, .. } => {
                *interval = (*interval * 2).min(T2);
                *repeat_at = now + *interval;
                Some(Due::Repeat)
            }
            State::Over { .. } => Some(Due::Forget),
        }
    }

    /// A final response left.
    pub(super) fn completed(&mut self, now: Instant, status: u16) {
        self.stop_ringing(now);
        self.state = State::Completed {
            status,
            repeat_at: now + T1,
            interval: T1,
            give_up_at: now + GIVE_UP,
        };
    }

    /// Nothing more will be sent.
    pub(super) fn over(&mut self, now: Instant, status: u16, acknowledged: bool) {
        self.stop_ringing(now);
        let kept = if self.behaviour == Behaviour::Listen { TALK } else { GIVE_UP };
        self.state = State::Over { status, acknowledged, until: now + kept };
    }

    /// The handset falls silent.
    pub(super) fn stop_ringing(&mut self, now: Instant) {
        if let Some(since) = self.ringing_since.take() {
            self.rang += now.duration_since(since);
        }
    }
}
