//! Networks: from which a trunk's requests come, or a key may be used.

use std::fmt;
use std::net::IpAddr;

/// An address with a prefix length, such as `192.0.2.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// The part before the slash is no address.
    #[error("{0:?} is no network: an address is meant, perhaps with a prefix, as in 192.0.2.0/24")]
    Address(String),
    /// The prefix is no number or too long.
    #[error("{0:?} is no network: the prefix is at most 32 for IPv4 and 128 for IPv6")]
    Prefix(String),
}

impl Network {
    /// One address that nobody comes from (RFC 5737).
    pub const NOWHERE: Self =
        Self { address: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 0)), prefix: 32 };

    /// Reads `address` or `address/prefix`; bits after the prefix are cleared.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr =
            address.parse().map_err(|_| NetworkError::Address(text.to_owned()))?;
        let width = width(address);
        let prefix = match prefix {
            None => width,
            Some(digits) => digits
                .parse()
                .ok()
                .filter(|prefix| *prefix <= width)
                .ok_or_else(|| NetworkError::Prefix(text.to_owned()))?,
        };
        Ok(Self { address: masked(address, prefix), prefix })
    }

    /// Whether an address is in it; an IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.prefix) == self.address
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::parse(text).unwrap()
    }

    #[test]
    fn a_network_holds_its_addresses_and_no_neighbour() {
        let inside = |net: &str, address: &str| network(net).contains(address.parse().unwrap());
        assert!(inside("192.0.2.0/24", "192.0.2.255"));
        assert!(inside("192.0.2.77/24", "192.0.2.1"));
        assert!(!inside("192.0.2.0/24", "192.0.3.0"));
        assert!(inside("0.0.0.0/0", "203.0.113.9"));
        assert!(!inside("0.0.0.0/0", "2001:db8::1"));
        assert!(inside("127.0.0.1", "::ffff:127.0.0.1"));
        assert!(inside("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(inside("::/0", "2001:db8::1"));
    }

    #[test]
    fn a_network_prints_as_it_is_read() {
        assert_eq!(network("192.0.2.77/24").to_string(), "192.0.2.0/24");
        assert_eq!(network("192.0.2.77").to_string(), "192.0.2.77/32");
        for text in ["192.0.2.0/33", "192.0.2.0/-1", "192.0.2.0/", "host/8", ""] {
            assert!(Network::parse(text).is_err(), "{text}");
        }
    }
}
