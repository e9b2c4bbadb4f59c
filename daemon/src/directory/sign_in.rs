//! A sign-in: from what somebody typed to the channels that this user may choose from.

use std::time::Duration;

use dialplans::E164;

use crate::accounts::ActingAccount;
use crate::app::App;
use crate::channels;
use crate::email_address::EmailAddress;
use crate::ids::SignInId;
use crate::store::{Identifier, SignIn, SignInStatus, StoreError, Typed, User, Who};
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

/// Begins a sign-in for whoever has this identifier. Where the account conceals who that is, it
/// begins for anybody, with the same work.
pub async fn begin(
    app: &App,
    account: &ActingAccount,
    identifier: &Identifier,
) -> Result<Started, SignInError> {
    let found = app.store().user_by(&account.who(), identifier).await?;
    let now = app.now();
    let conceals = account.rules.unknown_user == config::UnknownUser::Conceal;
    let user_id = match &found {
        Some(user) if user.enabled || conceals => user.user_id,
        Some(_) => return Err(SignInError::Disabled),
        // An id that nobody has.
        None if conceals => app.user_id(now),
        None => return Err(SignInError::NotRegistered),
    };
    let concealed = conceals.then(|| identifier.into());
    let sign_in = SignIn {
        sign_in_id: app.sign_in_id(now),
        account: account.name.to_string(),
        live: account.live,
        status: SignInStatus::Open,
        user_id,
        created_at: now,
        expires_at: now + TTL,
        ended_at: None,
        verification_id: None,
        concealed,
    };
    app.store().create_sign_in(&sign_in).await?;
    let choices = match (&sign_in.concealed, found) {
        (Some(typed), _) => choices_of_typed(app, typed, sign_in.live),
        (None, Some(user)) => choices(app, &user),
        (None, None) => Vec::new(),
    };
    Ok(Started { sign_in, choices })
}

/// A sign-in as it stands; `None`: not there or not for `who`. The user may be gone by then.
pub async fn read(app: &App, who: &Who, id: SignInId) -> Result<Option<Started>, StoreError> {
    let Some(sign_in) = app.store().sign_in(who, id).await? else { return Ok(None) };
    if let Some(typed) = &sign_in.concealed {
        let choices = choices_of_typed(app, typed, sign_in.live);
        return Ok(Some(Started { sign_in, choices }));
    }
    let user = app.store().user(who, sign_in.user_id).await?;
    let choices = match user.filter(|user| user.enabled) {
        Some(user) => choices(app, &user),
        None => Vec::new(),
    };
    Ok(Some(Started { sign_in, choices }))
}

/// The channels that reach this user, cheapest first.
pub fn choices(app: &App, user: &User) -> Vec<Choice> {
    offered(app, (user.phone.as_ref(), user.email.as_ref()), user.live)
}

/// The channels of what was typed, whoever has it: a login leads to none.
fn choices_of_typed(app: &App, typed: &Typed, live: bool) -> Vec<Choice> {
    match typed {
        Typed::Phone(number) => offered(app, (Some(number), None), live),
        Typed::Email(address) => offered(app, (None, Some(address)), live),
        Typed::Unkept => Vec::new(),
    }
}

fn offered(
    app: &App,
    (phone, email): (Option<&E164>, Option<&EmailAddress>),
    live: bool,
) -> Vec<Choice> {
    let settings = app.settings();
    let masked = |channel: Channel| match channel {
        Channel::Email => email.map(ToString::to_string),
        // The user who calls us is told which number to call by the verification itself.
        Channel::FlashCall | Channel::IncomingCall | Channel::Sms | Channel::Voice => {
            phone.map(ToString::to_string)
        }
    };
    Channel::ALL
        .iter()
        .filter(|&&channel| channels::is_offered(&settings, channel, live))
        .filter_map(|&channel| Some(Choice { channel, to_masked: masked(channel)? }))
        .collect()
}
