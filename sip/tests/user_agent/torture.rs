//! The 49 messages of RFC 4475 through the front door: from a trunk, and from a stranger.

#![expect(clippy::disallowed_methods, reason = "a test reads its own files")]

use std::fs;
use std::path::Path;

use crate::bench::{Bench, CARRIER};

/// File, and the status that a trunk is answered with.
fn table() -> Vec<(String, Option<String>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rfc4475");
    let text = fs::read_to_string(folder.join("verdicts.tsv")).unwrap();
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    rows.map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        (columns[0].to_owned(), (columns[2] != "-").then(|| columns[2].to_owned()))
    })
    .collect()
}

fn message(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rfc4475");
    fs::read(folder.join(name).with_extension("dat")).unwrap()
}

#[test]
fn a_trunk_gets_the_answer_of_the_table_to_each_of_the_49() {
    let table = table();
    assert_eq!(table.len(), 49);
    let mut answered = 0;
    for (name, status) in table {
        let mut bench = Bench::new();
        let bytes = message(&name);
        bench.receive_from(CARRIER, &bytes);
        let kinds: Vec<&str> = bench.kinds();
        assert_eq!(kinds, status.iter().map(String::as_str).collect::<Vec<_>>(), "{name}");
        for answer in &bench.sent {
            answered += 1;
            assert!(answer.text.len() <= bytes.len() + 200, "{name}");
            assert_eq!(answer.to.ip().to_string(), "192.0.2.10", "{name}");
            assert_eq!(bench.ua.counters().requests_answered, 1);
        }
    }
    assert_eq!(answered, 44);
}

#[test]
fn a_stranger_gets_nothing_for_any_of_them() {
    let mut bench = Bench::new();
    let mut files = 0;
    for (name, _) in table() {
        bench.receive_from("203.0.113.66:5060", &message(&name));
        files += 1;
    }
    assert_eq!((files, bench.ua.counters().strangers), (49, 49));
    bench.assert_silent();
    assert_eq!(bench.ua.residue(), 0);
}

#[test]
fn two_requests_with_the_cookie_alone_as_branch_are_two_transactions() {
    let mut bench = Bench::new();
    let first = String::from_utf8(message("badbranch")).unwrap();
    bench.receive(&first);
    bench.receive(&first.replace("Call-ID: badbranch", "Call-ID: another"));
    let sent = bench.take_all();
    assert_eq!(sent.len(), 2);
    assert_ne!(sent[0].header("Call-ID"), sent[1].header("Call-ID"));
    bench.receive(&first);
    assert_eq!(bench.take("200").text, sent[0].text);
}
