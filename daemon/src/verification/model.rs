//! What a verification is: the aggregate that the store loads and writes whole.

use std::net::SocketAddr;
use std::time::Duration;

use dialplans::{CallerId, E164, TrunkName};
use sip::{CallOutcome, TimelineEntry};

use crate::clock::Timestamp;
use crate::ids::{CallId, VerificationId};

/// How a code travels to its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// A call that is never answered; the tail of its caller ID is the code.
    FlashCall,
    /// The user calls us.
    IncomingCall,
    /// A text.
    Sms,
    /// A spoken code.
    Voice,
    /// A mail.
    Email,
}

/// Where a verification stands. Only `Pending` moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VerificationStatus {
    /// A right code would approve it.
    Pending,
    /// A right code came in time.
    Approved,
    /// No step is left and no code can be checked.
    Failed,
    /// Its time ran out.
    Expired,
    /// The client cancelled it.
    Canceled,
    /// Its checks are used up.
    Locked,
    /// A newer one of the same session took its place.
    Superseded,
}

/// Where a step stands; the exact word is in the step's `detail`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepStatus {
    /// Written down, nothing sent.
    Queued,
    /// An INVITE is out.
    Dialing,
    /// The phone rang; the code was shown.
    Rang,
    /// Somebody, or a voicemail, answered.
    Answered,
    /// The phone was busy.
    Busy,
    /// The network or the callee blocked it.
    Declined,
    /// The phone cannot be reached.
    Unreachable,
    /// No such number, or nobody carries it.
    NoRoute,
    /// Every trunk refused us.
    Rejected,
    /// It was forwarded; the code is withdrawn.
    Diverted,
    /// A text or mail was handed on.
    Sent,
    /// A text arrived.
    Delivered,
    /// Trunks failed.
    Failed,
    /// The process died while the call was up; the code stays checkable.
    Interrupted,
    /// Ended by the client before anything was shown.
    Canceled,
}

/// Whose verification it is, as the client tells. All of it is the client's own text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Verifications of different sessions live side by side.
    pub session: Option<String>,
    /// The end user's address.
    pub ip: Option<std::net::IpAddr>,
    /// The end user's device.
    pub device_id: Option<String>,
}

/// A verification with its steps and calls.
#[derive(Clone, Debug, PartialEq)]
pub struct Verification {
    /// Its id.
    pub verification_id: VerificationId,
    /// The owning account.
    pub account: String,
    /// False under a test key.
    pub live: bool,
    /// Rises by one with each stored change, from 1.
    pub version: u32,
    /// Where it stands.
    pub status: VerificationStatus,
    /// The number to prove.
    pub to: E164,
    /// The purpose's name.
    pub purpose: String,
    /// A BCP 47 tag.
    pub locale: Option<String>,
    /// The client's own reference.
    pub reference: Option<String>,
    /// The client's own JSON object, as text.
    pub metadata: Option<String>,
    /// Whose it is.
    pub client: Client,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// When it ended; null while pending.
    pub ended_at: Option<Timestamp>,
    /// Digits of a code of the present step.
    pub code_length: u8,
    /// How many different codes could have been drawn.
    pub code_space: u32,
    /// Wrong and right codes together may be tried this often.
    pub checks_max: u8,
    /// Codes evaluated so far.
    pub checks_used: u8,
    /// Calls and texts that may go out.
    pub sends_max: u8,
    /// Calls and texts that went out.
    pub sends_used: u8,
    /// Before this a resend is refused.
    pub next_send_allowed_at: Timestamp,
    /// The steps, oldest first.
    pub steps: Vec<Step>,
}

/// One channel's try.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// From 1.
    pub n: u8,
    /// The channel.
    pub channel: Channel,
    /// Where it stands.
    pub status: StepStatus,
    /// The exact word: an outcome, `ring_limit`, ….
    pub detail: Option<String>,
    /// When it was written down.
    pub created_at: Timestamp,
    /// The code that may be presented; null once withdrawn or after the verification's end.
    pub code: Option<StepCode>,
    /// The calls of a flash call or voice step, oldest first.
    pub calls: Vec<Call>,
}

/// What is kept of a code: an HMAC over the verification's id and the digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StepCode {
    /// Over the last digits.
    pub tail_hmac: [u8; 32],
    /// Over the whole caller number; null for a channel without one.
    pub number_hmac: Option<[u8; 32]>,
    /// Digits of the code.
    pub length: u8,
    /// After this it no longer counts; null: until the verification ends.
    pub checkable_until: Option<Timestamp>,
}

impl std::fmt::Debug for StepCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StepCode(***)")
    }
}

/// One call over one trunk: evidence that is written before the INVITE leaves.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Its id; the wire's identifiers derive from it.
    pub call_id: CallId,
    /// From 1 within the step.
    pub attempt: u8,
    /// The trunk.
    pub trunk: TrunkName,
    /// Digits dialled after the trunk's translation, sealed in the store.
    pub dialled: String,
    /// What the phone shows; sealed in the store, null after the verification's end.
    pub caller_id: Option<CallerId>,
    /// The caller ID without its tail, for records.
    pub caller_id_masked: String,
    /// When it was written down.
    pub created_at: Timestamp,
    /// How it stands.
    pub state: CallState,
}

/// How a call stands.
#[derive(Clone, Debug, PartialEq)]
pub enum CallState {
    /// No end is known.
    Up {
        /// Where the INVITE went; null until the user agent told.
        target: Option<SocketAddr>,
        /// CSeq number of the last INVITE known.
        last_cseq: u32,
        /// Whether a ringing signal was seen.
        rang: bool,
    },
    /// It ended.
    Ended(CallRecord),
}

/// What is kept of a call that ended.
#[derive(Clone, Debug, PartialEq)]
pub struct CallRecord {
    /// When.
    pub ended_at: Timestamp,
    /// What it came to.
    pub outcome: CallOutcome,
    /// Whether a ringing signal was seen.
    pub rang: bool,
    /// Final status of the INVITE.
    pub status: Option<u16>,
    /// Q.850 cause.
    pub q850: Option<u8>,
    /// Retry-After of the trunk.
    pub retry_after: Option<Duration>,
    /// Where the INVITE went.
    pub target: Option<SocketAddr>,
    /// The history.
    pub timeline: Vec<TimelineEntry>,
}
