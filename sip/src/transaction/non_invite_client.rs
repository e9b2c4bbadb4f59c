//! The non-INVITE client transaction: RFC 3261 figure 6.

use std::time::Instant;

use super::{ClientInput, ClientSend, ClientStep, ClientTell, Terms};
use crate::timer::{Repeat, Timer, earlier};

/// A state of the figure, with the timers that run in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonInviteClient {
    /// The request left, nothing came.
    Trying {
        /// `None` over a reliable transport.
        timer_e: Option<Repeat>,
        /// When the request is given up.
        timer_f: Instant,
    },
    /// A provisional response came; the request is repeated every T2.
    Proceeding {
        /// `None` over a reliable transport.
        timer_e: Option<Repeat>,
        /// When the request is given up.
        timer_f: Instant,
    },
    /// The final response came; its repeats are swallowed.
    Completed {
        /// When repeats are expected no more.
        timer_k: Instant,
    },
    /// Over.
    Terminated,
}

impl NonInviteClient {
    /// The state right after the request was sent for the first time.
    pub fn start(now: Instant, terms: &Terms) -> Self {
        Self::Trying {
            timer_e: (!terms.reliable).then(|| Repeat::start(now, terms.first(Timer::E))),
            timer_f: now + terms.first(Timer::F),
        }
    }

    /// Whether neither a final response nor the end has come.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Trying { .. } | Self::Proceeding { .. } => true,
            Self::Completed { .. } | Self::Terminated => false,
        }
    }

    /// The earliest timer.
    pub fn deadline(&self) -> Option<Instant> {
        match *self {
            Self::Trying { timer_e, timer_f } | Self::Proceeding { timer_e, timer_f } => {
                earlier(timer_e.map(|repeat| repeat.at), Some(timer_f))
            }
            Self::Completed { timer_k } => Some(timer_k),
            Self::Terminated => None,
        }
    }

    /// The timer that has fired by `now`; Timer F before Timer E.
    pub fn due(&self, now: Instant) -> Option<Timer> {
        match *self {
            Self::Trying { timer_e, timer_f } | Self::Proceeding { timer_e, timer_f } => {
                if timer_f <= now {
                    return Some(Timer::F);
                }
                timer_e.filter(|repeat| repeat.at <= now).map(|_| Timer::E)
            }
            Self::Completed { timer_k } => (timer_k <= now).then_some(Timer::K),
            Self::Terminated => None,
        }
    }

    /// One transition of the figure.
    pub fn step(&mut self, now: Instant, terms: &Terms, input: ClientInput) -> ClientStep {
        match (&mut *self, input) {
            (Self::Trying { timer_e: Some(repeat), .. }, ClientInput::Fired(Timer::E)) => {
                *repeat = repeat.next(now, Some(terms.timings.t2));
                ClientStep::send(ClientSend::Request)
            }
            (Self::Proceeding { timer_e: Some(repeat), .. }, ClientInput::Fired(Timer::E)) => {
                // From here on the interval is T2, whatever it was (section 17.1.2.2).
                *repeat = Repeat::start(now, terms.timings.t2);
                ClientStep::send(ClientSend::Request)
            }
            (Self::Trying { .. } | Self::Proceeding { .. }, ClientInput::Fired(Timer::F)) => {
                *self = Self::Terminated;
                ClientStep::tell(ClientTell::Timeout)
            }
            (Self::Trying { .. } | Self::Proceeding { .. }, ClientInput::TransportError) => {
                *self = Self::Terminated;
                ClientStep::tell(ClientTell::TransportError)
            }
            (Self::Trying { timer_e, timer_f }, ClientInput::Provisional) => {
                *self = Self::Proceeding { timer_e: *timer_e, timer_f: *timer_f };
                ClientStep::tell(ClientTell::Response)
            }
            (Self::Proceeding { .. }, ClientInput::Provisional) => {
                ClientStep::tell(ClientTell::Response)
            }
            (
                Self::Trying { .. } | Self::Proceeding { .. },
                ClientInput::Success | ClientInput::Failure,
            ) => {
                *self = Self::Completed { timer_k: now + terms.first(Timer::K) };
                ClientStep::tell(ClientTell::Response)
            }
            (Self::Completed { .. }, ClientInput::Fired(Timer::K)) => {
                *self = Self::Terminated;
                ClientStep::NOTHING
            }
            _ => ClientStep::NOTHING,
        }
    }
}
