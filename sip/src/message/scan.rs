//! The byte scanners that everything else here is made of.
//!
//! Each walks forward and never goes back, so that the work for a message grows with its size.
//! Under test each reports the bytes it looked at; `worst_shapes` below holds them to that.

use memchr::{memchr, memchr2, memchr3};

/// Reports looked-at bytes to the work counter, which exists only under test.
#[inline(always)]
pub(crate) fn tally(looked_at: usize) {
    #[cfg(test)]
    work::add(looked_at);
    #[cfg(not(test))]
    let _: usize = looked_at;
}

/// Linear white space inside an indexed value: the parser leaves CR and LF only where a line folds.
#[inline]
pub(crate) const fn is_lws(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// A token character (RFC 3261 section 25.1).
#[inline]
pub(crate) const fn is_token(byte: u8) -> bool {
    TOKEN[byte as usize]
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(byte as u8,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9'
            | b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~');
        byte += 1;
    }
    table
};

/// True for a non-empty run of token characters.
#[inline]
pub(crate) fn is_token_run(bytes: &[u8]) -> bool {
    tally(bytes.len());
    !bytes.is_empty() && bytes.iter().all(|byte| is_token(*byte))
}

/// The bytes without white space at either end.
#[inline]
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    trim_end(trim_start(bytes))
}

/// The bytes without white space behind.
#[inline]
pub(crate) fn trim_end(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let [head @ .., last] = rest
        && is_lws(*last)
    {
        rest = head;
    }
    tally(bytes.len() - rest.len() + 1);
    rest
}

/// The bytes without white space in front.
#[inline]
pub(crate) fn trim_start(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let [first, tail @ ..] = rest
        && is_lws(*first)
    {
        rest = tail;
    }
    tally(bytes.len() - rest.len() + 1);
    rest
}

/// True when a byte is white space or a control character.
#[inline]
pub(crate) fn has_space_or_control(bytes: &[u8]) -> bool {
    tally(bytes.len());
    // A fold without an early exit is what the compiler turns into vector code.
    bytes.iter().fold(false, |found, byte| found | (*byte <= b' ') | (*byte == 0x7f))
}

/// True when a byte is a control character other than a tab.
#[inline]
pub(crate) fn has_control(bytes: &[u8]) -> bool {
    tally(bytes.len());
    bytes
        .iter()
        .fold(false, |found, byte| found | ((*byte < b' ') & (*byte != b'\t')) | (*byte == 0x7f))
}

/// Where `needle` first stands.
#[inline]
pub(crate) fn find(needle: u8, bytes: &[u8]) -> Option<usize> {
    let found = memchr(needle, bytes);
    tally(found.map_or(bytes.len(), |at| at + 1));
    found
}

/// Where the first of two bytes stands.
#[inline]
pub(crate) fn find2(one: u8, two: u8, bytes: &[u8]) -> Option<usize> {
    let found = memchr2(one, two, bytes);
    tally(found.map_or(bytes.len(), |at| at + 1));
    found
}

/// Where the first of three bytes stands.
#[inline]
pub(crate) fn find3(one: u8, two: u8, three: u8, bytes: &[u8]) -> Option<usize> {
    let found = memchr3(one, two, three, bytes);
    tally(found.map_or(bytes.len(), |at| at + 1));
    found
}

/// The index just behind the quoted string that opens at `bytes[0]`, or `None` without its end.
#[inline]
pub(crate) fn quoted_end(bytes: &[u8]) -> Option<usize> {
    debug_assert_eq!(bytes.first(), Some(&b'"'));
    let mut at = 1;
    loop {
        at += find2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Whether every quoted string has its end. Where one has not, nothing can be written behind it.
#[inline]
pub(crate) fn quotes_are_closed(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = find(b'"', rest) {
        match quoted_end(&rest[at..]) {
            Some(end) => rest = &rest[at + end..],
            None => return false,
        }
    }
    true
}

/// Where `stop` first stands outside quotes; an unfinished quote hides the rest.
#[inline]
pub(crate) fn find_unquoted(stop: u8, bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += find2(stop, b'"', bytes.get(at..)?)?;
        if bytes[at] == stop {
            return Some(at);
        }
        at += quoted_end(&bytes[at..])?;
    }
}

/// Where the first comma stands outside quotes and angle brackets.
fn list_comma(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += find3(b',', b'"', b'<', bytes.get(at..)?)?;
        match bytes[at] {
            b',' => return Some(at),
            b'"' => at += quoted_end(&bytes[at..])?,
            _ => at += find(b'>', &bytes[at..])? + 1,
        }
    }
}

/// The elements of a comma list, trimmed; empty ones are kept, so that a caller may refuse them.
#[derive(Clone, Debug)]
pub(crate) struct List<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> List<'a> {
    pub(crate) const fn new(value: &'a [u8]) -> Self {
        Self { rest: Some(value) }
    }

    /// What follows the comma behind the last element, untrimmed; `None` at the end.
    pub(crate) const fn rest(&self) -> Option<&'a [u8]> {
        self.rest
    }
}

impl<'a> Iterator for List<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let element = match list_comma(rest) {
            Some(at) => {
                self.rest = Some(&rest[at + 1..]);
                &rest[..at]
            }
            None => {
                self.rest = None;
                rest
            }
        };
        Some(trim(element))
    }
}

/// A run of digits as a number; `None` when there is another byte, none at all, or too many.
#[inline]
pub(crate) fn number<T: TryFrom<u64>>(digits: &[u8]) -> Option<T> {
    tally(digits.len());
    if digits.is_empty() {
        return None;
    }
    let mut value: u64 = 0;
    for byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
    }
    T::try_from(value).ok()
}

#[cfg(test)]
pub(crate) mod work {
    use std::cell::Cell;

    thread_local! {
        static LOOKED_AT: Cell<usize> = const { Cell::new(0) };
    }

    pub(crate) fn add(bytes: usize) {
        LOOKED_AT.with(|counter| counter.set(counter.get() + bytes));
    }

    /// Bytes looked at by this thread while `run` ran.
    pub(crate) fn of(run: impl FnOnce()) -> usize {
        let before = LOOKED_AT.with(Cell::get);
        run();
        LOOKED_AT.with(Cell::get) - before
    }
}
