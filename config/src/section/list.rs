//! Getters for keys with several values.

use std::collections::BTreeMap;

use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::raw::RawValue;
use crate::section::Section;
use crate::source::{Span, Spanned};
use crate::suggest;

impl<'a> Section<'a> {
    /// A list of strings, or one string for a list of one. A value that stands there twice is a
    /// fault, and so is an empty list.
    pub(crate) fn texts(&self, faults: &mut Faults, key: &str) -> Option<Vec<Spanned<&'a str>>> {
        let texts = self.texts_or_none(faults, key)?;
        if texts.is_empty() {
            let span = self.place_of(key);
            faults.add(Code::EmptyList, span, format!("{key:?} cannot be empty"));
            return None;
        }
        Some(texts)
    }

    /// The same, where nothing may stand.
    pub(crate) fn texts_or_none(
        &self,
        faults: &mut Faults,
        key: &str,
    ) -> Option<Vec<Spanned<&'a str>>> {
        let found = self.get(key)?;
        let values: &[Spanned<RawValue>] = match &found.value {
            RawValue::Text(text) => return Some(vec![found.with(text.as_str())]),
            RawValue::List(values) => values,
            _ => {
                self.wrong_type(faults, key, found);
                return None;
            }
        };
        let mut texts = Vec::new();
        let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
        for value in values {
            let RawValue::Text(text) = &value.value else {
                self.wrong_type(faults, key, value);
                continue;
            };
            match seen.insert(text, value.span) {
                None => texts.push(value.with(text.as_str())),
                Some(first) => {
                    let message = format!("{key:?} holds this value twice");
                    faults.add(Code::DuplicateValue, value.span, message).see("also at", first);
                }
            }
        }
        Some(texts)
    }

    /// Strings that `parse` understands, with the places of those it does.
    pub(crate) fn parsed_texts<T, E: std::fmt::Display>(
        &self,
        faults: &mut Faults,
        key: &str,
        code: Code,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<Spanned<T>>> {
        let texts = self.texts(faults, key)?;
        Some(parse_each(faults, key, code, texts, parse))
    }

    /// A list whose values may be strings or tables.
    pub(crate) fn values(&self, faults: &mut Faults, key: &str) -> Option<&'a [Spanned<RawValue>]> {
        let found = self.get(key)?;
        match &found.value {
            RawValue::List(values) if values.is_empty() => {
                faults.add(Code::EmptyList, found.span, format!("{key:?} cannot be empty"));
                None
            }
            RawValue::List(values) => Some(values),
            _ => {
                self.wrong_type(faults, key, found);
                None
            }
        }
    }

    /// A value of the wrong type, in a list or by itself.
    pub(crate) fn wrong_element(&self, faults: &mut Faults, key: &str, found: &Spanned<RawValue>) {
        self.wrong_type(faults, key, found);
    }
}

/// What `parse` understands of some texts; the rest are faults.
pub(crate) fn parse_each<T, E: std::fmt::Display>(
    faults: &mut Faults,
    key: &str,
    code: Code,
    texts: Vec<Spanned<&str>>,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Vec<Spanned<T>> {
    let parse_one = |text: Spanned<&str>| match parse(text.value) {
        Ok(value) => Some(text.with(value)),
        Err(error) => {
            faults.add(code, text.span, format!("{key:?}: {error}"));
            None
        }
    };
    texts.into_iter().filter_map(parse_one).collect()
}

/// Whether a name is the name of a part that the files define; if not, that is a fault.
pub(crate) fn is_known(
    faults: &mut Faults,
    code: Code,
    what: &str,
    name: Spanned<&str>,
    known: &[&str],
) -> bool {
    if known.contains(&name.value) {
        return true;
    }
    let near = match suggest::nearest(name.value, known.iter().copied()) {
        Some(near) => format!("did you mean {near:?}? "),
        None => String::new(),
    };
    let listed = match known {
        [] => format!("there is no {what} in this file"),
        _ if known.len() > 20 => format!("this file has {} {what}s", known.len()),
        _ => format!("{what}s in this file: {}", suggest::list(known.iter().copied())),
    };
    faults
        .add(code, name.span, format!("no {what} is named {:?}", name.value))
        .help(format!("{near}{listed}"));
    false
}
