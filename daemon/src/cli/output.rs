//! What the command line prints: tables for people, JSON for programs.

use std::io::{self, IsTerminal, Write};

/// Prints one line to standard output. A closed pipe ends the program quietly, as `head` wants.
pub(super) fn line(text: impl std::fmt::Display) {
    let mut out = io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Prints one line to standard error.
pub(super) fn complain(text: impl std::fmt::Display) {
    // Nobody is left to hear that nobody is left to hear.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether a person reads standard output.
pub(super) fn is_for_people() -> bool {
    io::stdout().is_terminal()
}

/// Columns as wide as their widest cell, a header first; numbers are right-aligned by the
/// caller's choice of `right`.
pub(super) fn table(header: &[&str], right: &[usize], rows: &[Vec<String>]) {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let head: Vec<String> = header.iter().map(|cell| (*cell).to_owned()).collect();
    for row in std::iter::once(&head).chain(rows) {
        let mut text = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let gap = " ".repeat(width - cell.chars().count());
            if right.contains(&column) {
                text.push_str(&gap);
                text.push_str(cell);
            } else {
                text.push_str(cell);
                text.push_str(&gap);
            }
            text.push_str("  ");
        }
        line(text.trim_end());
    }
}
