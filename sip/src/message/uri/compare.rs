//! When two URIs mean the same (RFC 3261 section 19.1.4).

use super::{Scheme, Uri};
use crate::message::params::{Param, Params};
use crate::message::scan;

/// A parameter list longer than this is compared by its bytes only: the rules compare every
/// parameter with every other, and a peer may send thousands.
const COMPARED_PARAMS: usize = 32;

/// Parameters that count even when only one of two URIs has them.
const MUST_MATCH: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];

impl Uri<'_> {
    /// RFC 3261 section 19.1.4: `%`-escapes are decoded for the comparison only, user and password
    /// are compared in their case, everything else in any case; parameters may stand in any order,
    /// and those on one side only are passed over unless they steer the request.
    ///
    /// Schemes that are not SIP are compared by their bytes.
    pub fn is_equivalent(&self, other: &Uri<'_>) -> bool {
        if !matches!(self.scheme, Scheme::Sip | Scheme::Sips) {
            return self.raw == other.raw;
        }
        let hosts_agree = match (&self.host, &other.host) {
            (Some(one), Some(two)) => one.is_same(two),
            _ => false,
        };
        self.scheme == other.scheme
            && hosts_agree
            && self.port == other.port
            && both(self.user, other.user, |one, two| decoded(one).eq(decoded(two)))
            && both(self.password, other.password, |one, two| decoded(one).eq(decoded(two)))
            && params_agree(self.params, other.params)
            && headers_agree(self.headers, other.headers)
    }
}

fn both(one: Option<&[u8]>, two: Option<&[u8]>, same: impl Fn(&[u8], &[u8]) -> bool) -> bool {
    match (one, two) {
        (Some(one), Some(two)) => same(one, two),
        (None, None) => true,
        _ => false,
    }
}

fn params_agree(one: Params<'_>, two: Params<'_>) -> bool {
    if one.iter().nth(COMPARED_PARAMS).is_some() || two.iter().nth(COMPARED_PARAMS).is_some() {
        return one == two;
    }
    covers(one, two) && covers(two, one)
}

/// Every parameter of `one` is in `two` with the same value, or may be missing there.
fn covers(one: Params<'_>, two: Params<'_>) -> bool {
    one.iter().all(|param| {
        let mut namesakes = two.iter().filter(|other| same_any_case(param.name, other.name));
        match namesakes.next() {
            // A name may stand twice; then one of them agrees.
            Some(other) => {
                values_agree(&param, &other) || namesakes.any(|other| values_agree(&param, &other))
            }
            None => !MUST_MATCH.iter().any(|name| same_any_case(param.name, name.as_bytes())),
        }
    })
}

fn values_agree(one: &Param<'_>, two: &Param<'_>) -> bool {
    both(one.value, two.value, same_any_case)
}

/// Header fields are never passed over: each must be in the other.
fn headers_agree(one: Option<&[u8]>, two: Option<&[u8]>) -> bool {
    let (Some(one), Some(two)) = (one, two) else { return one.is_none() && two.is_none() };
    let count = one.split(|byte| *byte == b'&').count();
    if count != two.split(|byte| *byte == b'&').count() {
        return false;
    }
    if count > COMPARED_PARAMS {
        return one == two;
    }
    let within = |inner: &[u8], outer: &[u8]| {
        inner
            .split(|byte| *byte == b'&')
            .all(|field| outer.split(|byte| *byte == b'&').any(|other| header_agrees(field, other)))
    };
    within(one, two) && within(two, one)
}

fn header_agrees(one: &[u8], two: &[u8]) -> bool {
    let (one_name, one_value) = one.split_at(scan::find(b'=', one).unwrap_or(one.len()));
    let (two_name, two_value) = two.split_at(scan::find(b'=', two).unwrap_or(two.len()));
    same_any_case(one_name, two_name) && decoded(one_value).eq(decoded(two_value))
}

fn same_any_case(one: &[u8], two: &[u8]) -> bool {
    let lower = |byte: u8| byte.to_ascii_lowercase();
    decoded(one).map(lower).eq(decoded(two).map(lower))
}

/// The bytes with `%41` read as `A`; a `%` without two hexadecimal digits stands for itself.
fn decoded(bytes: &[u8]) -> impl Iterator<Item = u8> {
    scan::tally(bytes.len());
    let mut rest = bytes;
    std::iter::from_fn(move || match rest {
        [b'%', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
            rest = tail;
            Some(digit(*high) << 4 | digit(*low))
        }
        [byte, tail @ ..] => {
            rest = tail;
            Some(*byte)
        }
        [] => None,
    })
}

const fn digit(hexadecimal: u8) -> u8 {
    match hexadecimal {
        b'0'..=b'9' => hexadecimal - b'0',
        b'a'..=b'f' => hexadecimal - b'a' + 10,
        _ => hexadecimal - b'A' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::Uri;

    fn same(one: &str, two: &str) -> bool {
        let one = Uri::parse(one.as_bytes()).unwrap();
        let two = Uri::parse(two.as_bytes()).unwrap();
        assert_eq!(one.is_equivalent(&two), two.is_equivalent(&one), "not symmetric");
        one.is_equivalent(&two)
    }

    #[test]
    fn the_pairs_of_rfc_3261_section_19_1_4_that_are_equivalent() {
        for (one, two) in [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            ("sip:a@b;x=1;x=2", "sip:a@b;x=2;x=1"),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
        ] {
            assert!(same(one, two), "{one} {two}");
        }
    }

    #[test]
    fn the_pairs_of_rfc_3261_section_19_1_4_that_are_not_equivalent() {
        for (one, two) in [
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
            ("sip:carol@chicago.com", "sips:carol@chicago.com"),
        ] {
            assert!(!same(one, two), "{one} {two}");
        }
    }
}
