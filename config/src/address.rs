//! Hosts, ports and addresses, and which of them are private.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use sip::{External, HostPort, Transport};
use thiserror::Error;

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum AddressError {
    #[error("an address and a port are wanted, such as 127.0.0.1:8080 or [::1]:8080")]
    Socket,
    #[error("an address is wanted, with or without a port, such as 192.0.2.1:5060")]
    Target,
    #[error("a host is a name or an address, with or without a port")]
    Host,
    #[error("\"auto\" or an address is wanted, with or without a port")]
    External,
    #[error("a port or a range of ports is wanted, such as 20000-20199")]
    Ports,
    #[error("the range ends before it starts")]
    PortsReversed,
    #[error("ports below 1024 are not for media")]
    PortsLow,
}

/// Where a trunk is found when only a host is known (RFC 3261 section 19.1.2).
const SIP_PORT: u16 = 5060;
/// The same for TLS.
const SIPS_PORT: u16 = 5061;
/// The longest name (RFC 1035 section 2.3.4).
const NAME_LIMIT: usize = 253;

/// An address with its port.
pub(crate) fn socket(text: &str) -> Result<SocketAddr, AddressError> {
    text.parse().map_err(|_| AddressError::Socket)
}

/// An address, with the transport's usual port unless another is written.
pub(crate) fn target(text: &str, transport: Transport) -> Result<SocketAddr, AddressError> {
    let usual_port = if transport == Transport::Tls { SIPS_PORT } else { SIP_PORT };
    if let Ok(address) = text.parse::<SocketAddr>() {
        return if address.port() == 0 { Err(AddressError::Target) } else { Ok(address) };
    }
    match unbracketed(text).parse::<IpAddr>() {
        Ok(address) => Ok(SocketAddr::new(address, usual_port)),
        Err(_) => Err(AddressError::Target),
    }
}

/// A name or an address, with the port when one is written.
pub(crate) fn host_port(text: &str) -> Result<HostPort, AddressError> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        let port = Some(address.port()).filter(|port| *port > 0).ok_or(AddressError::Host)?;
        return Ok(HostPort { host: address.ip().to_string(), port: Some(port) });
    }
    if let Ok(address) = unbracketed(text).parse::<IpAddr>() {
        return Ok(HostPort { host: address.to_string(), port: None });
    }
    let (host, port) = match text.split_once(':') {
        None => (text, None),
        Some((host, port)) => (host, Some(self::port(port).ok_or(AddressError::Host)?)),
    };
    if is_name(host) {
        Ok(HostPort { host: host.to_owned(), port })
    } else {
        Err(AddressError::Host)
    }
}

/// A host as it stands in a SIP URI: IPv6 in brackets (RFC 3261 section 25.1).
pub(crate) fn uri_host(text: &str) -> Result<String, AddressError> {
    let HostPort { host, port } = host_port(text)?;
    if port.is_some() { Err(AddressError::Host) } else { Ok(in_uri(&host)) }
}

/// A host in a URI; an IPv6 address gets brackets.
pub(crate) fn in_uri(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// `auto`, or an address with or without a port.
pub(crate) fn external(text: &str) -> Result<External, AddressError> {
    if text == "auto" {
        return Ok(External::Learn);
    }
    let (address, port) = match text.parse::<SocketAddr>() {
        Ok(address) => (address.ip(), Some(address.port())),
        Err(_) => (unbracketed(text).parse().map_err(|_| AddressError::External)?, None),
    };
    if address.is_unspecified() || port == Some(0) {
        return Err(AddressError::External);
    }
    Ok(External::Fixed { address, port })
}

/// `20000-20199`, or one port.
pub(crate) fn ports(text: &str) -> Result<RangeInclusive<u16>, AddressError> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let first = port(first.trim()).ok_or(AddressError::Ports)?;
    let last = port(last.trim()).ok_or(AddressError::Ports)?;
    if first > last {
        return Err(AddressError::PortsReversed);
    }
    if first < 1024 {
        return Err(AddressError::PortsLow);
    }
    Ok(first..=last)
}

/// Whether packets to this host may leave for a public network. A name is taken for public
/// unless it can only be a local one, because nobody is asked here what it resolves to.
pub(crate) fn is_public_host(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => is_public(address),
        Err(_) => {
            let name = host.trim_end_matches('.').to_ascii_lowercase();
            let local = [".localhost", ".local", ".internal", ".lan", ".home.arpa"];
            name.contains('.') && !local.iter().any(|suffix| name.ends_with(suffix))
        }
    }
}

/// Whether an address is neither of this host nor of a private network.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    // 100.64.0.0/10 lies between a provider and its customers (RFC 6598).
    let is_shared = first == 100 && (64..128).contains(&second);
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_unspecified()
        || is_shared)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.to_ipv4_mapped() {
        Some(v4) => is_public_v4(v4),
        None => {
            !(address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local())
        }
    }
}

fn port(text: &str) -> Option<u16> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_plain && *port > 0)
}

fn unbracketed(text: &str) -> &str {
    text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text)
}

/// A domain name. One whose last label is a number would be a mistyped address.
fn is_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= NAME_LIMIT
        && name.split('.').all(is_label)
        && !last.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        let read = |text| host_port(text).map(|found| (found.host, found.port));
        assert_eq!(read("sip.example.ru"), Ok(("sip.example.ru".into(), None)));
        assert_eq!(read("sip.example.ru:5070"), Ok(("sip.example.ru".into(), Some(5070))));
        assert_eq!(read("192.0.2.1:5070"), Ok(("192.0.2.1".into(), Some(5070))));
        assert_eq!(read("[2001:db8::1]"), Ok(("2001:db8::1".into(), None)));
        assert_eq!(read("2001:db8::1"), Ok(("2001:db8::1".into(), None)));
        assert_eq!(uri_host("2001:db8::1"), Ok("[2001:db8::1]".into()));
        for wrong in [
            "",
            ".",
            "a..b",
            "300.1.1.1",
            "1.2.3.4.5",
            "sip:host",
            "host:",
            "host:0",
            "host:65536",
            "host:+1",
            "-a.ru",
            "a b",
            "a@b",
            "host;transport=tcp",
            "пример.рф",
        ] {
            assert_eq!(host_port(wrong), Err(AddressError::Host), "{wrong}");
        }
    }

    #[test]
    fn private_addresses_and_names_are_told_from_public_ones() {
        for public in ["192.0.2.1", "8.8.8.8", "2001:db8::1", "sip.example.ru", "100.128.0.1"] {
            assert!(is_public_host(public), "{public}");
        }
        for private in [
            "10.0.0.1",
            "172.31.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "100.64.0.1",
            "169.254.0.1",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
            "localhost",
            "carrier",
            "pbx.lan",
        ] {
            assert!(!is_public_host(private), "{private}");
        }
    }

    #[test]
    fn ports_are_one_or_a_range_above_the_low_ones() {
        assert_eq!(ports("20000-20199"), Ok(20000..=20199));
        assert_eq!(ports("20000"), Ok(20000..=20000));
        assert_eq!(ports("20199-20000"), Err(AddressError::PortsReversed));
        assert_eq!(ports("80-90"), Err(AddressError::PortsLow));
        assert_eq!(ports("x"), Err(AddressError::Ports));
        assert_eq!(ports("20000-70000"), Err(AddressError::Ports));
    }
}
