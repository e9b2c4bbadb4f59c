//! Getters for keys with one value.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::raw::RawValue;
use crate::section::Section;
use crate::source::{Span, Spanned};
use crate::suggest;

/// A word of the file and what it stands for; `None`: a later version has it.
pub(crate) type Choice<T> = (&'static str, Option<T>);

impl<'a> Section<'a> {
    /// A string.
    pub(crate) fn text(&self, faults: &mut Faults, key: &str) -> Option<Spanned<&'a str>> {
        let found = self.get(key)?;
        match &found.value {
            RawValue::Text(text) => Some(found.with(text.as_str())),
            _ => {
                self.wrong_type(faults, key, found);
                None
            }
        }
    }

    /// A string that `parse` understands; its error is the message, and no part of the text.
    pub(crate) fn parsed<T, E: std::fmt::Display>(
        &self,
        faults: &mut Faults,
        key: &str,
        code: Code,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(faults, key)?;
        parse(text.value)
            .inspect_err(|error| {
                faults.add(code, text.span, format!("{key:?}: {error}"));
            })
            .ok()
    }

    /// True or false.
    pub(crate) fn flag(&self, faults: &mut Faults, key: &str, default: bool) -> bool {
        match self.get(key) {
            None => default,
            Some(Spanned { value: RawValue::Flag(flag), .. }) => *flag,
            Some(found) => {
                self.wrong_type(faults, key, found);
                default
            }
        }
    }

    /// A whole number within a range.
    pub(crate) fn whole<T: TryFrom<i64> + Copy>(
        &self,
        faults: &mut Faults,
        key: &str,
        default: T,
        allowed: RangeInclusive<i64>,
    ) -> T {
        let Some(found) = self.get(key) else { return default };
        let RawValue::Whole(number) = found.value else {
            self.wrong_type(faults, key, found);
            return default;
        };
        match T::try_from(number) {
            Ok(value) if allowed.contains(&number) => value,
            _ => {
                let (least, most) = allowed.into_inner();
                let message = format!("{key:?} is {number}, allowed are {least} to {most}");
                faults.add(Code::OutOfRange, found.span, message);
                default
            }
        }
    }

    /// Seconds, perhaps with a fraction, within a range; zero too where it means "never".
    pub(crate) fn seconds(
        &self,
        faults: &mut Faults,
        key: &str,
        allowed: RangeInclusive<u32>,
        zero: Zero,
    ) -> Option<Duration> {
        let found = self.get(key)?;
        let seconds = match found.value {
            RawValue::Whole(number) => number as f64,
            RawValue::Fraction(number) => number,
            _ => {
                self.wrong_type(faults, key, found);
                return None;
            }
        };
        let (least, most) = allowed.into_inner();
        let is_zero = seconds == 0.0 && zero == Zero::MeansNever;
        if is_zero || (f64::from(least)..=f64::from(most)).contains(&seconds) {
            // Milliseconds are what the file can say without rounding on the way back.
            return Some(Duration::from_millis((seconds * 1000.0).round() as u64));
        }
        let never = if zero == Zero::MeansNever { ", or 0 for never" } else { "" };
        let message = format!("{key:?} is {seconds}, allowed are {least} to {most} seconds{never}");
        faults.add(Code::OutOfRange, found.span, message);
        None
    }

    /// One word of several.
    pub(crate) fn choice<T: Copy>(
        &self,
        faults: &mut Faults,
        key: &str,
        choices: &[Choice<T>],
    ) -> Option<T> {
        let word = self.text(faults, key)?;
        choose(faults, key, word, choices)
    }

    /// An absolute path.
    pub(crate) fn path(&self, faults: &mut Faults, key: &str) -> Option<PathBuf> {
        let text = self.text(faults, key)?;
        absolute_path(faults, key, text)
    }
}

/// Whether zero is among the seconds that are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zero {
    MeansNever,
    IsRefused,
}

/// What a word stands for, or a fault with the nearest word.
pub(crate) fn choose<T: Copy>(
    faults: &mut Faults,
    key: &str,
    word: Spanned<&str>,
    choices: &[Choice<T>],
) -> Option<T> {
    match choices.iter().find(|(name, _)| *name == word.value) {
        Some((_, Some(value))) => Some(*value),
        Some((_, None)) => {
            not_built(faults, word.span, &format!("{key} = {:?}", word.value));
            None
        }
        None => {
            let built = || choices.iter().filter(|(_, value)| value.is_some());
            let names = || built().map(|(name, _)| *name);
            let near = match suggest::nearest(word.value, names()) {
                Some(near) => format!("did you mean {near:?}? "),
                None => String::new(),
            };
            faults
                .add(Code::BadChoice, word.span, format!("{key:?} cannot be {:?}", word.value))
                .help(format!("{near}possible: {}", suggest::list(names())));
            None
        }
    }
}

/// Says that a later version will have this.
pub(crate) fn not_built(faults: &mut Faults, span: Span, what: &str) {
    faults
        .add(Code::NotBuiltYet, span, format!("{what} is not built yet"))
        .help("a later version of Dozvon will read it; until then leave it out");
}

/// An absolute path without `..`.
pub(crate) fn absolute_path(
    faults: &mut Faults,
    key: &str,
    text: Spanned<&str>,
) -> Option<PathBuf> {
    let path = PathBuf::from(text.value);
    let climbs = path.components().any(|part| part == std::path::Component::ParentDir);
    if path.is_absolute() && !climbs && !text.value.contains('\0') {
        return Some(path);
    }
    faults
        .add(Code::BadPath, text.span, format!("{key:?} wants an absolute path without \"..\""))
        .help("a daemon has no folder of its own that a relative path could start from");
    None
}
