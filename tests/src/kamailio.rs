//! Kamailio as registrar and proxy, with the configuration `tests/interop/kamailio.cfg`.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::capture::{Captured, ladder, parse_sipdump};
use crate::peers::Peer;
use crate::ports::{Port, udp_is_bound};
use crate::process::Process;

const START_LIMIT: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What the carrier knows of its one customer.
#[derive(Clone, Debug)]
pub struct Account {
    /// Realm of the challenges and host of the addresses.
    pub domain: String,
    /// User of REGISTER and of the credentials.
    pub user: String,
    /// Password in clear.
    pub password: String,
    /// Algorithm of the challenges, `MD5` or `SHA-256`.
    pub algorithm: String,
    /// The longest binding that is granted, in seconds.
    pub granted_s: u32,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            domain: "carrier.example".to_owned(),
            // Not a number: a full one in a log would be a fault.
            user: "trunk-17".to_owned(),
            password: "correct-horse-battery".to_owned(),
            algorithm: "MD5".to_owned(),
            granted_s: 3600,
        }
    }
}

/// How a customer reaches the carrier. The handset behind it is always reached by UDP.
#[derive(Clone, Copy, Debug)]
pub enum Reach<'a> {
    /// UDP over IPv4.
    Udp,
    /// TCP over IPv4.
    Tcp,
    /// TLS over IPv4, with a certificate and its key in these PEM files.
    Tls {
        /// The certificate.
        certificate: &'a Path,
        /// Its key.
        key: &'a Path,
    },
    /// UDP over IPv6.
    UdpV6,
}

/// A running Kamailio on a loopback port of its own.
#[derive(Debug)]
pub struct Kamailio {
    process: Process,
    folder: TempDir,
    port: Port,
    is_v6: bool,
}

impl Kamailio {
    /// Starts Kamailio, which passes calls on to `handset`, and waits until it listens.
    ///
    /// # Panics
    /// When Kamailio is not installed (ask [`crate::peers::lacking`] first) or does not start.
    pub async fn start(account: &Account, handset: SocketAddr) -> Self {
        Self::start_for(account, handset, Reach::Udp).await
    }

    /// The same for customers who come another way.
    ///
    /// # Panics
    /// As [`Kamailio::start`].
    pub async fn start_for(account: &Account, handset: SocketAddr, reach: Reach<'_>) -> Self {
        let path = Peer::Kamailio.path().expect("the test asked whether Kamailio is installed");
        let (folder, port) = (TempDir::new().expect("a temporary folder"), Port::reserve());
        let run = folder.path().to_string_lossy().into_owned();
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/kamailio.cfg");
        let mut arguments = vec!["-f".to_owned(), config.to_string_lossy().into_owned()];
        // In the foreground, everything on standard error, its run folder ours.
        arguments.extend(["-DD", "-E", "-Y", &run].map(str::to_owned));
        for (name, value) in [
            ("LISTEN", listens(reach, &port)),
            ("HANDSET_SIDE", format!("udp:{}", port.address())),
            ("DOMAIN", format!("\"{}\"", account.domain)),
            ("USER", format!("\"{}\"", account.user)),
            ("PASSWORD", format!("\"{}\"", account.password)),
            ("HANDSET", format!("\"sip:{handset}\"")),
            ("DUMP_FOLDER", format!("\"{run}\"")),
            ("ALGORITHM", format!("\"{}\"", account.algorithm)),
            ("GRANTED_S", account.granted_s.to_string()),
        ] {
            arguments.extend(["-A".to_owned(), format!("{name}={value}")]);
        }
        arguments.extend(options(reach));
        let mut process = Process::start(path, arguments, |_| {});
        let listens = async {
            while !udp_is_bound(port.number()) && process.is_running() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let started = tokio::time::timeout(START_LIMIT, listens).await;
        let output = process.output().join("\n");
        assert!(started.is_ok() && process.is_running(), "kamailio does not listen: {output}");
        Self { process, folder, port, is_v6: matches!(reach, Reach::UdpV6) }
    }

    /// Where Kamailio listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        match self.is_v6 {
            true => (std::net::Ipv6Addr::LOCALHOST, self.port.number()).into(),
            false => self.port.address(),
        }
    }

    /// Everything that Kamailio has sent and received so far, on both of its sides.
    ///
    /// # Panics
    /// When its record cannot be read.
    #[must_use]
    pub fn messages(&self) -> Vec<Captured> {
        let entries = std::fs::read_dir(self.folder.path()).expect("the run folder is ours");
        let mut record = Vec::new();
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if path.extension().is_some_and(|extension| extension == "data") {
                record.extend(std::fs::read(path).expect("the record is readable"));
            }
        }
        parse_sipdump(&record)
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
            let output = self.process.output().join("\n");
            let shown = ladder(&messages);
            assert!(begin.elapsed() < limit, "kamailio: no {what} in {limit:?}:\n{shown}{output}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn listens(reach: Reach<'_>, port: &Port) -> String {
    match reach {
        Reach::Udp => format!("udp:{}", port.address()),
        Reach::Tcp => format!("tcp:{}", port.address()),
        Reach::Tls { .. } => format!("tls:{}", port.address()),
        Reach::UdpV6 => format!("udp:[::1]:{}", port.number()),
    }
}

/// What the configuration needs to know beside its address.
fn options(reach: Reach<'_>) -> Vec<String> {
    let defined: Vec<String> = match reach {
        Reach::Udp => Vec::new(),
        Reach::UdpV6 => vec!["WITH_HANDSET_SIDE".to_owned()],
        Reach::Tcp => vec!["WITH_HANDSET_SIDE".to_owned(), "WITH_TCP".to_owned()],
        Reach::Tls { certificate, key } => vec![
            "WITH_HANDSET_SIDE".to_owned(),
            "WITH_TCP".to_owned(),
            "WITH_TLS".to_owned(),
            format!("CERTIFICATE=\"{}\"", certificate.display()),
            format!("KEY=\"{}\"", key.display()),
        ],
    };
    defined.into_iter().flat_map(|name| ["-A".to_owned(), name]).collect()
}
