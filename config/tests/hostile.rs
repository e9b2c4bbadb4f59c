//! Texts that nobody would write: no answer is a panic, and no answer shows a secret.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use config::Source;

const EXAMPLE: &str = include_str!("../dozvon.example.toml");
/// Stands where secrets may stand, and nowhere else.
const SECRET: &str = "xyzzy-Plugh";
/// Seeds that once failed are kept in this list; the others are consecutive.
const FAILED: &[u64] = &[];
const SEEDS: u64 = 500;

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap()
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

/// What is put into lines: what TOML, a terminal or a number could stumble over.
const PIECES: &[&str] = &[
    "",
    "\"",
    "'",
    "\"\"\"",
    "'''",
    "[",
    "]",
    "[[",
    "{",
    "}",
    "=",
    ",",
    ".",
    "#",
    "\\",
    "\\u",
    "\n",
    "\r",
    "\t",
    "\u{0}",
    "\u{1b}[31m",
    "\u{202e}",
    "ё",
    "𝄞",
    "-",
    "+",
    "0",
    "9223372036854775808",
    "-1",
    "1e999",
    "nan",
    "inf",
    "true",
    "1979-05-27",
    "null",
    "\"\"",
    "[]",
    "{}",
    "a.b.c = 1",
    "\"+7\"",
    "\"999999999999999999999\"",
    "\"::\"",
    "\"[::1]:0\"",
    "\"http://u:p@h\"",
];

fn mutate(random: &mut Random, lines: &mut Vec<String>) {
    let at = random.below(lines.len());
    match random.below(6) {
        0 => {
            lines.remove(at);
        }
        1 => {
            let line = lines[at].clone();
            lines.insert(random.below(lines.len()), line);
        }
        2 => {
            let other = random.below(lines.len());
            lines.swap(at, other);
        }
        3 => {
            // The value of a key becomes something else.
            if let Some(equals) = lines[at].find('=') {
                let piece = random.pick(PIECES);
                lines[at].truncate(equals + 1);
                lines[at].push_str(piece);
            }
        }
        4 => {
            let mut characters: Vec<char> = lines[at].chars().collect();
            let place = random.below(characters.len() + 1);
            characters.splice(place..place, random.pick(PIECES).chars());
            lines[at] = characters.into_iter().collect();
        }
        _ => {
            let mut characters: Vec<char> = lines[at].chars().collect();
            if !characters.is_empty() {
                let from = random.below(characters.len());
                let until = from + random.below(characters.len() - from + 1);
                characters.drain(from..until);
                lines[at] = characters.into_iter().collect();
            }
        }
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
}

/// The answer in both forms, and the dump where there is one.
fn answer(text: &str) -> String {
    let source = Source { name: "dozvon.toml", text };
    let globs = config::includes(&source);
    let (report, dumped) = match config::parse(&[source]) {
        Ok(checked) => (checked.warnings, config::dump(&checked.config)),
        Err(report) => {
            assert!(report.has_errors(), "an Err without an error");
            (report, String::new())
        }
    };
    let headlines: Vec<String> = report.diagnostics.iter().map(|d| d.headline()).collect();
    format!("{globs:?}\n{report}\n{}\n{dumped}\n{report:?}", headlines.join("\n"))
}

#[test]
fn no_text_makes_the_reader_panic() {
    let (mut right, mut wrong) = (0, 0);
    for seed in FAILED.iter().copied().chain(0..SEEDS) {
        let mut random = Random(seed);
        let mut lines: Vec<String> = EXAMPLE.lines().map(str::to_owned).collect();
        for _ in 0..=random.below(4) {
            mutate(&mut random, &mut lines);
        }
        let text = lines.join("\n");
        let parsed =
            std::panic::catch_unwind(|| config::parse(&[Source { name: "f", text: &text }]));
        assert!(parsed.is_ok(), "seed {seed} panics with\n{text}");
        std::panic::catch_unwind(|| answer(&text)).unwrap_or_else(|_| panic!("seed {seed}"));
        if parsed.is_ok_and(|parsed| parsed.is_ok()) { right += 1 } else { wrong += 1 }
    }
    println!("{SEEDS} seeds from 0: {right} right, {wrong} wrong");
    assert!(right > 20 && wrong > 200, "the mutations are too mild or too wild: {right}, {wrong}");
}

#[test]
fn any_bytes_are_answered() {
    for seed in 0..SEEDS {
        let mut random = Random(seed);
        let mut text = String::new();
        for _ in 0..random.below(40) {
            text.push_str(random.pick(PIECES));
            if random.below(3) == 0 {
                text.push_str(random.pick(&["api", "trunks", "listen", "password", "routes", " "]));
            }
        }
        let answered = std::panic::catch_unwind(|| answer(&text));
        assert!(answered.is_ok(), "seed {seed} panics with {text:?}");
    }
}

#[test]
fn no_answer_shows_a_secret_whatever_else_is_wrong() {
    let secrets =
        format!("password = \"{SECRET}\" # north\nheaders = {{ X-Auth-Token = \"{SECRET}\" }}\n");
    let clear = EXAMPLE
        .replace("{ credential = \"dozvon-key\" }", &format!("\"{SECRET}\""))
        .replace("old_keys = []", &format!("old_keys = [\"{SECRET}\"]"))
        .replace("dozvon@db.internal", &format!("dozvon:{SECRET}@db.internal"))
        .replace("password = { credential = \"dozvon-db\" }", "")
        .replace("password = { credential = \"trunk-north\" }\n", &secrets)
        .replace("headers = {}", "#");
    assert_eq!(clear.matches(SECRET).count(), 5);
    let is_safe = |text: &str| !answer(text).contains("xyzzy");
    // A header field is written as the operator gave it, also in a dump.
    let without_header = clear.replace(&format!("{{ X-Auth-Token = \"{SECRET}\" }}"), "{}");
    assert!(is_safe(&without_header));
    for seed in 0..SEEDS {
        let mut random = Random(seed);
        let mut lines: Vec<String> = without_header.lines().map(str::to_owned).collect();
        for _ in 0..=random.below(3) {
            let at = random.below(lines.len());
            if !lines[at].contains(SECRET) {
                let mut line = vec![std::mem::take(&mut lines[at])];
                mutate(&mut random, &mut line);
                lines[at] = line.join("\n");
            }
        }
        let text = lines.join("\n");
        assert!(is_safe(&text), "seed {seed} shows a secret:\n{}", answer(&text));
    }
    // Every place at which a line with a secret may be broken off or broken up.
    for line in without_header.lines().filter(|line| line.contains(SECRET)) {
        let key_end = line.find('=').unwrap();
        for at in (key_end..=line.len()).filter(|at| line.is_char_boundary(*at)) {
            for piece in PIECES {
                let broken = format!("{}{piece}{}", &line[..at], &line[at..]);
                let text = format!("[secrets]\nold_keys = []\n{broken}\n[api]\n");
                assert!(is_safe(&text), "{broken:?}:\n{}", answer(&text));
            }
        }
    }
}
