//! Via (RFC 3261 section 20.42, RFC 3581).

use std::fmt;
use std::net::IpAddr;

use super::fault::Fault;
use super::headers::Raw;
use super::name::HeaderName;
use super::params::Params;
use super::scan;
use super::uri::{Host, host_port};

/// The first seven bytes of a branch made by RFC 3261.
pub const MAGIC_COOKIE: &[u8] = b"z9hG4bK";

/// One Via value.
#[derive(Clone, Copy)]
pub struct Via<'a> {
    /// All of it, to be copied.
    pub raw: Raw<'a>,
    /// The transport as written: `UDP`, `TLS-SCTP`, `UNKNOWN`, …
    pub transport: &'a [u8],
    /// The host that the sender gave.
    pub host: Host<'a>,
    /// The port that the sender gave.
    pub port: Option<u16>,
    /// The branch; `None` without one, as before RFC 3261.
    pub branch: Option<&'a [u8]>,
    /// The address from which the next hop saw the request come.
    pub received: Option<IpAddr>,
    /// RFC 3581.
    pub rport: Rport,
    /// Every parameter, those above too.
    pub params: Params<'a>,
}

/// The `rport` parameter (RFC 3581 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rport {
    /// Not there.
    Absent,
    /// There without a value, as a client sends it: it asks to be told.
    Asked,
    /// The port from which the next hop saw the request come.
    Port(u16),
}

impl<'a> Via<'a> {
    /// Reads one value without its neighbours, trimmed. The protocol's version is not judged: the
    /// start line's is.
    pub(crate) fn parse(raw: &'a [u8]) -> Result<Self, Fault> {
        Self::read(raw).ok_or(Fault::Bad(HeaderName::Via))
    }

    fn read(raw: &'a [u8]) -> Option<Self> {
        let slash = scan::find(b'/', raw)?;
        let after_name = &raw[slash + 1..];
        let slash = scan::find(b'/', after_name)?;
        if !scan::trim(&raw[..raw.len() - after_name.len() - 1]).eq_ignore_ascii_case(b"SIP")
            || !scan::is_token_run(scan::trim(&after_name[..slash]))
        {
            return None;
        }
        let rest = scan::trim(&after_name[slash + 1..]);
        let end = rest.iter().position(|byte| !scan::is_token(*byte))?;
        let (transport, rest) = rest.split_at(end);
        if transport.is_empty() || !scan::is_lws(rest[0]) {
            return None;
        }
        let params_at = scan::find(b';', rest).unwrap_or(rest.len());
        let (host, port) = host_port(scan::trim(&rest[..params_at])).ok()?;
        let params = Params::new(&rest[params_at..]);
        let mut via = Self {
            raw: Raw(raw),
            transport,
            host,
            port,
            branch: None,
            received: None,
            rport: Rport::Absent,
            params,
        };
        for param in params {
            if param.is("branch") {
                via.branch = Some(param.value.filter(|value| !value.is_empty())?);
            } else if param.is("received") {
                via.received = param.value.and_then(address);
            } else if param.is("rport") {
                via.rport = match param.value {
                    None | Some([]) => Rport::Asked,
                    Some(digits) => Rport::Port(scan::number(digits)?),
                };
            }
        }
        if via.branch.is_some_and(scan::has_space_or_control)
            || !scan::quotes_are_closed(&rest[params_at..])
        {
            return None;
        }
        Some(via)
    }

    /// Whether the branch alone names the transaction: it has the magic cookie and something
    /// behind it (RFC 3261 section 17.2.3). Without this, matching goes by RFC 2543.
    pub fn is_rfc3261(&self) -> bool {
        self.branch.is_some_and(|branch| {
            branch.len() > MAGIC_COOKIE.len() && branch.starts_with(MAGIC_COOKIE)
        })
    }
}

/// An address, with or without the brackets of IPv6.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]")).unwrap_or(text);
    std::str::from_utf8(text).ok()?.parse().ok()
}

impl fmt::Debug for Via<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.transport.escape_ascii(), self.host)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Rport, Via};
    use crate::message::uri::Host;

    #[test]
    fn white_space_and_folds_stand_anywhere() {
        let via =
            Via::parse(b"SIP  / 2.0\r\n / UDP\r\n host.example : 5062 ;\r\n branch = z9hG4bKx")
                .unwrap();
        assert_eq!(via.transport, b"UDP");
        assert!(via.host == Host::Name(b"host.example"));
        assert_eq!(via.port, Some(5062));
        assert_eq!(via.branch, Some(&b"z9hG4bKx"[..]));
        assert!(via.is_rfc3261());
    }

    #[test]
    fn rport_and_received_are_read() {
        let asked = Via::parse(b"SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bK").unwrap();
        assert_eq!((asked.rport, asked.received), (Rport::Asked, None));
        assert!(!asked.is_rfc3261(), "the cookie alone names nothing");
        let told =
            Via::parse(b"SIP/2.0/UDP [2001:db8::1]:5060;received=[2001:db8::2];rport=77").unwrap();
        assert_eq!(told.rport, Rport::Port(77));
        assert_eq!(told.received, Some("2001:db8::2".parse().unwrap()));
        assert!(Via::parse(b"SIP/2.0/UDP 192.0.2.1;rport=99999").is_err());
    }

    #[test]
    fn what_is_not_a_via_is_refused() {
        for bad in [
            &b""[..],
            b"SIP/2.0",
            b"SIP/2.0/UDP",
            b"SIP/2.0/UDP ",
            b"SIP/2.0/ host",
            b"HTTP/2.0/UDP host",
            b"SIP/2.0/UDP host:port",
            b"SIP/2.0/UDP host;branch=",
            b"SIP/2.0/UDP host;branch=a b",
            b"SIP/2.0/UDP ho st",
            b"SIP/2.0/UDP host;x=\"y",
        ] {
            assert!(Via::parse(bad).is_err(), "{}", bad.escape_ascii());
        }
    }
}
