//! The network between core and carrier: it delays, loses, doubles and reorders.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;

use super::scenario::{Weather, chance, pick};

/// One direction of the network.
pub(super) struct Network {
    weather: Weather,
    rng: ChaCha8Rng,
    /// How many packets it lost.
    pub(super) lost: u64,
}

impl Network {
    pub(super) fn new(weather: Weather, rng: ChaCha8Rng) -> Self {
        Self { weather, rng, lost: 0 }
    }

    /// After which delays copies of a packet arrive: none, one or two.
    pub(super) fn carry(&mut self) -> [Option<Duration>; 2] {
        let lost = chance(&mut self.rng, self.weather.lost);
        let doubled = chance(&mut self.rng, self.weather.doubled);
        self.lost += u64::from(lost);
        let (low, high) = self.weather.delay_ms;
        let mut delay = || Duration::from_millis(pick(&mut self.rng, low, high));
        [(!lost).then(&mut delay), doubled.then(&mut delay)]
    }
}
