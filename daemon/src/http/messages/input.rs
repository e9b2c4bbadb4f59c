//! What a client may write when it sends a text.

use std::time::Duration;

use config::TemplateName;
use serde_json::Value;

use crate::accounts::ActingAccount;
use crate::http::body::BODY_LIMIT;
use crate::http::error::Problem;
use crate::http::input::{Faults, LabelRules, Object, TextRule};
use crate::http::verifications::input::number;
use crate::messages::{Content, NewMessage};

/// How long a text may wait for its trunk, in seconds.
const VALID_FOR_S: std::ops::RangeInclusive<u64> = 30..=86_400;

/// A text; how long it may be is a matter of bytes and of the trunk.
const TEXT: TextRule = TextRule { min: 1, max: BODY_LIMIT, lines: true };

/// What may stand in the places of a template.
const VARIABLES: LabelRules = LabelRules { max: 20, name_max: 32, text_max: 500 };

/// The body of `POST /v1/messages`.
#[derive(Debug, utoipa::ToSchema)]
#[schema(as = NewMessage)]
#[expect(dead_code, reason = "the schema of a body that is read field by field")]
pub struct NewMessageSchema<'a> {
    /// The phone number, in E.164 form or as people type it in the account's region.
    #[schema(example = "+79161234567")]
    to: &'a str,
    /// The text, at most 1000 bytes; either this or `template`.
    text: Option<&'a str>,
    /// A template of the operator's file.
    template: Option<&'a str>,
    /// The template's language.
    locale: Option<&'a str>,
    /// What stands in the template's places.
    #[schema(value_type = Option<Object>)]
    variables: Option<Value>,
    /// A sender of the account's list; left out: the trunk's own.
    sender: Option<&'a str>,
    /// The client's own reference, at most 128 characters.
    reference: Option<&'a str>,
    /// Seconds that it may wait for its trunk, 30 to 86400; left out: 3600.
    valid_for_s: Option<u64>,
}

/// Reads the body; all its faults come back at once.
pub(super) fn read(body: &Value, account: &ActingAccount) -> Result<NewMessage, Problem> {
    Faults::new().read(body, |object| {
        let to = object.required_text("to", TextRule::line(64));
        let to = to.and_then(|text| number(object, "to", text, account));
        let content = content(object);
        let sender = object.text("sender", TextRule::line(64)).map(str::to_owned);
        let reference = object.text("reference", TextRule::line(128)).map(str::to_owned);
        let valid_for = object.integer("valid_for_s", VALID_FOR_S).map(Duration::from_secs);
        Some(NewMessage { to: to?, content: content?, sender, reference, valid_for })
    })
}

/// Reads the body of a preview: the wording alone.
pub(super) fn read_content(body: &Value) -> Result<Content, Problem> {
    Faults::new().read(body, content)
}

fn content(object: &mut Object<'_, '_>) -> Option<Content> {
    let given = ["text", "template"].map(|name| object.value(name).is_some());
    let text = object.text("text", TEXT);
    let template = object.text("template", TextRule::line(64));
    let locale = object.text("locale", TextRule::line(35)).map(str::to_owned);
    let variables = object.labels("variables", VARIABLES);
    match given {
        [false, false] => {
            object.fault("text", "required", "either text or template is needed");
            None
        }
        [true, true] => {
            object.fault("template", "bad-value", "text and template exclude each other");
            None
        }
        [true, false] => {
            for name in ["locale", "variables"] {
                if object.value(name).is_some() {
                    object.fault(name, "bad-value", "this belongs to a template");
                }
            }
            text.map(|text| Content::Text(text.to_owned()))
        }
        [false, true] => match TemplateName::parse(template?) {
            Ok(name) => {
                let texts = variables.unwrap_or_default().into_iter();
                let texts = texts.filter_map(|(name, value)| match value {
                    Value::String(text) => Some((name, text)),
                    _ => None,
                });
                Some(Content::Template { name, locale, variables: texts.collect() })
            }
            Err(error) => {
                object.fault("template", "bad-value", error.to_string());
                None
            }
        },
    }
}
