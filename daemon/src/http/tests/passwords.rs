//! Sign-ins by password, new passwords, and the proofs that a backend spends.

use axum::http::StatusCode;
use serde_json::{Value, json};
use sip::{MessageHandle, MessageSummary};

use super::bench::{Answer, Bench, NUMBER};
use crate::limits::{self, Guesser};
use crate::ua_driver::MessageEnd;
use crate::ua_driver::scripted::Asked;
use crate::verification::model::Client;

const RESET: &str = "[purposes.password_reset]\nworkflow = [\"sms\"]\n";

async fn bench() -> Bench {
    let mut bench = Bench::with_more(RESET).await;
    bench.key = bench.make_key(Some("default"), true, "verify,directory").await;
    bench
}

async fn add(bench: &Bench, body: Value) -> String {
    let added = bench.post("/v1/directory/users", body).await.expect(StatusCode::CREATED).json();
    added["id"].as_str().unwrap().to_owned()
}

async fn sign_in(bench: &Bench, identifier: &str) -> String {
    let begun = bench.post("/v1/sign-ins", json!({"identifier": identifier})).await;
    let begun = begun.expect(StatusCode::CREATED).json();
    format!("/v1/sign-ins/{}", begun["id"].as_str().unwrap())
}

async fn try_password(bench: &Bench, sign_in: &str, password: &str) -> Answer {
    bench.post(&format!("{sign_in}/password"), json!({"password": password})).await
}

async fn redeem(bench: &Bench, proof: &Value) -> Answer {
    bench.post("/v1/proofs/redeem", json!({"proof": proof})).await
}

/// Proves a target by a text: what the right check answered.
async fn proved(bench: &mut Bench, to: &str, purpose: &str) -> Value {
    let body = json!({"to": to, "purpose": purpose, "channels": ["sms"]});
    let made = bench.post("/v1/verifications", body).await.expect(StatusCode::CREATED).json();
    let Asked::Message(message, ended) = bench.script.next().await else { panic!("no text") };
    let summary =
        MessageSummary { message: MessageHandle(1), status: Some(202), retry_after: None };
    ended.send(MessageEnd::Ended(summary)).unwrap();
    let code: String = message.text.chars().filter(char::is_ascii_digit).collect();
    let id = made["id"].as_str().unwrap();
    bench.until(id, |seen| seen["steps"][0]["status"] == "sent").await;
    bench.check(id, &code).await.expect(StatusCode::OK).json()
}

#[tokio::test]
async fn a_right_password_completes_a_sign_in_once_and_its_proof_is_spent_once() {
    let bench = bench().await;
    let user =
        add(&bench, json!({"name": "A", "login": "ivan", "password": "correct horse"})).await;
    let path = sign_in(&bench, "ivan").await;
    let wrong = try_password(&bench, &path, "incorrect horse").await.expect(StatusCode::OK).json();
    assert_eq!((&wrong["valid"], &wrong["sign_in"]["status"]), (&json!(false), &json!("open")));
    assert_eq!(wrong["proof"], Value::Null);
    let right = try_password(&bench, &path, "correct horse").await.expect(StatusCode::OK).json();
    assert_eq!((&right["valid"], &right["sign_in"]["status"]), (&json!(true), &json!("completed")));
    try_password(&bench, &path, "correct horse").await.expect_problem(409, "sign-in-ended");
    let redeemed = redeem(&bench, &right["proof"]).await.expect(StatusCode::OK).json();
    assert_eq!((&redeemed["user_id"], &redeemed["purpose"]), (&json!(user), &Value::Null));
    redeem(&bench, &right["proof"]).await.expect_problem(409, "proof-spent");
}

#[tokio::test]
async fn five_wrong_passwords_end_a_sign_in_and_thirty_close_the_user() {
    let bench = bench().await;
    let ivan = json!({"name": "A", "login": "ivan", "password": "correct horse"});
    let ivan = add(&bench, ivan).await;
    add(&bench, json!({"name": "B", "login": "petr", "phone": NUMBER})).await;
    let path = sign_in(&bench, "ivan").await;
    for n in 1..=5 {
        let tried = try_password(&bench, &path, "wrong password").await;
        let tried = tried.expect(StatusCode::OK).json();
        let expected = if n < 5 { "open" } else { "failed" };
        assert_eq!(tried["sign_in"]["status"], expected, "{n}");
    }
    try_password(&bench, &path, "correct horse").await.expect_problem(409, "sign-in-ended");
    // The rest of the day's wrong ones without their hashes, which take long.
    let client = Client::default();
    let guesser = Guesser { account: "default", client: &client };
    for _ in 5..30 {
        let wrong = limits::for_wrong_password(ivan.parse().unwrap(), guesser);
        assert_eq!(bench.app.store().take_limits(&wrong).await.unwrap(), None);
    }
    let path = sign_in(&bench, "ivan").await;
    try_password(&bench, &path, "correct horse").await.expect_problem(429, "too-many-passwords");
    // Who has no password has no right one, not even an empty one.
    let path = sign_in(&bench, "petr").await;
    let tried = try_password(&bench, &path, "nobody").await.expect(StatusCode::OK).json();
    assert_eq!(tried["valid"], false);
    try_password(&bench, &path, "").await.expect_problem(422, "invalid-request");
}

#[tokio::test]
async fn the_proof_of_a_reset_sets_the_password_of_its_own_user_once() {
    let mut bench = bench().await;
    let ivan = json!({"name": "A", "login": "ivan", "phone": NUMBER, "password": "old password"});
    let ivan = add(&bench, ivan).await;
    add(&bench, json!({"name": "B", "login": "petr", "phone": "+79161234568"})).await;
    let short = json!({"to": ivan, "purpose": "password_reset", "channels": ["flash_call"]});
    bench.post("/v1/verifications", short).await.expect_problem(422, "channel-not-available");
    let other_purpose = proved(&mut bench, "+79161234569", "sign_in").await;
    assert_eq!(other_purpose["proof"], Value::Null, "nothing to redeem: {other_purpose}");
    let checked = proved(&mut bench, &ivan, "password_reset").await;
    let set = |path: String, proof: Value, password: &'static str| {
        let body = json!({"proof": proof, "password": password});
        let bench = &bench;
        async move { bench.post(&format!("{path}/new-password"), body).await }
    };
    let proof = &checked["proof"];
    let petrs = sign_in(&bench, "petr").await;
    set(petrs, proof.clone(), "new password").await.expect_problem(404, "not-found");
    let path = sign_in(&bench, "ivan").await;
    for no_proof in ["prf_", "prf_vrf_1_2", "x", &format!("{}A", proof.as_str().unwrap())] {
        set(path.clone(), json!(no_proof), "new password").await.expect_problem(404, "not-found");
    }
    set(path.clone(), proof.clone(), "short").await.expect_problem(422, "invalid-request");
    let done = set(path.clone(), proof.clone(), "new password").await;
    assert_eq!(done.expect(StatusCode::OK).json()["status"], "completed");
    let again = sign_in(&bench, "ivan").await;
    set(again.clone(), proof.clone(), "newest password").await.expect_problem(409, "proof-spent");
    redeem(&bench, proof).await.expect_problem(409, "proof-spent");
    let old = try_password(&bench, &again, "old password").await.expect(StatusCode::OK).json();
    assert_eq!(old["valid"], false);
    let new = try_password(&bench, &again, "new password").await.expect(StatusCode::OK).json();
    assert_eq!(new["valid"], true);
}

#[tokio::test]
async fn a_proof_says_what_was_proved_to_its_own_account_alone() {
    let mut bench = bench().await;
    let user = add(&bench, json!({"name": "A", "phone": NUMBER})).await;
    let path = sign_in(&bench, NUMBER).await;
    let id = path.rsplit('/').next().unwrap().to_owned();
    let checked = proved(&mut bench, &id, "sign_in").await;
    let own = std::mem::take(&mut bench.key);
    bench.key = bench.make_key(Some("other"), true, "verify").await;
    redeem(&bench, &checked["proof"]).await.expect_problem(404, "not-found");
    bench.key = own;
    let redeemed = redeem(&bench, &checked["proof"]).await.expect(StatusCode::OK).json();
    assert_eq!(
        (&redeemed["to"], &redeemed["user_id"], &redeemed["sign_in_id"]),
        (&json!(NUMBER), &json!(user), &json!(id))
    );
    assert_eq!(redeemed["proved"], "phone");
    assert_eq!(redeemed["verification_id"], checked["id"]);
}

#[tokio::test]
async fn a_proof_names_the_mailbox_when_the_code_went_there_beside_the_phone() {
    let mut bench = bench().await;
    bench.key = bench.make_key(Some("default"), false, "verify,directory").await;
    add(&bench, json!({"name": "A", "phone": "+70000000001", "email": "ivan@corp.ru"})).await;
    let path = sign_in(&bench, "ivan@corp.ru").await;
    let id = path.rsplit('/').next().unwrap();
    bench.goes_on();
    let channels = json!(["sms", {"channel": "email", "after_s": 0}]);
    let body = json!({"to": id, "channels": channels});
    let made = bench.post("/v1/verifications", body).await.expect(StatusCode::CREATED).json();
    assert_eq!(made["to"], "+70000000001");
    let made = made["id"].as_str().unwrap();
    bench.until(made, |seen| seen["steps"][1]["status"] == "delivered").await;
    let checked = bench.check(made, "000000").await.expect(StatusCode::OK).json();
    let redeemed = redeem(&bench, &checked["proof"]).await.expect(StatusCode::OK).json();
    assert_eq!(
        (&redeemed["proved"], &redeemed["to"]),
        (&json!("email"), &json!("ivan@corp.ru")),
        "{redeemed}"
    );
}

#[tokio::test]
async fn a_reset_that_was_made_for_a_sign_in_leaves_it_open_for_the_new_password() {
    let mut bench = bench().await;
    add(&bench, json!({"name": "A", "phone": NUMBER, "password": "old password"})).await;
    let path = sign_in(&bench, NUMBER).await;
    let id = path.rsplit('/').next().unwrap().to_owned();
    let checked = proved(&mut bench, &id, "password_reset").await;
    assert_eq!(bench.get(&path).await.expect(StatusCode::OK).json()["status"], "open");
    let body = json!({"proof": checked["proof"], "password": "new password"});
    let done = bench.post(&format!("{path}/new-password"), body).await;
    assert_eq!(done.expect(StatusCode::OK).json()["status"], "completed");
}
