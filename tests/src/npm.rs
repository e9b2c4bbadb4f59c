//! Packages of npm: programs of others that run under node.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::peers::{Peer, lacking, skip};

/// The server side of SMPP that scenarios run against.
pub const SMPP: &str = "smpp@0.6.0-rc.4";
/// The library by which receivers of webhooks verify signatures.
pub const STANDARD_WEBHOOKS: &str = "standardwebhooks@1.0.0";

/// The folder in whose `node_modules` a package of this version is installed: beside the test's
/// binary, where the next run finds it. `None`, after the line by which `tests/run` counts a test
/// as skipped: there is no node, no npm, or no registry that answers.
///
/// # Panics
/// When a thread that installed a package panicked.
pub async fn install(package: &'static str) -> Option<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    if lacking(&[Peer::Node, Peer::Npm]) {
        return None;
    }
    let installing = move || {
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let test = std::env::current_exe().ok()?;
        let folder = test.parent()?.join("npm").join(package);
        if folder.join("node_modules").is_dir() || fetch(package, &folder).is_some() {
            return Some(folder);
        }
        None
    };
    let folder = tokio::task::spawn_blocking(installing).await.expect("it does not panic");
    if folder.is_none() {
        skip(&format!("npm cannot install {package}"));
    }
    folder
}

/// Installs into a folder of its own first: one that another process sees is whole.
fn fetch(package: &str, folder: &Path) -> Option<()> {
    let beside = folder.parent()?;
    std::fs::create_dir_all(beside).ok()?;
    let fresh = tempfile::Builder::new().prefix("fresh-").tempdir_in(beside).ok()?;
    let mut npm = Command::new(Peer::Npm.path()?);
    // Nothing of a package runs while it is installed.
    npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]);
    npm.args(["--fetch-timeout=60000", "--prefix"]).arg(fresh.path()).arg(package);
    if !npm.current_dir(fresh.path()).output().ok()?.status.success() {
        return None;
    }
    // Another process may have been quicker; then what it installed is as good.
    let moved = std::fs::rename(fresh.path(), folder);
    (moved.is_ok() || folder.join("node_modules").is_dir()).then_some(())
}
