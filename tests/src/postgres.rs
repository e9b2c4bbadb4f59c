//! A private PostgreSQL for one test binary, and a database of its own for each test.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection, PgConnection};

use crate::peers;
use crate::ports::Port;

/// Waits for the end of its input, which comes when the test binary ends in whatever way; then
/// stops the server and removes its files. `$1` is the folder, the rest starts the server.
const KEEPER: &str = r#"folder=$1; shift
"$@" &
read -r _
kill -INT $! 2>/dev/null
wait
rm -rf "$folder""#;

/// How long a server may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// A database of one test; the server outlives it.
#[derive(Debug)]
pub struct Database {
    /// `postgres://…` with user, host, port and name.
    pub url: String,
}

/// A server of one test, which may be taken away from the daemon. It ends with the value.
#[derive(Debug)]
pub struct OwnServer {
    /// `postgres://…` of its one database.
    pub url: String,
    server: Server,
    // Of a later start: its input is what keeps the server alive then.
    later: Option<Child>,
}

/// What a commit waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disk {
    /// Nothing: what a test asks is whether the program commits, not whether the disk survives.
    Trusted,
    /// The disk.
    Synced,
}

impl Disk {
    fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Trusted => &["fsync=off", "full_page_writes=off", "shared_buffers=64MB"],
            // The sizes of a small server; everything else is as it is installed.
            Self::Synced => &["shared_buffers=512MB", "max_wal_size=4GB"],
        }
    }
}

#[derive(Debug)]
struct Server {
    port: Port,
    folder: PathBuf,
    // Its input is what keeps the server alive.
    _keeper: Child,
}

impl Database {
    /// A new empty database on the test binary's own server, which the first call starts.
    ///
    /// # Panics
    /// When PostgreSQL is not installed (ask [`peers::lacking`] first) or does not start.
    pub async fn create() -> Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        Self::on(&SERVER, Disk::Trusted).await
    }

    /// As [`Database::create`], on a server that syncs the disk at each commit: for benchmarks.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start.
    pub async fn durable() -> Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        Self::on(&SERVER, Disk::Synced).await
    }

    async fn on(server: &'static OnceLock<Server>, disk: Disk) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server =
            tokio::task::spawn_blocking(move || server.get_or_init(|| Server::start(disk)))
                .await
                .expect("the server starts or says why not");
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let port = server.port.number();
        let mut admin = PgConnection::connect(&url(port, "postgres"))
            .await
            .unwrap_or_else(|fault| panic!("the private server refuses us: {fault}"));
        sqlx::query(sqlx::AssertSqlSafe(format!("create database {name}")))
            .execute(&mut admin)
            .await
            .unwrap_or_else(|fault| panic!("create database {name}: {fault}"));
        Self { url: url(port, &name) }
    }
}

impl OwnServer {
    /// Starts it.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start.
    pub async fn start() -> Self {
        let server = tokio::task::spawn_blocking(|| Server::start(Disk::Trusted)).await;
        let server = server.expect("the server starts or says why not");
        Self { url: url(server.port.number(), "postgres"), server, later: None }
    }

    /// Stops every process of the server where it stands: connections stay open, and nobody answers.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Ends the server and keeps its files.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn stop(&self) {
        let Some(main) = self.main_process() else { return };
        // It may have ended by itself, which is seen below.
        let _ = kill_process(main, Signal::INT);
        let begin = std::time::Instant::now();
        while self.main_process().is_some() {
            assert!(begin.elapsed() < STOP_LIMIT, "postgres does not stop");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Starts it again after [`OwnServer::stop`].
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_again(&mut self) {
        let (folder, port) = (self.server.folder.clone(), self.server.port.number());
        let keeper = tokio::task::spawn_blocking(move || {
            let programs = peers::postgres_folder().expect("it ran before");
            Server::run(&unprivileged(), &programs, &folder, port, Disk::Trusted)
        });
        self.later = Some(keeper.await.expect("the server starts or says why not"));
    }

    /// The main process first: it would start those again that it misses.
    fn signal(&self, signal: Signal) {
        let Some(main) = self.main_process() else { return };
        for process in std::iter::once(main).chain(children(main)) {
            // One that has just ended needs no signal.
            let _ = kill_process(process, signal);
        }
    }

    fn main_process(&self) -> Option<Pid> {
        let path = self.server.folder.join("postmaster.pid");
        let number = std::fs::read_to_string(path).ok()?.lines().next()?.trim().parse().ok()?;
        Pid::from_raw(number)
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.thaw();
    }
}

/// The processes that a process has started.
fn children(parent: Pid) -> Vec<Pid> {
    let entries = std::fs::read_dir("/proc").expect("Linux has /proc");
    let is_child = |id: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let behind_name = stat.rsplit(") ").next().unwrap_or_default();
        behind_name.split(' ').nth(1) == Some(&parent.as_raw_nonzero().to_string())
    };
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    ids.filter(is_child).filter_map(Pid::from_raw).collect()
}

impl Server {
    fn start(disk: Disk) -> Self {
        let programs = peers::postgres_folder().expect("the test asked for PostgreSQL");
        let port = Port::reserve();
        let folder =
            tempfile::Builder::new().prefix("dozvon-pg-").tempdir().expect("a folder").keep();
        let run_as = unprivileged();
        if !run_as.is_empty() {
            let status = Command::new("chown").arg("postgres").arg(&folder).status();
            assert!(status.is_ok_and(|s| s.success()), "the folder cannot be given to postgres");
        }
        let mode = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(&folder, mode).expect("the folder is ours");
        initialise(&run_as, &programs, &folder);
        let keeper = Self::run(&run_as, &programs, &folder, port.number(), disk);
        Self { port, folder, _keeper: keeper }
    }

    fn run(run_as: &[&str], programs: &Path, folder: &Path, port: u16, disk: Disk) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "sh"]).arg(folder).args(run_as).arg(programs.join("postgres"));
        command.arg("-D").arg(folder).arg("-k").arg(folder);
        command.args(["-p", &port.to_string()]);
        for setting in
            ["listen_addresses=127.0.0.1", "max_connections=200", "log_min_messages=warning"]
                .iter()
                .chain(disk.settings())
        {
            command.args(["-c", setting]);
        }
        // An interrupt from the terminal is for the test alone; the keeper follows its end.
        command.process_group(0);
        command.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut keeper = command.stderr(Stdio::piped()).spawn().expect("sh starts");
        let log = BufReader::new(keeper.stderr.take().expect("the log is piped"));
        let mut said = Vec::new();
        let mut lines = log.lines();
        for line in lines.by_ref().map_while(Result::ok) {
            if line.contains("ready to accept connections") {
                // The pipe is read to its end, so that the server never waits for a reader.
                std::thread::spawn(move || lines.for_each(drop));
                return keeper;
            }
            said.push(line);
        }
        // It has closed its log, so it has ended or is about to.
        let _ = keeper.wait();
        panic!("postgres did not start:\n{}", said.join("\n"));
    }
}

fn initialise(run_as: &[&str], programs: &Path, folder: &Path) {
    let mut command: Vec<_> = run_as.iter().map(std::ffi::OsString::from).collect();
    command.push(programs.join("initdb").into_os_string());
    let output = Command::new(&command[0])
        .args(&command[1..])
        .arg("-D")
        .arg(folder)
        .args(["-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"])
        .current_dir(folder)
        .output()
        .expect("initdb can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "initdb: {said}");
}

/// What to put before a program of PostgreSQL, which refuses to run as root: Debian's package
/// brings the user `postgres`.
fn unprivileged() -> Vec<&'static str> {
    if !rustix::process::geteuid().is_root() {
        return Vec::new();
    }
    vec!["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"]
}

fn url(port: u16, name: &str) -> String {
    format!("postgres://postgres@127.0.0.1:{port}/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_test_has_an_empty_database_of_its_own() {
        if peers::lacking(&[peers::Peer::Postgres]) {
            return;
        }
        let (first, second) = (Database::create().await, Database::create().await);
        assert_ne!(first.url, second.url);
        let mut connection = PgConnection::connect(&first.url).await.unwrap();
        sqlx::query("create table own (n int)").execute(&mut connection).await.unwrap();
        let mut connection = PgConnection::connect(&second.url).await.unwrap();
        sqlx::query("create table own (n int)").execute(&mut connection).await.unwrap();
    }
}
