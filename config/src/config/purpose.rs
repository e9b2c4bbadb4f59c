//! `[purposes.NAME]`: the rules of a verification.

use std::time::Duration;

use dialplans::PoolName;

/// The purpose whose proof allows a new password. Only codes of six digits will do for it, which
/// a flash call has not, and they are never redirected.
pub const PASSWORD_RESET: &str = "password_reset";

/// The rules of the verifications made for one purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purpose {
    /// The channels in order; at least one, none twice.
    pub workflow: Vec<WorkflowStep>,
    /// How long a verification lives.
    pub ttl: Duration,
    /// Wrong codes until it is locked.
    pub checks: u32,
    /// Calls and texts, resends included.
    pub sends: u32,
    /// The fewest endings from which a code may be drawn.
    pub min_endings: u64,
    /// Pools that may have fewer.
    pub allow_small_pools: Vec<PoolName>,
    /// How long the phone rings at most; `None`: the trunk's limit. The shorter of this and the
    /// route's holds.
    pub ring_limit: Option<Duration>,
    /// From the step's first INVITE over all its calls.
    pub call_limit: Duration,
}

/// One channel of a workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkflowStep {
    /// Which one.
    pub channel: Channel,
    /// How long after the channel before it showed its code; `None`: the daemon's default.
    pub after: Option<Duration>,
}

impl From<Channel> for WorkflowStep {
    fn from(channel: Channel) -> Self {
        Self { channel, after: None }
    }
}

/// How a code travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// The tail of the calling number.
    FlashCall,
    /// A text.
    Sms,
    /// A call that says it.
    Voice,
    /// The user calls one of the account's numbers.
    IncomingCall,
    /// A letter.
    Email,
}

impl Channel {
    /// Its name in the file and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::FlashCall => "flash_call",
            Self::Sms => "sms",
            Self::Voice => "voice",
            Self::IncomingCall => "incoming_call",
            Self::Email => "email",
        }
    }
}
