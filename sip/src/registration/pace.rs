//! The pace of REGISTERs over all trunks of one user agent.

use std::time::{Duration, Instant};

/// Gives each REGISTER that starts an attempt its place in a row, so that a registrar that comes
/// back is not met by all trunks at once.
#[derive(Clone, Debug)]
pub struct Pace {
    interval: Duration,
    next: Option<Instant>,
    /// When the last one left.
    last: Option<Instant>,
}

impl Pace {
    /// At most `per_second` in any second; 0 counts as 1. They leave a fortieth slower than that,
    /// so that those which the network brings closer together are not too many either.
    pub fn new(per_second: u32) -> Self {
        let second = Duration::from_millis(1_025);
        Self { interval: second / per_second.max(1), next: None, last: None }
    }

    /// Takes the next free place: `now` when nobody waits.
    pub(super) fn place(&mut self, now: Instant) -> Instant {
        let place = self.next.map_or(now, |next| next.max(now));
        self.next = Some(place + self.interval);
        place
    }

    /// Whether one whose place has come may leave. Where time stood still for a while the places of
    /// several have come: `Err` says when the next of them may leave.
    pub(super) fn leave(&mut self, now: Instant) -> Result<(), Instant> {
        let earliest = self.last.map(|last| last + self.interval);
        match earliest.filter(|earliest| *earliest > now) {
            Some(earliest) => Err(earliest),
            None => {
                self.last = Some(now);
                Ok(())
            }
        }
    }
}
