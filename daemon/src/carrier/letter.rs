//! A letter as its reader's program shows it: subject and plain text (RFC 2045, 2046, 2047).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Multiparts inside of multiparts that are looked into.
const DEPTH_LIMIT: usize = 4;

/// What a reader sees of a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadLetter {
    /// Its subject; empty: it has none.
    pub subject: String,
    /// Its first plain text.
    pub text: String,
}

impl ReadLetter {
    /// Reads header and content; `None`: there is no plain text in UTF-8.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let whole = std::str::from_utf8(bytes).ok()?.replace("\r\n", "\n");
        let (fields, body) = split(&whole);
        let subject = field(&fields, "subject").map(decode_words).unwrap_or_default();
        let text = plain_text(&fields, body, DEPTH_LIMIT)?;
        Some(Self { subject, text: text.trim_end().to_owned() })
    }
}

type Fields = Vec<(String, String)>;

/// Header fields, their names in lower case and their lines put together, and what follows.
fn split(entity: &str) -> (Fields, &str) {
    let (head, body) = match entity.strip_prefix('\n') {
        Some(body) => ("", body),
        None => entity.split_once("\n\n").unwrap_or((entity, "")),
    };
    let mut fields = Fields::new();
    for line in head.lines() {
        match fields.last_mut() {
            Some((_, value)) if line.starts_with([' ', '\t']) => {
                value.push(' ');
                value.push_str(line.trim());
            }
            _ => {
                if let Some((name, value)) = line.split_once(':') {
                    fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
                }
            }
        }
    }
    (fields, body)
}

fn field<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

fn plain_text(fields: &Fields, body: &str, depth: usize) -> Option<String> {
    let kind = field(fields, "content-type").unwrap_or("text/plain");
    let lower = kind.to_ascii_lowercase();
    if lower.starts_with("text/plain") {
        return decode(field(fields, "content-transfer-encoding").unwrap_or("7bit"), body);
    }
    if !lower.starts_with("multipart/") || depth == 0 {
        return None;
    }
    let boundary = kind.get(lower.find("boundary=")? + "boundary=".len()..)?;
    let boundary = match boundary.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => boundary.split([';', ' ']).next()?,
    };
    let (body, delimiter) = (format!("\n{body}"), format!("\n--{boundary}"));
    let parts = body.split(&delimiter).skip(1);
    parts.take_while(|part| !part.starts_with("--")).find_map(|part| {
        let (_rest_of_the_line, entity) = part.split_once('\n')?;
        let (fields, body) = split(entity);
        plain_text(&fields, body, depth - 1)
    })
}

fn decode(encoding: &str, body: &str) -> Option<String> {
    let bytes = match encoding.trim().to_ascii_lowercase().as_str() {
        "base64" => base64(body)?,
        "quoted-printable" => quoted_printable(body),
        _ => return Some(body.to_owned()),
    };
    String::from_utf8(bytes).ok()
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let text: String = text.split_ascii_whitespace().collect();
    STANDARD.decode(text).ok()
}

/// RFC 2045 section 6.7; a sign that does not belong there stands for itself.
fn quoted_printable(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('=') {
        bytes.extend(before.as_bytes());
        if let Some(joined) = behind.strip_prefix('\n') {
            rest = joined;
        } else if let Some(byte) = behind.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok())
        {
            bytes.push(byte);
            rest = &behind[2..];
        } else {
            bytes.push(b'=');
            rest = behind;
        }
    }
    bytes.extend(rest.as_bytes());
    bytes
}

/// Encoded words in UTF-8; the blank between two of them is none (RFC 2047 section 6.2).
fn decode_words(value: &str) -> String {
    let mut shown = String::new();
    let mut after_encoded = false;
    for word in value.split(' ').filter(|word| !word.is_empty()) {
        let decoded = encoded_word(word);
        let is_joined = shown.is_empty() || (after_encoded && decoded.is_some());
        if !is_joined {
            shown.push(' ');
        }
        after_encoded = decoded.is_some();
        shown.push_str(decoded.as_deref().unwrap_or(word));
    }
    shown
}

fn encoded_word(word: &str) -> Option<String> {
    let inner = word.strip_prefix("=?")?.strip_suffix("?=")?;
    let [charset, encoding, text] = inner.split('?').collect::<Vec<_>>()[..] else { return None };
    if !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    let bytes = match encoding {
        "B" | "b" => base64(text)?,
        "Q" | "q" => quoted_printable(&text.replace('_', " ")),
        _ => return None,
    };
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_read_whatever_its_encoding() {
        let read = |letter: &str| ReadLetter::parse(letter.as_bytes()).unwrap();
        for (kind, content) in [
            ("7bit", "Code 012345"),
            ("Quoted-Printable", "Code=20012=\r\n345"),
            ("base64", "Q29kZSAw\r\nMTIzNDU="),
        ] {
            let letter = format!(
                "Subject: =?utf-8?b?0JrQvtC0?=\r\n =?utf-8?q?_here?= now\r\n\
                 Content-Type: multipart/alternative;\r\n boundary=\"b=1\"\r\n\r\n\
                 for old programs\r\n--b=1\r\nContent-Type: text/html\r\n\r\n<b>no</b>\r\n\
                 --b=1\r\nContent-Type: text/plain; charset=utf-8\r\n\
                 Content-Transfer-Encoding: {kind}\r\n\r\n{content}\r\n\r\n--b=1--\r\n"
            );
            let ReadLetter { subject, text } = read(&letter);
            assert_eq!((subject.as_str(), text.as_str()), ("Код here now", "Code 012345"));
        }
        let bare = read("\r\nCode 012345\r\n");
        assert_eq!((bare.subject.as_str(), bare.text.as_str()), ("", "Code 012345"));
    }

    #[test]
    fn what_is_no_letter_of_text_is_none() {
        let level = |n| format!("Content-Type: multipart/mixed; boundary=x{n}\n\n--x{n}\n");
        let deep: String = (0..9).map(level).collect::<String>() + "\nCode 012345";
        for letter in [
            "Content-Type: text/html\n\n<b>no</b>",
            "Content-Type: multipart/mixed\n\nno boundary",
            "Content-Type: multipart/mixed; boundary=x\n\n--x--\n",
            "Content-Transfer-Encoding: base64\n\n!",
            "Content-Transfer-Encoding: quoted-printable\n\n=FF",
            &deep,
        ] {
            assert_eq!(ReadLetter::parse(letter.as_bytes()), None, "{letter}");
        }
        assert_eq!(ReadLetter::parse(b"\n\xff"), None);
    }
}
