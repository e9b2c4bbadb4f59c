//! Reading `[webhooks.NAME]`.

use std::collections::BTreeMap;

use crate::address;
use crate::config::account::Account;
use crate::config::webhook::{EVENT_TYPES, Webhook, WebhookUrl, matches};
use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::name::{AccountName, WebhookName};
use crate::raw::RawTable;
use crate::read::{secret, table_name};
use crate::schema;
use crate::section::Section;
use crate::section::list::is_known;
use crate::suggest;

/// Longest path with its query.
const PATH_LIMIT: usize = 2_000;

pub(crate) fn read_all(
    root: &RawTable,
    accounts: &BTreeMap<AccountName, Account>,
    faults: &mut Faults,
) -> BTreeMap<WebhookName, Webhook> {
    let mut webhooks = BTreeMap::new();
    for section in Section::each(faults, root, "webhooks", &schema::WEBHOOK) {
        let name = table_name(&section, WebhookName::parse, faults);
        let read = faults.unless_wrong(|faults| read(&section, root, accounts, faults));
        if let (Some(name), Some(Some(webhook))) = (name, read) {
            webhooks.insert(name, webhook);
        }
    }
    webhooks
}

fn read(
    section: &Section<'_>,
    root: &RawTable,
    accounts: &BTreeMap<AccountName, Account>,
    faults: &mut Faults,
) -> Option<Webhook> {
    let mut known = root.names_in("accounts");
    let default = AccountName::default_account();
    if !known.contains(&default.as_str()) {
        known.push(default.as_str());
    }
    let account = match section.text(faults, "account") {
        Some(name) => {
            let is_there = is_known(faults, Code::WebhookUnknownAccount, "account", name, &known);
            is_there.then(|| AccountName::parse(name.value).ok()).flatten()
        }
        None => Some(default.clone()),
    };
    let allow_private = section.flag(faults, "allow_private", false);
    let url = section.parsed(faults, "url", Code::BadUrl, url);
    if section.get("url").is_none() {
        section.missing(faults, "url", "url = \"https://crm.example.ru/hooks/dozvon\"");
    }
    if url.as_ref().is_some_and(|url| !url.is_tls && !allow_private) {
        faults
            .add(Code::BadUrl, section.place_of("url"), "\"url\" is not under TLS")
            .help("https://…, or allow_private = true for a host of your own network");
    }
    let signing = secret::at(section, "secret", faults);
    if section.get("secret").is_none() {
        let help = "secret = { credential = \"webhook-crm\" }, which holds whsec_ and base64";
        section.missing(faults, "secret", help);
    }
    let previous_secret = secret::at(section, "previous_secret", faults);
    let events = events(section, faults);
    Some(Webhook {
        name: WebhookName::parse(section.name).ok()?,
        // A name that is known and not here has faults of its own.
        account: account.filter(|account| accounts.contains_key(account))?,
        url: url?,
        secret: signing?,
        previous_secret,
        events,
        allow_private,
    })
}

fn events(section: &Section<'_>, faults: &mut Faults) -> Vec<String> {
    let Some(globs) = section.texts(faults, "events") else { return vec!["*".to_owned()] };
    for glob in &globs {
        if !EVENT_TYPES.iter().any(|event| matches(glob.value, event)) {
            let message = format!("no event is of the type {:?}", glob.value);
            faults
                .add(Code::BadChoice, glob.span, message)
                .help(format!("possible: {}, with * for any part", suggest::list(EVENT_TYPES)));
        }
    }
    globs.into_iter().map(|glob| glob.value.to_owned()).collect()
}

fn url(text: &str) -> Result<WebhookUrl, &'static str> {
    const WANTED: &str = "an address such as https://crm.example.ru/hooks is wanted";
    let (is_tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return Err(WANTED),
    };
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(at);
    let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if !is_plain || path.len() > PATH_LIMIT || path.starts_with('?') {
        return Err("a path has no spaces, no # and at most 2000 characters");
    }
    let host = address::host_port(host).map_err(|_| WANTED)?;
    let path = if path.is_empty() { "/".to_owned() } else { path.to_owned() };
    Ok(WebhookUrl { is_tls, host, path })
}
