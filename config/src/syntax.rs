//! What is wrong with a text that is no TOML.

use toml_edit::TomlError;
use toml_parser::parser::{Event, EventKind, RecursionGuard, parse_document};
use toml_parser::{Expected, ParseError};

use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::source::{Source, Span};

/// More would be the echo of one bracket.
const MOST: usize = 20;
/// As deep as toml_edit goes.
const DEPTH: u32 = 80;

/// Says what is wrong, once for each line. `first` is what toml_edit found; it stops there, so the
/// grammar is asked for the rest.
pub(crate) fn explain(file: usize, source: &Source<'_>, first: &TomlError, faults: &mut Faults) {
    let found = toml_parser::Source::new(source.text);
    let mut errors: Vec<ParseError> = Vec::new();
    let mut events: Vec<Event> = Vec::new();
    let mut receiver = RecursionGuard::new(&mut events, DEPTH);
    parse_document(&found.lex().into_vec(), &mut receiver, &mut errors);
    for event in events.iter().filter(|event| event.kind() == EventKind::Scalar) {
        if let Some(scalar) = found.get(event) {
            // Only whether it can be decoded is asked.
            let _kind = scalar.decode_scalar(&mut (), &mut errors);
        }
    }
    let grammar = errors.iter().map(|error| {
        let at = error.unexpected().or(error.context()).map(|span| span.start()..span.end());
        (at.unwrap_or_default(), words(error))
    });
    let first = (first.span().unwrap_or_default(), first.message().to_owned());
    let mut all: Vec<_> = std::iter::once(first).chain(grammar).collect();
    all.sort_by_key(|(at, _)| source.line_of(at.start).start);
    all.dedup_by_key(|(at, _)| source.line_of(at.start).start);
    for (at, message) in all.into_iter().take(MOST) {
        faults.add(Code::Syntax, Span { file, start: at.start, end: at.end }, message);
    }
}

fn words(error: &ParseError) -> String {
    let expected: Vec<String> = error
        .expected()
        .unwrap_or_default()
        .iter()
        .filter_map(|expected| match expected {
            Expected::Literal("\n") => Some("newline".to_owned()),
            Expected::Literal(literal) => Some(format!("`{literal}`")),
            Expected::Description(description) => Some((*description).to_owned()),
            _ => None,
        })
        .collect();
    match expected.as_slice() {
        [] => error.description().to_owned(),
        _ => format!("{}, expected {}", error.description(), expected.join(", ")),
    }
}
