//! kill -9 while letters with codes are on their way: every step ends, no code leaves twice.

use std::collections::BTreeMap;
use std::time::Duration;

use dozvon_tests::gateway::{Engine, Gateway, Setup, last_step};
use dozvon_tests::mail_server::{Door, MailServer};
use dozvon_tests::peers::{Peer, figure, lacking};
use dozvon_tests::ports::Port;
use serde_json::{Value, json};

const LETTERS: usize = 10;
const TIMES: usize = 20;
/// How long the server looks into each letter: so long that a kill finds some of them there.
const THINK: Duration = Duration::from_millis(60);
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn killed_while_letters_leave_it_ends_every_step_and_sends_no_code_twice_on_sqlite() {
    if lacking(&[Peer::Aiosmtpd]) {
        return;
    }
    kill_and_recover(Engine::Sqlite).await;
}

#[tokio::test]
async fn killed_while_letters_leave_it_ends_every_step_and_sends_no_code_twice_on_postgres() {
    if lacking(&[Peer::Aiosmtpd, Peer::Postgres]) {
        return;
    }
    kill_and_recover(Engine::Postgres).await;
}

async fn kill_and_recover(engine: Engine) {
    let (port, nobody) = (Port::reserve(), Port::reserve());
    let server = MailServer::start_thoughtful(&port, Door::Open, THINK).await;
    let setup = Setup::new(engine).static_trunk("north", nobody.address());
    let mut gateway = Gateway::start(setup.with(&Door::Open.section(&port))).await;
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    let mut accepted = BTreeMap::new();
    for time in 0..TIMES {
        let made = create(&gateway, time).await;
        // From none to most of them have been given by then.
        given(&server, time, time * LETTERS / TIMES).await;
        gateway.kill().await;
        gateway.start_again().await;
        for (address, id) in &made {
            let seen = gateway.until(id, |seen| !is_under_way(seen)).await;
            let status = last_step(&seen)["status"].as_str().expect("a word").to_owned();
            let letters = server.letters_to(address);
            let taken = letters.iter().filter(|letter| letter.is_taken).count();
            assert!(letters.len() <= 1, "{address}, {status}: {letters:?}");
            match status.as_str() {
                "sent" => assert_eq!(taken, 1, "{address}"),
                "interrupted" => {}
                _ => panic!("{address}: {seen:#}"),
            }
            if let [letter] = &letters[..] {
                let answer = gateway.check(id, letter.code()).await.expect(200).json();
                assert_eq!(answer["status"], "approved", "{address}, {status}");
            }
            *ends.entry(format!("{status} with {taken} letter")).or_default() += 1;
        }
        accepted.extend(made);
    }
    // What came late would show by now: each address is judged over the whole record.
    for address in accepted.keys() {
        assert!(server.letters_to(address).len() <= 1, "{address}");
    }
    assert_eq!(ends.values().sum::<usize>(), TIMES * LETTERS);
    figure(&format!("{engine:?}: {TIMES} kills, {} letters: {ends:?}", TIMES * LETTERS));
}

fn is_under_way(seen: &Value) -> bool {
    let status = last_step(seen)["status"].as_str().unwrap_or_default();
    ["queued", "sending"].contains(&status)
}

/// Asks for all at once: the id by address.
async fn create(gateway: &Gateway, time: usize) -> BTreeMap<String, String> {
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..LETTERS {
        let api = gateway.api().clone();
        let address = format!("{}{n:02}@corp.example", prefix(time));
        tasks.spawn(async move {
            let body = json!({"to": address, "channels": ["email"]});
            let made = api.post("/v1/verifications", &body).await.expect(201).json();
            (address, made["id"].as_str().expect("an id").to_owned())
        });
    }
    tasks.join_all().await.into_iter().collect()
}

/// Waits until so many letters of this time were given to the server.
async fn given(server: &MailServer, time: usize, count: usize) {
    let begin = std::time::Instant::now();
    let prefix = prefix(time);
    let of_time = || server.letters().iter().filter(|l| l.to.starts_with(&prefix)).count();
    while of_time() < count {
        assert!(begin.elapsed() < LIMIT, "{} of {count} letters", of_time());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn prefix(time: usize) -> String {
    format!("kill.{time:02}.user.")
}
