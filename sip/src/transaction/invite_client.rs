//! The INVITE client transaction: RFC 3261 figure 5 with RFC 6026 section 8.4.

use std::time::Instant;

use super::{ClientInput, ClientSend, ClientStep, ClientTell, Terms};
use crate::timer::{Repeat, Timer, earlier};

/// A state of the figure, with the timers that run in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteClient {
    /// The INVITE left, nothing came.
    Calling {
        /// `None` over a reliable transport, and after [`InviteClient::silence`].
        timer_a: Option<Repeat>,
        /// When the INVITE is given up.
        timer_b: Instant,
    },
    /// A provisional response came. No timer of the figure runs.
    Proceeding,
    /// A failure came and was acknowledged; its repeats are acknowledged too.
    Completed {
        /// When repeats are expected no more.
        timer_d: Instant,
    },
    /// A 2xx came; further ones are handed up.
    Accepted {
        /// When further ones are expected no more.
        timer_m: Instant,
    },
    /// Over.
    Terminated,
}

impl InviteClient {
    /// The state right after the INVITE was sent for the first time.
    pub fn start(now: Instant, terms: &Terms) -> Self {
        Self::Calling {
            timer_a: (!terms.reliable).then(|| Repeat::start(now, terms.first(Timer::A))),
            timer_b: now + terms.first(Timer::B),
        }
    }

    /// Stops Timer A and leaves Timer B: the INVITE is not wanted any more, but what it may
    /// still cause has to be undone.
    pub fn silence(&mut self) {
        if let Self::Calling { timer_a, .. } = self {
            *timer_a = None;
        }
    }

    /// The earliest timer.
    pub fn deadline(&self) -> Option<Instant> {
        match *self {
            Self::Calling { timer_a, timer_b } => {
                earlier(timer_a.map(|repeat| repeat.at), Some(timer_b))
            }
            Self::Completed { timer_d } => Some(timer_d),
            Self::Accepted { timer_m } => Some(timer_m),
            Self::Proceeding | Self::Terminated => None,
        }
    }

    /// The timer that has fired by `now`; Timer B before Timer A.
    pub fn due(&self, now: Instant) -> Option<Timer> {
        match *self {
            Self::Calling { timer_b, .. } if timer_b <= now => Some(Timer::B),
            Self::Calling { timer_a: Some(repeat), .. } if repeat.at <= now => Some(Timer::A),
            Self::Completed { timer_d } if timer_d <= now => Some(Timer::D),
            Self::Accepted { timer_m } if timer_m <= now => Some(Timer::M),
            _ => None,
        }
    }

    /// One transition of the figure.
    pub fn step(&mut self, now: Instant, terms: &Terms, input: ClientInput) -> ClientStep {
        match (&mut *self, input) {
            (Self::Calling { timer_a: Some(repeat), .. }, ClientInput::Fired(Timer::A)) => {
                *repeat = repeat.next(now, None);
                ClientStep::send(ClientSend::Request)
            }
            (Self::Calling { .. }, ClientInput::Fired(Timer::B)) => {
                *self = Self::Terminated;
                ClientStep::tell(ClientTell::Timeout)
            }
            (Self::Calling { .. }, ClientInput::TransportError) => {
                *self = Self::Terminated;
                ClientStep::tell(ClientTell::TransportError)
            }
            (Self::Calling { .. }, ClientInput::Provisional) => {
                *self = Self::Proceeding;
                ClientStep::tell(ClientTell::Response)
            }
            (Self::Proceeding, ClientInput::Provisional) => ClientStep::tell(ClientTell::Response),
            (Self::Calling { .. } | Self::Proceeding, ClientInput::Success) => {
                *self = Self::Accepted { timer_m: now + terms.first(Timer::M) };
                ClientStep::tell(ClientTell::Response)
            }
            (Self::Calling { .. } | Self::Proceeding, ClientInput::Failure) => {
                *self = Self::Completed { timer_d: now + terms.first(Timer::D) };
                ClientStep::both(ClientSend::Ack, ClientTell::Response)
            }
            (Self::Accepted { .. }, ClientInput::Success) => ClientStep::tell(ClientTell::Response),
            (Self::Accepted { .. }, ClientInput::Fired(Timer::M)) => {
                *self = Self::Terminated;
                ClientStep::NOTHING
            }
            (Self::Completed { .. }, ClientInput::Failure) => ClientStep::send(ClientSend::Ack),
            (Self::Completed { .. }, ClientInput::Fired(Timer::D)) => {
                *self = Self::Terminated;
                ClientStep::NOTHING
            }
            (Self::Completed { .. }, ClientInput::TransportError) => {
                *self = Self::Terminated;
                ClientStep::tell(ClientTell::TransportError)
            }
            _ => ClientStep::NOTHING,
        }
    }
}
