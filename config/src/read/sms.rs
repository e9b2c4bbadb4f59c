//! Reading `[sms]`.

use std::collections::BTreeMap;

use dialplans::TrunkName;

use crate::config::Sms;
use crate::config::trunk::Trunk;
use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::read::Names;
use crate::section::Section;
use crate::section::list::is_known;

pub(crate) fn read(
    section: &Section<'_>,
    names: &Names<'_>,
    trunks: &BTreeMap<TrunkName, Trunk>,
    faults: &mut Faults,
) -> Sms {
    let Some(name) = section.text(faults, "default") else {
        return Sms { default: trunks.values().find(|trunk| trunk.sms).map(|t| t.name.clone()) };
    };
    if !is_known(faults, Code::SmsUnknownTrunk, "trunk", name, &names.trunks) {
        return Sms { default: None };
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
