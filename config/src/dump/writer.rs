//! Writing TOML, a key a line.

use std::fmt::{Display, Write};
use std::time::Duration;

use crate::config::secret::SecretRef;
use crate::config::tls::{Certificate, TrunkTls};

/// What an inline secret is written as.
const MASK: &str = "***";

/// TOML under construction.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    text: String,
}

impl Writer {
    pub(crate) fn finish(self) -> String {
        self.text
    }

    /// `[name]`
    pub(crate) fn table(&mut self, name: &str) {
        self.line(&format!("[{name}]"), true);
    }

    /// `[heading.name]`; names are bare keys.
    pub(crate) fn named_table(&mut self, heading: &str, name: &str) {
        self.line(&format!("[{heading}.{name}]"), true);
    }

    /// `[[routes]]`
    pub(crate) fn route(&mut self) {
        self.line("[[routes]]", true);
    }

    /// A value that is TOML as it prints.
    pub(crate) fn value(&mut self, key: &str, value: impl Display) {
        self.line(&format!("{} = {value}", self::key(key)), false);
    }

    pub(crate) fn text(&mut self, key: &str, text: &dyn Display) {
        self.value(key, quoted(&text.to_string()));
    }

    pub(crate) fn texts<T: Display>(&mut self, key: &str, texts: impl IntoIterator<Item = T>) {
        self.values(key, texts.into_iter().map(|text| quoted(&text.to_string())));
    }

    pub(crate) fn values(&mut self, key: &str, values: impl IntoIterator<Item = String>) {
        let values: Vec<String> = values.into_iter().collect();
        self.value(key, format!("[{}]", values.join(", ")));
    }

    pub(crate) fn inline_table<'a>(
        &mut self,
        key: &str,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) {
        let pairs = pairs.into_iter();
        let pairs: Vec<_> =
            pairs.map(|(name, value)| format!("{} = {}", self::key(name), quoted(value))).collect();
        let inside =
            if pairs.is_empty() { String::new() } else { format!(" {} ", pairs.join(", ")) };
        self.value(key, format!("{{{inside}}}"));
    }

    /// Whole seconds, or as many decimals as milliseconds need.
    pub(crate) fn seconds(&mut self, key: &str, duration: Duration) {
        self.value(key, duration.as_secs_f64());
    }

    pub(crate) fn secret(&mut self, key: &str, secret: &SecretRef) {
        self.value(key, self::secret(secret));
    }

    pub(crate) fn secrets(&mut self, key: &str, secrets: &[SecretRef]) {
        self.values(key, secrets.iter().map(self::secret));
    }

    fn line(&mut self, line: &str, is_heading: bool) {
        if is_heading && !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(line);
        self.text.push('\n');
    }
}

fn secret(secret: &SecretRef) -> String {
    match secret {
        SecretRef::Credential(name) => format!("{{ credential = {} }}", quoted(name)),
        SecretRef::File(path) => format!("{{ file = {} }}", quoted(&path.to_string_lossy())),
        SecretRef::Env(name) => format!("{{ env = {} }}", quoted(name)),
        SecretRef::Inline(_) => quoted(MASK),
    }
}

/// A certificate as an inline table.
pub(crate) fn certificate(certificate: &Certificate) -> String {
    let cert = quoted(&certificate.cert.to_string_lossy());
    format!("{{ cert = {cert}, key = {} }}", secret(&certificate.key))
}

/// A trunk's `tls` as an inline table; what is left out stays out.
pub(crate) fn trunk_tls(tls: &TrunkTls) -> String {
    let ca = tls.ca.as_ref().map(|path| format!("ca = {}", quoted(&path.to_string_lossy())));
    let name = tls.name.as_ref().map(|name| format!("name = {}", quoted(name)));
    let shown = tls.client_cert.as_ref();
    let shown = shown.map(|shown| format!("client_cert = {}", certificate(shown)));
    let keys: Vec<String> = [ca, name, shown].into_iter().flatten().collect();
    format!("{{ {} }}", keys.join(", "))
}

/// A bare key, or a quoted one where it must be.
fn key(name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !name.is_empty() && name.bytes().all(is_bare) { name.to_owned() } else { quoted(name) }
}

/// A basic string (TOML 1.0, "String").
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            _ if character.is_control() => {
                write!(out, "\\u{:04x}", u32::from(character)).expect("a string takes all");
            }
            _ => out.push(character),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_reads_back_as_it_was() {
        for text in ["", "a\"b\\c", "line\nbreak\t\u{1}\u{7f}\u{85}", "Код {code}"] {
            let toml = format!("k = {}", quoted(text));
            let document = toml_edit::Document::parse(toml.as_str()).unwrap();
            assert_eq!(document.get("k").unwrap().as_str(), Some(text), "{toml}");
        }
    }

    #[test]
    fn seconds_are_written_as_short_as_they_are() {
        let mut out = Writer::default();
        out.seconds("a", Duration::from_secs(4));
        out.seconds("b", Duration::from_millis(2_500));
        assert_eq!(out.finish(), "a = 4\nb = 2.5\n");
    }
}
