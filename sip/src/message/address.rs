//! From, To, Contact, Route and their kin: `"Display" <uri>;params`, or a bare URI
//! (RFC 3261 section 20.10).

use std::borrow::Cow;
use std::fmt;

use super::fault::Fault;
use super::headers::Raw;
use super::name::HeaderName;
use super::params::{Param, Params, unquote};
use super::scan;
use super::uri::{Uri, UriFault};

/// An address as it stands in a header, split but not decoded.
#[derive(Clone, Copy)]
pub struct Address<'a> {
    /// All of it, to be copied.
    pub raw: Raw<'a>,
    /// The display name with its quotes; `None` without one. Any bytes: carriers send cp1251 here.
    pub display: Option<Raw<'a>>,
    /// The bytes of the URI; [`Address::uri`] reads them.
    pub uri_raw: &'a [u8],
    /// The parameters of the header field, not those of the URI.
    pub params: Params<'a>,
}

impl<'a> Address<'a> {
    /// Reads one value of `field`, trimmed.
    pub(crate) fn parse(raw: &'a [u8], field: HeaderName) -> Result<Self, Fault> {
        match open(raw, field)? {
            Some(at) => {
                let close = scan::find(b'>', &raw[at..]).ok_or(Fault::Bad(field))? + at;
                let display = scan::trim(&raw[..at]);
                let display = (!display.is_empty()).then_some(Raw(display));
                let uri_raw = scan::trim(&raw[at + 1..close]);
                Self::new(raw, display, uri_raw, scan::trim(&raw[close + 1..]), field)
            }
            None => {
                let end = scan::find(b';', raw).unwrap_or(raw.len());
                let uri_raw = scan::trim(&raw[..end]);
                if scan::find(b'?', uri_raw).is_some() {
                    return Err(Fault::BareUriWithHeaders(field));
                }
                Self::new(raw, None, uri_raw, &raw[end..], field)
            }
        }
    }

    fn new(
        raw: &'a [u8],
        display: Option<Raw<'a>>,
        uri_raw: &'a [u8],
        params: &'a [u8],
        field: HeaderName,
    ) -> Result<Self, Fault> {
        if uri_raw.is_empty() || !matches!(params.first(), None | Some(b';')) {
            return Err(Fault::Bad(field));
        }
        if !scan::quotes_are_closed(params) {
            return Err(Fault::UnterminatedQuote(field));
        }
        Ok(Self { raw: Raw(raw), display, uri_raw, params: Params::new(params) })
    }

    /// The URI.
    pub fn uri(&self) -> Result<Uri<'a>, UriFault> {
        Uri::parse(self.uri_raw)
    }

    /// The tag; `None` without one, or with an empty one.
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.params.value("tag").filter(|tag| !tag.is_empty())
    }

    /// The display name without its quotes.
    pub fn display_text(&self) -> Option<Cow<'a, [u8]>> {
        self.display.map(|display| unquote(display.bytes()))
    }

    /// Seconds from the `expires` parameter of a Contact; a value that is no number, or does not
    /// fit 32 bits, counts as 3600 (RFC 3261 section 10.2.1.1).
    pub fn expires_s(&self) -> Option<u32> {
        let param: Param<'_> = self.params.get("expires")?;
        Some(param.value.and_then(scan::number).unwrap_or(super::MALFORMED_EXPIRES_S))
    }

    /// The `q` parameter in thousandths, 0 to 1000; `None` when absent or malformed.
    pub fn q_thousandths(&self) -> Option<u16> {
        let value = self.params.value("q")?;
        let (whole, fraction) = match scan::find(b'.', value) {
            Some(at) => (&value[..at], &value[at + 1..]),
            None => (value, &value[value.len()..]),
        };
        if fraction.len() > 3 || !fraction.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let mut thousandths = scan::number::<u16>(whole).filter(|whole| *whole <= 1)? * 1000;
        for (byte, weight) in fraction.iter().zip([100, 10, 1]) {
            thousandths += u16::from(byte - b'0') * weight;
        }
        (thousandths <= 1000).then_some(thousandths)
    }
}

/// Where the angle bracket opens; `None` for a bare URI.
fn open(raw: &[u8], field: HeaderName) -> Result<Option<usize>, Fault> {
    let mut at = 0;
    loop {
        let Some(found) = scan::find3(b'<', b'"', b';', &raw[at..]) else { return Ok(None) };
        at += found;
        match raw[at] {
            b'<' => return Ok(Some(at)),
            b';' => return Ok(None),
            _ => {
                at += scan::quoted_end(&raw[at..]).ok_or(Fault::UnterminatedQuote(field))?;
            }
        }
    }
}

impl fmt::Debug for Address<'_> {
    /// The URI without its user part, and no display name: both may hold a number or a code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.uri() {
            Ok(uri) => write!(f, "<{uri:?}>"),
            Err(fault) => write!(f, "<{fault}>"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, Fault, HeaderName};

    fn address(raw: &[u8]) -> Address<'_> {
        Address::parse(raw, HeaderName::Contact).unwrap()
    }

    #[test]
    fn a_display_name_may_hold_anything_in_quotes() {
        let it = address(b"\"A \\\" <sip:x@y>;tag=1\" <sip:a@b;lr> ; Tag = z");
        assert_eq!(it.uri_raw, b"sip:a@b;lr");
        assert_eq!(it.tag(), Some(&b"z"[..]));
        assert_eq!(it.display_text().unwrap(), &b"A \" <sip:x@y>;tag=1"[..]);
    }

    #[test]
    fn cp1251_in_a_display_name_is_kept() {
        let it = address(b"\xcf\xe5\xf2\xf0 <sip:a@b>");
        assert_eq!(it.display.unwrap().bytes(), b"\xcf\xe5\xf2\xf0");
    }

    #[test]
    fn parameters_of_a_bare_uri_belong_to_the_header() {
        let it = address(b"sip:a@b;tag=1");
        assert_eq!((it.uri_raw, it.tag()), (&b"sip:a@b"[..], Some(&b"1"[..])));
        assert!(it.uri().unwrap().params.is_empty());
        assert_eq!(
            Address::parse(b"sip:a@b?x=y", HeaderName::Contact).err(),
            Some(Fault::BareUriWithHeaders(HeaderName::Contact))
        );
    }

    #[test]
    fn a_quote_without_an_end_is_refused_wherever_it_stands() {
        for bad in [&b"\"a <sip:a@b>"[..], b"<sip:a@b>;x=\"y", b"sip:a@b;x=\"y\\\""] {
            assert_eq!(
                Address::parse(bad, HeaderName::To).err(),
                Some(Fault::UnterminatedQuote(HeaderName::To))
            );
        }
    }

    #[test]
    fn q_and_expires_are_read_within_their_ranges() {
        let q = |text: &[u8]| address(text).q_thousandths();
        assert_eq!(q(b"<sip:a@b>;q=0.7"), Some(700));
        assert_eq!(q(b"<sip:a@b>;q=1.000"), Some(1000));
        assert_eq!(q(b"<sip:a@b>;q=1.001"), None);
        assert_eq!(q(b"<sip:a@b>;q=0.1234"), None);
        assert_eq!(address(b"<sip:a@b>;expires=60").expires_s(), Some(60));
        assert_eq!(address(b"<sip:a@b>;expires=280297596632815").expires_s(), Some(3600));
        assert_eq!(address(b"<sip:a@b>").expires_s(), None);
    }
}
