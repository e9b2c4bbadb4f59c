//! Texts over SMPP against a message centre that others wrote (the npm package `smpp`): it
//! throttles, refuses, breaks the connection in the middle, and its receipts come in decimal and
//! hexadecimal, late and twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use dozvon_tests::backend::{Backend, Posted};
use dozvon_tests::gateway::{Engine, Gateway, Setup, last_step};
use dozvon_tests::peers::{figure, long_form};
use dozvon_tests::smpp_centre::{Behaviour, Centre, End, Submit};
use serde_json::{Value, json};

/// How many texts are relayed, and to how many numbers a code goes among them.
const TEXTS: usize = 1_000;
const LONG_TEXTS: usize = 10_000;
const CODES: usize = 100;
/// Requests under way at one time.
const CLIENTS: usize = 32;
/// Codes that may be out when the connection breaks, once.
const INTERRUPTED_LIMIT: usize = 10;
/// From the last request to the last end.
const LIMIT: Duration = Duration::from_secs(120);
const LONG_LIMIT: Duration = Duration::from_secs(700);
const LINK: &str = "window = 50\nthroughput = 10000\nsender = \"EXAMPLE\"\n";

/// The number of a relayed text and of a code, as the wire has it.
fn relayed(n: usize) -> String {
    format!("79161{n:06}")
}

fn coded(n: usize) -> String {
    format!("79162{n:06}")
}

/// A text of one to four segments, in either alphabet; its number stands in it.
fn text(n: usize) -> String {
    let (letter, lengths) = match n % 2 {
        0 => ("a", [100, 200, 400, 600]),
        _ => ("ж", [50, 100, 180, 250]),
    };
    letter.repeat(lengths[n / 2 % 4])
}

/// What the centre makes of a number.
fn fate(to: &str) -> &'static str {
    match &to[to.len() - 2..] {
        "00" | "50" => "rejected",
        "25" => "failed",
        _ => "delivered",
    }
}

async fn post_all(gateway: &Gateway, texts: usize) -> (Vec<String>, Vec<String>) {
    let mut tasks = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let api = gateway.api().clone();
        tasks.spawn(async move {
            let (mut messages, mut codes) = (Vec::new(), Vec::new());
            for n in (client..texts).step_by(CLIENTS) {
                let body = json!({"to": format!("+{}", relayed(n)), "text": text(n)});
                let taken = api.post("/v1/messages", &body).await.expect(202).json();
                messages.push((n, taken["id"].as_str().expect("an id").to_owned()));
                let each = texts / CODES;
                if n % each == 0 {
                    let to = format!("+{}", coded(n / each));
                    let body = json!({"to": to, "channels": ["sms"], "purpose": "sign_in"});
                    let made = api.post("/v1/verifications", &body).await.expect(201).json();
                    codes.push((n / each, made["id"].as_str().expect("an id").to_owned()));
                }
            }
            (messages, codes)
        });
    }
    let (mut messages, mut codes) = (Vec::new(), Vec::new());
    for (some, more) in tasks.join_all().await {
        messages.extend(some);
        codes.extend(more);
    }
    messages.sort();
    codes.sort();
    let ids = |all: Vec<(usize, String)>| all.into_iter().map(|(_, id)| id).collect();
    (ids(messages), ids(codes))
}

/// How often each text was told to have ended.
fn ends(posted: &[Posted]) -> BTreeMap<String, Vec<String>> {
    let mut ends: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in posted.iter().map(Posted::event) {
        let id = event["data"]["id"].as_str().expect("an id").to_owned();
        let status = event["data"]["status"].as_str().expect("a status").to_owned();
        ends.entry(id).or_default().push(status);
    }
    ends
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_texts_end_in_one_state_each_whatever_the_centre_does() {
    let (texts, limit) = if long_form() { (LONG_TEXTS, LONG_LIMIT) } else { (TEXTS, LIMIT) };
    let cut_at = u32::try_from(texts).expect("it is small");
    let behaviour = Behaviour { throttle_each: 20, cut_at, ..Behaviour::default() };
    let Some(centre) = Centre::start(&behaviour).await else { return };
    let backend = Backend::listen().await;
    let events = backend.section("\"message.delivered\", \"message.failed\"");
    let setup = Setup::new(Engine::Sqlite).static_trunk("north", nowhere()).quiet();
    let gateway = Gateway::start(setup.with(&centre.section(LINK)).with(&events)).await;
    let begin = Instant::now();
    let (messages, codes) = post_all(&gateway, texts).await;
    let posted = begin.elapsed();
    let all_ended = |posted: &[Posted]| posted.len() >= texts;
    let told = backend.within(limit, all_ended).await;
    let (took, record) = (begin.elapsed(), centre.record());
    let told = match told {
        Ok(told) => ends(&told),
        Err(told) => panic!("{}", without_end(&gateway, &messages, &ends(&told), &record).await),
    };
    let states = each_text_has_its_end(&gateway, &messages, &told, &record).await;
    let steps = no_code_was_submitted_twice(&gateway, &codes, &record).await;
    let rate = texts as f64 / took.as_secs_f64();
    let parts = record.len();
    figure(&format!(
        "{texts} texts in {parts} submits over SMPP: taken by the API in {posted:.1?}, ended in \
         {took:.1?}, {rate:.0} texts/s (dev or suite profile, SQLite, one machine)"
    ));
    figure(&format!("texts by state: {states:?}; code steps by state: {steps:?}"));
}

/// Which texts were told no end, how they stand, and what the centre had of them.
async fn without_end(
    gateway: &Gateway,
    messages: &[String],
    told: &BTreeMap<String, Vec<String>>,
    record: &[Submit],
) -> String {
    let mut lines = Vec::new();
    for (n, id) in messages.iter().enumerate().filter(|(_, id)| !told.contains_key(*id)) {
        let submits = record.iter().filter(|submit| submit.to == relayed(n));
        let submits: Vec<_> = submits.map(|one| (one.place, one.id, one.end)).collect();
        lines.push(format!("{submits:?} {:#}", read(gateway, "messages", id).await));
    }
    format!("{} texts were told no end:\n{}", lines.len(), lines.join("\n"))
}

/// Compares the API, the webhooks and the centre's record for each relayed text.
async fn each_text_has_its_end(
    gateway: &Gateway,
    messages: &[String],
    told: &BTreeMap<String, Vec<String>>,
    record: &[Submit],
) -> BTreeMap<String, usize> {
    let mut states = BTreeMap::new();
    let mut by_number: BTreeMap<&str, Vec<&Submit>> = BTreeMap::new();
    for submit in record {
        by_number.entry(&submit.to).or_default().push(submit);
    }
    let mut duplicates = 0;
    for (n, id) in messages.iter().enumerate() {
        let (to, seen) = (relayed(n), read(gateway, "messages", id).await);
        let expected = fate(&to);
        assert_eq!(seen["status"], expected, "{seen:#}");
        assert_eq!(told[id], [expected], "{id} ended once");
        let submits = &by_number[to.as_str()];
        let total = submits[0].total;
        assert_eq!(seen["segments"], json!(total), "{seen:#}");
        let taken = submits.iter().filter(|submit| submit.end == End::Taken);
        let places: BTreeSet<u64> = taken.map(|submit| submit.place).collect();
        let arrived = if expected == "rejected" { 0 } else { total };
        assert_eq!(places.len() as u64, arrived, "each part was taken: {seen:#}");
        let was_cut = submits.iter().any(|submit| submit.end == End::Cut);
        assert!(seen["maybe_duplicate"] == true || !was_cut, "{seen:#}");
        duplicates += usize::from(seen["maybe_duplicate"] == true);
        *states.entry(expected.to_owned()).or_default() += 1;
    }
    states.insert("of them maybe_duplicate".to_owned(), duplicates);
    assert!(duplicates >= 1, "the connection was broken in the middle");
    states
}

async fn no_code_was_submitted_twice(
    gateway: &Gateway,
    codes: &[String],
    record: &[Submit],
) -> BTreeMap<String, usize> {
    let mut states = BTreeMap::new();
    for (n, id) in codes.iter().enumerate() {
        let submits: Vec<_> = record.iter().filter(|submit| submit.to == coded(n)).collect();
        assert!(submits.len() <= 1, "a code left {} times", submits.len());
        assert!(submits.iter().all(|submit| submit.receipt), "its receipt is asked for");
        let end = submits.first().map(|submit| submit.end);
        let is_final = |seen: &Value| {
            let status = last_step(seen)["status"].as_str().unwrap_or_default();
            match (end, fate(&coded(n))) {
                // Its answer may have been lost with the connection.
                (Some(End::Taken), fate) => status == fate || status == "interrupted",
                (Some(End::Rejected), _) => status == "rejected",
                (Some(End::Throttled), _) => status == "failed",
                (Some(End::Cut), _) => status == "interrupted",
                // It found no place on the way while the link was away.
                (None, _) => status == "failed",
            }
        };
        let seen = gateway.until(id, is_final).await;
        let status = last_step(&seen)["status"].as_str().expect("a status").to_owned();
        *states.entry(status).or_default() += 1;
    }
    let interrupted = states.get("interrupted").copied().unwrap_or_default();
    assert!(interrupted <= INTERRUPTED_LIMIT, "{states:?}");
    states
}

async fn read(gateway: &Gateway, kind: &str, id: &str) -> Value {
    gateway.api().get(&format!("/v1/{kind}/{id}")).await.expect(200).json()
}

/// A trunk that nobody calls over.
fn nowhere() -> std::net::SocketAddr {
    "127.0.0.1:9".parse().expect("an address")
}

#[tokio::test]
async fn a_code_over_tls_is_delivered_and_a_centre_of_another_authority_gets_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let certificate = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]);
    let certificate = certificate.expect("a certificate is made");
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]);
    let at = |name: &str| folder.path().join(name);
    let write = |name: &str, text: String| std::fs::write(at(name), text).expect("it is ours");
    write("cert.pem", certificate.cert.pem());
    write("key.pem", certificate.signing_key.serialize_pem());
    write("other.pem", other.expect("a certificate is made").cert.pem());
    let behaviour = Behaviour::default();
    let started = Centre::start_tls(&behaviour, &at("cert.pem"), &at("key.pem")).await;
    let Some(centre) = started else { return };
    let trusting = |name: &str| centre.section(&format!("ca = \"{}\"", at(name).display()));
    let setup = || Setup::new(Engine::Sqlite).static_trunk("north", nowhere());

    let gateway = Gateway::start(setup().with(&trusting("cert.pem"))).await;
    let body = json!({"to": "+79161000001", "channels": ["sms"], "purpose": "sign_in"});
    let made = gateway.api().post("/v1/verifications", &body).await.expect(201).json();
    let id = made["id"].as_str().expect("an id");
    gateway.until(id, |seen| last_step(seen)["status"] == "delivered").await;
    let record = centre.record();
    let code: String = record[0].text.chars().filter(char::is_ascii_digit).collect();
    assert_eq!(gateway.check(id, &code).await.expect(200).json()["valid"], true);

    let stranger = Gateway::start(setup().with(&trusting("other.pem"))).await;
    let made = stranger.api().post("/v1/verifications", &body).await.expect(201).json();
    let id = made["id"].as_str().expect("an id");
    stranger.until(id, |seen| last_step(seen)["status"] == "failed").await;
    assert_eq!(centre.record().len(), 1, "nothing reached it");
}
