//! Dozvon as a process with a configuration, a database and an API key of its own.

mod files;
mod setup;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::canary::Canary;
use crate::http::Client;
use crate::process::Process;
use files::Files;

pub use setup::{Engine, Setup};

/// How long the daemon may take to listen on a machine that is busy.
const START_LIMIT: Duration = Duration::from_secs(60);
/// A call's longest way to its end, and some room.
const CALL_LIMIT: Duration = Duration::from_secs(60);
/// How often the state of a trunk is asked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The pool's numbers have these digits in front, so that one is recognised wherever it shows up.
pub const POOL_PREFIX: &str = "+7495123";
/// Destinations of the tests have these digits in front.
pub const DESTINATION_PREFIX: &str = "+7916";
/// How many last digits are the code: so many that one is found in a log without being met there
/// by chance.
pub const CODE_LENGTH: u8 = 9;
/// 32 bytes; the key of a daemon that tests throw away.
const SECRET_KEY: &str = "a key of 32 bytes for tests only";

/// A running daemon. When it is dropped, its log is searched for what no log may hold.
#[derive(Debug)]
pub struct Gateway {
    process: Process,
    files: Files,
    api: Client,
    earlier_logs: Vec<String>,
    secrets: Vec<String>,
}

impl Gateway {
    /// Starts a daemon with an empty database and makes a key with every scope.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(setup: Setup) -> Self {
        let files = Files::write(&setup).await;
        let key = files.make_key("default").await;
        let process = files.run().await;
        let api = Client::new(files.api.address()).with_key(&key);
        let mut secrets: Vec<_> =
            setup.passwords.into_iter().map(|(_, password)| password).collect();
        secrets.push(SECRET_KEY.to_owned());
        Self { process, files, api, earlier_logs: Vec::new(), secrets }
    }

    /// The API, with a key of the account `default`.
    #[must_use]
    pub fn api(&self) -> &Client {
        &self.api
    }

    /// Where the daemon sends and receives SIP.
    #[must_use]
    pub fn sip(&self) -> SocketAddr {
        self.files.sip.address()
    }

    /// The daemon's process.
    ///
    /// # Panics
    /// When it has ended.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// `postgres://…` or `sqlite://…`.
    #[must_use]
    pub fn database_url(&self) -> &str {
        &self.files.database_url
    }

    /// The daemon's own folder: configuration, key, SQLite's files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.files.folder.path()
    }

    /// Makes another key, of `account`, with every scope of an account.
    ///
    /// # Panics
    /// When the command fails.
    pub async fn make_key(&self, account: &str) -> String {
        self.files.make_key(account).await
    }

    /// Waits until the log says that a registered trunk is bound.
    ///
    /// # Panics
    /// When it does not.
    pub async fn registered(&self) {
        self.process.line_with("registered for", START_LIMIT).await;
    }

    /// How a trunk stands, as `dozvon trunks` says.
    ///
    /// # Panics
    /// When the daemon does not answer, or has no such trunk.
    pub async fn trunk(&self, name: &str) -> Value {
        let socket = self.folder().join("dozvon.sock");
        let mut process = Process::start(binary(), ["trunks", "--json", "--socket"], |command| {
            command.arg(socket);
        });
        let status = process.ended(START_LIMIT).await;
        let output = process.output().join("\n");
        let told: Value = serde_json::from_str(&output)
            .unwrap_or_else(|fault| panic!("trunks: {status}: {fault}: {output}"));
        let trunks = told["data"].as_array().map_or(&[][..], Vec::as_slice);
        let named = trunks.iter().find(|trunk| trunk["name"] == name);
        named.unwrap_or_else(|| panic!("no trunk {name} in {output}")).clone()
    }

    /// Waits until what `dozvon trunks` says of a trunk fulfils `condition`.
    ///
    /// # Panics
    /// When it does not within `limit`.
    pub async fn until_trunk(
        &self,
        name: &str,
        limit: Duration,
        condition: impl Fn(&Value) -> bool,
    ) -> Value {
        let begin = std::time::Instant::now();
        loop {
            let seen = self.trunk(name).await;
            if condition(&seen) {
                return seen;
            }
            assert!(begin.elapsed() < limit, "{seen:#}\n{}", self.log().join("\n"));
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The configuration as it stands in the file.
    ///
    /// # Panics
    /// When the file is gone.
    #[must_use]
    pub fn configuration(&self) -> String {
        std::fs::read_to_string(&self.files.config).expect("the folder is ours")
    }

    /// Writes another configuration, sends SIGHUP, and answers the line that the daemon logs.
    ///
    /// # Panics
    /// When it logs none.
    pub async fn reload(&self, configuration: &str) -> String {
        let answers = || {
            let log = self.process.output();
            log.into_iter().filter(|line| line.contains("SIGHUP:")).collect::<Vec<_>>()
        };
        let before = answers().len();
        std::fs::write(&self.files.config, configuration).expect("the folder is ours");
        self.process.signal(Signal::HUP);
        let begin = std::time::Instant::now();
        loop {
            if let Some(line) = answers().get(before) {
                return line.clone();
            }
            assert!(begin.elapsed() < START_LIMIT, "{}", self.log().join("\n"));
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Kills the daemon with SIGKILL and waits until it is gone.
    ///
    /// # Panics
    /// When the system cannot wait for it.
    pub async fn kill(&mut self) {
        self.process.kill().await;
    }

    /// Starts the daemon again on the same files and addresses, after [`Gateway::kill`].
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_again(&mut self) {
        self.earlier_logs.extend(self.process.output());
        self.process = self.files.run().await;
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Panics
    /// When the daemon does not end, or not with status 0.
    pub async fn stop(&mut self, limit: Duration) {
        self.process.terminate();
        let status = self.process.ended(limit).await;
        assert!(status.success(), "{status}: {}", self.log().join("\n"));
    }

    /// Everything that was logged, over restarts.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        let mut lines = self.earlier_logs.clone();
        lines.extend(self.process.output());
        lines
    }

    /// Creates a verification by flash call.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn verify(&self, to: &str) -> Value {
        let body = json!({"to": to, "channels": ["flash_call"], "purpose": "sign_in"});
        self.api.post("/v1/verifications", &body).await.expect(201).json()
    }

    /// Reads a verification, waiting for changes, until `condition` holds.
    ///
    /// # Panics
    /// When it does not within a minute.
    pub async fn until(&self, id: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let begin = std::time::Instant::now();
        let mut path = format!("/v1/verifications/{id}");
        loop {
            let seen = self.api.get(&path).await.expect(200).json();
            if condition(&seen) {
                return seen;
            }
            assert!(begin.elapsed() < CALL_LIMIT, "{seen:#}\n{}", self.log().join("\n"));
            path = format!("/v1/verifications/{id}?wait=5&after={}", seen["version"]);
        }
    }

    /// Reads a verification once its last step's call has its outcome.
    ///
    /// # Panics
    /// When it has none within a minute.
    pub async fn until_call_ended(&self, id: &str) -> Value {
        self.until(id, |seen| last_call(seen)["outcome"].is_string()).await
    }

    /// Lines of the log that hold a secret: any number of the tests, any code, a password, a key, or
    /// what was sent to the API as a target or code.
    #[must_use]
    pub fn secrets_in_log(&self) -> Vec<String> {
        let mut canary = Canary::of_all_tests();
        for secret in self.secrets.iter().chain(&self.api.secrets()) {
            if !canary.knows(secret) {
                canary.add(secret);
            }
        }
        canary.hits_in_lines(&self.log())
    }

    /// Presents a code.
    ///
    /// # Panics
    /// When the daemon does not answer.
    pub async fn check(&self, id: &str, code: &str) -> crate::http::Answer {
        self.api.post(&format!("/v1/verifications/{id}/check"), &json!({"code": code})).await
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let hits = self.secrets_in_log();
        assert!(hits.is_empty(), "the log holds secrets:\n{}", hits.join("\n"));
    }
}

/// The code of a phone that showed this number.
///
/// # Panics
/// When the number is shorter than a code.
#[must_use]
pub fn code_of(shown: &str) -> &str {
    &shown[shown.len() - usize::from(CODE_LENGTH)..]
}

/// The last step of a verification as the API shows it.
#[must_use]
pub fn last_step(verification: &Value) -> &Value {
    verification["steps"].as_array().and_then(|steps| steps.last()).unwrap_or(&Value::Null)
}

/// The last call of the last step.
#[must_use]
pub fn last_call(verification: &Value) -> &Value {
    let calls = &last_step(verification)["calls"];
    calls.as_array().and_then(|calls| calls.last()).unwrap_or(&Value::Null)
}

/// The binary that cargo put beside the folder of the test binaries.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("DOZVON_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().expect("a test knows its own path");
    let folder = test.parent().and_then(Path::parent).expect("target/PROFILE/deps/TEST");
    let path = folder.join("dozvon");
    assert!(path.exists(), "build it first: cargo build -p dozvon, with this profile");
    path
}
