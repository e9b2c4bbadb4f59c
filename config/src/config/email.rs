//! `[email]`: the mail server that takes letters from us.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::secret::SecretRef;

/// How letters leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    /// The server's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// When the connection is encrypted.
    pub tls: MailTls,
    /// Who letters are from.
    pub from: Mailbox,
    /// Who we are to the server; `None`: it asks for no password.
    pub user: Option<String>,
    /// The password; there is one where there is a user.
    pub password: Option<SecretRef>,
    /// PEM file of the authorities that may vouch for the server beside the system's.
    pub ca: Option<PathBuf>,
    /// Connections at once, 1 to 64.
    pub connections: u16,
    /// How long a connection, or one answer of the server, is waited for.
    pub reply_limit: Duration,
}

/// When the connection to the mail server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// From the first byte: `smtps://` (RFC 8314).
    Wrapped,
    /// By STARTTLS, without which nothing is sent: `smtp://` (RFC 3207).
    StartTls,
    /// Never: `smtp://` with `tls = "off"`, for a server on this machine only.
    Off,
}

/// A name and an address, of ASCII characters that need no quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// What readers see; `None`: the address.
    pub name: Option<String>,
    /// `local@domain`.
    pub address: String,
}

/// A text is no mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a mailbox is \"name@example.ru\" or \"Name <name@example.ru>\"")]
pub struct MailboxError;

/// Longest name of a sender, in characters.
const NAME_LIMIT: usize = 64;
/// Longest address (RFC 5321 section 4.5.3.1.3, without its brackets).
const ADDRESS_LIMIT: usize = 254;

impl Mailbox {
    /// Reads `local@domain` or `Name <local@domain>`.
    pub fn parse(text: &str) -> Result<Self, MailboxError> {
        let text = text.trim();
        let (name, address) = match text.strip_suffix('>').and_then(|rest| rest.split_once('<')) {
            Some((name, address)) => (Some(name.trim()), address),
            None => (None, text),
        };
        let name = name.filter(|name| !name.is_empty());
        let is_name = name.is_none_or(|name| {
            name.chars().count() <= NAME_LIMIT
                && !name.contains(|c: char| c.is_control() || "<>\"".contains(c))
        });
        if is_name && is_address(address) {
            Ok(Self { name: name.map(str::to_owned), address: address.to_owned() })
        } else {
            Err(MailboxError)
        }
    }

    /// As the file writes it.
    pub fn source(&self) -> String {
        match &self.name {
            Some(name) => format!("{name} <{}>", self.address),
            None => self.address.clone(),
        }
    }
}

/// A dot-atom, an @, a host name (RFC 5322 section 3.4.1, RFC 5321 section 2.3.5).
fn is_address(text: &str) -> bool {
    let is_atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let Some((local, domain)) = text.split_once('@') else { return false };
    text.len() <= ADDRESS_LIMIT
        && local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atom))
        && domain.contains('.')
        && domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_read_with_and_without_a_name() {
        let named = Mailbox::parse("Мой банк <noreply@bank.example>").unwrap();
        assert_eq!(named.name.as_deref(), Some("Мой банк"));
        assert_eq!(named.address, "noreply@bank.example");
        assert_eq!(Mailbox::parse(&named.source()), Ok(named));
        for bare in ["a.b+c@x.example", "<a.b+c@x.example>"] {
            let expected = Mailbox { name: None, address: "a.b+c@x.example".to_owned() };
            assert_eq!(Mailbox::parse(bare), Ok(expected));
        }
    }

    #[test]
    fn what_could_be_more_than_one_mailbox_is_refused() {
        for text in [
            "",
            "x",
            "x@",
            "@x.example",
            "x@example",
            "a b@x.example",
            "x@x.example, y@x.example",
            "A <x@x.example> <y@x.example>",
            "A\r\nBcc: y@x.example <x@x.example>",
            "x@-x.example",
            "x@x..example",
            "x..y@x.example",
            "\"A\" <x@x.example>",
            "x@[127.0.0.1]",
            "я@x.example",
        ] {
            assert_eq!(Mailbox::parse(text), Err(MailboxError), "{text:?}");
        }
    }
}
