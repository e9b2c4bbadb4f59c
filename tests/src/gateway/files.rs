//! The folder of one daemon: its configuration, its secrets, its database.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{
    CODE_LENGTH, DESTINATION_PREFIX, Engine, POOL_PREFIX, SECRET_KEY, START_LIMIT, Setup, binary,
};
use crate::name_server::under;
use crate::ports::{Port, has_ipv6};
use crate::postgres::Database;
use crate::process::Process;

#[derive(Debug)]
pub(super) struct Files {
    pub(super) folder: TempDir,
    pub(super) config: PathBuf,
    pub(super) database_url: String,
    pub(super) api: Port,
    pub(super) sip: Port,
    _media: Port,
    log: &'static str,
    resolv_conf: Option<PathBuf>,
}

impl Files {
    pub(super) async fn write(setup: &Setup) -> Self {
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

    pub(super) async fn make_key(&self, account: &str) -> String {
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

    pub(super) async fn run(&self) -> Process {
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
