//! Reading `[sms]`.

use std::collections::BTreeMap;

use dialplans::TrunkName;

use crate::config::Sms;
use crate::config::smpp::Smpp;
use crate::config::trunk::Trunk;
use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::raw::RawTable;
use crate::section::Section;
use crate::section::list::is_known;

pub(crate) fn read(
    section: &Section<'_>,
    root: &RawTable,
    trunks: &BTreeMap<TrunkName, Trunk>,
    smpp: &BTreeMap<TrunkName, Smpp>,
    faults: &mut Faults,
) -> Sms {
    let Some(name) = section.text(faults, "default") else {
        let trunk = trunks.values().find(|trunk| trunk.sms).map(|trunk| &trunk.name);
        return Sms { default: smpp.keys().next().or(trunk).cloned() };
    };
    let mut known = root.names_in("trunks");
    known.extend(root.names_in("smpp"));
    if !is_known(faults, Code::SmsUnknownTrunk, "trunk or centre", name, &known) {
        return Sms { default: None };
    }
    if let Some(centre) = smpp.keys().find(|centre| centre.as_str() == name.value) {
        return Sms { default: Some(centre.clone()) };
    }
    // A trunk that is known and not here has faults of its own.
    let trunk = trunks.values().find(|trunk| trunk.name.as_str() == name.value);
    if trunk.is_some_and(|trunk| !trunk.sms) {
        let message = format!("trunk {:?} sends no texts", name.value);
        faults
            .add(Code::SmsTrunkWithoutTexts, name.span, message)
            .help(format!("[trunks.{}] sms = \"message\"", name.value));
    }
    Sms { default: trunk.map(|trunk| trunk.name.clone()) }
}
