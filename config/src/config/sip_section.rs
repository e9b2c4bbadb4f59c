//! `[sip]`: our side of SIP.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use sip::{External, Transport};

use crate::config::tls::Certificate;

/// Our side of SIP.
#[derive(Clone, Debug, PartialEq)]
pub struct Sip {
    /// Our sockets; at least one, none twice.
    pub listen: Vec<SipListen>,
    /// The address that trunks should write to, unless a trunk says otherwise.
    pub external: External,
    /// UDP ports for media; at least one range, no port twice.
    pub media_ports: Vec<RangeInclusive<u16>>,
    /// What we show to those who connect by TLS; there where an address is listened on for it.
    pub tls: Option<Certificate>,
}

/// One socket for SIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SipListen {
    /// What it speaks.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
}
