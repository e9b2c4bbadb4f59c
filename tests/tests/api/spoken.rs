//! Spoken codes and sides that misbehave: audio from somewhere else, an answer without audio, a
//! prompt that is no WAV file.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use dozvon_tests::capture::{ladder, requests};
use dozvon_tests::gateway::{Engine, Gateway, Setup, binary, last_call, last_step};
use dozvon_tests::phones::{Phones, media_port};
use dozvon_tests::process::Process;
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(20);
const NUMBER: &str = "+79165550001";
const VOICE: &str = "\n[purposes.by_voice]\nworkflow = [\"voice\"]\n";

async fn gateway(phones: &Phones) -> Gateway {
    let setup = Setup::new(Engine::Sqlite).static_trunk("north", phones.address());
    Gateway::start(setup.with(VOICE)).await
}

async fn speak(gateway: &Gateway, number: &str) -> String {
    let body = json!({"to": number, "channels": ["voice"], "purpose": "by_voice"});
    let created = gateway.api().post("/v1/verifications", &body).await.expect(201).json();
    created["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn audio_from_elsewhere_moves_nothing_there_and_the_code_is_said_to_the_end() {
    let phones = Phones::pick_up().await;
    let gateway = gateway(&phones).await;
    let id = speak(&gateway, NUMBER).await;
    let called = |messages: &[_]| !requests(messages, "INVITE").is_empty();
    let messages = phones.until(LIMIT, "INVITE", called).await;
    let port = media_port(requests(&messages, "INVITE")[0]);
    phones.until_heard(port, 5, LIMIT).await;
    // Another host of this machine; a packet of audio as good as any.
    let stranger = UdpSocket::bind("127.0.0.66:0").expect("all of 127/8 is ours");
    stranger.set_read_timeout(Some(Duration::from_millis(1))).expect("a timeout above zero");
    let mut packet = vec![0x80, 8, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4];
    packet.extend([0xd5; 160]);
    let to = SocketAddr::from(([127, 0, 0, 1], port));
    for _ in 0..50 {
        stranger.send_to(&packet, to).expect("loopback takes it");
    }
    let before = phones.heard()[&port];
    let seen = gateway.until_call_ended(&id).await;
    let step = last_step(&seen);
    assert_eq!((&step["status"], &step["detail"]), (&"answered".into(), &"said".into()));
    // Twice six digits take longer than ten seconds, at 50 packets in each.
    assert!(phones.heard()[&port] > before + 400, "{:?}", phones.heard());
    assert!(stranger.recv_from(&mut [0; 2048]).is_err(), "the stranger was spoken to");
}

#[tokio::test]
async fn an_answer_without_audio_is_hung_up_and_blocks_nothing() {
    let phones = Phones::pick_up_without_audio().await;
    let gateway = gateway(&phones).await;
    for number in [NUMBER, "+79165550002"] {
        let id = speak(&gateway, number).await;
        let seen = gateway.until_call_ended(&id).await;
        assert_eq!(last_step(&seen)["status"], "failed", "{seen:#}");
        assert_eq!(last_call(&seen)["outcome"], "format", "{seen:#}");
    }
    let byed = |messages: &[_]| requests(messages, "BYE").len() == 2;
    let messages = phones.until(LIMIT, "BYE for each", byed).await;
    assert_eq!(requests(&messages, "ACK").len(), 2, "{}", ladder(&messages));
    assert!(phones.heard().is_empty());
}

#[tokio::test]
async fn a_prompt_that_is_no_wav_is_named_and_nothing_starts_with_it() {
    let phones = Phones::ring().await;
    let mut gateway = gateway(&phones).await;
    let id = speak(&gateway, NUMBER).await;
    let folder = gateway.folder().join("prompts/de");
    std::fs::create_dir_all(&folder).expect("the folder is ours");
    std::fs::write(folder.join("7.wav"), "eine Sieben").expect("the folder is ours");
    let config = gateway.folder().join("dozvon.toml");
    let text = std::fs::read_to_string(&config).expect("it was written");
    let voice =
        format!("\n[voice]\nprompts = \"{}\"\n", gateway.folder().join("prompts").display());
    std::fs::write(&config, text.clone() + &voice).expect("the folder is ours");
    let path = config.display().to_string();
    for command in ["check", "run"] {
        let mut process = Process::start(binary(), [command, "--config", &path], |_| {});
        let status = process.ended(LIMIT).await;
        let output = process.output().join("\n");
        assert!(!status.success(), "{command}: {output}");
        for word in ["7.wav", "no WAV"] {
            assert!(output.contains(word), "{command} says no {word:?}: {output}");
        }
    }
    std::fs::write(&config, text).expect("the folder is ours");
    gateway.kill().await;
    gateway.start_again().await;
    let read = gateway.api().get(&format!("/v1/verifications/{id}")).await;
    assert_eq!(read.status, 200, "{}", read.text());
}
