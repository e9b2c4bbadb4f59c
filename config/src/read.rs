//! From what the files say to what they mean.

pub(crate) mod account;
pub(crate) mod api;
pub(crate) mod cross;
pub(crate) mod database;
pub(crate) mod email;
pub(crate) mod limits;
pub(crate) mod pool;
pub(crate) mod purpose;
pub(crate) mod route;
pub(crate) mod secret;
pub(crate) mod sip_section;
pub(crate) mod smpp;
pub(crate) mod sms;
pub(crate) mod template;
pub(crate) mod tls;
pub(crate) mod trunk;
pub(crate) mod webhook;

use sip::{UserPart, UserPartError};

use crate::config::{Config, Voice};
use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::raw::{RawTable, RawValue};
use crate::schema;
use crate::section::Section;
use crate::source::{Span, Spanned};

/// The names that tables define, right or wrong inside, so that a fault in a trunk does not make
/// each route that names it another fault.
pub(crate) struct Names<'a> {
    pub(crate) trunks: Vec<&'a str>,
    pub(crate) pools: Vec<&'a str>,
    pub(crate) purposes: Vec<&'a str>,
}

/// Reads every section. The result means something only when no fault was added.
pub(crate) fn config(root: &RawTable, faults: &mut Faults) -> Config {
    let file = Section::root(faults, root);
    file.texts_or_none(faults, "include");
    let names = Names {
        trunks: root.names_in("trunks"),
        pools: root.names_in("pools"),
        purposes: purpose::names(root),
    };
    let api = api::read(&Section::at_root(faults, root, &schema::API), faults);
    let sip = sip_section::read(&Section::at_root(faults, root, &schema::SIP), faults);
    let database = database::read(&Section::at_root(faults, root, &schema::DATABASE), faults);
    let secrets = Section::at_root(faults, root, &schema::SECRETS);
    let secrets = secret::read(&secrets, &database, database_url(root), faults);
    let trunks = trunk::read_all(root, &sip.external, faults);
    let pools = pool::read_all(root, &names, faults);
    let routes = route::read_all(root, &names, &trunks, &pools, faults);
    let purposes = purpose::read_all(root, &names, faults);
    let accounts = account::read_all(root, &names, faults);
    let sms = Section::at_root(faults, root, &schema::SMS);
    let smpp = smpp::read_all(root, faults);
    let sms = sms::read(&sms, root, &trunks, &smpp, faults);
    let voice = Section::at_root(faults, root, &schema::VOICE);
    let voice = Voice { prompts: voice.path(faults, "prompts") };
    let is_mailed = root.get("email").is_some();
    let email = is_mailed.then(|| Section::at_root(faults, root, &schema::EMAIL));
    let email = email::read(email.as_ref(), faults);
    let webhooks = webhook::read_all(root, &accounts, faults);
    let templates = template::read_all(root, faults);
    let limits = limits::read(&Section::at_root(faults, root, &schema::LIMITS), faults);
    Config {
        api,
        database,
        secrets,
        sip,
        trunks,
        pools,
        routes,
        purposes,
        accounts,
        sms,
        smpp,
        voice,
        email,
        webhooks,
        templates,
        limits,
    }
}

/// The globs of `include`, if they are strings.
pub(crate) fn includes(root: &RawTable) -> Vec<String> {
    match root.get("include").map(|entry| &entry.value.value) {
        Some(RawValue::Text(text)) => vec![text.clone()],
        Some(RawValue::List(values)) => {
            let text = |value: &Spanned<RawValue>| match &value.value {
                RawValue::Text(text) => Some(text.clone()),
                _ => None,
            };
            values.iter().filter_map(text).collect()
        }
        _ => Vec::new(),
    }
}

fn database_url(root: &RawTable) -> Option<Span> {
    root.at(&["database", "url"]).map(|entry| entry.value.span)
}

/// The user part of a SIP address; the error says which character is in the way.
pub(crate) fn user_part(text: &str) -> Result<UserPart, String> {
    // Only a called number may hold it, escaped; the user of a digest would be another one.
    if let Some(character) = text.chars().find(|character| "#%".contains(*character)) {
        return Err(format!("a user cannot hold {character:?}"));
    }
    UserPart::new(text).map_err(|error| match error {
        UserPartError::Forbidden(_, at) => match text.get(at..).and_then(|t| t.chars().next()) {
            Some('@') => "a user has no \"@\"; what follows it goes to \"domain\"".to_owned(),
            Some(character) => format!("a user cannot hold {character:?}"),
            None => error.to_string(),
        },
        UserPartError::Empty | UserPartError::TooLong => error.to_string(),
    })
}

/// A name of one of the files' tables, or a fault.
pub(crate) fn table_name<T>(
    section: &Section<'_>,
    parse: impl FnOnce(&str) -> Result<T, dialplans::NameError>,
    faults: &mut Faults,
) -> Option<T> {
    parse(section.name)
        .inspect_err(|error| {
            faults.add(Code::BadName, section.place, error.to_string());
        })
        .ok()
}
