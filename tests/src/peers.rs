//! Which programs of others are installed, and the one way to say that a test cannot run.

use std::path::{Path, PathBuf};

/// A program that a scenario needs beside our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// SIPp, Debian's package `sip-tester`.
    Sipp,
    /// Kamailio, Debian's package `kamailio`.
    Kamailio,
    /// Kamailio's TLS, Debian's package `kamailio-tls-modules`.
    KamailioTls,
    /// PostgreSQL's server programs, Debian's package `postgresql`.
    Postgres,
    /// OpenSMTPD, Debian's package `opensmtpd`.
    OpenSmtpd,
    /// Python's mail server, Debian's package `python3-aiosmtpd`.
    Aiosmtpd,
    /// Debian's package `nodejs`.
    Node,
    /// Debian's package `npm`, which fetches a test's packages when it runs.
    Npm,
    /// Baresip, Debian's package `baresip` (its programs are in `baresip-core`).
    Baresip,
    /// Wireshark without a window, Debian's package `tshark`.
    Tshark,
}

impl Peer {
    /// Where the program is, if it is installed.
    #[must_use]
    pub fn path(self) -> Option<PathBuf> {
        match self {
            Self::Sipp => on_path("sipp"),
            Self::Kamailio => on_path("kamailio"),
            Self::KamailioTls => kamailio_module("tls.so"),
            Self::Node => on_path("node"),
            Self::Npm => on_path("npm"),
            Self::Postgres => postgres_folder().map(|folder| folder.join("postgres")),
            // Other mail servers have an `smtpd` too.
            Self::OpenSmtpd => on_path("smtpd").filter(|_| on_path("smtpctl").is_some()),
            Self::Aiosmtpd => debian_python("aiosmtpd"),
            Self::Baresip => on_path("baresip"),
            Self::Tshark => on_path("tshark"),
        }
    }
}

/// Prints `SKIPPED: reason` and returns true when one of `needed` is not installed; the test then
/// returns, and `tests/run` counts it as skipped.
#[must_use]
pub fn lacking(needed: &[Peer]) -> bool {
    let missing: Vec<_> = needed.iter().filter(|peer| peer.path().is_none()).collect();
    if !missing.is_empty() {
        skip(&format!("not installed: {missing:?}"));
    }
    !missing.is_empty()
}

/// Prints the line by which `tests/run` counts a test as skipped.
#[expect(clippy::print_stdout, reason = "tests/run reads this line from the test's output")]
pub fn skip(reason: &str) {
    println!("SKIPPED: {reason}");
}

/// Prints a measured figure, which `tests/run` shows with the test's layer.
#[expect(clippy::print_stdout, reason = "tests/run reads this line from the test's output")]
pub fn figure(figure: &str) {
    println!("FIGURE: {figure}");
}

/// Whether the long forms were asked for (`tests/run --long`).
#[must_use]
pub fn long_form() -> bool {
    std::env::var("DOZVON_LONG").is_ok_and(|value| value == "1")
}

/// The folder of PostgreSQL's server programs; Debian keeps one for each major version and does not
/// put it on the path, so the highest is taken.
#[must_use]
pub(crate) fn postgres_folder() -> Option<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql").ok().and_then(|versions| {
        let folders = versions.filter_map(|version| Some(version.ok()?.path().join("bin")));
        folders.filter(|folder| folder.join("initdb").exists()).max_by_key(|f| major_version(f))
    });
    debian.or_else(|| on_path("initdb").and_then(|path| path.parent().map(Path::to_owned)))
}

/// Debian keeps modules in a folder named after the machine.
fn kamailio_module(name: &str) -> Option<PathBuf> {
    let machines = std::fs::read_dir("/usr/lib").ok()?;
    let modules = machines.filter_map(|entry| Some(entry.ok()?.path().join("kamailio/modules")));
    modules.map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Debian's Python, if it has this module; another Python on the path does not see it.
fn debian_python(module: &str) -> Option<PathBuf> {
    let has_it = Path::new("/usr/lib/python3/dist-packages").join(module).is_dir();
    Some(PathBuf::from("/usr/bin/python3")).filter(|path| has_it && path.is_file())
}

fn major_version(folder: &Path) -> u32 {
    let name = folder.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    name.and_then(|name| name.parse().ok()).unwrap_or(0)
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // A user's path often lacks the folder where Debian keeps servers.
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}
