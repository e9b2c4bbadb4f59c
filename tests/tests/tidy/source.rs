//! A Rust file with its comments and literals blanked, and where its functions begin and end.

/// A function of a source file, in lines counted from 1.
pub(crate) struct Function {
    /// What stands after `fn`.
    pub(crate) name: String,
    /// The line of `fn`.
    pub(crate) first_line: usize,
    /// The line of the closing brace.
    pub(crate) last_line: usize,
}

impl Function {
    pub(crate) fn lines(&self) -> usize {
        self.last_line - self.first_line + 1
    }
}

/// The same text with every comment, string and character literal replaced by spaces, so that
/// what remains is code. Line breaks stay where they are.
pub(crate) fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        if end > at {
            out.extend(bytes[at..end].iter().map(|b| if *b == b'\n' { b'\n' } else { b' ' }));
            at = end;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).expect("whole literals are replaced by ASCII")
}

/// The blanked text with every item under `#[cfg(test)]` blanked too.
pub(crate) fn without_tests(blanked: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = blanked.to_owned();
    for (at, _) in blanked.match_indices(MARK) {
        let end = item_end(blanked.as_bytes(), at + MARK.len()).unwrap_or(blanked.len() - 1);
        // `use a::{b};` has its semicolon behind the brace.
        let end = if blanked[end + 1..].starts_with(';') { end + 1 } else { end };
        let lines = blanked[at..=end].chars().map(|c| if c == '\n' { '\n' } else { ' ' });
        out.replace_range(at..=end, &lines.collect::<String>());
    }
    out
}

/// Every function with a body, in the order of its `fn`.
pub(crate) fn functions(blanked: &str) -> Vec<Function> {
    let bytes = blanked.as_bytes();
    let mut found = Vec::new();
    for (at, _) in blanked.match_indices("fn ") {
        if at > 0 && is_word(bytes[at - 1]) {
            continue;
        }
        let name: String =
            blanked[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if name.is_empty() {
            continue;
        }
        if let Some(end) = body_end(bytes, at) {
            let line = |position: usize| blanked[..position].matches('\n').count() + 1;
            found.push(Function { name, first_line: line(at), last_line: line(end) });
        }
    }
    found
}

/// Whether `word` stands in the blanked text as a whole word or path.
pub(crate) fn names(blanked: &str, word: &str) -> bool {
    blanked.match_indices(word).any(|(at, _)| {
        let before = blanked.as_bytes()[..at].last().copied().unwrap_or(b' ');
        let after = blanked.as_bytes().get(at + word.len()).copied().unwrap_or(b' ');
        !is_word(before) && !is_word(after)
    })
}

/// The closing brace of the body of the function whose `fn` stands at `at`, if it has a body.
fn body_end(bytes: &[u8], at: usize) -> Option<usize> {
    item_end(bytes, at).filter(|end| bytes[*end] == b'}')
}

/// The closing brace or the semicolon of the item that begins at `at`.
fn item_end(bytes: &[u8], at: usize) -> Option<usize> {
    let (mut brackets, mut braces) = (0_i32, 0_i32);
    for (position, byte) in bytes.iter().enumerate().skip(at) {
        match byte {
            b'(' | b'[' if braces == 0 => brackets += 1,
            b')' | b']' if braces == 0 => brackets -= 1,
            b';' if braces == 0 && brackets == 0 => return Some(position),
            b'{' => braces += 1,
            b'}' => {
                braces -= 1;
                if braces <= 0 {
                    return (braces == 0).then_some(position);
                }
            }
            _ => {}
        }
    }
    None
}

/// Where the comment or literal that begins at `at` ends; `at` itself if none begins there.
fn literal_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let in_word = at > 0 && is_word(bytes[at - 1]);
    match rest {
        [b'/', b'/', ..] => at + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => at + block_comment_length(rest),
        [b'"', ..] => at + string_length(rest),
        [b'\'', ..] => at + char_length(rest),
        [b'b' | b'c', b'"', ..] if !in_word => at + 1 + string_length(&rest[1..]),
        [b'b', b'\'', ..] if !in_word => at + 1 + char_length(&rest[1..]),
        [b'r', b'"' | b'#', ..] if !in_word => at + raw_string_length(rest, 1),
        [b'b' | b'c', b'r', b'"' | b'#', ..] if !in_word => at + raw_string_length(rest, 2),
        _ => at,
    }
}

fn block_comment_length(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    rest.len()
}

fn string_length(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of a character literal, or 0 for a lifetime or label.
fn char_length(rest: &[u8]) -> usize {
    match rest {
        [_, b'\\', _, tail @ ..] => {
            tail.iter().position(|b| *b == b'\'').map_or(rest.len(), |p| p + 4)
        }
        [_, first, ..] => {
            let width = std::str::from_utf8(&rest[1..rest.len().min(5)])
                .map_or_else(|fault| fault.valid_up_to(), str::len)
                .min(char_width(*first));
            if rest.get(1 + width) == Some(&b'\'') { width + 2 } else { 0 }
        }
        _ => 0,
    }
}

fn char_width(first: u8) -> usize {
    match first {
        0x00..=0x7f => 1,
        0x80..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => 4,
    }
}

/// The length of a raw string whose `r` ends at `prefix`, or 0 for a raw identifier.
fn raw_string_length(rest: &[u8], prefix: usize) -> usize {
    let hashes = rest[prefix..].iter().take_while(|b| **b == b'#').count();
    if rest.get(prefix + hashes) != Some(&b'"') {
        return 0;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let body = prefix + hashes + 1;
    rest[body..]
        .windows(close.len())
        .position(|window| window == close)
        .map_or(rest.len(), |p| body + p + close.len())
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[test]
fn comments_strings_and_characters_are_blanked_and_lifetimes_are_not() {
    let code =
        "let a = \"fn x() {\"; // fn y\n/* { /* { */ */ let b = '{'; let c: &'a str = r#\"\"}\"#;";
    let blanked = blank(code);
    assert_eq!(blanked.len(), code.len());
    assert!(!blanked.contains('{') && !blanked.contains('}'), "{blanked}");
    assert!(blanked.contains("&'a str"));
    assert_eq!(blank("b'\\'' '\\u{1F600}' 'я' 'static").trim(), "'static");
}

#[test]
fn a_function_is_measured_from_its_name_to_its_closing_brace() {
    let code = "trait T { fn none(&self) -> [u8; 2]; }\nfn one() -> i32 {\n    if true { 1 } else { 2 }\n}\n";
    let found = functions(&blank(code));
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].name.as_str(), found[0].lines()), ("one", 3));
}

#[test]
fn what_only_tests_compile_is_blanked_and_nothing_else() {
    let code =
        "use a;\n#[cfg(test)]\nuse b::{c, d};\n#[cfg(test)]\nmod t {\n fn e() {}\n}\nfn f() {}\n";
    let left = without_tests(&blank(code));
    assert_eq!(left.split_whitespace().collect::<String>(), "usea;fnf(){}");
    assert_eq!(left.lines().count(), code.lines().count());
}
