//! kill -9 while texts leave: a relayed one leaves at least once and is marked when it may have left
//! twice, a code at most once, and each comes to its end.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dozvon_tests::capture::{Captured, requests};
use dozvon_tests::gateway::{Engine, Gateway, Setup, last_step};
use dozvon_tests::peers::figure;
use dozvon_tests::phones::{Phones, user};
use dozvon_tests::smpp_centre::{Behaviour, Centre, End};
use serde_json::{Value, json};

const TIMES: usize = 20;
/// Of each kind, in each life of the daemon.
const TEXTS: usize = 10;
/// So many have left when it is killed.
const UNDER_WAY: usize = 6;
const LIMIT: Duration = Duration::from_secs(60);
/// How long each answer takes: so long that a kill comes before it.
const DELAY: Duration = Duration::from_millis(1_500);

/// What one life of the daemon was asked for: number and id.
#[derive(Default)]
struct Asked {
    texts: Vec<(String, String)>,
    codes: Vec<(String, String)>,
}

/// Asks for texts and codes at once. What is answered with 503 is promised nothing.
fn ask(gateway: &Gateway, time: usize) -> tokio::task::JoinSet<Option<(bool, String, String)>> {
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..TEXTS * 2 {
        let (api, is_code) = (gateway.api().clone(), n % 2 == 0);
        let number = format!("+7916{}{time:02}{n:02}51", if is_code { 7 } else { 8 });
        tasks.spawn(async move {
            let (path, body) = match is_code {
                true => ("/v1/verifications", json!({"to": number, "channels": ["sms"]})),
                false => ("/v1/messages", json!({"to": number, "text": "Hello"})),
            };
            let answer = api.post(path, &body).await;
            if answer.status == 503 {
                return None;
            }
            let answer = answer.json();
            let id = answer["id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
            Some((is_code, number, id))
        });
    }
    tasks
}

async fn asked(tasks: tokio::task::JoinSet<Option<(bool, String, String)>>) -> Asked {
    let mut asked = Asked::default();
    for (is_code, number, id) in tasks.join_all().await.into_iter().flatten() {
        if is_code { &mut asked.codes } else { &mut asked.texts }.push((number, id));
    }
    asked
}

/// Reads a text, waiting for changes, until its status is one of `ends`.
async fn until_ended(gateway: &Gateway, id: &str, ends: &[&str]) -> Value {
    let begin = Instant::now();
    let mut path = format!("/v1/messages/{id}");
    loop {
        let seen = gateway.api().get(&path).await.expect(200).json();
        if seen["status"].as_str().is_some_and(|status| ends.contains(&status)) {
            return seen;
        }
        assert!(begin.elapsed() < LIMIT, "{seen:#}");
        path = format!("/v1/messages/{id}?wait=5&after={}", seen["version"]);
    }
}

/// The end of each code's step, and how often its text left.
async fn codes_end(
    gateway: &Gateway,
    codes: &[(String, String)],
    left: impl Fn(&str) -> usize,
) -> usize {
    let mut interrupted = 0;
    for (number, id) in codes {
        let is_at_its_end = |seen: &Value| {
            let status = last_step(seen)["status"].as_str().unwrap_or_default();
            ["sent", "delivered", "interrupted", "failed"].contains(&status)
        };
        let seen = gateway.until(id, is_at_its_end).await;
        assert!(left(number) <= 1, "a code left twice: {seen:#}");
        interrupted += usize::from(last_step(&seen)["status"] == "interrupted");
    }
    interrupted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_texts_leave_over_smpp_each_ends_and_no_code_leaves_twice() {
    let behaviour = Behaviour { delay: DELAY, ..Behaviour::default() };
    let Some(centre) = Centre::start(&behaviour).await else { return };
    let section = centre.section("window = 20\nthroughput = 200\n");
    let setup = Setup::new(Engine::Sqlite).static_trunk("north", nowhere()).with(&section);
    let mut gateway = Gateway::start(setup).await;
    let (mut lives, mut duplicates, mut interrupted) = (Vec::new(), 0, 0);
    for time in 0..TIMES {
        let before = centre.record().len();
        let life = asked(ask(&gateway, time)).await;
        let under_way = before + UNDER_WAY.min(life.texts.len() + life.codes.len());
        lives.push(life);
        wait_for(|| centre.record().len() >= under_way).await;
        gateway.kill().await;
        gateway.start_again().await;
    }
    for Asked { texts, codes } in &lives {
        let left = |number: &str| {
            let record = centre.record();
            record.iter().filter(|submit| format!("+{}", submit.to) == number).count()
        };
        for (number, id) in texts {
            let seen = until_ended(&gateway, id, &["delivered"]).await;
            let record = centre.record();
            let own = record.iter().filter(|submit| format!("+{}", submit.to) == *number);
            assert!(own.clone().any(|submit| submit.end == End::Taken), "{seen:#}");
            let is_marked = seen["maybe_duplicate"] == true;
            assert!(is_marked || own.count() == 1, "it left twice and is not marked: {seen:#}");
            duplicates += usize::from(is_marked);
        }
        interrupted += codes_end(&gateway, codes, left).await;
    }
    let counts = |of: fn(&Asked) -> usize| lives.iter().map(of).sum::<usize>();
    let (texts, codes) = (counts(|life| life.texts.len()), counts(|life| life.codes.len()));
    figure(&format!(
        "SMPP: {TIMES} kills; {texts} texts delivered, {duplicates} of them marked; {codes} codes, \
         {interrupted} of them interrupted, none left twice"
    ));
    assert!(duplicates > 0 && interrupted > 0, "no kill came in the middle");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_texts_leave_over_sip_each_ends_and_no_code_leaves_twice() {
    let phones = Phones::slow(DELAY).await;
    let setup = Setup::new(Engine::Sqlite).static_trunk("north", phones.address());
    let mut gateway = Gateway::start(setup).await;
    let (mut lives, mut duplicates, mut interrupted) = (Vec::new(), 0, 0);
    for time in 0..TIMES {
        let before = requests(&phones.messages(), "MESSAGE").len();
        let life = asked(ask(&gateway, time)).await;
        let least = before + UNDER_WAY.min(life.texts.len() + life.codes.len());
        lives.push(life);
        let under_way = |messages: &[Captured]| requests(messages, "MESSAGE").len() >= least;
        phones.until(LIMIT, "texts under way", under_way).await;
        gateway.kill().await;
        gateway.start_again().await;
    }
    for Asked { texts, codes } in &lives {
        // A repeat of the same request has the same branch.
        let left = |number: &str| {
            let messages = phones.messages();
            let own = requests(&messages, "MESSAGE").into_iter();
            let own = own.filter(|message| user(message, "To") == number);
            own.filter_map(|message| message.header("Via")).collect::<BTreeSet<_>>().len()
        };
        for (number, id) in texts {
            let seen = until_ended(&gateway, id, &["sent"]).await;
            assert!(left(number) >= 1, "{seen:#}");
            let is_marked = seen["maybe_duplicate"] == true;
            assert!(is_marked || left(number) == 1, "it left twice and is not marked: {seen:#}");
            duplicates += usize::from(is_marked);
        }
        interrupted += codes_end(&gateway, codes, left).await;
    }
    let counts = |of: fn(&Asked) -> usize| lives.iter().map(of).sum::<usize>();
    let (texts, codes) = (counts(|life| life.texts.len()), counts(|life| life.codes.len()));
    figure(&format!(
        "SIP: {TIMES} kills; {texts} texts sent, {duplicates} of them marked; {codes} codes, \
         {interrupted} of them interrupted, none left twice"
    ));
    assert!(duplicates > 0 && interrupted > 0, "no kill came in the middle");
}

async fn wait_for(condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < LIMIT, "it did not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A trunk that nobody calls over.
fn nowhere() -> SocketAddr {
    "127.0.0.1:9".parse().expect("an address")
}
