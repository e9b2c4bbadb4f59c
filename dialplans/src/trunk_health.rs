//! What the daemon knows about its trunks at the moment of a plan.

use std::collections::BTreeMap;
use std::fmt;

use crate::name::TrunkName;

/// Whether a trunk can take a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrunkState {
    /// It can.
    Up,
    /// It is not registered or does not answer.
    Down,
    /// An operator paused it.
    Paused,
    /// It rests after failures.
    Cooling,
    /// All its channels are taken, or its calls per second are.
    Full,
}

impl fmt::Display for TrunkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Paused => "paused",
            Self::Cooling => "cooling after failures",
            Self::Full => "full",
        })
    }
}

/// The state of each trunk; a trunk of which nothing is known is down.
#[derive(Debug, Clone, Default)]
pub struct TrunkHealth(BTreeMap<TrunkName, TrunkState>);

impl TrunkHealth {
    /// Nothing is known: every trunk is down.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the state of one trunk.
    pub fn set(&mut self, trunk: TrunkName, state: TrunkState) {
        self.0.insert(trunk, state);
    }

    /// The state of one trunk.
    pub fn state(&self, trunk: &TrunkName) -> TrunkState {
        self.0.get(trunk).copied().unwrap_or(TrunkState::Down)
    }
}

impl FromIterator<(TrunkName, TrunkState)> for TrunkHealth {
    fn from_iter<I: IntoIterator<Item = (TrunkName, TrunkState)>>(states: I) -> Self {
        Self(states.into_iter().collect())
    }
}
