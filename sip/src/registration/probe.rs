//! Asking silent targets by OPTIONS until one of them answers.

use std::time::{Duration, Instant};

/// Pause between OPTIONS at first, and how long "at first" is.
const FAST: Duration = Duration::from_secs(1);
const FAST_FOR: Duration = Duration::from_secs(2 * 60);
/// Pause between OPTIONS afterwards.
const SLOW: Duration = Duration::from_secs(10);
/// Longest time for which answers to OPTIONS are not believed.
const MAX_DOUBT: Duration = Duration::from_secs(30 * 60);

/// The probing of a trunk that is down.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    /// When the first target fell silent.
    since: Instant,
    next: Instant,
    /// Whether a REGISTER was tried because an OPTIONS was answered.
    believed: bool,
    /// How often such a REGISTER found no answer, and until when answers are not believed.
    disappointments: u32,
    doubt_until: Instant,
}

impl Probe {
    pub(super) fn start(now: Instant) -> Self {
        Self { since: now, next: now, believed: false, disappointments: 0, doubt_until: now }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.next
    }

    /// Whether OPTIONS are to be sent now.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        if now < self.next {
            return false;
        }
        let fast = now.saturating_duration_since(self.since) < FAST_FOR;
        self.next = now + if fast { FAST } else { SLOW };
        true
    }

    /// An OPTIONS was answered. Whether a REGISTER is worth trying: a host that answers OPTIONS
    /// and never REGISTER is tried less and less.
    pub(super) fn answered(&mut self, now: Instant) -> bool {
        if now < self.doubt_until {
            return false;
        }
        self.believed = true;
        true
    }

    /// A REGISTER found no answer.
    pub(super) fn disappointed(&mut self, now: Instant) {
        if std::mem::take(&mut self.believed) {
            let doubt = FAST * 2_u32.saturating_pow(self.disappointments.min(11));
            self.doubt_until = now + doubt.min(MAX_DOUBT);
            self.disappointments += 1;
        }
    }
}
