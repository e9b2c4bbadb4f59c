//! A changed file while the daemon runs (SIGHUP): all of it is taken, or nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::Config;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{StartError, sip_side};
use crate::app::{App, Settings};
use crate::plans;
use crate::secrets::Keys;
use crate::settings::{self, LoadError};
use crate::ua_driver::{TlsServer, TrunkSpec};

/// Why a changed file is not taken.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    /// It cannot be read, or is wrong.
    #[error("{0}")]
    File(#[from] LoadError),
    /// Something that it names cannot be had.
    #[error("{0}")]
    Part(#[from] StartError),
    /// What changed is looked at only when the daemon starts.
    #[error("{} changed, which takes a restart", .0.join(" and "))]
    NeedsRestart(Vec<&'static str>),
    /// Reading the files ended by a panic.
    #[error("reading the files failed")]
    Broken,
}

/// What follows from a changed file, before any of it is in force.
struct Changes {
    settings: Settings,
    trunks: Vec<TrunkSpec>,
    certificate: Option<TlsServer>,
    warnings: String,
}

/// SIGHUP, and the file that it has read again.
#[derive(Debug)]
pub struct Hangups {
    file: PathBuf,
    /// `None`: the system gives no handler, and the default action ends the process.
    signal: Option<Signal>,
}

impl Hangups {
    /// Takes SIGHUP over at once: one that comes while the daemon starts must not end it.
    pub fn of(file: &Path) -> Self {
        Self { file: file.to_owned(), signal: signal(SignalKind::hangup()).ok() }
    }

    /// Takes the file again at each SIGHUP. One that is wrong, or names what cannot be had,
    /// changes nothing at all.
    pub(super) async fn follow(self, app: &App) {
        let Some(mut hangups) = self.signal else { return std::future::pending().await };
        while hangups.recv().await.is_some() {
            match reload(app, &self.file).await {
                Ok(()) => tracing::info!("SIGHUP: the configuration was read again"),
                Err(error) => {
                    tracing::error!("SIGHUP: the configuration stays as it was: {error}");
                }
            }
        }
    }
}

async fn reload(app: &App, file: &Path) -> Result<(), ReloadError> {
    let (path, keys) = (file.to_owned(), app.keys().clone());
    let running = app.settings().config;
    // Files are waited for on a thread that may wait.
    let prepared = tokio::task::spawn_blocking(move || prepare(&path, &running, &keys)).await;
    let changes = prepared.unwrap_or(Err(ReloadError::Broken))?;
    if !changes.warnings.is_empty() {
        tracing::warn!("{}", changes.warnings.trim_end());
    }
    if let Some(certificate) = changes.certificate {
        app.driver().replace_certificate(certificate);
    }
    // A plan must find the trunks that it names.
    app.driver().replace_trunks(changes.trunks).await;
    app.reload(changes.settings);
    Ok(())
}

fn prepare(path: &Path, running: &Config, keys: &Keys) -> Result<Changes, ReloadError> {
    let checked = settings::load(path)?;
    let config = checked.config;
    let fixed = fixed_parts(running, &config);
    if !fixed.is_empty() {
        return Err(ReloadError::NeedsRestart(fixed));
    }
    let dialplan = plans::dialplan(&config).map_err(StartError::from)?;
    Ok(Changes {
        trunks: sip_side::trunks(&config, keys)?,
        certificate: sip_side::certificate(&config)?,
        warnings: checked.warnings.to_string(),
        settings: Settings { config: Arc::new(config), dialplan: Arc::new(dialplan) },
    })
}

/// Parts of the file that differ and are looked at only at the start.
fn fixed_parts(running: &Config, wanted: &Config) -> Vec<&'static str> {
    let is_another_side = running.sip.listen != wanted.sip.listen
        || running.sip.media_ports != wanted.sip.media_ports;
    let another_cap = running.limits.http_connections != wanted.limits.http_connections;
    let parts = [
        ("[api]", running.api != wanted.api),
        ("[database]", running.database != wanted.database),
        ("[secrets]", running.secrets != wanted.secrets),
        ("[sip] listen or media_ports", is_another_side),
        ("[smpp]", running.smpp != wanted.smpp),
        ("[voice]", running.voice != wanted.voice),
        ("[email]", running.email != wanted.email),
        ("[webhooks]", running.webhooks != wanted.webhooks),
        ("[limits] http_connections", another_cap),
    ];
    parts.into_iter().filter(|(_, differs)| *differs).map(|(part, _)| part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "[trunks.north]\ntargets = [\"192.0.2.1:5060\"]\n\
                        [pools.all]\nnumbers = [\"+74951230000-+74951239999\"]\ntrunks = [\"north\"]\n\
                        [[routes]]\nprefix = \"+7916\"\ntrunks = [\"north\"]\npools = [\"all\"]\n";

    fn read(text: &str) -> Config {
        let source = config::Source { name: "dozvon.toml", text };
        config::parse(&[source]).unwrap().config
    }

    #[test]
    fn trunks_pools_routes_and_limits_change_while_the_daemon_runs() {
        let wanted = FILE.replace("192.0.2.1", "192.0.2.2").replace("9999", "8888");
        let wanted = format!("{wanted}[limits]\nrequests_per_second = 3\n");
        assert_eq!(fixed_parts(&read(FILE), &read(&wanted)), [""; 0]);
    }

    #[test]
    fn what_is_bound_or_opened_at_the_start_takes_a_restart() {
        let wanted = format!(
            "[api]\nlisten = \"127.0.0.1:8081\"\n[sip]\nlisten = [\"udp:127.0.0.1:5099\"]\n{FILE}"
        );
        let fixed = fixed_parts(&read(FILE), &read(&wanted));
        assert_eq!(fixed, ["[api]", "[sip] listen or media_ports"]);
        let error = ReloadError::NeedsRestart(fixed).to_string();
        assert_eq!(error, "[api] and [sip] listen or media_ports changed, which takes a restart");
    }
}
