//! The pace of REGISTERs over all trunks of one user agent.

use std::time::{Duration, Instant};

/// Gives each REGISTER that starts an attempt its place in a row, so that a registrar that comes
/// back is not met by all trunks at once.
#[derive(Clone, Debug)]
pub struct Pace {
    interval: Duration,
    next: Option<Instant>,
}

impl Pace {
    /// At most `per_second` places a second; 0 counts as 1.
    pub fn new(per_second: u32) -> Self {
        Self { interval: Duration::from_secs(1) / per_second.max(1), next: None }
    }

    /// Takes the next free place: `now` when nobody waits.
    pub(super) fn place(&mut self, now: Instant) -> Instant {
        let place = self.next.map_or(now, |next| next.max(now));
        self.next = Some(place + self.interval);
        place
    }
}
