//! What every request and every background task shares.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use config::{AccountName, Config};
use dialplans::Dialplan;
use metrics_exporter_prometheus::PrometheusHandle;
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accounts::{Authenticator, Paces};
use crate::clock::{Clock, Timestamp};
use crate::facts::Facts;
use crate::http::idempotency::Running;
use crate::ids::{CallId, MessageId, SignInId, UserId, VerificationId};
use crate::mail::Mailer;
use crate::media::Media;
use crate::messages::smpp::Links;
use crate::secrets::Keys;
use crate::store::Store;
use crate::ua_driver::Driver;
use crate::verification::expiry::Expiry;
use crate::verification::played::PlayedCalls;
use crate::verification::resting::Resting;
use crate::verification::timetable::Timetable;

/// What the application is built from.
pub struct Parts {
    /// The operator's tables.
    pub settings: Settings,
    /// Where records are kept.
    pub store: Store,
    /// The door to the call loop.
    pub driver: Driver,
    /// What calls say, and from where.
    pub media: Media,
    /// The way of letters; `None`: none can be sent.
    pub mailer: Option<Mailer>,
    /// The time of day.
    pub clock: Clock,
    /// The keys derived from the secret key.
    pub keys: Keys,
    /// Draws caller IDs, which are the codes; nothing else draws from it.
    pub plans_rng: ChaCha20Rng,
    /// Draws identifiers.
    pub ids_rng: ChaCha20Rng,
    /// Work that must end before the process does.
    pub tasks: TaskTracker,
    /// Cancelled when the process is to stop: new work is refused from then on.
    pub stop: CancellationToken,
    /// Renders `/metrics`; `None`: there is no such page.
    pub metrics: Option<PrometheusHandle>,
}

/// The operator's tables; swapped whole on reload.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The configuration.
    pub config: Arc<Config>,
    /// What plans are made from.
    pub dialplan: Arc<Dialplan>,
}

impl Settings {
    /// An account by name; `None`: the file has none of that name.
    pub fn account(&self, name: &str) -> Option<&config::Account> {
        self.config.accounts.get(&AccountName::parse(name).ok()?)
    }
}

/// The application. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    settings: RwLock<Settings>,
    store: Store,
    driver: Driver,
    media: Media,
    mailer: Option<Mailer>,
    clock: Clock,
    keys: Keys,
    plans_rng: Mutex<ChaCha20Rng>,
    ids_rng: Mutex<ChaCha20Rng>,
    tasks: TaskTracker,
    stop: CancellationToken,
    metrics: Option<PrometheusHandle>,
    authenticator: Authenticator,
    paces: Paces,
    running: Running,
    expiry: Expiry,
    moves: Timetable,
    resting: Resting,
    played: PlayedCalls,
    links: Links,
    facts: Facts,
}

impl App {
    /// Puts the parts together. Nothing runs until [`App::recover`](crate::verification::recovery)
    /// and the listeners are started.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner {
            settings: RwLock::new(parts.settings),
            authenticator: Authenticator::new(parts.store.clone(), parts.clock.clone()),
            store: parts.store,
            driver: parts.driver,
            media: parts.media,
            mailer: parts.mailer,
            clock: parts.clock,
            keys: parts.keys,
            plans_rng: Mutex::new(parts.plans_rng),
            ids_rng: Mutex::new(parts.ids_rng),
            tasks: parts.tasks,
            stop: parts.stop,
            metrics: parts.metrics,
            paces: Paces::default(),
            running: Running::default(),
            expiry: Expiry::default(),
            moves: Timetable::default(),
            resting: Resting::default(),
            played: PlayedCalls::default(),
            links: Links::default(),
            facts: Facts::default(),
        }))
    }

    /// The operator's tables as they are at this moment.
    pub fn settings(&self) -> Settings {
        self.0.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Swaps the operator's tables; work that has begun goes on with the old ones.
    pub fn reload(&self, settings: Settings) {
        *self.0.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
    }

    /// Where records are kept.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The door to the call loop.
    pub fn driver(&self) -> &Driver {
        &self.0.driver
    }

    /// What calls say, and from where.
    pub fn media(&self) -> &Media {
        &self.0.media
    }

    /// The way of letters; `None`: none can be sent.
    pub fn mailer(&self) -> Option<&Mailer> {
        self.0.mailer.as_ref()
    }

    /// The time of day.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The keys derived from the secret key.
    pub fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// Does work that must end before the process does. All of it is one kind of task: the runtime's
    /// part of a task, which is not small, is compiled once and not for each kind of work.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        let work: Pin<Box<dyn Future<Output = T> + Send>> = Box::pin(work);
        self.0.tasks.spawn(work)
    }

    /// Work that must end before the process does.
    pub fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    /// Cancelled when the process is to stop.
    pub fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// Renders `/metrics`.
    pub fn metrics(&self) -> Option<&PrometheusHandle> {
        self.0.metrics.as_ref()
    }

    /// Who finds keys.
    pub fn authenticator(&self) -> &Authenticator {
        &self.0.authenticator
    }

    /// How fast each key asks.
    pub fn paces(&self) -> &Paces {
        &self.0.paces
    }

    /// The idempotency keys that are being worked on.
    pub fn running(&self) -> &Running {
        &self.0.running
    }

    /// The ends of open verifications.
    pub fn expiry(&self) -> &Expiry {
        &self.0.expiry
    }

    /// When the next channel of a workflow begins.
    pub fn moves(&self) -> &Timetable {
        &self.0.moves
    }

    /// Where facts are told and heard.
    pub fn facts(&self) -> &Facts {
        &self.0.facts
    }

    /// The caller IDs that rest.
    pub fn resting(&self) -> &Resting {
        &self.0.resting
    }

    /// The calls that nobody places.
    pub fn played(&self) -> &PlayedCalls {
        &self.0.played
    }

    /// The links to message centres.
    pub(crate) fn links(&self) -> &Links {
        &self.0.links
    }

    /// Half to all of a wait, by chance, so that those who failed together do not come again
    /// together.
    pub fn jittered(&self, wait: Duration) -> Duration {
        let chance = self.with_ids_rng(|rng| rng.next_u32());
        wait.mul_f64(0.5 + 0.5 * f64::from(chance) / f64::from(u32::MAX))
    }

    /// Runs `draw` on the generator that is kept for codes.
    pub fn with_plans_rng<T>(&self, draw: impl FnOnce(&mut ChaCha20Rng) -> T) -> T {
        draw(&mut self.0.plans_rng.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A number below `limit`, which is not 0; each as likely as any other. For no secret.
    pub fn draw_below(&self, limit: u64) -> u64 {
        // The largest multiple of the limit: what is above it would favour small numbers.
        let fair = u64::MAX - u64::MAX % limit;
        loop {
            let drawn = self.with_ids_rng(Rng::next_u64);
            if drawn < fair {
                return drawn % limit;
            }
        }
    }

    /// A fresh identifier.
    pub fn verification_id(&self, now: Timestamp) -> VerificationId {
        self.with_ids_rng(|rng| VerificationId::generate(now, rng))
    }

    /// A fresh identifier.
    pub fn call_id(&self, now: Timestamp) -> CallId {
        self.with_ids_rng(|rng| CallId::generate(now, rng))
    }

    /// A fresh identifier.
    pub fn message_id(&self, now: Timestamp) -> MessageId {
        self.with_ids_rng(|rng| MessageId::generate(now, rng))
    }

    /// A fresh identifier.
    pub fn user_id(&self, now: Timestamp) -> UserId {
        self.with_ids_rng(|rng| UserId::generate(now, rng))
    }

    /// A fresh identifier.
    pub fn sign_in_id(&self, now: Timestamp) -> SignInId {
        self.with_ids_rng(|rng| SignInId::generate(now, rng))
    }

    /// Bytes for salts and drawn passwords, from the generator that is kept for codes: one for
    /// identifiers shows what it drew.
    pub fn fill_bytes(&self, bytes: &mut [u8]) {
        self.with_plans_rng(|rng| rng.fill_bytes(bytes));
    }

    /// A name for a request: `req_` and 26 hexadecimal digits.
    pub fn request_id(&self) -> String {
        let (high, low) = self.with_ids_rng(|rng| (rng.next_u64(), rng.next_u64()));
        format!("req_{high:016x}{:010x}", low >> 24)
    }

    /// Runs `draw` on the generator that is kept for what anybody may see.
    pub fn with_ids_rng<T>(&self, draw: impl FnOnce(&mut ChaCha20Rng) -> T) -> T {
        draw(&mut self.0.ids_rng.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("App")
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts")
    }
}
