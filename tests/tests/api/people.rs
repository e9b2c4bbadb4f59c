//! People who sign in, told by nothing but HTTP, against `dozvon carrier`: the field app where
//! they choose a call, a text or a letter, and an office where nobody has a password.

use std::net::SocketAddr;
use std::time::Duration;

use dozvon_tests::gateway::{Engine, Gateway, Setup, binary};
use dozvon_tests::mail_server::Door;
use dozvon_tests::ports::Port;
use dozvon_tests::process::Process;
use serde_json::{Value, json};

use crate::cannot_run;

const LIMIT: Duration = Duration::from_secs(20);

/// The simulated carrier, whose handsets and mailboxes tell what they show.
pub(crate) struct Carrier {
    process: Process,
    port: Port,
    pub(crate) mail: Port,
}

impl Carrier {
    pub(crate) async fn start() -> Self {
        let (port, mail) = (Port::reserve(), Port::reserve());
        let (address, mailboxes) = (port.address().to_string(), mail.address().to_string());
        let args = ["carrier", "--no-challenge", "--listen", &address, "--mail", &mailboxes];
        let process = Process::start(binary(), args, |_| {});
        process.line_with("\"listening\"", LIMIT).await;
        process.line_with("\"mail_listening\"", LIMIT).await;
        Self { process, port, mail }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// What a handset shows of the first text that it gets.
    pub(crate) async fn text(&self, number: &str) -> String {
        self.told("text", ("called", number), "text").await
    }

    /// The number that a handset shows when it is called.
    pub(crate) async fn caller(&self, number: &str) -> String {
        self.told("invited", ("called", number), "caller_id").await
    }

    /// What the first letter to a mailbox says.
    pub(crate) async fn letter(&self, mailbox: &str) -> String {
        self.told("letter", ("to", mailbox), "text").await
    }

    /// How many letters were given to the mail server.
    pub(crate) fn letters(&self) -> usize {
        self.process.output().iter().filter(|line| line.contains("\"event\":\"letter\"")).count()
    }

    async fn told(&self, event: &str, (whom, who): (&str, &str), field: &str) -> String {
        let who = who.trim_start_matches('+');
        let is_it = |report: &Value| {
            let its = report[whom].as_str().unwrap_or_default();
            report["event"] == event && its.trim_start_matches('+') == who
        };
        let begin = std::time::Instant::now();
        loop {
            let reports = self.process.output();
            let mut reports = reports.iter().filter_map(|line| serde_json::from_str(line).ok());
            if let Some(found) = reports.find(is_it) {
                return found[field].as_str().unwrap_or_default().to_owned();
            }
            let lines = self.process.output().join("\n");
            assert!(begin.elapsed() < LIMIT, "no {event} for {who}:\n{lines}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The six digits of a text.
pub(crate) fn code_of(text: &str) -> String {
    let mut parts = text.split(|character: char| !character.is_ascii_digit());
    parts.find(|part| part.len() == 6).unwrap_or_else(|| panic!("no code: {text}")).to_owned()
}

async fn stage(engine: Engine) -> (Gateway, Carrier) {
    let carrier = Carrier::start().await;
    let setup = Setup::new(engine).static_trunk("north", carrier.address());
    let setup = setup.with(&Door::Open.section(&carrier.mail));
    (Gateway::start(setup).await, carrier)
}

async fn add(gateway: &Gateway, user: Value) {
    let added = gateway.api().post("/v1/directory/users", &user).await;
    assert_eq!(added.status, 201, "{}", added.text());
}

async fn sign_in(gateway: &Gateway, identifier: &str) -> Value {
    let body = json!({"identifier": identifier});
    gateway.api().post("/v1/sign-ins", &body).await.expect(201).json()
}

async fn status_of(gateway: &Gateway, sign_in: &Value) -> Value {
    let id = sign_in["id"].as_str().expect("a text");
    gateway.api().get(&format!("/v1/sign-ins/{id}")).await.expect(200).json()["status"].clone()
}

async fn choose(gateway: &Gateway, sign_in: &Value, channel: &str) -> String {
    let body = json!({"to": sign_in["id"], "channels": [channel], "locale": "ru"});
    let made = gateway.api().post("/v1/verifications", &body).await.expect(201).json();
    made["id"].as_str().expect("a text").to_owned()
}

async fn field_app(engine: Engine) {
    if cannot_run(engine) {
        return;
    }
    let (gateway, carrier) = stage(engine).await;
    let (called, texted) = ("+79164100001", "+79164200001");
    add(&gateway, json!({"name": "Бригада 1", "phone": called})).await;
    add(&gateway, json!({"name": "Бригада 2", "phone": texted})).await;

    let unknown = json!({"identifier": "+79164300001"});
    let told = gateway.api().post("/v1/sign-ins", &unknown).await.expect(404).json();
    assert_eq!(told["code"], "user-not-registered");

    let first = sign_in(&gateway, called).await;
    let offered: Vec<_> = first["channels"].as_array().expect("a list").iter().collect();
    for channel in ["flash_call", "sms"] {
        assert!(offered.iter().any(|choice| choice["channel"] == channel), "{first}");
    }
    assert!(!first.to_string().contains(&called[1..]), "masked: {first}");
    let id = choose(&gateway, &first, "flash_call").await;
    let shown = carrier.caller(called).await;
    gateway.until(&id, |seen| seen["steps"][0]["status"] == "rang").await;
    let checked = gateway.check(&id, &shown).await.expect(200).json();
    assert_eq!(checked["valid"], true);
    assert_eq!(status_of(&gateway, &first).await, "completed");

    let second = sign_in(&gateway, texted).await;
    let id = choose(&gateway, &second, "sms").await;
    let code = code_of(&carrier.text(texted).await);
    gateway.until(&id, |seen| seen["steps"][0]["status"] == "sent").await;
    assert_eq!(gateway.check(&id, "000000").await.expect(200).json()["valid"], code == "000000");
    assert_eq!(gateway.check(&id, &code).await.expect(200).json()["status"], "approved");
    assert_eq!(status_of(&gateway, &second).await, "completed");

    by_letter(&gateway, &carrier).await;
}

/// Somebody without a phone in reach chooses e-mail; a mailbox that nobody has is told so.
async fn by_letter(gateway: &Gateway, carrier: &Carrier) {
    let mailbox = "brigada3@field.example";
    add(gateway, json!({"name": "Бригада 3", "phone": "+79164200003", "email": mailbox})).await;
    let unknown = json!({"identifier": "nobody.here@field.example"});
    let told = gateway.api().post("/v1/sign-ins", &unknown).await.expect(404).json();
    assert_eq!(told["code"], "user-not-registered");
    for identifier in [mailbox, "+7 (916) 420-00-03"] {
        let begun = sign_in(gateway, identifier).await;
        let choices = begun["channels"].as_array().expect("a list");
        let choice = choices.iter().find(|choice| choice["channel"] == "email");
        let choice = choice.unwrap_or_else(|| panic!("no e-mail: {begun}"));
        assert_eq!(choice["to"], "b***@field.example", "masked");
    }
    let begun = sign_in(gateway, "Brigada3@field.example").await;
    let id = choose(gateway, &begun, "email").await;
    let code = code_of(&carrier.letter(mailbox).await);
    gateway.until(&id, |seen| seen["steps"][0]["status"] == "sent").await;
    assert_eq!(gateway.check(&id, "000000").await.expect(200).json()["valid"], code == "000000");
    assert_eq!(gateway.check(&id, &code).await.expect(200).json()["status"], "approved");
    assert_eq!(status_of(gateway, &begun).await, "completed");
}

async fn office(engine: Engine) {
    if cannot_run(engine) {
        return;
    }
    let (gateway, carrier) = stage(engine).await;
    let phone = "+79164400001";
    add(&gateway, json!({"name": "Иван", "login": "ivan", "phone": phone, "extension": "101"}))
        .await;
    let begun = sign_in(&gateway, "Ivan").await;
    let id = choose(&gateway, &begun, "flash_call").await;
    carrier.caller(phone).await;
    gateway.until(&id, |seen| seen["steps"][0]["status"] == "rang").await;
    // The phone lies in another room: its owner reads texts at the desk.
    let path = format!("/v1/verifications/{id}/switch");
    let no = gateway.api().post(&path, &json!({"channel": "sms"})).await;
    assert_eq!(no.json()["code"], "channel-not-available", "it was made for a call alone");
    let body =
        json!({"to": begun["id"], "channels": ["flash_call", "sms"], "client": {"session": "s"}});
    let made = gateway.api().post("/v1/verifications", &body).await.expect(201).json();
    let id = made["id"].as_str().expect("a text");
    gateway.until(id, |seen| seen["next"]["channel"] == "sms").await;
    let path = format!("/v1/verifications/{id}/switch");
    let switched = gateway.api().post(&path, &json!({"channel": "sms"})).await.expect(200).json();
    assert_eq!(
        (&switched["steps"][1]["channel"], &switched["next"]),
        (&json!("sms"), &json!(null))
    );
    let code = code_of(&carrier.text(phone).await);
    assert_eq!(gateway.check(id, &code).await.expect(200).json()["valid"], true);
    assert_eq!(status_of(&gateway, &begun).await, "completed");
    let again = gateway.api().post("/v1/verifications", &json!({"to": begun["id"]})).await;
    assert_eq!(again.expect(409).json()["code"], "sign-in-ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_field_app_offers_a_call_a_text_or_a_letter_on_sqlite() {
    field_app(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_field_app_offers_a_call_a_text_or_a_letter_on_postgres() {
    field_app(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_employee_signs_in_without_a_password() {
    office(Engine::Sqlite).await;
}
