//! A mail server by aiosmtpd that fails as its letters' addresses say: `tests/interop/mail_server.py`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::peers::Peer;
use crate::ports::Port;
use crate::process::Process;

const START_LIMIT: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Who may give letters to the server.
pub const USER: &str = "gateway@mail.test";
/// Its password.
pub const PASSWORD: &str = "letters-leave-at-noon";

/// A certificate for `localhost` that vouches for itself, with its key, as files.
#[derive(Debug)]
pub struct Certificate {
    folder: TempDir,
}

impl Certificate {
    /// Makes one.
    ///
    /// # Panics
    /// When the temporary folder cannot be written.
    #[must_use]
    pub fn for_localhost() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])
            .expect("the name is one");
        let folder = TempDir::new().expect("a temporary folder");
        for (name, text) in
            [("certificate.pem", made.cert.pem()), ("key.pem", made.signing_key.serialize_pem())]
        {
            std::fs::write(folder.path().join(name), text).expect("the folder is ours");
        }
        Self { folder }
    }

    /// The certificate's file.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }
}

/// How a server is spoken with.
#[derive(Clone, Copy, Debug)]
pub enum Door<'a> {
    /// In clear, by anybody.
    Open,
    /// After STARTTLS, by [`USER`].
    StartTls(&'a Certificate),
    /// By TLS from the first byte, by [`USER`].
    Wrapped(&'a Certificate),
}

impl Door<'_> {
    /// The text of `[email]` for a server at `port`.
    #[must_use]
    pub fn section(self, port: &Port) -> String {
        let from = "from = \"Dozvon <noreply@dozvon.example>\"\nreply_limit = 5";
        let (number, login) = (port.number(), "password = { file = \"FOLDER/mail.password\" }");
        match self {
            Door::Open => {
                format!("\n[email]\nsmtp = \"smtp://127.0.0.1:{number}\"\ntls = \"off\"\n{from}\n")
            }
            Door::StartTls(certificate) | Door::Wrapped(certificate) => {
                let scheme = if matches!(self, Door::Wrapped(_)) { "smtps" } else { "smtp" };
                let ca = certificate.path().display().to_string();
                format!(
                    "\n[email]\nsmtp = \"{scheme}://localhost:{number}\"\nca = \"{ca}\"\n\
                     user = \"{USER}\"\n{login}\n{from}\n"
                )
            }
        }
    }
}

/// A letter whose content the server was given, whatever it answered.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Whom it is for.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// Its plain text.
    pub text: String,
    /// Its Message-ID.
    pub id: String,
    /// Whether the server took it and said so.
    pub is_taken: bool,
    /// Whether it came encrypted.
    pub is_secure: bool,
    /// Who logged in.
    pub user: Option<String>,
}

impl Letter {
    /// The six digits in its text.
    ///
    /// # Panics
    /// When there are none.
    #[must_use]
    pub fn code(&self) -> &str {
        code_in(&self.text)
    }
}

/// The six digits in a text.
///
/// # Panics
/// When there are none.
#[must_use]
pub fn code_in(text: &str) -> &str {
    let mut runs = text.split(|character: char| !character.is_ascii_digit());
    runs.find(|run| run.len() == 6).unwrap_or_else(|| panic!("no code in {text:?}"))
}

/// A running server.
#[derive(Debug)]
pub struct MailServer {
    process: Process,
}

impl MailServer {
    /// Starts a server at `port` and waits until it listens.
    ///
    /// # Panics
    /// When aiosmtpd is not installed (ask [`crate::peers::lacking`] first) or does not start.
    pub async fn start(port: &Port, door: Door<'_>) -> Self {
        Self::start_thoughtful(port, door, Duration::ZERO).await
    }

    /// The same for one that looks so long into each letter before it answers.
    ///
    /// # Panics
    /// As [`MailServer::start`].
    pub async fn start_thoughtful(port: &Port, door: Door<'_>, think: Duration) -> Self {
        let python = Peer::Aiosmtpd.path().expect("the test asked whether aiosmtpd is installed");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/mail_server.py");
        let mut arguments = vec![script.display().to_string()];
        let mut give = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        give("--port", port.number().to_string());
        give("--think-ms", think.as_millis().to_string());
        if let Door::StartTls(certificate) | Door::Wrapped(certificate) = door {
            let is_wrapped = matches!(door, Door::Wrapped(_));
            give("--tls", if is_wrapped { "wrapped" } else { "starttls" }.to_owned());
            give("--certificate", certificate.path().display().to_string());
            give("--key", certificate.key().display().to_string());
            give("--user", USER.to_owned());
            give("--password", PASSWORD.to_owned());
        }
        let process = Process::start(python, arguments, |_| {});
        process.line_with("listening", START_LIMIT).await;
        Self { process }
    }

    /// Ends it with every connection.
    ///
    /// # Panics
    /// When the system cannot wait for it.
    pub async fn kill(mut self) {
        self.process.kill().await;
    }

    /// Everything that the server told of one kind of event.
    #[must_use]
    pub fn told(&self, event: &str) -> Vec<Value> {
        let lines = self.process.output();
        let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["event"] == event).collect()
    }

    /// The letters that were given so far.
    #[must_use]
    pub fn letters(&self) -> Vec<Letter> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let letter = |line: &Value| Letter {
            to: text(&line["to"]),
            subject: text(&line["subject"]),
            text: text(&line["text"]),
            id: text(&line["id"]),
            is_taken: line["fault"].is_null(),
            is_secure: line["tls"] == true,
            user: line["user"].as_str().map(str::to_owned),
        };
        self.told("letter").iter().map(letter).collect()
    }

    /// The letters to one address.
    #[must_use]
    pub fn letters_to(&self, address: &str) -> Vec<Letter> {
        self.letters().into_iter().filter(|letter| letter.to == address).collect()
    }

    /// Waits until the letters to an address fulfil `condition`.
    ///
    /// # Panics
    /// When they do not within `limit`.
    pub async fn until(
        &self,
        limit: Duration,
        address: &str,
        condition: impl Fn(&[Letter]) -> bool,
    ) -> Vec<Letter> {
        let begin = std::time::Instant::now();
        loop {
            let letters = self.letters_to(address);
            if condition(&letters) {
                return letters;
            }
            let output = self.process.output().join("\n");
            assert!(begin.elapsed() < limit, "letters to {address} in {limit:?}:\n{output}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
