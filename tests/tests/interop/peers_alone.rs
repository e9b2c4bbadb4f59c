//! The peers among themselves, so that a fault of a scenario file is not looked for in Dozvon.

use std::path::Path;
use std::time::Duration;

use dozvon_tests::capture::{self, received};
use dozvon_tests::kamailio::{Account, Kamailio};
use dozvon_tests::peers::{Peer, lacking};
use dozvon_tests::sipp::{Scenario, Sipp};

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_caller_passes_the_407_of_kamailio_and_rings_the_handset_behind_it() {
    if lacking(&[Peer::Sipp, Peer::Kamailio]) {
        return;
    }
    let account = Account::default();
    let handset = Sipp::carrier(&Scenario::named("ring_and_cancel")).await;
    let kamailio = Kamailio::start(&account, handset.address()).await;
    let scenario = Scenario::named("caller_gives_up")
        .key("user", &account.user)
        .key("password", &account.password)
        .key("domain", &account.domain);
    let mut caller = Sipp::caller(&scenario, kamailio.address(), "+79161234567", 10);
    let status = caller.ended(LIMIT).await;
    assert!(status.success(), "{}{}", caller.errors(), capture::ladder(&caller.messages()));
    let seen = caller.messages();
    let count = |status: u16| received(&seen).filter(|m| m.status() == Some(status)).count();
    assert_eq!((count(407), count(180), count(487)), (10, 10, 10), "{}", capture::ladder(&seen));
    let acks = |messages: &[_]| capture::requests(messages, "ACK").len() == 10;
    handset.until(LIMIT, "ACK of each 487", acks).await;
    let dumped = kamailio.until(LIMIT, "ACK of each 407 and 487", |messages| {
        capture::requests(messages, "ACK").len() == 20
    });
    let dumped = dumped.await;
    let from_caller = |m: &&capture::Captured| m.remote == Some(caller.address());
    let invites = capture::requests(&dumped, "INVITE");
    assert_eq!(invites.into_iter().filter(from_caller).count(), 20);
}

#[tokio::test]
async fn every_scenario_file_is_one_that_sipp_takes() {
    if lacking(&[Peer::Sipp]) {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/sipp");
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .expect("the scenarios are beside the tests")
        .map(|entry| entry.expect("the folder stays readable").path())
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .filter(|name| !name.starts_with("caller_"))
        .collect();
    names.sort();
    assert_eq!(names.len(), 23, "{names:?}");
    for name in names {
        let places = ["status", "header", "user", "password", "challenge"];
        let values = ["486 Busy Here", "Server: peer", "somebody", "secret", "nonce=\"0a\""];
        let mut scenario = Scenario::named(&name);
        for (place, value) in places.into_iter().zip(values) {
            if scenario.has(place) {
                scenario = scenario.key(place, value);
            }
        }
        let carrier = Sipp::carrier(&scenario).await;
        assert_eq!(carrier.errors(), "", "{name}");
    }
}
