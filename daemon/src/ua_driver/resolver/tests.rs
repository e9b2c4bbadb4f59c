//! RFC 3263 against a name service of the test's own, in virtual time.

use std::collections::BTreeMap;
use std::sync::Mutex;

use tokio::time::Instant;

use super::names::Naptr;
use super::*;

const TTL: Duration = Duration::from_secs(120);
const TRUNK: TrunkHandle = TrunkHandle { shard: 0, index: 1 };

/// A zone that tests change, and what was asked of it.
#[derive(Clone, Default)]
struct Zone(Arc<Mutex<Records>>);

#[derive(Default)]
struct Records {
    naptr: Vec<Naptr>,
    srv: BTreeMap<String, Vec<Srv>>,
    hosts: BTreeMap<String, Vec<IpAddr>>,
    is_silent: bool,
    asked: Vec<String>,
}

impl Zone {
    fn naptr(self, order: u16, preference: u16, service: &str, replacement: &str) -> Self {
        let naptr = Naptr {
            order,
            preference,
            flags: "s".to_owned(),
            service: service.to_owned(),
            replacement: replacement.to_owned(),
        };
        self.0.lock().unwrap().naptr.push(naptr);
        self
    }

    fn srv(self, name: &str, (priority, weight, port): (u16, u16, u16), host: &str) -> Self {
        let srv = Srv { priority, weight, port, host: host.to_owned() };
        self.0.lock().unwrap().srv.entry(name.to_owned()).or_default().push(srv);
        self
    }

    fn host(self, name: &str, ips: &[&str]) -> Self {
        let ips = ips.iter().map(|ip| ip.parse().unwrap()).collect();
        self.0.lock().unwrap().hosts.insert(name.to_owned(), ips);
        self
    }

    fn set_silent(&self, is_silent: bool) {
        self.0.lock().unwrap().is_silent = is_silent;
    }

    fn asked(&self) -> usize {
        self.0.lock().unwrap().asked.len()
    }

    fn answer<T>(
        &self,
        name: &str,
        find: impl FnOnce(&Records) -> Option<Vec<T>>,
    ) -> Result<Answer<T>, Silent> {
        let mut records = self.0.lock().unwrap();
        records.asked.push(name.to_owned());
        if records.is_silent {
            return Err(Silent("test".to_owned()));
        }
        Ok(Answer { records: find(&records).unwrap_or_default(), ttl: TTL })
    }
}

impl NameService for Zone {
    async fn naptr(&self, name: &str) -> Result<Answer<Naptr>, Silent> {
        self.answer(name, |records| Some(records.naptr.clone()))
    }

    async fn srv(&self, name: &str) -> Result<Answer<Srv>, Silent> {
        self.answer(name, |records| records.srv.get(name).cloned())
    }

    async fn addresses(&self, name: &str) -> Result<Answer<IpAddr>, Silent> {
        self.answer(name, |records| records.hosts.get(name).cloned())
    }
}

fn question(host: &str, port: Option<u16>, transport: TransportChoice) -> Question {
    Question { name: HostPort { host: host.to_owned(), port }, transport }
}

/// Targets as text: transport, address, priority and weight.
async fn located(zone: &Zone, question: &Question) -> Vec<String> {
    let found = locate(zone, question).await.unwrap().records;
    let text = |target: &Target| {
        let Target { transport, address, priority, weight } = target;
        format!("{} {address} {priority}/{weight}", transport.via_token())
    };
    found.iter().map(text).collect()
}

const UDP: TransportChoice = TransportChoice::Fixed(Transport::Udp);
const TLS: TransportChoice = TransportChoice::Fixed(Transport::Tls);

#[tokio::test]
async fn an_address_or_a_port_asks_for_no_service() {
    let zone = Zone::default()
        .srv("_sip._udp.a.test", (1, 1, 5099), "b.test")
        .host("a.test", &["192.0.2.1"]);
    assert_eq!(located(&zone, &question("192.0.2.7", None, UDP)).await, ["UDP 192.0.2.7:5060 0/1"]);
    let tls = located(&zone, &question("2001:db8::7", None, TLS)).await;
    assert_eq!(tls, ["TLS [2001:db8::7]:5061 0/1"]);
    assert_eq!(zone.asked(), 0);
    let port = located(&zone, &question("a.test", Some(5080), TransportChoice::Auto)).await;
    assert_eq!(port, ["UDP 192.0.2.1:5080 0/1"]);
    assert_eq!(zone.asked(), 1);
}

#[tokio::test]
async fn a_service_gives_its_hosts_in_both_families_with_priority_and_weight() {
    let zone = Zone::default()
        .srv("_sip._udp.a.test", (20, 5, 5062), "second.test")
        .srv("_sip._udp.a.test", (10, 70, 5061), "first.test")
        .srv("_sip._udp.a.test", (10, 30, 5060), "gone.test")
        .host("first.test", &["192.0.2.1", "2001:db8::1"])
        .host("second.test", &["192.0.2.2"]);
    let found = located(&zone, &question("a.test", None, UDP)).await;
    let wanted =
        ["UDP 192.0.2.1:5061 10/70", "UDP [2001:db8::1]:5061 10/70", "UDP 192.0.2.2:5062 20/5"];
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn without_a_service_the_host_itself_is_asked_and_a_service_that_is_none_counts_as_none() {
    let zone =
        Zone::default().srv("_sips._tcp.a.test", (0, 0, 0), ".").host("a.test", &["192.0.2.1"]);
    assert_eq!(located(&zone, &question("a.test", None, UDP)).await, ["UDP 192.0.2.1:5060 0/1"]);
    assert_eq!(located(&zone, &question("a.test", None, TLS)).await, ["TLS 192.0.2.1:5061 0/1"]);
}

#[tokio::test]
async fn a_domain_says_which_transport_it_prefers() {
    let zone = Zone::default()
        .naptr(20, 1, "sip+d2u", "_sip._udp.a.test")
        .naptr(10, 2, "sip+d2t", "_sip._tcp.a.test")
        .naptr(10, 1, "sip+d2s", "_sip._sctp.a.test")
        .srv("_sip._udp.a.test", (1, 1, 5060), "b.test")
        .srv("_sip._tcp.a.test", (1, 1, 5070), "b.test")
        .host("b.test", &["192.0.2.1"]);
    let auto = question("a.test", None, TransportChoice::Auto);
    assert_eq!(located(&zone, &auto).await, ["TCP 192.0.2.1:5070 1/1"]);
    let zone = Zone::default()
        .srv("_sip._udp.a.test", (1, 1, 5060), "b.test")
        .srv("_sips._tcp.a.test", (1, 1, 5061), "b.test")
        .host("b.test", &["192.0.2.1"]);
    assert_eq!(located(&zone, &auto).await, ["TLS 192.0.2.1:5061 1/1"]);
    let zone = Zone::default().host("a.test", &["192.0.2.1"]);
    assert_eq!(located(&zone, &auto).await, ["UDP 192.0.2.1:5060 0/1"]);
}

#[tokio::test]
async fn silence_about_a_service_is_not_taken_for_its_absence() {
    let zone = Zone::default().host("a.test", &["192.0.2.1"]);
    zone.set_silent(true);
    assert!(locate(&zone, &question("a.test", None, UDP)).await.is_err());
}

fn following(zone: &Zone) -> (Resolver<Zone>, mpsc::Receiver<Resolved>) {
    let (sender, answers) = mpsc::channel(16);
    let mut resolver = Resolver::new(zone.clone(), sender);
    resolver.resolve(TRUNK, HostPort { host: "a.test".to_owned(), port: Some(5060) }, UDP);
    (resolver, answers)
}

async fn address(answers: &mut mpsc::Receiver<Resolved>) -> String {
    answers.recv().await.unwrap().targets[0].address.to_string()
}

#[tokio::test(start_paused = true)]
async fn an_address_that_moved_is_told_when_the_old_answer_has_run_out() {
    let zone = Zone::default().host("a.test", &["192.0.2.1"]);
    let (_resolver, mut answers) = following(&zone);
    assert_eq!(address(&mut answers).await, "192.0.2.1:5060");
    let start = Instant::now();
    let zone = zone.host("a.test", &["192.0.2.2"]);
    assert_eq!(address(&mut answers).await, "192.0.2.2:5060");
    assert_eq!(start.elapsed().as_secs(), TTL.as_secs());
    assert_eq!(zone.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told_while_nobody_answers_so_the_last_good_answer_stays() {
    let zone = Zone::default().host("a.test", &["192.0.2.1"]);
    let (_resolver, mut answers) = following(&zone);
    address(&mut answers).await;
    zone.set_silent(true);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(answers.try_recv().is_err());
    let asked = zone.asked();
    assert!((10..30).contains(&asked), "{asked} questions in an hour of silence");
    // A name that is gone is no reason to leave the address where calls go.
    zone.set_silent(false);
    let zone = zone.host("a.test", &[]);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(answers.try_recv().is_err());
    let _zone = zone.host("a.test", &["192.0.2.3"]);
    assert_eq!(address(&mut answers).await, "192.0.2.3:5060");
}

#[tokio::test(start_paused = true)]
async fn a_trunk_that_asks_again_is_answered_at_once_and_not_more_than_once_a_second() {
    let zone = Zone::default().host("a.test", &["192.0.2.1"]);
    let (mut resolver, mut answers) = following(&zone);
    address(&mut answers).await;
    let start = Instant::now();
    let name = || HostPort { host: "a.test".to_owned(), port: Some(5060) };
    for _ in 0..100 {
        resolver.resolve(TRUNK, name(), UDP);
    }
    assert_eq!(address(&mut answers).await, "192.0.2.1:5060");
    assert!(start.elapsed() <= Duration::from_secs(2), "{:?}", start.elapsed());
    assert!(zone.asked() <= 3, "{}", zone.asked());
    let start = Instant::now();
    for _ in 0..5 {
        resolver.resolve(TRUNK, name(), UDP);
        address(&mut answers).await;
    }
    assert!(start.elapsed() >= 4 * SPACING, "{:?}", start.elapsed());
}
