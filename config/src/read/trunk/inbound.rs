//! How calls and texts of a trunk are known and read: `inbound`, `did_from`, `cli_from` and
//! `cli_trusted`.

use sip::{CallRefusal, CalledSource, CallerSource, InboundSettings, Network};

use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::raw::RawValue;
use crate::schema;
use crate::section::Section;
use crate::section::scalar::{Choice, choose};
use crate::source::Spanned;

/// The words of `did_from`.
pub(crate) const CALLED: [Choice<CalledSource>; 4] = [
    ("request_line", Some(CalledSource::RequestLine)),
    ("p_called_party_id", Some(CalledSource::PCalledPartyId)),
    ("to", Some(CalledSource::To)),
    ("diversion", Some(CalledSource::Diversion)),
];

/// The words of `cli_from`.
pub(crate) const CALLER: [Choice<CallerSource>; 3] = [
    ("pai", Some(CallerSource::PAssertedIdentity)),
    ("rpid", Some(CallerSource::RemotePartyId)),
    ("from", Some(CallerSource::From)),
];

/// The settings, and whether the calling numbers are trusted.
pub(super) fn read(section: &Section<'_>, faults: &mut Faults) -> (InboundSettings, bool) {
    let mut inbound = InboundSettings::default();
    if let Some(value) = section.get("inbound") {
        table(section, value, &mut inbound, faults);
    }
    if let Some(called) = words(section, "did_from", &CALLED, faults) {
        inbound.called_from = called;
    }
    if let Some(caller) = words(section, "cli_from", &CALLER, faults) {
        inbound.caller_from = caller;
    }
    let cli_trusted = section.flag(faults, "cli_trusted", false);
    if cli_trusted && inbound.caller_from.iter().all(|source| *source == CallerSource::From) {
        let message =
            format!("trunk {:?} is trusted with a number that is not its own word", section.name);
        faults
            .add(Code::CliNeverProved, section.place_of("cli_trusted"), message)
            .help("anybody writes From: add \"pai\" or \"rpid\" to \"cli_from\", or leave \"cli_trusted\" out");
    }
    (inbound, cli_trusted)
}

fn table(
    section: &Section<'_>,
    value: &Spanned<RawValue>,
    inbound: &mut InboundSettings,
    faults: &mut Faults,
) {
    let Some(table) = Section::open(faults, &schema::INBOUND, section.name, value.span, value)
    else {
        return;
    };
    if let Some(words) = table.texts(faults, "match") {
        (inbound.line, inbound.addresses) = (false, false);
        for word in words {
            match word.value {
                "line" => inbound.line = true,
                "address" => inbound.addresses = true,
                text => match Network::parse(text) {
                    Ok(network) => inbound.networks.push(network),
                    Err(error) => {
                        faults
                            .add(Code::BadNetwork, word.span, format!("\"match\": {error}"))
                            .help("possible: \"line\", \"address\", and networks such as \"192.0.2.0/24\"");
                    }
                },
            }
        }
    }
    let answer = table.whole(faults, "answer", 603_u16, 480..=603);
    match answer {
        603 => inbound.refusal = CallRefusal::Decline,
        486 => inbound.refusal = CallRefusal::Busy,
        480 => inbound.refusal = CallRefusal::Unavailable,
        _ => {
            let message = format!("\"answer\" cannot be {answer}");
            faults
                .add(Code::BadChoice, table.place_of("answer"), message)
                .help("possible: 603, 486, 480");
        }
    }
}

fn words<T: Copy>(
    section: &Section<'_>,
    key: &str,
    choices: &[Choice<T>],
    faults: &mut Faults,
) -> Option<Vec<T>> {
    let words = section.texts(faults, key)?;
    Some(words.into_iter().filter_map(|word| choose(faults, key, word, choices)).collect())
}
