//! Whether a request can be served at all, decided before anybody looks at what it wants
//! (RFC 3261 section 8.2).
//!
//! The order is fixed, so that one request always gets one answer: 400, 505, 405 or 501, 416, 420,
//! 415, 406.

use std::fmt;
use std::net::SocketAddr;

use crate::message::{
    Fault, HeaderName, Headers, Message, Method, ParseFault, Scheme, Start, Status, Version,
    WriteFault, Writer,
};

/// The methods served here, as Allow lists them. An INVITE is served by a refusal that a caller
/// understands.
pub const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, MESSAGE";

/// The body types served here, as Accept lists them.
pub const ACCEPT: &str = "application/sdp, text/plain";

/// The option tags of extensions that a request may require here: none yet.
const EXTENSIONS: [&str; 0] = [];

/// Why a readable request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// 400: an optional field that this request needs cannot be read.
    Malformed(Fault),
    /// 505: not SIP/2.0.
    Version,
    /// 405: a method that we know and do not serve.
    MethodNotAllowed,
    /// 501: a method that we do not know.
    MethodNotImplemented,
    /// 416: the Request-URI is neither `sip:`, `sips:` nor `tel:`.
    UriScheme,
    /// 420: Require names something that we cannot do.
    Extension,
    /// 415: the body is of a type that this method is not served with.
    MediaType,
    /// 415: the body is compressed.
    ContentEncoding,
    /// 406: the caller would not read our session description.
    NotAcceptable,
}

/// Judges a request. A CANCEL and an ACK are judged too, but an ACK is never answered.
pub fn check_request(request: &Message<'_>) -> Result<(), Rejection> {
    let Start::Request { method, uri, version } = request.start else { return Ok(()) };
    fields(request).map_err(Rejection::Malformed)?;
    if version != Version::SIP_2_0 {
        return Err(Rejection::Version);
    }
    is_served(method)?;
    if matches!(uri.scheme, Scheme::Other(_)) {
        return Err(Rejection::UriScheme);
    }
    // Require has no meaning in these two (RFC 3261 section 8.2.2.3).
    if !matches!(method, Method::Ack | Method::Cancel)
        && unsupported(&request.headers).next().is_some()
    {
        return Err(Rejection::Extension);
    }
    body(request, method)?;
    let accept = &request.headers;
    if method == Method::Invite
        && accept.has(HeaderName::Accept)
        && !accept.accepts().any(|range| range.allows("application", "sdp"))
    {
        return Err(Rejection::NotAcceptable);
    }
    Ok(())
}

/// Writes the refusal of a request that [`check_request`] refused.
pub fn refuse(
    out: &mut Vec<u8>,
    request: &Headers<'_>,
    rejection: Rejection,
    to_tag: &[u8],
    source: SocketAddr,
) -> Result<(), WriteFault> {
    let mut writer = Writer::reply(out, request, rejection.status(), rejection, to_tag, source);
    match rejection {
        Rejection::MethodNotAllowed | Rejection::MethodNotImplemented => {
            writer.header(HeaderName::Allow, ALLOW);
        }
        Rejection::Extension => {
            writer.tokens(HeaderName::Unsupported, unsupported(request));
        }
        Rejection::MediaType => writer.header(HeaderName::Accept, ACCEPT),
        Rejection::ContentEncoding => writer.header(HeaderName::AcceptEncoding, "identity"),
        Rejection::NotAcceptable => writer.header(
            HeaderName::Warning,
            "399 dozvon \"the only session description here is application/sdp\"",
        ),
        Rejection::Malformed(_) | Rejection::Version | Rejection::UriScheme => {}
    }
    writer.finish()
}

/// Writes the refusal of a request that could not be read, if it may be answered at all.
pub fn refuse_fault(
    out: &mut Vec<u8>,
    fault: &ParseFault<'_>,
    to_tag: &[u8],
    source: SocketAddr,
) -> Option<Result<(), WriteFault>> {
    fault.is_answerable().then(|| {
        Writer::reply(out, &fault.headers, fault.fault.status(), fault.fault, to_tag, source)
            .finish()
    })
}

impl Rejection {
    /// The status that says it.
    pub const fn status(self) -> Status {
        match self {
            Self::Malformed(fault) => fault.status(),
            Self::Version => Status::VERSION_NOT_SUPPORTED,
            Self::MethodNotAllowed => Status::METHOD_NOT_ALLOWED,
            Self::MethodNotImplemented => Status::NOT_IMPLEMENTED,
            Self::UriScheme => Status::UNSUPPORTED_URI_SCHEME,
            Self::Extension => Status::BAD_EXTENSION,
            Self::MediaType | Self::ContentEncoding => Status::UNSUPPORTED_MEDIA_TYPE,
            Self::NotAcceptable => Status::NOT_ACCEPTABLE,
        }
    }
}

impl fmt::Display for Rejection {
    /// The reason phrase.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(fault) => fault.fmt(f),
            other => f.write_str(other.status().phrase()),
        }
    }
}

/// The addresses that whoever serves a request reads.
fn fields(request: &Message<'_>) -> Result<(), Fault> {
    request.from.uri().map_err(|_| Fault::Bad(HeaderName::From))?;
    request.to.uri().map_err(|_| Fault::Bad(HeaderName::To))?;
    for contact in request.headers.contacts() {
        contact?.uri().map_err(|_| Fault::Bad(HeaderName::Contact))?;
    }
    if !request.headers.tokens(HeaderName::Require).all(is_option_tag) {
        return Err(Fault::Bad(HeaderName::Require));
    }
    if !request.body.is_empty() && !request.headers.has(HeaderName::ContentType) {
        return Err(Fault::Missing(HeaderName::ContentType));
    }
    Ok(())
}

/// An option tag is a token, and so can stand in our Unsupported.
fn is_option_tag(tag: &[u8]) -> bool {
    Method::from_token(tag).is_some()
}

fn is_served(method: Method<'_>) -> Result<(), Rejection> {
    match method {
        Method::Invite
        | Method::Ack
        | Method::Bye
        | Method::Cancel
        | Method::Options
        | Method::Message => Ok(()),
        Method::Register
        | Method::Prack
        | Method::Update
        | Method::Info
        | Method::Subscribe
        | Method::Notify
        | Method::Refer
        | Method::Publish => Err(Rejection::MethodNotAllowed),
        Method::Other(_) => Err(Rejection::MethodNotImplemented),
    }
}

fn unsupported<'a>(headers: &Headers<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    headers.tokens(HeaderName::Require).filter(|token| {
        !EXTENSIONS.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(token))
    })
}

/// Only INVITE and MESSAGE are judged by their body: a BYE ends the call whatever it carries.
fn body(request: &Message<'_>, method: Method<'_>) -> Result<(), Rejection> {
    let (main, sub) = match method {
        Method::Invite => ("application", "sdp"),
        Method::Message => ("text", "plain"),
        _ => return Ok(()),
    };
    if request.body.is_empty() || is_optional(&request.headers) {
        return Ok(());
    }
    if request
        .headers
        .tokens(HeaderName::ContentEncoding)
        .any(|coding| !coding.eq_ignore_ascii_case(b"identity"))
    {
        return Err(Rejection::ContentEncoding);
    }
    match request.headers.content_type() {
        Some(media) if media.is(main, sub) => Ok(()),
        Some(_) | None => Err(Rejection::MediaType),
    }
}

/// Whether the sender allows the body to be passed over (RFC 3261 section 20.11).
fn is_optional(headers: &Headers<'_>) -> bool {
    headers.get(HeaderName::ContentDisposition).is_some_and(|value| {
        value.params().value("handling").is_some_and(|it| it.eq_ignore_ascii_case(b"optional"))
    })
}
