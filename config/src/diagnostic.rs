//! What is wrong with a file, where, and what helps.

mod code;
mod excerpt;
pub(crate) mod fault;
mod mask;

use std::fmt;

pub use code::Code;
pub(crate) use mask::{guessed, is_secret_name};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The daemon does not start with it.
    Error,
    /// The daemon starts, and the operator should know.
    Warning,
}

/// One fault or warning. `Display` is the whole form with excerpt and help, for a terminal;
/// a log line takes [`Diagnostic::headline`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong; also says how bad it is.
    pub code: Code,
    /// The same in words; holds no secret and no full number.
    pub message: String,
    /// Where; `None`: something is missing in the files as a whole.
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
    /// The line's text; a long one is cut around the column.
    pub excerpt: String,
    /// Characters of the excerpt before the carets.
    pub caret_start: usize,
    /// How many carets, at least 1.
    pub caret_count: usize,
}

/// Faults and warnings in the order of the files. `Display` is all of them with excerpts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Each with its place.
    pub diagnostics: Vec<Diagnostic>,
}

impl Diagnostic {
    /// Severity, code, message and place in one line, without the excerpt: an excerpt may hold
    /// numbers, which do not belong into a log.
    pub fn headline(&self) -> String {
        let title = self.title();
        match &self.place {
            Some(place) => format!("{title} ({}:{}:{})", place.file, place.line, place.column),
            None => title,
        }
    }

    fn title(&self) -> String {
        let severity = match self.code.severity() {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        format!("{severity}[{}]: {}", self.code, self.message)
    }
}

impl Report {
    /// Whether any of them is an error.
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many there are of this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.code.severity() == severity).count()
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title())?;
        let mut gutter = 0;
        if let Some(place) = &self.place {
            let number = place.line.to_string();
            gutter = number.len();
            let margin = " ".repeat(gutter);
            let indent = " ".repeat(place.caret_start);
            let carets = "^".repeat(place.caret_count);
            writeln!(f, "{margin}--> {}:{}:{}", place.file, place.line, place.column)?;
            writeln!(f, "{margin} |")?;
            writeln!(f, "{}", format!("{number} | {}", place.excerpt).trim_end())?;
            writeln!(f, "{margin} | {indent}{carets}")?;
        }
        for help in &self.help {
            writeln!(f, "{} = help: {help}", " ".repeat(gutter))?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, diagnostic) in self.diagnostics.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}
