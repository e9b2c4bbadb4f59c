//! Reading `[templates]`.

use std::collections::BTreeMap;

use crate::config::template::Template;
use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::name::TemplateName;
use crate::raw::{RawEntry, RawTable, RawValue};
use crate::section::named_tables;

type Texts = BTreeMap<String, Template>;

pub(crate) fn read_all(root: &RawTable, faults: &mut Faults) -> BTreeMap<TemplateName, Texts> {
    let entries = named_tables(faults, root, "templates");
    entries.iter().filter_map(|entry| read(entry, faults)).collect()
}

fn read(entry: &RawEntry, faults: &mut Faults) -> Option<(TemplateName, Texts)> {
    let name = TemplateName::parse(&entry.key.value)
        .inspect_err(|error| {
            faults.add(Code::BadName, entry.key.span, error.to_string());
        })
        .ok();
    let RawValue::Table(table) = &entry.value.value else {
        let kind = entry.value.value.kind();
        let message = format!("a template wants a table of languages, found {kind}");
        faults
            .add(Code::WrongType, entry.value.span, message)
            .help("[templates.default] en = \"{code} is your code.\"");
        return None;
    };
    if table.entries.is_empty() {
        faults.add(Code::EmptyList, entry.key.span, "a template has at least one language");
    }
    let texts = table.entries.iter().filter_map(|entry| text(entry, faults)).collect();
    Some((name?, texts))
}

fn text(entry: &RawEntry, faults: &mut Faults) -> Option<(String, Template)> {
    if !is_locale(&entry.key.value) {
        let message = format!("{:?} is no language tag", entry.key.value);
        faults.add(Code::BadLocale, entry.key.span, message).help("such as \"ru\" or \"pt-BR\"");
        return None;
    }
    let RawValue::Text(text) = &entry.value.value else {
        let message = format!("a text is wanted, found {}", entry.value.value.kind());
        faults.add(Code::WrongType, entry.value.span, message);
        return None;
    };
    let template = Template::parse(text).inspect_err(|error| {
        faults
            .add(Code::BadTemplate, entry.value.span, error.to_string())
            .help("variables stand in braces, such as {code}; a brace itself is written twice");
    });
    Some((entry.key.value.clone(), template.ok()?))
}

/// A language, perhaps with a script and region (the common part of RFC 5646).
fn is_locale(text: &str) -> bool {
    let mut parts = text.split('-');
    let language = parts.next().unwrap_or_default();
    (2..=3).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_lowercase())
        && text.len() <= 35
        && parts.all(|part| {
            (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
}
