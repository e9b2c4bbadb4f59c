//! What a trunk's requests are answered.

use crate::bench::{Bench, CARRIER, Sent, address, ms, parameter, secs, user_agent_settings};
use crate::bench::{PROXY_CHALLENGE, trunk_settings};

fn request(method: &str, branch: &str, lines: &str) -> String {
    format!(
        "{method} sip:74951230000@198.51.100.7 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bK{branch}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:x@y>;tag=f\r\nTo: <sip:74951230000@198.51.100.7>\r\n\
         Call-ID: c-{branch}\r\nCSeq: 7 {method}\r\n{lines}Content-Length: 0\r\n\r\n"
    )
}

fn only(bench: &mut Bench) -> Sent {
    let mut all = bench.take_all();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn options_is_answered_200_with_what_we_can() {
    let mut bench = Bench::new();
    bench.receive(&request("OPTIONS", "1", ""));
    let answer = bench.take("200");
    assert_eq!(answer.header("Allow"), "INVITE, ACK, CANCEL, BYE, OPTIONS, MESSAGE");
    assert_eq!(answer.header("Accept"), "application/sdp, text/plain");
    assert_eq!(answer.header("Server"), "Dozvon");
    assert_eq!(parameter(answer.header("To"), "tag").unwrap().len(), 16);
    let via = answer.header("Via");
    assert_eq!(
        (parameter(via, "rport"), parameter(via, "received")),
        (Some("5060"), Some("192.0.2.10"))
    );
    assert_eq!(answer.to, address(CARRIER));
    assert_eq!(bench.ua.counters().requests_answered, 1);
    bench.assert_clean();
}

#[test]
fn a_repeated_request_gets_the_same_answer() {
    let mut bench = Bench::new();
    bench.receive(&request("OPTIONS", "1", ""));
    let answer = bench.take("200");
    bench.wait(secs(31));
    bench.receive(&request("OPTIONS", "1", ""));
    assert_eq!(bench.take("200").text, answer.text);
    bench.wait(secs(1));
    bench.receive(&request("OPTIONS", "1", ""));
    assert_ne!(bench.take("200").text, answer.text);
}

#[test]
fn an_inbound_invite_is_refused_and_its_ack_absorbed() {
    let mut bench = Bench::new();
    bench.receive(&request("INVITE", "1", ""));
    let refusal = bench.take("603");
    bench.wait(ms(1500));
    let repeats = bench.take_all();
    assert_eq!(repeats.len(), 2);
    assert!(repeats.iter().all(|repeat| repeat.text == refusal.text));
    bench.receive(&request("INVITE", "1", ""));
    assert_eq!(bench.take("603").text, refusal.text);
    bench.receive(&request("ACK", "1", "").replace("CSeq: 7 INVITE", "CSeq: 7 ACK"));
    bench.wait(secs(4));
    bench.assert_silent();
    bench.assert_clean();
}

#[test]
fn a_refusal_without_ack_is_given_up_after_64_t1() {
    let mut bench = Bench::new();
    bench.receive(&request("INVITE", "1", ""));
    bench.wait(secs(32));
    assert_eq!(bench.take_all().len(), 11);
    assert_eq!(bench.ua.residue(), 0);
}

#[test]
fn what_we_do_not_serve_is_said_so() {
    for (method, status) in [
        ("REGISTER", "405"),
        ("SUBSCRIBE", "405"),
        ("NOTIFY", "405"),
        ("REFER", "405"),
        ("MESSAGE", "488"),
        ("FROBNICATE", "501"),
        ("BYE", "481"),
        ("CANCEL", "481"),
    ] {
        let mut bench = Bench::new();
        bench.receive(&request(method, "1", ""));
        let answer = only(&mut bench);
        assert_eq!(answer.kind(), status, "{method}");
        if matches!(status, "405" | "501") {
            assert_eq!(answer.header("Allow"), "INVITE, ACK, CANCEL, BYE, OPTIONS, MESSAGE");
        }
    }
}

#[test]
fn a_cancel_of_a_refused_invite_finds_it() {
    let mut bench = Bench::new();
    bench.receive(&request("INVITE", "1", ""));
    bench.take("603");
    bench.receive(&request("CANCEL", "1", ""));
    bench.take("200");
}

#[test]
fn an_ack_that_belongs_to_nothing_is_never_answered() {
    let mut bench = Bench::new();
    bench.receive(&request("ACK", "1", ""));
    bench.receive(&request("ACK", "2", "Require: nothing\r\n"));
    bench.receive("ACK sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1\r\n\r\n");
    bench.assert_silent();
    assert_eq!(bench.ua.residue(), 0);
}

#[test]
fn a_client_that_asks_for_no_rport_is_answered_at_the_port_of_its_via() {
    let mut bench = Bench::new();
    let options = request("OPTIONS", "1", "").replace(";rport", "");
    bench.receive_from("192.0.2.10:40000", options.as_bytes());
    let answer = bench.take("200");
    assert_eq!(answer.to, address("192.0.2.10:5060"));
    bench.receive_from("192.0.2.10:40000", request("OPTIONS", "2", "").as_bytes());
    assert_eq!(bench.take("200").to, address("192.0.2.10:40000"));
}

#[test]
fn requests_above_the_rate_are_dropped_and_calls_go_on() {
    let mut settings = user_agent_settings();
    settings.requests_per_second = 10;
    let mut bench = Bench::build(settings, trunk_settings());
    let (_, invite) = bench.invite();
    for number in 0..1000 {
        bench.receive(&request("OPTIONS", &number.to_string(), ""));
    }
    assert_eq!(bench.take_all().len(), 10);
    assert_eq!(bench.ua.counters().requests_over_rate, 990);
    bench.receive(&invite.answer(407, "p", PROXY_CHALLENGE));
    assert_eq!(bench.kinds(), ["ACK", "INVITE"]);
    bench.sent.clear();
    bench.wait(ms(100));
    bench.receive(&request("OPTIONS", "again", ""));
    bench.take("200");
}

#[test]
fn the_table_of_server_transactions_is_bounded() {
    let mut settings = user_agent_settings();
    settings.max_server_transactions = 3;
    let mut bench = Bench::build(settings, trunk_settings());
    for number in 0..5 {
        bench.receive(&request("OPTIONS", &number.to_string(), ""));
    }
    assert_eq!(bench.take_all().len(), 3);
    assert_eq!(bench.ua.counters().server_transactions_full, 2);
    bench.wait(secs(32));
    bench.receive(&request("OPTIONS", "later", ""));
    bench.take("200");
}

#[test]
fn an_answer_much_larger_than_its_request_is_not_sent() {
    let mut bench = Bench::new();
    let names: String = (0..60).map(|n| format!("Require: a{n}\r\n")).collect();
    bench.receive(&request("OPTIONS", "1", &names));
    assert_eq!(bench.take_all().len(), 1);
    let all = format!("Require: {}\r\n", vec!["a"; 300].join(","));
    bench.receive(&request("OPTIONS", "2", &all));
    bench.assert_silent();
    assert_eq!(bench.ua.counters().answers_too_large, 1);
}
