//! Reading `[smpp.NAME]`.

use std::collections::BTreeMap;
use std::time::Duration;

use dialplans::TrunkName;

use crate::address;
use crate::config::smpp::{AddressKind, Concatenation, DataCoding, Smpp};
use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::raw::RawTable;
use crate::read::{secret, table_name};
use crate::schema;
use crate::section::Section;
use crate::section::scalar::{Choice, Zero};

/// Longest fields of a bind and of an address, without their end (SMPP 3.4 sections 4.1.5 and
/// 4.4.1).
const SYSTEM_ID: usize = 15;
const SYSTEM_TYPE: usize = 12;
const SENDER: usize = 20;

pub(crate) const DATA_CODINGS: [Choice<DataCoding>; 2] =
    [("gsm", Some(DataCoding::Gsm)), ("ucs2", Some(DataCoding::Ucs2))];
pub(crate) const CONCATENATIONS: [Choice<Concatenation>; 2] =
    [("udh", Some(Concatenation::Udh)), ("payload", Some(Concatenation::Payload))];

pub(crate) fn read_all(root: &RawTable, faults: &mut Faults) -> BTreeMap<TrunkName, Smpp> {
    let trunks = root.names_in("trunks");
    let mut links = BTreeMap::new();
    for section in Section::each(faults, root, "smpp", &schema::SMPP) {
        if trunks.contains(&section.name) {
            let message = format!("{:?} is the name of a trunk too", section.name);
            faults
                .add(Code::SmppNamedAsTrunk, section.place, message)
                .help("a text's route is one name: give the message centre another");
        }
        let name = table_name(&section, TrunkName::parse, faults);
        let link = faults.unless_wrong(|faults| read(&section, faults));
        if let (Some(name), Some(Some(link))) = (name, link) {
            links.insert(name, link);
        }
    }
    links
}

fn read(section: &Section<'_>, faults: &mut Faults) -> Option<Smpp> {
    let host = section.parsed(faults, "host", Code::BadHost, address::host_port);
    if section.get("host").is_none() {
        section.missing(faults, "host", "host = \"smpp.example.ru:2775\"");
    }
    let system_id = ascii(section, "system_id", SYSTEM_ID, faults);
    if section.get("system_id").is_none() {
        section.missing(faults, "system_id", "system_id = \"dozvon\"");
    }
    let tls = section.flag(faults, "tls", false);
    if host.as_ref().is_some_and(|host| !tls && address::is_public_host(&host.host)) {
        let message = format!("texts to {:?} cross a public network in clear", section.name);
        faults
            .add(Code::SmppInClear, section.place_of("host"), message)
            .help("tls = true, or a private network or tunnel to the message centre");
    }
    let enquire_link = section.seconds(faults, "enquire_link", 1..=3_600, Zero::IsRefused);
    Some(Smpp {
        name: TrunkName::parse(section.name).ok()?,
        tls,
        ca: section.path(faults, "ca"),
        password: secret::at(section, "password", faults),
        system_type: ascii(section, "system_type", SYSTEM_TYPE, faults).unwrap_or_default(),
        window: section.whole(faults, "window", 10, 1..=1_000),
        throughput: section.whole(faults, "throughput", 50, 1..=10_000),
        enquire_link: enquire_link.unwrap_or(Duration::from_secs(30)),
        sender: ascii(section, "sender", SENDER, faults).unwrap_or_default(),
        source: AddressKind {
            ton: octet(section, "source_ton", faults),
            npi: octet(section, "source_npi", faults),
        },
        dest: AddressKind {
            ton: octet(section, "dest_ton", faults),
            npi: octet(section, "dest_npi", faults),
        },
        registered_delivery: section.flag(faults, "registered_delivery", true),
        data_coding: section
            .choice(faults, "data_coding", &DATA_CODINGS)
            .unwrap_or(DataCoding::Gsm),
        concatenation: section
            .choice(faults, "concatenation", &CONCATENATIONS)
            .unwrap_or(Concatenation::Udh),
        host: host?,
        system_id: system_id?,
    })
}

fn ascii(section: &Section<'_>, key: &str, most: usize, faults: &mut Faults) -> Option<String> {
    section.parsed(faults, key, Code::BadText, |text| {
        let fits = text.len() <= most && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(text.to_owned()) } else { Err(format!("1 to {most} ASCII characters fit")) }
    })
}

/// A type of number or a numbering plan, if one is written.
fn octet(section: &Section<'_>, key: &str, faults: &mut Faults) -> Option<u8> {
    section.get(key)?;
    Some(section.whole(faults, key, 0, 0..=18))
}
