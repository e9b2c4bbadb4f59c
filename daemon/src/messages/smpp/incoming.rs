//! Texts that a message centre delivers: read, and stored before they are answered.

use std::time::Duration;

use config::Account;
use dialplans::TrunkName;
use rusmpp::CommandStatus;
use rusmpp::pdus::DeliverSm;
use rusmpp::tlvs::TlvValue;
use rusmpp::values::Ton;

use crate::app::App;
use crate::messages::coding::Charset;
use crate::messages::{Sender, receive_part};
use crate::store::{PartContent, ReceivePart, Repeats};
use crate::{inbound, telemetry};

/// The user data header indicator (SMPP 3.4 section 5.2.12).
const HAS_HEADER: u8 = 0x40;
/// Longest part of several, in octets: a short message has 140 (or 160 septets, each in one), and
/// some centres cut by themselves.
const PART_LIMIT: usize = 1_000;

/// Takes a text in; the answer is what the message centre hears. `connected` is how long the link
/// has been bound.
pub(super) async fn take(
    app: &App,
    link: &TrunkName,
    deliver: &DeliverSm,
    connected: Duration,
) -> CommandStatus {
    let outcome = |word| telemetry::inbound(link, "text", word);
    let settings = app.settings();
    let called = deliver.destination_addr.as_str();
    let Some((account, rules, to)) = inbound::owner(&settings, called) else {
        outcome("unknown_number");
        return CommandStatus::EsmeRinvdstadr;
    };
    let Some(charset) = Charset::of_data_coding(u8::from(deliver.data_coding)) else {
        outcome("no_text");
        return CommandStatus::EsmeRxRAppn;
    };
    let Carried { octets, place, mark } = carried(deliver);
    if place.is_some() && octets.len() > PART_LIMIT {
        outcome("too_long");
        return CommandStatus::EsmeRinvmsglen;
    }
    let now = app.now();
    let repeats = match place {
        Some(_) => Repeats::of_reference(now),
        None => Repeats::of_words(now, now - connected),
    };
    let from = deliver.source_addr.as_str();
    let name = name(link, (from, called), place, &octets, mark);
    let (part, total) = place.map_or((1, 1), |place| (place.part, place.total));
    let content = PartContent {
        account: account.to_string(),
        to,
        sender: sender(deliver.source_addr_ton, from, rules),
        charset,
        link: link.clone(),
        octets,
    };
    let received = ReceivePart { text: name, part, total, content, repeats };
    match receive_part(app, received).await {
        Ok(()) => {
            outcome("received");
            CommandStatus::EsmeRok
        }
        Err(error) => {
            outcome("not_stored");
            super::arrivals::later(link, error)
        }
    }
}

/// What tells a text from every other one that may be under way: two senders may use one
/// reference, and a text that stands alone has nothing but its words.
fn name(
    link: &TrunkName,
    (from, called): (&str, &str),
    place: Option<Place>,
    octets: &[u8],
    mark: Option<u16>,
) -> Vec<u8> {
    let mut name = format!("{link}\n{from}\n{called}\n").into_bytes();
    match place {
        Some(Place { reference, total, .. }) => {
            name.extend(format!("{reference:?} of {total}").into_bytes());
        }
        None => {
            name.extend(format!("{mark:?}\n").into_bytes());
            name.extend(octets);
        }
    }
    name
}

/// What a delivery carries.
struct Carried {
    /// The text's octets, without their header.
    octets: Vec<u8>,
    /// Which part of which text; `None`: it is whole.
    place: Option<Place>,
    /// The sender's own number for the text (SMPP 3.4 section 5.3.2.17).
    mark: Option<u16>,
}

/// Which part a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    reference: Reference,
    /// From 1 to `total`.
    part: u8,
    /// At least 2.
    total: u8,
}

/// What the parts of one text have in common: each way of saying it counts by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reference {
    /// One octet in the header (3GPP TS 23.040 section 9.2.3.24.1).
    Short(u8),
    /// Two octets there (section 9.2.3.24.8).
    Long(u16),
    /// `sar_msg_ref_num` (SMPP 3.4 section 5.3.2.22).
    Sar(u16),
}

impl Place {
    /// `None`: one of one is whole, and there is no third of two.
    fn new(reference: Reference, total: u8, part: u8) -> Option<Self> {
        (total > 1 && (1..=total).contains(&part)).then_some(Self { reference, part, total })
    }
}

fn carried(deliver: &DeliverSm) -> Carried {
    let (mut reference, mut total, mut part) = (None, None, None);
    let (mut payload, mut mark) = (None, None);
    for value in deliver.tlvs().iter().filter_map(|tlv| tlv.value()) {
        match value {
            TlvValue::MessagePayload(found) => payload = Some(found.value.as_ref()),
            TlvValue::SarMsgRefNum(found) => reference = Some(*found),
            TlvValue::SarTotalSegments(found) => total = Some(*found),
            TlvValue::SarSegmentSeqnum(found) => part = Some(*found),
            TlvValue::UserMessageReference(found) => mark = Some(found.value),
            _ => {}
        }
    }
    // Where both stand, the short one is empty or the beginning of the other.
    let octets: &[u8] = payload.unwrap_or_else(|| deliver.short_message().as_ref());
    let by_sar = reference
        .zip(total)
        .zip(part)
        .and_then(|((reference, total), part)| Place::new(Reference::Sar(reference), total, part));
    let has_header = u8::from(deliver.esm_class) & HAS_HEADER != 0;
    let (place, octets) = if has_header { split(octets) } else { (None, octets) };
    Carried { octets: octets.to_vec(), place: place.or(by_sar), mark }
}

/// Takes the header from a text (3GPP TS 23.040 section 9.2.3.24). One that is longer than the
/// text is none.
fn split(octets: &[u8]) -> (Option<Place>, &[u8]) {
    let Some((&length, rest)) = octets.split_first() else { return (None, octets) };
    let Some((mut header, text)) = rest.split_at_checked(usize::from(length)) else {
        return (None, octets);
    };
    let mut place = None;
    while let [id, length, rest @ ..] = header {
        let Some((element, rest)) = rest.split_at_checked(usize::from(*length)) else { break };
        // Of an element that comes twice the last one counts (section 9.2.3.24).
        match (id, element) {
            (0x00, &[reference, total, part]) => {
                place = Place::new(Reference::Short(reference), total, part);
            }
            (0x08, &[high, low, total, part]) => {
                let reference = u16::from_be_bytes([high, low]);
                place = Place::new(Reference::Long(reference), total, part);
            }
            _ => {}
        }
        header = rest;
    }
    (place, text)
}

fn sender(ton: Ton, from: &str, account: &Account) -> Sender {
    let number = match ton {
        Ton::Alphanumeric => None,
        Ton::International => inbound::international(from),
        _ => inbound::number(from, account.default_region),
    };
    match number {
        Some(number) => Sender::Number(number),
        None if from.is_empty() => Sender::Unknown,
        None => Sender::Name(from.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_which_part_it_is_and_what_it_does_not_say_is_left() {
        let short = |reference, total, part| Place::new(Reference::Short(reference), total, part);
        let long = |reference, total, part| Place::new(Reference::Long(reference), total, part);
        assert_eq!(split(&[5, 0, 3, 7, 2, 1, b'a']), (short(7, 2, 1), &b"a"[..]));
        assert_eq!(split(&[6, 8, 4, 1, 2, 3, 3, b'a']), (long(0x102, 3, 3), &b"a"[..]));
        // A port first, then the part.
        let ports = [11, 5, 4, 0, 1, 0, 2, 0, 3, 9, 2, 2, b'b'];
        assert_eq!(split(&ports), (short(9, 2, 2), &b"b"[..]));
    }

    #[test]
    fn a_header_that_cannot_be_makes_no_part() {
        // Part 3 of 2, part 0, one of one, a header longer than the text, an element longer than
        // the header, nothing at all.
        for (wrong, text) in [
            (&[5, 0, 3, 7, 2, 3, b'a'][..], &b"a"[..]),
            (&[5, 0, 3, 7, 2, 0, b'a'], b"a"),
            (&[5, 0, 3, 7, 1, 1, b'a'], b"a"),
            (&[9, 0, 3, 7], &[9, 0, 3, 7]),
            (&[3, 0, 9, 7, b'a'], b"a"),
            (&[], b""),
        ] {
            assert_eq!(split(wrong), (None, text), "{wrong:?}");
        }
    }

    #[test]
    fn an_international_number_is_no_national_one() {
        let account = |text: &str| {
            let text = format!("[trunks.n]\ntargets = [\"10.0.0.1\"]\n[accounts.a]\n{text}\n");
            let parsed = config::parse(&[config::Source { name: "t", text: &text }]);
            let config = parsed.unwrap_or_else(|report| panic!("{report}")).config;
            config.accounts.into_values().find(|it| it.default_region.is_some()).unwrap()
        };
        let account = account("default_region = \"RU\"");
        let number = |text: &str| Sender::Number(text.parse().unwrap());
        for (ton, from, expected) in [
            (Ton::International, "79161234567", number("+79161234567")),
            (Ton::International, "+491701234567", number("+491701234567")),
            (Ton::National, "9161234567", number("+79161234567")),
            (Ton::Unknown, "89161234567", number("+79161234567")),
            (Ton::Alphanumeric, "79161234567", Sender::Name("79161234567".to_owned())),
            (Ton::NetworkSpecific, "4711", Sender::Name("4711".to_owned())),
            (Ton::Unknown, "", Sender::Unknown),
        ] {
            assert_eq!(sender(ton, from, &account), expected, "{from}");
        }
    }
}
