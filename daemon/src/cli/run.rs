//! `dozvon run` and `dozvon migrate`.

use std::path::Path;

use super::{Exit, load, output};
use crate::lifecycle::{Daemon, Hangups, StartError, location, stop_signal};
use crate::store::OpenError;
use crate::telemetry::{self, LogFormat};

/// Runs until SIGINT or SIGTERM.
pub(super) async fn run(path: &Path, log: LogFormat) -> Exit {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned());
    telemetry::init(log, &filter);
    let config = match load(path) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    // A SIGTERM while the parts are opened must still remove the bindings.
    let stop = stop_signal();
    let hangups = Hangups::of(path);
    match Daemon::start(config).await {
        Ok(daemon) => {
            daemon.run(stop, hangups).await;
            Exit::Success
        }
        Err(error) => fail(&error),
    }
}

/// Brings the database to this version's tables.
pub(super) async fn migrate(path: &Path) -> Exit {
    let config = match load(path) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let place = match location(&config) {
        Ok(place) => place,
        Err(error) => return fail(&error),
    };
    match crate::store::migrate(&place).await {
        Ok(0) => output::line("the tables are up to date"),
        Ok(count) => output::line(format_args!("{count} migrations were run")),
        Err(error) => return fail(&error.into()),
    }
    Exit::Success
}

/// Says why the daemon or its store did not start.
pub(super) fn fail(error: &StartError) -> Exit {
    output::complain(format_args!("error: {error}"));
    match error {
        StartError::Secret { .. } | StartError::SecretKey(_) => Exit::Config,
        StartError::Tls { .. } | StartError::Plans(_) | StartError::Mail(_) => Exit::Config,
        StartError::SmppPassword(_) | StartError::Webhook(_) => Exit::Config,
        StartError::Prompts(_) => Exit::Config,
        StartError::Store(OpenError::Address | OpenError::WrongKey) => Exit::Config,
        StartError::Store(_) | StartError::Sip(_) | StartError::Listen { .. } => Exit::Unavailable,
        StartError::Randomness(_) | StartError::Recovery(_) => Exit::TryAgain,
    }
}
