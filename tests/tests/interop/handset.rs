//! Baresip as the telephone of somebody: it hears the code that is spoken, shows the number of a
//! flash call, and calls our number.

use std::time::Duration;

use daemon::media::{Ear, Prompts};
use dozvon_tests::baresip::{Answers, Baresip};
use dozvon_tests::gateway::{Engine, Gateway, Setup, code_of, last_call, last_step};
use dozvon_tests::kamailio::{Account, Kamailio};
use dozvon_tests::peers::{Peer, figure, lacking};
use dozvon_tests::tshark::Capture;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(20);
/// A code is said twice within it.
const TALK_LIMIT: Duration = Duration::from_secs(60);
const NUMBER: &str = "+79163000020";
const OURS: &str = "\n[accounts.default]\npools = [\"all\"]\ndefault_region = \"RU\"\n\
                    inbound_numbers = [\"+74951250000-+74951250009\"]\n\
                    [purposes.sign_up]\nworkflow = [\"incoming_call\"]\n\
                    [purposes.by_voice]\nworkflow = [\"voice\"]\n";

/// The gateway behind Kamailio, which challenges it and passes its calls on to the telephone.
async fn behind_kamailio(phone: &Baresip) -> (Kamailio, Gateway) {
    let account = Account::default();
    let kamailio = Kamailio::start(&account, phone.address()).await;
    let setup = Setup::new(Engine::Sqlite).registered_trunk_with(
        "north",
        kamailio.address(),
        &account,
        "cli_trusted = true\n",
    );
    let gateway = Gateway::start(setup.with(OURS)).await;
    gateway.registered().await;
    (kamailio, gateway)
}

/// Has a code spoken to `NUMBER`; the id.
async fn speak(gateway: &Gateway, locale: &str) -> String {
    let body =
        json!({"to": NUMBER, "purpose": "by_voice", "channels": ["voice"], "locale": locale});
    let created = gateway.api().post("/v1/verifications", &body).await.expect(201).json();
    created["id"].as_str().expect("an id").to_owned()
}

/// Waits until the call was hung up; then the code was said whole.
async fn until_said(gateway: &Gateway, phone: &Baresip, id: &str) -> Value {
    phone.says("Call established", LIMIT).await;
    phone.says("session closed", TALK_LIMIT).await;
    let seen = gateway.until_call_ended(id).await;
    let step = last_step(&seen);
    assert_eq!(
        (&step["status"], &step["detail"]),
        (&"answered".into(), &"said".into()),
        "{seen:#}"
    );
    assert_eq!(last_call(&seen)["outcome"], "answered", "{seen:#}");
    seen
}

/// The code that is in the recording, said twice.
async fn code_heard(phone: Baresip) -> String {
    let output = phone.output();
    let heard = phone.heard(LIMIT).await;
    let codes = Ear::new(&Prompts::built_in()).codes(&heard);
    let [first, second] = &codes[..] else {
        panic!("{codes:?} in {} samples\n{output}", heard.len())
    };
    assert_eq!(first, second);
    first.clone()
}

#[tokio::test]
async fn baresip_behind_kamailio_answers_and_its_recording_holds_the_code_twice() {
    if lacking(&[Peer::Baresip, Peer::Kamailio]) {
        return;
    }
    let phone = Baresip::start(NUMBER, Answers::AtOnce).await;
    let (_kamailio, gateway) = behind_kamailio(&phone).await;
    let id = speak(&gateway, "ru").await;
    until_said(&gateway, &phone, &id).await;
    let code = code_heard(phone).await;
    let answer = gateway.check(&id, &code).await.expect(200);
    assert_eq!(answer.json()["status"], "approved", "{}", answer.text());
}

#[tokio::test]
async fn tshark_finds_no_loss_and_no_wrong_sequence_in_a_spoken_call() {
    if lacking(&[Peer::Baresip, Peer::Tshark]) {
        return;
    }
    let phone = Baresip::start(NUMBER, Answers::AtOnce).await;
    let port = phone.media_port();
    let Some(capture) = Capture::start(port).await else { return };
    let setup = Setup::new(Engine::Sqlite).static_trunk("north", phone.address());
    let gateway = Gateway::start(setup.with("cli_trusted = true\n").with(OURS)).await;
    let id = speak(&gateway, "en").await;
    until_said(&gateway, &phone, &id).await;
    let streams = capture.streams(port).await;
    let [ours] = &streams.iter().filter(|stream| stream.to == port).collect::<Vec<_>>()[..] else {
        panic!("one stream goes to the telephone: {streams:#?}");
    };
    // A second is 50 packets, and a code is not said twice within ten.
    assert!(ours.packets > 500 && ours.lost == 0, "{}", ours.line);
    assert!(!ours.line.ends_with('X'), "tshark has a complaint: {}", ours.line);
    figure(&format!("a spoken call as tshark sees it: {}", ours.line));
    let code = code_heard(phone).await;
    assert_eq!(gateway.check(&id, &code).await.expect(200).json()["valid"], true);
}

#[tokio::test]
async fn the_number_that_baresip_shows_of_a_flash_call_proves_it() {
    if lacking(&[Peer::Baresip, Peer::Kamailio]) {
        return;
    }
    let phone = Baresip::start(NUMBER, Answers::Never).await;
    let (_kamailio, gateway) = behind_kamailio(&phone).await;
    let created = gateway.verify(NUMBER).await;
    let id = created["id"].as_str().expect("an id");
    let shown = phone.says("Incoming call from", LIMIT).await;
    let seen = gateway.until_call_ended(id).await;
    assert_eq!(last_call(&seen)["outcome"], "rang", "{seen:#}");
    phone.says("session closed", LIMIT).await;
    assert!(!phone.output().contains("Call established"), "{}", phone.output());
    // Its own address stands in front.
    let behind = shown.split_once("call from:").and_then(|(_, rest)| rest.split_once("sip:"));
    let caller = behind.and_then(|(_, rest)| rest.split_once('@'));
    let caller = caller.unwrap_or_else(|| panic!("no number in {shown:?}")).0;
    let answer = gateway.check(id, code_of(caller)).await.expect(200);
    assert_eq!(answer.json()["valid"], true, "{shown:?}: {}", answer.text());
}

#[tokio::test]
async fn a_call_that_baresip_places_proves_its_number_and_is_never_answered() {
    if lacking(&[Peer::Baresip, Peer::Kamailio]) {
        return;
    }
    let nobody = Baresip::start("nobody", Answers::Never).await;
    let (kamailio, gateway) = behind_kamailio(&nobody).await;
    let body = json!({"to": NUMBER, "purpose": "sign_up", "channels": ["incoming_call"]});
    let created = gateway.api().post("/v1/verifications", &body).await.expect(201).json();
    let ours = created["incoming_call"]["number"].as_str().expect("a number to call");
    let phone = Baresip::call(NUMBER, ours, kamailio.address()).await;
    let id = created["id"].as_str().expect("an id");
    let seen = gateway.until(id, |seen| seen["status"] == "approved").await;
    assert_eq!(last_step(&seen)["status"], "called", "{seen:#}");
    phone.says("603", LIMIT).await;
    assert!(!phone.output().contains("Call established"), "{}", phone.output());
}
