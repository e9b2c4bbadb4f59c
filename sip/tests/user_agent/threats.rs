//! The attacks on the trunk side, by the numbers that the project's list of threats gives them. Each
//! test plays one of them against the whole user agent.

use std::collections::BTreeSet;

use dozvon_sip as sip;
use sip::{CallOutcome, DigestAlgorithm, Event, HostPort, Rel100, TrunkSettings, VoiceCallRequest};

use crate::bench::{Bench, CARRIER, Sent, address, call_request, parameter, secs, trunk_settings};

/// A host that is nobody's trunk.
const ROGUE: &str = "203.0.113.66:5060";

fn credentials(sent: &[Sent]) -> usize {
    let of = |sent: &Sent| {
        sent.find("Authorization").is_some() || sent.find("Proxy-Authorization").is_some()
    };
    sent.iter().filter(|sent| of(sent)).count()
}

fn challenge(realm: &str, nonce: &str, algorithm: &str) -> String {
    let value = format!("Digest realm=\"{realm}\", nonce=\"{nonce}\"{algorithm}, qop=\"auth\"");
    format!("Proxy-Authenticate: {value}\r\nWWW-Authenticate: {value}\r\n")
}

#[test]
fn threat_1_the_right_branch_from_a_wrong_host_changes_nothing_in_any_state() {
    let mut settings = trunk_settings();
    settings.rel100 = Rel100::Supported;
    let mut bench = Bench::with(settings);
    let forge = |bench: &mut Bench, sent: &Sent| {
        let (events, strangers) = (bench.events.len(), bench.ua.counters().strangers);
        for status in [100, 180, 183, 200, 302, 401, 407, 486, 487, 503] {
            let lines = format!("Contact: <sip:x@{ROGUE}>\r\n{}", challenge("a", "b", ""));
            bench.receive_from(ROGUE, sent.answer(status, "f", &lines).as_bytes());
        }
        bench.assert_silent();
        assert_eq!(bench.events.len(), events);
        assert_eq!(bench.ua.counters().strangers, strangers + 10);
    };
    let (_, invite) = bench.invite();
    forge(&mut bench, &invite);
    let lines = "Require: 100rel\r\nRSeq: 1\r\nContact: <sip:x@192.0.2.10>\r\n";
    bench.receive(&invite.answer(180, "a", lines));
    let prack = bench.take("PRACK");
    forge(&mut bench, &prack);
    forge(&mut bench, &invite);
    bench.receive(&prack.answer(200, "", ""));
    let cancel = bench.wait_for("CANCEL", secs(5));
    forge(&mut bench, &cancel);
    bench.receive(&invite.answer(200, "a", "Contact: <sip:x@192.0.2.10>\r\n"));
    let bye = bench.take_all().remove(1);
    assert_eq!(bye.kind(), "BYE");
    forge(&mut bench, &bye);
}

#[test]
fn threat_1_names_on_the_wire_cannot_be_guessed() {
    let mut branches = BTreeSet::new();
    let mut bench = Bench::new();
    for number in 0..50 {
        bench.place(call_request(number));
        let invite = bench.take("INVITE");
        assert_eq!(invite.branch().strip_prefix("z9hG4bK").unwrap().len(), 128 / 4);
        assert_eq!(parameter(invite.header("From"), "tag").unwrap().len(), 64 / 4);
        assert!(invite.header("Call-ID").len() >= 128 / 4);
        assert!(branches.insert(invite.branch().to_owned()));
    }
}

#[test]
fn threat_2_a_called_peer_harvests_no_answer_by_challenging_our_bye() {
    let mut bench = Bench::new();
    let (_, first) = bench.invite();
    bench.receive(&first.answer(407, "p", &challenge("sip.example.ru", "n1", "")));
    let invite = bench.take_all().remove(1);
    bench.receive(&invite.answer(180, "a", ""));
    bench.receive(&invite.answer(200, "a", &format!("Contact: <sip:x@{CARRIER}>\r\n")));
    let sent = bench.take_all();
    assert_eq!(credentials(&sent[1..]), 0, "a BYE proves itself only when it is asked");
    for status in [401, 407] {
        let foreign = sent[1].answer(status, "", &challenge("rogue.example", "n2", ""));
        bench.receive_from(ROGUE, foreign.as_bytes());
        bench.receive(&foreign);
    }
    bench.wait(secs(40));
    assert_eq!(credentials(&bench.take_all()), 0);

    // Nor where no realm is pinned because none has asked before.
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    bench.receive(&invite.answer(200, "a", &format!("Contact: <sip:x@{CARRIER}>\r\n")));
    let bye = bench.take_all().remove(1);
    bench.receive(&bye.answer(407, "", &challenge("sip.example.ru", "n1", "")));
    assert_eq!(credentials(&bench.take_all()), 0);
}

#[test]
fn threat_2_endless_challenges_are_answered_twice_and_cancel_and_ack_never_anew() {
    for same_realm in [true, false] {
        let mut bench = Bench::new();
        let (_, mut invite) = bench.invite();
        let mut answers = 0;
        for round in 0..20 {
            let realm = if same_realm { "a".to_owned() } else { format!("realm-{round}") };
            let asked = challenge(&realm, &format!("n{round}"), "");
            bench.receive(&invite.answer(407, "p", &asked));
            let sent = bench.take_all();
            assert_eq!(credentials(&sent[..1]), 0, "the ACK to a failure holds none");
            let Some(next) = sent.get(1) else { break };
            answers += 1;
            invite = next.clone();
        }
        assert!((1..=3).contains(&answers), "{answers} answers");
        assert_eq!(bench.end().outcome, CallOutcome::AuthFailed);
        assert!(!same_realm || answers == 2);
    }
    let mut bench = Bench::new();
    let (_, invite) = bench.invite();
    bench.receive(&invite.answer(180, "a", ""));
    let cancel = bench.wait_for("CANCEL", secs(5));
    bench.receive(&cancel.answer(407, "c", &challenge("a", "n", "")));
    bench.wait(secs(1));
    assert_eq!(credentials(&bench.take_all()), 0);
}

#[test]
fn threat_3_md5_alone_is_refused_once_a_stronger_digest_was_offered() {
    for (digest, is_answered) in [(None, false), (Some(vec![DigestAlgorithm::Md5]), true)] {
        let mut settings = trunk_settings();
        settings.digest = digest.unwrap_or(settings.digest);
        let mut bench = Bench::with(settings);
        let (_, first) = bench.invite();
        let both =
            challenge("a", "n1", ", algorithm=SHA-256") + &challenge("a", "n1", ", algorithm=MD5");
        bench.receive(&first.answer(407, "p", &both));
        let second = bench.take_all().remove(1);
        let algorithm = if is_answered { "MD5" } else { "SHA-256" };
        assert!(second.text.contains(&format!("algorithm={algorithm}")), "{}", second.text);
        bench.receive(&second.answer(407, "p", &challenge("a", "n2", ", algorithm=MD5")));
        assert_eq!(credentials(&bench.take_all()) > 0, is_answered);
    }
}

#[test]
fn threat_4_nothing_is_sent_to_where_a_far_side_points() {
    let rogue = "203.0.113.66";
    let elsewhere = format!(
        "Contact: <sip:x@{rogue}>\r\nRecord-Route: <sip:{rogue};lr>\r\nRequire: 100rel\r\n\
         RSeq: 1\r\nAlert-Info: <http://{rogue}/>\r\nContent-Type: application/sdp\r\n"
    );
    let media = format!("v=0\r\nc=IN IP4 {rogue}\r\nm=audio 4000 RTP/AVP 8\r\n");
    let mut settings: TrunkSettings = trunk_settings();
    settings.rel100 = Rel100::Supported;
    settings.registrar = Some(HostPort { host: "sip.example.ru".into(), port: None });
    let mut all = Vec::new();
    for status in [180, 183, 200, 300, 301, 302, 305, 380] {
        for voice in [false, true] {
            let mut bench = Bench::with(settings.clone());
            let register = bench.take("REGISTER");
            let route = format!(
                "Service-Route: <sip:{rogue};lr>\r\nContact: {};expires=60\r\n",
                register.header("Contact")
            );
            bench.receive(&register.answer(200, "r", &route));
            let request = call_request(1);
            let placed = match voice {
                false => bench.ua.place_call(bench.now, bench.trunk, request),
                true => {
                    let request = VoiceCallRequest { call: request, talk_limit: secs(30) };
                    bench.ua.place_voice_call(bench.now, bench.trunk, request)
                }
            };
            placed.unwrap();
            bench.drain();
            let invite = bench.take("INVITE");
            bench.receive(&invite.answer_with_body(status, "a", &elsewhere, &media));
            bench.receive(&invite.answer_with_body(200, "a", &elsewhere, &media));
            bench.wait(secs(60));
            let answered = |event: &Event| matches!(event, Event::Answered { .. });
            assert_eq!(bench.count(answered), 0, "audio would go there");
            all.extend(bench.take_all());
        }
    }
    assert!(all.len() > 50, "{}", all.len());
    assert!(all.iter().all(|sent| sent.to.ip() == address(CARRIER).ip()));
    assert!(all.iter().any(|sent| sent.kind() == "PRACK"));
    assert!(all.iter().any(|sent| sent.kind() == "BYE"));
}

#[test]
fn threat_5_hostile_numbers_are_kept_within_an_hour() {
    let registered = || {
        let mut settings = trunk_settings();
        settings.registrar = Some(HostPort { host: "sip.example.ru".into(), port: None });
        Bench::with(settings)
    };
    for hostile in ["0", "1", "4294967295", "4294967296", "-1", "x", "99999999999999999999"] {
        // The lifetime of a binding: never under a second between REGISTERs, never over an hour.
        let mut bench = registered();
        let register = bench.take("REGISTER");
        let granted = format!("Contact: {};expires={hostile}\r\n", register.header("Contact"));
        bench.receive(&register.answer(200, "r", &granted));
        let again = bench.wait_for("REGISTER", secs(3600));
        assert!(again.at - register.at >= secs(1), "{hostile}: {:?}", again.at);

        // Retry-After to a REGISTER and to a call.
        let mut bench = registered();
        let register = bench.take("REGISTER");
        bench.receive(&register.answer(503, "r", &format!("Retry-After: {hostile}\r\n")));
        bench.wait(secs(3700));
        let later = bench.take_all().iter().filter(|sent| sent.kind() == "REGISTER").count();
        assert!((1..=3700).contains(&later), "{hostile}: {later}");
        let mut bench = Bench::new();
        let (_, invite) = bench.invite();
        bench.receive(&invite.answer(503, "a", &format!("Retry-After: {hostile}\r\n")));
        assert!(bench.end().retry_after.is_none_or(|after| after <= secs(300)), "{hostile}");

        // Min-Expires and Min-SE.
        let mut bench = registered();
        let register = bench.take("REGISTER");
        bench.receive(&register.answer(423, "r", &format!("Min-Expires: {hostile}\r\n")));
        let asked = bench.take_all().iter().map(expires).max().unwrap_or(0);
        assert!(asked <= 24 * 3600, "{hostile}: {asked}");
        let mut bench = Bench::new();
        let (_, invite) = bench.invite();
        bench.receive(&invite.answer(422, "a", &format!("Min-SE: {hostile}\r\n")));
        for sent in bench.take_all() {
            let session = sent.find("Min-SE").map_or(1800, |value| value.parse().unwrap());
            assert!((30..=3600).contains(&session), "{hostile}: {session}");
        }
    }
}

fn expires(sent: &Sent) -> u64 {
    sent.find("Expires").map_or(0, |value| value.parse().unwrap())
}

#[test]
fn threat_8_a_response_with_two_meanings_has_none() {
    let smuggled = [
        ("Content-Length: 0", "Content-Length: 0\r\nContent-Length: 5"),
        ("CSeq: 1 INVITE", "CSeq: 1 INVITE\r\nCSeq: 2 INVITE"),
        ("CSeq: 1 INVITE", "CSeq: 1 CANCEL"),
        ("Call-ID: ", "Call-ID: x\r\nCall-ID: "),
        ("From: ", "From: <sip:x@y>;tag=z\r\nFrom: "),
        ("To: ", "To: <sip:x@y>;tag=z\r\nTo: "),
        ("CSeq: 1 INVITE", "CSeq: 1\0 INVITE"),
        ("Call-ID: ", "Call-ID: \x01"),
        ("From: ", "Subject: a\0b\r\nFrom: "),
        ("From: ", "Subject: a\x7fb\r\nFrom: "),
        ("SIP/2.0 180", "SIP/2.0 18O"),
        ("SIP/2.0 180", "SIP/3.0 180"),
        ("SIP/2.0 180", "SIP/2.0 1800"),
        ("CSeq: 1 INVITE", "CSeq: 4294967296 INVITE"),
    ];
    for (plain, forged) in smuggled {
        let mut bench = Bench::new();
        let (_, invite) = bench.invite();
        let right = invite.answer(180, "a", "");
        let wrong = right.replacen(plain, forged, 1);
        assert_ne!(right, wrong);
        bench.receive(&wrong);
        bench.assert_silent();
        let rings = |event: &Event| matches!(event, Event::Ringing { .. });
        assert_eq!(bench.count(rings), 0, "{forged:?}");
        bench.receive(&right);
        assert_eq!(bench.count(rings), 1);
    }
}
