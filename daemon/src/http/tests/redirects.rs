//! Texts and codes that go to a mailbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::StatusCode;
use serde_json::{Value, json};
use sip::{MessageHandle, MessageSummary};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::bench::{Bench, NUMBER, PATIENCE, request};
use crate::telemetry::canary;
use crate::ua_driver::MessageEnd;
use crate::ua_driver::scripted::Asked;

const PATH: &str = "/v1/sms-redirects/+79161234567";
const MAILBOX: &str = "ivan.petrov@corp.ru";
const OTHER: &str = "petr.ivanov@corp.ru";

/// A mail server.
struct Post {
    section: String,
    letters: mpsc::UnboundedReceiver<Received>,
    /// Whether it wants everything later.
    is_busy: Arc<AtomicBool>,
}

/// A letter that it took.
struct Received {
    to: String,
    content: String,
}

impl Post {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let section = format!(
            "[email]\nsmtp = \"smtp://{address}\"\ntls = \"off\"\nfrom = \"noreply@example.ru\"\n\
             [purposes.password_reset]\nworkflow = [\"sms\"]\n"
        );
        let (taken, letters) = mpsc::unbounded_channel();
        let is_busy = Arc::new(AtomicBool::new(false));
        let shared = is_busy.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(talk(stream, taken.clone(), shared.clone()));
            }
        });
        Self { section, letters, is_busy }
    }

    async fn next(&mut self) -> Received {
        let next = tokio::time::timeout(PATIENCE, self.letters.recv());
        next.await.expect("a letter comes").unwrap()
    }

    /// Whether a letter came that nobody took out.
    fn is_empty(&mut self) -> bool {
        self.letters.try_recv().is_err()
    }
}

async fn talk(
    stream: TcpStream,
    taken: mpsc::UnboundedSender<Received>,
    is_busy: Arc<AtomicBool>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 mail.test\r\n").await.ok()?;
    let (mut line, mut to) = (String::new(), String::new());
    loop {
        line.clear();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let answer = match line.get(..4)? {
            "RCPT" if is_busy.load(Ordering::SeqCst) => "451 later",
            "RCPT" => {
                to = line.split(['<', '>']).nth(1)?.to_owned();
                "250 ok"
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await.ok()?;
                let mut content = String::new();
                while !content.ends_with("\r\n.\r\n") {
                    stream.read_line(&mut content).await.ok()?;
                }
                taken.send(Received { to: to.clone(), content }).ok()?;
                "250 taken"
            }
            _ => "250 ok",
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    }
}

/// A user with a card, and a key that may do all of it.
async fn bench(post: &Post) -> Bench {
    canary::register(MAILBOX);
    canary::register(OTHER);
    let mut bench = Bench::with_more(&post.section).await;
    bench.key = bench.make_key(Some("default"), true, "verify,messages,directory,redirects").await;
    let user = json!({"name": "Ivan", "phone": NUMBER, "email": MAILBOX});
    bench.post("/v1/directory/users", user).await.expect(StatusCode::CREATED);
    bench
}

/// The next text to a phone, which is taken.
async fn text(bench: &mut Bench) -> String {
    let next = tokio::time::timeout(PATIENCE, bench.script.next());
    let Asked::Message(message, ended) = next.await.expect("a text comes") else {
        panic!("no text")
    };
    let summary =
        MessageSummary { message: MessageHandle(1), status: Some(202), retry_after: None };
    ended.send(MessageEnd::Ended(summary)).expect("the sender waits");
    message.text
}

/// Makes a redirect, of which phone and mailbox are told.
async fn redirect(bench: &mut Bench, post: &mut Post, mode: &str) -> String {
    let made = bench.put(PATH, json!({"mode": mode})).await.expect(StatusCode::OK).json();
    assert!(text(bench).await.contains("i***@corp.ru"));
    assert_eq!(post.next().await.to, MAILBOX);
    made["id"].as_str().unwrap().to_owned()
}

async fn send(bench: &Bench) -> String {
    let sent = bench.post("/v1/messages", json!({"to": NUMBER, "text": "Your parcel is here"}));
    sent.await.expect(StatusCode::ACCEPTED).json()["id"].as_str().unwrap().to_owned()
}

/// Waits for a text to stand so.
async fn until_status(bench: &Bench, id: &str, status: &str) -> Value {
    let mut path = format!("/v1/messages/{id}");
    for _ in 0..20 {
        let seen = bench.get(&path).await.expect(StatusCode::OK).json();
        if seen["status"] == status {
            return seen;
        }
        path = format!("/v1/messages/{id}?wait=5&after={}", seen["version"]);
    }
    panic!("never {status}: {}", bench.get(&path).await.json());
}

/// The kinds in the audit, oldest first, and all of it as text.
async fn audit(bench: &Bench) -> (Vec<String>, String) {
    let list = bench.get("/v1/audit").await.expect(StatusCode::OK).json();
    let entries = list["data"].as_array().unwrap().iter().rev();
    let kinds = entries.map(|entry| entry["kind"].as_str().unwrap().to_owned());
    (kinds.collect(), list.to_string())
}

/// The code of a text or letter in English.
fn code(text: &str) -> String {
    let (_, rest) = text.split_once("Your code is ").expect("a code");
    let code: String = rest.chars().take_while(char::is_ascii_digit).collect();
    assert_eq!(code.len(), 6, "{text}");
    canary::register(&code);
    code
}

#[tokio::test]
async fn a_redirect_leads_to_the_users_mailbox_and_both_ends_are_told_once() {
    let mut post = Post::open().await;
    let mut bench = bench(&post).await;
    let id = redirect(&mut bench, &mut post, "instead").await;
    let again = json!({"mode": "instead", "reason": "lost phone"});
    let again = bench.put(PATH, again).await.expect(StatusCode::OK).json();
    assert_eq!((&again["id"], &again["version"]), (&json!(id), &json!(2)));
    for (field, value) in
        [("phone", NUMBER), ("email", MAILBOX), ("mode", "instead"), ("reason", "lost phone")]
    {
        assert_eq!(again[field], value);
    }
    assert_eq!((&again["active"], &again["override"]), (&json!(true), &json!(false)));
    let seen = bench.get(PATH).await.expect(StatusCode::OK).json();
    assert_eq!(seen, again);
    let list = bench.get("/v1/sms-redirects").await.expect(StatusCode::OK).json();
    assert_eq!(list["data"], json!([again]));
    let other = json!({"email": OTHER, "override": true, "reason": "ticket 7", "mode": "also"});
    let other = bench.put(PATH, other).await.expect(StatusCode::OK).json();
    assert_eq!((&other["id"], &other["override"]), (&json!(id), &json!(true)));
    assert!(text(&mut bench).await.contains("p***@corp.ru"), "the first text since");
    assert_eq!(post.next().await.to, OTHER);
    bench.delete(PATH).await.expect(StatusCode::NO_CONTENT);
    bench.delete(PATH).await.expect_problem(404, "not-found");
    bench.get(PATH).await.expect_problem(404, "not-found");
    let (kinds, all) = audit(&bench).await;
    let put = "redirect.put";
    assert_eq!(kinds, [put, put, put, "redirect.deleted"]);
    assert!(all.contains("ticket 7") && all.contains("p***@corp.ru") && all.contains("key:"));
    assert!(!all.contains(NUMBER) && !all.contains(MAILBOX) && !all.contains(OTHER));
}

#[tokio::test]
async fn another_mailbox_needs_an_override_with_a_reason_and_every_fault_is_told() {
    let post = Post::open().await;
    let bench = bench(&post).await;
    let problem = async |body: Value, code: &str| {
        bench.put(PATH, body).await.expect_problem(422, code);
    };
    problem(json!({"email": OTHER}), "mailbox-not-of-user").await;
    problem(json!({"email": OTHER, "override": true}), "invalid-request").await;
    problem(json!({"email": OTHER, "override": true, "reason": " "}), "invalid-request").await;
    problem(json!({"until": "2020-01-01T00:00:00Z"}), "invalid-request").await;
    problem(json!({"until": "2100-01-01T00:00:00Z"}), "invalid-request").await;
    problem(json!({"mode": "both"}), "invalid-request").await;
    problem(json!({"mailbox": OTHER}), "invalid-request").await;
    let crlf = json!({"email": "a@corp.ru\r\nBcc: b@corp.ru"});
    problem(crlf, "invalid-request").await;
    let stranger = "/v1/sms-redirects/+79160000001";
    bench.put(stranger, json!({})).await.expect_problem(422, "invalid-request");
    bench.put(stranger, json!({"email": OTHER})).await.expect_problem(422, "mailbox-not-of-user");
    bench.put("/v1/sms-redirects/+1", json!({})).await.expect_problem(422, "not-a-phone-number");
    let (kinds, _) = audit(&bench).await;
    assert!(kinds.is_empty());
    let key = bench.make_key(Some("default"), true, "messages").await;
    let refused = bench.send(request("PUT", PATH, &key, Some(json!({})))).await;
    refused.expect_problem(403, "scope-missing");
    let refused = bench.send(request("GET", "/v1/audit", &key, None)).await;
    refused.expect_problem(403, "scope-missing");
}

#[tokio::test]
async fn a_text_goes_to_the_mailbox_instead_or_also_and_each_use_is_audited() {
    let mut post = Post::open().await;
    let mut bench = bench(&post).await;
    redirect(&mut bench, &mut post, "instead").await;
    let id = send(&bench).await;
    let letter = post.next().await;
    assert_eq!(letter.to, MAILBOX);
    assert!(letter.content.contains("Your parcel is here"));
    let seen = until_status(&bench, &id, "redirected").await;
    assert_eq!((&seen["detail"], &seen["trunk"]), (&json!("smtp_250"), &Value::Null));
    assert!(bench.script.is_idle());
    let (phone, path) = ("+79160000002", "/v1/sms-redirects/+79160000002");
    let also = json!({"mode": "also", "email": OTHER, "override": true, "reason": "asked for"});
    bench.put(path, also).await.expect(StatusCode::OK);
    assert!(text(&mut bench).await.contains("p***@corp.ru"));
    assert_eq!(post.next().await.to, OTHER);
    let sent = bench.post("/v1/messages", json!({"to": phone, "text": "Another parcel"})).await;
    let id = sent.expect(StatusCode::ACCEPTED).json()["id"].as_str().unwrap().to_owned();
    assert_eq!(text(&mut bench).await, "Another parcel");
    assert!(post.next().await.content.contains("Another parcel"));
    until_status(&bench, &id, "sent").await;
    let (kinds, all) = audit(&bench).await;
    let (put, used) = ("redirect.put", "redirect.used");
    assert_eq!(kinds, [put, used, put, used]);
    assert!(all.contains(&id) && !all.contains(MAILBOX) && !all.contains("parcel"));
    assert!(post.is_empty());
}

#[tokio::test]
async fn a_mailbox_that_left_the_card_gets_nothing_more() {
    let mut post = Post::open().await;
    let mut bench = bench(&post).await;
    redirect(&mut bench, &mut post, "instead").await;
    let users = bench.get("/v1/directory/users").await.json();
    let path = format!("/v1/directory/users/{}", users["data"][0]["id"].as_str().unwrap());
    bench.patch(&path, json!({"email": OTHER})).await.expect(StatusCode::OK);
    send(&bench).await;
    assert_eq!(text(&mut bench).await, "Your parcel is here");
    assert!(post.is_empty());
}

#[tokio::test]
async fn a_code_that_went_to_the_mailbox_proves_the_mailbox_and_a_reset_never_goes_there() {
    let mut post = Post::open().await;
    let mut bench = bench(&post).await;
    let create = async |bench: &Bench, to: &str, purpose: &str| {
        let body = json!({"to": to, "purpose": purpose, "channels": ["sms"], "locale": "en"});
        let made = bench.post("/v1/verifications", body).await.expect(StatusCode::CREATED).json();
        made["id"].as_str().unwrap().to_owned()
    };
    let id = create(&bench, "+79160000001", "sign_in").await;
    let said = code(&text(&mut bench).await);
    assert_eq!(bench.check(&id, &said).await.json()["proved"], "phone");
    redirect(&mut bench, &mut post, "instead").await;
    let id = create(&bench, NUMBER, "sign_in").await;
    let letter = post.next().await;
    assert_eq!(letter.to, MAILBOX);
    bench.until(&id, |seen| seen["steps"][0]["status"] == "sent").await;
    let checked = bench.check(&id, &code(&letter.content)).await.json();
    assert_eq!((&checked["valid"], &checked["proved"]), (&json!(true), &json!("email")));
    let seen = bench.get(&format!("/v1/verifications/{id}")).await.json();
    assert_eq!((&seen["proved"], &seen["to"]), (&json!("email"), &json!(NUMBER)));
    assert!(bench.script.is_idle());
    let (kinds, all) = audit(&bench).await;
    assert_eq!(kinds, ["redirect.put", "redirect.used"]);
    assert!(all.contains(&id));
}

#[tokio::test]
async fn a_code_that_went_both_ways_proves_the_mailbox_alone() {
    let mut post = Post::open().await;
    let mut bench = bench(&post).await;
    redirect(&mut bench, &mut post, "also").await;
    let body = json!({"to": NUMBER, "channels": ["sms"], "locale": "en"});
    let made = bench.post("/v1/verifications", body).await.expect(StatusCode::CREATED).json();
    let id = made["id"].as_str().unwrap();
    let said = code(&text(&mut bench).await);
    assert_eq!(code(&post.next().await.content), said);
    let checked = bench.check(id, &said).await.json();
    assert_eq!((&checked["valid"], &checked["proved"]), (&json!(true), &json!("email")));
}

#[tokio::test]
async fn a_restart_loses_no_letter_and_sends_no_redirected_text_to_the_phone() {
    let mut post = Post::open().await;
    let mut bench = bench(&post).await;
    redirect(&mut bench, &mut post, "instead").await;
    post.is_busy.store(true, Ordering::SeqCst);
    let id = send(&bench).await;
    let other = json!({"email": OTHER, "override": true, "reason": "ticket 7"});
    bench.put(PATH, other).await.expect(StatusCode::OK);
    assert!(text(&mut bench).await.contains("p***@corp.ru"));
    bench.restart().await;
    post.is_busy.store(false, Ordering::SeqCst);
    assert!(post.is_empty());
    crate::messages::recover(&bench.app).await.unwrap();
    let mut letters = [post.next().await, post.next().await];
    letters.sort_by(|one, other| one.to.cmp(&other.to));
    assert_eq!([&letters[0].to[..], &letters[1].to], [MAILBOX, OTHER]);
    assert!(letters[0].content.contains("Your parcel is here"));
    until_status(&bench, &id, "redirected").await;
    assert!(bench.script.is_idle(), "the phone gets nothing of it");
    bench.restart().await;
    crate::messages::recover(&bench.app).await.unwrap();
    assert!(post.is_empty());
}

#[tokio::test]
async fn a_code_that_waits_for_the_mail_server_goes_on_after_a_restart_and_leaves_once() {
    let mut post = Post::open().await;
    let mut bench = bench(&post).await;
    redirect(&mut bench, &mut post, "instead").await;
    post.is_busy.store(true, Ordering::SeqCst);
    let body = json!({"to": NUMBER, "channels": ["sms"], "locale": "en"});
    let made = bench.post("/v1/verifications", body).await.expect(StatusCode::CREATED).json();
    let id = made["id"].as_str().unwrap();
    assert_eq!(made["steps"][0]["status"], "queued");
    for _ in 0..2 {
        bench.restart().await;
        post.is_busy.store(false, Ordering::SeqCst);
        crate::verification::recovery::recover(&bench.app).await.unwrap();
        bench.until(id, |seen| seen["steps"][0]["status"] == "sent").await;
    }
    let said = code(&post.next().await.content);
    assert!(post.is_empty() && bench.script.is_idle());
    assert_eq!(bench.check(id, &said).await.json()["proved"], "email");
    let (kinds, _) = audit(&bench).await;
    assert_eq!(kinds, ["redirect.put", "redirect.used"]);
}
