//! How every trunk stands: what the call loop publishes for plans, operators and metrics.

use std::time::{Duration, Instant};

use dialplans::{TrunkHealth, TrunkName, TrunkState};
use sip::{CallOutcome, CallSummary, RegistrationState, TrunkHandle};

use super::TrunkSpec;
use super::breaker::{Breaker, Verdict};
use crate::telemetry::TrunkMetrics;

/// Every trunk, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrunkTable {
    /// The trunks.
    pub trunks: Vec<TrunkStatus>,
}

impl TrunkTable {
    /// What plans ask.
    pub fn health(&self) -> TrunkHealth {
        self.trunks.iter().map(|trunk| (trunk.name.clone(), trunk.state)).collect()
    }

    /// How many can take a call.
    pub fn up(&self) -> usize {
        self.trunks.iter().filter(|trunk| trunk.state == TrunkState::Up).count()
    }

    /// Calls that have not ended, over all trunks.
    pub fn calls_up(&self) -> u32 {
        self.trunks.iter().map(|trunk| trunk.calls_up).sum()
    }
}

/// How one trunk stands.
#[derive(Clone, Debug, PartialEq)]
pub struct TrunkStatus {
    /// Its name.
    pub name: TrunkName,
    /// Whether it can take a call.
    pub state: TrunkState,
    /// Its binding; `None`: nothing was told yet.
    pub registration: Option<RegistrationState>,
    /// When that was told.
    pub registration_since: Instant,
    /// Calls that have not ended.
    pub calls_up: u32,
    /// What its calls came to since the start.
    pub counts: TrunkCounts,
}

/// What a trunk's calls came to since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TrunkCounts {
    /// Calls that ended.
    pub ended: u64,
    /// Of those, the ones that rang.
    pub rang: u64,
    /// Of those, the ones that somebody or a voicemail answered.
    pub answered: u64,
    /// Of those, the ones that failed for the trunk's reasons.
    pub trunk_failures: u64,
    /// Sum of the times from INVITE to ringing.
    pub post_dial_delay: Duration,
}

impl TrunkCounts {
    /// Mean time from INVITE to ringing (PDD); `None` before the first ring.
    pub fn mean_post_dial_delay(&self) -> Option<Duration> {
        u32::try_from(self.rang)
            .ok()
            .filter(|rang| *rang > 0)
            .map(|rang| self.post_dial_delay / rang)
    }

    /// Share of calls that reached the callee's side (NER, ITU-T E.425); `None` before the
    /// first end.
    pub fn network_effectiveness(&self) -> Option<f64> {
        (self.ended > 0)
            .then(|| self.ended.saturating_sub(self.trunk_failures) as f64 / self.ended as f64)
    }
}

/// One trunk as the call loop holds it.
#[derive(Debug)]
pub(super) struct TrunkRoom {
    pub(super) handle: TrunkHandle,
    pub(super) spec: TrunkSpec,
    /// The settings as the file has them; those of `spec` follow what names led to.
    pub(super) written: sip::TrunkSettings,
    /// The file does not name it: until then calls may leave that were planned before.
    pub(super) leaves_at: Option<Instant>,
    pub(super) paused: bool,
    pub(super) breaker: Breaker,
    pub(super) metrics: TrunkMetrics,
    tokens: TokenBucket,
    status: TrunkStatus,
}

impl TrunkRoom {
    /// `written` are its settings as the file has them.
    pub(super) fn new(
        now: Instant,
        handle: TrunkHandle,
        spec: TrunkSpec,
        written: sip::TrunkSettings,
    ) -> Self {
        let status = TrunkStatus {
            name: spec.name.clone(),
            state: TrunkState::Down,
            registration: None,
            registration_since: now,
            calls_up: 0,
            counts: TrunkCounts::default(),
        };
        let tokens = TokenBucket::new(now, spec.calls_per_second);
        Self {
            metrics: TrunkMetrics::new(&spec.name),
            handle,
            written,
            spec,
            leaves_at: None,
            paused: false,
            breaker: Breaker::default(),
            tokens,
            status,
        }
    }

    /// The binding changed.
    pub(super) fn registration(&mut self, now: Instant, state: RegistrationState) {
        if matches!(state, RegistrationState::Registered { .. }) && !self.is_bound() {
            self.breaker.came_back();
        }
        self.status.registration = Some(state);
        self.status.registration_since = now;
    }

    fn is_bound(&self) -> bool {
        matches!(
            self.status.registration,
            Some(RegistrationState::Static | RegistrationState::Registered { .. })
        )
    }

    /// Takes what another file says of it; `settings` are the file's with what names led to.
    pub(super) fn change(&mut self, now: Instant, spec: TrunkSpec, settings: sip::TrunkSettings) {
        if spec.calls_per_second != self.spec.calls_per_second {
            self.tokens = TokenBucket::new(now, spec.calls_per_second);
        }
        self.written = spec.settings.clone();
        self.spec = TrunkSpec { settings, ..spec };
    }

    /// Whether nothing of its calls is left.
    pub(super) fn is_quiet(&self) -> bool {
        self.status.calls_up == 0
    }

    /// A place for one more call under `cps`; takes it.
    pub(super) fn take_token(&mut self, now: Instant) -> bool {
        self.tokens.take(now)
    }

    /// The user agent took a call.
    pub(super) fn call_placed(&mut self, now: Instant) {
        self.set_calls_up(self.status.calls_up + 1);
        self.breaker.call_placed(now);
    }

    /// A call ended.
    pub(super) fn call_ended(&mut self, now: Instant, summary: &CallSummary) {
        self.set_calls_up(self.status.calls_up.saturating_sub(1));
        self.metrics.call_ended(summary.outcome);
        self.breaker.call_ended(now, summary.outcome, summary.retry_after);
        if summary.outcome == CallOutcome::Rang && summary.status.is_none() {
            self.breaker.missing_487(now);
        }
        let counts = &mut self.status.counts;
        counts.ended += 1;
        counts.answered += u64::from(summary.outcome == CallOutcome::Answered);
        counts.trunk_failures += u64::from(is_trunk_failure(summary.outcome));
        if summary.rang {
            counts.rang += 1;
            counts.post_dial_delay += time_to_ring(summary).unwrap_or_default();
        }
    }

    /// What is published.
    pub(super) fn status(&self, now: Instant) -> TrunkStatus {
        TrunkStatus { state: self.state(now), ..self.status.clone() }
    }

    fn state(&self, now: Instant) -> TrunkState {
        if self.paused {
            return TrunkState::Paused;
        }
        if !self.is_bound() {
            return TrunkState::Down;
        }
        match self.breaker.verdict(now) {
            Verdict::Open => TrunkState::Cooling,
            Verdict::Closed | Verdict::HalfOpen if self.is_full(now) => TrunkState::Full,
            Verdict::Closed | Verdict::HalfOpen => TrunkState::Up,
        }
    }

    fn set_calls_up(&mut self, calls_up: u32) {
        self.status.calls_up = calls_up;
        self.metrics.calls_up(calls_up);
    }

    fn is_full(&self, now: Instant) -> bool {
        self.status.calls_up >= self.spec.settings.max_calls || !self.tokens.has_one(now)
    }
}

fn is_trunk_failure(outcome: CallOutcome) -> bool {
    matches!(
        outcome,
        CallOutcome::Congestion
            | CallOutcome::NoRoute
            | CallOutcome::TrunkTimeout
            | CallOutcome::TrunkDown
            | CallOutcome::TrunkForbids
            | CallOutcome::NoFunds
            | CallOutcome::AuthFailed
            | CallOutcome::Identity
            | CallOutcome::TrunkError
            | CallOutcome::Format
            | CallOutcome::TrunkProtocol
    )
}

fn time_to_ring(summary: &CallSummary) -> Option<Duration> {
    summary.timeline.iter().find_map(|entry| match entry.event {
        sip::TimelineEvent::Response { status: 180..=183 } => Some(entry.at),
        _ => None,
    })
}

/// Calls per second: one second's worth may start at once.
#[derive(Debug)]
struct TokenBucket {
    per_second: Option<u32>,
    tokens: f64,
    filled_at: Instant,
}

impl TokenBucket {
    fn new(now: Instant, per_second: Option<u32>) -> Self {
        Self { per_second, tokens: per_second.map_or(0.0, f64::from), filled_at: now }
    }

    fn level(&self, now: Instant) -> f64 {
        let rate = self.per_second.map_or(0.0, f64::from);
        let gained = now.saturating_duration_since(self.filled_at).as_secs_f64() * rate;
        (self.tokens + gained).min(rate.max(1.0))
    }

    fn has_one(&self, now: Instant) -> bool {
        self.per_second.is_none() || self.level(now) >= 1.0
    }

    fn take(&mut self, now: Instant) -> bool {
        if self.per_second.is_none() {
            return true;
        }
        let level = self.level(now);
        self.filled_at = now;
        self.tokens = level;
        if level < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_per_second_let_one_seconds_worth_start_at_once_and_then_fill_up() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(start, Some(2));
        assert!(bucket.take(start) && bucket.take(start));
        assert!(!bucket.take(start));
        let later = start + Duration::from_millis(500);
        assert!(bucket.take(later));
        assert!(!bucket.has_one(later));
        let much_later = start + Duration::from_secs(60);
        assert!(bucket.take(much_later) && bucket.take(much_later) && !bucket.take(much_later));
    }

    #[test]
    fn a_trunk_that_registers_again_need_not_rest_for_having_been_down() {
        let now = Instant::now();
        let address = ([127, 0, 0, 1], 5060).into();
        let user = sip::UserPart::new("dozvon").unwrap();
        let settings = sip::TrunkSettings::new("north", "carrier.test", user, address);
        let spec = TrunkSpec {
            name: TrunkName::parse("north").unwrap(),
            settings: settings.clone(),
            calls_per_second: None,
            transport: config::TransportChoice::Fixed(sip::Transport::Udp),
            tls: None,
        };
        let handle = TrunkHandle { shard: 0, index: 0 };
        let mut room = TrunkRoom::new(now, handle, spec, settings);
        let registered = || RegistrationState::Registered {
            granted: Duration::from_secs(600),
            refresh_in: Duration::from_secs(500),
            target: address,
            contact: address,
            round_trip: Duration::ZERO,
        };
        room.registration(now, registered());
        room.breaker.call_ended(now, CallOutcome::TrunkDown, None);
        // A refresh says nothing new.
        room.registration(now, registered());
        assert_eq!(room.status(now).state, TrunkState::Cooling);
        room.registration(now, RegistrationState::Registering);
        room.registration(now, registered());
        assert_eq!(room.status(now).state, TrunkState::Up);
    }
}
