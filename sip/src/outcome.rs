//! What a call came to, in the words of operators: the names, how the evidence of a call is read,
//! and what usually follows.

mod cause;
mod facts;
mod follow;

pub use cause::usual_cause;
pub use facts::{CallEnd, CallFacts, Stop};
pub use follow::Follow;

/// The end of one call. What follows from it (next trunk, next channel, nothing) is the
/// daemon's wish; what it is called is the same everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallOutcome {
    /// It rang: our CANCEL ended it, or the callee rejected it after ringing.
    Rang,
    /// A 2xx came, before or across our CANCEL; it was ACKed and BYEd.
    Answered,
    /// 486 or 600 without ringing.
    Busy,
    /// 181, Diversion or History-Info in a provisional response; cancelled at once.
    Diverted,
    /// 404, 604 or cause 1: no such number.
    Unallocated,
    /// 404 with cause 2 or 3: this trunk has no route.
    NoRoute,
    /// 410, cause 22.
    Changed,
    /// 484, cause 28.
    BadNumber,
    /// 480 or 502 with a cause on the callee's side.
    Unreachable,
    /// `no_ring_limit` passed without ringing.
    NoRing,
    /// 503, or 480 with a cause on the network's side.
    Congestion,
    /// 408, 504 or silence.
    TrunkTimeout,
    /// The network refused our packets, or the trunk has no target.
    TrunkDown,
    /// 603 without ringing, 607, 608, 403 with cause 21.
    Blocked,
    /// 403.
    TrunkForbids,
    /// 402.
    NoFunds,
    /// 401 or 407 that could not be satisfied.
    AuthFailed,
    /// 428, 436, 437 or 438.
    Identity,
    /// 500.
    TrunkError,
    /// 488, 606, 415, 420, 421, 422, 413 or 513.
    Format,
    /// Anything else that the trunk should not have said.
    TrunkProtocol,
    /// Hung up by us before it rang.
    Canceled,
    /// It rang after the attempt had been abandoned, and was cancelled at once.
    LateRing,
    /// The process died while the call was up; the call was cancelled after the restart.
    Interrupted,
}

impl CallOutcome {
    /// The word used in records, metrics and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rang => "rang",
            Self::Answered => "answered",
            Self::Busy => "busy",
            Self::Diverted => "diverted",
            Self::Unallocated => "unallocated",
            Self::NoRoute => "no_route",
            Self::Changed => "changed",
            Self::BadNumber => "bad_number",
            Self::Unreachable => "unreachable",
            Self::NoRing => "no_ring",
            Self::Congestion => "congestion",
            Self::TrunkTimeout => "trunk_timeout",
            Self::TrunkDown => "trunk_down",
            Self::Blocked => "blocked",
            Self::TrunkForbids => "trunk_forbids",
            Self::NoFunds => "no_funds",
            Self::AuthFailed => "auth_failed",
            Self::Identity => "identity",
            Self::TrunkError => "trunk_error",
            Self::Format => "format",
            Self::TrunkProtocol => "trunk_protocol",
            Self::Canceled => "canceled",
            Self::LateRing => "late_ring",
            Self::Interrupted => "interrupted",
        }
    }

    /// Every outcome, for reading records back.
    pub const ALL: [Self; 24] = [
        Self::Rang,
        Self::Answered,
        Self::Busy,
        Self::Diverted,
        Self::Unallocated,
        Self::NoRoute,
        Self::Changed,
        Self::BadNumber,
        Self::Unreachable,
        Self::NoRing,
        Self::Congestion,
        Self::TrunkTimeout,
        Self::TrunkDown,
        Self::Blocked,
        Self::TrunkForbids,
        Self::NoFunds,
        Self::AuthFailed,
        Self::Identity,
        Self::TrunkError,
        Self::Format,
        Self::TrunkProtocol,
        Self::Canceled,
        Self::LateRing,
        Self::Interrupted,
    ];
}
