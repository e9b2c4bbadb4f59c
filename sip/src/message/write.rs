//! The writer: typed values into a caller's buffer.

mod reply;
mod value;

use std::fmt;

use super::headers::{Headers, Raw};
use super::method::{Method, Status};
use super::name::HeaderName;
use super::scan;
use super::uri::host_port;

pub use value::{AddressValue, SipUri, UriValue};

/// Writes one message at the end of a buffer.
///
/// A value that could end its line, or leave its place in it, is remembered as a fault; then
/// [`Writer::finish`] is an error and the buffer is as long as it was before. So it is when the
/// writer is dropped without `finish`: half a message cannot be sent.
#[must_use = "only `finish` leaves the message in the buffer"]
pub struct Writer<'b> {
    out: &'b mut Vec<u8>,
    start: usize,
    fault: Option<WriteFault>,
    is_finished: bool,
}

/// Why a message cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteFault {
    /// CR, LF, NUL or another control character.
    #[error("a control character in {0}")]
    Control(&'static str),
    /// An empty token, or one with a byte that no token has.
    #[error("{0} is no token")]
    Token(&'static str),
    /// Parameters that are no `;name=value`.
    #[error("bad parameters in {0}")]
    Params(&'static str),
    /// A URI with white space, a quote or an angle bracket, or with a bad host.
    #[error("a bad uri in {0}")]
    Uri(&'static str),
}

impl<'b> Writer<'b> {
    /// Starts a request.
    pub fn request<'u>(
        out: &'b mut Vec<u8>,
        method: Method<'_>,
        uri: impl Into<UriValue<'u>>,
    ) -> Self {
        let mut writer = Self::new(out);
        writer.token(method.as_str().as_bytes(), REQUEST_LINE);
        writer.literal(b" ");
        uri.into().write(&mut writer, REQUEST_LINE);
        writer.literal(b" SIP/2.0\r\n");
        writer
    }

    /// Starts a response that answers nothing received here; see [`Writer::reply`] for the others.
    pub fn response(out: &'b mut Vec<u8>, status: Status, reason: impl fmt::Display) -> Self {
        let mut writer = Self::new(out);
        writer.status_line(status, reason);
        writer
    }

    fn new(out: &'b mut Vec<u8>) -> Self {
        let start = out.len();
        Self { out, start, fault: None, is_finished: false }
    }

    fn status_line(&mut self, status: Status, reason: impl fmt::Display) {
        self.literal(b"SIP/2.0 ");
        self.decimal(u32::from(status.code()));
        self.literal(b" ");
        self.display(reason, "reason phrase");
        self.literal(b"\r\n");
    }

    /// Via with its branch. `sent_by` is `host` or `host:port`, IPv6 in brackets; with
    /// `asks_rport` the next hop is asked for the port it sees (RFC 3581).
    pub fn via(
        &mut self,
        transport: &str,
        sent_by: impl fmt::Display,
        branch: impl AsRef<[u8]>,
        asks_rport: bool,
    ) {
        const VIA: &str = HeaderName::Via.as_str();
        self.literal(b"Via: SIP/2.0/");
        self.token(transport.as_bytes(), VIA);
        self.literal(b" ");
        let before = self.out.len();
        self.display(sent_by, VIA);
        let sent_by = &self.out[before..];
        if scan::has_space_or_control(sent_by) || host_port(sent_by).is_err() {
            self.fail(WriteFault::Uri(VIA));
        }
        if asks_rport {
            self.literal(b";rport");
        }
        self.literal(b";branch=");
        self.token(branch.as_ref(), VIA);
        self.literal(b"\r\n");
    }

    /// From, To, Contact, P-Asserted-Identity or another field with one address.
    pub fn address<'v>(&mut self, name: HeaderName, value: impl Into<AddressValue<'v>>) {
        self.name(name);
        value.into().write(self, name.as_str());
        self.literal(b"\r\n");
    }

    /// Call-ID; any bytes but white space and controls.
    pub fn call_id(&mut self, call_id: &[u8]) {
        self.name(HeaderName::CallId);
        if call_id.is_empty() || scan::has_space_or_control(call_id) {
            self.fail(WriteFault::Token(HeaderName::CallId.as_str()));
        }
        self.out.extend_from_slice(call_id);
        self.literal(b"\r\n");
    }

    /// CSeq; the number is below 2³¹ (RFC 3261 section 8.1.1.5).
    pub fn cseq(&mut self, number: u32, method: Method<'_>) {
        self.name(HeaderName::CSeq);
        self.decimal(number);
        self.literal(b" ");
        self.token(method.as_str().as_bytes(), HeaderName::CSeq.as_str());
        self.literal(b"\r\n");
    }

    /// A field with a number: Max-Forwards, Expires (seconds), Min-Expires, RSeq, …
    pub fn number(&mut self, name: HeaderName, value: u32) {
        self.name(name);
        self.decimal(value);
        self.literal(b"\r\n");
    }

    /// A field with a value that is on one line: Supported, Allow, User-Agent, Authorization, …
    pub fn header(&mut self, name: HeaderName, value: impl fmt::Display) {
        self.name(name);
        self.display(value, name.as_str());
        self.literal(b"\r\n");
    }

    /// A field with a list of tokens: Supported, Unsupported, Require, …; without one, no field.
    pub fn tokens<'t>(&mut self, name: HeaderName, tokens: impl Iterator<Item = &'t [u8]>) {
        let mut is_first = true;
        for token in tokens {
            match is_first {
                true => self.name(name),
                false => self.literal(b", "),
            }
            is_first = false;
            self.token(token, name.as_str());
        }
        if !is_first {
            self.literal(b"\r\n");
        }
    }

    /// A field with a value of bytes on one line, as one kept from [`Raw::to_vec`].
    pub fn header_bytes(&mut self, name: HeaderName, value: &[u8]) {
        self.name(name);
        self.text(value, name.as_str());
        self.literal(b"\r\n");
    }

    /// A field whose name comes from a configuration file.
    pub fn named_header(&mut self, name: &str, value: &str) {
        self.token(name.as_bytes(), "a header name");
        self.literal(b": ");
        self.text(value.as_bytes(), "a configured header");
        self.literal(b"\r\n");
    }

    /// A received value, copied; folds become one space.
    pub fn copy(&mut self, name: HeaderName, value: Raw<'_>) {
        self.name(name);
        value.unfold_into(self.out);
        self.literal(b"\r\n");
    }

    /// Every line of one name of a received message, in order.
    pub fn copy_all(&mut self, name: HeaderName, from: &Headers<'_>) {
        for value in from.lines(name) {
            self.copy(name, value);
        }
    }

    /// Ends a message without a body.
    pub fn finish(mut self) -> Result<(), WriteFault> {
        self.literal(b"Content-Length: 0\r\n\r\n");
        self.end()
    }

    /// Ends a message with a body; Content-Type and Content-Length are written here.
    pub fn finish_with_body(mut self, content_type: &str, body: &[u8]) -> Result<(), WriteFault> {
        self.header(HeaderName::ContentType, content_type);
        self.name(HeaderName::ContentLength);
        self.display(body.len(), HeaderName::ContentLength.as_str());
        self.literal(b"\r\n\r\n");
        self.out.extend_from_slice(body);
        self.end()
    }

    fn end(mut self) -> Result<(), WriteFault> {
        match self.fault {
            // The buffer is cut by the drop.
            Some(fault) => Err(fault),
            None => {
                self.is_finished = true;
                Ok(())
            }
        }
    }

    fn name(&mut self, name: HeaderName) {
        if name == HeaderName::Other {
            self.fail(WriteFault::Token("a header name"));
        }
        self.literal(name.as_str().as_bytes());
        self.literal(b": ");
    }

    fn literal(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn decimal(&mut self, value: u32) {
        let mut digits = [0; 10];
        let mut at = digits.len();
        let mut rest = value;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.literal(&digits[at..]);
    }

    /// Bytes of one line; above ASCII everything is allowed.
    fn text(&mut self, bytes: &[u8], part: &'static str) {
        if scan::has_control(bytes) {
            self.fail(WriteFault::Control(part));
        }
        self.literal(bytes);
    }

    fn token(&mut self, bytes: &[u8], part: &'static str) {
        if !scan::is_token_run(bytes) {
            self.fail(WriteFault::Token(part));
        }
        self.literal(bytes);
    }

    fn display(&mut self, value: impl fmt::Display, part: &'static str) {
        let before = self.out.len();
        // Writing into a vector cannot fail; a Display that fails by itself is a fault here.
        if fmt::Write::write_fmt(&mut Utf8(self.out), format_args!("{value}")).is_err()
            || scan::has_control(&self.out[before..])
        {
            self.fail(WriteFault::Control(part));
        }
    }

    fn fail(&mut self, fault: WriteFault) {
        self.fault.get_or_insert(fault);
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        if !self.is_finished {
            self.out.truncate(self.start);
        }
    }
}

const REQUEST_LINE: &str = "request line";

/// A vector as the target of `write!`.
struct Utf8<'v>(&'v mut Vec<u8>);

impl fmt::Write for Utf8<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
