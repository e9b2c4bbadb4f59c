//! Typed views of header values, read when asked for.

use super::{Headers, Lines, Raw};
use crate::message::address::Address;
use crate::message::fault::Fault;
use crate::message::media::MediaType;
use crate::message::method::Method;
use crate::message::name::HeaderName;
use crate::message::params::Params;
use crate::message::scan;
use crate::message::via::Via;

/// What Expires counts as when it is no number or does not fit 32 bits (RFC 3261 section 20.19).
pub const MALFORMED_EXPIRES_S: u32 = 3600;

impl<'a> Headers<'a> {
    /// Every Via value, topmost first.
    pub fn vias(&self) -> impl Iterator<Item = Result<Via<'a>, Fault>> + use<'a> {
        self.elements(HeaderName::Via).map(|raw| Via::parse(raw.0))
    }

    /// The addresses of a field such as Contact, Route, Record-Route or P-Asserted-Identity, over
    /// all its lines.
    pub fn addresses(&self, name: HeaderName) -> AddressList<'a> {
        AddressList { name, lines: self.lines(name), list: None }
    }

    /// The Contact addresses; `Contact: *` is none of them.
    pub fn contacts(&self) -> AddressList<'a> {
        self.addresses(HeaderName::Contact)
    }

    /// Whether there is `Contact: *` (RFC 3261 section 10.2.2).
    pub fn has_contact_star(&self) -> bool {
        self.lines(HeaderName::Contact).any(|line| line.0 == b"*")
    }

    /// The tokens of a field such as Require, Supported, Unsupported or Allow.
    pub fn tokens(&self, name: HeaderName) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.elements(name).map(|raw| raw.0)
    }

    /// Whether `token` stands in a field such as Require or Supported, in any case.
    pub fn has_token(&self, name: HeaderName, token: &str) -> bool {
        self.tokens(name).any(|found| found.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Seconds in Expires; `None` without it. A malformed or too large value is 3600, and so are
    /// two that differ: neither is taken.
    pub fn expires_s(&self) -> Option<u32> {
        let mut lines = self.lines(HeaderName::Expires);
        let first = lines.next()?;
        if lines.any(|other| other != first) {
            return Some(MALFORMED_EXPIRES_S);
        }
        Some(scan::number(first.0).unwrap_or(MALFORMED_EXPIRES_S))
    }

    /// Seconds in Min-Expires; `None` when absent or malformed.
    pub fn min_expires_s(&self) -> Option<u32> {
        scan::number(self.get(HeaderName::MinExpires)?.0)
    }

    /// Seconds in Retry-After, without its comment and parameters; a value that does not fit is
    /// the largest, `None` when absent or malformed.
    pub fn retry_after_s(&self) -> Option<u32> {
        let value = self.get(HeaderName::RetryAfter)?.0;
        let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        Some(scan::number(&value[..digits]).unwrap_or(u32::MAX))
    }

    /// Seconds in Min-SE (RFC 4028 section 5), without its parameters; `None` when absent or
    /// malformed.
    pub fn min_se_s(&self) -> Option<u32> {
        let value = self.get(HeaderName::MinSe)?.0;
        let end = scan::find(b';', value).unwrap_or(value.len());
        scan::number(scan::trim(&value[..end]))
    }

    /// Max-Forwards, 0 to 255; `None` when absent, malformed or larger, as if it were absent.
    pub fn max_forwards(&self) -> Option<u8> {
        scan::number(self.get(HeaderName::MaxForwards)?.0)
    }

    /// Content-Type; `None` when absent or malformed.
    pub fn content_type(&self) -> Option<MediaType<'a>> {
        MediaType::parse(self.get(HeaderName::ContentType)?.0)
    }

    /// The media ranges of Accept; those that are malformed are passed over.
    pub fn accepts(&self) -> impl Iterator<Item = MediaType<'a>> + use<'a> {
        self.elements(HeaderName::Accept).filter_map(|raw| MediaType::parse(raw.0))
    }

    /// The first Q.850 cause of a Reason field (RFC 3326), 0 to 127.
    pub fn q850(&self) -> Option<Q850> {
        self.elements(HeaderName::Reason).find_map(|raw| {
            let end = scan::find(b';', raw.0).unwrap_or(raw.0.len());
            if !scan::trim(&raw.0[..end]).eq_ignore_ascii_case(b"Q.850") {
                return None;
            }
            let cause: u8 = scan::number(Params::new(&raw.0[end..]).value("cause")?)?;
            (cause < 128).then_some(Q850(cause))
        })
    }

    /// The number of a reliable provisional response (RFC 3262 section 7.1).
    pub fn rseq(&self) -> Option<u32> {
        scan::number(self.get(HeaderName::RSeq)?.0)
    }

    /// What a PRACK acknowledges (RFC 3262 section 7.2).
    pub fn rack(&self) -> Option<RAck<'a>> {
        let mut words = self
            .get(HeaderName::RAck)?
            .0
            .split(|byte| scan::is_lws(*byte))
            .filter(|w| !w.is_empty());
        let rack = RAck {
            rseq: scan::number(words.next()?)?,
            cseq: scan::number(words.next()?)?,
            method: Method::from_token(words.next()?)?,
        };
        words.next().is_none().then_some(rack)
    }

    /// Whether a proxy says that the call was diverted (Diversion, or History-Info).
    pub const fn is_diverted(&self) -> bool {
        self.has(HeaderName::Diversion) || self.has(HeaderName::HistoryInfo)
    }
}

/// A Q.850 cause, 0 to 127.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Q850(pub u8);

/// The value of RAck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RAck<'a> {
    /// The RSeq of the response.
    pub rseq: u32,
    /// The CSeq number of the response.
    pub cseq: u32,
    /// The CSeq method of the response.
    pub method: Method<'a>,
}

/// Walks over the addresses of one field.
#[derive(Clone)]
pub struct AddressList<'a> {
    name: HeaderName,
    lines: Lines<'a>,
    list: Option<scan::List<'a>>,
}

impl<'a> Iterator for AddressList<'a> {
    type Item = Result<Address<'a>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.list.as_mut().and_then(Iterator::next) {
                // An empty element and `Contact: *` are no addresses.
                Some([] | [b'*']) => {}
                Some(element) => return Some(Address::parse(element, self.name)),
                None => {
                    let Raw(line) = self.lines.next()?;
                    self.list = Some(scan::List::new(line));
                }
            }
        }
    }
}
