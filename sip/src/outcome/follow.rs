//! What usually follows an outcome.

use super::CallOutcome;
use crate::call::CallSummary;

/// The next thing worth trying after a call. Advice: limits, breakers and what is left of the
/// workflow are the daemon's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Follow {
    /// Nothing: the phone has shown the code, or another call would show nothing more.
    End,
    /// Another channel; another trunk would find the same.
    NextChannel,
    /// Another trunk.
    NextTrunk,
    /// Another target of the same trunk, then another trunk.
    NextTarget,
    /// Another trunk once, in case only this one does not know the number; then another channel
    /// that is no call.
    NextTrunkOnce,
}

impl CallOutcome {
    /// What follows this outcome. `status` is the final status of the INVITE and `cause` the
    /// Q.850 cause of its Reason header field.
    pub fn follow(self, status: Option<u16>, cause: Option<u8>) -> Follow {
        match self {
            Self::Rang | Self::Answered | Self::Changed | Self::BadNumber => Follow::End,
            Self::Blocked | Self::Canceled => Follow::End,
            Self::Unallocated if status == Some(404) && cause.is_none() => Follow::NextTrunkOnce,
            Self::Busy | Self::Diverted | Self::Unallocated | Self::Unreachable => {
                Follow::NextChannel
            }
            Self::NoRing | Self::LateRing | Self::Interrupted => Follow::NextChannel,
            Self::TrunkTimeout => Follow::NextTarget,
            Self::Congestion if status == Some(503) => Follow::NextTarget,
            Self::Congestion
            | Self::NoRoute
            | Self::TrunkDown
            | Self::TrunkForbids
            | Self::NoFunds => Follow::NextTrunk,
            Self::AuthFailed | Self::Identity | Self::TrunkError | Self::Format => {
                Follow::NextTrunk
            }
            Self::TrunkProtocol => Follow::NextTrunk,
        }
    }
}

impl CallSummary {
    /// What follows this call.
    pub fn follow(&self) -> Follow {
        self.outcome.follow(self.status, self.q850.filter(|_| self.q850_from_reason))
    }
}
