//! A sign-in: from what somebody typed to the channels that this user may choose from.

use std::time::Duration;

use crate::accounts::ActingAccount;
use crate::app::App;
use crate::channels;
use crate::ids::SignInId;
use crate::store::{Identifier, SignIn, SignInStatus, StoreError, User, Who};
use crate::verification::model::Channel;

/// How long a sign-in stays open: two verifications of five minutes.
const TTL: Duration = Duration::from_secs(600);

/// A channel that a user may choose, and where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The channel.
    pub channel: Channel,
    /// The number or mailbox, masked.
    pub to_masked: String,
}

/// A sign-in with what its user may choose.
#[derive(Clone, Debug)]
pub struct Started {
    /// As it is stored.
    pub sign_in: SignIn,
    /// The channels.
    pub choices: Vec<Choice>,
}

/// Why no sign-in was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// Nobody in the directory has this identifier.
    #[error("nobody in the directory has this identifier")]
    NotRegistered,
    /// The user may not sign in.
    #[error("the user is disabled")]
    Disabled,
    /// The database did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Begins a sign-in for whoever has this identifier.
pub async fn begin(
    app: &App,
    account: &ActingAccount,
    identifier: &Identifier,
) -> Result<Started, SignInError> {
    let found = app.store().user_by(&account.who(), identifier).await?;
    let user = found.ok_or(SignInError::NotRegistered)?;
    if !user.enabled {
        return Err(SignInError::Disabled);
    }
    let now = app.now();
    let sign_in = SignIn {
        sign_in_id: app.sign_in_id(now),
        account: account.name.to_string(),
        live: account.live,
        status: SignInStatus::Open,
        user_id: user.user_id,
        created_at: now,
        expires_at: now + TTL,
        ended_at: None,
        verification_id: None,
    };
    app.store().create_sign_in(&sign_in).await?;
    let choices = choices(app, &user);
    Ok(Started { sign_in, choices })
}

/// A sign-in as it stands; `None`: not there or not for `who`. The user may be gone by then.
pub async fn read(app: &App, who: &Who, id: SignInId) -> Result<Option<Started>, StoreError> {
    let Some(sign_in) = app.store().sign_in(who, id).await? else { return Ok(None) };
    let user = app.store().user(who, sign_in.user_id).await?;
    let choices = match user.filter(|user| user.enabled) {
        Some(user) => choices(app, &user),
        None => Vec::new(),
    };
    Ok(Some(Started { sign_in, choices }))
}

/// The channels that reach this user, cheapest first.
pub fn choices(app: &App, user: &User) -> Vec<Choice> {
    let settings = app.settings();
    let masked = |channel: Channel| match channel {
        Channel::Email => user.email.as_ref().map(ToString::to_string),
        // The user who calls us is told which number to call by the verification itself.
        Channel::FlashCall | Channel::IncomingCall | Channel::Sms | Channel::Voice => {
            user.phone.map(|phone| phone.to_string())
        }
    };
    Channel::ALL
        .iter()
        .filter(|&&channel| channels::is_offered(&settings, channel, user.live))
        .filter_map(|&channel| Some(Choice { channel, to_masked: masked(channel)? }))
        .collect()
}
