//! When a trunk rests after failures. Pure: instants in, a verdict out.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sip::CallOutcome;

/// This many trunk failures in a row open the breaker.
const FAILURES_IN_A_ROW: u32 = 5;
/// The last calls that count, and for how long.
const WINDOW_CALLS: usize = 20;
const WINDOW: Duration = Duration::from_secs(60);
/// The first rest; each further one is twice as long.
const FIRST_REST: Duration = Duration::from_secs(30);
const LONGEST_REST: Duration = Duration::from_secs(600);
/// A trunk that forbids us this often in a row rests.
const FORBIDDEN_IN_A_ROW: u32 = 3;
/// How long a trunk rests that has no money for us or does not know us.
const ACCOUNT_REST: Duration = Duration::from_secs(300);
/// The longest wish of a Retry-After that is obeyed.
const RETRY_AFTER_CAP: Duration = Duration::from_secs(300);
/// A trunk that refuses packets rests until a probe finds it, at least this long.
const DOWN_REST: Duration = Duration::from_secs(5);
/// A 486 or 503 this soon after a CANCEL without a 487 is the trunk still counting that call.
const GHOST_CHANNEL: Duration = Duration::from_secs(32);

/// What one trunk's calls came to of late.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures_in_a_row: u32,
    forbidden_in_a_row: u32,
    recent: VecDeque<(Instant, bool)>,
    last_rest: Option<Duration>,
    rests_until: Option<Instant>,
    /// A call is out that decides whether the trunk works again.
    probing: bool,
    ghost_until: Option<Instant>,
}

/// Whether a trunk may take a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may.
    Closed,
    /// It rests.
    Open,
    /// One call may try it.
    HalfOpen,
}

impl Breaker {
    /// How it stands at `now`.
    pub(super) fn verdict(&self, now: Instant) -> Verdict {
        match self.rests_until {
            None => Verdict::Closed,
            Some(until) if now < until => Verdict::Open,
            Some(_) if self.probing => Verdict::Open,
            Some(_) => Verdict::HalfOpen,
        }
    }

    /// A call leaves over this trunk.
    pub(super) fn call_placed(&mut self, now: Instant) {
        if self.verdict(now) == Verdict::HalfOpen {
            self.probing = true;
        }
    }

    /// The far side took our CANCEL and never sent the 487: its channel may still be taken.
    pub(super) fn missing_487(&mut self, now: Instant) {
        self.ghost_until = Some(now + GHOST_CHANNEL);
    }

    /// A call over this trunk ended.
    pub(super) fn call_ended(
        &mut self,
        now: Instant,
        outcome: CallOutcome,
        retry_after: Option<Duration>,
    ) {
        let ghost = self.ghost_until.is_some_and(|until| now < until);
        match outcome {
            CallOutcome::Busy | CallOutcome::Congestion if ghost => self.probing = false,
            CallOutcome::Congestion => {
                self.failure(now);
                if let Some(wish) = retry_after {
                    self.rest(now, wish.min(RETRY_AFTER_CAP));
                }
            }
            CallOutcome::TrunkTimeout
            | CallOutcome::TrunkError
            | CallOutcome::TrunkProtocol
            | CallOutcome::NoRing => self.failure(now),
            CallOutcome::TrunkDown => {
                self.failure(now);
                self.rest(now, DOWN_REST);
            }
            CallOutcome::TrunkForbids => {
                self.probing = false;
                self.forbidden_in_a_row += 1;
                if self.forbidden_in_a_row >= FORBIDDEN_IN_A_ROW {
                    self.forbidden_in_a_row = 0;
                    self.open(now);
                }
            }
            CallOutcome::NoFunds | CallOutcome::AuthFailed | CallOutcome::Identity => {
                self.probing = false;
                self.rest(now, ACCOUNT_REST);
            }
            CallOutcome::Rang
            | CallOutcome::Answered
            | CallOutcome::Busy
            | CallOutcome::Diverted
            | CallOutcome::Unallocated
            | CallOutcome::Changed
            | CallOutcome::BadNumber
            | CallOutcome::Unreachable
            | CallOutcome::Blocked
            | CallOutcome::LateRing => self.success(now),
            CallOutcome::NoRoute
            | CallOutcome::Format
            | CallOutcome::Canceled
            | CallOutcome::Interrupted => self.probing = false,
        }
    }

    /// The trunk registered or answered a probe: it need not rest for being down.
    pub(super) fn came_back(&mut self) {
        *self = Self { recent: std::mem::take(&mut self.recent), ..Self::default() };
    }

    fn success(&mut self, now: Instant) {
        self.remember(now, true);
        self.failures_in_a_row = 0;
        self.forbidden_in_a_row = 0;
        self.probing = false;
        self.rests_until = None;
        self.last_rest = None;
    }

    fn failure(&mut self, now: Instant) {
        self.remember(now, false);
        self.failures_in_a_row += 1;
        let failed = self.recent.iter().filter(|(_, success)| !success).count();
        let mostly_failing = self.recent.len() == WINDOW_CALLS && failed * 2 > WINDOW_CALLS;
        if self.probing || self.failures_in_a_row >= FAILURES_IN_A_ROW || mostly_failing {
            self.open(now);
        }
        self.probing = false;
    }

    fn open(&mut self, now: Instant) {
        let rest = self.last_rest.map_or(FIRST_REST, |last| (last * 2).min(LONGEST_REST));
        self.last_rest = Some(rest);
        self.failures_in_a_row = 0;
        self.recent.clear();
        self.rest(now, rest);
    }

    fn rest(&mut self, now: Instant, wish: Duration) {
        let until = now + wish;
        self.rests_until = Some(self.rests_until.map_or(until, |earlier| earlier.max(until)));
    }

    fn remember(&mut self, now: Instant, success: bool) {
        self.recent.push_back((now, success));
        while self.recent.len() > WINDOW_CALLS
            || self.recent.front().is_some_and(|(at, _)| now.duration_since(*at) > WINDOW)
        {
            self.recent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(breaker: &mut Breaker, now: Instant, outcome: CallOutcome) {
        breaker.call_placed(now);
        breaker.call_ended(now, outcome, None);
    }

    #[test]
    fn five_trunk_failures_in_a_row_open_it_for_30_s_then_one_call_may_try() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..4 {
            end(&mut breaker, start, CallOutcome::TrunkError);
        }
        assert_eq!(breaker.verdict(start), Verdict::Closed);
        end(&mut breaker, start, CallOutcome::TrunkTimeout);
        assert_eq!(breaker.verdict(start + Duration::from_secs(29)), Verdict::Open);
        let later = start + Duration::from_secs(30);
        assert_eq!(breaker.verdict(later), Verdict::HalfOpen);
        breaker.call_placed(later);
        assert_eq!(breaker.verdict(later), Verdict::Open, "only one call tries");
    }

    #[test]
    fn each_rest_is_twice_the_last_up_to_10_minutes() {
        let mut now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..5 {
            end(&mut breaker, now, CallOutcome::TrunkError);
        }
        let mut rest = FIRST_REST;
        for _ in 0..8 {
            assert_eq!(breaker.verdict(now + rest - Duration::from_millis(1)), Verdict::Open);
            now += rest;
            assert_eq!(breaker.verdict(now), Verdict::HalfOpen);
            end(&mut breaker, now, CallOutcome::TrunkError);
            rest = (rest * 2).min(LONGEST_REST);
        }
        assert_eq!(rest, LONGEST_REST);
    }

    #[test]
    fn an_outcome_of_the_callee_closes_it() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..5 {
            end(&mut breaker, now, CallOutcome::TrunkError);
        }
        let later = now + FIRST_REST;
        end(&mut breaker, later, CallOutcome::Busy);
        assert_eq!(breaker.verdict(later), Verdict::Closed);
    }

    #[test]
    fn over_half_of_twenty_calls_within_a_minute_open_it() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            end(&mut breaker, now, CallOutcome::TrunkError);
            end(&mut breaker, now, CallOutcome::Rang);
        }
        // The oldest failure leaves the window for a new one: ten of twenty still.
        end(&mut breaker, now, CallOutcome::TrunkError);
        assert_eq!(breaker.verdict(now), Verdict::Closed);
        // The oldest success leaves it: eleven of twenty.
        end(&mut breaker, now, CallOutcome::TrunkError);
        assert_eq!(breaker.verdict(now), Verdict::Open);
    }

    #[test]
    fn a_503_after_a_missing_487_does_not_count() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        breaker.missing_487(now);
        for _ in 0..10 {
            end(&mut breaker, now + Duration::from_secs(31), CallOutcome::Congestion);
        }
        assert_eq!(breaker.verdict(now + Duration::from_secs(31)), Verdict::Closed);
        for _ in 0..5 {
            end(&mut breaker, now + Duration::from_secs(33), CallOutcome::Congestion);
        }
        assert_eq!(breaker.verdict(now + Duration::from_secs(33)), Verdict::Open);
    }

    #[test]
    fn retry_after_is_capped() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        breaker.call_ended(now, CallOutcome::Congestion, Some(Duration::from_secs(86_400)));
        assert_eq!(breaker.verdict(now + Duration::from_secs(299)), Verdict::Open);
        assert_eq!(breaker.verdict(now + Duration::from_secs(300)), Verdict::HalfOpen);
    }
}
