//! Users: made, changed, read from a file.

use std::fmt;

use dialplans::E164;

use super::password;
use crate::accounts::ActingAccount;
use crate::app::App;
use crate::email_address::EmailAddress;
use crate::ids::UserId;
use crate::store::{PutUsers, StoreError, User, UserFault, UserFaultCause, UsersPut};

/// A user as a client wishes it, checked in form. Never prints.
#[derive(Clone)]
pub struct UserWish {
    /// What people call it.
    pub name: String,
    /// Its number.
    pub phone: Option<E164>,
    /// Its mailbox.
    pub email: Option<EmailAddress>,
    /// Its login, in lower case.
    pub login: Option<String>,
    /// Its extension.
    pub extension: Option<String>,
    /// What it may do.
    pub role: Option<String>,
    /// Whether it may sign in.
    pub enabled: bool,
}

/// What is to become of a user's password. Never prints.
#[derive(Clone)]
pub enum PasswordWish {
    /// It stays as it is.
    Keep,
    /// There is none from then on.
    Clear,
    /// This one.
    Set(String),
    /// One is drawn and shown once.
    Generate,
}

impl fmt::Debug for PasswordWish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordWish(***)")
    }
}

/// A user as it is stored. Never prints: it may hold a password that is shown once.
pub struct Saved {
    /// The user.
    pub user: User,
    /// The password that was drawn.
    pub password: Option<String>,
}

/// Why a user was not stored.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// There is none with this id.
    #[error("no such user")]
    NotFound,
    /// Another user stands in the way, or it was changed in the meantime.
    #[error("the user cannot be stored")]
    Refused(Vec<UserFault>),
    /// The password could not be hashed.
    #[error(transparent)]
    Password(#[from] password::HashError),
    /// The database did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a file of users was not stored: every fault of it.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Faults by place, from 0.
    #[error("the file has faults")]
    Refused(Vec<UserFault>),
    /// The database did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a user.
pub async fn create(
    app: &App,
    account: &ActingAccount,
    wish: UserWish,
    password: PasswordWish,
) -> Result<Saved, ChangeError> {
    let user = fresh(app, account, app.user_id(app.now()), wish);
    save(app, account, user, 0, password).await
}

/// Writes a user over; `wish` is made from the user as it stands.
pub async fn change(
    app: &App,
    account: &ActingAccount,
    user_id: UserId,
    wish: impl FnOnce(&User) -> UserWish,
    password: PasswordWish,
) -> Result<Saved, ChangeError> {
    let present = app.store().user(&account.who(), user_id).await?;
    let present = present.ok_or(ChangeError::NotFound)?;
    let version = present.version;
    let wish = wish(&present);
    let user = User {
        created_at: present.created_at,
        password_hash: present.password_hash,
        version: version.saturating_add(1),
        ..fresh(app, account, user_id, wish)
    };
    save(app, account, user, version, password).await
}

/// Stores the users of a file, all of them or none; with an id one is written over.
pub async fn import(
    app: &App,
    account: &ActingAccount,
    rows: Vec<(Option<UserId>, UserWish)>,
) -> Result<usize, ImportError> {
    let ids: Vec<UserId> = rows.iter().filter_map(|(id, _)| *id).collect();
    let present = app.store().users_by_id(&account.who(), &ids).await?;
    let mut users = Vec::with_capacity(rows.len());
    let mut faults = Vec::new();
    for (at, (id, wish)) in rows.into_iter().enumerate() {
        let Some(id) = id else {
            users.push((fresh(app, account, app.user_id(app.now()), wish), 0));
            continue;
        };
        match present.iter().find(|user| user.user_id == id) {
            None => faults.push(UserFault { at, cause: UserFaultCause::Gone }),
            Some(before) => {
                let user = User {
                    created_at: before.created_at,
                    password_hash: before.password_hash.clone(),
                    version: before.version.saturating_add(1),
                    ..fresh(app, account, id, wish)
                };
                users.push((user, before.version));
            }
        }
    }
    if !faults.is_empty() {
        return Err(ImportError::Refused(faults));
    }
    let count = users.len();
    let put = PutUsers { account: account.name.to_string(), live: account.live, users };
    match app.store().put_users(put).await? {
        UsersPut::Stored => Ok(count),
        UsersPut::Refused(faults) => Err(ImportError::Refused(faults)),
    }
}

fn fresh(app: &App, account: &ActingAccount, user_id: UserId, wish: UserWish) -> User {
    let now = app.now();
    User {
        user_id,
        account: account.name.to_string(),
        live: account.live,
        version: 1,
        name: wish.name,
        phone: wish.phone,
        email: wish.email,
        login: wish.login,
        extension: wish.extension,
        role: wish.role,
        enabled: wish.enabled,
        password_hash: None,
        created_at: now,
        updated_at: now,
    }
}

async fn save(
    app: &App,
    account: &ActingAccount,
    mut user: User,
    version: u32,
    wish: PasswordWish,
) -> Result<Saved, ChangeError> {
    let mut shown = None;
    match wish {
        PasswordWish::Keep => {}
        PasswordWish::Clear => user.password_hash = None,
        PasswordWish::Set(password) => {
            user.password_hash = Some(password::hash(app, password).await?);
        }
        PasswordWish::Generate => {
            let drawn = password::draw(app);
            user.password_hash = Some(password::hash(app, drawn.clone()).await?);
            shown = Some(drawn);
        }
    }
    let users = vec![(user.clone(), version)];
    let put = PutUsers { account: account.name.to_string(), live: account.live, users };
    match app.store().put_users(put).await? {
        UsersPut::Stored => Ok(Saved { user, password: shown }),
        UsersPut::Refused(faults) => Err(ChangeError::Refused(faults)),
    }
}
