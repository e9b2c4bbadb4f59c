//! What a verification is: the aggregate that the store loads and writes whole.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use dialplans::{CallerId, E164, TrunkName};
use sip::{CallOutcome, TimelineEntry, UserPart};

use crate::clock::Timestamp;
use crate::ids::{CallId, VerificationId};
use crate::secrets::Keys;
pub use crate::verification::status::{Channel, StepStatus, VerificationStatus};

/// A number as the store gives it back. `Display` and `Debug` print it masked.
#[derive(Clone, PartialEq, Eq)]
pub enum StoredNumber {
    /// In full.
    Full(E164),
    /// Blanked when its retention ran out: only the masked form is left.
    Blanked(String),
}

impl StoredNumber {
    /// The number, unless it was blanked.
    pub fn full(&self) -> Option<E164> {
        match self {
            Self::Full(number) => Some(*number),
            Self::Blanked(_) => None,
        }
    }
}

impl From<E164> for StoredNumber {
    fn from(number: E164) -> Self {
        Self::Full(number)
    }
}

impl fmt::Display for StoredNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(number) => number.fmt(f),
            Self::Blanked(masked) => f.pad(masked),
        }
    }
}

impl fmt::Debug for StoredNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
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
    pub to: StoredNumber,
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
    /// How many different codes could have been drawn for the present step.
    pub code_space: u64,
    /// Wrong and right codes together may be tried this often.
    pub checks_max: u32,
    /// Codes evaluated so far, at most `checks_max`.
    pub checks_used: u32,
    /// Calls and texts that may go out.
    pub sends_max: u32,
    /// Calls and texts that went out. A second attempt of one step is not counted: it is placed
    /// only when nothing rang.
    pub sends_used: u32,
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
    /// How many different codes could have been drawn.
    pub space: u64,
    /// After this it no longer counts; null: until the verification ends.
    pub checkable_until: Option<Timestamp>,
}

impl StepCode {
    /// What is kept of the code that this caller ID shows; `space` is the number of endings from
    /// which it was drawn.
    pub fn of_caller_id(
        keys: &Keys,
        verification_id: VerificationId,
        caller_id: &CallerId,
        space: u64,
    ) -> Self {
        let tail = caller_id.tail();
        Self {
            tail_hmac: keys.code_hmac(verification_id, tail.reveal().digits()),
            number_hmac: Some(keys.code_hmac(verification_id, caller_id.reveal().digits())),
            length: tail.length().digits() as u8,
            space,
            checkable_until: None,
        }
    }
}

impl fmt::Debug for StepCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
    /// Digits dialled after the trunk's translation, sealed in the store. Null once the call has
    /// ended: only a CANCEL after a restart needs them.
    pub dialled: Option<UserPart>,
    /// What the phone shows; sealed in the store. Null once both the call and the verification
    /// have ended: a resend shows it again, and a CANCEL after a restart has to name it.
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
