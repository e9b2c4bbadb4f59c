//! Reading `[database]`.

use std::time::Duration;

use sip::Secret;

use crate::config::database::{Database, OnOutage, PostgresUrl, Retention, Store};
use crate::config::secret::SecretRef;
use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::raw::{password_in_query, password_in_url};
use crate::read::secret;
use crate::schema;
use crate::section::Section;
use crate::section::scalar::absolute_path;
use crate::source::Spanned;

const HOUR_S: u64 = 3_600;
const DAY_S: u64 = 24 * HOUR_S;
/// Ten years: longer than any record is of use, shorter than any overflow.
const MOST_DAYS: i64 = 3_650;

pub(crate) fn read(section: &Section<'_>, faults: &mut Faults) -> Database {
    let password = secret::at(section, "password", faults);
    let on_outage =
        section.choice(faults, "on_outage", &[("spool", None), ("refuse", Some(OnOutage::Refuse))]);
    let url = section.text(faults, "url");
    let is_postgres = url.is_some_and(|url| url.value.starts_with("postgres"));
    if !is_postgres {
        for key in ["password", "on_outage"] {
            if let Some(found) = section.get(key) {
                faults
                    .add(
                        Code::PostgresKeyUnused,
                        found.span,
                        format!("{key:?} is for Postgres only"),
                    )
                    .help("give the server's address: url = \"postgres://dozvon@db/dozvon\"");
            }
        }
    }
    let store = url
        .and_then(|url| store(url, password, on_outage.unwrap_or(OnOutage::Refuse), faults))
        .unwrap_or(Store::Sqlite { path: None });
    Database { store, retention: retention(section, faults) }
}

fn store(
    url: Spanned<&str>,
    password: Option<SecretRef>,
    on_outage: OnOutage,
    faults: &mut Faults,
) -> Option<Store> {
    let (scheme, rest) = url.value.split_once(':').unwrap_or(("", url.value));
    match scheme {
        "postgres" | "postgresql" => {
            let inline = take_password(url, faults);
            check_server(rest, url, faults);
            let (url, found) = inline;
            let password = password.or(found);
            let url = PostgresUrl::without_password(url);
            Some(Store::Postgres { url, password, on_outage })
        }
        "sqlite" => {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            let path = absolute_path(faults, "url", url.with(path))?;
            Some(Store::Sqlite { path: Some(path) })
        }
        _ => {
            faults
                .add(Code::BadUrl, url.span, "\"url\" is no address of a database")
                .help("\"postgres://user@host/database\", or \"sqlite:///path/to/file\"");
            None
        }
    }
}

fn check_server(rest: &str, url: Spanned<&str>, faults: &mut Faults) {
    let authority = rest.strip_prefix("//").unwrap_or_default();
    let (authority, after) = authority.split_once('/').unwrap_or((authority, ""));
    let host = authority.rsplit('@').next().unwrap_or_default();
    let database = after.split('?').next().unwrap_or_default();
    let is_clean = url.value.bytes().all(|byte| byte.is_ascii_graphic());
    // Without a host, the query may name a socket's folder.
    let has_host = !host.is_empty() || after.contains("host=");
    if password_in_query(url.value).is_some() {
        faults
            .add(Code::BadUrl, url.span, "\"url\" holds a password behind its question mark")
            .help("password = { credential = \"dozvon-db\" }");
    }
    if !is_clean || !has_host || database.is_empty() {
        faults
            .add(Code::BadUrl, url.span, "\"url\" lacks the host or the database")
            .help("\"postgres://user@host:5432/database\"");
    }
}

/// The address without its password, and the password.
fn take_password(url: Spanned<&str>, faults: &mut Faults) -> (String, Option<SecretRef>) {
    let Some((start, end)) = password_in_url(url.value) else {
        return (url.value.to_owned(), None);
    };
    secret::warn_inline(faults, url.span, "the database's password");
    let without = format!("{}{}", &url.value[..start - 1], &url.value[end..]);
    let password = percent_decoded(&url.value[start..end]);
    (without, Some(SecretRef::Inline(Secret::new(&password))))
}

/// The text with each `%41` as the byte it stands for (RFC 3986 section 2.1).
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = match (first, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn retention(section: &Section<'_>, faults: &mut Faults) -> Retention {
    let found = section.get("retention");
    let table = found.and_then(|value| {
        Section::open(faults, &schema::RETENTION, "retention", value.span, value)
    });
    let whole = |faults: &mut Faults, key: &str, default: u64, most: i64| match &table {
        Some(table) => table.whole(faults, key, default, 1..=most),
        None => default,
    };
    let calls_days = whole(faults, "calls_days", 90, MOST_DAYS);
    let message_text_hours = whole(faults, "message_text_hours", 24, MOST_DAYS * 24);
    let numbers_days = whole(faults, "numbers_days", 30, MOST_DAYS);
    if numbers_days > calls_days {
        let place = table.as_ref().and_then(|table| table.place_of("numbers_days"));
        let message = format!(
            "numbers are kept {numbers_days} days, and the records that hold them {calls_days}"
        );
        faults.add(Code::RetentionOrder, place, message);
    }
    Retention {
        calls: Duration::from_secs(calls_days * DAY_S),
        message_text: Duration::from_secs(message_text_hours * HOUR_S),
        numbers: Duration::from_secs(numbers_days * DAY_S),
    }
}
