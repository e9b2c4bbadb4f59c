//! From what was seen of a call to its outcome.

use super::CallOutcome;
use super::cause::Cause;

/// What was seen of a call when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallFacts {
    /// Whether a ringing signal came.
    pub rang: bool,
    /// Whether a provisional response said that the call goes elsewhere.
    pub diverted: bool,
    /// Why we ended it; `None` when we did not.
    pub stop: Option<Stop>,
    /// What came last.
    pub end: CallEnd,
}

/// Why we ended a call before the far side did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It rang long enough.
    RingLimit,
    /// It did not ring in time.
    NoRingLimit,
    /// All attempts together took long enough.
    CallLimit,
    /// No provisional response came in time: abandoned without CANCEL.
    NoAnswer,
    /// The daemon hung up.
    HungUp,
    /// It rang after it had been abandoned.
    LateRing,
}

/// What ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// A final response to the INVITE.
    Final {
        /// Its status, 200–699.
        status: u16,
        /// The Q.850 cause of its Reason header field (RFC 3326), if it has one.
        cause: Option<u8>,
    },
    /// Timer B, the no-answer timeout, or 64·T1 after our CANCEL.
    Silence,
    /// The network refused our packets.
    TransportError,
}

impl CallFacts {
    /// The call's outcome.
    ///
    /// A call that rang stays `Rang` whatever ends it: the phone has shown the code, and a second
    /// attempt with another one would break it.
    pub fn outcome(&self) -> CallOutcome {
        if self.stop == Some(Stop::LateRing) {
            return CallOutcome::LateRing;
        }
        if self.diverted {
            return CallOutcome::Diverted;
        }
        if let CallEnd::Final { status: 200..300, .. } = self.end {
            return CallOutcome::Answered;
        }
        if self.rang {
            return CallOutcome::Rang;
        }
        match (self.end, self.stop) {
            // The ends that a CANCEL has; any other final response crossed it and says more.
            (CallEnd::Final { status: 408 | 487, .. } | CallEnd::Silence, Some(stop)) => match stop
            {
                Stop::HungUp => CallOutcome::Canceled,
                Stop::NoAnswer => CallOutcome::TrunkTimeout,
                Stop::LateRing => CallOutcome::LateRing,
                Stop::RingLimit | Stop::NoRingLimit | Stop::CallLimit => CallOutcome::NoRing,
            },
            (CallEnd::Final { status, cause }, _) => of_refusal(status, cause),
            (CallEnd::Silence, None) => CallOutcome::TrunkTimeout,
            (CallEnd::TransportError, _) => CallOutcome::TrunkDown,
        }
    }
}

/// The outcome of a call that was refused with this status before it rang.
fn of_refusal(status: u16, cause: Option<u8>) -> CallOutcome {
    let cause = cause.map(Cause::of);
    match status {
        401 | 407 => CallOutcome::AuthFailed,
        402 => CallOutcome::NoFunds,
        403 => match cause {
            Some(Cause::Rejected) => CallOutcome::Blocked,
            _ => CallOutcome::TrunkForbids,
        },
        404 => by_cause(cause, CallOutcome::Unallocated),
        408 | 504 => by_cause(cause, CallOutcome::TrunkTimeout),
        410 => CallOutcome::Changed,
        480 => by_cause(cause, CallOutcome::Unreachable),
        484 => CallOutcome::BadNumber,
        486 => CallOutcome::Busy,
        413 | 415 | 420 | 421 | 422 | 488 | 513 | 606 => CallOutcome::Format,
        428 | 436 | 437 | 438 => CallOutcome::Identity,
        501 => CallOutcome::TrunkProtocol,
        503 => by_cause(cause, CallOutcome::Congestion),
        500..600 => by_cause(cause, CallOutcome::TrunkError),
        603 | 607 | 608 => CallOutcome::Blocked,
        604 => CallOutcome::Unallocated,
        600..700 => CallOutcome::Busy,
        // 3xx, 400, 405, 416, 481, 482, 483, and what is not known among 4xx.
        _ => CallOutcome::TrunkProtocol,
    }
}

/// These statuses are what gateways turn every end of the telephone network into; the cause is
/// the better witness where it names a side.
fn by_cause(cause: Option<Cause>, otherwise: CallOutcome) -> CallOutcome {
    match cause {
        Some(Cause::Unallocated) => CallOutcome::Unallocated,
        Some(Cause::NoRoute) => CallOutcome::NoRoute,
        Some(Cause::Busy) => CallOutcome::Busy,
        Some(Cause::Unreachable) => CallOutcome::Unreachable,
        Some(Cause::Rejected) => CallOutcome::Blocked,
        Some(Cause::Changed) => CallOutcome::Changed,
        Some(Cause::BadNumber) => CallOutcome::BadNumber,
        Some(Cause::Congestion) => CallOutcome::Congestion,
        Some(Cause::Other) | None => otherwise,
    }
}
