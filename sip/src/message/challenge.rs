//! Challenges: WWW-Authenticate and Proxy-Authenticate (RFC 3261 section 22, RFC 8760).

use std::borrow::Cow;
use std::fmt;

use super::params::unquote;
use super::scan;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asker {
    /// WWW-Authenticate: the server itself. Answered in Authorization.
    Server,
    /// Proxy-Authenticate: a proxy on the way. Answered in Proxy-Authorization.
    Proxy,
}

/// One challenge; a header value may hold several.
#[derive(Clone, Copy)]
pub struct Challenge<'a> {
    /// Who asks.
    pub asker: Asker,
    /// The scheme as written, usually `Digest`.
    pub scheme: &'a [u8],
    params: &'a [u8],
}

impl<'a> Challenge<'a> {
    /// Whether this is a Digest challenge.
    pub fn is_digest(&self) -> bool {
        self.scheme.eq_ignore_ascii_case(b"Digest")
    }

    /// Each `name=value`; names as written, values with their quotes.
    pub fn params(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        scan::List::new(self.params).filter_map(split)
    }

    /// The first parameter of this name, in any case, without its quotes.
    pub fn param(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        self.params()
            .find(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| unquote(value))
    }
}

impl fmt::Debug for Challenge<'_> {
    /// Without the parameters: a nonce is not for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.asker, self.scheme.escape_ascii())
    }
}

fn split(element: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = scan::find(b'=', element)?;
    Some((scan::trim(&element[..at]), scan::trim(&element[at + 1..])))
}

/// The challenges of one header value.
#[derive(Clone, Debug)]
pub(crate) struct Challenges<'a> {
    asker: Asker,
    rest: &'a [u8],
}

impl<'a> Challenges<'a> {
    pub(crate) const fn new(asker: Asker, value: &'a [u8]) -> Self {
        Self { asker, rest: value }
    }
}

impl<'a> Iterator for Challenges<'a> {
    type Item = Challenge<'a>;

    fn next(&mut self) -> Option<Challenge<'a>> {
        let start = scan::trim(self.rest);
        let (scheme, after) = scheme(start)?;
        // An element that again starts with a scheme belongs to the next challenge.
        let mut list = scan::List::new(after);
        list.next();
        while let Some(rest) = list.rest() {
            if list.next().is_some_and(|element| self::scheme(element).is_some()) {
                self.rest = rest;
                let params = &after[..after.len() - rest.len() - 1];
                return Some(Challenge { asker: self.asker, scheme, params });
            }
        }
        self.rest = b"";
        Some(Challenge { asker: self.asker, scheme, params: after })
    }
}

/// A token followed by white space and something that is no equals sign, or by nothing.
fn scheme(element: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = element.iter().position(|byte| !scan::is_token(*byte)).unwrap_or(element.len());
    scan::tally(end);
    if end == 0 {
        return None;
    }
    let (token, after) = element.split_at(end);
    match after.first() {
        None => Some((token, after)),
        Some(byte) if scan::is_lws(*byte) => {
            let after = scan::trim(after);
            (after.first() != Some(&b'=')).then_some((token, after))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Asker, Challenges};

    #[test]
    fn one_value_may_hold_several_challenges() {
        let value = b"Digest realm=\"a, Basic x\", qop=\"auth,auth-int\", algorithm=SHA-256,\r\n \
            digest realm = \"b\",nonce=\"n\" , Basic realm=c, NTLM";
        let all: Vec<_> = Challenges::new(Asker::Proxy, value).collect();
        let schemes: Vec<_> = all.iter().map(|one| one.scheme).collect();
        assert_eq!(schemes, [&b"Digest"[..], b"digest", b"Basic", b"NTLM"]);
        assert_eq!(all[0].param("REALM").unwrap(), &b"a, Basic x"[..]);
        assert_eq!(all[0].param("qop").unwrap(), &b"auth,auth-int"[..]);
        assert_eq!(all[0].param("algorithm").unwrap(), &b"SHA-256"[..]);
        assert_eq!(all[1].param("realm").unwrap(), &b"b"[..]);
        assert_eq!(all[1].param("nonce").unwrap(), &b"n"[..]);
        assert_eq!(all[2].params().count(), 1);
        assert_eq!(all[3].params().count(), 0);
    }

    #[test]
    fn hostile_values_end() {
        for value in
            [&b""[..], b",", b",,,", b"=", b"Digest", b"Digest ,,,", b"Digest realm=\"x", b"\"a\""]
        {
            assert!(Challenges::new(Asker::Server, value).count() <= 1);
        }
    }
}
