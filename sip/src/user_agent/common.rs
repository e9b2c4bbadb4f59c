//! What calls, texts, registrations and answers of one user agent have in common.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;

use super::counters::Counters;
use super::outbox::Outbox;
use crate::event::Event;
use crate::identity::{Branch, CallId, CallIdMark, Tag};
use crate::registration::Pace;
use crate::settings::Settings;
use crate::timer::TimerQueue;
use crate::transaction::Terms;
use crate::transport::{Remote, Transmit};
use crate::trunk::TrunkHandle;

/// Who waits for a deadline or for a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// A trunk, by its index.
    Trunk(u32),
    /// A call, by its place.
    Call(u32),
    /// A text, by its place.
    Text(u32),
    /// The release of a call that an earlier process placed, by its place.
    Release(u32),
    /// A server transaction, by its place.
    Server(u32),
}

/// Everything that is neither a trunk nor a call.
pub(crate) struct Common {
    pub(crate) settings: Settings,
    pub(crate) mark: CallIdMark,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) outbox: Outbox,
    pub(crate) events: VecDeque<Event>,
    pub(crate) timers: TimerQueue<Owner>,
    /// Who sent the request with this branch.
    pub(crate) branches: BTreeMap<Branch, Owner>,
    pub(crate) counters: Counters,
    /// The pace of the first REGISTERs of all trunks.
    pub(crate) pace: Pace,
    /// A body while it is written.
    pub(crate) scratch: String,
    /// Far ends of UDP trunks that refused TCP, and until when that is remembered.
    pub(crate) without_tcp: Vec<(SocketAddr, Instant)>,
}

/// For so long a far end that refused TCP is not tried again: each try costs a call a round trip,
/// and up to 4 s where a firewall is silent.
const WITHOUT_TCP: Duration = Duration::from_secs(600);
/// Far ends that are remembered so; the oldest are forgotten first.
const WITHOUT_TCP_LIMIT: usize = 64;

impl Common {
    /// The terms of a transaction with this peer.
    pub(crate) fn terms(&self, remote: &Remote) -> Terms {
        Terms { timings: self.settings.timings, reliable: remote.transport.is_reliable() }
    }

    /// When what is given up after 64·T1 is given up.
    pub(crate) fn transaction_end(&self, now: Instant) -> Instant {
        now + self.settings.timings.transaction()
    }

    /// The label of what is sent for a trunk.
    pub(crate) fn transmit(&self, remote: Remote, trunk: u32) -> Transmit {
        Transmit { remote, trunk: Some(self.handle(trunk)) }
    }

    /// Whether a far end refused TCP lately.
    pub(crate) fn refuses_tcp(&self, now: Instant, address: SocketAddr) -> bool {
        self.without_tcp.iter().any(|(refuser, until)| *refuser == address && *until > now)
    }

    /// A far end refused TCP.
    pub(crate) fn note_tcp_refusal(&mut self, now: Instant, address: SocketAddr) {
        self.without_tcp.retain(|(refuser, until)| *refuser != address && *until > now);
        if self.without_tcp.len() >= WITHOUT_TCP_LIMIT {
            self.without_tcp.remove(0);
        }
        self.without_tcp.push((address, now + WITHOUT_TCP));
    }

    /// The handle of a trunk.
    pub(crate) fn handle(&self, trunk: u32) -> TrunkHandle {
        TrunkHandle { shard: self.settings.shard, index: trunk }
    }

    /// A branch that derives from nothing.
    pub(crate) fn random_branch(&mut self) -> Branch {
        let mut bits = [0; 16];
        self.rng.fill_bytes(&mut bits);
        Branch(bits)
    }

    /// A tag that derives from nothing.
    pub(crate) fn random_tag(&mut self) -> Tag {
        Tag(self.rng.next_u64().to_be_bytes())
    }

    /// A Call-ID that derives from nothing.
    pub(crate) fn random_call_id(&mut self) -> CallId {
        let mut bits = [0; 16];
        self.rng.fill_bytes(&mut bits);
        self.mark.seal(bits)
    }
}
