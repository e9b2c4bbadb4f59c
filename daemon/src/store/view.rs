//! What is read: who asks, filters, pages, calls as records.

use dialplans::{CallerId, E164, TrunkName};
use sip::{CallOutcome, UserPart};

use crate::clock::Timestamp;
use crate::ids::{CallId, VerificationId};
use crate::verification::model::{
    Call, CallState, Channel, Step, StoredNumber, Verification, VerificationStatus,
};

/// Who asks. What is not theirs is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// The gateway itself or a key that sees everything.
    Gateway,
    /// A key of one account: a live key sees live objects, a test key the others.
    Account {
        /// The account's name.
        account: String,
        /// Which kind of key.
        live: bool,
    },
}

impl Who {
    /// Whether an object of this account and kind is there for them.
    pub(crate) fn sees(&self, owner: &str, is_live: bool) -> bool {
        match self {
            Self::Gateway => true,
            Self::Account { account, live } => account == owner && *live == is_live,
        }
    }

    /// Under which account their idempotency keys are kept.
    pub(crate) fn account(&self) -> &str {
        match self {
            Self::Gateway => "",
            Self::Account { account, .. } => account,
        }
    }

    /// The account and kind that a list is narrowed to.
    pub(crate) fn narrowed(&self) -> (Option<&str>, Option<bool>) {
        match self {
            Self::Gateway => (None, None),
            Self::Account { account, live } => (Some(account), Some(*live)),
        }
    }
}

/// The place in a list after which the next page begins: an id.
pub type Cursor = u128;

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// Newest first.
    pub items: Vec<T>,
    /// Where the next page begins; `None`: this is the last.
    pub next: Option<Cursor>,
}

/// Which part of a list is wanted. All that are given must hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageFilter {
    /// Where the page begins; `None`: at the newest.
    pub cursor: Option<Cursor>,
    /// How many, 1 to 200.
    pub limit: u32,
    /// At or after this.
    pub created_after: Option<Timestamp>,
    /// Before this.
    pub created_before: Option<Timestamp>,
}

impl PageFilter {
    /// The newest ones, at most `limit`, 1 to 200.
    pub fn newest(limit: u32) -> Self {
        Self { limit, ..Self::default() }
    }
}

/// Which verifications are listed. All that are given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerificationFilter {
    /// Which part of them.
    pub page: PageFilter,
    /// To this number.
    pub to: Option<E164>,
    /// With this reference.
    pub reference: Option<String>,
    /// In this status.
    pub status: Option<VerificationStatus>,
    /// With a step of this channel.
    pub channel: Option<Channel>,
}

/// Which calls are listed. All that are given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// Which part of them.
    pub page: PageFilter,
    /// To this number.
    pub to: Option<E164>,
    /// Over this trunk.
    pub trunk: Option<TrunkName>,
    /// Ended so.
    pub outcome: Option<CallOutcome>,
}

/// A call as a record, without the digits it dialled and without the caller ID's tail.
#[derive(Clone, Debug, PartialEq)]
pub struct CallView {
    /// Its id.
    pub call_id: CallId,
    /// Of which verification.
    pub verification_id: VerificationId,
    /// Of which step, from 1.
    pub step_n: u8,
    /// The owning account.
    pub account: String,
    /// False under a test key.
    pub live: bool,
    /// From 1 within the step.
    pub attempt: u8,
    /// The trunk.
    pub trunk: TrunkName,
    /// The called number.
    pub to: StoredNumber,
    /// The caller ID without its tail.
    pub caller_id_masked: String,
    /// When it was written down.
    pub created_at: Timestamp,
    /// How it stands.
    pub state: CallState,
}

impl CallView {
    /// The record of a verification's own call.
    pub fn of(verification: &Verification, step: &Step, call: &Call) -> Self {
        Self {
            call_id: call.call_id,
            verification_id: verification.verification_id,
            step_n: step.n,
            account: verification.account.clone(),
            live: verification.live,
            attempt: call.attempt,
            trunk: call.trunk.clone(),
            to: verification.called(),
            caller_id_masked: call.caller_id_masked.clone(),
            created_at: call.created_at,
            state: call.state.clone(),
        }
    }
}

/// A call that was up when its process died.
#[derive(Clone, Debug, PartialEq)]
pub struct UnfinishedCall {
    /// Its id; [`crate::secrets::Keys::call_identity`] gives the wire's identifiers.
    pub call_id: CallId,
    /// Of which verification.
    pub verification_id: VerificationId,
    /// The trunk.
    pub trunk: TrunkName,
    /// Digits of the request line.
    pub dialled: UserPart,
    /// What the phone shows.
    pub caller_id: CallerId,
    /// What hangs it up; null while it was not answered.
    pub dialog: Option<sip::SavedDialog>,
    /// When it was written down.
    pub created_at: Timestamp,
    /// `Up`, with the target and CSeq that were written down.
    pub state: CallState,
}
