//! What a letter looks like: text and plain HTML beside each other (RFC 2046 section 5.1.4).

use std::fmt;
use std::time::SystemTime;

use lettre::Address;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart};

use crate::mail::address;

/// Longest subject, in characters; what is behind it is cut.
const SUBJECT_LIMIT: usize = 150;

/// Who letters are from.
#[derive(Clone, Debug)]
pub struct Sender(Mailbox);

/// A letter to one person. Never prints.
pub struct Letter<'a> {
    /// The address, in ASCII.
    pub to: &'a str,
    /// One line; control characters become spaces.
    pub subject: &'a str,
    /// Paragraphs, with an empty line between them.
    pub text: &'a str,
    /// What is shown large in the HTML part, wherever it stands in the text.
    pub emphasis: Option<&'a str>,
    /// Names it in `Message-ID`, so that a reader who gets two knows them for one: letters,
    /// digits and `_`.
    pub id: &'a str,
    /// When it was written.
    pub date: SystemTime,
}

/// A letter as it leaves. Never prints.
pub struct Composed {
    to: Address,
    bytes: Vec<u8>,
}

/// Why a letter cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    /// The recipient is no address in ASCII.
    #[error("the recipient's address cannot be written")]
    Recipient,
    /// The parts make no message.
    #[error("the letter cannot be composed")]
    Message,
}

impl Sender {
    pub(super) fn new(from: &config::Mailbox) -> Result<Self, ComposeError> {
        let address = address(&from.address).ok_or(ComposeError::Recipient)?;
        Ok(Self(Mailbox::new(from.name.as_deref().map(one_line), address)))
    }

    /// The domain of its address.
    pub fn domain(&self) -> &str {
        self.0.email.domain()
    }

    pub(super) fn address(&self) -> &Address {
        &self.0.email
    }
}

impl Composed {
    /// Writes a letter.
    pub fn new(sender: &Sender, letter: &Letter<'_>) -> Result<Self, ComposeError> {
        let to = address(letter.to).ok_or(ComposeError::Recipient)?;
        let subject: String = one_line(letter.subject).chars().take(SUBJECT_LIMIT).collect();
        let id: String =
            letter.id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        // Nobody's holiday notice shall answer (RFC 3834 section 5).
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        let message = Message::builder()
            .from(sender.0.clone())
            .to(Mailbox::new(None, to.clone()))
            .subject(subject)
            .date(letter.date)
            .message_id(Some(format!("<{id}@{}>", sender.domain())))
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
            .multipart(MultiPart::alternative_plain_html(
                letter.text.to_owned(),
                html(letter.text, letter.emphasis),
            ))
            .map_err(|_| ComposeError::Message)?;
        Ok(Self { to, bytes: message.formatted() })
    }

    pub(super) fn to(&self) -> &Address {
        &self.to
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// What could end a header line, or hide what follows, becomes a space.
fn one_line(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() || is_separator(c) { ' ' } else { c });
    plain.collect()
}

/// Line and paragraph separators of Unicode.
fn is_separator(character: char) -> bool {
    matches!(character, '\u{2028}' | '\u{2029}')
}

/// Paragraphs without styles, scripts, images or links: nothing to load, nothing to be followed by.
fn html(text: &str, emphasis: Option<&str>) -> String {
    let mut body = String::from("<!doctype html><html><body>");
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        let mut escaped = escape(paragraph.trim()).replace('\n', "<br>");
        if let Some(emphasis) = emphasis.filter(|emphasis| !emphasis.is_empty()) {
            let emphasis = escape(emphasis);
            let large = format!("<b style=\"font-size:150%\">{emphasis}</b>");
            escaped = escaped.replace(&emphasis, &large);
        }
        body.push_str("<p>");
        body.push_str(&escaped);
        body.push_str("</p>");
    }
    body.push_str("</body></html>");
    body
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            plain => escaped.push(plain),
        }
    }
    escaped
}

impl fmt::Debug for Composed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Composed(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(name: Option<&str>) -> Sender {
        let name = name.map(str::to_owned);
        Sender::new(&config::Mailbox { name, address: "noreply@example.ru".to_owned() }).unwrap()
    }

    fn letter<'a>(to: &'a str, subject: &'a str, text: &'a str) -> Letter<'a> {
        let date = SystemTime::UNIX_EPOCH;
        Letter { to, subject, text, emphasis: Some("012345"), id: "msg_1", date }
    }

    /// The names of the header fields in front of the first empty line.
    fn fields(composed: &Composed) -> Vec<String> {
        let text = String::from_utf8(composed.bytes.clone()).unwrap();
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        let lines = head.split("\r\n").filter(|line| !line.starts_with([' ', '\t']));
        lines.map(|line| line.split(':').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn every_byte_in_every_place_leaves_the_header_fields_as_they_are() {
        let plain = Composed::new(&sender(Some("Dozvon")), &letter("i@corp.ru", "Code", "012345"));
        let expected = fields(&plain.unwrap());
        assert!(expected.contains(&"Auto-Submitted".to_owned()), "{expected:?}");
        let mut composed = 0;
        for byte in 0..=255_u8 {
            for text in
                [char::from(byte).to_string(), format!("\r\n{}Bcc: x@y.ru", char::from(byte))]
            {
                let name = format!("a{text}b");
                let sender = sender(Some(&name));
                let to = format!("i{text}@corp.ru");
                let subject = format!("Code{text}x");
                for letter in [
                    letter("i@corp.ru", &subject, &text),
                    letter(&to, "Code", "012345"),
                    Letter { id: &text, ..letter("i@corp.ru", "Code", "012345") },
                ] {
                    let Ok(done) = Composed::new(&sender, &letter) else { continue };
                    assert_eq!(fields(&done), expected, "{byte:#04x}");
                    assert!(done.bytes.is_ascii(), "{byte:#04x}: a server may not take eight bits");
                    let command = done.to.to_string();
                    assert!(!command.contains(['\r', '\n', '<', '>', ' ']), "{byte:#04x}");
                    composed += 1;
                }
            }
        }
        assert!(composed > 256 * 4, "{composed} letters");
    }

    #[test]
    fn the_code_stands_in_both_parts_and_nothing_else_is_markup() {
        let text = "Код: 012345.\n\n<script>alert(1)</script> & \"x\"";
        let html = html(text, Some("012345"));
        assert!(html.contains("<b style=\"font-size:150%\">012345</b>"), "{html}");
        assert!(
            html.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;x&quot;"),
            "{html}"
        );
        let composed = Composed::new(&sender(None), &letter("i@corp.ru", "Код", text)).unwrap();
        let shown = String::from_utf8(composed.bytes).unwrap();
        assert!(shown.contains("multipart/alternative") && shown.contains("text/plain"), "{shown}");
        assert!(shown.contains("Message-ID: <msg_1@example.ru>"), "{shown}");
        assert_eq!(
            format!("{:?}", Composed { to: composed.to, bytes: Vec::new() }),
            "Composed(***)"
        );
    }

    #[test]
    fn an_address_in_another_script_is_refused() {
        for to in ["иван@corp.ru", "i@корп.рф", "", "i", "i@", "<i@corp.ru>", "i@corp.ru,b@c.ru"]
        {
            let refused = Composed::new(&sender(None), &letter(to, "Code", "012345"));
            assert_eq!(refused.err(), Some(ComposeError::Recipient), "{to}");
        }
    }
}
