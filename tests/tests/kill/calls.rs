//! kill -9 in the middle of spoken calls and of calls from outside: every step ends, what was
//! answered is hung up, nobody is called twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use dozvon_tests::capture::{Captured, ladder, requests};
use dozvon_tests::chance::Chance;
use dozvon_tests::gateway::{Engine, Gateway, Setup, last_call, last_step};
use dozvon_tests::peers::figure;
use dozvon_tests::phones::{Phones, media_port, user};
use serde_json::{Value, json};

const TIMES: usize = 20;
const PHONES: usize = 10;
/// From the restart to the BYE of each call that was answered.
const RECOVERY_LIMIT: Duration = Duration::from_secs(5);
/// From the first INVITE on; the calls are placed, answered and under way within it.
const WORK: Duration = Duration::from_millis(1500);
/// For a first INVITE on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);
const VOICE: &str = "\n[purposes.by_voice]\nworkflow = [\"voice\"]\n";
const INBOUND: &str = "cli_trusted = true\n\
                       \n[accounts.default]\npools = [\"all\"]\ndefault_region = \"RU\"\n\
                       inbound_numbers = [\"+74951250000-+74951250009\"]\n\
                       [purposes.sign_up]\nworkflow = [\"incoming_call\"]\n";

#[tokio::test]
async fn killed_while_codes_are_spoken_it_hangs_up_and_calls_nobody_twice() {
    let mut chance = Chance::of("killed while codes are spoken");
    let phones = Phones::pick_up().await;
    let setup = Setup::new(Engine::Sqlite).static_trunk("north", phones.address()).with(VOICE);
    let mut gateway = Gateway::start(setup).await;
    let (mut hung_up, mut slowest) = (0, Duration::ZERO);
    for time in 0..TIMES {
        phones.forget_heard();
        let tasks = ask(&gateway, time);
        let invited = |messages: &[Captured]| !of_time(messages, time).is_empty();
        phones.until(LIMIT, "INVITE", invited).await;
        chance.wait_within(WORK).await;
        gateway.kill().await;
        let accepted: Vec<String> = tasks.join_all().await.into_iter().flatten().collect();
        let speaking = speaking(&phones, time);
        gateway.start_again().await;
        let begin = Instant::now();
        let byed = |messages: &[Captured]| {
            let byes = call_ids(requests(messages, "BYE"));
            speaking.iter().all(|call_id| byes.contains(call_id))
        };
        phones.until(RECOVERY_LIMIT, "BYE for each call that was spoken to", byed).await;
        slowest = slowest.max(begin.elapsed());
        hung_up += speaking.len();
        for id in &accepted {
            let ended = |seen: &Value| last_call(seen)["outcome"].is_string();
            let seen = gateway.until(id, ended).await;
            let status = &last_step(&seen)["status"];
            assert!(status == "interrupted" || status == "answered", "{seen:#}");
        }
    }
    assert!(hung_up > 0, "no call was ever spoken to");
    called_once(&phones.messages());
    figure(&format!(
        "{TIMES} kills, {hung_up} spoken calls hung up, the last BYE {slowest:?} after the start"
    ));
}

/// Asks for a spoken code for each phone without waiting; the ids that were answered.
fn ask(gateway: &Gateway, time: usize) -> tokio::task::JoinSet<Option<String>> {
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..PHONES {
        let (api, number) = (gateway.api().clone(), format!("{}{n:02}", prefix(time)));
        tasks.spawn(async move {
            let body = json!({"to": number, "channels": ["voice"], "purpose": "by_voice"});
            let body = body.to_string().into_bytes();
            let sent = api.try_send(hyper::Method::POST, "/v1/verifications", &[], body).await;
            let answer = sent.ok().filter(|answer| answer.status == 201)?;
            answer.json()["id"].as_str().map(str::to_owned)
        });
    }
    tasks
}

/// The calls of this time whose phone heard something: their dialogs are stored.
fn speaking(phones: &Phones, time: usize) -> BTreeSet<String> {
    let (heard, messages) = (phones.heard(), phones.messages());
    let invites = of_time(&messages, time).into_iter();
    call_ids(invites.filter(|invite| heard.contains_key(&media_port(invite))))
}

fn of_time(messages: &[Captured], time: usize) -> Vec<&Captured> {
    let mut invites = requests(messages, "INVITE");
    invites.retain(|invite| user(invite, "To").starts_with(&prefix(time)));
    invites
}

fn call_ids<'a>(messages: impl IntoIterator<Item = &'a Captured>) -> BTreeSet<String> {
    messages.into_iter().map(Captured::call_id).collect()
}

/// No number was called by two calls, however often an INVITE was repeated.
fn called_once(messages: &[Captured]) {
    let mut calls: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for invite in requests(messages, "INVITE") {
        calls.entry(user(invite, "To")).or_default().insert(invite.call_id());
    }
    assert!(calls.values().all(|calls| calls.len() == 1), "{}", ladder(messages));
}

fn prefix(time: usize) -> String {
    format!("+791664{time:03}")
}

#[tokio::test]
async fn killed_while_users_call_each_of_them_is_approved_at_last_and_none_is_answered() {
    const CALL: Duration = Duration::from_secs(20);
    let mut chance = Chance::of("killed while users call");
    let phones = Phones::ring().await;
    let setup = Setup::new(Engine::Sqlite).static_trunk("north", phones.address()).with(INBOUND);
    let mut gateway = Gateway::start(setup).await;
    let mut called_again = 0;
    for time in 0..TIMES {
        let caller = format!("+791663000{time:02}");
        let body = json!({"to": caller, "purpose": "sign_up", "channels": ["incoming_call"]});
        let created = gateway.api().post("/v1/verifications", &body).await.expect(201).json();
        let id = created["id"].as_str().expect("an id").to_owned();
        let number = created["incoming_call"]["number"].as_str().expect("a number").to_owned();
        let sip = gateway.sip();
        let (first, second) = (format!("call-{time}"), format!("again-{time}"));
        let call = phones.call(sip, (&caller, &number, &first), CALL);
        let kill = async {
            chance.wait_within(Duration::from_millis(20)).await;
            gateway.kill().await;
            gateway.start_again().await;
        };
        let (status, ()) = tokio::join!(call, kill);
        assert_eq!(status, Some(603), "a call is refused, also by the one that starts again");
        let path = format!("/v1/verifications/{id}");
        let seen = gateway.api().get(&path).await.expect(200).json();
        if seen["status"] != "approved" {
            // The refusal left before the kill and the approval did not: people call again.
            called_again += 1;
            let status = phones.call(sip, (&caller, &number, &second), CALL).await;
            assert_eq!(status, Some(603));
        }
        let seen = gateway.until(&id, |seen| seen["status"] == "approved").await;
        assert_eq!(last_step(&seen)["status"], "called", "{seen:#}");
    }
    let messages = phones.messages();
    let is_answer = |message: &Captured| {
        let of_invite = message.cseq().is_some_and(|(_, method)| method == "INVITE");
        of_invite && message.status() == Some(200)
    };
    assert!(!messages.iter().any(is_answer), "a call was answered:\n{}", ladder(&messages));
    assert!(requests(&messages, "INVITE").is_empty(), "we called somebody");
    figure(&format!("{TIMES} kills while a user calls, {called_again} called again"));
}
