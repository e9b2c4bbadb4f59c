//! What a client may write about a redirect.

use std::time::Duration;

use dialplans::E164;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::http::directory::input::email;
use crate::http::error::Problem;
use crate::http::input::{Faults, Object, TextRule};
use crate::messages::redirects::RedirectWish;
use crate::store::RedirectMode;

/// Longest life of a redirect: one that is needed for longer is a change of the card.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
const ADDRESS_LIMIT: usize = 254;
const REASON_LIMIT: usize = 500;

/// The body of `PUT /v1/sms-redirects/{phone}`.
#[derive(Debug, utoipa::ToSchema)]
#[schema(as = NewRedirect)]
#[expect(dead_code, reason = "the schema of a body that is read field by field")]
pub struct RedirectSchema<'a> {
    /// The mailbox; left out: that of the user's card in the directory.
    #[schema(example = "ivan@corp.example.ru")]
    email: Option<&'a str>,
    /// `instead`: to the mailbox and not to the phone; `also`: to both. Left out: `instead`.
    #[schema(example = "instead")]
    mode: Option<&'a str>,
    /// When it ends (RFC 3339), at most 366 days ahead; left out: in 30 days.
    until: Option<&'a str>,
    /// Why; needed with `override`.
    #[schema(example = "The phone was lost; ticket 4711.")]
    reason: Option<&'a str>,
    /// True: the mailbox may be another than that of the user's card.
    r#override: Option<bool>,
}

/// Reads the body; all its faults come back at once.
pub(super) fn read(body: &Value, phone: E164, now: Timestamp) -> Result<RedirectWish, Problem> {
    Faults::new().read(body, |object| {
        let address = object.text("email", TextRule::line(ADDRESS_LIMIT)).map(email);
        let mode = object.text("mode", TextRule::line(16)).map(RedirectMode::from_word);
        let until = until(object, now);
        let reason = object.text("reason", TextRule::line(REASON_LIMIT)).map(str::to_owned);
        let is_override = object.flag("override");
        let mode = mode.unwrap_or(Some(RedirectMode::Instead));
        if mode.is_none() {
            object.fault("mode", "bad-value", "instead or also is meant");
        }
        let email = match address.transpose() {
            Ok(email) => email,
            Err((code, detail)) => {
                object.fault("email", code, detail);
                None
            }
        };
        if is_override && reason.as_ref().is_none_or(|reason| reason.trim().is_empty()) {
            object.fault("reason", "required", "an override needs a reason");
        }
        Some(RedirectWish { phone, email, mode: mode?, until, reason, is_override })
    })
}

fn until(object: &mut Object<'_, '_>, now: Timestamp) -> Option<Timestamp> {
    let text = object.text("until", TextRule::line(64))?;
    let Ok(until) = text.parse::<Timestamp>() else {
        object.fault("until", "bad-value", "a time such as 2026-01-31T09:30:00Z is meant");
        return None;
    };
    if until <= now || until > now + LONGEST {
        object.fault("until", "out-of-range", "a time within the next 366 days is meant");
    }
    Some(until)
}
