//! Which bytes of a line an excerpt must not show.

use std::ops::Range;

use crate::source::{Source, Span};

/// Words of keys whose values are secrets, also when the key is misspelt otherwise.
const SECRET_WORDS: &[&str] = &["pass", "secret", "token"];

/// Whether the value of a key called so may be a secret.
pub(crate) fn is_secret_name(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| key.contains(word))
        || crate::suggest::distance(&key, "password") <= 3
        || key == "key"
        || key.ends_with("_key")
        || key.ends_with("_keys")
}

/// The bytes of the line at `span` that hold secrets, in order and apart: those that the reader
/// knows, or, when a file could not be read, all that may be one.
pub(crate) fn masks(source: &Source<'_>, span: Span, secrets: &[Span]) -> Vec<Range<usize>> {
    let line = source.line_of(span.start);
    let within = |secret: &Span| {
        let range = secret.start.max(line.start)..secret.end.min(line.end);
        (secret.file == span.file && range.start < range.end).then_some(range)
    };
    let mut masks: Vec<Range<usize>> = secrets.iter().filter_map(within).collect();
    masks.sort_by_key(|mask| mask.start);
    masks.dedup_by(|next, last| next.start < last.end);
    masks
}

/// What may be a secret in a text that is no TOML: all that follows the first `=` after a
/// secret's name, up to the next line that begins like a statement; or up to the end, when
/// strings of several lines occur.
pub(crate) fn guessed(file: usize, text: &str) -> Vec<Span> {
    let has_long_strings = text.contains("\"\"\"") || text.contains("'''");
    let mut secrets = Vec::new();
    let mut start = 0;
    let mut is_hiding = false;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        if let Some(at) = secret_at(line) {
            if has_long_strings {
                secrets.push(Span { file, start: start + at, end: text.len() });
                break;
            }
            secrets.push(Span { file, start: start + at, end: start + line.trim_end().len() });
            is_hiding = true;
        } else if is_hiding && !is_statement(line) {
            secrets.push(Span { file, start, end: start + line.trim_end().len() });
        } else {
            is_hiding = false;
        }
        start = end;
    }
    secrets
}

/// Whether a line begins with a heading, or with a key and `=`.
fn is_statement(line: &str) -> bool {
    let line = line.trim_start();
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let after = line.trim_start_matches(is_bare);
    line.starts_with('[') || (after.len() < line.len() && after.trim_start().starts_with('='))
}

/// Where in a line a secret may begin.
fn secret_at(line: &str) -> Option<usize> {
    // The address of a database may hold its password.
    let url = line.find("//").filter(|at| line[*at..].contains('@')).map(|at| at + 2);
    let mut from = 0;
    while let Some(at) = line[from..].find('=') {
        let key = line[..from + at].trim_end();
        let name_start = key.rfind([' ', '\t', '{', ',', '.', '[', '(']).map_or(0, |at| at + 1);
        let name = key[name_start..].trim_matches(['"', '\'']);
        if is_secret_name(name) || name == "url" {
            let after = &line[from + at + 1..];
            let blank = after.len() - after.trim_start().len();
            let begin = from + at + 1 + blank;
            return Some(url.map_or(begin, |url| url.min(begin)));
        }
        from += at + 1;
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        let mut shown = text.to_owned();
        for secret in guessed(0, text).iter().rev() {
            shown.replace_range(secret.start..secret.end, "***");
        }
        shown
    }

    #[test]
    fn a_broken_line_hides_what_may_be_a_secret() {
        assert_eq!(masked("password = \"hunter2\n"), "password = ***\n");
        assert_eq!(masked("pasword = hunter2"), "pasword = ***");
        assert_eq!(
            masked("x = { user = \"a\", password = \"b\""),
            "x = { user = \"a\", password = ***"
        );
        assert_eq!(masked("url = \"postgres://u:p@h/d"), "url = ***");
        assert_eq!(masked("key = = \"abc\""), "key = ***");
        assert_eq!(masked("listen = 5\n[a\n"), "listen = 5\n[a\n");
    }

    #[test]
    fn a_secret_broken_over_lines_is_hidden_up_to_the_next_statement() {
        let shown = masked("key = \"hun\nter2\"\n\nlisten = 5\n");
        assert_eq!(shown, "key = ***\n***\n***\nlisten = 5\n");
    }

    #[test]
    fn a_broken_string_of_several_lines_hides_all_that_follows() {
        assert_eq!(masked("a = 1\npassword = \"\"\"\nhunter2\n"), "a = 1\npassword = ***");
    }
}
