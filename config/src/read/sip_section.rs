//! Reading `[sip]`.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use sip::{External, Transport};

use crate::address;
use crate::config::sip_section::{Sip, SipListen};
use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::section::Section;
use crate::section::scalar::not_built;
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
    Sip { listen: sockets, external: external.unwrap_or(External::Learn), media_ports }
}

fn socket(text: Spanned<&str>, faults: &mut Faults) -> Option<SipListen> {
    let (scheme, rest) = text.value.split_once(':').unwrap_or_default();
    match scheme {
        "udp" => match address::socket(rest) {
            Ok(address) => Some(SipListen { transport: Transport::Udp, address }),
            Err(error) => {
                faults.add(Code::BadAddress, text.span, format!("\"listen\": {error}"));
                None
            }
        },
        "tcp" | "tls" => {
            not_built(faults, text.span, &format!("listening on {scheme}:"));
            None
        }
        _ => {
            faults
                .add(Code::BadAddress, text.span, "\"listen\" wants a transport and an address")
                .help("write \"udp:0.0.0.0:5060\"");
            None
        }
    }
}

fn media_ports(
    section: &Section<'_>,
    sockets: &[SipListen],
    faults: &mut Faults,
) -> Vec<RangeInclusive<u16>> {
    let found = section.parsed_texts(faults, "media_ports", Code::BadPorts, address::ports);
    let ranges = found.unwrap_or_default();
    for (at, range) in ranges.iter().enumerate() {
        let overlaps = |other: &&Spanned<RangeInclusive<u16>>| {
            other.value.start() <= range.value.end() && range.value.start() <= other.value.end()
        };
        if let Some(other) = ranges[..at].iter().find(overlaps) {
            faults
                .add(Code::PortsOverlap, range.span, "two ranges of media ports overlap")
                .see("the other one is at", other.span);
        }
        if let Some(socket) = sockets.iter().find(|s| range.value.contains(&s.address.port())) {
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
