//! Two trunk hosts behind cables of their own; one cable is pulled in the middle of 100 calls.
//!
//! The hosts are network namespaces with the built-in carrier in each, so this needs root.

use std::process::Command;
use std::time::{Duration, Instant};

use dozvon_tests::gateway::{Engine, Gateway, Setup, binary, last_step};
use dozvon_tests::kamailio::Account;
use dozvon_tests::peers::{figure, skip};
use dozvon_tests::process::Process;
use serde_json::Value;

const CALLS: u32 = 100;
const CALLS_PER_SECOND: u32 = 25;
/// So many calls are placed before the cable is pulled.
const BEFORE_THE_CUT: u32 = 60;
/// The carrier's phones ring so long after the INVITE.
const POST_DIAL_DELAY: Duration = Duration::from_millis(600);
/// Within it after the cable is back, the trunk is registered again.
const BACK_LIMIT: Duration = Duration::from_secs(2);
const CARRIER_PORT: u16 = 5070;
const LIMIT: Duration = Duration::from_secs(30);
/// Namespaces of these tests: the prefix, which one, and the process that made it.
const PREFIX: &str = "dozvon-cable";

/// A namespace with one cable to us. It goes when the value is dropped, also by a panic.
struct Host {
    name: String,
    /// The near end of the cable; an interface has at most 15 letters.
    near: String,
    /// The first three numbers of the cable's addresses: ours ends in 1, the host's in 2.
    network: String,
    carrier: Option<Process>,
}

impl Host {
    /// `None` when this machine does not let us.
    fn behind_a_cable(nth: u32) -> Option<Self> {
        let id = std::process::id();
        let host = Self {
            name: format!("{PREFIX}-{nth}-{id}"),
            near: format!("dz{nth}-{id}"),
            network: format!("10.{}.{}", 64 + id % 64, id / 64 % 64 * 4 + nth),
            carrier: None,
        };
        let Host { name, near, network, .. } = &host;
        let done = ip(&format!("netns add {name}"))
            && ip(&format!("link add {near} type veth peer name far netns {name}"))
            && ip(&format!("addr add {network}.1/24 dev {near}"))
            && ip(&format!("link set {near} up"))
            && ip(&format!("-n {name} addr add {network}.2/24 dev far"))
            && ip(&format!("-n {name} link set lo up"))
            && host.plug(true);
        done.then_some(host)
    }

    /// Puts the cable in or pulls it, at the host's end.
    fn plug(&self, is_in: bool) -> bool {
        let state = if is_in { "up" } else { "down" };
        ip(&format!("-n {} link set far {state}", self.name))
    }

    fn address(&self) -> std::net::SocketAddr {
        format!("{}.2:{CARRIER_PORT}", self.network).parse().expect("an address")
    }

    fn serve(&mut self, account: &Account) {
        let (program, listen) = (binary(), self.address().to_string());
        let carrier = Process::start("ip", ["netns", "exec", &self.name], |command| {
            command.arg(program).args(["carrier", "--listen", &listen]);
            command.args(["--user", &account.user, "--password", &account.password]);
            command.args(["--realm", &account.domain]);
        });
        self.carrier = Some(carrier);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The namespace lives as long as somebody is in it, and the cable as long as it.
        self.carrier = None;
        ip(&format!("netns del {}", self.name));
        ip(&format!("link del {}", self.near));
    }
}

fn ip(arguments: &str) -> bool {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    output.is_ok_and(|output| output.status.success())
}

/// Takes away what a test left behind that was killed.
fn sweep() {
    let listed = Command::new("ip").args(["netns", "list"]).output();
    let listed = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    for line in listed.unwrap_or_default().lines() {
        let name = line.split(' ').next().unwrap_or_default();
        let Some(id) = name.strip_prefix(PREFIX).and_then(|rest| rest.rsplit('-').next()) else {
            continue;
        };
        if !std::path::Path::new("/proc").join(id).exists() {
            ip(&format!("netns del {name}"));
        }
    }
}

#[tokio::test]
async fn calls_that_rang_keep_their_outcome_and_the_others_go_over_the_second_trunk() {
    sweep();
    let (Some(mut north), Some(mut south)) = (Host::behind_a_cable(1), Host::behind_a_cable(2))
    else {
        return skip("no network namespaces: they need root and iproute2");
    };
    let account = Account::default();
    north.serve(&account);
    south.serve(&account);
    let setup = Setup::new(Engine::Sqlite).quiet().on_every_interface();
    let setup = setup.registered_trunk("north", north.address(), &account);
    let setup = setup.registered_trunk("south", south.address(), &account);
    let gateway = Gateway::start(setup).await;
    for trunk in ["north", "south"] {
        registrations(&gateway, trunk, 1).await;
    }
    let calls = place_and_cut(&gateway, &north).await;
    let (mut stayed, mut moved) = (0, 0);
    for (id, rang_before_the_cut) in &calls {
        let is_over = |seen: &Value| last_step(seen)["status"] == "rang" && all_ended(seen);
        let seen = gateway.until(id, is_over).await;
        let calls = calls_of(&seen);
        let rang = calls.iter().filter(|call| call["outcome"] == "rang").count();
        assert_eq!(rang, 1, "a phone shows one missed call: {seen:#}");
        assert!(!rang_before_the_cut || calls.len() == 1, "it rang already: {seen:#}");
        match calls.len() {
            1 => stayed += 1,
            _ => moved += 1,
        }
    }
    assert!(moved > 0 && stayed >= BEFORE_THE_CUT / 2, "{stayed} stayed, {moved} moved");

    let known = registrations(&gateway, "north", 1).await;
    assert!(north.plug(true));
    let back = Instant::now();
    registrations(&gateway, "north", known + 1).await;
    let back = back.elapsed();
    figure(&format!(
        "cable pulled: {stayed} calls over their trunk, {moved} over the second; registered {back:.1?} after it was back"
    ));
    assert!(back <= BACK_LIMIT, "{back:?}");
}

/// Places all calls and pulls the cable meanwhile. Returns each verification, and whether its phone
/// rang for certain before the cable was pulled.
async fn place_and_cut(gateway: &Gateway, north: &Host) -> Vec<(String, bool)> {
    let start = tokio::time::Instant::now();
    let mut placed = Vec::new();
    let mut cut = start;
    for n in 0..CALLS {
        tokio::time::sleep_until(start + Duration::from_secs(1) * n / CALLS_PER_SECOND).await;
        if n == BEFORE_THE_CUT {
            assert!(north.plug(false));
            cut = tokio::time::Instant::now();
        }
        // The last two digits 00 to 79 ring until they are cancelled.
        let created = gateway.verify(&format!("+79166{:04}{:02}", n / 80, n % 80)).await;
        let id = created["id"].as_str().expect("an id").to_owned();
        placed.push((id, tokio::time::Instant::now()));
    }
    let sure = POST_DIAL_DELAY + Duration::from_millis(500);
    placed.into_iter().map(|(id, at)| (id, at + sure < cut)).collect()
}

fn calls_of(seen: &Value) -> &[Value] {
    last_step(seen)["calls"].as_array().map_or(&[], Vec::as_slice)
}

fn all_ended(seen: &Value) -> bool {
    let calls = calls_of(seen);
    !calls.is_empty() && calls.iter().all(|call| call["outcome"].is_string())
}

/// Waits until the log has so many registrations of a trunk, and tells how many it has.
async fn registrations(gateway: &Gateway, trunk: &str, wanted: usize) -> usize {
    let start = Instant::now();
    loop {
        let log = gateway.log();
        let is_its = |line: &&String| line.contains("registered for") && line.contains(trunk);
        let found = log.iter().filter(is_its).count();
        if found >= wanted {
            return found;
        }
        assert!(start.elapsed() < LIMIT, "{}", log.join("\n"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
