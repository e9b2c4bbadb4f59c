//! Which way a call takes, from the file through the whole daemon: the transport that a domain
//! wants, the certificate that a registrar demands, and one of several trunks.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use dozvon_tests::capture::{Captured, requests};
use dozvon_tests::gateway::{Engine, Gateway, Setup, last_call};
use dozvon_tests::name_server::{self, NameServer, Record};
use dozvon_tests::phones::Phones;
use tempfile::TempDir;
use tokio::net::{TcpListener, UdpSocket};
use tokio_rustls::rustls::version::{TLS12, TLS13};

use crate::secured::{Identity, Registrar, acceptor};
use crate::threats::{callees, verifications};

const LIMIT: Duration = Duration::from_secs(20);
const DOMAIN: &str = "carrier.example";

/// One port for datagrams and for connections.
struct Door {
    datagrams: UdpSocket,
    connections: TcpListener,
    port: u16,
}

impl Door {
    async fn open() -> Self {
        loop {
            let connections = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let address = connections.local_addr().expect("a bound socket");
            // Somebody else may have the number.
            let Ok(datagrams) = UdpSocket::bind(address).await else { continue };
            return Self { datagrams, connections, port: address.port() };
        }
    }

    /// The hosts of a domain's services: this door for each of them.
    fn services(&self, domain: &'static str, names: &[&str]) -> Vec<(String, Record)> {
        let host = format!("sip.{domain}");
        let service =
            |name: &&str| (format!("{name}.{domain}"), Record::Srv(0, 0, self.port, host.clone()));
        let mut records: Vec<_> = names.iter().map(service).collect();
        records.push((host.clone(), Record::A([127, 0, 0, 1].into())));
        records
    }

    async fn datagram(&self) -> Captured {
        let mut packet = [0; 4096];
        let received = self.datagrams.recv_from(&mut packet);
        let (length, remote) = soon(received).await.expect("a bound socket");
        Captured::now(remote, &packet[..length])
    }

    async fn is_silent(&self) -> bool {
        let nothing = self.datagrams.try_recv(&mut [0; 16]);
        let nobody = tokio::time::timeout(Duration::from_millis(1), self.connections.accept());
        nothing.is_err() && nobody.await.is_err()
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.expect("it comes in time")
}

/// The INVITE of a flash call, in which Via says this transport.
fn is_invite_by(request: &Captured, transport: &str) {
    assert!(request.start_line().starts_with("INVITE sip:+7916"), "{}", request.start_line());
    let via = request.header("Via").unwrap_or_default();
    assert!(via.starts_with(&format!("SIP/2.0/{transport} ")), "{via}");
}

#[tokio::test]
async fn the_records_of_a_domain_decide_the_transport_of_its_packets() {
    if name_server::cannot_run() {
        return;
    }
    let (north, south, west) = (Door::open().await, Door::open().await, Door::open().await);
    let plain = ["_sip._udp", "_sip._tcp"];
    let mut records = north.services("north.example", &plain);
    records.extend(south.services("south.example", &plain));
    records.extend(west.services("west.example", &["_sip._udp", "_sip._tcp", "_sips._tcp"]));
    // What a domain wants most is not what it names first; of the third nobody says anything.
    for (order, tcp_of, udp_of) in [(20, "south", "north"), (10, "north", "south")] {
        for (domain, service, name) in [(tcp_of, "SIP+D2T", "tcp"), (udp_of, "SIP+D2U", "udp")] {
            let replacement = format!("_sip._{name}.{domain}.example");
            let naptr = Record::Naptr(order, 50, service, replacement);
            records.push((format!("{domain}.example"), naptr));
        }
    }
    let names = NameServer::start(records).await;
    let identity = Identity::of("west.example");
    let folder = TempDir::new().expect("a temporary folder");
    let ca = identity.write(folder.path(), "west").0;
    let mut setup = Setup::new(Engine::Sqlite).asking(&names);
    for (name, tls, prefix) in [
        ("north", String::new(), "+79161"),
        ("south", String::new(), "+79162"),
        ("west", format!("tls = {{ ca = \"{}\" }}\n", ca.display()), "+79163"),
    ] {
        let domain = format!("domain = \"{name}.example\"\n");
        let keys = format!("{domain}transport = \"auto\"\noptions_ping = 0\n{tls}");
        setup = setup.trunk(name, &keys).with(&format!(
            "[[routes]]\nprefix = \"{prefix}\"\ntrunks = [\"{name}\"]\npools = [\"all\"]\n"
        ));
    }
    let gateway = Gateway::start(setup).await;
    for name in ["north", "south", "west"] {
        gateway.until_trunk(name, LIMIT, |trunk| trunk["state"] == "up").await;
    }

    gateway.verify("+79161000001").await;
    let (mut stream, _) = soon(north.connections.accept()).await.expect("a bound socket");
    is_invite_by(&Captured::read(&mut stream).await.expect("a request"), "TCP");
    gateway.verify("+79162000001").await;
    is_invite_by(&south.datagram().await, "UDP");
    gateway.verify("+79163000001").await;
    let (stream, _) = soon(west.connections.accept()).await.expect("a bound socket");
    let acceptor = acceptor(&identity, None, &[&TLS13]);
    let mut stream = soon(acceptor.accept(stream)).await.expect("a handshake");
    assert_eq!(stream.get_ref().1.server_name(), Some("west.example"));
    is_invite_by(&Captured::read(&mut stream).await.expect("a request"), "TLS");
    for door in [&north, &west] {
        assert!(door.is_silent().await, "another way was tried too");
    }
    let nobody = tokio::time::timeout(Duration::from_millis(1), south.connections.accept());
    assert!(nobody.await.is_err(), "a connection was opened");
}

#[tokio::test]
async fn a_registrar_that_demands_a_certificate_has_it_from_the_file_and_is_told_of_without() {
    let (theirs, ours) = (Identity::of(DOMAIN), Identity::of("gateway.example"));
    let folder = TempDir::new().expect("a temporary folder");
    let ca = theirs.write(folder.path(), "theirs").0;
    let (cert, key) = ours.write(folder.path(), "ours");
    let client = format!(
        ", client_cert = {{ cert = \"{}\", key = {{ file = \"{}\" }} }}",
        cert.display(),
        key.display()
    );
    let keys = |registrar: SocketAddr, client: &str| {
        format!(
            "registrar = \"{registrar}\"\ndomain = \"{DOMAIN}\"\nuser = \"trunk-17\"\n\
             transport = \"tls\"\ntls = {{ ca = \"{}\", name = \"{DOMAIN}\"{client} }}\n",
            ca.display()
        )
    };
    let mut setup = Setup::new(Engine::Sqlite);
    let mut registrars = Vec::new();
    // Under TLS 1.3 our handshake is over before theirs finds that there is no certificate.
    for (version, name) in [(&TLS12, "12"), (&TLS13, "13")] {
        let registrar = || Registrar::start(acceptor(&theirs, Some(&ours), &[version]));
        let (with, without) = (registrar().await, registrar().await);
        setup = setup.trunk(&format!("with{name}"), &keys(with.address(), &client));
        setup = setup.trunk(&format!("without{name}"), &keys(without.address(), ""));
        registrars.push((name, with, without));
    }
    let gateway = Gateway::start(setup).await;
    for (name, with, without) in &registrars {
        let trunk = format!("with{name}");
        gateway.until_trunk(&trunk, LIMIT, |trunk| trunk["state"] == "up").await;
        assert_eq!(with.shown(), [ours.der()], "TLS {name}");

        let trunk = format!("without{name}");
        let failed = |trunk: &serde_json::Value| trunk["registration"]["state"] == "failed";
        let seen = gateway.until_trunk(&trunk, LIMIT, failed).await;
        assert_eq!(seen["state"], "down", "{seen:#}");
        // It is tried less and less: not with each second's OPTIONS, and not twice at once.
        let attempts = without.until_attempts(2, LIMIT).await;
        assert!(attempts[1] - attempts[0] > Duration::from_secs(2), "TLS {name}: {attempts:?}");
        assert!(without.shown().is_empty());
        let remote = without.address().to_string();
        let log = gateway.log();
        let words = log.iter().filter(|line| line.contains(&remote) && line.contains("WARN"));
        let words: Vec<_> = words.collect();
        assert!(words.len() == 1 && words[0].contains("tls.client_cert"), "{words:#?}");
    }
    // The operator writes it in: the next attempt succeeds.
    let bare = format!("name = \"{DOMAIN}\" }}");
    let file = gateway.configuration().replace(&bare, &format!("name = \"{DOMAIN}\"{client} }}"));
    let answer = gateway.reload(&file).await;
    for (name, _, without) in &registrars {
        let trunk = format!("without{name}");
        gateway.until_trunk(&trunk, 2 * LIMIT, |trunk| trunk["state"] == "up").await;
        assert_eq!(without.shown(), [ours.der()], "TLS {name}: {answer}");
    }
}

/// A carrier for each trunk of the next test; priorities run against the order of the file.
struct Carriers {
    first: Option<Phones>,
    light: Phones,
    heavy: Phones,
    last: Phones,
}

impl Carriers {
    async fn start() -> (Self, Gateway) {
        let (first, last) = (Phones::ring().await, Phones::ring().await);
        let (light, heavy) = (Phones::ring().await, Phones::ring().await);
        let mobile = "options_ping = 0\npriority = 20\ngroup = \"mobile\"\n";
        let setup = Setup::new(Engine::Sqlite)
            .ring_limit_s(1)
            .quiet()
            .static_trunk_with("last", last.address(), "priority = 30\ngroup = \"spare\"\n")
            .static_trunk_with("light", light.address(), &format!("{mobile}weight = 1\n"))
            .static_trunk_with("heavy", heavy.address(), &format!("{mobile}weight = 7\n"))
            .static_trunk_with("first", first.address(), "options_ping = 0\npriority = 10\n")
            .with(
                "[[routes]]\nprefix = \"+79161\"\npools = [\"all\"]\n\
                 [[routes]]\nprefix = \"+79162\"\ngroup = \"mobile\"\npools = [\"all\"]\n\
                 [[routes]]\nprefix = \"+79163\"\ngroup = \"spare\"\npools = [\"all\"]\n",
            );
        let gateway = Gateway::start(setup).await;
        (Self { first: Some(first), light, heavy, last }, gateway)
    }

    /// How many phones of each carrier rang so far: first, light, heavy, last.
    fn rang(&self) -> [usize; 4] {
        let of = |phones: &Phones| callees(&phones.messages(), "INVITE").len();
        let first = self.first.as_ref().map_or(0, of);
        [first, of(&self.light), of(&self.heavy), of(&self.last)]
    }
}

async fn all_ring(gateway: &Gateway, prefix: &str, count: usize) {
    for id in verifications(gateway, prefix, count).await {
        let seen = gateway.until_call_ended(&id).await;
        assert_eq!(last_call(&seen)["outcome"], "rang", "{seen:#}");
    }
}

#[tokio::test]
async fn calls_go_by_priority_within_one_by_weight_and_over_the_group_of_their_route() {
    const CALLS: usize = 96;
    let (mut carriers, gateway) = Carriers::start().await;
    // A route that names neither trunks nor a group: the best priority of all has every call.
    all_ring(&gateway, "+791611", 6).await;
    assert_eq!(carriers.rang(), [6, 0, 0, 0]);
    // One of a group: nobody else has any, and seven eighths are expected at the heavy one. With
    // so many calls it has less than three quarters by chance once in 3,000 runs.
    all_ring(&gateway, "+791621", CALLS).await;
    let [first, light, heavy, last] = carriers.rang();
    println!("weights 1 and 7: {light} and {heavy} of {CALLS} calls");
    assert_eq!((first, last, light + heavy), (6, 0, CALLS));
    assert!(heavy >= CALLS * 3 / 4 && light > 0, "{light} and {heavy}");
    all_ring(&gateway, "+791631", 2).await;
    assert_eq!(carriers.rang()[3], 2);
    // Without the best priority the next one has the call.
    drop(carriers.first.take());
    let created = gateway.verify("+79161200000").await;
    let id = created["id"].as_str().expect("an id");
    let seen = gateway.until(id, |seen| last_call(seen)["outcome"] == "rang").await;
    let [_, light_then, heavy_then, last] = carriers.rang();
    assert_eq!((light_then + heavy_then, last), (CALLS + 1, 2), "{seen:#}");
    let ringing: BTreeSet<_> = [&carriers.light, &carriers.heavy]
        .iter()
        .flat_map(|phones| callees(&phones.messages(), "INVITE"))
        .collect();
    assert!(ringing.contains("+79161200000"));
    assert!(requests(&carriers.last.messages(), "INVITE").len() == 2);
}
