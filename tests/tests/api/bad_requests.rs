//! Requests that nobody should send: each gets a problem with its place, none is stored.

use std::collections::BTreeMap;

use dozvon_tests::database::Look;
use dozvon_tests::gateway::{Engine, Gateway, Setup};
use dozvon_tests::http::{Answer, Client};
use dozvon_tests::phones::Phones;
use hyper::Method;
use serde_json::{Value, json};

use crate::{cannot_run, rings};

const VERIFICATIONS: &str = "/v1/verifications";
const MESSAGES: &str = "/v1/messages";
const NUMBER: &str = "+79161230000";

/// What a request must be answered with.
#[derive(Clone, Copy)]
struct Expected {
    status: u16,
    code: &'static str,
    /// The pointer of one of `errors`; none: the fault has no place in the body.
    pointer: Option<&'static str>,
}

const fn problem(status: u16, code: &'static str) -> Expected {
    Expected { status, code, pointer: None }
}

const fn at(pointer: &'static str, status: u16, code: &'static str) -> Expected {
    Expected { status, code, pointer: Some(pointer) }
}

/// A field of the wrong type, unknown or out of range.
const fn invalid(pointer: &'static str) -> Expected {
    at(pointer, 422, "invalid-request")
}

fn assert_problem(what: &str, answer: &Answer, expected: Expected) {
    let shown = format!("{what}: {} {}", answer.status, answer.text());
    assert_eq!(answer.header("content-type"), "application/problem+json", "{shown}");
    let body = answer.json();
    assert_eq!(
        (answer.status, body["code"].as_str()),
        (expected.status, Some(expected.code)),
        "{shown}"
    );
    assert_eq!(body["status"], expected.status, "{shown}");
    for field in ["type", "title", "request_id"] {
        assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {shown}");
    }
    if let Some(pointer) = expected.pointer {
        let errors = body["errors"].as_array().unwrap_or_else(|| panic!("no errors: {shown}"));
        let found = errors.iter().find(|error| error["pointer"] == pointer);
        let found = found.unwrap_or_else(|| panic!("nothing at {pointer}: {shown}"));
        for field in ["code", "detail"] {
            assert!(found[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {shown}");
        }
    }
}

/// Texts that are no JSON object, for any POST.
fn broken_bodies() -> Vec<(&'static str, Vec<u8>, Expected)> {
    let malformed = problem(400, "malformed-json");
    vec![
        ("nothing", Vec::new(), malformed),
        ("half an object", b"{\"to\": \"+7916".to_vec(), malformed),
        ("single quotes", b"{'to': '+79161230000'}".to_vec(), malformed),
        ("two values", b"{} {}".to_vec(), malformed),
        ("latin 1", b"{\"to\": \"\xe9\"}".to_vec(), malformed),
        ("half a surrogate", b"{\"to\": \"\\ud800\"}".to_vec(), malformed),
        ("its other half alone", half_a_text("\\udc00"), malformed),
        ("both halves the wrong way round", half_a_text("\\udc00\\ud83d"), malformed),
        ("half a surrogate at a text's end", half_a_text("ok \\ud83d"), malformed),
        ("half a surrogate in bytes", half_a_text_in_bytes(), malformed),
        ("ten thousand brackets", vec![b'['; 10_000], malformed),
        ("a megabyte", vec![b' '; 1 << 20], problem(413, "body-too-large")),
        (
            "a megabyte of text",
            json!({"to": "9".repeat(1 << 20)}).to_string().into(),
            problem(413, "body-too-large"),
        ),
        ("a list", b"[]".to_vec(), invalid("")),
        ("a text", b"\"+79161230000\"".to_vec(), invalid("")),
        ("null", b"null".to_vec(), invalid("")),
    ]
}

/// A text that is otherwise right.
fn half_a_text(text: &str) -> Vec<u8> {
    format!("{{\"to\": \"{NUMBER}\", \"text\": \"{text}\"}}").into_bytes()
}

/// U+D83D as if it were a character of UTF-8 (CESU-8).
fn half_a_text_in_bytes() -> Vec<u8> {
    let mut body = half_a_text("?");
    let at = body.iter().rposition(|byte| *byte == b'?').expect("it is there");
    body.splice(at..=at, [0xed, 0xa0, 0xbd]);
    body
}

fn with(field: &str, value: Value) -> Value {
    let mut body = json!({"to": NUMBER});
    body[field] = value;
    body
}

fn wrong_verifications() -> Vec<(Value, Expected)> {
    let long = "x".repeat(129);
    vec![
        (json!({}), invalid("/to")),
        (with("to", Value::Null), invalid("/to")),
        (with("to", json!(79_161_230_000_u64)), invalid("/to")),
        (with("to", json!([NUMBER])), invalid("/to")),
        (with("to", json!({"phone": NUMBER})), invalid("/to")),
        (with("to", json!("")), invalid("/to")),
        (with("foo", json!(1)), invalid("/foo")),
        (with("a/b~c", json!(1)), invalid("/a~1b~0c")),
        (with("channels", json!("flash_call")), invalid("/channels")),
        (with("channels", json!([])), invalid("/channels")),
        (with("channels", json!([5])), invalid("/channels/0")),
        (with("channels", json!(["flash_call", "flash_call"])), invalid("/channels/1")),
        (with("channels", json!([{"channel": 5}])), invalid("/channels/0/channel")),
        (
            with("channels", json!([{"channel": "flash_call", "later": 1}])),
            invalid("/channels/0/later"),
        ),
        (with("channels", json!(["pigeon"])), at("/channels/0", 422, "channel-not-available")),
        (with("channels", json!(["email"])), at("/channels/0", 422, "channel-not-available")),
        (with("purpose", json!(7)), invalid("/purpose")),
        (with("purpose", json!("unknown_purpose")), at("/purpose", 422, "purpose-unknown")),
        (with("ttl_s", json!("300")), invalid("/ttl_s")),
        (with("ttl_s", json!(-1)), invalid("/ttl_s")),
        (with("ttl_s", json!(1.5)), invalid("/ttl_s")),
        (with("ttl_s", json!(1e30)), invalid("/ttl_s")),
        (with("reference", json!(long)), invalid("/reference")),
        (with("reference", json!("a\r\nX: b")), invalid("/reference")),
        (with("metadata", json!([])), invalid("/metadata")),
        (with("metadata", json!({"k": 1})), invalid("/metadata/k")),
        (with("client", json!("session")), invalid("/client")),
        (with("client", json!({"ip": "300.1.1.1"})), invalid("/client/ip")),
        (with("client", json!({"foo": 1})), invalid("/client/foo")),
        (with("dry_run", json!("yes")), invalid("/dry_run")),
    ]
}

/// Texts for `to` that are no number that may be called.
fn wrong_numbers() -> Vec<(&'static str, Expected)> {
    let no_number = at("/to", 422, "not-a-phone-number");
    let invalid = at("/to", 422, "number-invalid");
    vec![
        ("+1 800 FLOWERS", no_number),
        ("112", no_number),
        ("+", no_number),
        ("---", no_number),
        ("ivan@corp", at("/to", 422, "not-an-email-address")),
        ("+7916123000O", no_number),
        ("+7 916 123-00-00 ext. 5", no_number),
        ("+79161230000;ext=5", no_number),
        ("++79161230000", no_number),
        ("\u{202e}+79161230000", no_number),
        ("+７９１６１２３００００", no_number),
        ("+79161230000+79161230000+79161230000", no_number),
        ("+7916123", invalid),
        ("+799999999999999", invalid),
        ("+0123456789012", invalid),
        ("+12125550123", problem(403, "destination-not-allowed")),
        ("+74951230042", problem(403, "destination-not-allowed")),
    ]
}

fn wrong_messages() -> Vec<(Value, Expected)> {
    let text = |value: Value| json!({"to": NUMBER, "text": value});
    vec![
        (json!({"to": NUMBER}), invalid("/text")),
        (text(json!(5)), invalid("/text")),
        (text(json!("")), invalid("/text")),
        (json!({"text": "hello"}), invalid("/to")),
        (json!({"to": 5, "text": "hello"}), invalid("/to")),
        (json!({"to": NUMBER, "text": "hello", "foo": 1}), invalid("/foo")),
        (json!({"to": "112", "text": "hello"}), at("/to", 422, "not-a-phone-number")),
        (
            json!({"to": NUMBER, "text": "hello", "sender": "Bank"}),
            at("/sender", 422, "sender-not-allowed"),
        ),
        (json!({"to": NUMBER, "text": "hello", "sender": 5}), invalid("/sender")),
        (text(json!("я".repeat(2000))), problem(422, "text-too-long")),
        (text(json!("a".repeat(1001))), problem(422, "text-too-long")),
        (text(json!("a\0b")), invalid("/text")),
        (text(json!("\u{1b}[31mred")), invalid("/text")),
        (text(json!("bell\u{7}")), invalid("/text")),
        (text(json!("delete\u{7f}")), invalid("/text")),
        (text(json!("next line\u{85}")), invalid("/text")),
        (json!({"to": NUMBER, "template": "no\ttemplate"}), invalid("/template")),
        (
            json!({"to": NUMBER, "template": "default", "variables": {"k": "bell\u{7}"}}),
            invalid("/variables/k"),
        ),
        (json!({"to": NUMBER, "text": "a", "template": "default"}), invalid("/template")),
        (json!({"to": NUMBER, "text": "a", "reference": "a\r\nb"}), invalid("/reference")),
        (json!({"to": NUMBER, "text": "a", "valid_for_s": 29}), invalid("/valid_for_s")),
        (json!({"to": NUMBER, "text": "a", "valid_for_s": 86_401}), invalid("/valid_for_s")),
    ]
}

/// Requests whose path, query or headers are wrong.
fn wrong_requests(id: &str) -> Vec<(Method, String, Expected)> {
    let missing = problem(404, "not-found");
    let parameter = problem(422, "invalid-request");
    let verification = |rest: &str| format!("{VERIFICATIONS}/{rest}");
    vec![
        (Method::GET, "/v1/nothing".to_owned(), missing),
        (Method::GET, verification("vrf_00000000000000000000000000"), missing),
        (Method::GET, verification("vrf_short"), missing),
        (Method::GET, verification("1"), missing),
        (Method::GET, verification(&id.replace("vrf_", "msg_")), missing),
        (Method::GET, verification("%ff%00"), missing),
        (Method::GET, format!("{MESSAGES}/{id}"), missing),
        (Method::DELETE, VERIFICATIONS.to_owned(), problem(405, "method-not-allowed")),
        (Method::PUT, verification(id), problem(405, "method-not-allowed")),
        (Method::GET, verification(&format!("{id}?wait=0")), parameter),
        (Method::GET, verification(&format!("{id}?wait=31")), parameter),
        (Method::GET, verification(&format!("{id}?wait=soon")), parameter),
        (Method::GET, verification(&format!("{id}?after=-1")), parameter),
        (Method::GET, verification(&format!("{id}?foo=1")), parameter),
        (Method::GET, format!("{VERIFICATIONS}?limit=0"), parameter),
        (Method::GET, format!("{VERIFICATIONS}?limit=many"), parameter),
        (Method::GET, format!("{VERIFICATIONS}?cursor=%F0%9F%98%80"), parameter),
        (Method::GET, format!("{VERIFICATIONS}?created_after=yesterday"), parameter),
    ]
}

async fn every_bad_request_is_a_problem_and_nothing_is_stored(engine: Engine) {
    if cannot_run(engine) {
        return;
    }
    let phones = Phones::ring().await;
    let setup = Setup::new(engine)
        .static_trunk("north", phones.address())
        .with("\n[accounts.other]\npools = [\"all\"]\n");
    let gateway = Gateway::start(setup).await;
    let (id, _) = rings(&gateway, &phones, "+79161239999").await;
    gateway.until_call_ended(&id).await;
    let other = gateway.api().with_key(&gateway.make_key("other").await);
    let before = rows(gateway.database_url()).await;
    let heard = phones.messages().len();

    let mut cases = 0;
    for path in [VERIFICATIONS, MESSAGES] {
        for (name, body, expected) in broken_bodies() {
            let answer = gateway.api().send(Method::POST, path, &[], body).await;
            assert_problem(&format!("{path}: {name}"), &answer, expected);
            cases += 1;
        }
    }
    let verifications = wrong_verifications().into_iter().map(|case| (VERIFICATIONS, case));
    let numbers =
        wrong_numbers().into_iter().map(|(to, e)| (VERIFICATIONS, (json!({"to": to}), e)));
    let messages = wrong_messages().into_iter().map(|case| (MESSAGES, case));
    for (path, (body, expected)) in verifications.chain(numbers).chain(messages) {
        let answer = gateway.api().post(path, &body).await;
        assert_problem(&format!("{path}: {body}"), &answer, expected);
        cases += 1;
    }
    for (method, path, expected) in wrong_requests(&id) {
        let answer = gateway.api().send(method.clone(), &path, &[], Vec::new()).await;
        assert_problem(&format!("{method} {path}"), &answer, expected);
        cases += 1;
    }
    cases += wrong_headers(gateway.api()).await;
    cases += foreign_ids(&other, &id).await;
    assert_eq!(cases, 16 * 2 + 30 + 17 + 22 + 18 + 9 + 4);

    assert_eq!(rows(gateway.database_url()).await, before, "rows of the tables");
    assert_eq!(phones.messages().len(), heard, "the carrier heard something");
}

async fn wrong_headers(api: &Client) -> usize {
    let good = json!({"to": NUMBER}).to_string().into_bytes();
    let long = "k".repeat(256);
    let unauthorized = problem(401, "unauthorized");
    let cases: [(&[(&str, &str)], Expected); 9] = [
        (&[("content-type", "text/plain")], problem(415, "unsupported-media-type")),
        (
            &[("content-type", "application/x-www-form-urlencoded")],
            problem(415, "unsupported-media-type"),
        ),
        (&[("idempotency-key", &long)], problem(400, "bad-header")),
        (&[("idempotency-key", "")], problem(400, "bad-header")),
        (&[("authorization", "")], unauthorized),
        (&[("authorization", "Basic dXNlcjpwYXNz")], unauthorized),
        (&[("authorization", "Bearer nonsense")], unauthorized),
        (
            &[(
                "authorization",
                "Bearer dz_live_0000000000_0000000000000000000000000000000000000000000",
            )],
            unauthorized,
        ),
        (&[("authorization", "Bearer dz_test_0000000000_short")], unauthorized),
    ];
    for (headers, expected) in &cases {
        let answer = api.send(Method::POST, VERIFICATIONS, headers, good.clone()).await;
        assert_problem(&format!("{headers:?}"), &answer, *expected);
        if expected.status == 401 {
            assert!(answer.header("www-authenticate").starts_with("Bearer"), "{headers:?}");
        }
    }
    cases.len()
}

/// Another account's key sees nothing of ours, and says the same as for what is not there.
async fn foreign_ids(other: &Client, id: &str) -> usize {
    let missing = problem(404, "not-found");
    let path = format!("{VERIFICATIONS}/{id}");
    assert_problem("foreign get", &other.get(&path).await, missing);
    let check = other.post(&format!("{path}/check"), &json!({"code": "1234"})).await;
    assert_problem("foreign check", &check, missing);
    for verb in ["resend", "cancel"] {
        let answer = other.post(&format!("{path}/{verb}"), &json!({})).await;
        assert_problem(verb, &answer, missing);
    }
    let list = other.get(VERIFICATIONS).await.expect(200).json();
    assert_eq!(list["data"], json!([]), "another account's list");
    4
}

async fn rows(url: &str) -> BTreeMap<String, i64> {
    Look::into(url).await.row_counts().await
}

#[tokio::test]
async fn every_bad_request_is_a_problem_and_nothing_is_stored_on_sqlite() {
    every_bad_request_is_a_problem_and_nothing_is_stored(Engine::Sqlite).await;
}

#[tokio::test]
async fn every_bad_request_is_a_problem_and_nothing_is_stored_on_postgres() {
    every_bad_request_is_a_problem_and_nothing_is_stored(Engine::Postgres).await;
}
