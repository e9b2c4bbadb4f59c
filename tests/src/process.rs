//! A child process that dies with the test, whose output is kept and can be awaited.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// A running program with its standard output and error, line by line in the order of arrival.
///
/// Dropping it kills it and all that it started. Should the test itself be killed, the system sends
/// the program SIGTERM (it is started through `setpriv --pdeathsig`), at which Kamailio ends its
/// workers too.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    output: watch::Receiver<Vec<String>>,
}

impl Process {
    /// Starts `program` with `arguments`; `prepare` may add environment or a working folder.
    ///
    /// # Panics
    /// When the program cannot be started.
    pub fn start(
        program: impl AsRef<std::ffi::OsStr>,
        arguments: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>,
        prepare: impl FnOnce(&mut Command),
    ) -> Self {
        let name = program.as_ref().to_string_lossy().into_owned();
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--"]).arg(program).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        prepare(&mut command);
        let mut child = command.spawn().unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let (lines, output) = watch::channel(Vec::new());
        let lines = Arc::new(lines);
        collect(child.stdout.take(), Arc::clone(&lines));
        collect(child.stderr.take(), lines);
        Self { name, child, output }
    }

    /// The first line, printed already or within `limit`, that contains `part`.
    ///
    /// # Panics
    /// When the program ends or the limit passes without such a line.
    pub async fn line_with(&self, part: &str, limit: Duration) -> String {
        let mut output = self.output.clone();
        let arrived = output.wait_for(|lines| lines.iter().any(|line| line.contains(part)));
        let found = tokio::time::timeout(limit, arrived).await.is_ok_and(|seen| seen.is_ok());
        let lines = self.output();
        match lines.iter().find(|line| line.contains(part)) {
            Some(line) => line.clone(),
            None if found => unreachable!("lines are never taken away"),
            None => {
                panic!("{} did not say {part:?} in {limit:?}:\n{}", self.name, lines.join("\n"))
            }
        }
    }

    /// Everything printed so far.
    #[must_use]
    pub fn output(&self) -> Vec<String> {
        self.output.borrow().clone()
    }

    /// The process id, as long as the process has not been waited for.
    ///
    /// # Panics
    /// When it has ended.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id().unwrap_or_else(|| panic!("{} has ended", self.name))
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends a signal to the program alone, not to what it started.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            // It may have ended by itself; whoever waits for it sees how.
            let _ = kill_process(pid, signal);
        }
    }

    /// Kills the program with SIGKILL and waits until it is gone.
    ///
    /// # Panics
    /// When the system cannot wait for it.
    pub async fn kill(&mut self) {
        self.kill_group();
        self.child.wait().await.unwrap_or_else(|fault| panic!("{}: {fault}", self.name));
        self.output_to_its_end().await;
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When the program still runs after `limit`.
    pub async fn ended(&mut self, limit: Duration) -> ExitStatus {
        match tokio::time::timeout(limit, self.child.wait()).await {
            Ok(status) => {
                self.output_to_its_end().await;
                status.unwrap_or_else(|fault| panic!("{}: {fault}", self.name))
            }
            Err(_) => {
                panic!("{} still runs after {limit:?}:\n{}", self.name, self.output().join("\n"))
            }
        }
    }

    /// What was written last may still be on its way to us.
    async fn output_to_its_end(&mut self) {
        let closed = async { while self.output.changed().await.is_ok() {} };
        // A child of the program may hold the pipe open; then there is no end to wait for.
        let _ = tokio::time::timeout(Duration::from_secs(1), closed).await;
    }

    fn kill_group(&self) {
        if let Some(pid) = self.pid() {
            // The group may be gone already, which is what is wanted.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }

    fn pid(&self) -> Option<Pid> {
        self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_group();
    }
}

/// Reads one stream to its end; bytes that are not UTF-8 are shown as replacement characters.
fn collect(
    stream: Option<impl AsyncRead + Unpin + Send + 'static>,
    lines: Arc<watch::Sender<Vec<String>>>,
) {
    let Some(stream) = stream else { return };
    tokio::spawn(async move {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            lines.send_modify(|lines| lines.push(text));
            line.clear();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_is_awaited_and_the_process_dies_when_dropped() {
        let script = "echo one; echo two >&2; sleep 60 & wait";
        let process = Process::start("sh", ["-c", script], |_| {});
        assert_eq!(process.line_with("tw", Duration::from_secs(5)).await, "two");
        let id = process.id();
        drop(process);
        let gone = async {
            while std::fs::read_to_string(format!("/proc/{id}/stat"))
                .is_ok_and(|stat| !stat.contains(") Z "))
            {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap();
    }

    #[tokio::test]
    #[should_panic(expected = "did not say \"three\"")]
    async fn a_line_that_never_comes_fails_with_what_was_printed() {
        let process = Process::start("sh", ["-c", "echo one"], |_| {});
        process.line_with("three", Duration::from_secs(5)).await;
    }
}
