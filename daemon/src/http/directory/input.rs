//! What a client may write about a user, in JSON and in CSV.

use dialplans::E164;
use serde_json::Value;

use crate::accounts::ActingAccount;
use crate::directory::{PasswordWish, UserWish};
use crate::email_address::EmailAddress;
use crate::http::error::Problem;
use crate::http::input::{Faults, Object, TextRule};
use crate::store::User;
use crate::verification::service::MagicNumber;

const NAME_LIMIT: usize = 200;
const ADDRESS_LIMIT: usize = 254;
const LOGIN_LIMIT: usize = 64;
const WORD_LIMIT: usize = 64;
/// Shortest and longest password, in characters.
pub const PASSWORD: TextRule = TextRule { min: 8, max: 128, lines: false };

/// The body of `POST` and `PATCH`.
#[derive(Debug, utoipa::ToSchema)]
#[schema(as = NewUser)]
#[expect(dead_code, reason = "the schema of a body that is read field by field")]
pub struct UserSchema<'a> {
    /// What people call it.
    #[schema(example = "Иван Петров")]
    name: &'a str,
    /// Its number. A user needs a number, a mailbox or a login.
    #[schema(example = "+79161234567")]
    phone: Option<&'a str>,
    /// Its mailbox.
    #[schema(example = "ivan@corp.example.ru")]
    email: Option<&'a str>,
    /// Its login: letters a to z, digits, `.`, `_`, `-`.
    #[schema(example = "ivan")]
    login: Option<&'a str>,
    /// Its extension.
    extension: Option<&'a str>,
    /// The client's own word for what it may do.
    role: Option<&'a str>,
    /// Whether it may sign in; left out: it may.
    enabled: Option<bool>,
    /// Its password, 8 to 128 characters; kept as argon2id.
    password: Option<&'a str>,
    /// True: a password is drawn, and shown in this one answer.
    generate_password: Option<bool>,
}

/// A new user that is in order.
pub(super) struct New {
    pub(super) user: UserWish,
    pub(super) password: PasswordWish,
}

/// A change that is in order.
pub(super) struct Patch {
    pub(super) fields: Fields,
    pub(super) password: PasswordWish,
}

/// The fields of a user that were given; `Some(None)`: to be cleared.
#[derive(Default)]
pub(super) struct Fields {
    name: Option<String>,
    phone: Option<Option<E164>>,
    email: Option<Option<EmailAddress>>,
    login: Option<Option<String>>,
    extension: Option<Option<String>>,
    role: Option<Option<String>>,
    enabled: Option<bool>,
}

/// What is wrong with a value: the code and the sentence.
pub(in crate::http) type Wrong = (&'static str, String);

/// Reads a new user; all faults come back at once.
pub(super) fn read_new(body: &Value, account: &ActingAccount) -> Result<New, Problem> {
    Faults::new().read(body, |object| {
        let fields = fields(object, body, account);
        let password = password(object, body);
        if fields.name.is_none() && body.get("name").is_none_or(Value::is_null) {
            object.fault("name", "required", "this field is needed");
        }
        let found = [fields.phone.is_some(), fields.email.is_some(), fields.login.is_some()];
        if !found.contains(&true) {
            object.fault("phone", "required", "a user needs a number, a mailbox or a login");
        }
        Some(New { user: fields.into_new()?, password })
    })
}

/// Reads a change; all faults come back at once.
pub(super) fn read_patch(body: &Value, account: &ActingAccount) -> Result<Patch, Problem> {
    Faults::new().read(body, |object| {
        let fields = fields(object, body, account);
        if matches!(body.get("name"), Some(Value::Null)) {
            object.fault("name", "bad-value", "a name cannot be cleared");
        }
        Some(Patch { fields, password: password(object, body) })
    })
}

/// Whether anybody could name this user when signing in.
pub(super) fn has_identifier(user: &User) -> bool {
    user.phone.is_some() || user.email.is_some() || user.login.is_some()
}

fn fields(object: &mut Object<'_, '_>, body: &Value, account: &ActingAccount) -> Fields {
    let is_null = |name: &str| matches!(body.get(name), Some(Value::Null));
    let name = value(object, "name", NAME_LIMIT, name);
    let phone = value(object, "phone", 64, |text| phone(text, account));
    let email = value(object, "email", ADDRESS_LIMIT, email);
    let login = value(object, "login", LOGIN_LIMIT, login);
    let extension = value(object, "extension", WORD_LIMIT, name_like);
    let role = value(object, "role", WORD_LIMIT, name_like);
    let given = object.value("enabled").is_some();
    let enabled = object.flag("enabled");
    Fields {
        name,
        phone: is_null("phone").then_some(None).or(phone.map(Some)),
        email: is_null("email").then_some(None).or(email.map(Some)),
        login: is_null("login").then_some(None).or(login.map(Some)),
        extension: is_null("extension").then_some(None).or(extension.map(Some)),
        role: is_null("role").then_some(None).or(role.map(Some)),
        enabled: given.then_some(enabled),
    }
}

fn value<T>(
    object: &mut Object<'_, '_>,
    field: &'static str,
    limit: usize,
    read: impl FnOnce(&str) -> Result<T, Wrong>,
) -> Option<T> {
    let text = object.text(field, TextRule::line(limit))?;
    match read(text) {
        Ok(value) => Some(value),
        Err((code, detail)) => {
            object.fault(field, code, detail);
            None
        }
    }
}

fn password(object: &mut Object<'_, '_>, body: &Value) -> PasswordWish {
    let given = object.text("password", PASSWORD).map(str::to_owned);
    let generate = object.flag("generate_password");
    match (given, generate) {
        (Some(_), true) => {
            object.fault("generate_password", "bad-value", "either a password or a drawn one");
            PasswordWish::Keep
        }
        (Some(password), false) => PasswordWish::Set(password),
        (None, true) => PasswordWish::Generate,
        (None, false) if matches!(body.get("password"), Some(Value::Null)) => PasswordWish::Clear,
        (None, false) => PasswordWish::Keep,
    }
}

impl Fields {
    fn into_new(self) -> Option<UserWish> {
        Some(UserWish {
            name: self.name?,
            phone: self.phone.flatten(),
            email: self.email.flatten(),
            login: self.login.flatten(),
            extension: self.extension.flatten(),
            role: self.role.flatten(),
            enabled: self.enabled.unwrap_or(true),
        })
    }

    /// The user as it is with these fields changed.
    pub(super) fn over(self, user: &User) -> UserWish {
        UserWish {
            name: self.name.unwrap_or_else(|| user.name.clone()),
            phone: self.phone.unwrap_or(user.phone),
            email: self.email.unwrap_or_else(|| user.email.clone()),
            login: self.login.unwrap_or_else(|| user.login.clone()),
            extension: self.extension.unwrap_or_else(|| user.extension.clone()),
            role: self.role.unwrap_or_else(|| user.role.clone()),
            enabled: self.enabled.unwrap_or(user.enabled),
        }
    }
}

/// A name: not what a spreadsheet would take for a formula.
pub(super) fn name(text: &str) -> Result<String, Wrong> {
    if text.trim().is_empty() {
        return Err(("too-short", "a name has at least one character".to_owned()));
    }
    name_like(text)
}

/// An extension or role.
pub(super) fn name_like(text: &str) -> Result<String, Wrong> {
    if text.starts_with(['=', '@', '+', '-']) {
        let detail = "it may not begin with =, @, + or -: spreadsheets take that for a formula";
        return Err(("bad-character", detail.to_owned()));
    }
    Ok(text.trim().to_owned())
}

/// A number, as people type it; under a test key also the magic numbers.
pub(in crate::http) fn phone(text: &str, account: &ActingAccount) -> Result<E164, Wrong> {
    if let Some(magic) = MagicNumber::parse(text).filter(|_| !account.live) {
        return Ok(magic);
    }
    E164::from_typed(text, account.rules.default_region)
        .map_err(|error| (crate::http::verifications::input::fault_code(error), error.to_string()))
}

/// A mailbox.
pub(in crate::http) fn email(text: &str) -> Result<EmailAddress, Wrong> {
    EmailAddress::parse(text).map_err(|error| ("not-an-email-address", error.to_string()))
}

/// A login, in lower case. One that could be read as a number would be found as one.
pub(crate) fn login(text: &str) -> Result<String, Wrong> {
    let text = text.to_ascii_lowercase();
    let is_login = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let has_letter = text.bytes().any(|byte| byte.is_ascii_alphabetic());
    if text.len() <= LOGIN_LIMIT && has_letter && text.bytes().all(is_login) {
        return Ok(text);
    }
    let detail =
        "a login has a letter, and only letters a to z, digits, dots, hyphens, underscores";
    Err(("bad-value", detail.to_owned()))
}
