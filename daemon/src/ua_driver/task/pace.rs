//! When the table of trunks is published. Pure: instants in, a verdict out.

use std::time::{Duration, Instant};

/// How often the table is published when nothing changed but time: rests end, tokens come back.
const PERIOD: Duration = Duration::from_millis(250);
/// The least time between two tables when calls come and go: each table names every trunk, and
/// each call changes one number of it twice.
const LEAST: Duration = Duration::from_millis(5);

/// The pace of publishing.
#[derive(Debug)]
pub(super) struct TablePace {
    last: Instant,
    next: Instant,
}

impl TablePace {
    /// The first table is due at once.
    pub(super) fn new(now: Instant) -> Self {
        Self { last: now, next: now }
    }

    /// When the next table is due.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// A trunk changed: plans must know at once.
    pub(super) fn trunk_changed(&mut self, now: Instant) {
        self.next = self.next.min(now);
    }

    /// A call came or went: the table tells so at once, unless it was published just before.
    pub(super) fn calls_changed(&mut self) {
        self.next = self.next.min(self.last + LEAST);
    }

    /// Whether a table is due; the next one is due a period later.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let is_due = self.next <= now;
        if is_due {
            self.last = now;
            self.next = now + PERIOD;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_calls_is_told_at_once_and_then_once_in_five_milliseconds() {
        let start = Instant::now();
        let mut pace = TablePace::new(start);
        assert!(pace.take(start) && !pace.take(start));
        let burst = start + Duration::from_millis(100);
        let told: Vec<u64> = (0..=12)
            .filter(|ms| {
                pace.calls_changed();
                pace.take(burst + Duration::from_millis(*ms))
            })
            .collect();
        assert_eq!(told, [0, 5, 10]);
        // The last change of a burst is not kept back for a period.
        assert_eq!(pace.next(), burst + Duration::from_millis(15));
    }

    #[test]
    fn a_trunk_that_changed_is_told_at_once_and_time_alone_once_a_period() {
        let start = Instant::now();
        let mut pace = TablePace::new(start);
        assert!(pace.take(start));
        pace.trunk_changed(start);
        assert!(pace.take(start));
        assert!(!pace.take(start + Duration::from_millis(249)));
        assert!(pace.take(start + Duration::from_millis(250)));
    }
}
