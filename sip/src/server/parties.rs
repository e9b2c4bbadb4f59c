//! Who calls whom, as a request of a trunk tells it.

use crate::inbound::{CalledSource, Caller, CallerSource};
use crate::message::{Address, HeaderName, Host, Message, Uri};
use crate::number::UserPart;

/// Digits of the shortest number that is one: service numbers have two.
const SHORTEST_NUMBER: usize = 2;

/// The number that was called, from the first of these fields that holds one.
pub(crate) fn called(request: &Message<'_>, order: &[CalledSource]) -> Option<UserPart> {
    order.iter().find_map(|source| match source {
        CalledSource::RequestLine => number(&request.request_uri()?),
        CalledSource::PCalledPartyId => first_number(request, HeaderName::PCalledPartyId),
        CalledSource::To => number(&request.to.uri().ok()?),
        CalledSource::Diversion => first_number(request, HeaderName::Diversion),
    })
}

/// Who calls, from the first of these fields that holds a number, else a name. One sign that the
/// caller withholds the number is enough: a number that its owner hid proves nothing.
pub(crate) fn caller(request: &Message<'_>, order: &[CallerSource]) -> Caller {
    if is_hidden(request) {
        return Caller::Hidden;
    }
    let mut named = Caller::Absent;
    for source in order {
        let field = match source {
            CallerSource::PAssertedIdentity => Some(HeaderName::PAssertedIdentity),
            CallerSource::RemotePartyId => Some(HeaderName::RemotePartyId),
            CallerSource::From => None,
        };
        let asserted = field.into_iter().flat_map(|field| request.headers.addresses(field));
        let from = field.is_none().then_some(request.from);
        // RFC 3325 allows two identities; what comes behind them is passed over.
        for address in asserted.flatten().take(2).chain(from) {
            let Ok(uri) = address.uri() else { continue };
            if let Some(user) = number(&uri) {
                return Caller::Shown { user, source: *source };
            }
            if named == Caller::Absent
                && let Some(user) = name(&uri)
            {
                named = Caller::Shown { user, source: *source };
            }
        }
    }
    named
}

fn first_number(request: &Message<'_>, name: HeaderName) -> Option<UserPart> {
    request.headers.addresses(name).flatten().find_map(|address| number(&address.uri().ok()?))
}

fn is_hidden(request: &Message<'_>) -> bool {
    // `session` asks to hide media addresses, `none` to hide nothing (RFC 3323 section 4.2).
    let asks = request.headers.lines(HeaderName::Privacy).any(|line| {
        let values = line.bytes().split(|byte| matches!(byte, b';' | b','));
        values.map(<[u8]>::trim_ascii).any(|value| {
            [&b"id"[..], b"user", b"header"].iter().any(|word| value.eq_ignore_ascii_case(word))
        })
    });
    let is_anonymous = |address: &Address<'_>| {
        address.uri().is_ok_and(|uri| {
            let host = matches!(uri.host, Some(Host::Name(host))
                if host.eq_ignore_ascii_case(b"anonymous.invalid"));
            host || uri.user.is_some_and(|user| user.eq_ignore_ascii_case(b"anonymous"))
        })
    };
    let withholds = |address: Address<'_>| {
        let privacy = address.params.value("privacy");
        privacy.is_some_and(|value| !value.eq_ignore_ascii_case(b"off")) || is_anonymous(&address)
    };
    let hides = |name| request.headers.addresses(name).flatten().any(withholds);
    asks || is_anonymous(&request.from)
        || hides(HeaderName::PAssertedIdentity)
        || hides(HeaderName::RemotePartyId)
}

/// The number in a URI: digits, with a plus sign when it is a global one.
fn number(uri: &Uri<'_>) -> Option<UserPart> {
    let user = user_text(uri)?;
    let mut digits: String =
        user.chars().filter(|character| !"-.() ".contains(*character)).collect();
    let bare = digits.strip_prefix('+').unwrap_or(&digits);
    if bare.len() < SHORTEST_NUMBER || !bare.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // A local number may say what stands in front of it (RFC 3966 section 5.1.5).
    if !digits.starts_with('+')
        && let Some(context) = uri.params.value("phone-context")
        && let Some(b'+') = context.first()
    {
        digits.insert_str(0, std::str::from_utf8(context).ok()?);
    }
    UserPart::new(&digits).ok()
}

fn name(uri: &Uri<'_>) -> Option<UserPart> {
    UserPart::new(&user_text(uri)?).ok()
}

/// The user of a URI without its escapes and its parameters.
fn user_text(uri: &Uri<'_>) -> Option<String> {
    let user = uri.user?;
    let user = user.split(|byte| *byte == b';').next()?;
    let mut text = Vec::with_capacity(user.len());
    let mut bytes = user.iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'%' {
            text.push(*byte);
            continue;
        }
        let digits = [*bytes.next()?, *bytes.next()?];
        let digits = std::str::from_utf8(&digits).ok()?;
        text.push(u8::from_str_radix(digits, 16).ok()?);
    }
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number_in(uri: &str) -> Option<String> {
        number(&Uri::parse(uri.as_bytes()).unwrap()).map(|user| user.reveal().to_owned())
    }

    #[test]
    fn a_number_is_read_from_every_form_that_carriers_write() {
        for (uri, digits) in [
            ("sip:+74951230000@192.0.2.1", "+74951230000"),
            ("sip:74951230000@192.0.2.1;user=phone", "74951230000"),
            ("sip:+7-495-123-00-00@host", "+74951230000"),
            ("sip:%2B74951230000@host", "+74951230000"),
            ("sip:+74951230000;npdi;rn=+7916@host;user=phone", "+74951230000"),
            ("tel:+7(495)123-00-00", "+74951230000"),
            ("tel:1230000;phone-context=+7495", "+74951230000"),
            ("sip:112@host", "112"),
        ] {
            assert_eq!(number_in(uri).as_deref(), Some(digits), "{uri}");
        }
    }

    #[test]
    fn what_is_no_number_is_none() {
        let nobodies =
            ["sip:host", "sip:alice@host", "sip:+@host", "sip:7495x@host", "sip:%0@host"];
        for uri in nobodies {
            assert_eq!(number_in(uri), None, "{uri}");
        }
        let long = format!("sip:{}@host", "1".repeat(65));
        assert_eq!(number_in(&long), None);
    }
}
