//! How long to wait after a failure.

use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

/// No wait is longer.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(30 * 60);

/// What kind of failure is waited out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// No answer, or a server that is in trouble: 5 s at first.
    Trouble,
    /// The registrar refuses us: 120 to 240 s at first.
    Refusal,
    /// Our credentials are refused: 5 to 10 min at first.
    Credentials,
}

impl Cause {
    fn first(self) -> Duration {
        match self {
            Self::Trouble => Duration::from_secs(5),
            Self::Refusal => Duration::from_secs(240),
            Self::Credentials => Duration::from_secs(600),
        }
    }
}

/// Waits that double while the cause stays the same, each shortened by up to a half, so that
/// trunks that failed together do not return together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    last: Option<(Cause, Duration)>,
}

impl Backoff {
    /// The wait after one more failure.
    pub(super) fn next(&mut self, rng: &mut ChaCha20Rng, cause: Cause) -> Duration {
        let full = match self.last {
            Some((before, wait)) if before == cause => (wait * 2).min(MAX_WAIT),
            _ => cause.first(),
        };
        self.last = Some((cause, full));
        uniform(rng, full / 2, full)
    }

    pub(super) fn reset(&mut self) {
        self.last = None;
    }
}

/// A duration from `low` to `high`, evenly; `low` is not above `high`.
pub(super) fn uniform(rng: &mut ChaCha20Rng, low: Duration, high: Duration) -> Duration {
    let width = high.saturating_sub(low).as_nanos();
    let share = (width * u128::from(rng.next_u32())) >> 32;
    low + Duration::from_nanos(u64::try_from(share).unwrap_or(u64::MAX))
}
