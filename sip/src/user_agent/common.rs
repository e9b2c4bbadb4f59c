//! What calls, texts, registrations and answers of one user agent have in common.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

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
}

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
