//! Reading `[accounts.NAME]`.

use std::collections::BTreeMap;

use dialplans::{NumberRange, PoolChoice, PoolName, Region};

use crate::config::account::{Account, UnknownUser};
use crate::config::purpose::PASSWORD_RESET;
use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::name::{AccountName, PurposeName};
use crate::raw::RawTable;
use crate::read::{Names, table_name, user_part};
use crate::schema;
use crate::section::Section;
use crate::section::list::{is_known, parse_each};
use crate::source::Spanned;

pub(crate) fn read_all(
    root: &RawTable,
    names: &Names<'_>,
    faults: &mut Faults,
) -> BTreeMap<AccountName, Account> {
    let default = Account {
        pools: PoolChoice::Any,
        purposes: all_purposes(names),
        senders: Vec::new(),
        inbound_numbers: Vec::new(),
        default_region: None,
        unknown_user: UnknownUser::default(),
    };
    let mut accounts = BTreeMap::from([(AccountName::default_account(), default)]);
    for section in Section::each(faults, root, "accounts", &schema::ACCOUNT) {
        let name = table_name(&section, AccountName::parse, faults);
        let account = faults.unless_wrong(|faults| read(&section, names, faults));
        match (name, account) {
            (Some(name), Some(account)) => accounts.insert(name, account),
            (Some(name), None) => accounts.remove(&name),
            (None, _) => None,
        };
    }
    accounts
}

fn all_purposes(names: &Names<'_>) -> Vec<PurposeName> {
    let mut purposes: Vec<PurposeName> =
        names.purposes.iter().filter_map(|name| PurposeName::parse(name).ok()).collect();
    purposes.sort();
    purposes
}

fn read(section: &Section<'_>, names: &Names<'_>, faults: &mut Faults) -> Account {
    let is_default = section.name == AccountName::default_account().as_str();
    let pools = match section.texts_or_none(faults, "pools") {
        None if is_default => PoolChoice::Any,
        found => {
            let known =
                |name: &_| is_known(faults, Code::AccountUnknownPool, "pool", *name, &names.pools);
            let found: Vec<_> = found.unwrap_or_default().into_iter().filter(known).collect();
            PoolChoice::named(found.iter().filter_map(|name| PoolName::parse(name.value).ok()))
        }
    };
    if section.get("pools").is_none() && !is_default {
        let message = format!("account {:?} has no pools, so it can place no call", section.name);
        faults.add(Code::AccountWithoutPools, section.place, message).help(
            "pools = [\"…\"], those whose numbers its calls may show; [] if it only sends texts",
        );
    }
    let purposes = match section.texts(faults, "purposes") {
        None => all_purposes(names),
        Some(found) => found
            .into_iter()
            .filter(|name| is_purpose(*name, names, faults))
            .filter_map(|name| PurposeName::parse(name.value).ok())
            .collect(),
    };
    let senders = section.texts_or_none(faults, "senders").unwrap_or_default();
    let senders = parse_each(faults, "senders", Code::BadUser, senders, user_part);
    let senders = senders.into_iter().map(|sender| sender.value).collect();
    let numbers = section.texts_or_none(faults, "inbound_numbers").unwrap_or_default();
    let numbers =
        parse_each(faults, "inbound_numbers", Code::BadNumber, numbers, NumberRange::parse);
    let inbound_numbers = numbers.into_iter().map(|range| range.value).collect();
    let default_region = section.parsed(faults, "default_region", Code::BadRegion, Region::parse);
    let words = [
        (UnknownUser::Reveal.as_str(), Some(UnknownUser::Reveal)),
        (UnknownUser::Conceal.as_str(), Some(UnknownUser::Conceal)),
    ];
    let unknown_user = section.choice(faults, "unknown_user", &words).unwrap_or_default();
    Account { pools, purposes, senders, inbound_numbers, default_region, unknown_user }
}

fn is_purpose(name: Spanned<&str>, names: &Names<'_>, faults: &mut Faults) -> bool {
    if name.value == PASSWORD_RESET && !names.purposes.contains(&PASSWORD_RESET) {
        faults
            .add(Code::AccountUnknownPurpose, name.span, "\"password_reset\" has no table")
            .help("it wants codes of 6 digits: [purposes.password_reset] workflow = [\"sms\"]");
        return false;
    }
    is_known(faults, Code::AccountUnknownPurpose, "purpose", name, &names.purposes)
}
