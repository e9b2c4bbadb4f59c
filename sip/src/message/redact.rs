//! A message as it may stand in a log.
//!
//! In a flash call From, P-Asserted-Identity, Remote-Party-ID and Contact hold the code, To and the
//! request line hold the number. So a caller's number loses its tail, a called one its middle, and
//! of the rest only what is known to be harmless is shown.

use std::fmt::{self, Write};

use super::address::Address;
use super::headers::{Headers, Raw};
use super::name::HeaderName;
use super::params::Params;
use super::parse::{Framing, ParseFault, Parser};
use super::scan;
use super::uri::{Host, Scheme, Uri};
use super::via::Via;
use super::{Message, Start};

/// A message without codes, numbers, secrets and body; lines end in LF, every byte is printable.
pub struct Redacted<'a> {
    start: Option<Start<'a>>,
    headers: Headers<'a>,
    body_len: usize,
}

impl<'a> Message<'a> {
    /// The message for a log.
    pub const fn redacted(&self) -> Redacted<'a> {
        Redacted { start: Some(self.start), headers: self.headers, body_len: self.body.len() }
    }
}

impl<'a> ParseFault<'a> {
    /// What could be read, for a log; the start line and the body are left out.
    pub const fn redacted(&self) -> Redacted<'a> {
        Redacted { start: None, headers: self.headers, body_len: 0 }
    }
}

/// Reads a message, such as one that is about to be sent, and redacts it.
pub fn redact(bytes: &[u8]) -> String {
    let mut parser = Parser::new();
    match parser.parse(bytes, Framing::Datagram) {
        Ok(message) => message.redacted().to_string(),
        Err(fault) => format!("[{}]\n{}", fault.fault, fault.redacted()),
    }
}

/// What is done to the value of a field.
enum Care {
    /// Shown: it cannot hold a number.
    Show,
    /// Shown, but long runs of digits lose their end: somebody's free text.
    Text,
    /// Addresses that show who calls: they lose their tail.
    Caller,
    /// Addresses that show who is called: they lose their middle.
    Called,
    /// A list of Via values.
    Via,
    /// Only the length is shown.
    Hide,
}

const fn care(name: HeaderName) -> Care {
    use HeaderName as N;
    match name {
        N::Accept
        | N::AcceptEncoding
        | N::AcceptLanguage
        | N::Allow
        | N::AllowEvents
        | N::ContentDisposition
        | N::ContentEncoding
        | N::ContentLanguage
        | N::ContentLength
        | N::CSeq
        | N::Date
        | N::Event
        | N::Expires
        | N::MaxForwards
        | N::MimeVersion
        | N::MinExpires
        | N::MinSe
        | N::Priority
        | N::Privacy
        | N::ProxyRequire
        | N::RAck
        | N::RSeq
        | N::Require
        | N::SessionExpires
        | N::Supported
        | N::Timestamp
        | N::Unsupported => Care::Show,
        N::CallId
        | N::ContentType
        | N::Reason
        | N::RetryAfter
        | N::Server
        | N::UserAgent
        | N::Warning => Care::Text,
        N::Contact
        | N::Diversion
        | N::From
        | N::HistoryInfo
        | N::PAssertedIdentity
        | N::PAssociatedUri
        | N::PPreferredIdentity
        | N::ReferredBy
        | N::RemotePartyId
        | N::ReplyTo => Care::Caller,
        N::PCalledPartyId
        | N::Path
        | N::RecordRoute
        | N::ReferTo
        | N::Route
        | N::ServiceRoute
        | N::To => Care::Called,
        N::Via => Care::Via,
        N::AcceptContact
        | N::AlertInfo
        | N::AuthenticationInfo
        | N::Authorization
        | N::CallInfo
        | N::ErrorInfo
        | N::Identity
        | N::Organization
        | N::ProxyAuthenticate
        | N::ProxyAuthorization
        | N::Subject
        | N::WwwAuthenticate
        | N::Other => Care::Hide,
    }
}

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.start {
            Some(Start::Request { method, uri, version }) => {
                write!(f, "{method} ")?;
                write_uri(f, uri, Care::Called)?;
                writeln!(f, " SIP/{}.{}", version.major, version.minor)?;
            }
            Some(Start::Response { status, reason }) => {
                write!(f, "SIP/2.0 {status} ")?;
                write_text(f, reason)?;
                f.write_char('\n')?;
            }
            None => {}
        }
        for (name, written, value) in self.headers.iter() {
            match name {
                HeaderName::Other => write!(f, "{}: ", written.escape_ascii())?,
                name => write!(f, "{name}: ")?,
            }
            write_value(f, name, value)?;
            f.write_char('\n')?;
        }
        if self.body_len > 0 {
            writeln!(f, "[body of {} bytes]", self.body_len)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn write_value(f: &mut fmt::Formatter<'_>, name: HeaderName, value: Raw<'_>) -> fmt::Result {
    match care(name) {
        Care::Show => write!(f, "{}", value.to_vec().escape_ascii()),
        Care::Text => write_text(f, &value.to_vec()),
        Care::Hide => write!(f, "[{} bytes]", value.bytes().len()),
        Care::Via => write_list(f, value, |f, element| match Via::parse(element) {
            Ok(via) => write_via(f, &via),
            Err(_) => write!(f, "[{} bytes]", element.len()),
        }),
        Care::Caller => {
            write_list(f, value, |f, element| write_address(f, element, name, Care::Caller))
        }
        Care::Called => {
            write_list(f, value, |f, element| write_address(f, element, name, Care::Called))
        }
    }
}

fn write_list(
    f: &mut fmt::Formatter<'_>,
    value: Raw<'_>,
    write_element: impl Fn(&mut fmt::Formatter<'_>, &[u8]) -> fmt::Result,
) -> fmt::Result {
    for (at, element) in scan::List::new(value.bytes()).enumerate() {
        if at > 0 {
            f.write_str(", ")?;
        }
        write_element(f, element)?;
    }
    Ok(())
}

fn write_via(f: &mut fmt::Formatter<'_>, via: &Via<'_>) -> fmt::Result {
    write!(f, "SIP/2.0/{via:?}")?;
    write_params(f, via.params, &["branch", "received", "rport"])
}

fn write_address(
    f: &mut fmt::Formatter<'_>,
    element: &[u8],
    name: HeaderName,
    care: Care,
) -> fmt::Result {
    if element == b"*" {
        return f.write_char('*');
    }
    let Ok(address) = Address::parse(element, name) else {
        return write!(f, "[{} bytes]", element.len());
    };
    if address.display.is_some() {
        f.write_str("\"***\" ")?;
    }
    match address.uri() {
        Ok(uri) => {
            f.write_char('<')?;
            write_uri(f, &uri, care)?;
            f.write_char('>')?;
        }
        Err(_) => write!(f, "<{} bytes>", address.uri_raw.len())?,
    }
    const HARMLESS: [&str; 7] = ["tag", "expires", "q", "reason", "party", "privacy", "screen"];
    write_params(f, address.params, &HARMLESS)
}

fn write_uri(f: &mut fmt::Formatter<'_>, uri: &Uri<'_>, care: Care) -> fmt::Result {
    write!(f, "{:?}:", uri.scheme)?;
    if matches!(uri.scheme, Scheme::Other(_)) {
        return write!(f, "[{} bytes]", uri.raw().len());
    }
    if let Some(user) = uri.user {
        match care {
            Care::Caller => write_without_tail(f, user)?,
            _ => write_without_middle(f, user)?,
        }
    }
    if uri.password.is_some() {
        f.write_str(":***")?;
    }
    if let Some(host) = uri.host {
        if uri.user.is_some() {
            f.write_char('@')?;
        }
        match host {
            // A number without an at sign stands where a host should.
            Host::Name(name) if !name.iter().any(u8::is_ascii_alphabetic) => {
                write_without_tail(f, name)?;
            }
            host => write!(f, "{host}")?,
        }
    }
    if let Some(port) = uri.port {
        write!(f, ":{port}")?;
    }
    write_params(f, uri.params, &["transport", "lr", "user", "ob", "maddr"])?;
    match uri.headers {
        Some(_) => f.write_str("?***"),
        None => Ok(()),
    }
}

/// Parameters; the values of all but the `harmless` are left out.
fn write_params(f: &mut fmt::Formatter<'_>, params: Params<'_>, harmless: &[&str]) -> fmt::Result {
    for param in params {
        let is_harmless = harmless.iter().any(|name| param.is(name));
        match param.value {
            Some(value) if is_harmless => {
                write!(f, ";{}={}", param.name.escape_ascii(), value.escape_ascii())?;
            }
            Some(_) => write!(f, ";{}=***", param.name.escape_ascii())?,
            None if is_harmless => write!(f, ";{}", param.name.escape_ascii())?,
            None => f.write_str(";***")?,
        }
    }
    Ok(())
}

/// At most five bytes from the front, and never the last seven: a code is at most six digits.
fn write_without_tail(f: &mut fmt::Formatter<'_>, number: &[u8]) -> fmt::Result {
    let shown = number.len().saturating_sub(7).min(5);
    write!(f, "{}***", number[..shown].escape_ascii())
}

/// Four bytes from the front and two from the end, of a number that is long enough to hide in.
fn write_without_middle(f: &mut fmt::Formatter<'_>, number: &[u8]) -> fmt::Result {
    match number.len() {
        0..=9 => f.write_str("***"),
        length => {
            write!(f, "{}***{}", number[..4].escape_ascii(), number[length - 2..].escape_ascii())
        }
    }
}

/// Free text in which a run of digits that could be a number keeps its first four only.
fn write_text(f: &mut fmt::Formatter<'_>, text: &[u8]) -> fmt::Result {
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits >= 7 {
            write!(f, "{}***", rest[..4].escape_ascii())?;
        } else {
            write!(f, "{}", rest[..digits].escape_ascii())?;
        }
        rest = &rest[digits..];
        let others = rest.iter().take_while(|byte| !byte.is_ascii_digit()).count();
        write!(f, "{}", rest[..others].escape_ascii())?;
        rest = &rest[others..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::redact;

    /// The tail of the caller's number, which is the code.
    const CODE: &str = "0042";

    const INVITE: &str = "INVITE sip:79161234567@carrier.example;line=s3cr3t SIP/2.0\r\n\
        v: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKabc;rport;x=s3cr3t\r\n\
        f: \"Call 74951230042\" <sip:+74951230042@carrier.example;user=phone>;tag=t1\r\n\
        To: <sip:79161234567@carrier.example>\r\n\
        Call-ID: 79161234567-x@198.51.100.7\r\n\
        CSeq: 1 INVITE\r\n\
        m: <sip:74951230042@198.51.100.7;line=s3cr3t>;+sip.instance=\"s3cr3t\"\r\n\
        P-Asserted-Identity: <tel:+74951230042;ext=0042>,\r\n <sip:0042@carrier.example>\r\n\
        Remote-Party-ID: 74951230042 <sip:74951230042@carrier.example>;party=calling\r\n\
        P-Preferred-Identity: sip:74951230042\r\n\
        Authorization: Digest username=\"s3cr3t\", response=\"s3cr3t\"\r\n\
        WWW-Authenticate: Digest nonce=\"s3cr3t\"\r\n\
        X-Caller: 74951230042\r\n\
        Reason: SIP;text=\"no 79161234567\"\r\n\
        Content-Type: text/plain\r\n\
        Content-Length: 4\r\n\
        \r\n\
        0042";

    #[test]
    fn neither_code_nor_number_nor_secret_stands_in_a_redacted_message() {
        let text = redact(INVITE.as_bytes());
        assert!(text.lines().count() > 15, "{text}");
        for canary in [CODE, "79161234567", "9161234567", "74951230042", "s3cr3t"] {
            assert!(!text.contains(canary), "{canary} in {text}");
        }
    }

    #[test]
    fn what_an_operator_needs_is_left() {
        let text = redact(INVITE.as_bytes());
        for line in [
            "INVITE sip:7916***67@carrier.example;line=*** SIP/2.0",
            "Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKabc;rport;x=***",
            "From: \"***\" <sip:+7495***@carrier.example;user=phone>;tag=t1",
            "To: <sip:7916***67@carrier.example>",
            "CSeq: 1 INVITE",
            "Contact: <sip:7495***@198.51.100.7;line=***>;+sip.instance=***",
            "Authorization: [43 bytes]",
            "[body of 4 bytes]",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line} not in\n{text}");
        }
    }

    #[test]
    fn a_message_that_cannot_be_read_is_redacted_too() {
        let broken = INVITE.replace("CSeq: 1 INVITE", "CSeq: 1 ACK").replace("To:", "To :");
        let text = redact(broken.as_bytes());
        assert!(text.starts_with("[CSeq Method Mismatch]\n"), "{text}");
        assert!(!text.contains(CODE) && !text.contains("9161234567"), "{text}");
        assert_eq!(redact(b"\x00\x01 79161234567"), "[Not SIP]\n");
    }
}
