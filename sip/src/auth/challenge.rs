//! Reading WWW-Authenticate and Proxy-Authenticate (RFC 3261 sections 20.27 and 20.44).

use crate::trunk::DigestAlgorithm;

use super::digest::Algorithm;
use super::params::{Item, Items, Param};

/// Longest realm, nonce or opaque value that is repeated to a server, in bytes. Real ones have
/// at most some 120; a longer one would push the request out of its datagram.
const MAX_VALUE_LEN: usize = 512;

/// A Digest challenge that can be answered. Texts are those between the quotes, escapes kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// Whose password is asked for.
    pub realm: &'a [u8],
    /// The server's nonce.
    pub nonce: &'a [u8],
    /// To be repeated as it is.
    pub opaque: Option<&'a [u8]>,
    /// The algorithm; MD5 when the challenge names none.
    pub algorithm: Algorithm,
    /// The algorithm as it was spelled; repeated so, because some servers compare bytes.
    pub algorithm_token: Option<&'a [u8]>,
    /// Whether `qop=auth` is offered; if not, the answer has the form of RFC 2069.
    pub qop_auth: bool,
    /// Whether only the nonce was wrong (RFC 7616 section 3.3).
    pub stale: bool,
}

/// The usable challenges of one header field value, in its order. Other schemes, unknown
/// algorithms, `qop` without `auth`, and challenges that cannot be read are skipped.
#[derive(Clone, Debug)]
pub struct Challenges<'a> {
    items: Items<'a>,
    /// Whether the scheme that the next parameters belong to is Digest.
    in_digest: bool,
}

impl<'a> Challenges<'a> {
    /// Reads the raw value of one WWW-Authenticate or Proxy-Authenticate header field.
    pub fn new(value: &'a [u8]) -> Self {
        Self { items: Items::new(value), in_digest: false }
    }
}

impl<'a> Iterator for Challenges<'a> {
    type Item = Challenge<'a>;

    fn next(&mut self) -> Option<Challenge<'a>> {
        let mut draft = Draft::default();
        loop {
            match self.items.next() {
                Some(Item::Param(param)) if self.in_digest => draft.take(param),
                Some(Item::Param(_) | Item::Junk) => {}
                Some(Item::Scheme(name)) => {
                    let finished = std::mem::take(&mut draft).finish(self.in_digest);
                    self.in_digest = name.eq_ignore_ascii_case(b"Digest");
                    if finished.is_some() {
                        return finished;
                    }
                }
                None => {
                    let finished = draft.finish(self.in_digest);
                    self.in_digest = false;
                    return finished;
                }
            }
        }
    }
}

/// What is known of a challenge while its parameters are read.
#[derive(Default)]
struct Draft<'a> {
    realm: Option<&'a [u8]>,
    nonce: Option<&'a [u8]>,
    opaque: Option<&'a [u8]>,
    algorithm: Option<&'a [u8]>,
    qop: Option<&'a [u8]>,
    stale: bool,
    broken: bool,
}

impl<'a> Draft<'a> {
    fn take(&mut self, param: Param<'a>) {
        let Some(value) = param.value else {
            self.broken = true;
            return;
        };
        let slot = match param.name {
            name if name.eq_ignore_ascii_case(b"realm") => &mut self.realm,
            name if name.eq_ignore_ascii_case(b"nonce") => &mut self.nonce,
            name if name.eq_ignore_ascii_case(b"opaque") => &mut self.opaque,
            name if name.eq_ignore_ascii_case(b"algorithm") => &mut self.algorithm,
            name if name.eq_ignore_ascii_case(b"qop") => &mut self.qop,
            name if name.eq_ignore_ascii_case(b"stale") => {
                self.stale = value.eq_ignore_ascii_case(b"true");
                return;
            }
            // domain, charset, userhash and what is not known: the user name goes in clear and
            // in UTF-8, which is what leaving `userhash` out says (RFC 7616 section 3.4).
            _ => return,
        };
        if value.len() > MAX_VALUE_LEN {
            self.broken = true;
        } else if slot.is_none() {
            *slot = Some(value);
        }
    }

    fn finish(self, in_digest: bool) -> Option<Challenge<'a>> {
        if !in_digest || self.broken {
            return None;
        }
        let algorithm = match self.algorithm {
            Some(token) => Algorithm::from_token(token)?,
            None => Algorithm { hash: DigestAlgorithm::Md5, session: false },
        };
        let qop_auth = match self.qop {
            None => false,
            Some(list) if list.iter().all(|byte| matches!(byte, b' ' | b',')) => false,
            Some(list) => offers_auth(list).then_some(true)?,
        };
        Some(Challenge {
            realm: self.realm?,
            nonce: self.nonce?,
            opaque: self.opaque,
            algorithm,
            algorithm_token: self.algorithm,
            qop_auth,
            stale: self.stale,
        })
    }
}

fn offers_auth(list: &[u8]) -> bool {
    list.split(|&byte| byte == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(b"auth"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Vec<Challenge<'_>> {
        Challenges::new(value.as_bytes()).collect()
    }

    fn tokens(value: &str) -> Vec<&'static str> {
        read(value).iter().map(|one| one.algorithm.token()).collect()
    }

    #[test]
    fn several_challenges_in_one_value_are_all_read() {
        let found = read(
            "Digest realm=\"a\", nonce=\"1\", algorithm=SHA-512-256, qop=\"auth,auth-int\", \
             Basic realm=\"a\", Digest realm=\"a\", nonce=\"2\", qop=auth, opaque=\"o\", \
             Negotiate, DIGEST Realm=b,NONCE=3,Stale=TRUE",
        );
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].algorithm.token(), "SHA-512-256");
        assert!(found[0].qop_auth);
        assert_eq!((found[1].nonce, found[1].opaque), (&b"2"[..], Some(&b"o"[..])));
        assert_eq!((found[2].realm, found[2].stale, found[2].qop_auth), (&b"b"[..], true, false));
    }

    #[test]
    fn unknown_digest_algorithm_is_skipped() {
        assert_eq!(
            tokens(
                "Digest realm=\"a\", nonce=\"1\", algorithm=AKAv1-MD5, \
                 Digest realm=\"a\", nonce=\"1\", algorithm=SHA3-999, \
                 Digest realm=\"a\", nonce=\"1\", algorithm=sha-256-SESS"
            ),
            ["SHA-256-sess"]
        );
    }

    #[test]
    fn challenges_without_an_answerable_quality_are_skipped() {
        assert_eq!(tokens("Digest realm=\"a\", nonce=\"1\", qop=\"auth-int\""), [""; 0]);
        assert_eq!(tokens("Digest realm=\"a\", nonce=\"1\", qop=\"\""), ["MD5"]);
        assert_eq!(tokens("Digest realm=\"a\", nonce=\"1\", qop=\"auth-int , AUTH\""), ["MD5"]);
    }

    #[test]
    fn incomplete_or_oversized_challenges_are_skipped() {
        assert_eq!(tokens("Digest realm=\"a\""), [""; 0]);
        assert_eq!(tokens("Digest nonce=\"a\""), [""; 0]);
        assert_eq!(tokens("Basic realm=\"a\", nonce=\"1\""), [""; 0]);
        assert_eq!(tokens("realm=\"a\", nonce=\"1\""), [""; 0]);
        let long = format!("Digest realm=\"a\", nonce=\"{}\"", "n".repeat(MAX_VALUE_LEN + 1));
        assert_eq!(tokens(&long), [""; 0]);
    }

    #[test]
    fn of_a_parameter_that_stands_twice_the_first_counts() {
        let found = read("Digest realm=\"a\", realm=\"b\", nonce=\"1\", nonce=\"2\"");
        assert_eq!((found[0].realm, found[0].nonce), (&b"a"[..], &b"1"[..]));
    }

    #[test]
    fn charset_and_userhash_change_nothing() {
        let plain = read("Digest realm=\"a\", nonce=\"1\", qop=\"auth\"");
        let dressed = read(
            "Digest realm=\"a\", nonce=\"1\", qop=\"auth\", charset=UTF-8, userhash=true, domain=\"sip:a\"",
        );
        assert_eq!(plain, dressed);
    }
}
