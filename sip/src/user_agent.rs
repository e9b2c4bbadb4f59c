//! The user agent: it owns trunks, calls and texts, and passes to each what concerns it.

mod arena;
mod calls;
pub(crate) mod common;
mod counters;
mod outbox;
mod packets;
mod releases;
mod requests;
mod talks;
mod texts;
mod trunks;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

pub use counters::Counters;

use crate::call::active::ActiveCall;
use crate::event::Event;
use crate::identity::{CallId, CallIdMark};
use crate::message::Parser;
use crate::registration::Pace;
use crate::server::transactions::{Keys, ServerTransaction};
use crate::settings::Settings;
use crate::text::active::ActiveText;
use crate::timer::TimerQueue;
use crate::transport::{Connection, ConnectionHandle, Loss, Remote, Transmit, TransportError};
use crate::trunk::list::Trunks;
use arena::Arena;
use common::{Common, Owner};
use outbox::Outbox;
use releases::Release;

/// Turns of timers beyond one for each owner: a trunk's registration may set a timer that is due.
const SPARE_TURNS: usize = 64;

/// A SIP user agent without I/O.
///
/// After each call of a method that takes `&mut self` and an instant, drain
/// [`UserAgent::poll_transmit`] and [`UserAgent::poll_event`], then arrange for
/// [`UserAgent::handle_timeout`] at [`UserAgent::poll_timeout`]. Instants never go back.
pub struct UserAgent {
    parser: Box<Parser>,
    core: Core,
}

/// All but the parser, which lends its memory to the message that is handled.
struct Core {
    common: Common,
    trunks: Trunks,
    calls: Arena<ActiveCall>,
    /// Calls that are up, by their Call-ID.
    talks: BTreeMap<CallId, u32>,
    texts: Arena<ActiveText>,
    releases: Arena<Release>,
    releases_by_call: BTreeMap<CallId, u32>,
    servers: Arena<ServerTransaction>,
    server_keys: Keys,
    /// Texts from outside that wait for their answer.
    texts_awaiting: usize,
    /// An answer while it is written.
    answer: Vec<u8>,
    /// Stream connections that are open, with their far ends.
    connections: BTreeMap<ConnectionHandle, Connection>,
    /// How many trunks are on their way out.
    leaving: usize,
    is_shutting_down: bool,
    shutdown_told: bool,
}

impl UserAgent {
    /// A user agent without trunks. All its randomness comes from `seed`: the same inputs with the
    /// same seed give the same bytes.
    pub fn new(settings: Settings, seed: [u8; 32]) -> Self {
        let shard = settings.shard;
        let pace = Pace::new(settings.registers_per_second);
        let common = Common {
            mark: CallIdMark::new(&settings.call_id_key),
            settings,
            rng: ChaCha20Rng::from_seed(seed),
            outbox: Outbox::default(),
            events: VecDeque::new(),
            timers: TimerQueue::default(),
            branches: BTreeMap::new(),
            counters: Counters::default(),
            pace,
            scratch: String::new(),
            without_tcp: Vec::new(),
        };
        let core = Core {
            common,
            trunks: Trunks::new(shard),
            calls: Arena::default(),
            talks: BTreeMap::new(),
            texts: Arena::default(),
            releases: Arena::default(),
            releases_by_call: BTreeMap::new(),
            servers: Arena::default(),
            server_keys: Keys::new(),
            texts_awaiting: 0,
            answer: Vec::new(),
            connections: BTreeMap::new(),
            leaving: 0,
            is_shutting_down: false,
            shutdown_told: false,
        };
        Self { parser: Box::new(Parser::new()), core }
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        let core = &mut self.core;
        // Each owner serves all that is due to it in one turn. Should one fail to, the others and
        // the packets that wait must not starve: it has its next turn at the next call.
        let turns = core.common.timers.len() + SPARE_TURNS;
        for _ in 0..turns {
            let Some(owner) = core.common.timers.due(now) else { break };
            match owner {
                Owner::Trunk(index) => core.trunk_timeout(now, index),
                Owner::Call(place) => core.call_timeout(now, place),
                Owner::Text(place) => core.text_timeout(now, place),
                Owner::Server(place) => core.server_timeout(now, place),
                Owner::Release(place) => core.release_timeout(now, place),
            }
        }
        core.wind_down(now);
    }

    /// The network refused what we sent to `remote`.
    pub fn handle_transport_error(&mut self, now: Instant, remote: Remote, kind: TransportError) {
        self.core.handle_loss(now, &Loss { remote, trunk: None, kind });
    }

    /// Moves the next message into `out`, in place of what was there, and tells where it goes.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> Option<Transmit> {
        self.core.common.outbox.poll(out)
    }

    /// The next fact.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.core.common.events.pop_front()
    }

    /// When [`UserAgent::handle_timeout`] is to be called; `None`: not before something arrives.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.core.common.timers.next()
    }

    /// How many calls, texts, transactions and timers live: 0 when nothing is under way and no
    /// trunk waits for anything. For tests and for a look at what a shutdown waits for.
    pub fn residue(&self) -> usize {
        let core = &self.core;
        core.calls.len()
            + core.texts.len()
            + core.releases.len()
            + core.servers.len()
            + core.common.branches.len()
            + core.common.timers.len()
    }

    /// What was counted since the start.
    pub fn counters(&self) -> Counters {
        Counters { unbuildable: self.core.common.outbox.unbuildable(), ..self.core.common.counters }
    }
}
