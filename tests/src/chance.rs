//! Random instants that a failed run can be repeated with.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use crate::peers::figure;

/// Chance from a seed that is printed; `DOZVON_SEED=N` gives it.
#[derive(Debug)]
pub struct Chance(ChaCha20Rng);

impl Chance {
    /// For the scenario of this name.
    ///
    /// # Panics
    /// When `DOZVON_SEED` is no number.
    #[must_use]
    pub fn of(scenario: &str) -> Self {
        let drawn =
            || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_nanos() as u64);
        let given = std::env::var("DOZVON_SEED").ok();
        let seed = given.map_or_else(drawn, |seed| seed.parse().expect("DOZVON_SEED is a number"));
        figure(&format!("{scenario}: DOZVON_SEED={seed}"));
        Self(ChaCha20Rng::seed_from_u64(seed))
    }

    /// A number below `end`, which is above 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.0.next_u64()).unwrap_or(usize::MAX) % end
    }

    /// A moment from now on, before `end`. The only wait of a test for nothing: what it does then
    /// must not depend on how far the others are.
    pub async fn wait_within(&mut self, end: Duration) {
        let micros = u64::try_from(end.as_micros()).unwrap_or(u64::MAX).max(1);
        tokio::time::sleep(Duration::from_micros(self.0.next_u64() % micros)).await;
    }
}
