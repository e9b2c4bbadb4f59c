//! Redirects: an account's own texts for one phone go to a mailbox.
//!
//! A redirect holds while its time has not run out and, unless it was made by override, while the
//! mailbox is still that of the user's card. Phone and mailbox are told of it, and each use stands
//! in the audit, written with what used it. A reset of a password is never redirected.

pub(super) mod letters;
mod words;

use std::time::Duration;

use dialplans::E164;

use super::{CreateError, deliver};
use crate::accounts::ActingAccount;
use crate::app::App;
use crate::clock::Timestamp;
use crate::email_address::EmailAddress;
use crate::ids::RedirectId;
use crate::store::{
    Identifier, LetterKind, Message, PutRedirect, Redirect, RedirectMode, StoreError, StoredLetter,
    User, Who,
};
use words::Told;

/// How long a redirect holds when the client does not say.
const DEFAULT_LIFE: Duration = Duration::from_secs(30 * 86_400);
/// How long a notice may wait for its trunk or mail server.
const NOTICE_VALIDITY: Duration = Duration::from_secs(86_400);

/// A redirect as a client wishes it. Never prints.
pub struct RedirectWish {
    /// Whose texts.
    pub phone: E164,
    /// Where they go; `None`: to the mailbox of the user's card.
    pub email: Option<EmailAddress>,
    /// Instead or also.
    pub mode: RedirectMode,
    /// Until when; `None`: 30 days.
    pub until: Option<Timestamp>,
    /// Why.
    pub reason: Option<String>,
    /// Whether the mailbox may be another than that of the card.
    pub is_override: bool,
}

/// Why a redirect was not stored.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// No mailbox was given, and the user has none.
    #[error("there is no mailbox")]
    NoMailbox,
    /// The mailbox is not that of the user's card.
    #[error("the mailbox is not the user's")]
    NotOfUser,
    /// An override needs a reason.
    #[error("an override needs a reason")]
    NoReason,
    /// The user may not sign in.
    #[error("the user is disabled")]
    UserDisabled,
    /// This gateway sends no mail.
    #[error("no mail can be sent")]
    NoMail,
    /// The phone cannot be told.
    #[error("the phone cannot be told")]
    Notice(#[source] CreateError),
    /// The process is stopping.
    #[error("the process is stopping")]
    Stopping,
    /// The database did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Stores a redirect, and tells phone and mailbox of it unless they know.
pub async fn put(
    app: &App,
    account: &ActingAccount,
    actor: String,
    wish: RedirectWish,
) -> Result<Redirect, PutError> {
    let settings = app.settings();
    if app.stop().is_cancelled() {
        return Err(PutError::Stopping);
    }
    if account.live && settings.config.email.is_none() {
        return Err(PutError::NoMail);
    }
    let phone = Identifier::Phone(wish.phone);
    let card = app.store().user_by(&account.who(), &phone).await?;
    let (email, is_override) = mailbox(&wish, card.as_ref())?;
    let now = app.now();
    let redirect = Redirect {
        redirect_id: app.with_ids_rng(|rng| RedirectId::generate(now, rng)),
        account: account.name.to_string(),
        live: account.live,
        version: 1,
        phone: wish.phone,
        email,
        mode: wish.mode,
        is_override,
        reason: wish.reason,
        until: wish.until.unwrap_or(now + DEFAULT_LIFE),
        created_at: now,
        updated_at: now,
    };
    let told = Told::new(&redirect, account.rules.default_region);
    let notice = super::notice(app, account, wish.phone, told.text(), NOTICE_VALIDITY);
    let notice = notice.map_err(PutError::Notice)?;
    let (subject, text) = told.letter();
    let letter = StoredLetter {
        kind: LetterKind::Notice,
        message_id: None,
        is_instead: false,
        valid_until: now + NOTICE_VALIDITY,
        ..letter(app, &redirect, subject, text)
    };
    let stored = app.store().put_redirect(PutRedirect { redirect, actor, notice, letter }).await?;
    if let Some(told) = stored.told {
        let (notice, letter) = *told;
        deliver::start(app, notice);
        letters::start(app, letter);
    }
    Ok(stored.redirect)
}

/// The mailbox, and whether it is another than that of the card.
fn mailbox(wish: &RedirectWish, card: Option<&User>) -> Result<(EmailAddress, bool), PutError> {
    let own = card.and_then(|card| card.email.as_ref());
    let is_own = |email: &EmailAddress| own.is_some_and(|own| own.folded() == email.folded());
    match &wish.email {
        Some(email) if wish.is_override && !is_own(email) => match &wish.reason {
            Some(_) => Ok((email.clone(), true)),
            None => Err(PutError::NoReason),
        },
        _ if card.is_some_and(|card| !card.enabled) => Err(PutError::UserDisabled),
        Some(email) if is_own(email) => Ok((email.clone(), false)),
        Some(_) => Err(PutError::NotOfUser),
        None => own.map(|own| (own.clone(), false)).ok_or(PutError::NoMailbox),
    }
}

/// The redirect that holds for a code or text of this account to this phone, if there is one.
pub async fn find(app: &App, who: &Who, phone: &E164) -> Result<Option<Redirect>, StoreError> {
    let Some(redirect) = app.store().redirect_of(who, phone).await? else { return Ok(None) };
    if !redirect.is_active(app.now()) {
        return Ok(None);
    }
    if redirect.is_override {
        return Ok(Some(redirect));
    }
    let card = app.store().user_by(who, &Identifier::Phone(*phone)).await?;
    let is_theirs = card
        .filter(|card| card.enabled)
        .and_then(|card| card.email)
        .is_some_and(|own| own.folded() == redirect.email.folded());
    if !is_theirs {
        // The mailbox may be somebody else's by now.
        let redirect_id = redirect.redirect_id;
        tracing::warn!(%redirect_id, "a redirect does not hold: the card has another mailbox");
    }
    Ok(is_theirs.then_some(redirect))
}

/// Whether codes of this purpose may be redirected. Those that reset a password never are: who
/// has the mailbox would have the password.
pub fn may_redirect(purpose: &str) -> bool {
    purpose != config::PASSWORD_RESET
}

/// The letter that carries a text.
pub(super) fn letter_of(
    app: &App,
    account: &ActingAccount,
    redirect: &Redirect,
    message: &Message,
) -> StoredLetter {
    let told = Told::new(redirect, account.rules.default_region);
    let text = message.text.clone().unwrap_or_default();
    let (subject, text) = told.letter_of(text);
    StoredLetter {
        kind: LetterKind::Text,
        message_id: Some(message.message_id),
        is_instead: redirect.mode == RedirectMode::Instead,
        valid_until: message.valid_until,
        ..letter(app, redirect, subject, text)
    }
}

fn letter(app: &App, redirect: &Redirect, subject: String, text: String) -> StoredLetter {
    let now = app.now();
    StoredLetter {
        letter_id: app.with_ids_rng(|rng| crate::ids::LetterId::generate(now, rng)),
        account: redirect.account.clone(),
        live: redirect.live,
        kind: LetterKind::Notice,
        redirect_id: redirect.redirect_id,
        to: redirect.email.clone(),
        subject,
        text,
        message_id: None,
        is_instead: false,
        created_at: now,
        valid_until: now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_of_a_password_is_never_redirected() {
        assert!(!may_redirect("password_reset"));
        assert!(may_redirect("sign_in"));
    }
}
