//! `;name=value` parameters and quoted strings.

use std::borrow::Cow;

use super::scan;

/// The parameters behind a URI, an address or a Via, each `;name` or `;name=value`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Params<'a> {
    raw: &'a [u8],
}

/// One parameter as it stands in the message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Param<'a> {
    /// The name, trimmed.
    pub name: &'a [u8],
    /// The value, trimmed, with its quotes; `None` without an equals sign.
    pub value: Option<&'a [u8]>,
}

impl<'a> Params<'a> {
    /// From the bytes that start at the first semicolon, or are empty.
    pub(crate) const fn new(raw: &'a [u8]) -> Self {
        Self { raw }
    }

    /// Every parameter in order; empty ones (`;;`) are passed over.
    pub fn iter(self) -> ParamsIter<'a> {
        ParamsIter { rest: self.raw }
    }

    /// The first parameter of this name, in any case.
    pub fn get(self, name: &str) -> Option<Param<'a>> {
        self.iter().find(|param| param.is(name))
    }

    /// The value of the first parameter of this name, with its quotes if it has any.
    pub fn value(self, name: &str) -> Option<&'a [u8]> {
        self.get(name).and_then(|param| param.value)
    }

    /// True without a single byte of parameters.
    pub const fn is_empty(self) -> bool {
        self.raw.is_empty()
    }
}

impl<'a> Param<'a> {
    /// Compares the name in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value without its quotes, or nothing for a parameter without one.
    pub fn text(&self) -> Cow<'a, [u8]> {
        unquote(self.value.unwrap_or_default())
    }
}

impl<'a> IntoIterator for Params<'a> {
    type Item = Param<'a>;
    type IntoIter = ParamsIter<'a>;

    fn into_iter(self) -> ParamsIter<'a> {
        self.iter()
    }
}

/// Walks over [`Params`].
#[derive(Clone)]
pub struct ParamsIter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for ParamsIter<'a> {
    type Item = Param<'a>;

    fn next(&mut self) -> Option<Param<'a>> {
        loop {
            let rest = self.rest;
            if rest.is_empty() {
                return None;
            }
            // The first byte is the semicolon in front of this parameter.
            let end = scan::find_unquoted(b';', &rest[1..]).map_or(rest.len(), |at| at + 1);
            self.rest = &rest[end..];
            let part = scan::trim(&rest[1..end]);
            if part.is_empty() {
                continue;
            }
            return Some(split(part));
        }
    }
}

fn split(part: &[u8]) -> Param<'_> {
    match scan::find(b'=', part) {
        Some(at) => {
            Param { name: scan::trim(&part[..at]), value: Some(scan::trim(&part[at + 1..])) }
        }
        None => Param { name: part, value: None },
    }
}

/// A value without its quotes: quoted pairs are resolved and a folded line becomes one space.
/// Borrowed unless there is something to resolve; a value without quotes comes back as it is.
pub fn unquote(value: &[u8]) -> Cow<'_, [u8]> {
    let [b'"', inner @ .., b'"'] = value else { return Cow::Borrowed(value) };
    scan::tally(inner.len());
    if memchr::memchr3(b'\\', b'\r', b'\n', inner).is_none() {
        return Cow::Borrowed(inner);
    }
    let mut text = Vec::with_capacity(inner.len());
    let mut rest = inner;
    loop {
        rest = match rest {
            [] => break,
            [b'\\', byte, tail @ ..] => {
                text.push(*byte);
                tail
            }
            // A fold goes with all its white space.
            [b'\r' | b'\n', ..] => {
                text.push(b' ');
                scan::trim_start(rest)
            }
            [byte, tail @ ..] => {
                text.push(*byte);
                tail
            }
        };
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::{Params, unquote};

    #[test]
    fn parameters_keep_quotes_and_pass_over_empty_ones() {
        let params = Params::new(b"; a = 1 ;;B;c=\"x;y\\\";z\";");
        let all: Vec<_> = params.iter().map(|param| (param.name, param.value)).collect();
        assert_eq!(
            all,
            [(&b"a"[..], Some(&b"1"[..])), (b"B", None), (b"c", Some(b"\"x;y\\\";z\"")),]
        );
        assert!(params.get("b").is_some());
        assert_eq!(params.get("C").unwrap().text(), &b"x;y\";z"[..]);
    }

    #[test]
    fn a_fold_in_a_quoted_string_is_one_space() {
        assert_eq!(unquote(b"\"a\r\n \t b\""), &b"a b"[..]);
        assert_eq!(unquote(b"token"), &b"token"[..]);
        assert_eq!(unquote(b"\""), &b"\""[..]);
    }
}
