//! How a sign-in ends without a code: by a password, or by a new one that a proof allows.

use super::password::{self, HashError};
use super::proof::{self, ProofError, Proved};
use super::sign_in::{Started, read};
use super::users::{ChangeError, PasswordWish, UserWish, change};
use crate::accounts::ActingAccount;
use crate::app::App;
use crate::ids::SignInId;
use crate::limits::{self, Guesser};
use crate::store::{LimitReached, SignIn, SignInStatus, StoreError, User};
use crate::verification::model::Client;

/// What a password came to.
#[derive(Clone, Debug)]
pub struct Tried {
    /// The sign-in as it stands.
    pub started: Started,
    /// Whether it was this request that completed it.
    pub valid: bool,
}

/// Why no password was looked at, or none was set.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// There is no such sign-in.
    #[error("no such sign-in")]
    NotFound,
    /// It has ended.
    #[error("the sign-in has ended: {}", .0.as_str())]
    Ended(SignInStatus),
    /// The user may not sign in, or is gone.
    #[error("the user is disabled")]
    Disabled,
    /// Too many wrong passwords.
    #[error("a limit has no room")]
    Limit(LimitReached),
    /// The proof is none, or not of this user's `password_reset`.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The new password was not stored.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The password could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The database did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Tries a password. Nobody's password takes as long as somebody's.
pub async fn by_password(
    app: &App,
    account: &ActingAccount,
    id: SignInId,
    client: &Client,
    password: String,
) -> Result<Tried, EntryError> {
    let sign_in = open(app, account, id).await?;
    let user = app.store().user(&account.who(), sign_in.user_id).await?;
    let user = user.filter(|user| user.enabled);
    let guesser = Guesser { account: account.name.as_str(), client };
    // The try is counted before it is made: many at once are no more than few.
    let tries = limits::for_password(id, sign_in.user_id, guesser);
    if let Some(reached) = app.store().take_limits(&tries).await? {
        return Err(EntryError::Limit(reached));
    }
    let hash = user.and_then(|user| user.password_hash);
    let valid = password::is_right(password, hash).await?;
    if valid {
        app.store().end_sign_in(id, SignInStatus::Completed).await?;
    } else {
        let wrong = limits::for_wrong_password(sign_in.user_id, guesser);
        app.store().take_limits(&wrong).await?;
        if app.store().limit_reached(&limits::tries_of(id)).await?.is_some() {
            app.store().end_sign_in(id, SignInStatus::Failed).await?;
        }
    }
    let started = read(app, &account.who(), id).await?.ok_or(EntryError::NotFound)?;
    // Another request may have ended it in the meantime.
    let valid = valid && started.sign_in.status == SignInStatus::Completed;
    Ok(Tried { started, valid })
}

/// Sets a new password by the proof of an approved `password_reset` of the same user, and
/// completes the sign-in. The proof is spent whatever follows.
pub async fn by_new_password(
    app: &App,
    account: &ActingAccount,
    id: SignInId,
    proof_text: &str,
    password: String,
) -> Result<Started, EntryError> {
    let sign_in = open(app, account, id).await?;
    let proved = proof::read(app, account, proof_text).await?;
    let is_reset = match &proved {
        Proved::Verification(verification) => {
            verification.purpose == config::PASSWORD_RESET
                && verification.user_id == Some(sign_in.user_id)
        }
        Proved::SignIn(_) => false,
    };
    if !is_reset {
        return Err(ProofError::Unknown.into());
    }
    let user = app.store().user(&account.who(), sign_in.user_id).await?;
    if !user.is_some_and(|user| user.enabled) {
        return Err(EntryError::Disabled);
    }
    proof::spend(app, &proved).await?;
    let wish = PasswordWish::Set(password);
    change(app, account, sign_in.user_id, unchanged, wish).await?;
    app.store().end_sign_in(id, SignInStatus::Completed).await?;
    read(app, &account.who(), id).await?.ok_or(EntryError::NotFound)
}

async fn open(app: &App, account: &ActingAccount, id: SignInId) -> Result<SignIn, EntryError> {
    let found = app.store().sign_in(&account.who(), id).await?;
    let sign_in = found.ok_or(EntryError::NotFound)?;
    match sign_in.status_at(app.now()) {
        SignInStatus::Open => Ok(sign_in),
        ended => Err(EntryError::Ended(ended)),
    }
}

fn unchanged(user: &User) -> UserWish {
    UserWish {
        name: user.name.clone(),
        phone: user.phone,
        email: user.email.clone(),
        login: user.login.clone(),
        extension: user.extension.clone(),
        role: user.role.clone(),
        enabled: user.enabled,
    }
}
