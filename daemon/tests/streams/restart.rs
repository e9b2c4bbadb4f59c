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
const PER_SECOND: usize = 40;
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

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_trunks_are_back_within_a_minute_and_at_forty_a_second() {
    let (first, address) = listener().await;
    let names: Vec<String> = (0..TRUNKS).map(|nth| format!("trunk-{nth}")).collect();
    let trunks = names.iter().map(|name| registered(trunk(name, Transport::Tcp, address)));
    let _driver = driver(&[], None, trunks.collect());
    let (times, connections) = tokio::time::timeout(LIMIT, serve(&first)).await.unwrap();
    let first_rate = busiest_second(&times);
    drop((connections, first));
    let restarted = rebound(address).await;
    let start = Instant::now();
    let (times, _connections) = tokio::time::timeout(LIMIT, serve(&restarted)).await.unwrap();
    let (back, rate) = (start.elapsed(), busiest_second(&times));
    println!("FIGURE: 200 trunks: all back {back:.1?} after the restart, at most {rate} a second");
    assert!(first_rate <= PER_SECOND && rate <= PER_SECOND, "{first_rate}, {rate}");
}

async fn rebound(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(_still_bound) => tokio::task::yield_now().await,
        }
    }
}
