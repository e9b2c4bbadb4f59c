//! What a daemon is started with.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::kamailio::Account;
use crate::name_server::NameServer;

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
    pub(super) engine: Engine,
    pub(super) trunks: Vec<String>,
    pub(super) tables: String,
    pub(super) passwords: Vec<(String, String)>,
    pub(super) checks: u8,
    pub(super) sip_ip: IpAddr,
    pub(super) ring_limit_s: u8,
    pub(super) log: &'static str,
    pub(super) shared: Option<String>,
    pub(super) listens_also: String,
    pub(super) resolv_conf: Option<String>,
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
