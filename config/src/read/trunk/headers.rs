//! Header fields that an operator adds to INVITE.

use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::raw::{RawEntry, RawValue};
use crate::section::Section;

/// An INVITE must stay under 1300 bytes, so there is no room for more.
const MOST: usize = 8;
const VALUE_LIMIT: usize = 128;
const NAME_LIMIT: usize = 64;

/// Header fields that the user agent writes, or that would change what a request means; long and
/// compact names (RFC 3261 section 20) in lower case.
const RESERVED: &[&str] = &[
    "accept",
    "allow",
    "allow-events",
    "authorization",
    "call-id",
    "contact",
    "content-disposition",
    "content-encoding",
    "content-length",
    "content-type",
    "cseq",
    "date",
    "diversion",
    "event",
    "expires",
    "from",
    "history-info",
    "identity",
    "max-forwards",
    "mime-version",
    "min-se",
    "p-asserted-identity",
    "p-preferred-identity",
    "privacy",
    "proxy-authorization",
    "proxy-require",
    "rack",
    "reason",
    "record-route",
    "refer-to",
    "referred-by",
    "remote-party-id",
    "replaces",
    "require",
    "route",
    "rseq",
    "session-expires",
    "subject",
    "supported",
    "to",
    "user-agent",
    "via",
    "b",
    "c",
    "e",
    "f",
    "i",
    "j",
    "k",
    "l",
    "m",
    "o",
    "r",
    "s",
    "t",
    "u",
    "v",
    "x",
    "y",
];

pub(super) fn read(section: &Section<'_>, faults: &mut Faults) -> Vec<(String, String)> {
    let Some(found) = section.get("headers") else { return Vec::new() };
    let RawValue::Table(table) = &found.value else {
        section.wrong_element(faults, "headers", found);
        return Vec::new();
    };
    if table.entries.len() > MOST {
        let message = format!("\"headers\" holds {}, at most {MOST} fit", table.entries.len());
        faults.add(Code::BadHeader, found.span, message);
    }
    let mut headers: Vec<(String, String)> = Vec::new();
    for entry in &table.entries {
        let Some(value) = header(entry, faults) else { continue };
        let name = &entry.key.value;
        if headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            let message = format!("header field {name:?} is there twice");
            faults.add(Code::DuplicateValue, entry.key.span, message);
        } else {
            headers.push((name.clone(), value));
        }
    }
    headers
}

fn header(entry: &RawEntry, faults: &mut Faults) -> Option<String> {
    let name = entry.key.value.as_str();
    if !is_token(name) {
        let message = format!("{name:?} is no name of a header field");
        faults.add(Code::BadHeader, entry.key.span, message).help("such as \"X-Account\"");
        return None;
    }
    if RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
        faults
            .add(
                Code::HeaderReserved,
                entry.key.span,
                format!("header field {name:?} is ours to write"),
            )
            .help("add only fields that the carrier defined, such as \"X-Account\"");
        return None;
    }
    let RawValue::Text(value) = &entry.value.value else {
        let message = format!("a header field wants a string, found {}", entry.value.value.kind());
        faults.add(Code::WrongType, entry.value.span, message);
        return None;
    };
    let fits = (1..=VALUE_LIMIT).contains(&value.len()) && !value.contains(char::is_control);
    if !fits || value.trim() != value {
        let message = format!(
            "the value of {name:?} wants 1 to {VALUE_LIMIT} bytes without line breaks, control characters and outer spaces"
        );
        faults.add(Code::BadHeader, entry.value.span, message);
        return None;
    }
    Some(value.clone())
}

/// RFC 3261 section 25.1, `token`.
fn is_token(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte);
    (1..=NAME_LIMIT).contains(&text.len()) && text.bytes().all(fits)
}
