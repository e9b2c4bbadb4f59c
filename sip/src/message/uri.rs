//! URIs (RFC 3261 section 19.1, RFC 3966) as views of the bytes.

mod compare;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::params::Params;
use super::scan;

/// What stands in front of the colon.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scheme<'a> {
    /// `sip:`.
    Sip,
    /// `sips:`.
    Sips,
    /// `tel:` (RFC 3966).
    Tel,
    /// Any other scheme, as written.
    Other(&'a [u8]),
}

/// A host as it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Host<'a> {
    /// A domain name, unresolved, in the case in which it came.
    Name(&'a [u8]),
    /// An address; IPv6 is written in brackets.
    Address(IpAddr),
}

/// A URI whose structure was checked. Nothing is decoded: `%`-escapes stay as they came.
///
/// Equality of bytes is `raw() ==`; equality of meaning is [`Uri::is_equivalent`].
#[derive(Clone, Copy)]
pub struct Uri<'a> {
    raw: &'a [u8],
    /// The scheme.
    pub scheme: Scheme<'a>,
    /// The user part with everything before the `@` but the password; for `tel:` the number.
    pub user: Option<&'a [u8]>,
    /// The password, which RFC 3261 section 19.1.1 advises against.
    pub password: Option<&'a [u8]>,
    /// The host; `None` only for `tel:` and for schemes that are not known.
    pub host: Option<Host<'a>>,
    /// The port; `None` when not written.
    pub port: Option<u16>,
    /// The parameters behind the host (or behind the number of `tel:`).
    pub params: Params<'a>,
    /// The header fields behind the question mark.
    pub headers: Option<&'a [u8]>,
}

/// Why bytes are no URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriFault {
    /// Without a colon, or with a scheme that does not start with a letter.
    #[error("no scheme")]
    Scheme,
    /// White space, a control character, a quote or an angle bracket.
    #[error("a byte that no URI has")]
    Byte,
    /// A password without a user, or a `tel:` that is no number.
    #[error("bad user part")]
    User,
    /// No host, or one with bytes that neither a name nor an address has.
    #[error("bad host")]
    Host,
    /// The port is not 0 to 65535.
    #[error("bad port")]
    Port,
}

impl<'a> Uri<'a> {
    /// Reads a URI without surrounding white space.
    pub fn parse(raw: &'a [u8]) -> Result<Self, UriFault> {
        if scan::has_space_or_control(raw) || memchr::memchr3(b'<', b'>', b'"', raw).is_some() {
            return Err(UriFault::Byte);
        }
        let colon = scan::find(b':', raw).ok_or(UriFault::Scheme)?;
        let rest = &raw[colon + 1..];
        match scheme(&raw[..colon])? {
            scheme @ (Scheme::Sip | Scheme::Sips) => sip(raw, scheme, rest),
            Scheme::Tel => tel(raw, rest),
            scheme => Ok(Self { scheme, ..Self::opaque(raw) }),
        }
    }

    /// The bytes as they came.
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The value of the `transport` parameter, as written.
    pub fn transport(&self) -> Option<&'a [u8]> {
        self.params.value("transport")
    }

    /// Whether the URI asks for loose routing (`;lr`, with or without a value).
    pub fn is_loose_route(&self) -> bool {
        self.params.get("lr").is_some()
    }

    const fn opaque(raw: &'a [u8]) -> Self {
        Self {
            raw,
            scheme: Scheme::Other(b""),
            user: None,
            password: None,
            host: None,
            port: None,
            params: Params::new(b""),
            headers: None,
        }
    }
}

fn scheme(name: &[u8]) -> Result<Scheme<'_>, UriFault> {
    if name.eq_ignore_ascii_case(b"sip") {
        return Ok(Scheme::Sip);
    }
    if name.eq_ignore_ascii_case(b"sips") {
        return Ok(Scheme::Sips);
    }
    if name.eq_ignore_ascii_case(b"tel") {
        return Ok(Scheme::Tel);
    }
    let tail_is_good =
        name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    if name.first().is_some_and(u8::is_ascii_alphabetic) && tail_is_good {
        Ok(Scheme::Other(name))
    } else {
        Err(UriFault::Scheme)
    }
}

fn sip<'a>(raw: &'a [u8], scheme: Scheme<'a>, rest: &'a [u8]) -> Result<Uri<'a>, UriFault> {
    // An `@` stands nowhere but behind the user part, so the first one ends it, whatever
    // semicolons and question marks that part holds.
    let (user, password, rest) = match scan::find(b'@', rest) {
        // Carriers write `sip:@host` for a caller who withholds the number.
        Some(0) => (None, None, &rest[1..]),
        Some(at) => {
            let info = &rest[..at];
            match scan::find(b':', info) {
                Some(0) => return Err(UriFault::User),
                Some(colon) => (Some(&info[..colon]), Some(&info[colon + 1..]), &rest[at + 1..]),
                None => (Some(info), None, &rest[at + 1..]),
            }
        }
        None => (None, None, rest),
    };
    let end = scan::find2(b';', b'?', rest).unwrap_or(rest.len());
    let (host, port) = host_port(&rest[..end])?;
    let tail = &rest[end..];
    let (params, headers) = match scan::find(b'?', tail) {
        Some(at) => (&tail[..at], Some(&tail[at + 1..])),
        None => (tail, None),
    };
    let params = Params::new(params);
    Ok(Uri { raw, scheme, user, password, host: Some(host), port, params, headers })
}

fn tel<'a>(raw: &'a [u8], rest: &'a [u8]) -> Result<Uri<'a>, UriFault> {
    let end = scan::find(b';', rest).unwrap_or(rest.len());
    let number = &rest[..end];
    let is_good = |byte: &u8| byte.is_ascii_hexdigit() || b"+-.()*#".contains(byte);
    if number.is_empty() || !number.iter().all(is_good) {
        return Err(UriFault::User);
    }
    let params = Params::new(&rest[end..]);
    Ok(Uri { scheme: Scheme::Tel, user: Some(number), params, ..Uri::opaque(raw) })
}

/// Reads `host`, `host:port`, `[v6]` or `[v6]:port`; white space is allowed round the colon.
pub(crate) fn host_port(bytes: &[u8]) -> Result<(Host<'_>, Option<u16>), UriFault> {
    let (host, port) = if bytes.first() == Some(&b'[') {
        let end = scan::find(b']', bytes).ok_or(UriFault::Host)?;
        let text = std::str::from_utf8(&bytes[1..end]).map_err(|_| UriFault::Host)?;
        let address: Ipv6Addr = text.parse().map_err(|_| UriFault::Host)?;
        match scan::trim(&bytes[end + 1..]) {
            [] => (Host::Address(address.into()), None),
            [b':', port @ ..] => (Host::Address(address.into()), Some(port)),
            _ => return Err(UriFault::Host),
        }
    } else {
        match scan::find(b':', bytes) {
            Some(at) => (name(scan::trim(&bytes[..at]))?, Some(&bytes[at + 1..])),
            None => (name(bytes)?, None),
        }
    };
    let port = match port {
        Some(digits) => Some(scan::number(scan::trim(digits)).ok_or(UriFault::Port)?),
        None => None,
    };
    Ok((host, port))
}

fn name(bytes: &[u8]) -> Result<Host<'_>, UriFault> {
    scan::tally(bytes.len());
    if bytes.last().is_some_and(u8::is_ascii_digit) {
        // Only a host that ends in a digit can be an address; the parser is not asked in vain.
        if let Some(address) = v4(bytes) {
            return Ok(Host::Address(address.into()));
        }
    }
    // The underscore is not in the grammar and is in many a private domain.
    let is_good = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
    if bytes.is_empty() || !bytes.iter().all(is_good) {
        return Err(UriFault::Host);
    }
    Ok(Host::Name(bytes))
}

fn v4(bytes: &[u8]) -> Option<Ipv4Addr> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

impl Host<'_> {
    /// The address, when the host is one.
    pub const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Name(_) => None,
        }
    }

    /// Compares names in any case and addresses by value.
    pub fn is_same(&self, other: &Host<'_>) -> bool {
        match (self, other) {
            (Self::Address(one), Host::Address(two)) => one == two,
            (Self::Name(one), Host::Name(two)) => one.eq_ignore_ascii_case(two),
            _ => false,
        }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Name(name) => name.iter().try_for_each(|byte| write!(f, "{}", *byte as char)),
        }
    }
}

impl fmt::Debug for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Scheme<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sip => f.write_str("sip"),
            Self::Sips => f.write_str("sips"),
            Self::Tel => f.write_str("tel"),
            Self::Other(name) => write!(f, "{}", name.escape_ascii()),
        }
    }
}

impl fmt::Debug for Uri<'_> {
    /// Without user part, parameters and header fields: they may hold a number or a code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:", self.scheme)?;
        if self.user.is_some() {
            f.write_str("***")?;
        }
        match &self.host {
            Some(host) => write!(f, "@{host}"),
            None => Ok(()),
        }
    }
}
