//! OpenSMTPD with files of its own.
//!
//! It wants root, its own users and `/var/spool/smtpd`, so it runs in a mount namespace of its own
//! where the spool and `/run` are empty folders in memory: nothing of the machine's is touched and
//! several may run. Debian 12's build cannot do TLS: its privilege separation hides the key from
//! OpenSSL 3, which then says "missing private key" in every handshake. So it is spoken with in
//! clear, and aiosmtpd is asked about TLS and passwords.

use std::fmt::Write as _;
use std::os::unix::fs::{PermissionsExt, chown};
use std::time::Duration;

use daemon::carrier::ReadLetter;
use tempfile::TempDir;

use crate::peers::{Peer, lacking, skip};
use crate::ports::{Port, tcp_is_bound};
use crate::process::Process;

const START_LIMIT: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The user that delivers; Debian has it everywhere.
const NOBODY: u32 = 65_534;

/// What the namespace is prepared with; `$0` is OpenSMTPD, `$1` its configuration.
const PREPARE: &str = "mount -t tmpfs -o mode=755 tmpfs /var/spool && \
    mkdir -m 711 /var/spool/smtpd && mount -t tmpfs -o mode=755 tmpfs /run && exec \"$0\" -d -f \"$1\"";

/// Prints why OpenSMTPD cannot run here, if it cannot.
#[must_use]
pub fn cannot_run() -> bool {
    if lacking(&[Peer::OpenSmtpd]) {
        return true;
    }
    let has_namespace = std::process::Command::new("unshare")
        .args(["-m", "mount", "-t", "tmpfs", "tmpfs", "/run"])
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !has_namespace {
        skip("OpenSMTPD wants root and a mount namespace of its own");
    }
    !has_namespace
}

/// Mailboxes that outlive the server: those of `corp.example`.
#[derive(Debug)]
pub struct Mailboxes {
    folder: TempDir,
}

/// A letter in a mailbox.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// Whom it is for, as the server wrote.
    pub to: String,
    /// What a reader sees.
    pub letter: ReadLetter,
}

impl Mailboxes {
    /// Empty ones.
    ///
    /// # Panics
    /// When the temporary folder cannot be written, or not be given to the user who delivers.
    #[must_use]
    pub fn empty() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), mode).expect("the folder is ours");
        let mail = folder.path().join("mail");
        std::fs::create_dir(&mail).expect("the folder is ours");
        chown(&mail, Some(NOBODY), None).expect("the test runs as root");
        Self { folder }
    }

    /// Everything that was delivered so far.
    ///
    /// # Panics
    /// When a letter cannot be read.
    #[must_use]
    pub fn letters(&self) -> Vec<Delivered> {
        // There is no folder before the first delivery.
        let Ok(entries) = std::fs::read_dir(self.folder.path().join("mail/new")) else {
            return Vec::new();
        };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let read = |path| {
            let bytes = std::fs::read(path).expect("root reads every letter");
            let letter = ReadLetter::parse(&bytes).expect("we write plain text");
            let head = String::from_utf8_lossy(&bytes);
            let to = head.lines().find_map(|line| line.strip_prefix("Delivered-To: "));
            Delivered { to: to.unwrap_or_default().to_owned(), letter }
        };
        paths.map(read).collect()
    }

    /// Waits until so many letters were delivered.
    ///
    /// # Panics
    /// When they are not within `limit`.
    pub async fn until(&self, limit: Duration, count: usize) -> Vec<Delivered> {
        let begin = std::time::Instant::now();
        loop {
            let letters = self.letters();
            if letters.len() >= count {
                return letters;
            }
            assert!(begin.elapsed() < limit, "{} of {count} in {limit:?}", letters.len());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// A running server.
#[derive(Debug)]
pub struct OpenSmtpd {
    process: Process,
}

impl OpenSmtpd {
    /// Starts a server at `port` that puts letters to `corp.example` into `mailboxes`, refuses
    /// others with 550, and, where `is_greylisting`, everything with 451.
    ///
    /// # Panics
    /// When it does not start; ask [`cannot_run`] first.
    pub async fn start(port: &Port, mailboxes: &Mailboxes, is_greylisting: bool) -> Self {
        let path = Peer::OpenSmtpd.path().expect("the test asked whether OpenSMTPD is installed");
        let folder = mailboxes.folder.path().display().to_string();
        let mut text = "table anybody { \"@\" = \"nobody\" }\n".to_owned();
        let mut filter = "";
        if is_greylisting {
            text += "table all { \".*\" }\nfilter later phase rcpt-to match rcpt-to regex <all> \
                     reject \"451 4.7.1 Greylisted\"\n";
            filter = " filter later";
        }
        let number = port.number();
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "listen on 127.0.0.1 port {number} hostname mail.test{filter}\n\
             action keep maildir \"{folder}/mail\" virtual <anybody> user nobody\n\
             match from any for domain corp.example action keep\n"
        );
        let config = mailboxes.folder.path().join("smtpd.conf");
        std::fs::write(&config, text).expect("the folder is ours");
        let (path, config) = (path.display().to_string(), config.display().to_string());
        let arguments = ["-m", "sh", "-c", PREPARE, &path, &config];
        let mut process = Process::start("unshare", arguments, |_| {});
        let listens = async {
            while !tcp_is_bound(port.number()) && process.is_running() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let started = tokio::time::timeout(START_LIMIT, listens).await;
        let output = process.output().join("\n");
        assert!(started.is_ok() && process.is_running(), "OpenSMTPD does not listen: {output}");
        Self { process }
    }

    /// Ends it with every connection.
    ///
    /// # Panics
    /// When the system cannot wait for it.
    pub async fn kill(mut self) {
        self.process.kill().await;
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.process.output()
    }
}
