//! SIPp as a carrier, a handset or a caller, driven by the scenario files of `tests/interop/sipp`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::capture::{Captured, ladder, parse_sipp_messages};
use crate::peers::Peer;
use crate::ports::{Port, udp_is_bound};
use crate::process::Process;

/// How long SIPp may take to bind its socket on a machine that is busy compiling.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How often a record that grows is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A scenario file and what is filled into it.
#[derive(Clone, Debug)]
pub struct Scenario {
    text: String,
    arguments: Vec<String>,
}

impl Scenario {
    /// The scenario `tests/interop/sipp/NAME.xml`.
    ///
    /// # Panics
    /// When there is no such file.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/sipp");
        let text = std::fs::read_to_string(folder.join(name).with_extension("xml"));
        let text = text.unwrap_or_else(|fault| panic!("scenario {name}: {fault}"));
        Self { text, arguments: Vec::new() }
    }

    /// Fills `[key]` in the scenario with `value`.
    ///
    /// SIPp's own `-key` comes too late for a status, which SIPp checks when it loads the file, and
    /// for what stands inside another keyword.
    ///
    /// # Panics
    /// When the scenario has no such place.
    #[must_use]
    pub fn key(mut self, key: &str, value: &str) -> Self {
        assert!(self.has(key), "the scenario has no [{key}]");
        self.text = self.text.replace(&format!("[{key}]"), value);
        self
    }

    /// Whether the scenario has a place `[key]` to be filled.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.text.contains(&format!("[{key}]"))
    }

    /// SIPp neither repeats its answer to a repeated request nor hides that one from the scenario.
    #[must_use]
    pub fn without_retransmissions(self) -> Self {
        self.option(&["-nr"])
    }

    /// Further options of SIPp's command line.
    #[must_use]
    pub fn option(mut self, options: &[&str]) -> Self {
        self.arguments.extend(options.iter().map(|option| (*option).to_owned()));
        self
    }
}

/// A running SIPp on a loopback port of its own.
#[derive(Debug)]
pub struct Sipp {
    process: Process,
    folder: TempDir,
    port: Port,
}

impl Sipp {
    /// Starts SIPp as the called side and waits until it listens.
    ///
    /// OPTIONS is answered 200 outside the scenario, as a carrier does.
    ///
    /// # Panics
    /// When SIPp is not installed (ask [`crate::peers::lacking`] first) or does not start.
    pub async fn carrier(scenario: &Scenario) -> Self {
        let mut sipp = Self::start(scenario, vec!["-aa".to_owned()]);
        let listens = async {
            while !udp_is_bound(sipp.port.number()) && sipp.process.is_running() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let in_time = tokio::time::timeout(START_LIMIT, listens).await.is_ok();
        let output = sipp.process.output().join("\n");
        assert!(in_time && sipp.process.is_running(), "sipp does not listen: {output}");
        sipp
    }

    /// Starts SIPp as the calling side: `calls` calls to `target`, for `number`.
    ///
    /// # Panics
    /// When SIPp is not installed or does not start.
    #[must_use]
    pub fn caller(scenario: &Scenario, target: SocketAddr, number: &str, calls: u32) -> Self {
        let fixed = [&target.to_string(), "-s", number, "-m", &calls.to_string()];
        Self::start(scenario, fixed.map(str::to_owned).to_vec())
    }

    /// Where SIPp listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// What SIPp has sent and received so far.
    ///
    /// # Panics
    /// When its record is not of the form that SIPp writes.
    #[must_use]
    pub fn messages(&self) -> Vec<Captured> {
        // Before the first message there is no file.
        parse_sipp_messages(&std::fs::read(self.record()).unwrap_or_default())
    }

    /// Waits until the record fulfils `condition`, and returns it.
    ///
    /// # Panics
    /// When it does not within `limit`; `what` says what was waited for.
    pub async fn until(
        &self,
        limit: Duration,
        what: &str,
        condition: impl Fn(&[Captured]) -> bool,
    ) -> Vec<Captured> {
        let begin = std::time::Instant::now();
        loop {
            let messages = self.messages();
            if condition(&messages) {
                return messages;
            }
            assert!(
                begin.elapsed() < limit,
                "sipp: no {what} in {limit:?}:\n{}",
                ladder(&messages)
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits for the end of a caller. SIPp's status is 0 when every call went as its scenario says.
    ///
    /// # Panics
    /// When it still runs after `limit`.
    pub async fn ended(&mut self, limit: Duration) -> ExitStatus {
        self.process.ended(limit).await
    }

    /// What SIPp found unexpected; empty when all went as the scenario says. That it answered an
    /// OPTIONS outside the scenario is what it was told to do; that the machine gave it no time for
    /// half a second says nothing of what it saw.
    #[must_use]
    pub fn errors(&self) -> String {
        let told =
            ["The following events occurred:", "Automatic response mode", "Overload warning:"];
        let text = std::fs::read_to_string(self.folder.path().join("errors")).unwrap_or_default();
        let lines = text.lines().filter(|line| !told.iter().any(|part| line.contains(part)));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn start(scenario: &Scenario, further: Vec<String>) -> Self {
        let path = Peer::Sipp.path().expect("the test asked whether SIPp is installed");
        let (folder, port) = (TempDir::new().expect("a temporary folder"), Port::reserve());
        std::fs::write(folder.path().join("scenario.xml"), &scenario.text)
            .expect("the folder is ours");
        let mut arguments = further;
        arguments.extend(["-sf", "scenario.xml"].map(str::to_owned));
        arguments.extend(["-i", "127.0.0.1", "-bind_local", "-p"].map(str::to_owned));
        arguments.extend([port.number().to_string(), "-nostdin".to_owned()]);
        arguments.extend(["-trace_msg", "-message_file", "messages"].map(str::to_owned));
        arguments.extend(["-trace_err", "-error_file", "errors"].map(str::to_owned));
        arguments.extend(scenario.arguments.clone());
        let process = Process::start(path, arguments, |command| {
            // Its statistics screen is drawn every second and says nothing that the record lacks.
            command.env("TERM", "dumb").current_dir(folder.path()).stdout(Stdio::null());
        });
        Self { process, folder, port }
    }

    fn record(&self) -> PathBuf {
        self.folder.path().join("messages")
    }
}
