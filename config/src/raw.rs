//! What the files say before anybody asks what it means: every value with its place.

use toml_edit::{Document, InlineTable, Item, Table, Value};

use crate::diagnostic::fault::Faults;
use crate::diagnostic::{Code, guessed, is_secret_name};
use crate::source::{Source, Span, Spanned};
use crate::syntax;

/// The headings whose tables have names that operators give.
const NAMED: [&str; 7] =
    ["trunks", "pools", "purposes", "accounts", "templates", "smpp", "webhooks"];

/// A value as TOML knows it.
#[derive(Debug)]
pub(crate) enum RawValue {
    Text(String),
    Whole(i64),
    Fraction(f64),
    Flag(bool),
    Date,
    List(Vec<Spanned<RawValue>>),
    Table(RawTable),
}

/// A table; the keys are in the order of the files, and none comes twice.
#[derive(Debug, Default)]
pub(crate) struct RawTable {
    pub(crate) entries: Vec<RawEntry>,
}

/// A key and its value.
#[derive(Debug)]
pub(crate) struct RawEntry {
    pub(crate) key: Spanned<String>,
    pub(crate) value: Spanned<RawValue>,
}

/// All files in one tree.
#[derive(Debug, Default)]
pub(crate) struct Raw {
    pub(crate) root: RawTable,
    /// Where secrets stand, or may stand.
    pub(crate) secrets: Vec<Span>,
    /// Whether a file was no TOML, so that what is missing proves nothing.
    pub(crate) is_broken: bool,
}

impl RawValue {
    /// What it is, in words.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Whole(_) => "a whole number",
            Self::Fraction(_) => "a number with a fraction",
            Self::Flag(_) => "true or false",
            Self::Date => "a date or time",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

impl RawTable {
    pub(crate) fn get(&self, key: &str) -> Option<&RawEntry> {
        self.entries.iter().find(|entry| entry.key.value == key)
    }

    /// The entry at a path of keys.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&RawEntry> {
        let (first, rest) = path.split_first()?;
        let entry = self.get(first)?;
        match (&entry.value.value, rest) {
            (_, []) => Some(entry),
            (RawValue::Table(table), _) => table.at(rest),
            _ => None,
        }
    }

    /// The names of the tables in the table `key`.
    pub(crate) fn names_in(&self, key: &str) -> Vec<&str> {
        match self.get(key).map(|entry| &entry.value.value) {
            Some(RawValue::Table(table)) => {
                table.entries.iter().map(|entry| entry.key.value.as_str()).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// Reads all files into one tree.
pub(crate) fn read(sources: &[Source<'_>], faults: &mut Faults) -> Raw {
    let mut raw = Raw::default();
    for (file, source) in sources.iter().enumerate() {
        match Document::parse(source.text) {
            Ok(document) => {
                let mut table = table(file, document.as_table());
                find_secrets(source, &table, &mut raw.secrets);
                if file > 0 {
                    refuse_includes(&mut table, faults);
                }
                merge(&mut raw.root, table, true, faults);
            }
            Err(error) => {
                raw.is_broken = true;
                raw.secrets.extend(guessed(file, source.text));
                syntax::explain(file, source, &error, faults);
            }
        }
    }
    raw
}

/// One level is enough, and a circle cannot come of it.
fn refuse_includes(table: &mut RawTable, faults: &mut Faults) {
    table.entries.retain(|entry| {
        let is_include = entry.key.value == "include";
        if is_include {
            faults
                .add(Code::IncludeNested, entry.key.span, "an included file cannot include others")
                .help("name all files in the \"include\" of the first one");
        }
        !is_include
    });
}

/// Adds the entries of another file. Tables are joined and lists of tables are chained; any other
/// key must stand in one file only.
fn merge(into: &mut RawTable, from: RawTable, is_root: bool, faults: &mut Faults) {
    for entry in from.entries {
        let Some(at) = into.entries.iter().position(|known| known.key.value == entry.key.value)
        else {
            into.entries.push(entry);
            continue;
        };
        let known = &mut into.entries[at];
        let is_routes = is_root && known.key.value == "routes";
        match (&mut known.value.value, entry.value.value) {
            (RawValue::Table(into), RawValue::Table(from)) => merge(into, from, false, faults),
            (RawValue::List(into), RawValue::List(from)) if is_routes => into.extend(from),
            _ => {
                faults
                    .add(
                        Code::DuplicateKey,
                        entry.key.span,
                        format!("{:?} is given in two files", known.key.value),
                    )
                    .see("first given at", known.key.span);
            }
        }
    }
}

fn table(file: usize, table: &Table) -> RawTable {
    let keys = table.iter().filter_map(|(name, _)| table.get_key_value(name));
    let entries = keys.filter_map(|(key, item)| {
        let key_span = span(file, key.span());
        let value = match item {
            Item::None => return None,
            Item::Value(value) => spanned_value(file, value),
            // The span of a table made of headers is its last header only; the key is better.
            Item::Table(inner) => {
                Spanned { value: RawValue::Table(self::table(file, inner)), span: key_span }
            }
            Item::ArrayOfTables(tables) => {
                let each = tables.iter().map(|inner| Spanned {
                    value: RawValue::Table(self::table(file, inner)),
                    span: span(file, inner.span()),
                });
                Spanned { value: RawValue::List(each.collect()), span: key_span }
            }
        };
        Some(RawEntry { key: Spanned { value: key.get().to_owned(), span: key_span }, value })
    });
    RawTable { entries: entries.collect() }
}

fn inline_table(file: usize, table: &InlineTable) -> RawTable {
    let keys = table.iter().filter_map(|(name, _)| table.get_key_value(name));
    let entries = keys.filter_map(|(key, item)| {
        let value = spanned_value(file, item.as_value()?);
        let key = Spanned { value: key.get().to_owned(), span: span(file, key.span()) };
        Some(RawEntry { key, value })
    });
    RawTable { entries: entries.collect() }
}

fn spanned_value(file: usize, value: &Value) -> Spanned<RawValue> {
    let raw = match value {
        Value::String(text) => RawValue::Text(text.value().clone()),
        Value::Integer(number) => RawValue::Whole(*number.value()),
        Value::Float(number) => RawValue::Fraction(*number.value()),
        Value::Boolean(flag) => RawValue::Flag(*flag.value()),
        Value::Datetime(_) => RawValue::Date,
        Value::Array(list) => {
            RawValue::List(list.iter().map(|each| spanned_value(file, each)).collect())
        }
        Value::InlineTable(inner) => RawValue::Table(inline_table(file, inner)),
    };
    Spanned { value: raw, span: span(file, value.span()) }
}

fn span(file: usize, range: Option<std::ops::Range<usize>>) -> Span {
    let range = range.unwrap_or_default();
    Span { file, start: range.start, end: range.end }
}

/// Notes every value whose key sounds like a secret's, also where the key is misspelt, and the
/// password within an address.
fn find_secrets(source: &Source<'_>, root: &RawTable, secrets: &mut Vec<Span>) {
    for heading in &root.entries {
        match &heading.value.value {
            // The names that operators give say nothing: `[purposes.password_reset]`.
            RawValue::Table(table) if NAMED.contains(&&*heading.key.value) => {
                for named in &table.entries {
                    find_in(source, &named.value, false, secrets);
                }
            }
            _ => find_in(source, &heading.value, is_secret_name(&heading.key.value), secrets),
        }
    }
}

fn find_in(
    source: &Source<'_>,
    value: &Spanned<RawValue>,
    is_secret: bool,
    secrets: &mut Vec<Span>,
) {
    match &value.value {
        RawValue::Table(table) => {
            for entry in &table.entries {
                let names_one = ["credential", "file", "env"].contains(&&*entry.key.value);
                let is_secret = (is_secret && !names_one) || is_secret_name(&entry.key.value);
                find_in(source, &entry.value, is_secret, secrets);
            }
        }
        RawValue::List(values) => {
            for each in values {
                find_in(source, each, is_secret, secrets);
            }
        }
        _ if is_secret => secrets.push(value.span),
        RawValue::Text(_) => {
            let Span { file, start, end } = value.span;
            let written = source.text.get(start..end).unwrap_or_default();
            let found = [password_in_url(written), password_in_query(written)];
            secrets.extend(found.into_iter().flatten().map(|(from, until)| Span {
                file,
                start: start + from,
                end: start + until,
            }));
        }
        _ => {}
    }
}

/// Where the password stands in `scheme://host/database?password=…`, with all that follows it.
pub(crate) fn password_in_query(text: &str) -> Option<(usize, usize)> {
    let query = text.find("://").and_then(|at| text[at..].find('?').map(|query| at + query))?;
    let start = query + text[query..].find("password=")? + "password=".len();
    let end = start + text[start..].trim_end_matches(['"', '\'']).len();
    (start < end).then_some((start, end))
}

/// Where the password stands in `scheme://user:password@host`.
pub(crate) fn password_in_url(text: &str) -> Option<(usize, usize)> {
    let start = text.find("://")? + 3;
    let authority = &text[start..];
    let end = start + authority.rfind('@')?;
    let colon = start + text[start..end].find(':')?;
    (colon + 1 < end).then_some((colon + 1, end))
}
