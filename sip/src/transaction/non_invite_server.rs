//! The non-INVITE server transaction: RFC 3261 figure 8.

use std::time::Instant;

use super::{ServerInput, ServerStep, Terms};
use crate::timer::Timer;

/// A state of the figure, with the timer that runs in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonInviteServer {
    /// The request came; repeats are swallowed.
    Trying,
    /// A provisional response was sent; repeats are answered with it.
    Proceeding,
    /// The final response was sent; repeats are answered with it.
    Completed {
        /// When repeats are expected no more.
        timer_j: Instant,
    },
    /// Over.
    Terminated,
}

impl NonInviteServer {
    /// The state right after the request arrived.
    pub fn start() -> Self {
        Self::Trying
    }

    /// The only timer.
    pub fn deadline(&self) -> Option<Instant> {
        match *self {
            Self::Completed { timer_j } => Some(timer_j),
            Self::Trying | Self::Proceeding | Self::Terminated => None,
        }
    }

    /// The timer that has fired by `now`.
    pub fn due(&self, now: Instant) -> Option<Timer> {
        self.deadline().filter(|at| *at <= now).map(|_| Timer::J)
    }

    /// One transition of the figure.
    pub fn step(&mut self, now: Instant, terms: &Terms, input: ServerInput) -> ServerStep {
        match (&mut *self, input) {
            (Self::Trying | Self::Proceeding, ServerInput::Provisional) => {
                *self = Self::Proceeding;
                ServerStep::Respond
            }
            (Self::Trying | Self::Proceeding, ServerInput::Success | ServerInput::Failure) => {
                *self = Self::Completed { timer_j: now + terms.first(Timer::J) };
                ServerStep::Respond
            }
            (Self::Proceeding | Self::Completed { .. }, ServerInput::Request) => {
                ServerStep::Respond
            }
            (Self::Proceeding | Self::Completed { .. }, ServerInput::TransportError) => {
                *self = Self::Terminated;
                ServerStep::TellTransportError
            }
            (Self::Completed { .. }, ServerInput::Fired(Timer::J)) => {
                *self = Self::Terminated;
                ServerStep::Nothing
            }
            _ => ServerStep::Nothing,
        }
    }
}
