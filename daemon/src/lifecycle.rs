//! How the daemon starts and stops: parts are opened in order, work left by a process that died
//! is taken up, and SIGTERM ends all of it without losing a row.

mod notify;
mod reload;
mod sip_side;

pub use reload::Hangups;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use config::Config;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::{TcpListener, TcpSocket, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accounts::{KeyWish, Scope, create_key};
use crate::app::{App, Parts, Settings};
use crate::clock::Clock;
use crate::http::serve::Connections;
use crate::http::{operator_router, router};
use crate::mail::{MailSettings, MailSettingsError, Mailer};
use crate::media::{Lines, Media, Prompts, PromptsError};
use crate::plans;
use crate::randomness::{Randomness, Stream};
use crate::secrets::{Keys, SecretKey, SecretKeyError};
use crate::settings::tls::TlsFileError;
use crate::settings::{SecretError, password, secret_bytes};
use crate::store::{Location, OpenError, Store, migrate};
use crate::telemetry;
use crate::ua_driver::{BindError, Driver};
use crate::{inbound, messages, verification, webhooks};

/// Where SQLite is kept when the file names no path and systemd no folder.
const STATE_FOLDER: &str = "/var/lib/dozvon";
/// Work that must end before the process does gets this long: longer than the call loop's own
/// limit, so that its last reports are written.
const STOP_LIMIT: Duration = Duration::from_secs(11);

/// Connections that may wait to be accepted, where the system allows so many: a burst of clients
/// beyond it is taken for a flood of SYNs.
const BACKLOG: u32 = 4_096;

/// Why the daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A secret cannot be had, or does not fit.
    #[error("{what}: {cause}")]
    Secret {
        /// Which.
        what: String,
        /// Why.
        cause: SecretError,
    },
    /// The files of a `tls` table are not there, or of no use.
    #[error("{what}: {cause}")]
    Tls {
        /// Whose table.
        what: String,
        /// Why.
        cause: TlsFileError,
    },
    /// The secret key is no key, or its file cannot be made.
    #[error("the secret key: {0}")]
    SecretKey(#[from] SecretKeyError),
    /// The tables make no dialplan.
    #[error("{0}")]
    Plans(#[from] plans::BuildError),
    /// The database cannot be opened.
    #[error("{}", with_causes(.0))]
    Store(#[from] OpenError),
    /// An operator's prompts cannot be used.
    #[error("[voice] prompts: {0}")]
    Prompts(#[from] PromptsError),
    /// Letters cannot be sent as the file wishes.
    #[error("[email]: {0}")]
    Mail(#[from] MailSettingsError),
    /// A SIP or media socket cannot be bound.
    #[error("{0}")]
    Sip(#[from] BindError),
    /// An HTTP address or the local socket cannot be bound.
    #[error("cannot listen on {place}: {cause}")]
    Listen {
        /// Where.
        place: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A webhook cannot be signed.
    #[error(transparent)]
    Webhook(#[from] webhooks::HookError),
    /// The password of a message centre cannot be used.
    #[error(transparent)]
    SmppPassword(#[from] messages::smpp::PasswordError),
    /// The system has no randomness.
    #[error("the system has no randomness: {0}")]
    Randomness(#[from] getrandom::Error),
    /// What a dead process left behind cannot be read.
    #[error("unfinished work cannot be read: {0}")]
    Recovery(#[from] crate::store::StoreError),
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// What the store needs, from a configuration.
pub struct StoreParts {
    /// Where records are kept.
    pub location: Location,
    /// The keys derived from the secret key.
    pub keys: Keys,
    /// Chance.
    pub randomness: Randomness,
    /// Time.
    pub clock: Clock,
}

impl StoreParts {
    /// Finds or makes the secret key and names the database.
    pub fn from_config(config: &Config) -> Result<Self, StartError> {
        let randomness = Randomness::from_system()?;
        let location = location(config)?;
        let key = match (&config.secrets.key, &location) {
            (Some(secret), _) => secret_key(secret, "[secrets] key")?,
            (None, Location::Sqlite(path)) => {
                let key_path = SecretKey::path_beside(path);
                SecretKey::load_or_create(&key_path, &mut randomness.stream(Stream::Seals))?
            }
            (None, Location::Postgres { .. }) => {
                unreachable!("a configuration with Postgres and no key is a fault")
            }
        };
        let old_keys = config.secrets.old_keys.iter();
        let old_keys = old_keys.map(|secret| secret_key(secret, "[secrets] old_keys"));
        let keys = Keys::derive(&key).with_old(&old_keys.collect::<Result<Vec<_>, _>>()?);
        Ok(Self { location, keys, randomness, clock: Clock::system() })
    }

    /// Brings the tables up to date and opens the store.
    pub async fn open(&self, config: &Config) -> Result<Store, StartError> {
        migrate(&self.location).await?;
        let rng = self.randomness.stream(Stream::Seals);
        let retention = config.database.retention;
        let opened =
            Store::open(&self.location, self.keys.clone(), self.clock.clone(), rng, retention);
        Ok(opened.await?)
    }
}

fn secret_key(secret: &config::SecretRef, what: &str) -> Result<SecretKey, StartError> {
    let bytes = secret_bytes(secret)
        .map_err(|cause| StartError::Secret { what: what.to_owned(), cause })?;
    Ok(SecretKey::parse(&bytes)?)
}

/// Where records are kept, with the password that the file names.
pub fn location(config: &Config) -> Result<Location, StartError> {
    match &config.database.store {
        config::Store::Sqlite { path } => {
            let path = path.clone().unwrap_or_else(|| state_folder().join("dozvon.db"));
            Ok(Location::Sqlite(path))
        }
        config::Store::Postgres { url, password: secret, .. } => {
            let named = secret.as_ref().map(password).transpose();
            let password = named.map_err(|cause| StartError::Secret {
                what: "[database] password".to_owned(),
                cause,
            })?;
            Ok(Location::Postgres { url: url.as_str().to_owned(), password })
        }
    }
}

fn state_folder() -> PathBuf {
    std::env::var_os("STATE_DIRECTORY").map_or_else(|| STATE_FOLDER.into(), PathBuf::from)
}

/// The running daemon.
pub struct Daemon {
    app: App,
    call_loop: JoinHandle<()>,
    api: Vec<SocketAddr>,
    randomness: Randomness,
    socket: PathBuf,
    stop: CancellationToken,
}

impl Daemon {
    /// Opens the store, starts the call loop, takes up what a dead process left behind, then
    /// listens.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let parts = StoreParts::from_config(&config)?;
        let dialplan = plans::dialplan(&config)?;
        let hooks = webhooks::hooks(&config)?;
        let smpp_passwords = messages::smpp::passwords(&config)?;
        let store = parts.open(&config).await?;
        let media = media(&config)?;
        let mailer = mailer(&config)?;
        // The call loop looks its metrics up when it starts.
        let metrics = install_metrics();
        let (driver, call_loop) = Driver::start(sip_side::driver_settings(&config, &parts)?)?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let app = App::new(Parts {
            settings: Settings { config: Arc::new(config), dialplan: Arc::new(dialplan) },
            store,
            driver,
            media,
            mailer,
            clock: parts.clock.clone(),
            keys: parts.keys.clone(),
            plans_rng: parts.randomness.stream(Stream::Plans),
            ids_rng: parts.randomness.stream(Stream::Ids),
            tasks: tasks.clone(),
            stop: stop.clone(),
            metrics,
        });
        webhooks::start(&app, hooks).await?;
        messages::smpp::start(&app, smpp_passwords);
        take_up(&app).await?;
        let cap = app.settings().config.limits.http_connections;
        let connections = Connections::new(cap, stop.clone(), tasks);
        let api = listen(&app, &connections).await?;
        let socket = app.settings().config.api.socket.clone();
        Ok(Self { app, call_loop, api, randomness: parts.randomness, socket, stop })
    }

    /// The bound HTTP addresses, in the order of the file.
    pub fn api_addresses(&self) -> &[SocketAddr] {
        &self.api
    }

    /// The application.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Makes a key of the account `default` that may verify and send, and answers its token.
    pub async fn make_key(&self) -> Result<String, crate::accounts::CreateKeyError> {
        let wish = KeyWish {
            account: Some(config::AccountName::default_account().to_string()),
            live: true,
            scopes: [Scope::Verify, Scope::Messages, Scope::Calls].into_iter().collect(),
            networks: Vec::new(),
            label: Some("demo".to_owned()),
            valid_for: None,
        };
        let mut rng = self.randomness.stream(Stream::ApiKeys);
        let token = create_key(self.app.store(), self.app.now(), &mut rng, wish).await?;
        Ok(token.reveal())
    }

    /// Serves until `stop` ends, telling systemd how it is. Each hangup has the file read again.
    pub async fn run(self, stop: impl Future<Output = ()>, hangups: Hangups) {
        let notifier = notify::Notifier::start(self.app.driver().clone());
        tokio::select! {
            () = stop => {}
            () = hangups.follow(&self.app) => {}
        }
        notifier.stopping();
        self.shut_down().await;
    }

    /// Refuses new work, lets calls and writes end, removes bindings, closes the store.
    pub async fn shut_down(self) {
        tracing::info!("stopping");
        self.stop.cancel();
        self.app.driver().shut_down().await;
        self.app.tasks().close();
        let work = async {
            if self.call_loop.await.is_err() {
                tracing::error!("the call loop ended by a panic");
            }
            self.app.tasks().wait().await;
        };
        if tokio::time::timeout(STOP_LIMIT, work).await.is_err() {
            tracing::warn!("some work did not end in time, the next start takes it up");
        }
        self.app.store().close().await;
        remove_socket(&self.socket);
        tracing::info!("stopped");
    }
}

/// Takes SIGINT and SIGTERM over at once; the future ends at the first of them, also at one that
/// came before it was awaited.
pub fn stop_signal() -> impl Future<Output = ()> {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async move {
        let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
            // Without handlers the default action ends the process, which is a stop as well.
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

fn media(config: &Config) -> Result<Media, StartError> {
    let address = config.sip.listen.first().map(|listen| listen.address.ip());
    let address = address.unwrap_or(std::net::Ipv4Addr::UNSPECIFIED.into());
    let prompts = Prompts::load(config.voice.prompts.as_deref())?;
    Ok(Media { prompts, lines: Lines::new(address, &config.sip.media_ports) })
}

fn mailer(config: &Config) -> Result<Option<Mailer>, StartError> {
    let Some(email) = &config.email else { return Ok(None) };
    let failed = |what: &str, cause| StartError::Secret { what: format!("[email] {what}"), cause };
    let secret = email.password.as_ref().map(password).transpose();
    let secret = secret.map_err(|cause| failed("password", cause))?;
    let authorities = email.ca.as_ref().map(std::fs::read).transpose();
    let authorities = authorities.map_err(MailSettingsError::Unreadable)?;
    Ok(Some(Mailer::new(MailSettings { email: email.clone(), password: secret, authorities })?))
}

/// A second daemon in one process, as in tests, has no page of metrics of its own.
fn install_metrics() -> Option<PrometheusHandle> {
    let handle = PrometheusBuilder::new().install_recorder().ok()?;
    telemetry::describe_metrics();
    Some(handle)
}

/// Settles what a dead process left behind, and starts the timers of what is open.
async fn take_up(app: &App) -> Result<(), StartError> {
    let found = verification::recovery::recover(app).await?;
    let texts = messages::recover(app).await?;
    if found.calls + found.open + texts > 0 {
        tracing::info!(
            calls = found.calls,
            verifications = found.open,
            texts,
            "took up the work of an earlier process"
        );
    }
    app.spawn(verification::expiry::run(app.clone()));
    let inbound = app.driver().listen().await;
    app.spawn(inbound::run(app.clone(), inbound));
    app.spawn(verification::workflow::run(app.clone()));
    Ok(())
}

async fn listen(app: &App, connections: &Connections) -> Result<Vec<SocketAddr>, StartError> {
    let settings = app.settings();
    let api = &settings.config.api;
    let mut bound = Vec::new();
    for address in &api.listen {
        bound.push(serve(*address, router(app), app, connections).await?);
    }
    for address in api.operator_listen.iter().filter(|address| !api.listen.contains(address)) {
        serve(*address, operator_router(app), app, connections).await?;
    }
    let listener = bind_socket(&api.socket)?;
    app.spawn(connections.clone().serve_unix(listener, router(app)));
    Ok(bound)
}

async fn serve(
    address: SocketAddr,
    router: axum::Router,
    app: &App,
    connections: &Connections,
) -> Result<SocketAddr, StartError> {
    let failed = |cause| StartError::Listen { place: address.to_string(), cause };
    let listener = bind_tcp(address).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    tracing::info!("listening on http://{bound}");
    app.spawn(connections.clone().serve_tcp(listener, router));
    Ok(bound)
}

/// As the runtime binds, but with a longer queue.
fn bind_tcp(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Connections of a process that ended are no reason not to start.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Binds the command line's socket for root and our own user only. One that a dead process left
/// is replaced; one that answers is another daemon's.
fn bind_socket(path: &Path) -> Result<UnixListener, StartError> {
    use std::os::unix::fs::PermissionsExt;
    let failed = |cause| StartError::Listen { place: path.display().to_string(), cause };
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(failed(std::io::ErrorKind::AddrInUse.into()));
    }
    remove_socket(path);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

fn remove_socket(path: &Path) {
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(%error, "the old local socket cannot be removed"),
    }
}
