//! kill -9 while phones ring and letters leave: what was accepted is kept, what rings is cancelled,
//! nobody is dialled twice.

mod calls;
mod disk;
mod faults;
mod load;
mod mail;
mod texts;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dozvon_tests::capture::{Captured, ladder, requests};
use dozvon_tests::gateway::{Engine, Gateway, Setup, code_of, last_step};
use dozvon_tests::peers::{Peer, figure, lacking};
use dozvon_tests::phones::{Phones, user};

const PHONES: usize = 50;
const TIMES: usize = 20;
/// So long that a busy machine places fifty calls meanwhile.
const RING_LIMIT_S: u8 = 20;
/// Within it after the restart, every call that was up is cancelled and marked.
const RECOVERY_LIMIT: Duration = Duration::from_secs(5);

#[tokio::test]
async fn killed_while_fifty_phones_ring_it_cancels_each_once_and_keeps_every_code_on_sqlite() {
    kill_and_recover(Engine::Sqlite).await;
}

#[tokio::test]
async fn killed_while_fifty_phones_ring_it_cancels_each_once_and_keeps_every_code_on_postgres() {
    if lacking(&[Peer::Postgres]) {
        return;
    }
    kill_and_recover(Engine::Postgres).await;
}

async fn kill_and_recover(engine: Engine) {
    let phones = Phones::ring().await;
    let setup =
        Setup::new(engine).ring_limit_s(RING_LIMIT_S).static_trunk("north", phones.address());
    let mut gateway = Gateway::start(setup).await;
    let mut slowest = Duration::ZERO;
    for time in 0..TIMES {
        let accepted = fifty_phones_ring(&gateway, &phones, time).await;
        gateway.kill().await;
        gateway.start_again().await;
        let begin = Instant::now();
        let cancelled = |messages: &[Captured]| of_time(messages, "CANCEL", time).len() >= PHONES;
        phones.until(RECOVERY_LIMIT, "CANCEL for each call", cancelled).await;
        slowest = slowest.max(begin.elapsed());
        everything_is_kept(&gateway, &phones, &accepted).await;
    }
    // Late repeats of any time would show by now: each time is judged over the whole record.
    let messages = phones.messages();
    for time in 0..TIMES {
        for method in ["INVITE", "CANCEL", "ACK"] {
            let seen = of_time(&messages, method, time);
            let numbers: BTreeMap<_, _> = seen.iter().map(|m| (user(m, "To"), ())).collect();
            let what = format!("{method} of kill {time}");
            assert_eq!(
                (seen.len(), numbers.len()),
                (PHONES, PHONES),
                "{what}:\n{}",
                ladder(&messages)
            );
        }
    }
    figure(&format!("{engine:?}: {TIMES} kills, the last CANCEL {slowest:?} after the start"));
}

/// Creates fifty verifications at once and waits until every phone rings: the id by number.
async fn fifty_phones_ring(
    gateway: &Gateway,
    phones: &Phones,
    time: usize,
) -> BTreeMap<String, String> {
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..PHONES {
        let (api, number) = (gateway.api().clone(), format!("{}{n:03}", prefix(time)));
        tasks.spawn(async move {
            let body =
                serde_json::json!({"to": number, "channels": ["flash_call"], "purpose": "sign_in"});
            let created = api.post("/v1/verifications", &body).await.expect(201).json();
            (number, created["id"].as_str().expect("an id").to_owned())
        });
    }
    let accepted = tasks.join_all().await.into_iter().collect();
    let rung = |messages: &[Captured]| of_time(messages, "INVITE", time).len() >= PHONES;
    // Shorter than a phone rings, so that none is cancelled before the kill.
    phones
        .until(
            Duration::from_secs(u64::from(RING_LIMIT_S) - 2),
            "INVITE for each verification",
            rung,
        )
        .await;
    accepted
}

async fn everything_is_kept(
    gateway: &Gateway,
    phones: &Phones,
    accepted: &BTreeMap<String, String>,
) {
    let messages = phones.messages();
    let invites = requests(&messages, "INVITE");
    for (number, id) in accepted {
        let marked = |seen: &serde_json::Value| last_step(seen)["status"] == "interrupted";
        gateway.until(id, marked).await;
        let invite = invites.iter().find(|invite| user(invite, "To") == *number);
        let shown = user(invite.expect("its phone rang"), "From");
        let answer = gateway.check(id, code_of(&shown)).await.expect(200);
        assert_eq!(answer.json()["valid"], true, "{}", answer.text());
    }
}

fn prefix(time: usize) -> String {
    format!("+79166{time:03}")
}

fn of_time<'a>(messages: &'a [Captured], method: &str, time: usize) -> Vec<&'a Captured> {
    let all = requests(messages, method).into_iter();
    all.filter(|message| user(message, "To").starts_with(&prefix(time))).collect()
}
