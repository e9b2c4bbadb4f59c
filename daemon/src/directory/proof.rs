//! Proofs: what a client hands on to its own backend, which spends it once.
//!
//! A proof is a mark over the id of what was proved, by a key of its own, so nothing is stored
//! until it is spent.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::accounts::ActingAccount;
use crate::app::App;
use crate::ids::{SignInId, VerificationId};
use crate::limits;
use crate::secrets::Keys;
use crate::store::{SignIn, SignInStatus, StoreError};
use crate::verification::model::{Verification, VerificationStatus};

const PREFIX: &str = "prf_";

/// How long after the end of what it proves.
const TTL: Duration = Duration::from_secs(600);

/// What a proof proves.
#[derive(Clone, Debug)]
pub enum Proved {
    /// An approved verification.
    Verification(Box<Verification>),
    /// A sign-in that a password completed.
    SignIn(Box<SignIn>),
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// It is none of this account's, or its time is over.
    #[error("no such proof")]
    Unknown,
    /// It was spent before.
    #[error("the proof was spent before")]
    Spent,
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The proof of an approved verification, where one is wanted: of a sign-in, or before a new
/// password.
pub fn of_verification(keys: &Keys, verification: &Verification) -> Option<String> {
    let is_wanted =
        verification.sign_in_id.is_some() || verification.purpose == config::PASSWORD_RESET;
    let is_approved = verification.status == VerificationStatus::Approved;
    (is_wanted && is_approved)
        .then(|| proof(keys, &verification.account, &verification.verification_id.to_string()))
}

/// The proof of a sign-in that a password completed.
pub fn of_sign_in(keys: &Keys, sign_in: &SignIn) -> String {
    proof(keys, &sign_in.account, &sign_in.sign_in_id.to_string())
}

fn proof(keys: &Keys, account: &str, id: &str) -> String {
    let mark = URL_SAFE_NO_PAD.encode(keys.proof_mark(account, id));
    format!("{PREFIX}{id}_{mark}")
}

/// Reads a proof, without spending it.
pub async fn read(app: &App, account: &ActingAccount, text: &str) -> Result<Proved, ProofError> {
    let inner = text.strip_prefix(PREFIX).ok_or(ProofError::Unknown)?;
    // A mark may hold the sign that stands before it; an id holds it once.
    let mut places = inner.match_indices('_').map(|(at, _)| at);
    let at = places.nth(1).ok_or(ProofError::Unknown)?;
    let (id, mark) = (&inner[..at], &inner[at + 1..]);
    let mark = URL_SAFE_NO_PAD.decode(mark).map_err(|_| ProofError::Unknown)?;
    if !app.keys().proof_matches(account.name.as_str(), id, &mark) {
        return Err(ProofError::Unknown);
    }
    let (who, now) = (account.who(), app.now());
    let proved = if let Ok(id) = id.parse::<VerificationId>() {
        let found = app.store().verification(&who, id).await?;
        let found = found.filter(|found| found.status == VerificationStatus::Approved);
        found.map(|found| (found.ended_at, Proved::Verification(Box::new(found))))
    } else if let Ok(id) = id.parse::<SignInId>() {
        let found = app.store().sign_in(&who, id).await?;
        let found = found.filter(|found| found.status == SignInStatus::Completed);
        found.map(|found| (found.ended_at, Proved::SignIn(Box::new(found))))
    } else {
        None
    };
    match proved {
        Some((Some(ended_at), proved)) if now < ended_at + TTL => Ok(proved),
        _ => Err(ProofError::Unknown),
    }
}

/// Spends a proof that was read: the second time is refused.
pub async fn spend(app: &App, proved: &Proved) -> Result<(), ProofError> {
    let id = match proved {
        Proved::Verification(verification) => verification.verification_id.0,
        Proved::SignIn(sign_in) => sign_in.sign_in_id.0,
    };
    match app.store().take_limits(&[limits::of_proof(id, TTL)]).await? {
        None => Ok(()),
        Some(_) => Err(ProofError::Spent),
    }
}
