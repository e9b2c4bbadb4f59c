//! Collecting faults while the files are read.

use crate::diagnostic::{Code, Diagnostic, Report, Severity, excerpt, mask};
use crate::source::{Source, Span};

/// Everything that was found so far.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    list: Vec<Fault>,
    errors: usize,
}

/// One fault, before its place is looked up.
#[derive(Debug)]
pub(crate) struct Fault {
    code: Code,
    message: String,
    span: Option<Span>,
    help: Vec<Help>,
}

#[derive(Debug)]
enum Help {
    Text(String),
    /// A text that ends with a place.
    See(String, Span),
}

impl Faults {
    /// Notes what is wrong at a place; help can be hung on what is returned.
    pub(crate) fn add(
        &mut self,
        code: Code,
        span: impl Into<Option<Span>>,
        message: impl Into<String>,
    ) -> &mut Fault {
        let at = self.list.len();
        let help = Vec::new();
        self.errors += usize::from(code.severity() == Severity::Error);
        self.list.push(Fault { code, message: message.into(), span: span.into(), help });
        &mut self.list[at]
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// What `read` returns, unless it found an error.
    pub(crate) fn unless_wrong<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let before = self.errors;
        let value = read(self);
        (self.errors == before).then_some(value)
    }

    /// Looks every place up. What stands at `secrets` is shown as `***`.
    pub(crate) fn into_report(mut self, sources: &[Source<'_>], secrets: &[Span]) -> Report {
        self.list.sort_by_key(|fault| fault.span.map_or((usize::MAX, 0), |s| (s.file, s.start)));
        let place_of = |span: Span| {
            let source = sources.get(span.file)?;
            let masks = mask::masks(source, span, secrets);
            Some(excerpt::place(source, span, &masks))
        };
        let see = |text: String, span: Span| match sources.get(span.file) {
            Some(source) => {
                let (line, column) = source.position(span.start);
                format!("{text} {}:{line}:{column}", source.name)
            }
            None => text,
        };
        let diagnostics = self.list.into_iter().map(|fault| Diagnostic {
            code: fault.code,
            message: fault.message,
            place: fault.span.and_then(place_of),
            help: fault
                .help
                .into_iter()
                .map(|help| match help {
                    Help::Text(text) => text,
                    Help::See(text, span) => see(text, span),
                })
                .collect(),
        });
        Report { diagnostics: diagnostics.collect() }
    }
}

impl Fault {
    /// A line of help.
    pub(crate) fn help(&mut self, text: impl Into<String>) -> &mut Self {
        self.help.push(Help::Text(text.into()));
        self
    }

    /// A line of help that ends with a place.
    pub(crate) fn see(&mut self, text: impl Into<String>, span: Span) -> &mut Self {
        self.help.push(Help::See(text.into(), span));
        self
    }
}
