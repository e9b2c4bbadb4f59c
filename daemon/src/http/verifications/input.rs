//! What a client may write when it makes a verification.

use std::time::Duration;

use config::PurposeName;
use dialplans::{E164, NumberError};
use serde_json::Value;

use super::channels;
use crate::accounts::ActingAccount;
use crate::app::Settings;
use crate::channels::CodeWish;
use crate::directory::{Target, ToWish};
use crate::email_address::EmailAddress;
use crate::http::error::Problem;
use crate::http::input::{Faults, LabelRules, Object, TextRule};
use crate::ids::{IdError, SignInId, UserId};
use crate::verification::model::{Channel, Client, CodeDigits, Planned, Wording};
use crate::verification::service::{MagicNumber, NewVerification};

/// Lifetimes that a client may ask for, in seconds.
const TTL_S: std::ops::RangeInclusive<u64> = 30..=900;

/// The client's own labels: what backends use, and small enough for every row.
const METADATA: LabelRules = LabelRules { max: 20, name_max: 40, text_max: 500 };

/// The body of `POST /v1/verifications`.
#[derive(Debug, utoipa::ToSchema)]
#[schema(as = NewVerification)]
#[expect(dead_code, reason = "the schema of a body that is read field by field")]
pub struct NewVerificationSchema<'a> {
    /// The phone number, in E.164 form or as people type it in the account's region; an e-mail
    /// address; a user (`usr_…`) or a sign-in (`sgn_…`) of the directory.
    #[schema(example = "+79161234567")]
    to: &'a str,
    /// The channels in order, by name or with the seconds after which one begins; left out: the
    /// purpose's workflow. At present `flash_call` and `sms`.
    #[schema(value_type = Option<Vec<Object>>, example = json!(["flash_call", {"channel": "sms", "after_s": 60}]))]
    channels: Option<Vec<Value>>,
    /// Whose rules hold; left out: `sign_in`.
    #[schema(example = "sign_in")]
    purpose: Option<&'a str>,
    /// A BCP 47 tag.
    #[schema(example = "ru")]
    locale: Option<&'a str>,
    /// The template of its texts, from the operator's file; left out: `default`, else built-in
    /// words.
    template: Option<&'a str>,
    /// A code of the client's own, 6 to 10 digits, for channels that write or speak it; needs the
    /// scope `calls:own_codes`.
    #[schema(example = "123456")]
    code: Option<&'a str>,
    /// How the user's device finds the code in a text.
    autofill: Option<AutofillSchema<'a>>,
    /// Seconds that it lives, 30 to 900; left out: the purpose's.
    ttl_s: Option<u64>,
    /// Whose it is.
    client: Option<ClientSchema<'a>>,
    /// The client's own reference, at most 128 characters.
    reference: Option<&'a str>,
    /// The client's own labels: at most 20 names with texts of at most 500 characters.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    /// True: everything is checked and planned, nothing is stored or sent.
    dry_run: Option<bool>,
}

/// The end user, as the client tells.
#[derive(Debug, utoipa::ToSchema)]
#[schema(as = Client)]
#[expect(dead_code, reason = "the schema of a body that is read field by field")]
pub struct ClientSchema<'a> {
    /// Verifications of different sessions live side by side; one of the same session takes the
    /// place of its predecessor. At most 128 characters.
    session: Option<&'a str>,
    /// The end user's address.
    #[schema(example = "203.0.113.9")]
    ip: Option<&'a str>,
    /// The end user's device, at most 128 characters.
    device_id: Option<&'a str>,
}

/// How the user's device finds the code in a text.
#[derive(Debug, utoipa::ToSchema)]
#[schema(as = Autofill)]
#[expect(dead_code, reason = "the schema of a body that is read field by field")]
pub struct AutofillSchema<'a> {
    /// The host whose page asks for the code (WebOTP): the last line is `@host #code`.
    #[schema(example = "app.example.ru")]
    web_origin: Option<&'a str>,
    /// The eleven characters by which Android's SMS Retriever knows the app.
    #[schema(example = "A1b2C3d4E5f")]
    android_app_hash: Option<&'a str>,
}

/// A body that is in order.
pub(super) struct Wish {
    /// What is to be proved, as the client named it: it is looked up afterwards.
    pub(super) to: ToWish,
    pub(super) new: NewVerification,
    pub(super) dry_run: bool,
}

/// Reads the body; all its faults come back at once.
pub(super) fn read(
    body: &Value,
    account: &ActingAccount,
    settings: &Settings,
) -> Result<Wish, Problem> {
    Faults::new().read(body, |object| {
        let to = object.required_text("to", TextRule::line(254));
        let to = to.and_then(|text| to_wish(object, text, account));
        let channels = channels::read(object, settings, account.live);
        let purpose = object.text("purpose", TextRule::line(64));
        let purpose = match purpose.map(PurposeName::parse) {
            None => PurposeName::sign_in(),
            Some(Ok(name)) => name,
            Some(Err(error)) => {
                object.fault("purpose", "bad-value", error.to_string());
                PurposeName::sign_in()
            }
        };
        let locale = object.text("locale", TextRule::line(35));
        if locale.is_some_and(|tag| !tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')) {
            object.fault("locale", "bad-value", "a BCP 47 tag such as ru or pt-BR is meant");
        }
        let ttl = object.integer("ttl_s", TTL_S).map(Duration::from_secs);
        let client = object.object("client", client).unwrap_or_default();
        let reference = object.text("reference", TextRule::line(128));
        let metadata = object.labels("metadata", METADATA);
        let dry_run = object.flag("dry_run");
        let code = own_code(object, account, &channels);
        let template = object.text("template", TextRule::line(64)).map(str::to_owned);
        let autofill = object.object("autofill", channels::autofill).unwrap_or_default();
        let new = NewVerification {
            to: Target::default(),
            channels,
            code,
            wording: Wording { template, ..autofill },
            purpose,
            ttl,
            locale: locale.map(str::to_owned),
            reference: reference.map(str::to_owned),
            metadata: metadata.map(|labels| Value::Object(labels).to_string()),
            client,
        };
        Some(Wish { to: to?, new, dry_run })
    })
}

/// Reads what is to be proved.
fn to_wish(object: &Object<'_, '_>, text: &str, account: &ActingAccount) -> Option<ToWish> {
    let bad = |object: &Object<'_, '_>, detail: String| {
        object.fault("to", "bad-value", detail);
        None
    };
    if text.starts_with(UserId::PREFIX) {
        return text
            .parse()
            .map_or_else(|e: IdError| bad(object, e.to_string()), |id| Some(ToWish::User(id)));
    }
    if text.starts_with(SignInId::PREFIX) {
        return text
            .parse()
            .map_or_else(|e: IdError| bad(object, e.to_string()), |id| Some(ToWish::SignIn(id)));
    }
    if text.contains('@') {
        return match EmailAddress::parse(text) {
            Ok(address) => Some(ToWish::Mailbox(address)),
            Err(error) => {
                object.fault("to", "not-an-email-address", error.to_string());
                None
            }
        };
    }
    number(object, "to", text, account).map(ToWish::Number)
}

/// Reads a code of the client's own; it needs a channel that can carry it.
fn own_code(
    object: &mut Object<'_, '_>,
    account: &ActingAccount,
    channels: &[Planned],
) -> CodeWish {
    let Some(text) = object.text("code", TextRule::line(10)) else { return CodeWish::Drawn };
    let shows =
        |planned: &&Planned| matches!(planned.channel, Channel::FlashCall | Channel::IncomingCall);
    if channels.is_empty() || channels.iter().any(|planned| shows(&planned)) {
        let detail = "channels must name only such as carry a code of your own: sms, voice, email";
        object.fault("code", "channel-not-available", detail);
    }
    // Under a test key every code is zeros.
    match CodeDigits::parse(text) {
        Ok(_) if !account.live => CodeWish::Drawn,
        Ok(digits) => CodeWish::Digits(digits),
        Err(error) => {
            object.fault("code", "bad-value", error.to_string());
            CodeWish::Drawn
        }
    }
}

/// Reads a phone number as people type it; under a test key also the magic numbers.
pub fn number(
    object: &Object<'_, '_>,
    name: &str,
    text: &str,
    account: &ActingAccount,
) -> Option<E164> {
    if let Some(magic) = MagicNumber::parse(text).filter(|_| !account.live) {
        return Some(magic);
    }
    match E164::from_typed(text, account.rules.default_region) {
        Ok(number) => Some(number),
        Err(error) => {
            object.fault(name, fault_code(error), error.to_string());
            None
        }
    }
}

/// The code of the fault.
pub fn fault_code(error: NumberError) -> &'static str {
    match error {
        NumberError::NotAPhoneNumber => "not-a-phone-number",
        NumberError::NumberInvalid => "number-invalid",
    }
}

/// Reads the end user, as the client tells.
pub fn client<'v>(object: &mut Object<'v, '_>) -> Client {
    let session = object.text("session", TextRule::line(128)).map(str::to_owned);
    let device_id = object.text("device_id", TextRule::line(128)).map(str::to_owned);
    let ip = object.text("ip", TextRule::line(45)).map(str::parse);
    let ip = match ip {
        Some(Err(_)) => {
            object.fault("ip", "bad-value", "an IPv4 or IPv6 address is meant");
            None
        }
        Some(Ok(address)) => Some(address),
        None => None,
    };
    Client { session, ip, device_id }
}
