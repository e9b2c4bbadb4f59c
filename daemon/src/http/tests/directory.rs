//! The directory and sign-ins.

use axum::http::StatusCode;
use serde_json::{Value, json};
use sip::{MessageHandle, MessageSummary};

use super::bench::{Bench, NUMBER};
use crate::ua_driver::MessageEnd;
use crate::ua_driver::scripted::Asked;

const USERS: &str = "/v1/directory/users";

async fn bench(live: bool) -> Bench {
    let mut bench = Bench::start().await;
    bench.key = bench.make_key(Some("default"), live, "verify,directory").await;
    bench
}

async fn add(bench: &Bench, body: Value) -> String {
    let added = bench.post(USERS, body).await.expect(StatusCode::CREATED).json();
    added["id"].as_str().unwrap().to_owned()
}

async fn sign_in(bench: &Bench, identifier: &str) -> Value {
    let begun = bench.post("/v1/sign-ins", json!({"identifier": identifier})).await;
    begun.expect(StatusCode::CREATED).json()
}

#[tokio::test]
async fn a_user_is_made_changed_listed_and_removed() {
    let mut bench = bench(true).await;
    let body = json!({"name": "Иван", "phone": "8 (916) 123-45-67", "email": "Ivan@Corp.RU",
        "login": "Ivan", "role": "operator"});
    let made = bench.post(USERS, body).await.expect(StatusCode::CREATED);
    let path = made.header("location").to_owned();
    let made = made.json();
    assert_eq!(
        (&made["phone"], &made["email"], &made["login"], &made["enabled"], &made["version"]),
        (&json!(NUMBER), &json!("Ivan@corp.ru"), &json!("ivan"), &json!(true), &json!(1))
    );
    let changed = bench.patch(&path, json!({"email": null, "enabled": false})).await;
    let changed = changed.expect(StatusCode::OK).json();
    assert_eq!(
        (&changed["email"], &changed["phone"], &changed["enabled"], &changed["version"]),
        (&json!(null), &json!(NUMBER), &json!(false), &json!(2))
    );
    assert_eq!(bench.get(USERS).await.json()["data"], json!([changed]));
    let own = std::mem::take(&mut bench.key);
    bench.key = bench.make_key(Some("other"), true, "directory").await;
    bench.get(&path).await.expect_problem(404, "not-found");
    bench.delete(&path).await.expect_problem(404, "not-found");
    assert_eq!(bench.get(USERS).await.json()["data"], json!([]));
    bench.key = own;
    bench.delete(&path).await.expect(StatusCode::NO_CONTENT);
    bench.get(&path).await.expect_problem(404, "not-found");
}

#[tokio::test]
async fn a_number_mailbox_or_login_stands_once_in_an_account_and_in_each() {
    let mut bench = bench(true).await;
    add(&bench, json!({"name": "A", "phone": NUMBER, "email": "a@corp.ru", "login": "a"})).await;
    for (field, value) in [("phone", NUMBER), ("email", "A@corp.ru"), ("login", "A")] {
        let mut body = json!({"name": "B"});
        body[field] = json!(value);
        let clash = bench.post(USERS, body).await.expect_problem(409, "user-conflict");
        assert_eq!(clash.json()["errors"][0]["pointer"], format!("/{field}"));
    }
    let id = add(&bench, json!({"name": "B", "login": "b"})).await;
    let path = format!("{USERS}/{id}");
    bench.patch(&path, json!({"login": "a"})).await.expect_problem(409, "user-conflict");
    bench.patch(&path, json!({"login": "b2", "name": "B2"})).await.expect(StatusCode::OK);
    add(&bench, json!({"name": "C", "login": "b"})).await;
    bench.key = bench.make_key(Some("other"), true, "directory").await;
    add(&bench, json!({"name": "A", "phone": NUMBER})).await;
}

#[tokio::test]
async fn all_faults_of_a_user_come_back_at_once() {
    let bench = bench(true).await;
    let body = json!({"phone": "112", "email": "a@b\r\nBcc: x@y.z", "login": "+7", "role": "=1+1",
        "enabled": "yes", "password": "short", "pin": 1});
    let refused = bench.post(USERS, body).await.expect_problem(422, "invalid-request").json();
    let pointers: Vec<_> =
        refused["errors"].as_array().unwrap().iter().map(|fault| &fault["pointer"]).collect();
    for field in ["name", "phone", "email", "login", "role", "enabled", "password", "pin"] {
        assert!(pointers.contains(&&json!(format!("/{field}"))), "{field}: {refused}");
    }
    bench.post(USERS, json!({"name": "A"})).await.expect_problem(422, "invalid-request");
}

#[tokio::test]
async fn a_drawn_password_is_shown_once_and_a_given_one_never() {
    let bench = bench(true).await;
    let body = json!({"name": "A", "login": "a", "generate_password": true});
    let made = bench.post(USERS, body).await.expect(StatusCode::CREATED);
    let (path, made) = (made.header("location").to_owned(), made.json());
    assert_eq!(made["password"].as_str().unwrap().len(), 16);
    let read = bench.get(&path).await.expect(StatusCode::OK).json();
    assert_eq!((&read["password"], &read["has_password"]), (&json!(null), &json!(true)));
    let set = bench.patch(&path, json!({"password": "correct horse"})).await;
    let set = set.expect(StatusCode::OK).json();
    assert!(!set.to_string().contains("horse"));
    let cleared = bench.patch(&path, json!({"password": null})).await.json();
    assert_eq!(cleared["has_password"], false);
}

#[tokio::test]
async fn a_file_with_fifty_faults_tells_each_with_its_line_and_stores_nothing() {
    let bench = bench(true).await;
    let mut file = "name,phone,email,login\r\nGood,+79161110000,,\r\n".to_owned();
    for line in 0..50 {
        file.push_str(match line % 5 {
            0 => "A,112,,\n",
            1 => "B,,no-address,\n",
            2 => ",+79161234567,,\n",
            3 => "D,,,\n",
            _ => "E,,,a,too many\n",
        });
    }
    let refused = bench.send_csv(&file).await.expect_problem(422, "invalid-request").json();
    let faults = refused["errors"].as_array().unwrap();
    assert_eq!(faults.len(), 50, "{refused}");
    assert_eq!(faults[0]["parameter"], "line 3, phone");
    assert_eq!(faults[0]["code"], "not-a-phone-number");
    assert_eq!(faults[1]["parameter"], "line 4, email");
    assert_eq!(faults[49]["parameter"], "line 52");
    assert_eq!(bench.get(USERS).await.json()["data"], json!([]));
    let header = bench.send_csv("name,shoe\nA,44\n").await;
    header.expect_problem(422, "invalid-request");
}

#[tokio::test]
async fn what_goes_out_as_a_file_comes_in_again_and_clashes_are_told() {
    let bench = bench(true).await;
    let file = "\u{feff}name;phone;email;enabled\r\n\"Петров; Иван\";8 916 123-45-67;i@corp.ru;yes\r\nB;;b@corp.ru;no\r\n";
    let stored = bench.send_csv(file).await.expect(StatusCode::OK).json();
    assert_eq!(stored, json!({"stored": 2}));
    let clash = bench.send_csv("name,phone,login\nC,,c\nD,+79161234567,\nE,,c\n").await;
    let clash = clash.expect_problem(422, "invalid-request").json();
    let lines: Vec<_> =
        clash["errors"].as_array().unwrap().iter().map(|fault| &fault["parameter"]).collect();
    assert_eq!(lines, ["line 3, phone", "line 4, login"]);
    let out = bench.get("/v1/directory/users.csv").await.expect(StatusCode::OK);
    let text = String::from_utf8(out.bytes).unwrap();
    assert_eq!(text.lines().count(), 3);
    assert!(text.contains("\"\"") || text.contains("Петров; Иван"));
    let again = text.replace("b@corp.ru", "b2@corp.ru");
    let stored = bench.send_csv(&again).await.expect(StatusCode::OK).json();
    assert_eq!(stored, json!({"stored": 2}));
    let users = bench.get(USERS).await.json();
    let users = users["data"].as_array().unwrap();
    let changed = users.iter().find(|user| user["email"] == "b2@corp.ru").unwrap();
    assert_eq!(changed["version"], 2);
}

#[tokio::test]
async fn a_sign_in_is_completed_by_the_text_that_its_user_chose() {
    let mut bench = bench(true).await;
    add(&bench, json!({"name": "A", "phone": NUMBER, "login": "ivan"})).await;
    let begun = sign_in(&bench, "IVAN").await;
    assert_eq!(begun["status"], "open");
    let channels: Vec<_> = begun["channels"].as_array().unwrap().iter().collect();
    assert!(channels.iter().any(|choice| choice["channel"] == "sms"));
    assert!(channels.iter().all(|choice| !choice["to"].as_str().unwrap().contains("1234")));
    let body = json!({"to": begun["id"], "channels": ["sms"]});
    let made = bench.post("/v1/verifications", body).await.expect(StatusCode::CREATED).json();
    assert_eq!((&made["sign_in_id"], &made["to"]), (&begun["id"], &json!(NUMBER)));
    let Asked::Message(message, ended) = bench.script.next().await else { panic!("no text") };
    let summary =
        MessageSummary { message: MessageHandle(1), status: Some(200), retry_after: None };
    ended.send(MessageEnd::Ended(summary)).unwrap();
    let code: String = message.text.chars().filter(char::is_ascii_digit).collect();
    let id = made["id"].as_str().unwrap();
    assert_eq!(bench.check(id, &code).await.json()["valid"], true);
    let path = format!("/v1/sign-ins/{}", begun["id"].as_str().unwrap());
    let ended = bench.get(&path).await.expect(StatusCode::OK).json();
    assert_eq!((&ended["status"], &ended["verification_id"]), (&json!("completed"), &made["id"]));
    let again = bench.post("/v1/verifications", json!({"to": begun["id"]})).await;
    again.expect_problem(409, "sign-in-ended");
}

#[tokio::test]
async fn who_is_not_in_the_directory_is_told_so_and_who_is_disabled_too() {
    let bench = bench(true).await;
    for stranger in [NUMBER, "nobody@corp.ru", "nobody", "112", "@", "🦆"] {
        let refused = bench.post("/v1/sign-ins", json!({"identifier": stranger})).await;
        refused.expect_problem(404, "user-not-registered");
    }
    let id = add(&bench, json!({"name": "A", "phone": NUMBER, "enabled": false})).await;
    let refused = bench.post("/v1/sign-ins", json!({"identifier": NUMBER})).await;
    refused.expect_problem(403, "user-disabled");
    let direct = bench.post("/v1/verifications", json!({"to": id})).await;
    direct.expect_problem(403, "user-disabled");
    let unknown = json!({"to": "usr_01m7zxq00000000000000000zz"});
    bench.post("/v1/verifications", unknown).await.expect_problem(404, "user-not-registered");
    bench
        .post("/v1/verifications", json!({"to": "usr_x"}))
        .await
        .expect_problem(422, "invalid-request");
}

#[tokio::test]
async fn a_mailbox_is_proved_under_a_test_key_and_a_live_one_needs_a_mail_server() {
    let mut bench = bench(false).await;
    let body = json!({"to": "Ivan@Corp.RU"});
    let made =
        bench.post("/v1/verifications", body.clone()).await.expect(StatusCode::CREATED).json();
    assert_eq!(made["to"], "Ivan@corp.ru");
    let id = made["id"].as_str().unwrap();
    bench.until(id, |seen| seen["steps"][0]["status"] == "delivered").await;
    assert_eq!(bench.check(id, "000000").await.json()["valid"], true);
    let user = json!({"name": "A", "phone": "+70000000002", "email": "a@corp.ru"});
    let user = add(&bench, user).await;
    bench.goes_on();
    let chosen = json!({"to": user, "channels": ["flash_call", "email"]});
    let made = bench.post("/v1/verifications", chosen).await.expect(StatusCode::CREATED).json();
    let id = made["id"].as_str().unwrap();
    let seen = bench.until(id, |seen| seen["steps"][1]["status"] == "delivered").await;
    assert_eq!(seen["steps"][0]["status"], "busy");
    bench.key = bench.make_key(Some("default"), true, "verify").await;
    bench.post("/v1/verifications", body).await.expect_problem(422, "channel-not-available");
    let bad = json!({"to": "a@b\u{1}.ru"});
    bench.post("/v1/verifications", bad).await.expect_problem(422, "invalid-request");
    let bad = json!({"to": "a b@corp.ru"});
    bench.post("/v1/verifications", bad).await.expect_problem(422, "not-an-email-address");
}
