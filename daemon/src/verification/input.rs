//! What can happen to a verification, and what it comes to.

use std::net::SocketAddr;

use dialplans::E164;
use sip::SavedDialog;

use crate::clock::Timestamp;
use crate::ids::{CallId, MessageId};
use crate::verification::model::{
    Call, CallRecord, CallVerdict, Channel, Dispatch, DispatchOutcome, Step, StepCode, StepStatus,
    VerificationStatus,
};

/// A code as a client typed it: digits only, at least one and at most 32. Never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct PresentedCode(String);

/// The text is no code: it has no digit, or something other than digits and separators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a code is made of digits")]
pub struct PresentedCodeError;

impl PresentedCode {
    /// Takes the digits of what a client typed: a code, or a whole caller number with its plus
    /// sign, spaces, hyphens, dots, slashes and brackets.
    pub fn parse(text: &str) -> Result<Self, PresentedCodeError> {
        let separator = |c: char| " \u{a0}-./()+".contains(c);
        let digits: String = text.chars().filter(|&c| !separator(c)).collect();
        let is_code =
            (1..=32).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        if is_code { Ok(Self(digits)) } else { Err(PresentedCodeError) }
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
    /// A client presents a code. Every evaluation counts, also when no code can be right.
    Check(PresentedCode),
    /// A client ends it. Its calls are hung up by whoever sent this.
    Cancel,
    /// A newer one of the same session takes its place.
    Supersede,
    /// A client wants the same code again, over the present step's channel. Counts as a send.
    Resend {
        /// What goes out once this is stored.
        again: Again,
        /// Before this the next resend is refused.
        next_send_allowed_at: Timestamp,
    },
    /// The next attempt of the present step, over another trunk, when nothing rang.
    NextAttempt {
        /// The call of the present step that it follows.
        follows: CallId,
        /// The call to place once this is stored.
        call: Box<Call>,
        /// A new code when the caller ID changed; `None`: the step's code stays.
        code: Option<StepCode>,
    },
    /// The next step of the workflow. Counts as a send; its `n` is set here.
    NextStep {
        /// The step, with its code and what goes out first.
        step: Box<Step>,
        /// Why it comes.
        reason: Reason,
        /// Before this a resend is refused.
        next_send_allowed_at: Timestamp,
    },
    /// The channel that is due could not be begun: nothing went out, the one after it is due.
    Skipped {
        /// Which channel.
        channel: Channel,
        /// What its step is called.
        status: StepStatus,
        /// The exact word.
        detail: String,
    },
    /// A text or mail is about to be handed on. Refused when nobody waits for it any more.
    Sending {
        /// Which one.
        dispatch_id: MessageId,
    },
    /// What became of a text or mail, or what a receipt tells of one that was sent. Recorded
    /// also after the verification has ended.
    Dispatched {
        /// Which one.
        dispatch_id: MessageId,
        /// What it came to.
        outcome: DispatchOutcome,
        /// The exact word.
        detail: String,
    },
    /// What a receipt tells of one part of a text that was submitted. Recorded also after the
    /// verification has ended.
    Receipt {
        /// Which text.
        dispatch_id: MessageId,
        /// Which part, from 0.
        part: usize,
        /// Of how many.
        parts: usize,
        /// Whether the phone has it; false: it will not arrive.
        delivered: bool,
        /// The exact word.
        detail: String,
    },
    /// What is known of a call that is up. Facts only accumulate: a target, a CSeq or a ringing
    /// signal once known stays known.
    Progress {
        /// Which call.
        call_id: CallId,
        /// Where its INVITE went.
        target: Option<SocketAddr>,
        /// CSeq number of the last INVITE; 0: none left yet. Evidence for a restart.
        cseq: u32,
        /// Whether a ringing signal was seen.
        ringing: bool,
        /// Whether our CANCEL left after ringing: the step rang.
        cancelled: bool,
    },
    /// A call was answered and stays up, or its far side has moved. Evidence for a restart.
    Talking {
        /// Which call.
        call_id: CallId,
        /// What hangs it up.
        dialog: SavedDialog,
    },
    /// A call that was answered has said the whole code once.
    Said {
        /// Which call.
        call_id: CallId,
    },
    /// A call ended. Recorded also after the verification has ended.
    CallEnded {
        /// Which call.
        call_id: CallId,
        /// Its record.
        record: CallRecord,
        /// Whether its step has nothing left to try.
        last: bool,
    },
    /// The user, or somebody with that number, called one of our numbers.
    IncomingCall {
        /// The number that was called.
        called: E164,
        /// Whether the trunk vouches for the caller and its word counts.
        is_trusted: bool,
    },
    /// The present step has nothing left to try: the next channel is due, and without one the
    /// verification fails unless a code can still be checked.
    NothingLeft,
    /// Its time may have run out.
    Expire,
}

/// What shows the same code again.
#[derive(Clone, Debug)]
pub enum Again {
    /// A call.
    Call(Box<Call>),
    /// A text or mail, or a text and the mail beside it.
    Dispatches(Vec<Dispatch>),
}

/// Why another channel begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The workflow's time has come for it.
    Due,
    /// The user chose it.
    Chosen,
}

/// What an input came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Stored, or nothing to change.
    Done,
    /// A code was evaluated.
    Checked {
        /// Whether this very request approved the verification.
        valid: bool,
    },
    /// A call of the user was looked at.
    Called(CallVerdict),
}

/// Why an input was refused. Nothing changed, save that a verification whose time had run out
/// is expired from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It has ended.
    #[error("the verification has ended: {}", status.as_str())]
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
    /// A call of it is still up, or its step shows no code, or the phone has already rung.
    #[error("the step cannot be repeated in its state")]
    NotRepeatable,
    /// It waits for no call of its user.
    #[error("no call of the user is awaited")]
    NotAwaited,
    /// No step of it has this call, text or mail.
    #[error("the verification has no such call or text")]
    NoSuchCall,
    /// The workflow does not begin this channel at this moment.
    #[error("this channel is not due")]
    NotDue,
}
