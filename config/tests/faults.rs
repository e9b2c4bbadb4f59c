//! Wrong files, and the exact texts with which they are answered.
//!
//! Each `faults/NAME.toml` has its answer in `faults/NAME.txt`. A line `#--- FILE` begins another
//! file, as if the first had included it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use config::{Code, Source};

/// How many pairs there are.
const PAIRS: usize = 86;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults")
}

/// The names of the pairs, in order.
fn names() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).expect("the folder is in the repository");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("a folder that lists").file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".toml").map(str::to_owned))
        .collect();
    names.sort();
    names
}

#[expect(clippy::disallowed_methods, reason = "a test reads the files beside it")]
fn read(name: &str, extension: &str) -> String {
    let path = folder().join(name).with_extension(extension);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What `check` prints about a file, and the codes in it.
fn answer(text: &str) -> (String, Vec<Code>) {
    let mut files = vec![("dozvon.toml", String::new())];
    for line in text.split_inclusive('\n') {
        match line.strip_prefix("#--- ") {
            Some(name) => files.push((name.trim_end(), String::new())),
            None => files.last_mut().unwrap().1.push_str(line),
        }
    }
    let sources: Vec<Source<'_>> = files.iter().map(|(name, text)| Source { name, text }).collect();
    let report = match config::parse(&sources) {
        Ok(checked) => checked.warnings,
        Err(report) => report,
    };
    (report.to_string(), report.diagnostics.iter().map(|found| found.code).collect())
}

#[test]
fn each_wrong_file_is_answered_with_exactly_its_text() {
    let names = names();
    assert_eq!(names.len(), PAIRS, "pairs in the folder");
    let mut wrong = Vec::new();
    for name in &names {
        let (found, _) = answer(&read(name, "toml"));
        let expected = read(name, "txt");
        if found != expected {
            wrong.push(format!("{name}: expected\n{expected}\nfound\n{found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_code_is_the_answer_to_some_file() {
    let told: BTreeSet<Code> = names().iter().flat_map(|n| answer(&read(n, "toml")).1).collect();
    let untold: Vec<_> = Code::ALL.iter().filter(|code| !told.contains(code)).collect();
    assert!(untold.is_empty(), "codes that no file is answered with: {untold:?}");
}

/// Run with `--ignored` after a wording has changed, and read the difference.
#[test]
#[ignore = "writes the expected texts"]
#[expect(clippy::disallowed_methods, reason = "it writes the files beside it")]
fn write_the_expected_texts() {
    for name in names() {
        let (found, _) = answer(&read(&name, "toml"));
        std::fs::write(folder().join(name).with_extension("txt"), found).unwrap();
    }
}
