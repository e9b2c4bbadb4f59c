//! Many trunks and a registrar that restarts: all are back soon, and none of them in a herd.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sip::Transport;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::peer::{Peer, driver, listener, registered, status, trunk};

const TRUNKS: usize = 200;
/// Registrations that begin within a second (`sip::Settings::registers_per_second`).
const PER_SECOND: f64 = 40.0;
const LIMIT: Duration = Duration::from_secs(60);

/// When each REGISTER came.
type Times = Vec<Instant>;

/// Grants what is asked until every trunk has registered. The connections stay open.
async fn serve(listener: &TcpListener) -> (Times, JoinSet<()>) {
    let (sender, mut granted) = mpsc::unbounded_channel();
    let (mut connections, mut times, mut trunks) = (JoinSet::new(), Vec::new(), BTreeSet::new());
    while trunks.len() < TRUNKS {
        tokio::select! {
            accepted = listener.accept() => {
                connections.spawn(grant(accepted.unwrap().0, sender.clone()));
            }
            register = granted.recv() => {
                let (at, call_id) = register.expect("a sender is held");
                times.push(at);
                trunks.insert(call_id);
            }
        }
    }
    (times, connections)
}

/// Each trunk keeps the Call-ID of its REGISTERs.
async fn grant(stream: TcpStream, granted: mpsc::UnboundedSender<(Instant, String)>) {
    let mut peer = Peer::new(stream);
    while let Some(register) = peer.message_at_any_time().await {
        let call_id = register.lines().find(|line| line.starts_with("Call-ID")).unwrap();
        // Whoever counts may have counted enough.
        let _ = granted.send((Instant::now(), call_id.to_owned()));
        peer.reply(&register, status(200)).await;
    }
}

/// The most REGISTERs that came within any second.
fn busiest_second(times: &Times) -> usize {
    let within = |start: &Instant| {
        times.iter().filter(|at| *at >= start && **at < *start + Duration::from_secs(1)).count()
    };
    times.iter().map(within).max().unwrap_or_default()
}

/// How many came in a second, from the first to the last of them.
fn mean_pace(times: &Times) -> f64 {
    let (first, last) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    (times.len() - 1) as f64 / (*last - *first).as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_trunks_are_back_within_a_minute_and_at_forty_a_second() {
    let (first, address) = listener().await;
    let names: Vec<String> = (0..TRUNKS).map(|nth| format!("trunk-{nth}")).collect();
    let trunks = names.iter().map(|name| registered(trunk(name, Transport::Tcp, address)));
    let _driver = driver(&[], None, trunks.collect());
    let (first_times, connections) = tokio::time::timeout(LIMIT, serve(&first)).await.unwrap();
    let first_rate = busiest_second(&first_times);
    drop((connections, first));
    let restarted = rebound(address).await;
    let start = Instant::now();
    let (times, _connections) = tokio::time::timeout(LIMIT, serve(&restarted)).await.unwrap();
    let (back, rate) = (start.elapsed(), busiest_second(&times));
    println!("FIGURE: 200 trunks: all back {back:.1?} after the restart, at most {rate} a second");
    let pace = mean_pace(&first_times).max(mean_pace(&times));
    println!("FIGURE: 200 trunks: {pace:.1} REGISTERs a second over the whole way back");
    // Each leaves at its own moment: that is proved in virtual time. Here a busy machine holds some
    // up and brings them closer together, so that no more than the whole can be judged.
    assert!(pace <= PER_SECOND + 2.0, "{pace:.1} a second, {first_rate} and {rate} in one");
}

async fn rebound(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(_still_bound) => tokio::task::yield_now().await,
        }
    }
}
