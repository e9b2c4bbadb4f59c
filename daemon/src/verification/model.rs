//! What a verification is: the aggregate that the store loads and writes whole.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use dialplans::{CallerId, E164, TrunkName};
use sip::{CallOutcome, SavedDialog, TimelineEntry, UserPart};

use crate::clock::Timestamp;
use crate::email_address::EmailAddress;
use crate::ids::{CallId, MessageId, RedirectId, SignInId, UserId, VerificationId};
use crate::secrets::Keys;
pub use crate::verification::status::{
    CallVerdict, Channel, DispatchOutcome, Proved, StepStatus, VerificationStatus,
};

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

/// A mailbox as the store gives it back. `Display` and `Debug` print it masked.
#[derive(Clone, PartialEq, Eq)]
pub enum StoredMailbox {
    /// In full.
    Full(EmailAddress),
    /// Blanked when its retention ran out: only the masked form is left.
    Blanked(String),
}

/// What is to be proved. `Display` and `Debug` print it masked.
#[derive(Clone, PartialEq, Eq)]
pub enum StoredTarget {
    /// A number.
    Number(StoredNumber),
    /// A mailbox.
    Mailbox(StoredMailbox),
}

impl StoredTarget {
    /// The number, unless it is a mailbox or was blanked.
    pub fn number(&self) -> Option<E164> {
        match self {
            Self::Number(number) => number.full(),
            Self::Mailbox(_) => None,
        }
    }

    /// The mailbox, unless it is a number or was blanked.
    pub fn mailbox(&self) -> Option<&EmailAddress> {
        match self {
            Self::Mailbox(StoredMailbox::Full(address)) => Some(address),
            Self::Mailbox(StoredMailbox::Blanked(_)) | Self::Number(_) => None,
        }
    }
}

impl From<E164> for StoredTarget {
    fn from(number: E164) -> Self {
        Self::Number(number.into())
    }
}

impl From<EmailAddress> for StoredTarget {
    fn from(address: EmailAddress) -> Self {
        Self::Mailbox(StoredMailbox::Full(address))
    }
}

impl fmt::Display for StoredTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Mailbox(StoredMailbox::Full(address)) => address.fmt(f),
            Self::Mailbox(StoredMailbox::Blanked(masked)) => f.pad(masked),
        }
    }
}

impl fmt::Debug for StoredTarget {
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

/// What the client wishes of the texts and mails that carry its codes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wording {
    /// The template's name; null: the built-in words.
    pub template: Option<String>,
    /// The host that a browser fills the code in for: the last line is `@host #code`.
    pub web_origin: Option<String>,
    /// The eleven characters by which an Android app finds its texts.
    pub android_app_hash: Option<String>,
}

/// A channel of the workflow that was not tried yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Which one.
    pub channel: Channel,
    /// How long after the channel before it showed its code; at once when that showed none.
    pub after: Duration,
}

impl Planned {
    /// As a purpose of the file has it.
    pub fn of_purpose(step: &config::WorkflowStep) -> Self {
        let channel = match step.channel {
            config::Channel::FlashCall => Channel::FlashCall,
            config::Channel::Sms => Channel::Sms,
            config::Channel::Voice => Channel::Voice,
            config::Channel::IncomingCall => Channel::IncomingCall,
            config::Channel::Email => Channel::Email,
        };
        Self { channel, after: step.after.unwrap_or(DEFAULT_AFTER) }
    }
}

/// How long a channel waits when nobody said: a text costs more than the minute.
pub const DEFAULT_AFTER: Duration = Duration::from_secs(60);

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
    /// The number or mailbox to prove.
    pub to: StoredTarget,
    /// The mailbox beside a number, or the number beside a mailbox, for channels that reach it;
    /// null: there is none, or its retention ran out.
    pub also: Option<StoredTarget>,
    /// The user of the directory whose they are; null: the client named the target itself.
    pub user_id: Option<UserId>,
    /// The sign-in that it completes; null: none.
    pub sign_in_id: Option<SignInId>,
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
    /// How its texts and mails are worded.
    pub wording: Wording,
    /// Whether the client gave the code: then every channel carries the same one.
    pub own_code: bool,
    /// The channels that were not tried yet, in order.
    pub workflow: Vec<Planned>,
    /// When the first of them begins; null: none is left, or the present step decides.
    pub next_at: Option<Timestamp>,
    /// What the right code or call proved; null: nothing did yet. A code that went to a mailbox
    /// as well as to a phone proves the mailbox alone.
    pub proved: Option<Proved>,
    /// The steps, oldest first.
    pub steps: Vec<Step>,
}

impl Verification {
    /// The number that calls and texts reach.
    pub fn number(&self) -> Option<E164> {
        self.targets().find_map(StoredTarget::number)
    }

    /// The number that calls reach, as far as it is kept.
    pub fn called(&self) -> StoredNumber {
        match (self.number(), &self.to) {
            (Some(number), _) => number.into(),
            (None, StoredTarget::Number(blanked)) => blanked.clone(),
            // Nobody calls a mailbox.
            (None, StoredTarget::Mailbox(_)) => StoredNumber::Blanked(String::new()),
        }
    }

    /// The mailbox that mails reach.
    pub fn mailbox(&self) -> Option<&EmailAddress> {
        self.targets().find_map(StoredTarget::mailbox)
    }

    fn targets(&self) -> impl Iterator<Item = &StoredTarget> {
        std::iter::once(&self.to).chain(&self.also)
    }

    /// The channel that begins by itself, and when.
    pub fn next(&self) -> Option<(Channel, Timestamp)> {
        Some((self.workflow.first()?.channel, self.next_at?))
    }
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
    /// The digits of a code that is written or spoken, sealed in the store: a resend needs them.
    /// Null for a code that a caller ID shows, once withdrawn, and after the verification's end.
    pub secret: Option<CodeDigits>,
    /// The number of ours that the user is to call. Null for the other channels, and after the
    /// verification's end.
    pub awaits: Option<E164>,
    /// The calls of a flash call or voice step, oldest first.
    pub calls: Vec<Call>,
    /// The texts or mails of a step that writes, oldest first.
    pub dispatches: Vec<Dispatch>,
}

impl Step {
    /// A step without calls and texts, that shows nothing.
    pub fn bare(n: u8, channel: Channel, status: StepStatus, created_at: Timestamp) -> Self {
        Self {
            n,
            channel,
            status,
            detail: None,
            created_at,
            code: None,
            secret: None,
            awaits: None,
            calls: Vec::new(),
            dispatches: Vec::new(),
        }
    }
}

/// One text or mail that carries the code: evidence that is written before it is handed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispatch {
    /// Its id; the wire's identifiers derive from it.
    pub dispatch_id: MessageId,
    /// When it was written down.
    pub created_at: Timestamp,
    /// How it stands.
    pub state: DispatchState,
    /// The parts of it that the phone has, from 0, in the order of their receipts.
    pub arrived: Vec<usize>,
    /// The redirect by which a text goes to a mailbox; `None`: it goes where its channel says.
    pub redirect: Option<RedirectId>,
}

/// How a text or mail that carries a code stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DispatchState {
    /// Written down, not handed on.
    Queued,
    /// It may be on its way: found so after a crash, it is never sent again.
    Sending,
    /// It is at an end, save that a receipt may still say whether what was sent arrived.
    Ended {
        /// When.
        at: Timestamp,
        /// What it came to.
        outcome: DispatchOutcome,
        /// The exact word, such as `sip_200`.
        detail: String,
    },
}

impl Dispatch {
    /// One that waits to be handed on.
    pub fn queued(dispatch_id: MessageId, created_at: Timestamp) -> Self {
        Self {
            dispatch_id,
            created_at,
            state: DispatchState::Queued,
            arrived: Vec::new(),
            redirect: None,
        }
    }

    /// Whether no end is known.
    pub fn is_open(&self) -> bool {
        !matches!(self.state, DispatchState::Ended { .. })
    }
}

/// The digits of a code that is written or spoken. Never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct CodeDigits(String);

/// The text is no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a code is 6 to 10 digits")]
pub struct CodeDigitsError;

impl CodeDigits {
    /// How many digits are drawn.
    pub const DRAWN_LENGTH: u8 = 6;

    /// Takes 6 to 10 ASCII digits.
    pub fn parse(text: &str) -> Result<Self, CodeDigitsError> {
        let fits = (6..=10).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        if fits { Ok(Self(text.to_owned())) } else { Err(CodeDigitsError) }
    }

    /// Draws six digits, each code as likely as any other.
    pub fn draw(rng: &mut impl rand_core::Rng) -> Self {
        // The largest multiple of a million below 2^32: what is above would favour small codes.
        const FAIR: u32 = u32::MAX - u32::MAX % 1_000_000;
        loop {
            let drawn = rng.next_u32();
            if drawn < FAIR {
                return Self(format!("{:06}", drawn % 1_000_000));
            }
        }
    }

    /// The digits, for the seal, the HMAC and the text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for CodeDigits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeDigits(***)")
    }
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

    /// What is kept of a code that is written or spoken.
    pub fn of_digits(keys: &Keys, verification_id: VerificationId, digits: &CodeDigits) -> Self {
        let length = digits.reveal().len() as u8;
        Self {
            tail_hmac: keys.code_hmac(verification_id, digits.reveal()),
            number_hmac: None,
            length,
            space: 10_u64.pow(u32::from(length)),
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
    /// What hangs it up, sealed in the store. Null until it is answered and stays up, and once it
    /// has ended.
    pub dialog: Option<SavedDialog>,
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
