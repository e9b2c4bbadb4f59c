//! What is asked of the writer about verifications, and what it answers.

use crate::clock::Timestamp;
use crate::ids::VerificationId;
use crate::store::idempotency::{Idempotency, StoredResponse};
use crate::store::limit::{Limit, LimitReached};
use crate::store::view::Who;
use crate::verification::machine::{Answer, Input, Refusal};
use crate::verification::model::Verification;

/// A verification to store.
#[derive(Debug)]
pub struct Create {
    /// With its first step and call, version 1, `sends_used` 1.
    pub verification: Verification,
    /// Open verifications that one account may have for one number and purpose.
    pub max_open: u32,
    /// A tail that this number was shown since then is refused ([`CreateRefused::TailShown`]).
    pub tails_since: Timestamp,
    /// Limits that must have room, and counts.
    pub limits: Vec<Limit>,
    /// The idempotency key, if one came.
    pub idempotency: Option<Idempotency<Verification>>,
}

/// What became of a verification to store.
#[derive(Debug)]
pub enum Created {
    /// It is committed.
    Stored {
        /// As it is stored.
        verification: Box<Verification>,
        /// What the idempotency record holds.
        response: Option<StoredResponse>,
        /// The one of the same session that it ended, whose calls are to be hung up.
        superseded: Option<Box<Verification>>,
    },
    /// The idempotency key was used before: this is what it got.
    Replayed(StoredResponse),
    /// Nothing was stored.
    Refused(CreateRefused),
}

/// Why a verification was not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateRefused {
    /// The idempotency key was used for another request.
    OtherRequest,
    /// A limit has no room.
    Limit(LimitReached),
    /// `max_open` are open for this number and purpose, none of them of this session.
    TooManyOpen,
    /// The number was shown this tail lately; another plan is needed.
    TailShown,
}

/// An input for a stored verification.
#[derive(Debug)]
pub struct Apply {
    /// Which one.
    pub verification_id: VerificationId,
    /// Who asks; another's verification is not found.
    pub who: Who,
    /// What happened.
    pub input: Input,
    /// Limits that must have room before the input is looked at. They are counted when a check
    /// was evaluated as wrong, or another input was accepted.
    pub limits: Vec<Limit>,
    /// The idempotency key, if one came; it is rendered only for an accepted input.
    pub idempotency: Option<Idempotency<(Verification, Answer)>>,
}

impl Apply {
    /// An input of our own, from a call or a timer.
    pub fn internal(verification_id: VerificationId, input: Input) -> Self {
        let who = Who::Gateway;
        Self { verification_id, who, input, limits: Vec::new(), idempotency: None }
    }
}

/// What became of an input.
#[derive(Debug)]
pub enum Applied {
    /// It was accepted, and what changed is committed.
    Accepted {
        /// As it is stored.
        verification: Box<Verification>,
        /// What the input came to.
        answer: Answer,
        /// What the idempotency record holds.
        response: Option<StoredResponse>,
    },
    /// The idempotency key was used before: this is what it got.
    Replayed(StoredResponse),
    /// It was refused.
    Refused {
        /// As it is stored.
        verification: Box<Verification>,
        /// Why.
        refusal: ApplyRefused,
    },
    /// No such verification, or not for `who`.
    NotFound,
}

/// Why an input was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplyRefused {
    /// The machine refused it.
    Machine(Refusal),
    /// The idempotency key was used for another request.
    OtherRequest,
    /// A limit has no room.
    Limit(LimitReached),
}
