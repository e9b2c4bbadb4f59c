//! What the INVITEs of a trunk offer beside the numbers: `rel100`, `codecs`, `privacy`,
//! `media_external` and `media_networks`.

use std::net::IpAddr;

use sip::{Codec, Network, Privacy, Rel100};

use crate::config::trunk::Offer;
use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::section::Section;
use crate::section::scalar::choose;

pub(crate) const REL100: [(&str, Option<Rel100>); 3] = [
    ("off", Some(Rel100::Off)),
    ("supported", Some(Rel100::Supported)),
    ("required", Some(Rel100::Required)),
];
pub(crate) const CODECS: [(&str, Option<Codec>); 2] =
    [("pcma", Some(Codec::Pcma)), ("pcmu", Some(Codec::Pcmu))];
pub(crate) const PRIVACY: [(&str, Option<Privacy>); 2] =
    [("off", Some(Privacy::Off)), ("none", Some(Privacy::None))];

pub(super) fn read(section: &Section<'_>, faults: &mut Faults) -> Offer {
    let networks = section.texts_or_none(faults, "media_networks").unwrap_or_default();
    let networks = networks.into_iter().filter_map(|text| match Network::parse(text.value) {
        Ok(network) => Some(network),
        Err(error) => {
            faults.add(Code::BadNetwork, text.span, format!("\"media_networks\": {error}"));
            None
        }
    });
    let media_networks = networks.collect();
    Offer {
        rel100: section.choice(faults, "rel100", &REL100).unwrap_or(Rel100::Off),
        codecs: codecs(section, faults),
        privacy: section.choice(faults, "privacy", &PRIVACY).unwrap_or(Privacy::Off),
        media_external: section.parsed(
            faults,
            "media_external",
            Code::BadAddress,
            str::parse::<IpAddr>,
        ),
        media_networks,
    }
}

fn codecs(section: &Section<'_>, faults: &mut Faults) -> Vec<Codec> {
    match section.texts(faults, "codecs") {
        Some(words) => {
            words.into_iter().filter_map(|word| choose(faults, "codecs", word, &CODECS)).collect()
        }
        None => CODECS.iter().filter_map(|(_, codec)| *codec).collect(),
    }
}
