//! The common outer form of challenges and credentials: schemes and their parameters
//! (RFC 3261 section 25.1, `auth-param`; RFC 7235 section 2.1).

use crate::message::scan;

/// One element of a header field value that holds challenges or credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// A scheme such as `Digest`; the parameters after it belong to it.
    Scheme(&'a [u8]),
    /// `name=value` or `name="value"`.
    Param(Param<'a>),
    /// Something that is neither; what follows may still be read.
    Junk,
}

/// One parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Param<'a> {
    /// The name as it came; compare without case.
    pub(super) name: &'a [u8],
    /// The value without its quotes, escapes left as they are: digests are computed over this
    /// form, and it can be written back between quotes. `None`: it cannot be written back.
    pub(super) value: Option<&'a [u8]>,
}

/// Walks over the items of one header field value. Never fails: what cannot be read is
/// [`Item::Junk`], and a string without its end ends the walk.
#[derive(Clone, Debug)]
pub(super) struct Items<'a> {
    rest: &'a [u8],
}

impl<'a> Items<'a> {
    pub(super) fn new(value: &'a [u8]) -> Self {
        Self { rest: value }
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|&byte| !wanted(byte)).unwrap_or(self.rest.len());
        scan::tally(end + 1);
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn value(&mut self) -> Option<&'a [u8]> {
        if self.rest.first() != Some(&b'"') {
            let taken = self.take_while(|byte| byte != b',' && !is_space(byte));
            let writable = !taken.iter().any(|&byte| byte == b'"' || byte == b'\\');
            return (writable && taken.iter().all(|&byte| is_printable(byte))).then_some(taken);
        }
        let body = &self.rest[1..];
        let Some(end) = closing_quote(body) else {
            self.rest = &[];
            return None;
        };
        self.rest = &body[end + 1..];
        let taken = &body[..end];
        taken.iter().all(|&byte| is_printable(byte)).then_some(taken)
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        self.take_while(|byte| byte == b',' || is_space(byte));
        if self.rest.is_empty() {
            return None;
        }
        let name = self.take_while(is_token);
        if name.is_empty() {
            // At least one byte is consumed, so a value of garbage cannot hold us here.
            self.rest = &self.rest[1..];
            self.take_while(|byte| byte != b',');
            return Some(Item::Junk);
        }
        let spaces = self.take_while(is_space);
        match self.rest.first() {
            Some(b'=') => {
                self.rest = &self.rest[1..];
                self.take_while(is_space);
                Some(Item::Param(Param { name, value: self.value() }))
            }
            None | Some(b',') => Some(Item::Scheme(name)),
            Some(_) if !spaces.is_empty() => Some(Item::Scheme(name)),
            // The rest of a token68, as NTLM has it.
            Some(_) => {
                self.take_while(|byte| byte != b',');
                Some(Item::Junk)
            }
        }
    }
}

/// Whether two spellings of a quoted string mean the same text: `raw` has its escapes still,
/// `text` never had any.
pub(super) fn means(raw: &[u8], text: &[u8]) -> bool {
    let mut left = raw.iter().copied();
    let mut right = text.iter().copied();
    loop {
        let byte = match left.next() {
            Some(b'\\') => left.next(),
            other => other,
        };
        match (byte, right.next()) {
            (None, None) => return true,
            (a, b) if a == b => {}
            _ => return false,
        }
    }
}

fn closing_quote(body: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        scan::tally(1);
        match *body.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

fn is_printable(byte: u8) -> bool {
    byte >= b' ' && byte != 0x7f
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Vec<String> {
        Items::new(value.as_bytes())
            .map(|item| match item {
                Item::Scheme(name) => String::from_utf8_lossy(name).into_owned(),
                Item::Param(Param { name, value }) => format!(
                    "{}={}",
                    String::from_utf8_lossy(name),
                    value.map_or("!".into(), String::from_utf8_lossy)
                ),
                Item::Junk => "junk".to_owned(),
            })
            .collect()
    }

    #[test]
    fn schemes_and_parameters_are_told_apart() {
        assert_eq!(
            read("Digest realm=\"a, Digest b\",nonce = \"c\\\"d\" , qop=auth, Basic realm=x"),
            ["Digest", "realm=a, Digest b", "nonce=c\\\"d", "qop=auth", "Basic", "realm=x"]
        );
        assert_eq!(
            read("Negotiate, NTLM TlRM/TVNT==,Digest a=1"),
            ["Negotiate", "NTLM", "junk", "Digest", "a=1"]
        );
        assert_eq!(read("Digest realm=\"a\"\r\n nonce=\"b\""), ["Digest", "realm=a", "nonce=b"]);
    }

    #[test]
    fn what_cannot_be_written_back_has_no_value() {
        assert_eq!(read("Digest nonce=\"a\r\nX: y\""), ["Digest", "nonce=!"]);
        assert_eq!(read("Digest nonce=a\"b"), ["Digest", "nonce=!"]);
        assert_eq!(read("Digest nonce=\"open"), ["Digest", "nonce=!"]);
        assert_eq!(read("Digest nonce=\"open\\"), ["Digest", "nonce=!"]);
    }

    #[test]
    fn garbage_is_walked_over_to_its_end() {
        let all: Vec<u8> = (0..=255).collect();
        for start in 0..all.len() {
            assert!(Items::new(&all[start..]).count() <= 256);
        }
        assert_eq!(read("=,\"x\",;;;,Digest a=1"), ["junk", "junk", "junk", "Digest", "a=1"]);
    }

    #[test]
    fn an_escaped_realm_means_its_text() {
        assert!(means(b"my \\\"home\\\"", b"my \"home\""));
        assert!(!means(b"home", b"homer"));
        assert!(!means(b"homer", b"home"));
    }
}
