//! The call loop against the built-in carrier, over real sockets on loopback.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use daemon::carrier::{self, CarrierSettings, Report, Shown, Wish};
use daemon::ids::CallId;
use daemon::ua_driver::{CallEnd, CallOrder, Driver, DriverSettings, Inbound, TrunkSpec};
use dialplans::TrunkName;
use sip::{
    CallIdentity, CallOutcome, CallRequest, Caller, CallerId, CallerSource, HostPort, Secret,
    Target, TextAnswer, TrunkSettings, UserPart,
};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};

const UDP: config::TransportChoice = config::TransportChoice::Fixed(sip::Transport::Udp);

/// A carrier in this process, and what it told.
struct Carrier {
    address: SocketAddr,
    told: Arc<Mutex<Vec<Report>>>,
    wishes: mpsc::Sender<Wish>,
    _stop: oneshot::Sender<()>,
}

impl Carrier {
    async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = oneshot::channel();
        let (wisher, wishes) = mpsc::channel(10);
        let listener = told.clone();
        tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            let report = |line| listener.lock().unwrap().push(line);
            carrier::run(socket, CarrierSettings::default(), [1; 32], stopped, wishes, report)
                .await
                .unwrap();
        });
        Self { address, told, wishes: wisher, _stop: stop }
    }

    fn told(&self) -> Vec<Report> {
        self.told.lock().unwrap().clone()
    }
}

fn trunk_name() -> TrunkName {
    TrunkName::parse("north").unwrap()
}

fn user(text: &str) -> UserPart {
    UserPart::new(text).unwrap()
}

fn driver(carrier: &Carrier) -> Driver {
    let local = "0.0.0.0:0".parse().unwrap();
    let mut settings = TrunkSettings::new("north", "carrier.test", user("dozvon"), local);
    settings.targets = vec![Target::udp(carrier.address)];
    settings.password = Some(Secret::new("dozvon"));
    driver_of(settings)
}

fn driver_of(settings: TrunkSettings) -> Driver {
    let spec = TrunkSpec {
        name: trunk_name(),
        settings,
        calls_per_second: None,
        transport: UDP,
        tls: None,
    };
    let (driver, _task) = Driver::start(DriverSettings {
        listen: vec![config::SipListen {
            transport: sip::Transport::Udp,
            address: "127.0.0.1:0".parse().unwrap(),
        }],
        tls: None,
        media_ports: Vec::new(),
        user_agent: sip::Settings::new([2; 32]),
        seed: [3; 32],
        trunks: vec![spec],
    })
    .unwrap();
    driver
}

/// A driver whose trunk registers, once it is bound.
async fn registered(carrier: &Carrier) -> Driver {
    let local = "0.0.0.0:0".parse().unwrap();
    let mut settings = TrunkSettings::new("north", "carrier.test", user("dozvon"), local);
    let host = carrier.address.ip().to_string();
    settings.registrar = Some(HostPort { host, port: Some(carrier.address.port()) });
    settings.password = Some(Secret::new("dozvon"));
    let driver = driver_of(settings);
    let mut table = driver.watch_trunks();
    let up = table.wait_for(|table| table.up() == 1);
    tokio::time::timeout(Duration::from_secs(10), up).await.unwrap().unwrap();
    driver
}

fn order(called: &str) -> CallOrder {
    let request = CallRequest {
        identity: CallIdentity(std::array::from_fn(|at| called.as_bytes()[at % called.len()])),
        called: user(called),
        caller_id: CallerId::new(user("+74951230042")),
        ring_limit: Duration::from_millis(300),
        no_ring_limit: Duration::from_secs(3),
        call_limit: Duration::from_secs(6),
        no_answer_timeout: Duration::from_secs(1),
        media_port: 0,
    };
    CallOrder { call_id: CallId(1), trunk: trunk_name(), request, talk_limit: None }
}

async fn place(driver: &Driver, called: &str) -> CallEnd {
    let watch = driver.reserve().unwrap().place_call(order(called));
    tokio::time::timeout(Duration::from_secs(10), watch.ended).await.unwrap().unwrap()
}

async fn outcome(driver: &Driver, called: &str) -> CallOutcome {
    match place(driver, called).await {
        CallEnd::Ended(summary) => summary.outcome,
        CallEnd::Refused(error) => panic!("refused: {error}"),
    }
}

#[tokio::test]
async fn a_flash_call_rings_is_cancelled_and_acknowledged_and_shows_the_caller_id() {
    let carrier = Carrier::start().await;
    let driver = driver(&carrier);
    let CallEnd::Ended(summary) = place(&driver, "+79161234567").await else { panic!("refused") };
    assert_eq!(summary.outcome, CallOutcome::Rang);
    assert_eq!((summary.rang, summary.status), (true, Some(487)));
    let is_acknowledged =
        |report: &Report| matches!(report, Report::Ended { acknowledged: true, .. });
    while !carrier.told().iter().any(is_acknowledged) {
        tokio::task::yield_now().await;
    }
    let told = carrier.told();
    let shown = told.iter().find_map(|report| match report {
        Report::Invited { caller_id, from, called, .. } => Some((caller_id, from, called)),
        _ => None,
    });
    let caller_id = &"+74951230042".to_owned();
    assert_eq!(shown, Some((caller_id, caller_id, &"+79161234567".to_owned())));
    let lines: Vec<String> = told
        .iter()
        .filter_map(|report| match report {
            Report::Message { line, .. } => Some(line.split(' ').next().unwrap().to_owned()),
            _ => None,
        })
        .collect();
    let expected = ["INVITE", "407", "ACK", "INVITE", "100", "180", "CANCEL", "200", "487", "ACK"];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn every_behaviour_of_the_carrier_has_its_outcome() {
    let carrier = Carrier::start().await;
    let driver = driver(&carrier);
    let wanted = [
        ("80", CallOutcome::Rang),
        ("82", CallOutcome::Answered),
        ("84", CallOutcome::TrunkTimeout),
        ("85", CallOutcome::Busy),
        ("86", CallOutcome::Unallocated),
        ("87", CallOutcome::Unreachable),
        ("89", CallOutcome::Blocked),
        ("91", CallOutcome::Diverted),
        ("93", CallOutcome::Rang),
        ("94", CallOutcome::Rang),
        ("88", CallOutcome::Congestion),
    ];
    for (tail, expected) in wanted {
        let got = outcome(&driver, &format!("+791612345{tail}")).await;
        assert_eq!(got, expected, "a number that ends in {tail}");
    }
    assert_eq!(carrier.told().len().min(1), 1);
}

#[tokio::test]
async fn a_full_command_channel_is_refused_before_anything_is_promised() {
    let carrier = Carrier::start().await;
    let driver = driver(&carrier);
    let mut places = Vec::new();
    let refused = loop {
        match driver.reserve() {
            Ok(place) => places.push(place),
            Err(busy) => break busy,
        }
        assert!(places.len() < 10_000, "the channel has no bound");
    };
    assert!(refused.to_string().contains("no room"));
    drop(places);
    assert_eq!(outcome(&driver, "+79161234511").await, CallOutcome::Rang);
}

#[tokio::test]
async fn a_closed_port_at_the_carrier_ends_the_call_at_once_as_trunk_down() {
    let closed = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (stop, _) = oneshot::channel();
    let wishes = mpsc::channel(1).0;
    let nobody = Carrier { address: closed, told: Arc::default(), wishes, _stop: stop };
    let driver = driver(&nobody);
    let begin = std::time::Instant::now();
    assert_eq!(outcome(&driver, "+79161234511").await, CallOutcome::TrunkDown);
    // Well before the no-answer timeout of 1 s: the ICMP error told it.
    assert!(begin.elapsed() < Duration::from_millis(900), "{:?}", begin.elapsed());
}

/// What comes in next.
async fn next(inbound: &mut mpsc::Receiver<Inbound>) -> Inbound {
    tokio::time::timeout(Duration::from_secs(10), inbound.recv()).await.unwrap().unwrap()
}

/// The status that the gateway answered to the last wish.
async fn answered(carrier: &Carrier, count: usize) -> u16 {
    loop {
        let told = carrier.told();
        let mut statuses = told.iter().filter_map(|report| match report {
            Report::Called { status, .. } | Report::Texted { status, .. } => Some(*status),
            _ => None,
        });
        if let Some(status) = statuses.nth(count) {
            return status;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_call_from_outside_is_refused_and_told_with_who_called_whom() {
    let carrier = Carrier::start().await;
    let driver = registered(&carrier).await;
    let mut inbound = driver.listen().await;
    let (from, to) = ("+79161234567".to_owned(), "+74951230000".to_owned());
    let shown = |source| Caller::Shown { user: user("+79161234567"), source };
    for (count, (how, expected)) in [
        (Shown::Asserted, shown(CallerSource::PAssertedIdentity)),
        (Shown::Claimed, shown(CallerSource::From)),
        (Shown::Hidden, Caller::Hidden),
    ]
    .into_iter()
    .enumerate()
    {
        let wish = Wish::Call { from: from.clone(), to: to.clone(), shown: how };
        carrier.wishes.send(wish).await.unwrap();
        let Inbound::Call { trunk, call } = next(&mut inbound).await else { panic!("a text") };
        assert_eq!(trunk, trunk_name());
        assert_eq!((call.called, call.caller), (Some(user(&to)), expected));
        assert_eq!(answered(&carrier, count).await, 603);
    }
}

#[tokio::test]
async fn a_text_from_outside_waits_for_its_answer_and_finds_503_where_nobody_listens() {
    let carrier = Carrier::start().await;
    let driver = registered(&carrier).await;
    let wish = Wish::Text {
        from: "+79161234567".to_owned(),
        to: "+74951230000".to_owned(),
        text: "Да".to_owned(),
    };
    carrier.wishes.send(wish.clone()).await.unwrap();
    assert_eq!(answered(&carrier, 0).await, 503);
    let mut inbound = driver.listen().await;
    carrier.wishes.send(wish).await.unwrap();
    let Inbound::Text { text, .. } = next(&mut inbound).await else { panic!("a call") };
    assert_eq!(text.body, "Да");
    driver.answer_text(text.text, TextAnswer::Accepted).await;
    assert_eq!(answered(&carrier, 1).await, 202);
}
