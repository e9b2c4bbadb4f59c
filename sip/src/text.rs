//! Texts by MESSAGE (RFC 3428).

pub(crate) mod active;

use std::time::Duration;

use crate::call::CallIdentity;
use crate::number::UserPart;

/// Our name for an outgoing text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageHandle(pub u64);

/// A text to send.
#[derive(Clone)]
pub struct OutboundMessage {
    /// Seeds the wire's identifiers.
    pub identity: CallIdentity,
    /// Digits of the request line and To.
    pub called: UserPart,
    /// User part of From; `None`: the trunk's user.
    pub sender: Option<UserPart>,
    /// UTF-8 text; may hold a code, so it never prints.
    pub text: String,
}

impl std::fmt::Debug for OutboundMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutboundMessage").field("called", &self.called).finish_non_exhaustive()
    }
}

/// Why a text was not sent. Nothing left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendMessageError {
    /// The trunk was removed or never added.
    #[error("no such trunk")]
    UnknownTrunk,
    /// The trunk takes no texts.
    #[error("the trunk takes no texts")]
    NotOffered,
    /// It has no binding, or no target, or is paused.
    #[error("the trunk is not up")]
    TrunkDown,
    /// The request would be larger than 1300 bytes and the far end takes only datagrams (RFC 3428
    /// section 8), or larger than 64 KiB.
    #[error("the text is {excess} bytes too long for one message")]
    TooLong {
        /// Bytes above the limit.
        excess: usize,
    },
    /// Too many texts wait for their answer on this trunk.
    #[error("too many texts wait for their answer")]
    Busy,
}

/// The end of a text's transaction: told exactly once for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageSummary {
    /// Which text.
    pub message: MessageHandle,
    /// The final status; `None`: no answer came (the text may have arrived).
    pub status: Option<u16>,
    /// Retry-After of the final response, capped.
    pub retry_after: Option<Duration>,
}
