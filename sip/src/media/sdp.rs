//! The session description of an INVITE (RFC 4566, RFC 3264).

use std::fmt::Write;
use std::net::IpAddr;

/// Writes an offer of G.711 and telephone events, as a phone would make it. Flash calls send no
/// media; gateways refuse an INVITE without an offer, or with `a=inactive`, as no call of a phone.
///
/// `session` distinguishes offers from each other; `port` is a bound socket that discards.
pub(crate) fn write_offer(out: &mut String, session: u32, address: IpAddr, port: u16) {
    let family = if address.is_ipv4() { "IP4" } else { "IP6" };
    // Writing into a string cannot fail.
    let _ = write!(
        out,
        "v=0\r\n\
         o=- {session} 1 IN {family} {address}\r\n\
         s=-\r\n\
         c=IN {family} {address}\r\n\
         t=0 0\r\n\
         m=audio {port} RTP/AVP 8 0 101\r\n\
         a=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:0 PCMU/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\n\
         a=fmtp:101 0-16\r\n\
         a=ptime:20\r\n\
         a=sendrecv\r\n"
    );
}
