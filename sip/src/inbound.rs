//! What comes in from a trunk: calls, which are refused unanswered, and texts.

use std::time::Instant;

use crate::message::Status;
use crate::network::Network;
use crate::number::UserPart;
use crate::trunk::TrunkHandle;

/// How a trunk's requests are known and read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundSettings {
    /// Whether a request whose Request-URI bears our `line` token is this trunk's. The token goes
    /// out in the Contact of every call, so whoever was called may know it: it tells trunks behind
    /// one address apart and never lets an unknown address in.
    pub line: bool,
    /// Whether a request from one of the trunk's resolved addresses is this trunk's.
    pub addresses: bool,
    /// Networks besides those addresses from which the trunk's requests come.
    pub networks: Vec<Network>,
    /// Where the called number is looked for, in order.
    pub called_from: Vec<CalledSource>,
    /// Where the calling number is looked for, in order.
    pub caller_from: Vec<CallerSource>,
    /// What a caller is told.
    pub refusal: CallRefusal,
}

impl Default for InboundSettings {
    fn default() -> Self {
        Self {
            line: true,
            addresses: true,
            networks: Vec::new(),
            called_from: vec![
                CalledSource::RequestLine,
                CalledSource::PCalledPartyId,
                CalledSource::To,
                CalledSource::Diversion,
            ],
            caller_from: vec![
                CallerSource::PAssertedIdentity,
                CallerSource::RemotePartyId,
                CallerSource::From,
            ],
            refusal: CallRefusal::Decline,
        }
    }
}

/// Where a request names the number that was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CalledSource {
    /// The user of the Request-URI.
    RequestLine,
    /// P-Called-Party-ID (RFC 7315 section 4.2).
    PCalledPartyId,
    /// To.
    To,
    /// The topmost Diversion (RFC 5806): the number that was called before the call was diverted.
    Diversion,
}

/// Where a request names the number that calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallerSource {
    /// P-Asserted-Identity: the trunk vouches for it (RFC 3325).
    PAssertedIdentity,
    /// Remote-Party-ID: the same, by older equipment.
    RemotePartyId,
    /// From: what the caller wrote. It proves nothing.
    From,
}

/// How an incoming call is refused. It is never answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallRefusal {
    /// 603: the network does not try elsewhere.
    Decline,
    /// 486.
    Busy,
    /// 480.
    Unavailable,
}

impl CallRefusal {
    /// The status that says it.
    pub const fn status(self) -> Status {
        match self {
            Self::Decline => Status::DECLINE,
            Self::Busy => Status::BUSY_HERE,
            Self::Unavailable => Status::TEMPORARILY_UNAVAILABLE,
        }
    }
}

/// Who called or wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Somebody whose number, or name, is shown.
    Shown {
        /// A number as digits with or without a plus sign, or a name as it was written.
        user: UserPart,
        /// Where it stood.
        source: CallerSource,
    },
    /// Somebody who withholds the number (RFC 3323, RFC 3325).
    Hidden,
    /// Nothing readable is there.
    Absent,
}

/// A call from outside. It was refused when this is told; its repeats are not told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncomingCall {
    /// Over which trunk.
    pub trunk: TrunkHandle,
    /// The number that was called; `None`: no field holds one.
    pub called: Option<UserPart>,
    /// Who calls.
    pub caller: Caller,
    /// When the INVITE arrived.
    pub at: Instant,
}

/// Our name for a text from outside that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncomingTextHandle(pub u64);

/// A text from outside. Answer it by `answer_text` once it is stored; its repeats are not told
/// while the transaction lives, but may be after a restart.
#[derive(Clone, PartialEq, Eq)]
pub struct IncomingText {
    /// Names it for the answer.
    pub text: IncomingTextHandle,
    /// Over which trunk.
    pub trunk: TrunkHandle,
    /// The number that it was written to; `None`: no field holds one.
    pub called: Option<UserPart>,
    /// Who wrote it.
    pub caller: Caller,
    /// What was written; no NUL in it.
    pub body: String,
    /// Call-ID; with the CSeq number and the trunk it names the text across restarts.
    pub call_id: Box<[u8]>,
    /// The CSeq number.
    pub cseq: u32,
    /// When the MESSAGE arrived.
    pub at: Instant,
}

impl std::fmt::Debug for IncomingText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IncomingText")
            .field("text", &self.text)
            .field("trunk", &self.trunk)
            .field("called", &self.called)
            .field("caller", &self.caller)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// What a text's sender is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextAnswer {
    /// 202: it is stored and will be handed on (RFC 3428 section 7).
    Accepted,
    /// 404: the number is nobody's here.
    NotFound,
    /// 503 with Retry-After: it could not be stored.
    Unavailable,
}
