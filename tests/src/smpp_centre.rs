//! A message centre that others wrote: the server side of the npm package `smpp`, with the script
//! `tests/interop/smpp/centre.js`.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::npm;
use crate::peers::Peer;
use crate::ports::Port;
use crate::process::Process;

const START_LIMIT: Duration = Duration::from_secs(20);
/// Who may bind.
const SYSTEM_ID: &str = "dozvon";
const PASSWORD: &str = "s3same-x";

/// How the centre behaves.
#[derive(Clone, Debug, Default)]
pub struct Behaviour {
    /// Every so many-th submit is throttled; 0: none.
    pub throttle_each: u32,
    /// With this submit it breaks the connection, once; 0: never.
    pub cut_at: u32,
    /// How long its answers take.
    pub delay: Duration,
}

/// What the centre did with a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It took it.
    Taken,
    /// It said that this was too much at once.
    Throttled,
    /// It refused it for good.
    Rejected,
    /// It got it and broke the connection without an answer.
    Cut,
}

/// A part that was submitted.
#[derive(Clone, Debug)]
pub struct Submit {
    /// The number as the wire has it: without a plus.
    pub to: String,
    /// Of how many parts its text is.
    pub total: u64,
    /// Which of them, from 1.
    pub place: u64,
    /// Whether a receipt was asked for.
    pub receipt: bool,
    /// The words of the part.
    pub text: String,
    /// What became of it.
    pub end: End,
    /// The centre's number of it; `None`: it was not taken.
    pub id: Option<u64>,
}

/// A running message centre on a loopback port of its own.
#[derive(Debug)]
pub struct Centre {
    _process: Process,
    folder: TempDir,
    port: Port,
    is_tls: bool,
}

impl Centre {
    /// Starts one; `None`, said as a skipped test: the package is not to be had.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(behaviour: &Behaviour) -> Option<Self> {
        Self::start_with(behaviour, None).await
    }

    /// The same under TLS, with a certificate and its key in PEM files.
    ///
    /// # Panics
    /// As [`Centre::start`].
    pub async fn start_tls(behaviour: &Behaviour, cert: &Path, key: &Path) -> Option<Self> {
        Self::start_with(behaviour, Some((cert, key))).await
    }

    async fn start_with(behaviour: &Behaviour, tls: Option<(&Path, &Path)>) -> Option<Self> {
        let modules = npm::install(npm::SMPP).await?;
        let (folder, port) = (TempDir::new().expect("a temporary folder"), Port::reserve());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/smpp/centre.js");
        let mut wish = json!({
            "modules": modules,
            "port": port.number(),
            "record": folder.path().join("record"),
            "system_id": SYSTEM_ID,
            "password": PASSWORD,
            "throttle_each": behaviour.throttle_each,
            "cut_at": behaviour.cut_at,
            "delay_ms": u64::try_from(behaviour.delay.as_millis()).expect("it is short"),
        });
        if let Some((cert, key)) = tls {
            wish["cert"] = json!(cert);
            wish["key"] = json!(key);
        }
        std::fs::write(folder.path().join("record"), "").expect("the folder is ours");
        std::fs::write(folder.path().join("password"), PASSWORD).expect("the folder is ours");
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(folder.path().join("password"), private).expect("it is ours");
        let node = Peer::Node.path().expect("the package was installed with it");
        let arguments = [script.into_os_string(), wish.to_string().into()];
        let process = Process::start(node, arguments, |_| {});
        process.line_with("listening", START_LIMIT).await;
        Some(Self { _process: process, folder, port, is_tls: tls.is_some() })
    }

    /// The part of a configuration that makes it the way of all texts; `keys` are further ones.
    #[must_use]
    pub fn section(&self, keys: &str) -> String {
        let (port, is_tls) = (self.port.number(), self.is_tls);
        let password = self.folder.path().join("password");
        format!(
            "\n[sms]\ndefault = \"centre\"\n[smpp.centre]\nhost = \"localhost:{port}\"\n\
             tls = {is_tls}\nsystem_id = \"{SYSTEM_ID}\"\n\
             password = {{ file = \"{}\" }}\n{keys}\n",
            password.display()
        )
    }

    /// Everything that was submitted so far.
    ///
    /// # Panics
    /// When the record cannot be read.
    #[must_use]
    pub fn record(&self) -> Vec<Submit> {
        let path = self.folder.path().join("record");
        let text = std::fs::read_to_string(path).expect("the record is readable");
        // What is being written at this moment ends without a line's end.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(submit).collect()
    }
}

fn submit(line: &str) -> Submit {
    let line: Value = serde_json::from_str(line).expect("the script writes JSON");
    let text = |name: &str| line[name].as_str().expect("a text").to_owned();
    Submit {
        to: text("to"),
        total: line["total"].as_u64().expect("a number"),
        place: line["place"].as_u64().expect("a number"),
        receipt: line["receipt"] == true,
        id: line["id"].as_u64(),
        text: text("text"),
        end: match line["end"].as_str() {
            Some("taken") => End::Taken,
            Some("throttled") => End::Throttled,
            Some("rejected") => End::Rejected,
            Some("cut") => End::Cut,
            other => panic!("the script has no such end: {other:?}"),
        },
    }
}
