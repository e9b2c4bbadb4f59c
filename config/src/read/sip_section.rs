//! Reading `[sip]`.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use sip::{External, Transport};

use crate::address;
use crate::config::sip_section::{Sip, SipListen};
use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::read::tls;
use crate::section::Section;
use crate::source::Spanned;

const MEDIA_PORTS: RangeInclusive<u16> = 20000..=20199;

pub(crate) fn read(section: &Section<'_>, faults: &mut Faults) -> Sip {
    let listen = section.texts(faults, "listen").unwrap_or_default();
    let mut sockets: Vec<SipListen> =
        listen.into_iter().filter_map(|text| socket(text, faults)).collect();
    if sockets.is_empty() {
        let address = SocketAddr::from(([0, 0, 0, 0], 5060));
        sockets.push(SipListen { transport: Transport::Udp, address });
    }
    let external = section.parsed(faults, "external", Code::BadExternal, address::external);
    let media_ports = media_ports(section, &sockets, faults);
    let certificate = tls::of_listeners(section, faults);
    check_tls(section, &sockets, faults);
    Sip {
        listen: sockets,
        external: external.unwrap_or(External::Learn),
        media_ports,
        tls: certificate,
    }
}

fn socket(text: Spanned<&str>, faults: &mut Faults) -> Option<SipListen> {
    let (scheme, rest) = text.value.split_once(':').unwrap_or_default();
    let transport = match scheme {
        "udp" => Transport::Udp,
        "tcp" => Transport::Tcp,
        "tls" => Transport::Tls,
        _ => {
            faults
                .add(Code::BadAddress, text.span, "\"listen\" wants a transport and an address")
                .help("write \"udp:0.0.0.0:5060\", or tcp: or tls: in front");
            return None;
        }
    };
    match address::socket(rest) {
        Ok(address) => Some(SipListen { transport, address }),
        Err(error) => {
            faults.add(Code::BadAddress, text.span, format!("\"listen\": {error}"));
            None
        }
    }
}

/// An address for TLS and a certificate belong together.
fn check_tls(section: &Section<'_>, sockets: &[SipListen], faults: &mut Faults) {
    let listens = sockets.iter().any(|socket| socket.transport == Transport::Tls);
    match section.get("tls") {
        None if listens => {
            faults
                .add(
                    Code::TlsWithoutCertificate,
                    section.place_of("listen"),
                    "a tls: address needs a certificate to show",
                )
                .help("tls = { cert = \"/etc/dozvon/tls/chain.pem\", key = { credential = \"sip-tls-key\" } }");
        }
        Some(tls) if !listens => {
            faults.add(Code::TlsUnused, tls.span, "no address of \"listen\" begins with tls:");
        }
        None | Some(_) => {}
    }
}

fn media_ports(
    section: &Section<'_>,
    sockets: &[SipListen],
    faults: &mut Faults,
) -> Vec<RangeInclusive<u16>> {
    let found = section.parsed_texts(faults, "media_ports", Code::BadPorts, address::ports);
    let ranges = found.unwrap_or_default();
    let datagrams = || sockets.iter().filter(|socket| socket.transport == Transport::Udp);
    for (at, range) in ranges.iter().enumerate() {
        let overlaps = |other: &&Spanned<RangeInclusive<u16>>| {
            other.value.start() <= range.value.end() && range.value.start() <= other.value.end()
        };
        if let Some(other) = ranges[..at].iter().find(overlaps) {
            faults
                .add(Code::PortsOverlap, range.span, "two ranges of media ports overlap")
                .see("the other one is at", other.span);
        }
        if let Some(socket) = datagrams().find(|s| range.value.contains(&s.address.port())) {
            let port = socket.address.port();
            let message = format!("port {port} is both for SIP and for media");
            faults.add(Code::PortsOverlap, range.span, message);
        }
    }
    if ranges.is_empty() {
        return vec![MEDIA_PORTS];
    }
    ranges.into_iter().map(|range| range.value).collect()
}
