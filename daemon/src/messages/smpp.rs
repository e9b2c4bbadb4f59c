//! Texts over SMPP 3.4: a transceiver for each message centre of the file.
//!
//! The store is the queue: a text's task reserves a place in the link's window, writes down that
//! the part is leaving, submits it, writes down what became of it. What the centre delivers is
//! answered after it is stored.

mod arrivals;
mod incoming;
mod incomplete;
mod link;
pub(super) mod once;
mod overdue;
mod receipt;
mod send;
mod session;
mod submit;
#[cfg(test)]
pub(crate) mod tests;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use config::{Config, Smpp};
use dialplans::TrunkName;
use sip::Secret;
use tokio::sync::mpsc;

use crate::app::App;
use crate::messages::coding::{self, Alphabet};
use crate::settings::{SecretError, password};
use link::{Link, LinkParts};

pub(super) use send::{run, take_up};

/// Longest password (SMPP 3.4 section 4.1.5), in octets.
const PASSWORD_LIMIT: usize = 8;
/// Deliveries that may wait to be looked at; one that finds no room is delivered again.
const DELIVERIES: usize = 64;

/// The links to message centres, by name.
#[derive(Default)]
pub(crate) struct Links(Mutex<BTreeMap<TrunkName, Link>>);

impl Links {
    fn get(&self, name: &TrunkName) -> Option<Link> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn add(&self, name: TrunkName, link: Link) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name, link);
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Links")
    }
}

/// Why a link cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// It cannot be had.
    #[error("[smpp.{0}] password: {1}")]
    Secret(TrunkName, #[source] SecretError),
    /// The protocol has no room for it.
    #[error("[smpp.{0}] password: it has more than 8 characters or one that is not ASCII")]
    TooLong(TrunkName),
}

/// The passwords of all message centres that have one.
pub fn passwords(config: &Config) -> Result<BTreeMap<TrunkName, Secret>, PasswordError> {
    let mut found = BTreeMap::new();
    for link in config.smpp.values() {
        let Some(secret) = &link.password else { continue };
        let secret =
            password(secret).map_err(|cause| PasswordError::Secret(link.name.clone(), cause))?;
        let text = secret.reveal();
        if text.len() > PASSWORD_LIMIT || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(PasswordError::TooLong(link.name.clone()));
        }
        found.insert(link.name.clone(), secret);
    }
    Ok(found)
}

/// Starts the link to each message centre of the file. Must run before the texts of an earlier
/// process are taken up.
pub fn start(app: &App, mut passwords: BTreeMap<TrunkName, Secret>) {
    let config = Arc::clone(&app.settings().config);
    for settings in config.smpp.values() {
        let (parts, arrived) = parts(app, settings.clone(), passwords.remove(&settings.name));
        let (link, keep) = link::open(parts);
        app.links().add(settings.name.clone(), link);
        app.spawn(keep);
        app.spawn(arrivals::run(app.clone(), settings.name.clone(), arrived));
    }
    if !config.smpp.is_empty() {
        app.spawn(overdue::run(app.clone()));
    }
    // Parts may wait that a link brought which is not in the file any more.
    app.spawn(incomplete::run(app.clone()));
}

fn parts(
    app: &App,
    settings: Smpp,
    password: Option<Secret>,
) -> (LinkParts, mpsc::Receiver<session::Delivery>) {
    let (deliveries, arrived) = mpsc::channel(DELIVERIES);
    let chance = app.clone();
    let parts = LinkParts {
        settings,
        password,
        deliveries,
        jitter: Box::new(move |wait| chance.jittered(wait)),
        stop: app.stop().clone(),
    };
    (parts, arrived)
}

/// Ends the texts that waited for receipts until before this moment.
#[cfg(test)]
pub(crate) async fn settle_overdue(
    app: &App,
    before: crate::clock::Timestamp,
) -> Result<(), crate::store::StoreError> {
    overdue::settle(app, crate::clock::Timestamp(0), before).await
}

/// Stores the texts as they are whose first part came before this moment.
#[cfg(test)]
pub(crate) async fn settle_incomplete(
    app: &App,
    before: crate::clock::Timestamp,
) -> Result<(), crate::store::StoreError> {
    crate::messages::receive::settle_parts(app, before).await
}

/// How a text goes to this message centre: its alphabet, its segments, the parts that are
/// submitted. `None`: it has too many.
pub(super) fn plan(settings: &Smpp, text: &str) -> Option<(Alphabet, usize, usize)> {
    let alphabet = submit::alphabet(settings, text);
    let segments = coding::code(text, alphabet).parts.len();
    let fits = segments <= coding::PARTS_LIMIT;
    fits.then(|| (alphabet, segments, submit::parts(settings, segments)))
}
