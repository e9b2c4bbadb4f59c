//! SIP messages on the wire: reading, writing, redaction (RFC 3261 section 7).
//!
//! Reading is one pass of [`Parser`] over the bytes into an index of slots; a [`Message`] is a view
//! of both, its further values are read when asked for, and nothing is allocated. It is liberal
//! where carriers are sloppy (cp1251 in a display name, folded lines, LF alone, compact names,
//! empty values) and strict where sloppiness is an attack (two Content-Lengths, a method that
//! differs from the CSeq, control characters).
//!
//! Writing is a [`Writer`] into a buffer of the caller's. A value with CR, LF or NUL leaves that
//! buffer as it was.

mod address;
mod fault;
mod headers;
#[cfg(test)]
mod linear;
mod media;
mod method;
mod name;
mod params;
mod parse;
mod redact;
pub(crate) mod scan;
mod stream;
mod uri;
mod via;
mod write;

use std::fmt;

pub use address::Address;
pub use fault::Fault;
pub use headers::{
    AddressList, HEADERS_LIMIT, Headers, Lines, MALFORMED_EXPIRES_S, Q850, RAck, Raw,
};
pub use media::MediaType;
pub use method::{Method, Status};
pub use name::HeaderName;
pub use params::{Param, Params, ParamsIter, unquote};
pub use parse::{
    Framing, HEADER_SECTION_LIMIT, MESSAGE_LIMIT, ParseFault, Parser, VIA_LIMIT, is_keep_alive,
};
pub use redact::{Redacted, redact};
pub use stream::{Awaiting, Framer, FramingLost, Piece};
pub use uri::{Host, Scheme, Uri, UriFault};
pub use via::{MAGIC_COOKIE, Rport, Via};
pub use write::{AddressValue, SipUri, UriValue, WriteFault, Writer};

/// A message whose transaction keys were read and checked.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// The first line.
    pub start: Start<'a>,
    /// The header lines, with typed views of the optional ones.
    pub headers: Headers<'a>,
    /// The body, as long as Content-Length says.
    pub body: &'a [u8],
    /// The topmost Via.
    pub via: Via<'a>,
    /// From; its URI is not yet read.
    pub from: Address<'a>,
    /// To; its URI is not yet read.
    pub to: Address<'a>,
    /// Call-ID, compared byte by byte.
    pub call_id: &'a [u8],
    /// CSeq; in a request its method is that of the request line.
    pub cseq: CSeq<'a>,
}

/// The first line of a message.
#[derive(Clone, Copy)]
pub enum Start<'a> {
    /// A request line.
    Request {
        /// The method.
        method: Method<'a>,
        /// The Request-URI; of whatever scheme, but without header fields.
        uri: Uri<'a>,
        /// The version; whoever serves the request refuses those it does not know.
        version: Version,
    },
    /// A status line of SIP/2.0.
    Response {
        /// The status.
        status: Status,
        /// The reason phrase, in any encoding; empty when there is none.
        reason: &'a [u8],
    },
}

/// The version behind `SIP/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// 2.
    pub major: u8,
    /// 0.
    pub minor: u8,
}

impl Version {
    /// The version of RFC 3261.
    pub const SIP_2_0: Self = Self { major: 2, minor: 0 };
}

/// CSeq (RFC 3261 section 20.16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// The number; any of 32 bits is read, those that we send stay below 2³¹.
    pub number: u32,
    /// The method.
    pub method: Method<'a>,
}

impl<'a> Message<'a> {
    /// The status, when this is a response.
    pub const fn status(&self) -> Option<Status> {
        match self.start {
            Start::Response { status, .. } => Some(status),
            Start::Request { .. } => None,
        }
    }

    /// The method, when this is a request. That of a response is in its CSeq.
    pub const fn request_method(&self) -> Option<Method<'a>> {
        match self.start {
            Start::Request { method, .. } => Some(method),
            Start::Response { .. } => None,
        }
    }

    /// The Request-URI, when this is a request.
    pub const fn request_uri(&self) -> Option<Uri<'a>> {
        match self.start {
            Start::Request { uri, .. } => Some(uri),
            Start::Response { .. } => None,
        }
    }
}

impl fmt::Debug for Start<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request { method, .. } => f.write_str(method.as_str()),
            Self::Response { status, .. } => fmt::Display::fmt(status, f),
        }
    }
}

impl fmt::Debug for Message<'_> {
    /// Method or status and CSeq: the rest may hold a number, a code or a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({:?}, CSeq {} {})", self.start, self.cseq.number, self.cseq.method)
    }
}
