//! What the keys of a trunk do to the packets that reach its carrier: from the file through the
//! whole daemon. What each does inside the user agent stands in `sip/tests/user_agent/options.rs`.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dozvon_tests::capture::{Captured, requests};
use dozvon_tests::gateway::{Engine, Gateway, Setup, last_call};
use dozvon_tests::phones::Phones;
use serde_json::json;
use tokio::net::UdpSocket;

const LIMIT: Duration = Duration::from_secs(20);
/// How late a limit may be kept on a busy machine: the next one that it could be is a second away.
const LATE: Duration = Duration::from_millis(900);
/// How early: both ends of the time are taken where the packets arrive.
const EARLY: Duration = Duration::from_millis(100);

/// Keys that no default has.
const KEYS: &str = "user = \"74951230000\"\nauth_user = \"login\"\n\
    password = { file = \"FOLDER/north.password\" }\nrealm = \"carrier.example\"\n\
    digest = [\"sha-256\"]\ncontact_user = \"gw-1\"\nexternal = \"203.0.113.5:5070\"\n\
    media_external = \"203.0.113.7\"\noptions_ping = 5\nkeep_alive = 5\n\
    caller_id_in = \"pai+rpid\"\ncaller_id_format = \"national\"\ncountry_code = \"7\"\n\
    user_phone = true\nprivacy = \"none\"\nheaders = { X-Account = \"17\" }\n\
    codecs = [\"pcmu\"]\nrel100 = \"supported\"\ndial_format = \"e164\"\ndial_strip = 1\n\
    dial_prefix = \"8810\"\nsms_from = \"7000\"\n";

#[tokio::test]
async fn every_key_that_shapes_a_request_shows_in_it() {
    let phones = Phones::ring().await;
    let setup = Setup::new(Engine::Sqlite).password("north", "a password of nobody");
    let setup = setup.static_trunk_with("north", phones.address(), KEYS);
    let gateway = Gateway::start(setup).await;
    let created = gateway.verify("+79163000041").await;
    let body = json!({"to": "+79163000042", "text": "Код 4821"});
    let accepted = gateway.api().post("/v1/messages", &body).await.expect(202).json();
    assert_eq!(accepted["status"], "accepted", "{accepted:#}");
    gateway.until_call_ended(created["id"].as_str().expect("an id")).await;
    let keep_alives = |messages: &[Captured]| {
        messages.iter().filter(|message| message.bytes == b"\r\n\r\n").count() > 0
    };
    let complete = |messages: &[Captured]| {
        ["INVITE", "MESSAGE"].iter().all(|method| !requests(messages, method).is_empty())
            && requests(messages, "OPTIONS").len() >= 2
            && keep_alives(messages)
    };
    let seen = phones.until(LIMIT, "request of each kind", complete).await;

    let invite = requests(&seen, "INVITE")[0];
    let head = |name: &str| invite.header(name).unwrap_or_default();
    assert_eq!(invite.start_line(), "INVITE sip:88109163000041@carrier.example;user=phone SIP/2.0");
    assert!(head("Via").starts_with("SIP/2.0/UDP 203.0.113.5:5070;"), "{}", head("Via"));
    assert!(head("Contact").starts_with("<sip:gw-1@203.0.113.5:5070;line="), "{}", head("Contact"));
    assert!(head("From").starts_with("<sip:74951230000@carrier.example>;tag="), "{}", head("From"));
    let shown = head("P-Asserted-Identity");
    let digits: String = shown.chars().filter(char::is_ascii_digit).collect();
    assert!(digits.len() == 10 && digits.starts_with("495123"), "{shown}");
    assert_eq!(shown, format!("<sip:{digits}@carrier.example;user=phone>"));
    assert!(head("Remote-Party-ID").starts_with(&shown), "{}", head("Remote-Party-ID"));
    assert_eq!((head("Privacy"), head("X-Account")), ("none".into(), "17".into()));
    assert_eq!(head("Supported"), "100rel");
    let body = String::from_utf8_lossy(invite.body());
    assert!(body.contains("c=IN IP4 203.0.113.7\r\n"), "{body}");
    assert!(body.contains(" RTP/AVP 0 101\r\n"), "{body}");

    let message = requests(&seen, "MESSAGE")[0];
    assert!(message.start_line().starts_with("MESSAGE sip:88109163000042@"));
    assert!(message.header("From").is_some_and(|from| from.starts_with("<sip:7000@")));
    let pings: Vec<_> = requests(&seen, "OPTIONS").iter().map(|ping| ping.at).collect();
    let between = pings[1] - pings[0];
    assert!((Duration::from_secs(4)..Duration::from_secs(7)).contains(&between), "{between:?}");
}

#[tokio::test]
async fn a_challenge_is_answered_for_the_auth_user_in_the_named_realm_and_algorithm_alone() {
    let carrier = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let address = carrier.local_addr().expect("a bound socket");
    let keys = KEYS.replace("options_ping = 5", "options_ping = 0");
    for (number, realm, algorithm, is_answered) in [
        ("+79163000051", "carrier.example", "SHA-256", true),
        ("+79163000052", "carrier.example", "SHA-512-256", false),
        ("+79163000053", "elsewhere.example", "SHA-256", false),
    ] {
        // A trunk that could not prove itself rests: each case has its own.
        let setup = Setup::new(Engine::Sqlite).password("north", "a password of nobody");
        let gateway = Gateway::start(setup.static_trunk_with("north", address, &keys)).await;
        let created = gateway.verify(number).await;
        let invite = next(&carrier, "INVITE", LIMIT).await.expect("the call");
        let challenge = format!(
            "Proxy-Authenticate: Digest realm=\"{realm}\", nonce=\"{number}\", \
             algorithm={algorithm}, qop=\"auth\"\r\n"
        );
        answer(&carrier, &invite, "407 Proxy Authentication Required", &challenge).await;
        next(&carrier, "ACK", LIMIT).await.expect("its end");
        if is_answered {
            let again = next(&carrier, "INVITE", LIMIT).await.expect("the answer");
            let credentials = again.header("Proxy-Authorization").expect("credentials");
            assert!(credentials.contains("username=\"login\""), "{credentials}");
            assert!(credentials.contains("algorithm=SHA-256"), "{credentials}");
            answer(&carrier, &again, "486 Busy Here", "").await;
            next(&carrier, "ACK", LIMIT).await.expect("its end");
        }
        let seen = gateway.until_call_ended(created["id"].as_str().expect("an id")).await;
        let outcome = if is_answered { "busy" } else { "auth_failed" };
        assert_eq!(last_call(&seen)["outcome"], outcome, "{realm} {algorithm}: {seen:#}");
    }
}

#[tokio::test]
async fn the_limits_of_a_trunk_are_kept_on_the_wire() {
    let carrier = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let address = carrier.local_addr().expect("a bound socket");
    let keys = "ring_limit = 1\nno_ring_limit = 3\nno_answer_timeout = 1\noptions_ping = 0\n";
    let setup = Setup::new(Engine::Sqlite).static_trunk_with("north", address, keys);
    let gateway = Gateway::start(setup.with("[purposes.order]\nworkflow = [\"flash_call\"]\n"));
    let gateway = gateway.await;
    let call = async |number: &str| {
        let body = json!({"to": number, "channels": ["flash_call"], "purpose": "order"});
        let created = gateway.api().post("/v1/verifications", &body).await.expect(201).json();
        created["id"].as_str().expect("an id").to_owned()
    };

    // A phone that rings is cancelled after a second.
    let id = call("+79163000061").await;
    let invite = next(&carrier, "INVITE", LIMIT).await.expect("the call");
    answer(&carrier, &invite, "180 Ringing", "").await;
    let cancel = cancelled(&carrier, &invite).await;
    lasted(cancel.at - invite.at, 1);
    assert_eq!(last_call(&gateway.until_call_ended(&id).await)["outcome"], "rang");

    // One that never rings, after three.
    let id = call("+79163000062").await;
    let invite = next(&carrier, "INVITE", LIMIT).await.expect("the call");
    answer(&carrier, &invite, "100 Trying", "").await;
    let cancel = cancelled(&carrier, &invite).await;
    lasted(cancel.at - invite.at, 3);
    assert_eq!(last_call(&gateway.until_call_ended(&id).await)["outcome"], "no_ring");

    // Silence is left after a second: the INVITE is repeated once, at half a second, and no more.
    let id = call("+79163000063").await;
    let invite = next(&carrier, "INVITE", LIMIT).await.expect("the call");
    let again = next(&carrier, "INVITE", LIMIT).await.expect("its repeat");
    assert_eq!(again.bytes, invite.bytes);
    let seen = gateway.until_call_ended(&id).await;
    assert_eq!(last_call(&seen)["outcome"], "trunk_timeout", "{seen:#}");
    assert!(next(&carrier, "INVITE", Duration::from_secs(2)).await.is_none());
}

#[tokio::test]
async fn calls_at_once_and_in_a_second_are_as_many_as_the_trunk_takes() {
    let phones = Phones::ring().await;
    let setup = Setup::new(Engine::Sqlite).static_trunk("north", phones.address());
    let gateway = Gateway::start(setup).await;
    let file = gateway.configuration();
    let plenty = "max_calls = 1000\ncps = 1000";
    for (tight, prefix) in
        [("max_calls = 2\ncps = 1000", "+791630071"), ("max_calls = 1000\ncps = 2", "+791630072")]
    {
        assert!(file.contains(plenty));
        gateway.reload(&file.replace(plenty, tight)).await;
        let before = requests(&phones.messages(), "INVITE").len();
        let begin = Instant::now();
        let mut attempts = tokio::task::JoinSet::new();
        for number in 0..8 {
            let (api, to) = (gateway.api().clone(), format!("{prefix}{number:02}"));
            // Whether one is refused or stored and told as failed is the API's matter.
            attempts.spawn(async move {
                let body = json!({"to": to, "channels": ["flash_call"], "purpose": "sign_in"});
                api.post("/v1/verifications", &body).await.json()
            });
        }
        let created = attempts.join_all().await;
        let asked_in = begin.elapsed();
        for verification in created.iter().filter_map(|created| created["id"].as_str()) {
            gateway.until_call_ended(verification).await;
        }
        let calls = requests(&phones.messages(), "INVITE").len() - before;
        // A bucket fills up meanwhile; a phone rings for 4 s before its place is free again.
        let most = 2 + 2 * usize::try_from(asked_in.as_secs()).expect("seconds");
        println!("{tight:?}: {calls} of 8 calls, {most} at most");
        assert!(calls >= 2 && calls <= most && calls < 8, "{tight}: {calls} calls, {most} at most");
    }
}

/// An INVITE that says the called number in Diversion and the calling one in Remote-Party-ID; what
/// stands elsewhere is another.
fn diverted(from: SocketAddr, called: &str, caller: &str) -> String {
    format!(
        "INVITE sip:+74951259999@gateway.example SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKin;rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:+79169999998@carrier.example>;tag=in\r\n\
         To: <sip:+74951259999@gateway.example>\r\nCall-ID: in\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:pbx@{from}>\r\nDiversion: <sip:{called}@carrier.example>\r\n\
         P-Asserted-Identity: <sip:+79169999999@carrier.example>\r\n\
         Remote-Party-ID: <sip:{caller}@carrier.example>;party=calling\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

#[tokio::test]
async fn the_keys_of_a_registration_and_of_calls_to_us_do_what_they_say() {
    const CALLER: &str = "+79163000081";
    let carrier = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let address = carrier.local_addr().expect("a bound socket");
    // Nobody knows the registrar's name: whoever asks for it gets nowhere.
    let keys = format!(
        "registrar = \"sip.carrier.invalid\"\noutbound_proxy = \"{address}\"\nuser = \"trunk-17\"\n\
         password = {{ file = \"FOLDER/north.password\" }}\nexpires = 120\nline = false\n\
         from_user = \"gate\"\nring_signal = \"any\"\nring_limit = 1\n\
         inbound = {{ match = [\"127.0.0.8/29\"], answer = 486 }}\ncli_trusted = true\n\
         did_from = [\"diversion\"]\ncli_from = [\"rpid\"]\n"
    );
    let setup = Setup::new(Engine::Sqlite).password("north", "a password of nobody");
    let setup = setup.trunk("north", &keys).with(
        "[accounts.default]\npools = [\"all\"]\ninbound_numbers = [\"+74951250000-+74951250009\"]\n\
         [purposes.sign_up]\nworkflow = [\"incoming_call\"]\n\
         [purposes.order]\nworkflow = [\"flash_call\"]\n",
    );
    let gateway = Gateway::start(setup).await;
    let register = next(&carrier, "REGISTER", LIMIT).await.expect("the registration");
    assert_eq!(register.start_line(), "REGISTER sip:sip.carrier.invalid SIP/2.0");
    assert_eq!(register.header("Expires").as_deref(), Some("120"));
    let contact = register.header("Contact").expect("a Contact");
    assert!(contact.starts_with("<sip:trunk-17@") && !contact.contains("line="), "{contact}");
    answer(&carrier, &register, "200 OK", &format!("Contact: {contact};expires=120\r\n")).await;
    gateway.until_trunk("north", LIMIT, |trunk| trunk["state"] == "up").await;

    let body = json!({"to": "+79163000082", "channels": ["flash_call"], "purpose": "order"});
    let created = gateway.api().post("/v1/verifications", &body).await.expect(201).json();
    let invite = next(&carrier, "INVITE", LIMIT).await.expect("the call");
    let from = invite.header("From").expect("From");
    assert!(from.starts_with("<sip:gate@sip.carrier.invalid>;tag="), "{from}");
    answer(&carrier, &invite, "183 Session Progress", "").await;
    cancelled(&carrier, &invite).await;
    let seen = gateway.until_call_ended(created["id"].as_str().expect("an id")).await;
    assert_eq!(last_call(&seen)["outcome"], "rang", "{seen:#}");

    let body = json!({"to": CALLER, "purpose": "sign_up", "channels": ["incoming_call"]});
    let created = gateway.api().post("/v1/verifications", &body).await.expect(201).json();
    let number = created["incoming_call"]["number"].as_str().expect("a number");
    // 127.0.0.16 is outside of the network, which is all that is matched.
    for (ip, status) in [("127.0.0.16", None), ("127.0.0.9", Some(486))] {
        let phone = UdpSocket::bind((ip, 0)).await.expect("a free port");
        let invite = diverted(phone.local_addr().expect("a bound socket"), number, CALLER);
        phone.send_to(invite.as_bytes(), gateway.sip()).await.expect("it listens");
        assert_eq!(refusal(&phone).await, status, "{ip}");
    }
    let id = created["id"].as_str().expect("an id");
    gateway.until(id, |seen| seen["status"] == "approved").await;
}

/// The final response to a call; `None`: there is none within a second.
async fn refusal(phone: &UdpSocket) -> Option<u16> {
    let mut packet = vec![0; 65_536];
    let answered = async {
        loop {
            let (length, remote) = phone.recv_from(&mut packet).await.expect("a bound socket");
            let status = Captured::now(remote, &packet[..length]).status();
            if status.is_some_and(|status| status >= 200) {
                return status;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(1), answered).await.ok().flatten()
}

/// The next request of a method that is new or repeated; others are passed over. `None`: none
/// came in time.
async fn next(carrier: &UdpSocket, method: &str, limit: Duration) -> Option<Captured> {
    let awaited = async {
        let mut packet = vec![0; 65_536];
        loop {
            let (length, remote) = carrier.recv_from(&mut packet).await.expect("a bound socket");
            let request = Captured::now(remote, &packet[..length]);
            if request.method().as_deref() == Some(method) {
                return request;
            }
        }
    };
    tokio::time::timeout(limit, awaited).await.ok()
}

/// Waits for the CANCEL of a call and ends it.
async fn cancelled(carrier: &UdpSocket, invite: &Captured) -> Captured {
    let cancel = next(carrier, "CANCEL", LIMIT).await.expect("its CANCEL");
    answer(carrier, &cancel, "200 OK", "").await;
    answer(carrier, invite, "487 Request Terminated", "").await;
    next(carrier, "ACK", LIMIT).await.expect("its end");
    cancel
}

/// A limit in whole seconds that ran out when it should.
fn lasted(time: Duration, seconds: u64) {
    let limit = Duration::from_secs(seconds);
    assert!((limit - EARLY..limit + LATE).contains(&time), "{time:?}, not {limit:?}");
}

async fn answer(carrier: &UdpSocket, request: &Captured, status: &str, lines: &str) {
    let mut text = request.answer_head(status, "carrier");
    text += &format!("{lines}Content-Length: 0\r\n\r\n");
    let remote = request.remote.expect("who sent it");
    carrier.send_to(text.as_bytes(), remote).await.expect("the daemon listens");
}
