//! E-mail addresses: parsed once at the edge, printed masked.

use std::fmt;

/// Longest address (RFC 5321 section 4.5.3.1.3, less the angle brackets).
const ADDRESS_LIMIT: usize = 254;
/// Longest part before the @ (RFC 5321 section 4.5.3.1.1).
const LOCAL_LIMIT: usize = 64;

/// An address in ASCII with its domain in lower case. `Display` and `Debug` print it masked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailAddress(String);

/// The text is no address that a mail could be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an address such as ivan@example.ru is meant")]
pub struct EmailAddressError;

impl EmailAddress {
    /// Reads `local@domain`: a dot-atom (RFC 5322 section 3.2.3), an @, at least two labels.
    /// Quoted local parts, comments, address literals and other scripts are refused, so nothing
    /// that could end a header line or an SMTP command passes.
    pub fn parse(text: &str) -> Result<Self, EmailAddressError> {
        let (local, domain) = text.rsplit_once('@').ok_or(EmailAddressError)?;
        let fits = text.len() <= ADDRESS_LIMIT && local.len() <= LOCAL_LIMIT;
        if fits && is_dot_atom(local) && is_domain(domain) {
            Ok(Self(format!("{local}@{}", domain.to_ascii_lowercase())))
        } else {
            Err(EmailAddressError)
        }
    }

    /// The whole address, for the seal, the HMAC and the mail itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is compared: mailboxes that differ in case only are one everywhere in practice.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

fn is_dot_atom(text: &str) -> bool {
    let is_atext =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    text.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atext))
}

fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    text.contains('.') && text.split('.').all(is_label) && !text.rsplit('.').all(is_number)
}

/// The first character, the domain: `i***@example.ru`.
impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (local, domain) = self.0.rsplit_once('@').unwrap_or(("", ""));
        f.pad(&format!("{}***@{domain}", local.get(..1).unwrap_or_default()))
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_local_part_and_its_domain_is_lower_case() {
        let address = EmailAddress::parse("Ivan.Petrov+dz@Corp.RU").unwrap();
        assert_eq!(address.reveal(), "Ivan.Petrov+dz@corp.ru");
        assert_eq!(address.folded(), "ivan.petrov+dz@corp.ru");
        assert_eq!(format!("{address} {address:?}"), "I***@corp.ru I***@corp.ru");
    }

    #[test]
    fn what_could_end_a_line_or_a_command_is_no_address() {
        let long = format!("{}@example.ru", "a".repeat(65));
        for text in [
            "",
            "@",
            "ivan",
            "ivan@",
            "@corp.ru",
            "ivan@corp",
            "ivan@@corp.ru",
            "a b@corp.ru",
            "ivan@corp.ru\r\nBcc: x@y.z",
            "ivan\r\n@corp.ru",
            "\"a\"@corp.ru",
            "a..b@corp.ru",
            ".a@corp.ru",
            "ivan@corp..ru",
            "ivan@-corp.ru",
            "ivan@[127.0.0.1]",
            "ivan@127.0.0.1",
            "иван@corp.ru",
            "ivan@корп.рф",
            "ivan@corp.ru>",
            "<ivan@corp.ru",
            "a,b@corp.ru",
            &long,
        ] {
            assert_eq!(EmailAddress::parse(text), Err(EmailAddressError), "{text:?}");
        }
    }
}
