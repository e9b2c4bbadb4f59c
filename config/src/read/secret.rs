//! Reading secrets, which are named and not contained.

use std::path::Path;

use sip::Secret;

use crate::config::database::Database;
use crate::config::secret::{SecretRef, Secrets};
use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::raw::{RawEntry, RawValue};
use crate::section::Section;
use crate::source::{Span, Spanned};
use crate::suggest;

const WAYS: [&str; 3] = ["credential", "file", "env"];
const HELP: &str = "write { credential = \"name\" }, { file = \"/path\" } or { env = \"NAME\" }";

/// Reads `[secrets]`.
pub(crate) fn read(
    section: &Section<'_>,
    database: &Database,
    database_url: Option<Span>,
    faults: &mut Faults,
) -> Secrets {
    let key = at(section, "key", faults);
    if key.is_none() && section.get("key").is_none() && database.is_postgres() {
        faults
            .add(Code::SecretKeyMissing, database_url, "with Postgres a secret key must be named")
            .help("[secrets] key = { credential = \"dozvon-key\" }, a file of 32 random bytes")
            .help("with SQLite a key is made beside the database; nodes that share Postgres share a key");
    }
    let old_keys = match section.get("old_keys") {
        None => Vec::new(),
        Some(Spanned { value: RawValue::List(values), .. }) => {
            values.iter().filter_map(|value| secret(value, "old_keys", faults)).collect()
        }
        Some(found) => {
            section.wrong_element(faults, "old_keys", found);
            Vec::new()
        }
    };
    Secrets { key, old_keys }
}

/// The secret that a key names.
pub(crate) fn at(section: &Section<'_>, key: &str, faults: &mut Faults) -> Option<SecretRef> {
    secret(section.get(key)?, key, faults)
}

/// Says that a secret stands in the file.
pub(crate) fn warn_inline(faults: &mut Faults, span: Span, what: &str) {
    faults.add(Code::SecretInFile, span, format!("{what} stands in the file itself")).help(HELP);
}

fn secret(value: &Spanned<RawValue>, key: &str, faults: &mut Faults) -> Option<SecretRef> {
    match &value.value {
        RawValue::Text(text) if text.is_empty() => {
            faults.add(Code::BadSecret, value.span, format!("{key:?} is empty")).help(HELP);
            None
        }
        RawValue::Text(text) => {
            warn_inline(faults, value.span, &format!("{key:?}"));
            Some(SecretRef::Inline(Secret::new(text)))
        }
        RawValue::Table(table) => match table.entries.as_slice() {
            [entry] => named(entry, key, faults),
            _ => {
                let message = format!("{key:?} wants one of {}", suggest::list(WAYS));
                faults.add(Code::BadSecret, value.span, message).help(HELP);
                None
            }
        },
        other => {
            let message = format!("{key:?} wants a secret by name, found {}", other.kind());
            faults.add(Code::WrongType, value.span, message).help(HELP);
            None
        }
    }
}

fn named(entry: &RawEntry, key: &str, faults: &mut Faults) -> Option<SecretRef> {
    let way = entry.key.value.as_str();
    if !WAYS.contains(&way) {
        let near = suggest::nearest(way, WAYS).map(|near| format!("did you mean {near:?}? "));
        faults
            .add(Code::UnknownKey, entry.key.span, format!("a secret has no key {way:?}"))
            .help(format!("{}{HELP}", near.unwrap_or_default()));
        return None;
    }
    let RawValue::Text(text) = &entry.value.value else {
        let message = format!("{way:?} wants a string, found {}", entry.value.value.kind());
        faults.add(Code::WrongType, entry.value.span, message);
        return None;
    };
    let found = match way {
        "credential" if is_file_name(text) => Ok(SecretRef::Credential(text.clone())),
        "credential" => Err("a credential has the name of a file, without folders"),
        "file" if Path::new(text).is_absolute() => Ok(SecretRef::File(text.into())),
        "file" => Err("the file of a secret has an absolute path"),
        _ if is_variable(text) => Ok(SecretRef::Env(text.clone())),
        _ => Err("an environment variable is named with A-Z, a-z, 0-9 and _"),
    };
    found
        .inspect_err(|why| {
            faults.add(Code::BadSecret, entry.value.span, format!("{key:?}: {why}"));
        })
        .ok()
}

/// As `LoadCredential=` of systemd takes it.
fn is_file_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'/' && byte != b':';
    (1..=255).contains(&text.len()) && text.bytes().all(fits) && text != "." && text != ".."
}

fn is_variable(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !text.is_empty() && text.bytes().all(fits) && !text.as_bytes()[0].is_ascii_digit()
}
