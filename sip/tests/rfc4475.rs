//! The 49 messages of RFC 4475, each with its exact verdict in `rfc4475/verdicts.tsv`.

#![expect(clippy::disallowed_methods, reason = "a test reads its own files")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use dozvon_sip as sip;

use sip::message::{Framing, HeaderName, Message, ParseFault, Parser, Start, Status};
use sip::server::check::{check_request, refuse, refuse_fault};

/// One line of the table.
struct Row {
    file: String,
    parse: String,
    answer: Option<u16>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rfc4475")
}

fn table() -> Vec<Row> {
    let text = fs::read_to_string(folder().join("verdicts.tsv")).unwrap();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let [file, parse, answer, _why] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("four columns: {line}");
            };
            let answer = (answer != "-").then(|| answer.parse().unwrap());
            Row { file: file.into(), parse: parse.into(), answer }
        })
        .collect()
}

fn bytes(row: &Row) -> Vec<u8> {
    fs::read(folder().join(&row.file).with_extension("dat")).unwrap()
}

fn source() -> SocketAddr {
    "192.0.2.77:5099".parse().unwrap()
}

/// The refusal that the message meets before policy, as bytes; `None` when it passes.
fn refusal(result: &Result<Message<'_>, ParseFault<'_>>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match result {
        Ok(message) => {
            message.request_method()?;
            let rejection = check_request(message).err()?;
            refuse(&mut out, &message.headers, rejection, b"ours", source()).unwrap();
        }
        Err(fault) => refuse_fault(&mut out, fault, b"ours", source())?.unwrap(),
    }
    Some(out)
}

#[test]
fn every_message_of_rfc_4475_gets_its_exact_verdict() {
    let table = table();
    let mut files = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "dat") {
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(table.iter().any(|row| row.file == name), "{name} is not in the table");
            files += 1;
        }
    }
    assert_eq!((files, table.len()), (49, 49));

    let mut wrong = Vec::new();
    let mut parser = Parser::new();
    for row in &table {
        let bytes = bytes(row);
        let result = parser.parse(&bytes, Framing::Datagram);
        let parse = match &result {
            Ok(_) => "read".to_owned(),
            Err(fault) => format!("{:?}", fault.fault),
        };
        // What passes is answered later, by policy: 200 to OPTIONS, 603 to INVITE.
        let refused = refusal(&result).map(|answer| status(&answer));
        let expected = row.answer.filter(|status| !matches!(status, 200 | 603));
        if parse != row.parse || refused != expected {
            wrong.push(format!("{}: {parse} (not {}), {refused:?}", row.file, row.parse));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn status(answer: &[u8]) -> u16 {
    std::str::from_utf8(&answer[8..11]).unwrap().parse().unwrap()
}

#[test]
fn every_refusal_carries_what_the_request_had() {
    let mut refusals = 0;
    for row in table() {
        let bytes = bytes(&row);
        let (mut parser, mut second) = (Parser::new(), Parser::new());
        let result = parser.parse(&bytes, Framing::Datagram);
        let Some(answer) = refusal(&result) else { continue };
        refusals += 1;
        let request = match &result {
            Ok(message) => message.headers,
            Err(fault) => fault.headers,
        };
        let answered = match second.parse(&answer, Framing::Datagram) {
            Ok(message) => message.headers,
            Err(fault) => fault.headers,
        };
        for name in [HeaderName::From, HeaderName::CallId, HeaderName::CSeq] {
            let lines = |of: &sip::message::Headers<'_>| {
                of.lines(name).map(|value| value.to_vec()).collect::<Vec<_>>()
            };
            assert_eq!(lines(&request), lines(&answered), "{} {name}", row.file);
        }
        assert_eq!(request.vias().count(), answered.vias().count(), "{}", row.file);
        assert!(answer.len() <= bytes.len() + 200, "{}: {} bytes", row.file, answer.len());
    }
    // 49 less 5 responses, 7 that get 200 and 5 that get 603.
    assert_eq!(refusals, 32);
}

#[test]
fn two_unknown_option_tags_are_both_named() {
    let bytes = fs::read(folder().join("bext01.dat")).unwrap();
    let mut parser = Parser::new();
    let answer = refusal(&parser.parse(&bytes, Framing::Datagram)).unwrap();
    let text = String::from_utf8(answer).unwrap();
    assert!(text.contains("\r\nUnsupported: nothingSupportsThis, nothingSupportsThisEither\r\n"));
    assert!(!text.contains("noProxiesSupportThis"));
}

#[test]
fn the_typed_views_agree_with_what_rfc_4475_says_of_wsinv() {
    let bytes = fs::read(folder().join("wsinv.dat")).unwrap();
    let mut parser = Parser::new();
    let message = parser.parse(&bytes, Framing::Datagram).unwrap();
    assert_eq!(message.cseq.number, 9);
    assert_eq!(message.headers.max_forwards(), Some(68));
    assert_eq!(message.to.tag(), Some(&b"1918181833n"[..]));
    assert_eq!(message.from.tag(), Some(&b"98asjd8"[..]));
    assert_eq!(message.from.display_text().unwrap(), &b"J Rosenberg \\\""[..]);
    assert_eq!(message.body.len(), 150);
    let branches: Vec<_> = message.headers.vias().map(|via| via.unwrap().branch.unwrap()).collect();
    assert_eq!(branches, [&b"390skdjuw"[..], b"z9hG4bK9ikj8", b"z9hG4bK30239"]);
    let contact = message.headers.contacts().next().unwrap().unwrap();
    assert_eq!(contact.q_thousandths(), Some(330));
    assert_eq!(contact.params.value("newparam"), Some(&b"newvalue"[..]));
    let route = message.headers.addresses(HeaderName::Route).next().unwrap().unwrap();
    assert!(route.uri().unwrap().is_loose_route());
    assert_eq!(message.headers.get(HeaderName::Subject).unwrap().bytes(), b"");
    assert_eq!(
        message.headers.get_named("newfangledheader").unwrap().to_vec(),
        b"newfangled value continued newfangled value"
    );
}

#[test]
fn responses_of_rfc_4475_keep_their_reason_phrase() {
    let mut parser = Parser::new();
    let bytes = fs::read(folder().join("unreason.dat")).unwrap();
    let start = parser.parse(&bytes, Framing::Datagram).unwrap().start;
    let Start::Response { status, reason } = start else { panic!("a response") };
    assert_eq!(status, Status::OK);
    assert!(std::str::from_utf8(reason).unwrap().ends_with("простое"));
    let bytes = fs::read(folder().join("noreason.dat")).unwrap();
    let start = parser.parse(&bytes, Framing::Datagram).unwrap().start;
    assert!(matches!(start, Start::Response { status: Status::TRYING, reason: b"" }));
}
