//! An outgoing call: what is asked for, what is told about it.

pub(crate) mod active;
pub(crate) mod forks;
pub(crate) mod machine;
pub(crate) mod pracks;
mod shape;
pub(crate) mod talk;
pub(crate) mod timeline;
pub(crate) mod wire;

use std::net::SocketAddr;
use std::time::Duration;

use crate::dialog::saved::SavedDialog;
use crate::number::{CallerId, UserPart};
use crate::outcome::CallOutcome;

/// Our name for a call; the daemon chooses nothing, the user agent numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallHandle(pub u64);

/// 32 bytes from which Call-ID, From tag and (with the CSeq) every branch derive, so that a
/// process that starts after a crash can cancel what still rings. From an HMAC of the call's id.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CallIdentity(pub [u8; 32]);

impl std::fmt::Debug for CallIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CallIdentity(***)")
    }
}

/// A flash call to place.
#[derive(Clone, Debug)]
pub struct CallRequest {
    /// Seeds the wire's identifiers.
    pub identity: CallIdentity,
    /// Digits of the request line and To, as the trunk wants them.
    pub called: UserPart,
    /// Digits that the phone shows.
    pub caller_id: CallerId,
    /// How long it may ring, counted from the ringing signal; then CANCEL.
    pub ring_limit: Duration,
    /// From the INVITE without ringing; then CANCEL.
    pub no_ring_limit: Duration,
    /// From the first INVITE, whatever happens; then CANCEL.
    pub call_limit: Duration,
    /// From the INVITE without any provisional response; then the call is abandoned.
    pub no_answer_timeout: Duration,
    /// Port of the socket that discards media, written into the SDP offer.
    pub media_port: u16,
}

/// A call to place that stays up once it is answered.
#[derive(Clone, Debug)]
pub struct VoiceCallRequest {
    /// As for a flash call; its limits hold until the answer. Its media port is one that sends
    /// and listens.
    pub call: CallRequest,
    /// From the answer; then BYE. At most 15 minutes are given: session timers, where a trunk
    /// asks for them, are set so that no call this long has to be refreshed.
    pub talk_limit: Duration,
}

/// A call that was up when the process died.
#[derive(Clone, Debug)]
pub struct InterruptedCall {
    /// The identity it was placed with.
    pub identity: CallIdentity,
    /// Digits of its request line.
    pub called: UserPart,
    /// The caller ID it showed.
    pub caller_id: CallerId,
    /// Where its INVITE went.
    pub target: SocketAddr,
    /// The last CSeq number that was written down; a later one is tried when the far side
    /// answers 481 to it.
    pub last_cseq: u32,
    /// The dialog of a call that was answered and stayed up: it is ended by a BYE. `None`: its
    /// INVITE is cancelled.
    pub dialog: Option<SavedDialog>,
}

/// Why a call was not placed. Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceCallError {
    /// The trunk was removed or never added.
    #[error("no such trunk")]
    UnknownTrunk,
    /// It is paused by the operator or shutting down.
    #[error("the trunk is paused")]
    Paused,
    /// It has no binding.
    #[error("the trunk is not registered")]
    NotRegistered,
    /// No address is known.
    #[error("the trunk has no target")]
    NoTarget,
    /// `max_calls` are up.
    #[error("the trunk has no free channel")]
    ChannelsBusy,
}

/// One line of a call's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimelineEntry {
    /// Since the first INVITE.
    pub at: Duration,
    /// What happened.
    pub event: TimelineEvent,
}

/// What a timeline holds. Repeats are not entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimelineEvent {
    /// An INVITE left, with this CSeq number.
    Invite {
        /// The CSeq number.
        cseq: u32,
    },
    /// A response to the INVITE came.
    Response {
        /// Its status, 100–699.
        status: u16,
    },
    /// A CANCEL left.
    Cancel,
    /// An ACK to a 2xx left.
    Ack,
    /// A BYE left.
    Bye,
    /// Timer B, the no-answer timeout, or the end of 64·T1 after a CANCEL.
    Timeout,
    /// The network refused our packet.
    TransportError,
}

/// The end of a call: told exactly once for each call.
#[derive(Clone, Debug, PartialEq)]
pub struct CallSummary {
    /// Which call.
    pub call: CallHandle,
    /// What it came to.
    pub outcome: CallOutcome,
    /// Whether a ringing signal was seen.
    pub rang: bool,
    /// The final status of the INVITE, if one came.
    pub status: Option<u16>,
    /// The Q.850 cause: from the Reason header field, else the usual one for the status.
    pub q850: Option<u8>,
    /// Whether a Reason header field said so.
    pub q850_from_reason: bool,
    /// Retry-After of the final response, capped.
    pub retry_after: Option<Duration>,
    /// Where the INVITE went.
    pub target: SocketAddr,
    /// CSeq number of the last INVITE.
    pub last_cseq: u32,
    /// The history, at most 32 entries: the first 31 and the last.
    pub timeline: Vec<TimelineEntry>,
}
