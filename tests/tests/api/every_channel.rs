//! Every channel is used, with a log of everything and events told to a backend: codes, numbers,
//! mailboxes and words are then searched for wherever the daemon writes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use dozvon_tests::backend::{Backend, Posted};
use dozvon_tests::canary::Canary;
use dozvon_tests::gateway::{Engine, Gateway, Setup, code_of, last_step};
use dozvon_tests::mail_server::Door;
use dozvon_tests::smpp_centre::{Behaviour, Centre};
use serde_json::{Value, json};
use tokio::net::UdpSocket;

use crate::canary::look;
use crate::cannot_run;
use crate::people::Carrier;

const LIMIT: Duration = Duration::from_secs(30);
const MAILBOX: &str = "ivan.petrov.canary@corp.example";
/// Of the written and spoken codes: so long that none is met by chance.
const CODES: [&str; 3] = ["8675309421", "7193846205", "6402957318"];
const CALLER: &str = "+79167000005";
const RELAYED: &str = "The canary of the relayed text sings";
const RECEIVED: &str = "The canary of the text from outside sings";
const OURS: &str = "cli_trusted = true\n[accounts.default]\npools = [\"all\"]\n\
    default_region = \"RU\"\ninbound_numbers = [\"+74951250000-+74951250009\"]\n\
    [purposes.sign_up]\nworkflow = [\"incoming_call\"]\n";

struct Stage {
    carrier: Carrier,
    /// Where people call and write from.
    outside: UdpSocket,
    backend: Backend,
    /// `None`: texts go to the carrier by SIP.
    centre: Option<Centre>,
    gateway: Gateway,
    /// What may stand nowhere.
    secrets: Canary,
    /// What may stand in no reply and in no event.
    codes: Canary,
}

impl Stage {
    async fn set(engine: Engine) -> Self {
        let carrier = Carrier::start().await;
        let outside = UdpSocket::bind("127.0.0.1:0").await.expect("a port is free");
        let backend = Backend::listen().await;
        // One of the two engines has its texts go over SMPP, where that is to be had.
        let centre = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Centre::start(&Behaviour::default()).await,
        };
        let texts = match &centre {
            Some(centre) => centre.section(""),
            None => "\n[sms]\ndefault = \"north\"\n".to_owned(),
        };
        let setup = Setup::new(engine)
            .static_trunk("north", carrier.address())
            // Both stand at one address, so the word of both counts.
            .with("cli_trusted = true\n")
            .static_trunk("outside", outside.local_addr().expect("it is bound"))
            .with(OURS)
            .with(&texts)
            .with(&Door::Open.section(&carrier.mail))
            .with(&backend.section("\"*\", \"trunk.*\""));
        let gateway = Gateway::start(setup).await;
        let mut secrets = Canary::of_all_tests();
        for secret in [MAILBOX, RELAYED, RECEIVED] {
            secrets.add(secret);
        }
        let mut codes = Canary::default();
        for code in CODES {
            secrets.add(code);
            codes.add(code);
        }
        Self { carrier, outside, backend, centre, gateway, secrets, codes }
    }

    async fn create(&self, body: Value) -> Value {
        let made = self.gateway.api().post("/v1/verifications", &body).await.expect(201);
        assert_eq!(self.codes.hits("reply", &made.body), Vec::<String>::new());
        made.json()
    }

    /// Waits for a step that shows its code, tries a wrong one and the right one.
    async fn prove(&self, made: &Value, code: &str) {
        let id = made["id"].as_str().expect("an id");
        let shown = ["rang", "answered", "sent", "delivered"];
        let is_shown = |seen: &Value| {
            let status = last_step(seen)["status"].as_str().unwrap_or_default();
            shown.contains(&status)
        };
        let seen = self.gateway.until(id, is_shown).await;
        assert_eq!(self.codes.hits("reply", seen.to_string().as_bytes()), Vec::<String>::new());
        let wrong: String =
            code.chars().map(|digit| if digit == '9' { '0' } else { '9' }).collect();
        let answer = self.gateway.check(id, &wrong).await.expect(200);
        assert_eq!(answer.json()["valid"], false);
        let answer = self.gateway.check(id, code).await.expect(200);
        assert_eq!(answer.json()["valid"], true, "{}", answer.text());
        assert_eq!(self.codes.hits("reply", &answer.body), Vec::<String>::new());
    }

    async fn flash_call(&mut self) {
        let made = self.gateway.verify("+79167000001").await;
        let shown = self.carrier.caller("+79167000001").await;
        for canary in [&mut self.secrets, &mut self.codes] {
            canary.add_number(&shown);
            canary.add(code_of(&shown));
        }
        self.prove(&made, code_of(&shown)).await;
    }

    async fn written_and_spoken(&self) {
        let [text, spoken, letter] = CODES;
        for (to, channel, code) in [
            ("+79167000002", "sms", text),
            ("+79167000095", "voice", spoken),
            (MAILBOX, "email", letter),
        ] {
            let made = self.create(json!({"to": to, "channels": [channel], "code": code})).await;
            self.prove(&made, code).await;
        }
        let text_left = match &self.centre {
            Some(centre) => centre.record().iter().any(|submit| submit.text.contains(text)),
            None => self.carrier.text("+79167000002").await.contains(text),
        };
        assert!(text_left && self.carrier.letter(MAILBOX).await.contains(letter));
    }

    async fn incoming(&self) {
        let body = json!({"to": CALLER, "purpose": "sign_up", "channels": ["incoming_call"]});
        let made = self.create(body).await;
        let number = made["incoming_call"]["number"].as_str().expect("a number");
        self.send(&request("INVITE", number, self.local(), None)).await;
        let id = made["id"].as_str().expect("an id");
        self.gateway.until(id, |seen| seen["status"] == "approved").await;
    }

    async fn texts(&self) {
        let body = json!({"to": "+79167000003", "text": RELAYED});
        let _ = self.gateway.api().post("/v1/messages", &body).await.expect(202);
        self.send(&request("MESSAGE", "+74951250007", self.local(), Some(RECEIVED))).await;
    }

    fn local(&self) -> SocketAddr {
        self.outside.local_addr().expect("it is bound")
    }

    async fn send(&self, request: &str) {
        let sent = self.outside.send_to(request.as_bytes(), self.gateway.sip()).await;
        assert!(sent.is_ok(), "loopback takes it");
    }
}

/// Somebody whose number the network vouches for.
fn request(method: &str, called: &str, local: SocketAddr, text: Option<&str>) -> String {
    let (text, kind) = match text {
        Some(text) => (text, "Content-Type: text/plain;charset=UTF-8\r\n"),
        None => ("", ""),
    };
    let length = text.len();
    format!(
        "{method} sip:{called}@carrier.example SIP/2.0\r\n\
         Via: SIP/2.0/UDP {local};branch=z9hG4bK-{method}-canary\r\n\
         From: <sip:{CALLER}@carrier.example>;tag=c\r\nTo: <sip:{called}@carrier.example>\r\n\
         P-Asserted-Identity: <sip:{CALLER}@carrier.example>\r\n\
         Call-ID: {method}-canary\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\n\
         Contact: <sip:{local}>\r\n{kind}Content-Length: {length}\r\n\r\n{text}"
    )
}

async fn nothing_is_left(engine: Engine) {
    if cannot_run(engine) {
        return;
    }
    let mut stage = Stage::set(engine).await;
    stage.flash_call().await;
    stage.written_and_spoken().await;
    stage.incoming().await;
    stage.texts().await;
    let kinds = |posted: &[Posted]| -> BTreeSet<String> {
        posted
            .iter()
            .map(|post| post.event()["type"].as_str().expect("a type").to_owned())
            .collect()
    };
    let expected = [
        "call.ended",
        "call.rang",
        "call.received",
        "message.received",
        "message.sent",
        "trunk.up",
        "verification.approved",
        "verification.created",
        "verification.step_changed",
    ];
    let is_whole = |posted: &[Posted]| {
        let kinds = kinds(posted);
        expected.iter().all(|kind| kinds.contains(*kind))
    };
    let posted = stage.backend.until(LIMIT, "event of each type", is_whole).await;
    for post in &posted {
        let whole = post.to_json().to_string();
        assert_eq!(stage.codes.hits("event", whole.as_bytes()), Vec::<String>::new());
    }
    look(&stage.gateway, &stage.secrets, "while it runs").await;
    stage.gateway.stop(Duration::from_secs(20)).await;
    look(&stage.gateway, &stage.secrets, "after the end").await;
    assert!(stage.gateway.log().len() > 100, "there was no log to search");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_every_channel_in_use_nothing_is_left_on_sqlite() {
    nothing_is_left(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_every_channel_in_use_nothing_is_left_on_postgres() {
    nothing_is_left(Engine::Postgres).await;
}
