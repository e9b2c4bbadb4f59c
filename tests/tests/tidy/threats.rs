//! SECURITY.md names tests that exist.

use std::collections::BTreeSet;
use std::fs;

use crate::{read, root, rust_files};

/// Threats of the trunk side.
const THREATS: usize = 9;

#[test]
fn every_threat_has_tests_and_each_of_them_exists() {
    let text =
        fs::read_to_string(root().join("SECURITY.md")).expect("SECURITY.md stands at the top");
    let rows: Vec<&str> = text.lines().filter(|line| is_row(line)).collect();
    assert_eq!(rows.len(), THREATS);
    let mut code = String::new();
    for folder in ["sip", "daemon", "tests"] {
        for file in rust_files(&root().join(folder)) {
            code.push_str(&read(&file));
        }
    }
    let mut named = BTreeSet::new();
    for row in rows {
        let tests = row.rsplit('|').nth(1).expect("the last column");
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "{row}");
        named.extend(names);
    }
    let missing: Vec<_> =
        named.iter().filter(|name| !code.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    // Whoever plays an attack by its number says so in the table.
    let played =
        code.split(concat!("fn ", "threat_")).skip(1).filter_map(|rest| rest.split('(').next());
    let silent: Vec<_> = played
        .map(|name| format!("threat_{name}"))
        .filter(|name| !named.contains(&**name))
        .collect();
    assert!(silent.is_empty(), "not in SECURITY.md: {silent:#?}");
}

/// A row of the table: its first column is a number.
fn is_row(line: &str) -> bool {
    let first = line.strip_prefix("| ").and_then(|rest| rest.split(' ').next());
    first.is_some_and(|number| number.parse::<u8>().is_ok())
}
