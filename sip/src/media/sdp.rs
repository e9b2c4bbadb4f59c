//! The session descriptions that we write (RFC 8866, RFC 3264).

use std::fmt::Write;
use std::net::IpAddr;

use super::{Codec, Direction, RemoteMedia};

/// What all descriptions of one call have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Description<'a> {
    /// Distinguishes calls from each other.
    pub(crate) session: u32,
    /// Rises with each change.
    pub(crate) version: u32,
    /// Where we listen.
    pub(crate) address: IpAddr,
    /// A bound port: it listens, or it discards.
    pub(crate) port: u16,
    /// Best first; at least one.
    pub(crate) codecs: &'a [Codec],
}

/// Our payload type of telephone events where we choose it.
const EVENTS: u8 = 101;

impl Description<'_> {
    /// Writes an offer of G.711 and telephone events, as a phone would make it. Flash calls send
    /// no media; gateways refuse an INVITE without an offer, or with `a=inactive`, as no call of
    /// a phone. A lean one says nothing that is understood without being said.
    pub(crate) fn write_offer(&self, out: &mut String, is_lean: bool) {
        self.write_session(out);
        // Writing into a string cannot fail.
        let _ = write!(out, "m=audio {} RTP/AVP", self.port);
        for codec in self.codecs {
            let _ = write!(out, " {}", codec.payload_type());
        }
        out.push_str(" 101\r\n");
        if !is_lean {
            for codec in self.codecs {
                let _ = write!(out, "a=rtpmap:{} {}/8000\r\n", codec.payload_type(), codec.name());
            }
        }
        write_events(out, EVENTS);
        if !is_lean {
            out.push_str("a=ptime:20\r\na=sendrecv\r\n");
        }
    }

    /// Writes the answer to an offer, of which `media` is what we read and `lines` are its `m=`
    /// lines with whether each is the one that we take.
    pub(crate) fn write_answer(
        &self,
        out: &mut String,
        media: &RemoteMedia,
        lines: &[(String, bool)],
    ) {
        self.write_session(out);
        for (refused, is_ours) in lines {
            if !is_ours {
                // Port 0 refuses a stream (RFC 3264 section 6).
                let _ = write!(out, "m={refused}\r\n");
                continue;
            }
            let (port, payload_type) = (self.port, media.payload_type);
            let _ = write!(out, "m=audio {port} RTP/AVP {payload_type}");
            if let Some(events) = media.telephone_event {
                let _ = write!(out, " {events}");
            }
            let _ = write!(out, "\r\na=rtpmap:{payload_type} {}/8000\r\n", media.codec.name());
            if let Some(events) = media.telephone_event {
                write_events(out, events);
            }
            let direction: Direction = media.direction.mirrored();
            let _ = write!(out, "a=ptime:20\r\na={}\r\n", direction.attribute());
        }
    }

    fn write_session(&self, out: &mut String) {
        let family = if self.address.is_ipv4() { "IP4" } else { "IP6" };
        let Self { session, version, address, .. } = self;
        let _ = write!(
            out,
            "v=0\r\n\
             o=- {session} {version} IN {family} {address}\r\n\
             s=-\r\n\
             c=IN {family} {address}\r\n\
             t=0 0\r\n"
        );
    }
}

fn write_events(out: &mut String, payload_type: u8) {
    let _ = write!(
        out,
        "a=rtpmap:{payload_type} telephone-event/8000\r\na=fmtp:{payload_type} 0-16\r\n"
    );
}
