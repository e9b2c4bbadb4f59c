//! The line of a file as it is shown under a message.

use std::ops::Range;

use crate::diagnostic::Place;
use crate::source::{Source, Span};

/// A longer line is cut, so that one without line breaks does not fill the terminal.
const WIDTH: usize = 160;
/// Characters kept before the carets of a line that is cut.
const BEFORE: usize = 60;
/// What stands in the place of a secret.
const MASK: &str = "***";
/// A tab would move the carets.
const TAB: &str = "    ";

/// The line at the start of `span`. The bytes of `masks` (in order, apart) are not shown.
pub(crate) fn place(source: &Source<'_>, span: Span, masks: &[Range<usize>]) -> Place {
    let (line, column) = source.position(span.start);
    let bytes = source.line_of(span.start);
    let end = span.end.clamp(bytes.start, bytes.end);
    let mut shown: Vec<char> = Vec::new();
    let mut caret_start = None;
    let mut caret_end = 0;
    let mut masked_until = 0;
    for (at, character) in source.text[bytes.clone()].char_indices() {
        let at = bytes.start + at;
        if at >= span.start {
            caret_start.get_or_insert(shown.len());
        }
        let mask = masks.iter().find(|mask| mask.contains(&at));
        match (mask, character) {
            (Some(mask), _) if masked_until < mask.end => {
                shown.extend(MASK.chars());
                masked_until = mask.end;
            }
            (Some(_), _) => {}
            (None, '\t') => shown.extend(TAB.chars()),
            (None, _) if is_unprintable(character) => shown.push('\u{fffd}'),
            (None, _) => shown.push(character),
        }
        if at < end {
            caret_end = shown.len();
        }
    }
    let caret_start = caret_start.unwrap_or(shown.len());
    cut(Place {
        file: source.name.to_owned(),
        line,
        column,
        excerpt: shown.into_iter().collect(),
        caret_start,
        caret_count: caret_end.saturating_sub(caret_start).max(1),
    })
}

/// Control characters, and those that turn the direction of writing, would let a file write
/// something else onto the terminal than it says.
fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn cut(place: Place) -> Place {
    let characters: Vec<char> = place.excerpt.chars().collect();
    if characters.len() <= WIDTH {
        return place;
    }
    let from = place.caret_start.saturating_sub(BEFORE).min(characters.len() - WIDTH);
    let until = from + WIDTH;
    let mut excerpt: String = characters[from..until].iter().collect();
    if until < characters.len() {
        excerpt.push('…');
    }
    let mut caret_start = place.caret_start - from;
    if from > 0 {
        excerpt.insert(0, '…');
        caret_start += 1;
    }
    let caret_count = place.caret_count.min((WIDTH + 1).saturating_sub(caret_start)).max(1);
    Place { excerpt, caret_start, caret_count, ..place }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, start: usize, end: usize, masks: &[Range<usize>]) -> (String, String) {
        let source = Source { name: "f", text };
        let place = place(&source, Span { file: 0, start, end }, masks);
        let carets = " ".repeat(place.caret_start) + &"^".repeat(place.caret_count);
        (place.excerpt, carets)
    }

    #[test]
    fn carets_stand_under_the_span_after_a_tab_and_a_mask() {
        let text = "\tp = \"hunter2\", bad = 1";
        let at = text.find("bad").unwrap();
        let secret = text.find("hunter2").unwrap();
        let (excerpt, carets) =
            shown(text, at, at + 3, std::slice::from_ref(&(secret..secret + 7)));
        assert_eq!(excerpt, "    p = \"***\", bad = 1");
        assert_eq!(carets, "               ^^^");
    }

    #[test]
    fn carets_stop_at_the_end_of_the_first_line() {
        let (excerpt, carets) = shown("a = [\n  1,\n]\n", 4, 12, &[]);
        assert_eq!((excerpt.as_str(), carets.as_str()), ("a = [", "    ^"));
    }

    #[test]
    fn the_end_of_a_file_has_a_caret() {
        assert_eq!(shown("a = ", 4, 4, &[]), ("a = ".to_owned(), "    ^".to_owned()));
        assert_eq!(shown("", 0, 0, &[]), (String::new(), "^".to_owned()));
    }

    #[test]
    fn a_long_line_is_cut_around_its_carets() {
        let text = format!("{}bad{}", "x".repeat(1_000), "y".repeat(1_000));
        let (excerpt, carets) = shown(&text, 1_000, 1_003, &[]);
        assert_eq!(excerpt.chars().count(), WIDTH + 2);
        let under: String = excerpt
            .chars()
            .zip(carets.chars())
            .filter(|(_, c)| *c == '^')
            .map(|(e, _)| e)
            .collect();
        assert_eq!(under, "bad");
    }

    #[test]
    fn a_file_cannot_write_escapes_onto_the_terminal() {
        let (excerpt, _) = shown("a = \u{1b}[31m\u{202e}", 0, 1, &[]);
        assert_eq!(excerpt, "a = \u{fffd}[31m\u{fffd}");
    }
}
