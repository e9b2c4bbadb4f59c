//! The demo's set: the simulator as a child process, the daemon beside it, a temporary folder.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;

use super::phone::{Heard, Phone, Phones};
use super::{DemoError, ladder};
use crate::carrier::{ReadLetter, Report, Wish};
use crate::cli::{Endpoint, output};
use crate::lifecycle::Daemon;

/// Nothing on loopback takes longer.
const PATIENCE: Duration = Duration::from_secs(20);
/// A code is said twice within this.
const TALK_PATIENCE: Duration = Duration::from_secs(60);

/// Everything that the demo runs on; dropped, it ends the child and removes the folder.
pub(super) struct Stage {
    folder: PathBuf,
    child: tokio::sync::Mutex<Child>,
    wishes: tokio::sync::Mutex<ChildStdin>,
    told: Arc<Told>,
    daemon: Daemon,
    api: Endpoint,
    key: String,
    address: SocketAddr,
}

/// What the simulator told, and a bell that rings at each line.
pub(super) struct Told {
    phones: Mutex<Phones>,
    draw: std::sync::atomic::AtomicBool,
    lines: watch::Sender<u64>,
}

impl Told {
    /// The handset of a number at present.
    pub(super) fn phone(&self, number: &str) -> Option<Phone> {
        self.phones.lock().unwrap_or_else(PoisonError::into_inner).of(number).cloned()
    }
}

impl Stage {
    /// Starts everything.
    pub(super) async fn set(listen: SocketAddr) -> Result<Self, DemoError> {
        let folder = make_folder()?;
        let Carrier { mut child, told, carrier, mail } = start_carrier().await?;
        let wishes = child.stdin.take().ok_or_else(|| start("the carrier", "it has no input"))?;
        output::line(format_args!("carrier on udp:{carrier}, a process of its own"));
        output::line(format_args!("its people's mail server on tcp:{mail}"));
        ladder::head("carrier");
        let text = configuration(listen, carrier, mail, &folder);
        let sources = [config::Source { name: "demo.toml", text: &text }];
        let checked = config::parse(&sources).map_err(|report| start("configuration", report))?;
        let daemon =
            Daemon::start(checked.config).await.map_err(|error| start("the daemon", error))?;
        let address = daemon
            .api_addresses()
            .first()
            .copied()
            .ok_or_else(|| start("the daemon", "it has no address"))?;
        let place = folder.display();
        output::line(format_args!("daemon on http://{address}, with SQLite in {place}"));
        let key = daemon.make_key().await.map_err(|error| start("an API key", error))?;
        let api = Endpoint::Http { address, key: key.clone() };
        let child = tokio::sync::Mutex::new(child);
        let wishes = tokio::sync::Mutex::new(wishes);
        Ok(Self { folder, child, wishes, told, daemon, api, key, address })
    }

    /// The HTTP API with a key.
    pub(super) fn api(&self) -> &Endpoint {
        &self.api
    }

    /// Ends when the simulator's process does.
    pub(super) async fn carrier_ended(&self) {
        // Whatever it says, the process is no more.
        let _ = self.child.lock().await.wait().await;
    }

    /// Waits for the trunk's binding.
    pub(super) async fn wait_registered(&self) -> Result<(), DemoError> {
        self.wait_for("the trunk did not register", |phones| phones.registered.then_some(())).await
    }

    /// Lets somebody on the network call the gateway or write to it.
    pub(super) async fn wish(&self, wish: &Wish) -> Result<(), DemoError> {
        let mut line = serde_json::to_string(wish).map_err(|error| start("a wish", error))?;
        line.push('\n');
        let written = self.wishes.lock().await.write_all(line.as_bytes()).await;
        written.map_err(|_| DemoError::CarrierDied)
    }

    /// Waits until somebody's call to the gateway was answered, and tells the status.
    pub(super) async fn called(&self, from: &str) -> Result<u16, DemoError> {
        self.wait_for("a call to the gateway was not answered", |phones| phones.called(from)).await
    }

    /// Waits for the INVITE to `number`.
    pub(super) async fn phone(&self, number: &str) -> Result<Phone, DemoError> {
        self.wait_for("no INVITE reached the handset", |phones| phones.of(number).cloned()).await
    }

    /// Waits for a text to `number`.
    pub(super) async fn text(&self, number: &str) -> Result<String, DemoError> {
        self.wait_for("no text reached the handset", |phones| phones.text(number)).await
    }

    /// Waits for a letter to `mailbox`.
    pub(super) async fn letter(&self, mailbox: &str) -> Result<ReadLetter, DemoError> {
        self.wait_for("no letter reached the mailbox", |phones| phones.letter(mailbox)).await
    }

    /// Waits until the handset's call ended, with its final response acknowledged.
    pub(super) async fn ladder_until_acknowledged(&self, phone: &Phone) -> Result<(), DemoError> {
        self.wait_for("the 487 was not acknowledged", |phones| {
            phones.any(&phone.call).and_then(|phone| phone.ended).filter(|ended| ended.acknowledged)
        })
        .await
        .map(drop)
    }

    /// Waits until the handset of `number` was spoken to and the call is over.
    pub(super) async fn heard(&self, number: &str) -> Result<Heard, DemoError> {
        let missing = "the handset heard nothing";
        self.wait_within(TALK_PATIENCE, missing, |phones| phones.of(number)?.heard.clone()).await
    }

    /// What the simulator told.
    pub(super) fn told(&self) -> Arc<Told> {
        self.told.clone()
    }

    /// Waits until the call to `number` ended at its handset.
    pub(super) async fn wait_acknowledged(&self, number: &str) -> Result<(), DemoError> {
        self.wait_for("a 487 was not acknowledged", |phones| {
            phones.of(number)?.ended.filter(|ended| ended.acknowledged)
        })
        .await
        .map(drop)
    }

    /// No more rungs: many calls at once would only be noise.
    pub(super) fn stop_drawing(&self) {
        self.told.draw.store(false, std::sync::atomic::Ordering::Relaxed);
    }

    /// Tells where the API is, for `--keep`.
    pub(super) fn print_address(&self) {
        output::line("");
        output::line(format_args!("still up: http://{}", self.address));
        output::line(format_args!(
            "curl -sS http://{}/v1/verifications -H 'Authorization: Bearer {}' \
             -H 'Content-Type: application/json' -d '{{\"to\": \"+79161234511\"}}'",
            self.address, self.key
        ));
        output::line("Ctrl-C ends it");
    }

    /// Ends everything in order.
    pub(super) async fn strike(self) {
        self.daemon.shut_down().await;
        // It may have ended already.
        let _ = self.child.lock().await.kill().await;
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            output::complain(format_args!("{} stays: {error}", self.folder.display()));
        }
    }

    async fn wait_for<T>(
        &self,
        missing: &str,
        look: impl FnMut(&Phones) -> Option<T>,
    ) -> Result<T, DemoError> {
        self.wait_within(PATIENCE, missing, look).await
    }

    async fn wait_within<T>(
        &self,
        patience: Duration,
        missing: &str,
        mut look: impl FnMut(&Phones) -> Option<T>,
    ) -> Result<T, DemoError> {
        let mut lines = self.told.lines.subscribe();
        let found = tokio::time::timeout(patience, async {
            loop {
                {
                    let phones = self.told.phones.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(found) = look(&phones) {
                        return Some(found);
                    }
                }
                lines.changed().await.ok()?;
            }
        });
        found.await.ok().flatten().ok_or_else(|| DemoError::Missing(missing.to_owned()))
    }
}

fn start(what: &'static str, cause: impl ToString) -> DemoError {
    DemoError::Start { what, cause: cause.to_string() }
}

fn make_folder() -> Result<PathBuf, DemoError> {
    use std::os::unix::fs::DirBuilderExt;
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| start("randomness", error))?;
    let name = format!("dozvon-demo-{:016x}", u64::from_ne_bytes(random));
    let folder = std::env::temp_dir().join(name);
    let made = std::fs::DirBuilder::new().mode(0o700).create(&folder);
    made.map_err(|error| start("a temporary folder", error))?;
    Ok(folder)
}

/// The simulator's process and where it listens.
struct Carrier {
    child: Child,
    told: Arc<Told>,
    carrier: SocketAddr,
    mail: SocketAddr,
}

/// Starts the simulator and waits for its addresses.
async fn start_carrier() -> Result<Carrier, DemoError> {
    let program = std::env::current_exe().map_err(|error| start("the carrier", error))?;
    let mut child = Command::new(program)
        .args(["carrier", "--listen", "127.0.0.1:0", "--mail", "127.0.0.1:0", "--wishes"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| start("the carrier", error))?;
    let stdout = child.stdout.take().ok_or_else(|| start("the carrier", "it has no output"))?;
    let told =
        Arc::new(Told { phones: Mutex::default(), draw: true.into(), lines: watch::channel(0).0 });
    let mut lines = BufReader::new(stdout).lines();
    let (mut carrier, mut mail) = (None, None);
    let (carrier, mail) = loop {
        if let (Some(carrier), Some(mail)) = (carrier, mail) {
            break (carrier, mail);
        }
        match tokio::time::timeout(PATIENCE, lines.next_line()).await {
            Ok(Ok(Some(line))) => match serde_json::from_str(&line) {
                Ok(Report::Listening { address }) => carrier = Some(address),
                Ok(Report::MailListening { address }) => mail = Some(address),
                _ => return Err(start("the carrier", line)),
            },
            _ => return Err(DemoError::CarrierDied),
        }
    };
    let listener = told.clone();
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            let Ok(report) = serde_json::from_str(&line) else { continue };
            if listener.draw.load(std::sync::atomic::Ordering::Relaxed) {
                ladder::rung(&report);
            }
            listener.phones.lock().unwrap_or_else(PoisonError::into_inner).take(&report);
            listener.lines.send_modify(|count| *count += 1);
        }
    });
    Ok(Carrier { child, told, carrier, mail })
}

/// The simulator's password is no secret, so it stands in the text.
fn configuration(
    listen: SocketAddr,
    carrier: SocketAddr,
    mail: SocketAddr,
    folder: &std::path::Path,
) -> String {
    let folder = folder.display();
    format!(
        r#"[api]
listen = "{listen}"
operator_listen = "127.0.0.1:0"
socket = "{folder}/dozvon.sock"

[database]
url = "sqlite://{folder}/dozvon.db"

[sip]
listen = ["udp:127.0.0.1:0"]
media_ports = ["20000-20199"]

[trunks.demo]
registrar = "{carrier}"
domain = "carrier.test"
user = "dozvon"
password = "dozvon"
cli_trusted = true
max_calls = 5000
cps = 1000
sms = "message"

[pools.demo]
numbers = ["+74951230000-+74951239999"]
trunks = ["demo"]
code_length = 4

[accounts.default]
pools = ["demo"]
inbound_numbers = ["+74951250000"]

[email]
smtp = "smtp://{mail}"
tls = "off"
from = "Dozvon <noreply@dozvon.example>"

[purposes.sign_up]
workflow = ["incoming_call"]

[[routes]]
prefix = "+79"
trunks = ["demo"]
pools = ["demo"]
"#
    )
}
