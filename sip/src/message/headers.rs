//! The header section: an index of slots over the bytes.

mod views;

use std::fmt;

use super::name::HeaderName;
use super::params::Params;
use super::scan;

pub use views::{AddressList, MALFORMED_EXPIRES_S, Q850, RAck};

/// More header lines than this are a fault: the carriers' longest have about forty.
pub const HEADERS_LIMIT: usize = 128;

/// No slot.
const NONE: u8 = u8::MAX;

/// One header line: where its name and its value stand.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    name_start: u32,
    value_start: u32,
    value_end: u32,
    name_len: u16,
    name: HeaderName,
    /// The next line of the same name.
    next: u8,
}

const EMPTY_SLOT: Slot = Slot {
    name_start: 0,
    value_start: 0,
    value_end: 0,
    name_len: 0,
    name: HeaderName::Other,
    next: NONE,
};

/// The slots of one message, in the order of its lines, chained by name.
pub(crate) struct Index {
    slots: [Slot; HEADERS_LIMIT],
    len: u8,
    first: [u8; HeaderName::COUNT],
    last: [u8; HeaderName::COUNT],
}

impl Index {
    pub(crate) const fn new() -> Self {
        Self {
            slots: [EMPTY_SLOT; HEADERS_LIMIT],
            len: 0,
            first: [NONE; HeaderName::COUNT],
            last: [NONE; HeaderName::COUNT],
        }
    }

    pub(crate) const fn clear(&mut self) {
        self.len = 0;
        self.first = [NONE; HeaderName::COUNT];
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.len as usize == HEADERS_LIMIT
    }

    pub(crate) const fn has(&self, name: HeaderName) -> bool {
        self.first[name as usize] != NONE
    }

    /// Adds a line; offsets are below the message limit and so fit 32 bits.
    pub(crate) fn push(
        &mut self,
        name: HeaderName,
        name_at: (usize, usize),
        value: (usize, usize),
    ) {
        let at = self.len;
        self.slots[at as usize] = Slot {
            name_start: name_at.0 as u32,
            name_len: (name_at.1 - name_at.0).min(usize::from(u16::MAX)) as u16,
            value_start: value.0 as u32,
            value_end: value.1 as u32,
            name,
            next: NONE,
        };
        match self.first[name as usize] {
            NONE => self.first[name as usize] = at,
            _ => self.slots[self.last[name as usize] as usize].next = at,
        }
        self.last[name as usize] = at;
        self.len += 1;
    }
}

/// The header section of a message, or of what could be read of a faulty one.
#[derive(Clone, Copy)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    index: &'a Index,
}

/// Bytes of a received header value. White space round it is gone; folds inside are not, and no
/// other CR or LF is there, which is why only the parser makes this type.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a>(pub(in crate::message) &'a [u8]);

impl<'a> Headers<'a> {
    pub(crate) const fn new(bytes: &'a [u8], index: &'a Index) -> Self {
        Self { bytes, index }
    }

    /// How many header lines there are.
    pub const fn len(&self) -> usize {
        self.index.len as usize
    }

    /// True without any header line.
    pub const fn is_empty(&self) -> bool {
        self.index.len == 0
    }

    /// Whether there is a line of this name.
    pub const fn has(&self, name: HeaderName) -> bool {
        self.index.has(name)
    }

    /// The value of the first line of this name.
    pub fn get(&self, name: HeaderName) -> Option<Raw<'a>> {
        self.lines(name).next()
    }

    /// The values of all lines of this name, in order; lists are not split.
    pub fn lines(&self, name: HeaderName) -> Lines<'a> {
        Lines { headers: *self, at: self.index.first[name as usize] }
    }

    /// The elements of all lines of this name, split at commas outside quotes and angle brackets;
    /// empty elements are passed over.
    pub fn elements(&self, name: HeaderName) -> impl Iterator<Item = Raw<'a>> + use<'a> {
        self.lines(name)
            .flat_map(|line| scan::List::new(line.0))
            .filter(|element| !element.is_empty())
            .map(Raw)
    }

    /// The value of the first line of this name, which need not be one that we know.
    pub fn get_named(&self, name: &str) -> Option<Raw<'a>> {
        match HeaderName::from_bytes(name.as_bytes()) {
            HeaderName::Other => self
                .slots_of(self.index.first[HeaderName::Other as usize])
                .find(|slot| self.name_of(slot).eq_ignore_ascii_case(name.as_bytes()))
                .map(|slot| self.value_of(slot)),
            known => self.get(known),
        }
    }

    /// Every line in order: what it is, its name as written, its value.
    pub fn iter(&self) -> impl Iterator<Item = (HeaderName, &'a [u8], Raw<'a>)> + use<'a> {
        let headers = *self;
        self.index.slots[..self.len()]
            .iter()
            .map(move |slot| (slot.name, headers.name_of(slot), headers.value_of(slot)))
    }

    fn slots_of(&self, first: u8) -> impl Iterator<Item = &'a Slot> + use<'a> {
        let index = self.index;
        std::iter::successors(index.slots.get(usize::from(first)), |slot| {
            index.slots.get(usize::from(slot.next))
        })
    }

    fn name_of(&self, slot: &Slot) -> &'a [u8] {
        let start = slot.name_start as usize;
        &self.bytes[start..start + usize::from(slot.name_len)]
    }

    fn value_of(&self, slot: &Slot) -> Raw<'a> {
        Raw(&self.bytes[slot.value_start as usize..slot.value_end as usize])
    }
}

/// The values of the lines of one name.
#[derive(Clone)]
pub struct Lines<'a> {
    headers: Headers<'a>,
    at: u8,
}

impl<'a> Iterator for Lines<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        let slot = self.headers.index.slots.get(usize::from(self.at))?;
        self.at = slot.next;
        Some(self.headers.value_of(slot))
    }
}

impl<'a> Raw<'a> {
    /// The bytes, with folds as they came.
    pub const fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// Appends the value with each fold as one space, so that it stands on one line.
    pub fn unfold_into(self, out: &mut Vec<u8>) {
        let mut rest = self.0;
        while let Some(at) = scan::find2(b'\r', b'\n', rest) {
            out.extend_from_slice(&rest[..at]);
            out.push(b' ');
            rest = &rest[at..];
            while let [byte, tail @ ..] = rest
                && scan::is_lws(*byte)
            {
                rest = tail;
            }
        }
        out.extend_from_slice(rest);
    }

    /// The parameters behind the first semicolon of a value such as `session;handling=optional`.
    pub fn params(self) -> Params<'a> {
        Params::new(scan::find_unquoted(b';', self.0).map_or(&[], |at| &self.0[at..]))
    }

    /// The value on one line, to be kept.
    pub fn to_vec(self) -> Vec<u8> {
        let mut line = Vec::with_capacity(self.0.len());
        self.unfold_into(&mut line);
        line
    }
}

impl AsRef<[u8]> for Raw<'_> {
    fn as_ref(&self) -> &[u8] {
        self.0
    }
}

impl fmt::Debug for Raw<'_> {
    /// The length alone: a value may hold a number, a code or a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raw({} bytes)", self.0.len())
    }
}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Headers({} lines)", self.len())
    }
}
