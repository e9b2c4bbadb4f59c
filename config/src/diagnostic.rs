//! What is wrong with a file, where, and what helps.

use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The daemon does not start with it.
    Error,
    /// The daemon starts, and the operator should know.
    Warning,
}

/// What is wrong, as a stable word such as `route-unknown-trunk`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code(&'static str);

impl Code {
    /// The word.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

/// One fault or warning. `Display` is the whole form with excerpt and help, for a terminal;
/// a log line takes [`Diagnostic::headline`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub code: Code,
    /// The same in words; holds no secret and no full number.
    pub message: String,
    /// Where; `None`: something is missing in the file as a whole.
    pub place: Option<Place>,
    /// What helps, a line each.
    pub help: Vec<String>,
}

/// A place in a file. Its excerpt shows no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's name.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The line's text.
    pub excerpt: String,
    /// Characters of the excerpt before the carets.
    pub caret_start: usize,
    /// How many carets, at least 1.
    pub caret_count: usize,
}

/// Faults and warnings in the order of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Each with its place.
    pub diagnostics: Vec<Diagnostic>,
}

impl Diagnostic {
    /// Severity, code, message and place in one line, without the excerpt.
    pub fn headline(&self) -> String {
        self.message.clone()
    }
}

impl Report {
    /// Whether any of them is an error.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = f;
        Ok(())
    }
}
