//! The pure state machine: one input at a time, no clock, no database.
//!
//! The store runs it inside its transaction with the row locked, in order of arrival, and
//! writes what changed once for each verification of a batch.

use crate::clock::Timestamp;
use crate::ids::CallId;
use crate::verification::model::{Call, CallRecord, Step, Verification, VerificationStatus};

/// A code as a client typed it. Never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct PresentedCode(String);

impl PresentedCode {
    /// Wraps the digits.
    pub fn new(digits: &str) -> Self {
        Self(digits.to_owned())
    }

    /// The digits, for the HMAC only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for PresentedCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PresentedCode(***)")
    }
}

/// Something that happened to one verification.
#[derive(Clone, Debug)]
pub enum Input {
    /// A client presents a code.
    Check(PresentedCode),
    /// A client ends it.
    Cancel,
    /// A newer one of the same session takes its place.
    Supersede,
    /// A client wants the same code again: a new call in the present step.
    Resend(Box<Call>),
    /// The next attempt of the present step, over another trunk: same or another code.
    NextAttempt {
        /// The call to place once this is stored.
        call: Box<Call>,
        /// A new code when the caller ID changed; null: the step's code stays.
        code: Option<crate::verification::model::StepCode>,
    },
    /// The next step of the workflow.
    NextStep(Box<Step>),
    /// An INVITE left; the CSeq is evidence for a restart.
    InviteSent {
        /// Which call.
        call_id: CallId,
        /// CSeq number of the INVITE.
        cseq: u32,
    },
    /// The phone rings.
    Ringing {
        /// Which call.
        call_id: CallId,
    },
    /// Our CANCEL left after ringing: the step rang.
    Cancelled {
        /// Which call.
        call_id: CallId,
    },
    /// A call ended. `last` says that no other attempt or step follows.
    CallEnded {
        /// Which call.
        call_id: CallId,
        /// Its record.
        record: CallRecord,
        /// Whether the workflow has nothing left to try.
        last: bool,
    },
    /// Its time may have run out.
    Expire,
}

/// What an input came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Stored, or nothing to change.
    Done,
    /// A code was evaluated.
    Checked {
        /// Whether this very request approved the verification.
        valid: bool,
    },
}

/// Why an input was refused. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It has ended.
    #[error("the verification has ended: {status:?}")]
    Ended {
        /// How.
        status: VerificationStatus,
    },
    /// A resend came too soon.
    #[error("the next send is allowed later")]
    TooSoon {
        /// When it is allowed.
        allowed_at: Timestamp,
    },
    /// All sends are used up.
    #[error("no send is left")]
    NoSendLeft,
    /// A call of it is still up, or its step shows no code.
    #[error("the step cannot be repeated in its state")]
    NotRepeatable,
}

impl Verification {
    /// Applies one input at `now`. A verification past its `expires_at` is settled as expired
    /// first. `version` rises by one when anything changed.
    pub fn apply(
        &mut self,
        now: Timestamp,
        keys: &dyn CodeKey,
        input: &Input,
    ) -> Result<Answer, Refusal> {
        let _ = (now, keys, input);
        todo!()
    }
}

/// The key that turns digits into what is stored; implemented by the daemon's secrets.
pub trait CodeKey {
    /// HMAC over the verification's id and the digits.
    fn code_hmac(&self, verification_id: crate::ids::VerificationId, digits: &str) -> [u8; 32];
}
