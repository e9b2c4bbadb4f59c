//! The INVITE server transaction: RFC 3261 figure 7 with RFC 6026 section 8.5.

use std::time::Instant;

use super::{ServerInput, ServerStep, Terms};
use crate::timer::{Repeat, Timer, earlier};

/// A state of the figure, with the timers that run in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteServer {
    /// The user has not given a final answer.
    Proceeding {
        /// Whether a provisional response was sent, which a repeated INVITE is answered with.
        answered: bool,
    },
    /// A failure was sent and waits for its ACK.
    Completed {
        /// `None` over a reliable transport.
        timer_g: Option<Repeat>,
        /// When the ACK is given up.
        timer_h: Instant,
    },
    /// The ACK came; its repeats are swallowed.
    Confirmed {
        /// When repeats are expected no more.
        timer_i: Instant,
    },
    /// A 2xx was sent; repeats of the INVITE are swallowed.
    Accepted {
        /// When repeats are expected no more.
        timer_l: Instant,
    },
    /// Over.
    Terminated,
}

impl InviteServer {
    /// The state right after the INVITE arrived. The 100 that the figure sends after 200 ms is
    /// left out: its user answers at once.
    pub fn start() -> Self {
        Self::Proceeding { answered: false }
    }

    /// The earliest timer.
    pub fn deadline(&self) -> Option<Instant> {
        match *self {
            Self::Completed { timer_g, timer_h } => {
                earlier(timer_g.map(|repeat| repeat.at), Some(timer_h))
            }
            Self::Confirmed { timer_i } => Some(timer_i),
            Self::Accepted { timer_l } => Some(timer_l),
            Self::Proceeding { .. } | Self::Terminated => None,
        }
    }

    /// The timer that has fired by `now`; Timer H before Timer G.
    pub fn due(&self, now: Instant) -> Option<Timer> {
        match *self {
            Self::Completed { timer_h, .. } if timer_h <= now => Some(Timer::H),
            Self::Completed { timer_g: Some(repeat), .. } if repeat.at <= now => Some(Timer::G),
            Self::Confirmed { timer_i } if timer_i <= now => Some(Timer::I),
            Self::Accepted { timer_l } if timer_l <= now => Some(Timer::L),
            _ => None,
        }
    }

    /// One transition of the figure.
    pub fn step(&mut self, now: Instant, terms: &Terms, input: ServerInput) -> ServerStep {
        match (&mut *self, input) {
            (Self::Proceeding { answered: true }, ServerInput::Request) => ServerStep::Respond,
            (Self::Proceeding { answered }, ServerInput::Provisional) => {
                *answered = true;
                ServerStep::Respond
            }
            (Self::Proceeding { .. }, ServerInput::Success) => {
                *self = Self::Accepted { timer_l: now + terms.first(Timer::L) };
                ServerStep::Respond
            }
            (Self::Proceeding { .. }, ServerInput::Failure) => {
                let timer_g = (!terms.reliable).then(|| Repeat::start(now, terms.first(Timer::G)));
                *self = Self::Completed { timer_g, timer_h: now + terms.first(Timer::H) };
                ServerStep::Respond
            }
            (Self::Proceeding { .. }, ServerInput::TransportError) => {
                *self = Self::Terminated;
                ServerStep::TellTransportError
            }
            (Self::Completed { .. }, ServerInput::Request) => ServerStep::Respond,
            (Self::Completed { timer_g: Some(repeat), .. }, ServerInput::Fired(Timer::G)) => {
                *repeat = repeat.next(now, Some(terms.timings.t2));
                ServerStep::Respond
            }
            (Self::Completed { .. }, ServerInput::Ack) => {
                *self = Self::Confirmed { timer_i: now + terms.first(Timer::I) };
                ServerStep::Nothing
            }
            (Self::Completed { .. }, ServerInput::Fired(Timer::H)) => {
                *self = Self::Terminated;
                ServerStep::TellTimeout
            }
            (Self::Completed { .. }, ServerInput::TransportError) => {
                *self = Self::Terminated;
                ServerStep::TellTransportError
            }
            (Self::Confirmed { .. }, ServerInput::Fired(Timer::I)) => {
                *self = Self::Terminated;
                ServerStep::Nothing
            }
            (Self::Accepted { .. }, ServerInput::Success) => ServerStep::Respond,
            (Self::Accepted { .. }, ServerInput::Ack) => ServerStep::TellAck,
            (Self::Accepted { .. }, ServerInput::TransportError) => ServerStep::TellTransportError,
            (Self::Accepted { .. }, ServerInput::Fired(Timer::L)) => {
                *self = Self::Terminated;
                ServerStep::Nothing
            }
            _ => ServerStep::Nothing,
        }
    }
}
