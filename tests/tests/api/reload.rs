//! SIGHUP while phones ring: no call is lost, what stays the same keeps its binding, and a file
//! that is wrong changes nothing.

use std::time::Duration;

use dozvon_tests::capture::{ladder, requests};
use dozvon_tests::gateway::{Engine, Gateway, Setup, last_call};
use dozvon_tests::kamailio::Account;
use dozvon_tests::peers::figure;
use dozvon_tests::phones::{Phones, user};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const TIMES: usize = 20;
/// The calls over the trunk that stays and over the one that changes.
const OVER_NORTH: &str = "+79161";
const OVER_SOUTH: &str = "+79162";
/// Between two verifications, and between two files.
const PAUSE: Duration = Duration::from_millis(40);
const FILE_PAUSE: Duration = Duration::from_millis(250);
const TAKEN: &str = "the configuration was read again";
const REFUSED: &str = "the configuration stays as it was";

/// The file of the nth SIGHUP: the south changes each time, the west comes and goes, and every
/// fifth file is wrong.
fn file(first: &str, nth: usize, west: &Phones) -> String {
    let (before, after) = first.split_once("[trunks.south]").expect("the south");
    let after = after.replace("max_calls = 1000", &format!("max_calls = {}", 500 + nth));
    let text = format!("{before}[trunks.south]{after}");
    match (nth % 5, nth % 2) {
        (4, _) => text.replace("trunks = [\"south\"]\npools", "trunks = [\"suoth\"]\npools"),
        (_, 1) => format!("{text}\n[trunks.west]\ntargets = [\"{}\"]\n", west.address()),
        _ => text,
    }
}

/// Creates verifications until it is told to stop, whether or not earlier ones were answered.
/// Answers the ids of those that were accepted, over the north and over the south: a disk that
/// others keep busy may refuse some.
async fn calls(gateway: &Gateway, stop: &CancellationToken) -> [Vec<String>; 2] {
    let (mut tasks, mut accepted) = (JoinSet::new(), [Vec::new(), Vec::new()]);
    while !stop.is_cancelled() {
        let nth = tasks.len();
        let to = format!("{}{nth:06}", [OVER_NORTH, OVER_SOUTH][nth % 2]);
        let body = json!({"to": to, "channels": ["flash_call"], "purpose": "sign_in"});
        let api = gateway.api().clone();
        tasks.spawn(async move { (nth % 2, api.post("/v1/verifications", &body).await) });
        tokio::time::sleep(PAUSE).await;
    }
    for (over, answer) in tasks.join_all().await {
        if answer.status != 503 {
            let id = answer.expect(201).json()["id"].as_str().expect("an id").to_owned();
            accepted[over].push(id);
        }
    }
    accepted
}

async fn reloads(gateway: &Gateway, west: &Phones, stop: &CancellationToken) -> String {
    let first = gateway.configuration();
    for nth in 0..TIMES {
        tokio::time::sleep(FILE_PAUSE).await;
        let line = gateway.reload(&file(&first, nth, west)).await;
        let expected = if nth % 5 == 4 { REFUSED } else { TAKEN };
        assert!(line.contains(expected), "{nth}: {line}");
    }
    stop.cancel();
    first
}

#[tokio::test]
async fn twenty_changed_files_under_calls_lose_no_call_and_no_binding() {
    let (north, south, west) = (Phones::ring().await, Phones::ring().await, Phones::ring().await);
    let route = format!("[[routes]]\nprefix = \"{OVER_SOUTH}\"\ntrunks = [\"south\"]\n");
    let setup = Setup::new(Engine::Sqlite)
        .ring_limit_s(1)
        .registered_trunk("north", north.address(), &Account::default())
        .static_trunk("south", south.address())
        .with(&format!("{route}pools = [\"all\"]\n"));
    let gateway = Gateway::start(setup).await;
    gateway.registered().await;
    let stop = CancellationToken::new();
    let (ids, first) = tokio::join!(calls(&gateway, &stop), reloads(&gateway, &west, &stop));
    for id in ids.iter().flatten() {
        let seen = gateway.until_call_ended(id).await;
        assert_eq!(last_call(&seen)["outcome"], "rang", "{seen:#}");
    }
    let count = ids[0].len() + ids[1].len();
    assert!(count >= TIMES, "{count} calls");
    figure(&format!("{count} calls under {TIMES} reloads: all rang"));
    let registers = north.messages();
    assert_eq!(requests(&registers, "REGISTER").len(), 1, "{}", ladder(&registers));
    for (phones, prefix, ids) in [(&north, OVER_NORTH, &ids[0]), (&south, OVER_SOUTH, &ids[1])] {
        let invites = phones.messages();
        let invites = requests(&invites, "INVITE");
        assert!(invites.iter().all(|invite| user(invite, "To").starts_with(prefix)));
        assert!(invites.len() >= ids.len(), "{} INVITEs", invites.len());
    }
    a_new_trunk_takes_calls_and_an_old_one_none(&gateway, &first, &west).await;
    what_takes_a_restart_is_refused(&gateway, &first).await;
}

async fn a_new_trunk_takes_calls_and_an_old_one_none(
    gateway: &Gateway,
    first: &str,
    west: &Phones,
) {
    let keys = format!("[trunks.west]\ntargets = [\"{}\"]\ncps = 1000\n", west.address());
    let moved = first.replace("trunks = [\"south\"]\npools", "trunks = [\"west\"]\npools");
    let moved = moved.replace("\"north\", \"south\"", "\"north\", \"west\"");
    let (before, _) = moved.split_once("\n[trunks.south]").expect("the south");
    let route = moved.split_once("[[routes]]\nprefix = \"+79162\"").expect("its route").1;
    let text = format!("{before}\n{keys}[[routes]]\nprefix = \"{OVER_SOUTH}\"{route}");
    let line = gateway.reload(&text).await;
    assert!(line.contains(TAKEN), "{line}");
    let created = gateway.verify("+79162999999").await;
    let ended = gateway.until_call_ended(created["id"].as_str().expect("an id")).await;
    assert_eq!(
        (&last_call(&ended)["trunk"], &last_call(&ended)["outcome"]),
        (&json!("west"), &json!("rang"))
    );
    assert_eq!(requests(&west.messages(), "INVITE").len(), 1);
}

async fn what_takes_a_restart_is_refused(gateway: &Gateway, first: &str) {
    let retention = "retention = { calls_days = 99 }\n[secrets]\n";
    let text = first.replace("[secrets]\n", retention);
    let line = gateway.reload(&text).await;
    assert!(line.contains(REFUSED) && line.contains("[database] changed"), "{line}");
}
