//! `[webhooks.NAME]`: where an account's events are sent.

use sip::HostPort;

use crate::config::secret::SecretRef;
use crate::name::{AccountName, WebhookName};

/// Every event that is sent, by its type.
pub const EVENT_TYPES: [&str; 15] = [
    "verification.created",
    "verification.step_changed",
    "verification.approved",
    "verification.failed",
    "verification.expired",
    "call.rang",
    "call.ended",
    "call.received",
    "message.sent",
    "message.delivered",
    "message.failed",
    "message.received",
    "message.redirected",
    "trunk.up",
    "trunk.down",
];

/// Where an account's events are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its name.
    pub name: WebhookName,
    /// Whose events.
    pub account: AccountName,
    /// Where to.
    pub url: WebhookUrl,
    /// With what events are signed: `whsec_` and base64.
    pub secret: SecretRef,
    /// With what they are signed as well while the secret is changed.
    pub previous_secret: Option<SecretRef>,
    /// Types of events; `*` stands for any part. At least one, and each means some event.
    pub events: Vec<String>,
    /// Whether its host may have a private address, and its URL begin with `http:`.
    pub allow_private: bool,
}

impl Webhook {
    /// Whether it wants events of this type.
    pub fn wants(&self, event: &str) -> bool {
        self.events.iter().any(|glob| matches(glob, event))
    }

    /// Whether it wants events of this type of the gateway itself, which are no account's: they
    /// have to be meant by their kind, as by `trunk.*`.
    pub fn names(&self, event: &str) -> bool {
        let kind = event.split_inclusive('.').next().unwrap_or_default();
        self.events.iter().any(|glob| glob.starts_with(kind) && matches(glob, event))
    }
}

/// An address of the web.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookUrl {
    /// Whether it is under TLS.
    pub is_tls: bool,
    /// The host, and the port when one is written.
    pub host: HostPort,
    /// The path and the query; it begins with a slash.
    pub path: String,
}

/// Whether an event's type is meant by a glob.
pub(crate) fn matches(glob: &str, event: &str) -> bool {
    match glob.split_once('*') {
        None => glob == event,
        Some((before, after)) => {
            event.len() >= before.len() + after.len()
                && event.starts_with(before)
                && event.ends_with(after)
        }
    }
}
