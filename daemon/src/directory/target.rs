//! From what a client named to what can be proved.

use std::fmt;

use dialplans::E164;

use crate::accounts::ActingAccount;
use crate::app::App;
use crate::email_address::EmailAddress;
use crate::ids::{SignInId, UserId};
use crate::store::{SignInStatus, StoreError, Typed, User};

/// What a client named. Never prints.
#[derive(Clone)]
pub enum ToWish {
    /// A number.
    Number(E164),
    /// A mailbox.
    Mailbox(EmailAddress),
    /// A user of the directory.
    User(UserId),
    /// A sign-in.
    SignIn(SignInId),
}

/// What is to be proved: a number, a mailbox, or whichever the channel reaches. Prints masked.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// The number.
    pub number: Option<E164>,
    /// The mailbox.
    pub mailbox: Option<EmailAddress>,
    /// Whose they are.
    pub user_id: Option<UserId>,
    /// For which sign-in.
    pub sign_in_id: Option<SignInId>,
}

impl From<E164> for Target {
    fn from(number: E164) -> Self {
        Self { number: Some(number), ..Self::default() }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

/// Why there is nothing to prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// There is no such user.
    #[error("no such user")]
    NoUser,
    /// The user may not sign in.
    #[error("the user is disabled")]
    Disabled,
    /// There is no such sign-in.
    #[error("no such sign-in")]
    NoSignIn,
    /// It has ended.
    #[error("the sign-in has ended: {}", .0.as_str())]
    SignInEnded(SignInStatus),
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Looks up what was named.
pub async fn resolve(
    app: &App,
    account: &ActingAccount,
    wish: &ToWish,
) -> Result<Target, TargetError> {
    match wish {
        ToWish::Number(number) => Ok((*number).into()),
        ToWish::Mailbox(mailbox) => {
            Ok(Target { mailbox: Some(mailbox.clone()), ..Target::default() })
        }
        ToWish::User(id) => Ok(of_user(&enabled(app, account, *id).await?, None)),
        ToWish::SignIn(id) => {
            let sign_in = app.store().sign_in(&account.who(), *id).await?;
            let sign_in = sign_in.ok_or(TargetError::NoSignIn)?;
            match sign_in.status_at(app.now()) {
                SignInStatus::Open => {}
                ended => return Err(TargetError::SignInEnded(ended)),
            }
            let Some(typed) = sign_in.concealed else {
                return Ok(of_user(&enabled(app, account, sign_in.user_id).await?, Some(*id)));
            };
            let user = app.store().user(&account.who(), sign_in.user_id).await?;
            Ok(Target { sign_in_id: Some(*id), ..of_typed(typed, user.as_ref()) })
        }
    }
}

async fn enabled(app: &App, account: &ActingAccount, id: UserId) -> Result<User, TargetError> {
    match app.store().user(&account.who(), id).await? {
        None => Err(TargetError::NoUser),
        Some(user) if !user.enabled => Err(TargetError::Disabled),
        Some(user) => Ok(user),
    }
}

/// What was typed and nothing else of the user. `user_id` is `None` where nobody is to be reached:
/// nobody has it, or is not to sign in.
fn of_typed(typed: Typed, user: Option<&User>) -> Target {
    let user = user.filter(|user| user.enabled);
    match typed {
        Typed::Phone(number) => Target {
            user_id: user.filter(|user| user.phone == Some(number)).map(|user| user.user_id),
            ..number.into()
        },
        Typed::Email(address) => {
            let its = |user: &&User| {
                user.email.as_ref().is_some_and(|own| own.folded() == address.folded())
            };
            let user_id = user.filter(its).map(|user| user.user_id);
            Target { mailbox: Some(address), user_id, ..Target::default() }
        }
        Typed::Unkept => Target::default(),
    }
}

fn of_user(user: &User, sign_in_id: Option<SignInId>) -> Target {
    let mailbox = user.email.clone();
    Target { number: user.phone, mailbox, user_id: Some(user.user_id), sign_in_id }
}
