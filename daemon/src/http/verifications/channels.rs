//! What a client may write about channels.

use std::time::Duration;

use serde_json::Value;

use crate::app::Settings;
use crate::channels;
use crate::http::input::{Item, Object, TextRule};
use crate::verification::model::{Channel, DEFAULT_AFTER, Planned, Wording};

/// Most channels of one request.
const CHANNEL_LIMIT: usize = 5;

/// Longest wait before a channel, in seconds.
const AFTER_S_LIMIT: u64 = 600;

/// Characters of the hash by which Android knows an app.
const APP_HASH_LENGTH: usize = 11;

/// Longest name of a host.
const HOST_LIMIT: usize = 253;

/// Reads the channels, in order; none: the purpose's workflow.
pub(super) fn read(object: &mut Object<'_, '_>, settings: &Settings, live: bool) -> Vec<Planned> {
    let mut seen = Vec::new();
    let read = object.array("channels", CHANNEL_LIMIT, |item| {
        let planned = planned(item, settings, live)?;
        if seen.contains(&planned.channel) {
            item.fault("bad-value", "each channel may stand here once");
        }
        seen.push(planned.channel);
        Some(planned)
    });
    if matches!(object.value("channels"), Some(Value::Array(items)) if items.is_empty()) {
        object.fault("channels", "too-short", "at least one channel is needed");
    }
    read.unwrap_or_default()
}

fn planned(item: &Item<'_, '_>, settings: &Settings, live: bool) -> Option<Planned> {
    let mut after = DEFAULT_AFTER;
    let word = match item.value {
        Value::String(word) => Some(word.as_str()),
        Value::Object(_) => item.object(|object| {
            if let Some(seconds) = object.integer("after_s", 0..=AFTER_S_LIMIT) {
                after = Duration::from_secs(seconds);
            }
            object.required_text("channel", TextRule::line(32))
        }),
        _ => {
            item.fault("wrong-type", "a channel's name or an object is meant");
            None
        }
    }?;
    match offered(settings, word, live) {
        Ok(channel) => Some(Planned { channel, after }),
        Err(detail) => {
            item.fault("channel-not-available", detail);
            None
        }
    }
}

/// The channel of this name, if it can be used at all.
pub(super) fn offered(settings: &Settings, word: &str, live: bool) -> Result<Channel, String> {
    match Channel::from_word(word) {
        Some(channel) if channels::is_offered(settings, channel, live) => Ok(channel),
        Some(other) => Err(format!("the channel {} is not offered", other.as_str())),
        None => Err("there is no such channel".to_owned()),
    }
}

/// Reads how the user's device finds the code.
pub(super) fn autofill(object: &mut Object<'_, '_>) -> Wording {
    let web_origin = object.text("web_origin", TextRule::line(HOST_LIMIT));
    if web_origin.is_some_and(|host| !is_host(host)) {
        object.fault("web_origin", "bad-value", "a host such as app.example.ru is meant");
    }
    let hash = object.text("android_app_hash", TextRule::line(APP_HASH_LENGTH));
    let is_base64 = |text: &str| {
        text.len() == APP_HASH_LENGTH
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte))
    };
    if hash.is_some_and(|text| !is_base64(text)) {
        object.fault("android_app_hash", "bad-value", "eleven characters of base64 are meant");
    }
    Wording {
        template: None,
        web_origin: web_origin.map(str::to_owned),
        android_app_hash: hash.map(str::to_owned),
    }
}

/// A host as WebOTP wants it: no scheme, no port, no path.
fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.split('.').all(is_label)
}
