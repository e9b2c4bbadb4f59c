//! Dozvon as a process with a configuration, a database and an API key of its own.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::canary::Canary;
use crate::http::Client;
use crate::kamailio::Account;
use crate::name_server::{NameServer, under};
use crate::ports::{Port, has_ipv6};
use crate::postgres::Database;
use crate::process::Process;

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

/// Which database the daemon writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// A file of its own.
    Sqlite,
    /// A database of its own on the private server.
    Postgres,
}

/// What a daemon is started with.
#[derive(Debug)]
pub struct Setup {
    engine: Engine,
    trunks: Vec<String>,
    tables: String,
    passwords: Vec<(String, String)>,
    checks: u8,
    sip_ip: IpAddr,
    ring_limit_s: u8,
    log: &'static str,
    shared: Option<String>,
    listens_also: String,
    resolv_conf: Option<String>,
}

impl Setup {
    /// Without a trunk.
    #[must_use]
    pub fn new(engine: Engine) -> Self {
        Self {
            engine,
            trunks: Vec::new(),
            tables: String::new(),
            passwords: Vec::new(),
            checks: 3,
            sip_ip: Ipv4Addr::LOCALHOST.into(),
            ring_limit_s: 4,
            log: "trace",
            shared: None,
            listens_also: String::new(),
            resolv_conf: None,
        }
    }

    /// Asks this name server and no other.
    #[must_use]
    pub fn asking(mut self, names: &NameServer) -> Self {
        self.resolv_conf = Some(names.resolv_conf());
        self
    }

    /// Takes SIP on every interface, where the loopback does otherwise.
    #[must_use]
    pub fn on_every_interface(mut self) -> Self {
        self.sip_ip = Ipv4Addr::UNSPECIFIED.into();
        self
    }

    /// Takes SIP by another transport too, such as `tcp`, at the port where it takes datagrams.
    #[must_use]
    pub fn listening(mut self, transport: &str) -> Self {
        let _ = write!(self.listens_also, ", \"{transport}:SIP\"");
        self
    }

    /// A trunk that knows us by our address.
    #[must_use]
    pub fn static_trunk(self, name: &str, carrier: SocketAddr) -> Self {
        self.static_trunk_with(name, carrier, "")
    }

    /// A trunk that knows us by our address, with further keys.
    #[must_use]
    pub fn static_trunk_with(self, name: &str, carrier: SocketAddr, further: &str) -> Self {
        let domain = "domain = \"carrier.example\"";
        self.trunk(name, &format!("{domain}\ntargets = [\"{carrier}\"]\n{further}"))
    }

    /// A trunk that knows us by our address and asks for the credentials of `account`.
    #[must_use]
    pub fn asked_trunk(mut self, name: &str, carrier: SocketAddr, account: &Account) -> Self {
        self.passwords.push((name.to_owned(), account.password.clone()));
        let keys = format!(
            "user = \"{}\"\npassword = {{ file = \"FOLDER/{name}.password\" }}\n",
            account.user
        );
        self.static_trunk_with(name, carrier, &keys)
    }

    /// A trunk that registers with `account`.
    #[must_use]
    pub fn registered_trunk(self, name: &str, carrier: SocketAddr, account: &Account) -> Self {
        self.registered_trunk_with(name, carrier, account, "")
    }

    /// The same with further keys.
    #[must_use]
    pub fn registered_trunk_with(
        mut self,
        name: &str,
        carrier: SocketAddr,
        account: &Account,
        further: &str,
    ) -> Self {
        let Account { domain, user, password, .. } = account;
        self.passwords.push((name.to_owned(), password.clone()));
        let keys = format!(
            "registrar = \"{carrier}\"\ndomain = \"{domain}\"\nuser = \"{user}\"\n\
             password = {{ file = \"FOLDER/{name}.password\" }}\n{further}"
        );
        self.trunk(name, &keys)
    }

    /// Further text of the configuration; `FOLDER` is the daemon's own folder.
    #[must_use]
    pub fn with(mut self, tables: &str) -> Self {
        self.tables.push_str(tables);
        self
    }

    /// A secret in the file `FOLDER/NAME.password`.
    #[must_use]
    pub fn password(mut self, name: &str, password: &str) -> Self {
        self.passwords.push((name.to_owned(), password.to_owned()));
        self
    }

    /// Logs what an operator sees, for loads under which every detail would be what is measured.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.log = "info";
        self
    }

    /// Another node on a database that is there already.
    #[must_use]
    pub fn sharing(mut self, database_url: &str) -> Self {
        self.shared = Some(database_url.to_owned());
        self
    }

    /// How many wrong codes a verification takes; 3 otherwise.
    #[must_use]
    pub fn checks(mut self, checks: u8) -> Self {
        self.checks = checks;
        self
    }

    /// How long a phone rings; 4 s otherwise.
    #[must_use]
    pub fn ring_limit_s(mut self, seconds: u8) -> Self {
        self.ring_limit_s = seconds;
        self
    }

    /// A trunk of which `keys` says everything but its capacity.
    #[must_use]
    pub fn trunk(mut self, name: &str, keys: &str) -> Self {
        let capacity = "max_calls = 1000\ncps = 1000\nsms = \"message\"\n";
        let _ = write!(self.tables, "\n[trunks.{name}]\n{keys}{capacity}");
        self.trunks.push(format!("\"{name}\""));
        self
    }
}

/// A running daemon. When it is dropped, its log is searched for what no log may hold.
#[derive(Debug)]
pub struct Gateway {
    process: Process,
    files: Files,
    api: Client,
    earlier_logs: Vec<String>,
    secrets: Vec<String>,
}

#[derive(Debug)]
struct Files {
    folder: TempDir,
    config: PathBuf,
    database_url: String,
    api: Port,
    sip: Port,
    _media: Port,
    log: &'static str,
    resolv_conf: Option<PathBuf>,
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

impl Files {
    async fn write(setup: &Setup) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let path = folder.path().display().to_string();
        let database_url = match (setup.engine, &setup.shared) {
            (_, Some(shared)) => shared.clone(),
            (Engine::Sqlite, None) => format!("sqlite://{path}/dozvon.db"),
            (Engine::Postgres, None) => Database::create().await.url,
        };
        let (api, sip, media) = (Port::reserve(), Port::reserve(), Port::reserve());
        secret_file(folder.path(), "key", SECRET_KEY);
        for (trunk, password) in &setup.passwords {
            secret_file(folder.path(), &format!("{trunk}.password"), password);
        }
        let also = setup.listens_also.replace("SIP", &sip.address().to_string());
        let also = match has_ipv6() {
            true => format!(", \"udp:[::1]:{}\"{also}", sip.number()),
            false => also,
        };
        let (digits, checks) = (CODE_LENGTH, setup.checks);
        let (ring_limit_s, trunks) = (setup.ring_limit_s, setup.trunks.join(", "));
        let text = format!(
            "[api]\nlisten = \"{}\"\noperator_listen = \"{}\"\nsocket = \"{path}/dozvon.sock\"\n\
             [database]\nurl = \"{database_url}\"\n\
             [secrets]\nkey = {{ file = \"{path}/key\" }}\n\
             [sip]\nlisten = [\"udp:{}\"{also}]\nmedia_ports = [\"{}-{}\"]\n\
             [pools.all]\nnumbers = [\"{POOL_PREFIX}0000-{POOL_PREFIX}9999\"]\n\
             trunks = [{trunks}]\ncode_length = {digits}\n\
             [[routes]]\nprefix = \"{DESTINATION_PREFIX}\"\ntrunks = [{trunks}]\npools = [\"all\"]\n\
             [purposes.sign_in]\nworkflow = [\"flash_call\"]\nchecks = {checks}\nring_limit = {ring_limit_s}\n\
             [limits]\nbetween_sends_s = 0\nsends_per_minute = 60\nrequests_per_second = 100000\n\
             sends_per_day = 10000\nflash_calls_per_day = 1000\n",
            api.address(),
            api.address(),
            SocketAddr::new(setup.sip_ip, sip.number()),
            media.number(),
            media.number(),
        ) + &setup.tables.replace("FOLDER", &path);
        let config = folder.path().join("dozvon.toml");
        std::fs::write(&config, text).expect("the folder is ours");
        let resolv_conf = setup.resolv_conf.as_ref().map(|text| {
            let path = folder.path().join("resolv.conf");
            std::fs::write(&path, text).expect("the folder is ours");
            path
        });
        Self { folder, config, database_url, api, sip, _media: media, log: setup.log, resolv_conf }
    }

    async fn make_key(&self, account: &str) -> String {
        let scopes = ["--scopes", "verify,messages,calls,calls:own_codes,directory"];
        let mut process = Process::start(
            binary(),
            ["keys", "create", "--account", account].into_iter().chain(scopes),
            |command| {
                command.arg("--config").arg(&self.config);
            },
        );
        let status = process.ended(START_LIMIT).await;
        let output = process.output();
        let key = output.iter().find(|line| line.starts_with("dz_live_"));
        key.unwrap_or_else(|| panic!("keys create: {status}: {}", output.join("\n"))).clone()
    }

    async fn run(&self) -> Process {
        let mut words = self.resolv_conf.as_deref().map_or(Vec::new(), |it| under(it).into());
        words.extend([binary().display().to_string(), "run".to_owned()]);
        let process = Process::start(&words[0], &words[1..], |command| {
            // What an operator may turn on is what the search for secrets must see.
            command.arg("--config").arg(&self.config).env("RUST_LOG", self.log);
        });
        process.line_with("listening on http://", START_LIMIT).await;
        process
    }
}

fn secret_file(folder: &Path, name: &str, value: &str) {
    let path = folder.join(name);
    std::fs::write(&path, value).expect("the folder is ours");
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, mode).expect("the file is ours");
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
