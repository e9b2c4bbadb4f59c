//! The answer to a request (RFC 3261 section 8.2.6).

use std::fmt;
use std::net::SocketAddr;

use super::Writer;
use crate::message::address::Address;
use crate::message::headers::{Headers, Raw};
use crate::message::method::Status;
use crate::message::name::HeaderName;
use crate::message::scan;
use crate::message::via::{Rport, Via};

impl<'b> Writer<'b> {
    /// Starts the answer to a request: status line, every Via, From, To, Call-ID, CSeq as they
    /// came. It also serves a request that is faulty; what is missing there is missing here.
    ///
    /// `to_tag` is added unless To has a tag or the status is 100. The topmost Via tells `source`
    /// as RFC 3261 section 18.2.1 and RFC 3581 section 4 ask.
    pub fn reply(
        out: &'b mut Vec<u8>,
        request: &Headers<'_>,
        status: Status,
        reason: impl fmt::Display,
        to_tag: &[u8],
        source: SocketAddr,
    ) -> Self {
        let mut writer = Self::new(out);
        writer.status_line(status, reason);
        writer.vias(request, source);
        writer.copy_all(HeaderName::From, request);
        writer.to(request, status, to_tag);
        writer.copy_all(HeaderName::CallId, request);
        writer.copy_all(HeaderName::CSeq, request);
        if status == Status::TRYING {
            writer.copy_all(HeaderName::Timestamp, request);
        }
        writer
    }

    fn vias(&mut self, request: &Headers<'_>, source: SocketAddr) {
        let mut lines = request.lines(HeaderName::Via);
        let Some(first) = lines.next() else { return };
        self.name(HeaderName::Via);
        let mut list = scan::List::new(first.bytes());
        let top = list.next().unwrap_or_default();
        match Via::parse(top) {
            Ok(via) if needs_source(&via, source) => {
                self.top_via(&via, source);
                if let Some(others) = list.rest() {
                    self.literal(b",");
                    Raw(others).unfold_into(self.out);
                }
            }
            // One that cannot be read goes back as it came, to the address it came from.
            Ok(_) | Err(_) => first.unfold_into(self.out),
        }
        self.literal(b"\r\n");
        for line in lines {
            self.copy(HeaderName::Via, line);
        }
    }

    /// The Via without whatever `received` and `rport` the sender wrote into it, and with ours.
    fn top_via(&mut self, via: &Via<'_>, source: SocketAddr) {
        self.literal(b"SIP/2.0/");
        self.literal(via.transport);
        self.literal(b" ");
        self.display(via.host, HeaderName::Via.as_str());
        if let Some(port) = via.port {
            self.literal(b":");
            self.decimal(u32::from(port));
        }
        for param in via.params {
            if param.is("received") || param.is("rport") {
                continue;
            }
            self.literal(b";");
            Raw(param.name).unfold_into(self.out);
            if let Some(value) = param.value {
                self.literal(b"=");
                Raw(value).unfold_into(self.out);
            }
        }
        self.literal(b";received=");
        self.display(source.ip(), HeaderName::Via.as_str());
        if via.rport != Rport::Absent {
            self.literal(b";rport=");
            self.decimal(u32::from(source.port()));
        }
    }

    fn to(&mut self, request: &Headers<'_>, status: Status, to_tag: &[u8]) {
        let Some(to) = request.get(HeaderName::To) else { return };
        self.name(HeaderName::To);
        to.unfold_into(self.out);
        // To a To that cannot be read, nothing is added: it might land inside its quotes.
        let has_room = Address::parse(to.bytes(), HeaderName::To)
            .is_ok_and(|address| address.params.get("tag").is_none());
        if has_room && status != Status::TRYING {
            self.literal(b";tag=");
            self.token(to_tag, HeaderName::To.as_str());
        }
        self.literal(b"\r\n");
    }
}

/// Whether the next hop must be told where it came from: it asks, or it gave another address, or
/// a name.
fn needs_source(via: &Via<'_>, source: SocketAddr) -> bool {
    via.rport != Rport::Absent || via.received.is_some() || via.host.address() != Some(source.ip())
}
