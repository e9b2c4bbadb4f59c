//! The timers of RFC 3261 (table 4, appendix A) and RFC 6026, and the queue of deadlines.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The three base values from which every timer derives (RFC 3261 section 17.1.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// Estimate of the round trip: 500 ms.
    pub t1: Duration,
    /// Longest time between repeats of a non-INVITE request or of a final response: 4 s.
    pub t2: Duration,
    /// How long a message can stay in the network: 5 s.
    pub t4: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
        }
    }
}

/// A timer under its letter. C belongs to proxies and is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Repeats an INVITE.
    A,
    /// Gives an INVITE up.
    B,
    /// Waits for repeats of an INVITE's failure.
    D,
    /// Repeats a non-INVITE request.
    E,
    /// Gives a non-INVITE request up.
    F,
    /// Repeats a failure to an INVITE.
    G,
    /// Gives up waiting for the ACK.
    H,
    /// Waits for repeats of the ACK.
    I,
    /// Waits for repeats of a non-INVITE request.
    J,
    /// Waits for repeats of the response to a non-INVITE request.
    K,
    /// Waits for repeats of an accepted INVITE (RFC 6026 section 8.7).
    L,
    /// Waits for further 2xx to an INVITE (RFC 6026 section 8.4).
    M,
}

impl Timings {
    /// 64·T1: how long a transaction may take.
    pub fn transaction(&self) -> Duration {
        self.t1 * 64
    }

    /// The first duration of a timer; zero where a reliable transport needs no waiting.
    ///
    /// Timer D is 64·T1, which is the 32 s that RFC 3261 asks for at the default T1. Timer A, E
    /// and G do not run over a reliable transport: their machines never ask.
    pub fn first(&self, timer: Timer, reliable: bool) -> Duration {
        match timer {
            Timer::A | Timer::E | Timer::G => self.t1,
            Timer::B | Timer::F | Timer::H | Timer::L | Timer::M => self.transaction(),
            Timer::D | Timer::J if reliable => Duration::ZERO,
            Timer::D | Timer::J => self.transaction(),
            Timer::I | Timer::K if reliable => Duration::ZERO,
            Timer::I | Timer::K => self.t4,
        }
    }
}

/// A repeating timer: when it fires next, and the interval that led there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// When it fires.
    pub at: Instant,
    /// The time between the last send and `at`, in microseconds: a call is small.
    interval_us: u32,
}

impl Repeat {
    /// Starts at `interval` from `now`.
    pub fn start(now: Instant, interval: Duration) -> Self {
        let interval_us = u32::try_from(interval.as_micros()).unwrap_or(u32::MAX);
        Self { at: now + interval, interval_us }
    }

    /// The next one: the interval doubles, up to `ceiling` where there is one.
    ///
    /// It counts from when it was due and not from `now`, so that a late driver does not stretch
    /// the schedule; when whole intervals were missed it counts from `now`, so that no burst
    /// follows.
    pub fn next(self, now: Instant, ceiling: Option<Duration>) -> Self {
        let doubled = Duration::from_micros(u64::from(self.interval_us) * 2);
        let interval = ceiling.map_or(doubled, |ceiling| doubled.min(ceiling));
        let at = self.at + interval;
        let from = if at <= now { now } else { self.at };
        Self::start(from, interval)
    }
}

/// Deadlines in order; equal instants in the order of their keys, so that two runs agree.
///
/// Each owner keeps one entry, its earliest deadline, and remembers it: the queue finds the old
/// entry by it.
#[derive(Debug)]
pub struct TimerQueue<K> {
    entries: BTreeSet<(Instant, K)>,
}

impl<K: Ord + Copy> TimerQueue<K> {
    /// Moves the entry of `key` from `armed` to `wanted`, and remembers that in `armed`.
    pub fn rearm(&mut self, key: K, armed: &mut Option<Instant>, wanted: Option<Instant>) {
        if *armed == wanted {
            return;
        }
        if let Some(at) = armed.take() {
            self.entries.remove(&(at, key));
        }
        if let Some(at) = wanted {
            self.entries.insert((at, key));
        }
        *armed = wanted;
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Instant> {
        self.entries.first().map(|(at, _)| *at)
    }

    /// The first owner whose deadline is not after `now`. Its entry stays until it rearms.
    pub fn due(&self, now: Instant) -> Option<K> {
        self.entries.first().filter(|(at, _)| *at <= now).map(|(_, key)| *key)
    }

    /// How many owners wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<K: Ord> Default for TimerQueue<K> {
    fn default() -> Self {
        Self { entries: BTreeSet::new() }
    }
}

/// The earlier of two deadlines.
pub(crate) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, None) => one,
        (None, other) => other,
    }
}
