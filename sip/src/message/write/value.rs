//! URIs and addresses on their way out.

use std::net::Ipv6Addr;

use super::{WriteFault, Writer};
use crate::message::params::{Param, Params};
use crate::message::scan;
use crate::message::uri::Uri;

/// A URI to be written.
#[derive(Clone, Copy)]
pub enum UriValue<'a> {
    /// Put together here, escaped where it must be.
    Sip(SipUri<'a>),
    /// As it came, or as it was written in full; white space, quotes and angle brackets are faults.
    Whole(&'a [u8]),
}

/// `sip:user@host:port;params`.
#[derive(Clone, Copy, Default)]
pub struct SipUri<'a> {
    /// What is not allowed in a user part leaves as a `%`-escape.
    pub user: Option<&'a str>,
    /// A name, an IPv4 address, or an IPv6 address with or without brackets.
    pub host: &'a str,
    /// Left out when `None`.
    pub port: Option<u16>,
    /// Empty, or `;name=value;name` as it is to stand there.
    pub params: &'a str,
}

/// `"display" <uri>;tag=…;params`. The angle brackets are always written.
#[derive(Clone, Copy)]
pub struct AddressValue<'a> {
    /// Written in quotes.
    pub display: Option<&'a str>,
    /// The URI.
    pub uri: UriValue<'a>,
    /// A token.
    pub tag: Option<&'a [u8]>,
    /// Empty, or `;name=value;name` as it is to stand there.
    pub params: &'a str,
}

impl<'a> From<SipUri<'a>> for UriValue<'a> {
    fn from(uri: SipUri<'a>) -> Self {
        Self::Sip(uri)
    }
}

impl<'a> From<&'a [u8]> for UriValue<'a> {
    fn from(uri: &'a [u8]) -> Self {
        Self::Whole(uri)
    }
}

impl<'a> From<&'a Vec<u8>> for UriValue<'a> {
    fn from(uri: &'a Vec<u8>) -> Self {
        Self::Whole(uri)
    }
}

impl<'a> From<&'a str> for UriValue<'a> {
    fn from(uri: &'a str) -> Self {
        Self::Whole(uri.as_bytes())
    }
}

impl<'a> From<Uri<'a>> for UriValue<'a> {
    fn from(uri: Uri<'a>) -> Self {
        Self::Whole(uri.raw())
    }
}

impl<'a, U: Into<UriValue<'a>>> From<U> for AddressValue<'a> {
    fn from(uri: U) -> Self {
        Self { display: None, uri: uri.into(), tag: None, params: "" }
    }
}

impl UriValue<'_> {
    pub(super) fn write(&self, writer: &mut Writer<'_>, part: &'static str) {
        match self {
            Self::Sip(uri) => uri.write(writer, part),
            Self::Whole(uri) => {
                if uri.is_empty() || !is_clean(uri) {
                    writer.fail(WriteFault::Uri(part));
                }
                writer.literal(uri);
            }
        }
    }
}

impl SipUri<'_> {
    fn write(&self, writer: &mut Writer<'_>, part: &'static str) {
        writer.literal(b"sip:");
        if let Some(user) = self.user {
            write_user(user, writer, part);
            writer.literal(b"@");
        }
        write_host(self.host, writer, part);
        if let Some(port) = self.port {
            writer.literal(b":");
            writer.decimal(u32::from(port));
        }
        let params = self.params.as_bytes();
        // A question mark would start header fields, an at sign would end another user part.
        if !matches!(params.first(), None | Some(b';'))
            || !is_clean(params)
            || scan::find2(b'?', b'@', params).is_some()
        {
            writer.fail(WriteFault::Uri(part));
        }
        writer.literal(params);
    }
}

fn write_user(user: &str, writer: &mut Writer<'_>, part: &'static str) {
    if user.is_empty() {
        writer.fail(WriteFault::Uri(part));
    }
    // Escaped, a control character is harmless here, but nothing good puts one into a user part.
    if scan::has_control(user.as_bytes()) {
        writer.fail(WriteFault::Control(part));
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte);
    for piece in user.as_bytes().split_inclusive(|byte| !is_plain(*byte)) {
        match piece {
            [before @ .., special] if !is_plain(*special) => {
                const HEXADECIMAL: &[u8; 16] = b"0123456789ABCDEF";
                let digit = |value: u8| HEXADECIMAL[usize::from(value)];
                writer.literal(before);
                writer.literal(&[b'%', digit(special >> 4), digit(special & 15)]);
            }
            piece => writer.literal(piece),
        }
    }
}

fn write_host(host: &str, writer: &mut Writer<'_>, part: &'static str) {
    let bytes = host.as_bytes();
    if bytes.contains(&b':') {
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if inner.parse::<Ipv6Addr>().is_err() {
            writer.fail(WriteFault::Uri(part));
        }
        writer.literal(b"[");
        writer.literal(inner.as_bytes());
        writer.literal(b"]");
        return;
    }
    let is_good = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
    if bytes.is_empty() || !bytes.iter().all(is_good) {
        writer.fail(WriteFault::Uri(part));
    }
    writer.literal(bytes);
}

fn is_clean(bytes: &[u8]) -> bool {
    !scan::has_space_or_control(bytes) && memchr::memchr3(b'<', b'>', b'"', bytes).is_none()
}

impl AddressValue<'_> {
    pub(super) fn write(&self, writer: &mut Writer<'_>, part: &'static str) {
        if let Some(display) = self.display {
            writer.literal(b"\"");
            for piece in display.as_bytes().split_inclusive(|byte| matches!(byte, b'"' | b'\\')) {
                match piece {
                    [before @ .., special @ (b'"' | b'\\')] => {
                        writer.text(before, part);
                        writer.literal(&[b'\\', *special]);
                    }
                    piece => writer.text(piece, part),
                }
            }
            writer.literal(b"\" ");
        }
        writer.literal(b"<");
        self.uri.write(writer, part);
        writer.literal(b">");
        if let Some(tag) = self.tag {
            writer.literal(b";tag=");
            writer.token(tag, part);
        }
        let params = self.params.as_bytes();
        if !matches!(params.first(), None | Some(b';')) || !Params::new(params).iter().all(is_sound)
        {
            writer.fail(WriteFault::Params(part));
        }
        writer.text(params, part);
    }
}

/// A token, with or without a value that cannot leave its place: one without a comma, a bracket or
/// a semicolon, or one whole quoted string.
fn is_sound(param: Param<'_>) -> bool {
    let is_value = |value: &[u8]| match value {
        [b'"', ..] => scan::quoted_end(value) == Some(value.len()),
        _ => value.iter().all(|byte| scan::is_token(*byte) || b"[]:/".contains(byte)),
    };
    scan::is_token_run(param.name) && param.value.is_none_or(is_value)
}
