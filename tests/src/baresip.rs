//! Baresip as a person's telephone: it rings, answers and records, or calls.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use audio_codec_algorithms::encode_alaw;
use tempfile::TempDir;

use crate::peers::Peer;
use crate::ports::{Port, udp_is_bound};
use crate::process::Process;

const START_LIMIT: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Debian keeps its modules here, on every machine.
const MODULES: &str = "/usr/lib/baresip/modules";

/// What it does when it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// It rings until the caller gives up.
    Never,
    /// It is picked up at once, sends back what it hears, and records both.
    AtOnce,
}

/// A running baresip on loopback ports of its own.
#[derive(Debug)]
pub struct Baresip {
    process: Process,
    folder: TempDir,
    sip: Port,
    rtp: Port,
}

impl Baresip {
    /// Starts the telephone of `user` and waits until it can be called.
    ///
    /// # Panics
    /// When baresip is not installed (ask [`crate::peers::lacking`] first) or does not start.
    pub async fn start(user: &str, answers: Answers) -> Self {
        Self::start_with(user, answers, &[]).await
    }

    /// Starts the telephone of `user`, which calls this number by way of `proxy`.
    ///
    /// # Panics
    /// As [`Baresip::start`].
    pub async fn call(user: &str, number: &str, proxy: SocketAddr) -> Self {
        let dial = format!("d sip:{number}@{proxy}");
        Self::start_with(user, Answers::Never, &["-e", &dial]).await
    }

    async fn start_with(user: &str, answers: Answers, further: &[&str]) -> Self {
        let path = Peer::Baresip.path().expect("the test asked whether baresip is installed");
        let folder = TempDir::new().expect("a temporary folder");
        let (sip, rtp) = (Port::reserve(), Port::reserve());
        write_files(folder.path(), (&sip, &rtp), user, answers);
        let process = Process::start(path, ["-4", "-n", "127.0.0.1", "-f"], |command| {
            command.arg(folder.path()).args(further).current_dir(folder.path());
        });
        process.line_with("baresip is ready", START_LIMIT).await;
        let baresip = Self { process, folder, sip, rtp };
        let listens = async {
            while !udp_is_bound(baresip.sip.number()) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let in_time = tokio::time::timeout(START_LIMIT, listens).await.is_ok();
        assert!(in_time, "baresip does not listen:\n{}", baresip.output());
        baresip
    }

    /// Where it is called.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.sip.address()
    }

    /// The port at which it hears.
    #[must_use]
    pub fn media_port(&self) -> u16 {
        self.rtp.number()
    }

    /// The first line with `part` that it has printed or prints within `limit`.
    ///
    /// # Panics
    /// When there is none.
    pub async fn says(&self, part: &str, limit: Duration) -> String {
        self.process.line_with(part, limit).await
    }

    /// Everything that it printed.
    #[must_use]
    pub fn output(&self) -> String {
        self.process.output().join("\n")
    }

    /// Ends it, and returns what it heard in its one call, in A-law.
    ///
    /// # Panics
    /// When it does not end, or recorded nothing or more than one call.
    pub async fn heard(mut self, limit: Duration) -> Vec<u8> {
        self.process.terminate();
        self.process.ended(limit).await;
        let files = std::fs::read_dir(self.folder.path()).expect("the folder is ours");
        let is_heard = |path: &PathBuf| path.to_string_lossy().ends_with("-dec.wav");
        let files: Vec<_> = files.filter_map(|e| Some(e.ok()?.path())).filter(is_heard).collect();
        let [file] = &files[..] else { panic!("{files:?}:\n{}", self.output()) };
        let file = std::fs::read(file).expect("the recording is readable");
        let samples = samples(&file).unwrap_or_else(|| panic!("no recording:\n{}", self.output()));
        let pairs = samples.chunks_exact(2);
        pairs.map(|pair| encode_alaw(i16::from_le_bytes([pair[0], pair[1]]))).collect()
    }
}

fn write_files(folder: &Path, (sip, rtp): (&Port, &Port), user: &str, answers: Answers) {
    let (path, rtp) = (folder.display(), rtp.number());
    // The bridge is a sound card that hears what it plays; there is none on a server.
    let config = format!(
        "poll_method epoll\nsip_listen {}\nrtp_ports {rtp}-{}\nrtp_stats yes\n\
         call_local_timeout 120\ncall_max_calls 4\n\
         audio_player aubridge,room\naudio_source aubridge,room\naudio_alert aubridge,bell\n\
         audio_buffer 20-160\nsnd_path {path}\nmodule_path {MODULES}\n\
         module g711.so\nmodule sndfile.so\nmodule aubridge.so\n\
         module_app account.so\nmodule_app menu.so\n",
        sip.address(),
        rtp + 1,
    );
    let mode = match answers {
        Answers::Never => "manual",
        Answers::AtOnce => "auto",
    };
    let account =
        format!("<sip:{user}@127.0.0.1>;regint=0;answermode={mode};audio_codecs=pcma,pcmu\n");
    for (name, text) in [("config", config), ("accounts", account), ("contacts", String::new())] {
        std::fs::write(folder.join(name), text).expect("the folder is ours");
    }
}

/// What stands in the `data` chunk of a WAV file.
fn samples(file: &[u8]) -> Option<&[u8]> {
    let mut rest = file.get(12..)?;
    while let Some((header, after)) = rest.split_at_checked(8) {
        let length = u32::from_le_bytes(header[4..].try_into().ok()?) as usize;
        let (chunk, next) = after.split_at(length.min(after.len()));
        if &header[..4] == b"data" {
            return Some(chunk).filter(|chunk| !chunk.is_empty());
        }
        rest = next;
    }
    None
}
