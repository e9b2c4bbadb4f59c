//! Letters to mail servers that others wrote: aiosmtpd, which fails where a test wants it to, and
//! OpenSMTPD. Nothing is lost, and no code leaves twice.

use std::time::Duration;

use dozvon_tests::gateway::{Engine, Gateway, Setup, last_step};
use dozvon_tests::mail_server::{Certificate, Door, Letter, MailServer, PASSWORD, USER, code_in};
use dozvon_tests::opensmtpd::{self, Mailboxes, OpenSmtpd};
use dozvon_tests::peers::{Peer, figure, lacking};
use dozvon_tests::ports::Port;
use serde_json::{Value, json};

/// Two retries come after 1 and 3 s, and some room.
const LIMIT: Duration = Duration::from_secs(30);
/// Retries of a server that is away for long: after 1, 3, 10 and 20 s.
const LONG_LIMIT: Duration = Duration::from_secs(90);
/// Letters at once.
const MANY: usize = 50;

/// A daemon whose letters go to `port`. No call is placed, so its trunk is a port without a peer.
async fn gateway(port: &Port, door: Door<'_>) -> Gateway {
    let nobody = Port::reserve();
    let setup = Setup::new(Engine::Sqlite).static_trunk("north", nobody.address());
    Gateway::start(setup.with(&door.section(port)).password("mail", PASSWORD)).await
}

async fn verify(gateway: &Gateway, address: &str) -> String {
    let body = json!({"to": address, "channels": ["email"], "locale": "ru"});
    let made = gateway.api().post("/v1/verifications", &body).await.expect(201).json();
    made["id"].as_str().expect("an id").to_owned()
}

/// The verification once its step is where it stays.
async fn step_ended(gateway: &Gateway, id: &str) -> Value {
    let waits = |seen: &Value| {
        ["queued", "sending"].contains(&last_step(seen)["status"].as_str().unwrap_or_default())
    };
    gateway.until(id, |seen| !waits(seen)).await
}

async fn approves(gateway: &Gateway, id: &str, code: &str) {
    let answer = gateway.check(id, code).await.expect(200).json();
    assert_eq!(answer["status"], "approved", "{answer:#}");
}

#[tokio::test]
async fn each_fault_of_the_server_ends_as_what_it_is_and_no_code_leaves_twice() {
    if lacking(&[Peer::Aiosmtpd]) {
        return;
    }
    let port = Port::reserve();
    let server = MailServer::start(&port, Door::Open).await;
    let gateway = gateway(&port, Door::Open).await;
    // Address, the step's end with its detail, how often the content was given, how often taken.
    let cases = [
        ("ivan@corp.example", "sent", "smtp_250", 1, 1),
        ("later-2.ivan@corp.example", "sent", "smtp_250", 1, 1),
        ("vanish-1.ivan@corp.example", "sent", "smtp_250", 1, 1),
        ("full-1.ivan@corp.example", "sent", "smtp_250", 2, 1),
        ("refused-9.ivan@corp.example", "rejected", "smtp_550", 0, 0),
        ("spam-9.ivan@corp.example", "rejected", "smtp_554", 1, 0),
        ("lost-9.ivan@corp.example", "interrupted", "no_answer", 1, 0),
    ];
    let mut ids = Vec::new();
    for (address, ..) in cases {
        ids.push(verify(&gateway, address).await);
    }
    for ((address, status, detail, given, taken), id) in cases.into_iter().zip(&ids) {
        let seen = step_ended(&gateway, id).await;
        let step = last_step(&seen);
        assert_eq!(
            (&step["status"], &step["detail"]),
            (&json!(status), &json!(detail)),
            "{address}"
        );
        let letters = server.letters_to(address);
        assert_eq!(letters.len(), given, "{address}: {letters:?}");
        assert_eq!(letters.iter().filter(|l| l.is_taken).count(), taken, "{address}: {letters:?}");
        assert_eq!(seen["status"], if status == "rejected" { "failed" } else { "pending" });
        let refused = server.told("refused");
        let refused = refused.iter().filter(|line| line["to"] == address).count();
        let expected = match address.split_once('.') {
            Some(("later-2", _)) => 2,
            Some(("vanish-1" | "refused-9", _)) => 1,
            _ => 0,
        };
        assert_eq!(refused, expected, "offers of {address} that were refused");
    }
    // What was lost was given once, whatever happens later, and its code counts.
    for (address, id) in [(cases[6].0, &ids[6]), (cases[3].0, &ids[3]), (cases[1].0, &ids[1])] {
        let letters = server.letters_to(address);
        let codes: Vec<&str> = letters.iter().map(Letter::code).collect();
        assert!(codes.iter().all(|code| code == &codes[0]), "one code: {codes:?}");
        assert!(letters.iter().all(|letter| letter.id == letters[0].id), "one Message-ID");
        approves(&gateway, id, codes[0]).await;
    }
    assert_eq!(server.letters_to(cases[6].0).len(), 1);
}

#[tokio::test]
async fn what_the_user_asks_for_again_is_the_same_code_in_another_letter() {
    if lacking(&[Peer::Aiosmtpd]) {
        return;
    }
    let port = Port::reserve();
    let server = MailServer::start(&port, Door::Open).await;
    let gateway = gateway(&port, Door::Open).await;
    let address = "lost-1.olga@corp.example";
    let id = verify(&gateway, address).await;
    let seen = step_ended(&gateway, &id).await;
    assert_eq!(last_step(&seen)["status"], "interrupted", "{seen:#}");
    let path = format!("/v1/verifications/{id}/resend");
    let _ = gateway.api().post(&path, &json!({})).await.expect(200);
    let letters = server.until(LIMIT, address, |letters| letters.len() == 2).await;
    assert_eq!(letters[0].code(), letters[1].code());
    assert_ne!(letters[0].id, letters[1].id, "the user asked for another letter");
    assert!(letters[1].is_taken && letters[1].subject == "Код подтверждения", "{letters:?}");
    gateway.until(&id, |seen| last_step(seen)["status"] == "sent").await;
    approves(&gateway, &id, letters[0].code()).await;
}

#[tokio::test]
async fn a_server_that_is_away_gets_every_letter_once_when_it_is_back() {
    if lacking(&[Peer::Aiosmtpd]) {
        return;
    }
    let port = Port::reserve();
    let gateway = gateway(&port, Door::Open).await;
    let early = verify(&gateway, "early@corp.example").await;
    tries(&gateway, 2).await;
    let server = MailServer::start(&port, Door::Open).await;
    let letters = server.until(LIMIT, "early@corp.example", |letters| letters.len() == 1).await;
    gateway.until(&early, |seen| last_step(seen)["status"] == "sent").await;
    approves(&gateway, &early, letters[0].code()).await;
    // Away again, with the connection that rested.
    server.kill().await;
    let before = tried(&gateway);
    let late = verify(&gateway, "late@corp.example").await;
    tries(&gateway, before + 1).await;
    let server = MailServer::start(&port, Door::Open).await;
    let letters = server.until(LIMIT, "late@corp.example", |letters| letters.len() == 1).await;
    gateway.until(&late, |seen| last_step(seen)["status"] == "sent").await;
    approves(&gateway, &late, letters[0].code()).await;
    assert_eq!(server.letters().len(), 1, "what was sent before is not sent again");
}

/// How often the daemon says that a letter was not taken yet.
fn tried(gateway: &Gateway) -> usize {
    gateway.log().iter().filter(|line| line.contains("a mail was not taken yet")).count()
}

async fn tries(gateway: &Gateway, count: usize) {
    let begin = std::time::Instant::now();
    while tried(gateway) < count {
        assert!(begin.elapsed() < LIMIT, "{} of {count} tries", tried(gateway));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn letters_leave_encrypted_and_after_a_login_either_way() {
    if lacking(&[Peer::Aiosmtpd]) {
        return;
    }
    let certificate = Certificate::for_localhost();
    for door in [Door::StartTls(&certificate), Door::Wrapped(&certificate)] {
        let port = Port::reserve();
        let server = MailServer::start(&port, door).await;
        let gateway = gateway(&port, door).await;
        let id = verify(&gateway, "ivan@corp.example").await;
        let seen = step_ended(&gateway, &id).await;
        assert_eq!(last_step(&seen)["status"], "sent", "{door:?}: {seen:#}");
        let letters = server.letters();
        assert_eq!(letters.len(), 1, "{door:?}");
        assert!(letters[0].is_secure, "{door:?}");
        assert_eq!(letters[0].user.as_deref(), Some(USER), "{door:?}");
        approves(&gateway, &id, letters[0].code()).await;
    }
}

#[tokio::test]
async fn a_wrong_password_or_certificate_gives_nothing_away() {
    if lacking(&[Peer::Aiosmtpd]) {
        return;
    }
    let (right, other) = (Certificate::for_localhost(), Certificate::for_localhost());
    for (door, password) in [
        (Door::StartTls(&right), "not-the-password"),
        (Door::StartTls(&other), PASSWORD),
        (Door::Wrapped(&other), PASSWORD),
    ] {
        let port = Port::reserve();
        let shown = match door {
            Door::Wrapped(_) => Door::Wrapped(&right),
            _ => Door::StartTls(&right),
        };
        let server = MailServer::start(&port, shown).await;
        let nobody = Port::reserve();
        let setup = Setup::new(Engine::Sqlite).static_trunk("north", nobody.address());
        let setup = setup.with(&door.section(&port)).password("mail", password);
        let gateway = Gateway::start(setup).await;
        let id = verify(&gateway, "ivan@corp.example").await;
        tries(&gateway, 2).await;
        let seen = gateway.api().get(&format!("/v1/verifications/{id}")).await.expect(200).json();
        assert_eq!(last_step(&seen)["status"], "queued", "{door:?}: {seen:#}");
        assert!(server.letters().is_empty(), "{door:?}");
        let logins = server.told("login");
        assert_eq!(logins.is_empty(), password == PASSWORD, "{door:?}: {logins:?}");
        assert!(logins.iter().all(|login| login["right"] == false), "{door:?}: {logins:?}");
    }
}

#[tokio::test]
async fn opensmtpd_delivers_fifty_letters_at_once_each_to_its_mailbox() {
    if opensmtpd::cannot_run() {
        return;
    }
    let (port, mailboxes) = (Port::reserve(), Mailboxes::empty());
    let server = OpenSmtpd::start(&port, &mailboxes, false).await;
    let gateway = gateway(&port, Door::Open).await;
    let begin = std::time::Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..MANY {
        let api = gateway.api().clone();
        tasks.spawn(async move {
            let address = format!("user.{n:02}@corp.example");
            let body = json!({"to": address, "channels": ["email"]});
            let made = api.post("/v1/verifications", &body).await.expect(201).json();
            (address, made["id"].as_str().expect("an id").to_owned())
        });
    }
    let made = tasks.join_all().await;
    let letters = mailboxes.until(LIMIT, MANY).await;
    let took = begin.elapsed();
    for (address, id) in &made {
        gateway.until(id, |seen| last_step(seen)["status"] == "sent").await;
        let its: Vec<_> = letters.iter().filter(|letter| letter.to == *address).collect();
        assert_eq!(its.len(), 1, "{address}");
        approves(&gateway, id, code_in(&its[0].letter.text)).await;
    }
    assert_eq!(mailboxes.letters().len(), MANY);
    figure(&format!("{MANY} letters from the API to OpenSMTPD's mailboxes in {took:?}"));
    let stranger = verify(&gateway, "ivan@elsewhere.example").await;
    let seen = step_ended(&gateway, &stranger).await;
    let step = last_step(&seen);
    assert_eq!(
        (&step["status"], &step["detail"]),
        (&json!("rejected"), &json!("smtp_550")),
        "{seen:#}{}",
        server.log().join("\n")
    );
}

#[tokio::test]
async fn opensmtpd_that_is_away_and_then_greylists_loses_nothing() {
    if opensmtpd::cannot_run() {
        return;
    }
    let (port, mailboxes) = (Port::reserve(), Mailboxes::empty());
    let gateway = gateway(&port, Door::Open).await;
    let id = verify(&gateway, "ivan@corp.example").await;
    tries(&gateway, 1).await;
    let strict = OpenSmtpd::start(&port, &mailboxes, true).await;
    let greylisted = async {
        while !gateway.log().iter().any(|line| line.contains("smtp_451")) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, greylisted).await.expect("the 451 is told");
    assert!(mailboxes.letters().is_empty());
    strict.kill().await;
    let _server = OpenSmtpd::start(&port, &mailboxes, false).await;
    let letters = mailboxes.until(LONG_LIMIT, 1).await;
    gateway.until(&id, |seen| last_step(seen)["status"] == "sent").await;
    approves(&gateway, &id, code_in(&letters[0].letter.text)).await;
    assert_eq!(mailboxes.letters().len(), 1);
}
