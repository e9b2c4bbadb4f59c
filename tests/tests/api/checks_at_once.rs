//! Five hundred codes presented at the same moment.

use std::collections::BTreeMap;

use dozvon_tests::gateway::{Engine, Gateway, POOL_PREFIX, Setup, code_of};
use dozvon_tests::http::Answer;
use dozvon_tests::phones::Phones;

use crate::{cannot_run, rings};

const AT_ONCE: usize = 500;

/// Presents every code at the same moment, each on a connection of its own.
async fn present(gateway: &Gateway, id: &str, codes: Vec<String>) -> Vec<Answer> {
    let mut tasks = tokio::task::JoinSet::new();
    for code in codes {
        let (api, path) = (gateway.api().clone(), format!("/v1/verifications/{id}/check"));
        tasks.spawn(async move { api.post(&path, &serde_json::json!({"code": code})).await });
    }
    tasks.join_all().await
}

/// Codes that the pool could show, other than `right`.
fn wrong_codes(right: &str) -> Vec<String> {
    let all = (0..10_000).map(|n| code_of(&format!("{POOL_PREFIX}{n:04}")).to_owned());
    all.filter(|code| code != right).step_by(17).take(AT_ONCE).collect()
}

fn count(answers: &[Answer], condition: impl Fn(&Answer) -> bool) -> usize {
    answers.iter().filter(|answer| condition(answer)).count()
}

/// How often each answer came, for a failed assertion.
fn histogram(answers: &[Answer]) -> String {
    let mut counts = BTreeMap::new();
    for answer in answers {
        let body = answer.json();
        *counts
            .entry((answer.status, body["code"].to_string(), body["valid"].to_string()))
            .or_insert(0) += 1;
    }
    format!("{counts:?}")
}

fn is_valid(answer: &Answer) -> bool {
    answer.status == 200 && answer.json()["valid"] == true
}

fn was_evaluated(answer: &Answer) -> bool {
    answer.status == 200
}

fn came_after_the_end(answer: &Answer) -> bool {
    answer.status == 409 && answer.json()["code"] == "verification-ended"
}

async fn stage(engine: Engine) -> (Gateway, Phones) {
    let phones = Phones::ring().await;
    let setup = Setup::new(engine).static_trunk("north", phones.address());
    (Gateway::start(setup).await, phones)
}

async fn wrong_codes_are_evaluated_three_times(engine: Engine) {
    if cannot_run(engine) {
        return;
    }
    let (gateway, phones) = stage(engine).await;
    let (id, shown) = rings(&gateway, &phones, "+79164000001").await;
    let right = code_of(&shown);
    let answers = present(&gateway, &id, wrong_codes(right)).await;
    assert_eq!(answers.len(), AT_ONCE);
    assert_eq!(count(&answers, was_evaluated), 3, "{}", histogram(&answers));
    assert_eq!(count(&answers, is_valid), 0);
    assert_eq!(count(&answers, came_after_the_end), AT_ONCE - 3, "{}", histogram(&answers));
    let mut left: Vec<_> = answers
        .iter()
        .filter(|a| was_evaluated(a))
        .map(|a| a.json()["checks"]["left"].as_u64())
        .collect();
    left.sort_unstable();
    assert_eq!(left, [Some(0), Some(1), Some(2)]);
    let seen = gateway.until(&id, |seen| seen["status"] != "pending").await;
    assert_eq!(seen["status"], "locked");
    assert!(came_after_the_end(&gateway.check(&id, right).await), "the right code comes too late");
}

async fn one_right_code_is_valid(engine: Engine) {
    if cannot_run(engine) {
        return;
    }
    let (gateway, phones) = stage(engine).await;
    let (id, shown) = rings(&gateway, &phones, "+79164000002").await;
    let right = code_of(&shown).to_owned();
    let answers = present(&gateway, &id, vec![right.clone(); AT_ONCE]).await;
    assert_eq!(count(&answers, is_valid), 1);
    assert_eq!(count(&answers, came_after_the_end), AT_ONCE - 1, "{}", histogram(&answers));
    let answers = present(&gateway, &id, wrong_codes(&right)).await;
    assert_eq!(answers.len(), AT_ONCE);
    assert_eq!(count(&answers, came_after_the_end), AT_ONCE, "{}", histogram(&answers));
}

async fn right_and_wrong_codes_are_evaluated_in_one_order(engine: Engine) {
    if cannot_run(engine) {
        return;
    }
    let (gateway, phones) = stage(engine).await;
    for round in 0..5 {
        let number = format!("+7916400{round:04}");
        let (id, shown) = rings(&gateway, &phones, &number).await;
        let right = code_of(&shown).to_owned();
        let mut codes = wrong_codes(&right);
        codes.iter_mut().step_by(50).for_each(|code| code.clone_from(&right));
        let answers = present(&gateway, &id, codes).await;
        let (valid, evaluated) = (count(&answers, is_valid), count(&answers, was_evaluated));
        let ended = gateway.until(&id, |seen| seen["status"] != "pending").await;
        // Either the right code came within the first three, and nothing after it was looked at; or
        // three wrong ones locked it.
        match ended["status"].as_str() {
            Some("approved") => assert!(valid == 1 && (1..=3).contains(&evaluated)),
            Some("locked") => assert_eq!((valid, evaluated), (0, 3)),
            other => panic!("{other:?} after {valid} valid of {evaluated} evaluated"),
        }
        let late = count(&answers, came_after_the_end);
        assert_eq!(late, AT_ONCE - evaluated, "{}", histogram(&answers));
    }
}

macro_rules! on_both {
    ($($name:ident)*) => {
        mod sqlite { $(#[tokio::test] async fn $name() { super::$name(super::Engine::Sqlite).await; })* }
        mod postgres { $(#[tokio::test] async fn $name() { super::$name(super::Engine::Postgres).await; })* }
    };
}

on_both! {
    wrong_codes_are_evaluated_three_times
    one_right_code_is_valid
    right_and_wrong_codes_are_evaluated_in_one_order
}
