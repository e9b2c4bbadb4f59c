//! Events told to backends, as Standard Webhooks has it: stored with what they tell, signed,
//! tried until they are taken.

pub mod address;
pub(crate) mod client;
mod events;
pub mod signature;
mod trunks;
mod worker;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use config::{Config, Webhook, WebhookName};

use crate::app::App;
use crate::clock::Timestamp;
use crate::settings::{SecretError, password};
use crate::store::{StoreError, Told};
use client::Net;
use signature::{SigningKey, SigningKeyError};

/// What is told of trunks.
const TRUNK_EVENTS: [&str; 2] = ["trunk.up", "trunk.down"];

/// One webhook of the file with its secrets.
pub struct Hook {
    settings: Webhook,
    /// The present one, and the one before it.
    keys: Vec<SigningKey>,
    /// Whether its address said that it wants nothing any more.
    disabled: AtomicBool,
}

impl Hook {
    fn name(&self) -> &str {
        self.settings.name.as_str()
    }

    fn is_disabled(&self) -> bool {
        self.disabled.load(Ordering::Relaxed)
    }

    fn disable(&self) {
        self.disabled.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hook({})", self.settings.name)
    }
}

/// Why a webhook cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// Its secret cannot be had.
    #[error("[webhooks.{0}] secret: {1}")]
    Secret(WebhookName, #[source] SecretError),
    /// Its secret is none.
    #[error("[webhooks.{0}] secret: {1}")]
    Key(WebhookName, #[source] SigningKeyError),
}

/// The webhooks of the file with their secrets.
pub fn hooks(config: &Config) -> Result<Vec<Hook>, HookError> {
    let hook = |settings: &Webhook| {
        let secrets = std::iter::once(&settings.secret).chain(&settings.previous_secret);
        let keys = secrets.map(|secret| {
            let name = || settings.name.clone();
            let text = password(secret).map_err(|cause| HookError::Secret(name(), cause))?;
            SigningKey::parse(text.reveal()).map_err(|cause| HookError::Key(name(), cause))
        });
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        Ok(Hook { settings: settings.clone(), keys, disabled: AtomicBool::new(false) })
    };
    config.webhooks.values().map(hook).collect()
}

/// Begins to store events for these webhooks and to send them. Must run before anything is told.
pub async fn start(app: &App, hooks: Vec<Hook>) -> Result<(), StoreError> {
    start_with(app, hooks, Net::system()).await
}

pub(crate) async fn start_with(app: &App, hooks: Vec<Hook>, net: Net) -> Result<(), StoreError> {
    if hooks.is_empty() {
        return Ok(());
    }
    let hooks: Arc<[Arc<Hook>]> = hooks.into_iter().map(Arc::new).collect();
    for hook in hooks.iter() {
        if app.store().is_webhook_disabled(hook.name(), &client::shown(&hook.settings.url)).await? {
            tracing::warn!(webhook = hook.name(), "its address wants no events, give it another");
            hook.disable();
        }
    }
    let listening = Arc::clone(&hooks);
    let announce = move |now: Timestamp, told: Told<'_>| events::of(&listening, now, told);
    app.store().announce_with(Arc::new(announce));
    for hook in hooks.iter() {
        app.spawn(worker::run(app.clone(), Arc::clone(hook), net.clone()));
    }
    if hooks.iter().any(|hook| TRUNK_EVENTS.iter().any(|kind| hook.settings.names(kind))) {
        app.spawn(trunks::run(app.clone()));
    }
    Ok(())
}
