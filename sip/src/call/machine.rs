//! The states of a flash call above its transactions, as a transition table: no bytes, no clock.
//!
//! ```text
//!            1xx              180            ring limit
//! Calling ---------> Proceeding ---> Ringing ---------> Cancelling ---> Over
//!    |                   `---- no ring, hang up, 181 ------^  ^
//!    |--- hang up, no ring ---> Unwanted ------- 1xx ---------'
//!    `--- no answer ---> Abandoned (the end is told) --- 1xx ---> Undoing ---> Over
//!                 Proceeding --- target lost (the end is told) ------^
//! ```
//! A final response, Timer B or a transport error lead to Over from everywhere; a 2xx leads to Up
//! where the call is for a voice, and from there a BYE of either side or a limit to Over.

use std::time::{Duration, Instant};

use crate::call::CallRequest;
use crate::timer::Timings;

/// The limits of one call, in milliseconds where they are durations: a call is small.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    ring_ms: u32,
    no_ring_ms: u32,
    no_answer_ms: u32,
    after_cancel_ms: u32,
    /// How long an answered call stays up; 0: it is released at once.
    talk_ms: u32,
    /// When the whole call has to end.
    pub(crate) until: Instant,
}

impl Limits {
    /// Those that the daemon asks for.
    pub(crate) fn new(
        now: Instant,
        (request, talk_limit): (&CallRequest, Duration),
        timings: Timings,
    ) -> Self {
        Self {
            talk_ms: milliseconds(talk_limit),
            ring_ms: milliseconds(request.ring_limit),
            no_ring_ms: milliseconds(request.no_ring_limit),
            no_answer_ms: milliseconds(request.no_answer_timeout),
            after_cancel_ms: milliseconds(timings.transaction()),
            until: now + request.call_limit,
        }
    }

    /// Those of a call that only has to be cancelled.
    pub(crate) fn none(now: Instant, timings: Timings) -> Self {
        let after_cancel_ms = milliseconds(timings.transaction());
        Self { ring_ms: 0, no_ring_ms: 0, no_answer_ms: 0, after_cancel_ms, talk_ms: 0, until: now }
    }

    /// How long it may ring, from the ringing signal.
    fn ring(&self) -> Duration {
        Duration::from_millis(self.ring_ms.into())
    }

    /// From each INVITE without ringing.
    fn no_ring(&self) -> Duration {
        Duration::from_millis(self.no_ring_ms.into())
    }

    /// From each INVITE without a provisional response.
    fn no_answer(&self) -> Duration {
        Duration::from_millis(self.no_answer_ms.into())
    }

    /// How long it stays up once it was answered.
    fn talk(&self) -> Duration {
        Duration::from_millis(self.talk_ms.into())
    }

    /// 64·T1: how long after a CANCEL the final response is awaited.
    fn after_cancel(&self) -> Duration {
        Duration::from_millis(self.after_cancel_ms.into())
    }
}

fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// Why a call is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It rang as long as it should.
    RangEnough,
    /// It did not ring in time.
    NoRing,
    /// The daemon wants no more of it.
    HungUp,
    /// It goes to another phone, which must not see the code.
    Diverted,
}

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The INVITE left and nothing came.
    Calling {
        /// When it is abandoned.
        no_answer: Instant,
        /// When it should ring.
        no_ring: Instant,
    },
    /// Nothing came, and it is not wanted any more: the CANCEL waits for a provisional response
    /// (RFC 3261 section 9.1).
    Unwanted {
        /// Why.
        reason: Reason,
        /// When it is abandoned.
        no_answer: Instant,
    },
    /// A provisional response came, the phone does not ring.
    Proceeding {
        /// When it should ring.
        no_ring: Instant,
    },
    /// The phone rings.
    Ringing {
        /// When it rang enough.
        until: Instant,
    },
    /// It was answered, and stays up.
    Up {
        /// Whether the phone rang before.
        rang: bool,
        /// When it is hung up.
        until: Instant,
    },
    /// The CANCEL left.
    Cancelling {
        /// Why.
        reason: Reason,
        /// Whether the phone rang, before the CANCEL or across it.
        rang: bool,
        /// When the final response is given up.
        until: Instant,
    },
    /// The end was told although the INVITE may still cause something; it is cancelled as soon
    /// as it does. The transaction's Timer B ends it.
    Abandoned {
        /// Whether a late ringing is to be told; not while the call goes on elsewhere.
        is_told: bool,
    },
    /// The CANCEL of an abandoned INVITE left.
    Undoing {
        /// Whether its late ringing was told.
        late_ring: bool,
        /// When the final response is given up.
        until: Instant,
    },
    /// Nothing more can be told; repeats are still answered.
    Over,
}

/// What a provisional response says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Somebody works on it.
    Progress,
    /// The phone rings.
    Ringing,
    /// The call goes elsewhere, whatever else the response says.
    Diverted,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A provisional response.
    Provisional(Signal),
    /// A 2xx that is released at once.
    Success,
    /// A 2xx with which the call stays up, where [`State::may_stay`].
    Answered,
    /// The far side hung up after its 2xx.
    FarHangUp,
    /// Another final response, which is not answered by a new INVITE.
    Failure,
    /// Timer B.
    Timeout,
    /// The network refused the INVITE or the CANCEL.
    TransportError,
    /// The network says that nobody is where the INVITE went, though somebody was before.
    TargetLost,
    /// The daemon wants no more of it.
    HangUp,
    /// A deadline of the state has passed.
    Deadline,
}

/// What is to be done, in the order of the fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// Stop repeating the INVITE.
    pub(crate) silence: bool,
    /// Tell that it rings.
    pub(crate) ringing: bool,
    /// Tell that it rings although it was abandoned.
    pub(crate) late_ringing: bool,
    /// Tell that it was answered and stays up.
    pub(crate) answered: bool,
    /// Send the BYE of the call that was up.
    pub(crate) bye: bool,
    /// Send the CANCEL.
    pub(crate) cancel: bool,
    /// Tell that the CANCEL of a ringing call left.
    pub(crate) cancelled: bool,
    /// Tell the end.
    pub(crate) end: Option<End>,
    /// Forget the INVITE's transaction, which no timer ends.
    pub(crate) forget: bool,
}

/// How a call came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// What ended it.
    pub(crate) cause: Cause,
    /// Why it was cancelled, if it was or should have been.
    pub(crate) reason: Option<Reason>,
    /// Whether the phone rang.
    pub(crate) rang: bool,
}

/// What ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A 2xx.
    Success,
    /// Another final response.
    Failure,
    /// No provisional response in time.
    Abandoned,
    /// Timer B.
    Timeout,
    /// No final response 64·T1 after the CANCEL.
    CancelTimeout,
    /// The network refused our packet.
    TransportError,
}

impl State {
    /// The state right after an INVITE was sent, the first one or an authenticated one.
    pub(crate) fn calling(now: Instant, limits: &Limits) -> Self {
        Self::Calling { no_answer: now + limits.no_answer(), no_ring: now + limits.no_ring() }
    }

    /// The state right after the CANCEL of an earlier process's INVITE was sent.
    pub(crate) fn undoing(now: Instant, limits: &Limits) -> Self {
        // Whether it rings is nobody's news: the call was ended as interrupted.
        Self::Undoing { late_ring: true, until: now + limits.after_cancel() }
    }

    /// Whether the end was told.
    pub(crate) fn is_ended(&self) -> bool {
        match self {
            Self::Calling { .. }
            | Self::Unwanted { .. }
            | Self::Proceeding { .. }
            | Self::Ringing { .. }
            | Self::Up { .. }
            | Self::Cancelling { .. } => false,
            Self::Abandoned { .. } | Self::Undoing { .. } | Self::Over => true,
        }
    }

    /// Whether a challenge to the INVITE may be answered with a new one.
    pub(crate) fn is_wanted(&self) -> bool {
        matches!(self, Self::Calling { .. } | Self::Proceeding { .. })
    }

    /// Whether a 2xx leaves it up.
    pub(crate) fn may_stay(&self, limits: &Limits) -> bool {
        limits.talk_ms > 0
            && matches!(self, Self::Calling { .. } | Self::Proceeding { .. } | Self::Ringing { .. })
    }

    /// When [`Input::Deadline`] is due.
    pub(crate) fn deadline(&self, limits: &Limits) -> Option<Instant> {
        match *self {
            Self::Calling { no_answer, no_ring } => Some(no_answer.min(no_ring).min(limits.until)),
            Self::Unwanted { no_answer, .. } => Some(no_answer),
            Self::Proceeding { no_ring } => Some(no_ring.min(limits.until)),
            Self::Ringing { until } | Self::Up { until, .. } => Some(until),
            Self::Cancelling { until, .. } | Self::Undoing { until, .. } => Some(until),
            Self::Abandoned { .. } | Self::Over => None,
        }
    }

    /// One transition.
    pub(crate) fn step(&mut self, now: Instant, limits: &Limits, input: Input) -> Step {
        match *self {
            Self::Calling { .. } | Self::Unwanted { .. } => self.step_calling(now, limits, input),
            Self::Proceeding { .. } | Self::Ringing { .. } => {
                self.step_progressing(now, limits, input)
            }
            Self::Up { rang, .. } => self.step_up(rang, input),
            Self::Cancelling { reason, rang, until } => {
                self.step_cancelling((reason, rang, until), input)
            }
            Self::Abandoned { .. } | Self::Undoing { .. } => self.step_undoing(now, limits, input),
            Self::Over => Step::default(),
        }
    }

    /// The INVITE left and nothing came.
    fn step_calling(&mut self, now: Instant, limits: &Limits, input: Input) -> Step {
        match (*self, input) {
            (Self::Calling { no_ring, .. }, Input::Provisional(signal)) => {
                self.first_signal(now, limits, no_ring, signal)
            }
            (Self::Calling { no_answer, .. }, Input::HangUp) => {
                self.unwanted(Reason::HungUp, no_answer)
            }
            (Self::Calling { no_answer, .. }, Input::Deadline) if no_answer <= now => {
                self.abandon(None)
            }
            (Self::Calling { no_answer, .. }, Input::Deadline) => {
                self.unwanted(Reason::NoRing, no_answer)
            }
            (Self::Unwanted { reason, .. }, Input::Provisional(signal)) => {
                self.cancel(now, limits, reason, signal)
            }
            (Self::Unwanted { reason, .. }, Input::Deadline) => self.abandon(Some(reason)),
            (Self::Calling { .. }, Input::Answered) => self.stay(now, limits, false),
            (_, Input::Success | Input::Answered) => self.end_by(Cause::Success),
            (_, Input::Failure) => self.end_by(Cause::Failure),
            (_, Input::Timeout) => self.end_by(Cause::Timeout),
            (_, Input::TransportError) => self.end_by(Cause::TransportError),
            _ => Step::default(),
        }
    }

    /// A provisional response came, and no CANCEL left.
    fn step_progressing(&mut self, now: Instant, limits: &Limits, input: Input) -> Step {
        match (*self, input) {
            (Self::Proceeding { no_ring }, Input::Provisional(signal)) => {
                self.first_signal(now, limits, no_ring, signal)
            }
            (Self::Proceeding { .. }, Input::HangUp) => {
                self.cancel(now, limits, Reason::HungUp, Signal::Progress)
            }
            (Self::Proceeding { .. }, Input::Deadline) => {
                self.cancel(now, limits, Reason::NoRing, Signal::Progress)
            }
            (Self::Proceeding { .. }, Input::TargetLost) => self.leave(now, limits),
            (Self::Ringing { .. }, Input::Provisional(Signal::Diverted)) => {
                self.cancel_ringing(now, limits, Reason::Diverted)
            }
            (Self::Ringing { .. }, Input::HangUp) => {
                self.cancel_ringing(now, limits, Reason::HungUp)
            }
            (Self::Ringing { .. }, Input::Deadline) => {
                self.cancel_ringing(now, limits, Reason::RangEnough)
            }
            (Self::Ringing { .. }, Input::Answered) => self.stay(now, limits, true),
            (_, Input::Answered) => self.stay(now, limits, false),
            (_, Input::Success) => self.end_by(Cause::Success),
            (_, Input::Failure) => self.end_by(Cause::Failure),
            (_, Input::Timeout) => self.end_by(Cause::Timeout),
            // Nothing of ours is under way: the packet that was refused is not this call's.
            (_, Input::TransportError) => Step::default(),
            _ => Step::default(),
        }
    }

    /// It was answered and stays up.
    fn step_up(&mut self, rang: bool, input: Input) -> Step {
        let end = |reason| End { cause: Cause::Success, reason, rang };
        match input {
            Input::HangUp => Step { bye: true, ..self.end(end(Some(Reason::HungUp))) },
            Input::Deadline => Step { bye: true, ..self.end(end(None)) },
            Input::FarHangUp => self.end(end(None)),
            // Its INVITE is over; a packet of ours that was lost is repeated or is a BYE.
            _ => Step::default(),
        }
    }

    /// The CANCEL left and the end was not told.
    fn step_cancelling(
        &mut self,
        (reason, rang, until): (Reason, bool, Instant),
        input: Input,
    ) -> Step {
        let over = |cause| End { cause, reason: Some(reason), rang };
        match input {
            Input::Provisional(signal) => self.signal_across_cancel((reason, rang, until), signal),
            Input::Deadline => Step { forget: true, ..self.end(over(Cause::CancelTimeout)) },
            Input::TransportError => Step { forget: true, ..self.end(over(Cause::TransportError)) },
            Input::Success | Input::Answered => self.end(over(Cause::Success)),
            Input::Failure => self.end(over(Cause::Failure)),
            Input::Timeout => self.end(over(Cause::Timeout)),
            Input::HangUp | Input::FarHangUp | Input::TargetLost => Step::default(),
        }
    }

    /// The end was told, and what the INVITE may still cause has to be undone.
    fn step_undoing(&mut self, now: Instant, limits: &Limits, input: Input) -> Step {
        match (*self, input) {
            (Self::Abandoned { is_told }, Input::Provisional(signal)) => {
                let late_ringing = signal == Signal::Ringing && is_told;
                let late_ring = late_ringing || !is_told;
                *self = Self::Undoing { late_ring, until: now + limits.after_cancel() };
                Step { cancel: true, late_ringing, ..Step::default() }
            }
            (Self::Undoing { late_ring: false, until }, Input::Provisional(Signal::Ringing)) => {
                *self = Self::Undoing { late_ring: true, until };
                Step { late_ringing: true, ..Step::default() }
            }
            (_, Input::Success | Input::Answered | Input::Failure) => self.undone(false),
            (Self::Abandoned { .. }, Input::Timeout | Input::TransportError) => self.undone(false),
            // No timer of the INVITE's own transaction runs behind a provisional response.
            (Self::Undoing { .. }, Input::Deadline | Input::TransportError) => self.undone(true),
            _ => Step::default(),
        }
    }

    fn undone(&mut self, forget: bool) -> Step {
        *self = Self::Over;
        Step { forget, ..Step::default() }
    }

    /// A provisional response to a call that was not cancelled.
    fn first_signal(
        &mut self,
        now: Instant,
        limits: &Limits,
        no_ring: Instant,
        signal: Signal,
    ) -> Step {
        match signal {
            Signal::Progress => {
                *self = Self::Proceeding { no_ring };
                Step::default()
            }
            Signal::Ringing => {
                *self = Self::Ringing { until: (now + limits.ring()).min(limits.until) };
                Step { ringing: true, ..Step::default() }
            }
            Signal::Diverted => self.cancel(now, limits, Reason::Diverted, signal),
        }
    }

    fn stay(&mut self, now: Instant, limits: &Limits, rang: bool) -> Step {
        *self = Self::Up { rang, until: now + limits.talk() };
        Step { answered: true, ..Step::default() }
    }

    fn unwanted(&mut self, reason: Reason, no_answer: Instant) -> Step {
        *self = Self::Unwanted { reason, no_answer };
        // An INVITE that was lost must not arrive after all.
        Step { silence: true, ..Step::default() }
    }

    /// Sends the CANCEL of a call that did not ring before; `signal` came right now.
    fn cancel(&mut self, now: Instant, limits: &Limits, reason: Reason, signal: Signal) -> Step {
        let rang = signal == Signal::Ringing;
        let reason = if signal == Signal::Diverted { Reason::Diverted } else { reason };
        *self = Self::Cancelling { reason, rang, until: now + limits.after_cancel() };
        Step { cancel: true, ringing: rang, cancelled: rang, ..Step::default() }
    }

    fn cancel_ringing(&mut self, now: Instant, limits: &Limits, reason: Reason) -> Step {
        *self = Self::Cancelling { reason, rang: true, until: now + limits.after_cancel() };
        Step { cancel: true, cancelled: reason != Reason::Diverted, ..Step::default() }
    }

    fn signal_across_cancel(
        &mut self,
        (reason, rang, until): (Reason, bool, Instant),
        signal: Signal,
    ) -> Step {
        // The phone that rings for a diverted call is another one.
        let ringing = signal == Signal::Ringing && !rang && reason != Reason::Diverted;
        let reason = if signal == Signal::Diverted { Reason::Diverted } else { reason };
        *self = Self::Cancelling { reason, rang: rang || ringing, until };
        Step { ringing, ..Step::default() }
    }

    fn abandon(&mut self, reason: Option<Reason>) -> Step {
        *self = Self::Abandoned { is_told: true };
        let end = End { cause: Cause::Abandoned, reason, rang: false };
        Step { silence: true, end: Some(end), ..Step::default() }
    }

    /// Ends a call whose far side went away before the phone rang: another trunk may reach it. The
    /// CANCEL stops the phone if the far side comes back.
    fn leave(&mut self, now: Instant, limits: &Limits) -> Step {
        *self = Self::Undoing { late_ring: false, until: now + limits.after_cancel() };
        let end = End { cause: Cause::TransportError, reason: None, rang: false };
        Step { cancel: true, end: Some(end), ..Step::default() }
    }

    fn end_by(&mut self, cause: Cause) -> Step {
        let (reason, rang) = match *self {
            Self::Calling { .. } | Self::Proceeding { .. } => (None, false),
            Self::Unwanted { reason, .. } => (Some(reason), false),
            Self::Ringing { .. } => (None, true),
            // The others end where they are.
            _ => return Step::default(),
        };
        self.end(End { cause, reason, rang })
    }

    fn end(&mut self, end: End) -> Step {
        *self = Self::Over;
        Step { end: Some(end), ..Step::default() }
    }
}

#[cfg(test)]
mod tests;
