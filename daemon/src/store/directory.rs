//! The directory as it is kept: users, and the sign-ins they begin.

use std::fmt;

use dialplans::E164;
use rand_chacha::ChaCha20Rng;

use crate::clock::Timestamp;
use crate::email_address::EmailAddress;
use crate::ids::{SignInId, UserId, VerificationId};
use crate::secrets::{Keys, SealedColumn};
use crate::store::convert::{Table, int};
use crate::store::limit::{Limit, LimitReached};
use crate::store::request::{Request, TakeAsk, UserAsk};
use crate::store::row::{SignInRow, UserRow};
use crate::store::sql_types::Key;
use crate::store::{Page, PageFilter, Store, StoreError, Who, page};
use crate::verification::status::words;

const USER_PHONE: SealedColumn = SealedColumn("directory_user.phone");
const USER_EMAIL: SealedColumn = SealedColumn("directory_user.email");
const SIGN_IN_TYPED: SealedColumn = SealedColumn("sign_in.typed");

/// Somebody who may sign in.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub user_id: UserId,
    /// The owning account.
    pub account: String,
    /// False under a test key.
    pub live: bool,
    /// Rises by one with each stored change, from 1.
    pub version: u32,
    /// What people call it.
    pub name: String,
    /// Its number.
    pub phone: Option<E164>,
    /// Its mailbox.
    pub email: Option<EmailAddress>,
    /// Its login, in lower case.
    pub login: Option<String>,
    /// Its extension in the client's exchange.
    pub extension: Option<String>,
    /// The client's own word for what it may do.
    pub role: Option<String>,
    /// Whether it may sign in.
    pub enabled: bool,
    /// Argon2id in PHC form; `None`: no password is set.
    pub password_hash: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

/// By what a user is found; each stands at most once in an account. Never prints.
#[derive(Clone, PartialEq, Eq)]
pub enum Identifier {
    /// A number.
    Phone(E164),
    /// A mailbox.
    Email(EmailAddress),
    /// A login, in lower case.
    Login(String),
}

words! {
    /// What an identifier is.
    IdentifierKind {
        /// A number.
        Phone = "phone",
        /// A mailbox.
        Email = "email",
        /// A login.
        Login = "login",
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identifier({})", self.kind().as_str())
    }
}

impl Identifier {
    /// What it is.
    pub fn kind(&self) -> IdentifierKind {
        match self {
            Self::Phone(_) => IdentifierKind::Phone,
            Self::Email(_) => IdentifierKind::Email,
            Self::Login(_) => IdentifierKind::Login,
        }
    }

    pub(crate) fn key(&self, keys: &Keys, account: &str, live: bool) -> Key {
        let (kind, value) = match self {
            Self::Phone(number) => (IdentifierKind::Phone, number.reveal().as_str().to_owned()),
            Self::Email(address) => (IdentifierKind::Email, address.folded()),
            Self::Login(login) => (IdentifierKind::Login, login.clone()),
        };
        let parts = [account.as_bytes(), &[u8::from(live)], kind.as_str().as_bytes()];
        let [account, live, kind] = parts;
        Key::cut(keys.text_hmac("directory", &[account, live, kind, value.as_bytes()]))
    }
}

/// Users to store, all of them or none.
#[derive(Debug)]
pub struct PutUsers {
    /// Whose they are.
    pub account: String,
    /// False under a test key.
    pub live: bool,
    /// Each with the version that it takes the place of; 0: it is new.
    pub users: Vec<(User, u32)>,
}

/// What became of users to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsersPut {
    /// All are committed.
    Stored,
    /// Nothing was stored.
    Refused(Vec<UserFault>),
}

/// Why a user cannot be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserFault {
    /// Its place among those that were to be stored, from 0.
    pub at: usize,
    /// Why.
    pub cause: UserFaultCause,
}

/// Why a user cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserFaultCause {
    /// Another user of the account, or of the same request, has this identifier.
    Taken(IdentifierKind),
    /// There is none with this id.
    Gone,
    /// It was changed in the meantime.
    Changed,
}

words! {
    /// Where a sign-in stands. Only `Open` moves.
    SignInStatus {
        /// A verification may complete it.
        Open = "open",
        /// A verification of it was approved.
        Completed = "completed",
        /// The checks of a verification of it were used up.
        Failed = "failed",
        /// Its time ran out.
        Expired = "expired",
    }
}

/// A sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// Its id.
    pub sign_in_id: SignInId,
    /// The owning account.
    pub account: String,
    /// False under a test key.
    pub live: bool,
    /// Where it stands in the store: one whose time has run out may still say open.
    pub status: SignInStatus,
    /// Whose it is.
    pub user_id: UserId,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// When it ended; null while it is open.
    pub ended_at: Option<Timestamp>,
    /// The verification that ended it.
    pub verification_id: Option<VerificationId>,
    /// What was typed, where the account conceals who is registered: then this sign-in leads
    /// nowhere else, and its user may be nobody's. `None`: the account tells.
    pub concealed: Option<Typed>,
}

/// What somebody typed. Never prints.
#[derive(Clone, PartialEq, Eq)]
pub enum Typed {
    /// A number.
    Phone(E164),
    /// A mailbox.
    Email(EmailAddress),
    /// A login, which is not kept, or what was kept for its time.
    Unkept,
}

impl fmt::Debug for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().as_str())
    }
}

impl From<&Identifier> for Typed {
    fn from(identifier: &Identifier) -> Self {
        match identifier {
            Identifier::Phone(number) => Self::Phone(*number),
            Identifier::Email(address) => Self::Email(address.clone()),
            Identifier::Login(_) => Self::Unkept,
        }
    }
}

impl Typed {
    fn kind(&self) -> IdentifierKind {
        match self {
            Self::Phone(_) => IdentifierKind::Phone,
            Self::Email(_) => IdentifierKind::Email,
            Self::Unkept => IdentifierKind::Login,
        }
    }

    /// What is sealed; nothing of a login.
    fn text(&self) -> Option<String> {
        match self {
            Self::Phone(number) => Some(number.reveal().as_str().to_owned()),
            Self::Email(address) => Some(address.reveal().to_owned()),
            Self::Unkept => None,
        }
    }

    fn from_row(keys: &Keys, row: &SignInRow) -> Result<Option<Self>, StoreError> {
        let table = Table("sign_in");
        let Some(kind) = &row.typed_kind else { return Ok(None) };
        let Some(sealed) = &row.typed_sealed else { return Ok(Some(Self::Unkept)) };
        let unseal = || table.unseal(keys, SIGN_IN_TYPED, row.sign_in_id.0, sealed);
        Ok(Some(match table.column("typed_kind", IdentifierKind::from_word(kind))? {
            IdentifierKind::Phone => {
                Self::Phone(E164::parse(&unseal()?).map_err(|_| table.damaged("typed_sealed"))?)
            }
            IdentifierKind::Email => {
                let text = unseal()?;
                Self::Email(EmailAddress::parse(&text).map_err(|_| table.damaged("typed_sealed"))?)
            }
            IdentifierKind::Login => Self::Unkept,
        }))
    }
}

impl SignIn {
    /// Where it stands at `now`.
    pub fn status_at(&self, now: Timestamp) -> SignInStatus {
        match self.status {
            SignInStatus::Open if now >= self.expires_at => SignInStatus::Expired,
            status => status,
        }
    }

    pub(crate) fn to_row(&self, keys: &Keys, rng: &mut ChaCha20Rng) -> SignInRow {
        let id = self.sign_in_id.0;
        let typed = self.concealed.as_ref();
        let text = typed.and_then(Typed::text);
        SignInRow {
            typed_kind: typed.map(|typed| typed.kind().as_str().to_owned()),
            typed_sealed: text.map(|text| keys.seal(rng, SIGN_IN_TYPED, id, text.as_bytes())),
            sign_in_id: self.sign_in_id,
            account: self.account.clone(),
            live: self.live,
            status: self.status.as_str().to_owned(),
            user_id: self.user_id,
            created_at: self.created_at,
            expires_at: self.expires_at,
            ended_at: self.ended_at,
            verification_id: self.verification_id,
        }
    }

    pub(crate) fn from_row(keys: &Keys, row: SignInRow) -> Result<Self, StoreError> {
        let status = SignInStatus::from_word(&row.status);
        Ok(Self {
            concealed: Typed::from_row(keys, &row)?,
            sign_in_id: row.sign_in_id,
            account: row.account,
            live: row.live,
            status: Table("sign_in").column("status", status)?,
            user_id: row.user_id,
            created_at: row.created_at,
            expires_at: row.expires_at,
            ended_at: row.ended_at,
            verification_id: row.verification_id,
        })
    }
}

impl Store {
    /// Stores users, all of them or none.
    pub async fn put_users(&self, put: PutUsers) -> Result<UsersPut, StoreError> {
        let ask = UserAsk::new(&self.0.keys, put);
        self.ask(|task| Request::PutUsers(Box::new(task)), ask).await
    }

    /// Removes a user; false: not there or not for `who`.
    pub async fn delete_user(&self, who: &Who, user_id: UserId) -> Result<bool, StoreError> {
        self.ask(Request::DeleteUser, (who.clone(), user_id)).await
    }

    /// One user; `None`: not there or not for `who`.
    pub async fn user(&self, who: &Who, user_id: UserId) -> Result<Option<User>, StoreError> {
        Ok(self.users_by_id(who, &[user_id]).await?.pop())
    }

    /// Those of these users that are there for `who`.
    pub async fn users_by_id(&self, who: &Who, ids: &[UserId]) -> Result<Vec<User>, StoreError> {
        self.seen_users(who, self.0.reader.users(ids, &[]).await?)
    }

    /// Who has this identifier in the account of `who`.
    pub async fn user_by(
        &self,
        who: &Who,
        identifier: &Identifier,
    ) -> Result<Option<User>, StoreError> {
        let (Some(account), Some(live)) = who.narrowed() else { return Ok(None) };
        let key = identifier.key(&self.0.keys, account, live);
        Ok(self.seen_users(who, self.0.reader.users(&[], &[key]).await?)?.pop())
    }

    /// Users of an account, newest first.
    pub async fn users(&self, who: &Who, filter: &PageFilter) -> Result<Page<User>, StoreError> {
        let items = self.seen_users(who, self.0.reader.list_users(who, filter).await?)?;
        Ok(page(items, filter.limit, |user| user.user_id.0))
    }

    /// Stores a sign-in that begins.
    pub async fn create_sign_in(&self, sign_in: &SignIn) -> Result<(), StoreError> {
        self.ask(|task| Request::CreateSignIn(Box::new(task)), sign_in.clone()).await
    }

    /// Ends a sign-in that is open, without a verification.
    pub async fn end_sign_in(&self, id: SignInId, status: SignInStatus) -> Result<(), StoreError> {
        self.ask(Request::EndSignIn, (id, status)).await
    }

    /// Takes from limits, all or none. Answers the first that has no room.
    pub async fn take_limits(&self, limits: &[Limit]) -> Result<Option<LimitReached>, StoreError> {
        let ask = TakeAsk::new(&self.0.keys, limits);
        self.ask(|task| Request::Take(Box::new(task)), ask).await
    }

    /// One sign-in; `None`: not there or not for `who`.
    pub async fn sign_in(&self, who: &Who, id: SignInId) -> Result<Option<SignIn>, StoreError> {
        let row = self.0.reader.sign_in(id).await?;
        let row = row.filter(|row| who.sees(&row.account, row.live));
        row.map(|row| SignIn::from_row(&self.0.keys, row)).transpose()
    }

    fn seen_users(&self, who: &Who, rows: Vec<UserRow>) -> Result<Vec<User>, StoreError> {
        let rows = rows.into_iter().filter(|row| who.sees(&row.account, row.live));
        rows.map(|row| User::from_row(&self.0.keys, row)).collect()
    }
}

impl User {
    /// By what it is found.
    pub(crate) fn identifiers(&self) -> impl Iterator<Item = (IdentifierKind, Identifier)> {
        let phone = self.phone.map(|phone| (IdentifierKind::Phone, Identifier::Phone(phone)));
        let email = self.email.clone();
        let email = email.map(|email| (IdentifierKind::Email, Identifier::Email(email)));
        let login = self.login.clone();
        let login = login.map(|login| (IdentifierKind::Login, Identifier::Login(login)));
        [phone, email, login].into_iter().flatten()
    }

    pub(crate) fn to_row(&self, keys: &Keys, rng: &mut ChaCha20Rng) -> UserRow {
        let id = self.user_id.0;
        let key = |identifier: Identifier| identifier.key(keys, &self.account, self.live);
        let phone = self.phone;
        let email = self.email.as_ref();
        UserRow {
            user_id: self.user_id,
            account: self.account.clone(),
            live: self.live,
            version: int(self.version),
            name: self.name.clone(),
            phone_sealed: phone
                .map(|phone| keys.seal(rng, USER_PHONE, id, phone.reveal().as_bytes())),
            phone_hmac: phone.map(|phone| key(Identifier::Phone(phone))),
            phone_masked: phone.map(|phone| phone.to_string()),
            email_sealed: email
                .map(|email| keys.seal(rng, USER_EMAIL, id, email.reveal().as_bytes())),
            email_hmac: email.map(|email| key(Identifier::Email(email.clone()))),
            email_masked: email.map(EmailAddress::to_string),
            login: self.login.clone(),
            login_hmac: self.login.clone().map(|login| key(Identifier::Login(login))),
            extension: self.extension.clone(),
            role: self.role.clone(),
            enabled: self.enabled,
            password_hash: self.password_hash.clone(),
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }

    pub(crate) fn from_row(keys: &Keys, row: UserRow) -> Result<Self, StoreError> {
        let table = Table("directory_user");
        let id = row.user_id.0;
        let phone = row.phone_sealed.as_deref().map(|sealed| {
            let text = table.unseal(keys, USER_PHONE, id, sealed)?;
            E164::parse(&text).map_err(|_| table.damaged("phone"))
        });
        let email = row.email_sealed.as_deref().map(|sealed| {
            let text = table.unseal(keys, USER_EMAIL, id, sealed)?;
            EmailAddress::parse(&text).map_err(|_| table.damaged("email"))
        });
        Ok(Self {
            user_id: row.user_id,
            account: row.account,
            live: row.live,
            version: table.number("version", row.version)?,
            name: row.name,
            phone: phone.transpose()?,
            email: email.transpose()?,
            login: row.login,
            extension: row.extension,
            role: row.role,
            enabled: row.enabled,
            password_hash: row.password_hash,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}
