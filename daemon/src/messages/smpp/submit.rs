//! From a text to the commands that carry its parts. Pure.

use std::time::Duration;

use config::{AddressKind, Concatenation, DataCoding, Smpp};
use dialplans::E164;
use rusmpp::pdus::SubmitSm;
use rusmpp::tlvs::MessageSubmissionRequestTlvValue;
use rusmpp::types::{AnyOctetString, COctetString, EmptyOrFullCOctetString, OctetString};
use rusmpp::values::{self, EsmClass, MessagePayload, Npi, RegisteredDelivery, Ton};

use crate::messages::coding::{self, Alphabet, Coded};

/// The user data header indicator (SMPP 3.4 section 5.2.12).
const HAS_HEADER: u8 = 0x40;
/// An alphanumeric sender has at most 11 characters (3GPP TS 23.040 section 9.1.2.5).
const NAME_LIMIT: usize = 11;
/// From so many digits on a number is an international one, below it is a short code.
const NUMBER_LEAST: usize = 7;

/// The alphabet in which this message centre gets a text.
pub(super) fn alphabet(settings: &Smpp, text: &str) -> Alphabet {
    match settings.data_coding {
        DataCoding::Gsm => Alphabet::of(text),
        DataCoding::Ucs2 => Alphabet::Ucs2,
    }
}

/// How many parts are submitted for a text of so many segments.
pub(super) fn parts(settings: &Smpp, segments: usize) -> usize {
    match settings.concatenation {
        Concatenation::Udh => segments,
        Concatenation::Payload => 1,
    }
}

/// What a part is made from.
pub(super) struct PartOf<'a> {
    pub(super) settings: &'a Smpp,
    pub(super) to: &'a E164,
    pub(super) sender: Option<&'a str>,
    pub(super) text: &'a str,
    /// From 0.
    pub(super) part: usize,
    /// Marks the parts of one text as such; the same for each of them.
    pub(super) reference: u8,
    /// How long the message centre may try.
    pub(super) validity: Duration,
}

/// Why no command can be made; the word stands in the part's detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unfit(pub(super) &'static str);

/// The command that carries one part.
pub(super) fn command(wish: &PartOf<'_>) -> Result<SubmitSm, Unfit> {
    let settings = wish.settings;
    let (source_ton, source_npi, source) = source(settings, wish.sender)?;
    let (dest_ton, dest_npi) = kind(settings.dest, (1, 1));
    let digits = wish.to.reveal().trim_start_matches('+').to_owned();
    let alphabet = alphabet(settings, wish.text);
    let data_coding = match alphabet {
        Alphabet::Gsm7 => values::DataCoding::McSpecific,
        Alphabet::Ucs2 => values::DataCoding::Ucs2,
    };
    let receipt = u8::from(settings.registered_delivery);
    let mut submit = SubmitSm::builder()
        .source_addr_ton(source_ton)
        .source_addr_npi(source_npi)
        .source_addr(source)
        .dest_addr_ton(dest_ton)
        .dest_addr_npi(dest_npi)
        .destination_addr(COctetString::from_string(digits).map_err(|_| Unfit("number_too_long"))?)
        .validity_period(validity(wish.validity))
        .registered_delivery(RegisteredDelivery::from(receipt))
        .data_coding(data_coding)
        .build();
    let coded = coding::code(wish.text, alphabet);
    let is_long = coded.parts.len() > 1;
    submit.esm_class = EsmClass::from(0);
    match settings.concatenation {
        Concatenation::Payload if is_long => {
            let octets = AnyOctetString::from_vec(coding::octets(wish.text, alphabet));
            let payload = MessagePayload::new(octets);
            submit.push_tlv(MessageSubmissionRequestTlvValue::MessagePayload(payload));
        }
        Concatenation::Udh if is_long => {
            submit.esm_class = EsmClass::from(HAS_HEADER);
            let octets = with_header(&coded, wish.part, wish.reference)?;
            submit.set_short_message(octets);
        }
        Concatenation::Payload | Concatenation::Udh => {
            submit.set_short_message(short_message(coded.parts.concat())?);
        }
    }
    Ok(submit)
}

/// A part behind the header that says which of how many it is (3GPP TS 23.040 section
/// 9.2.3.24.1).
fn with_header(coded: &Coded, part: usize, reference: u8) -> Result<OctetString<0, 255>, Unfit> {
    let octet = |number: usize| u8::try_from(number).map_err(|_| Unfit("too_many_parts"));
    let (total, place) = (octet(coded.parts.len())?, octet(part + 1)?);
    let text = coded.parts.get(part).ok_or(Unfit("no_such_part"))?;
    let mut octets = vec![0x05, 0x00, 0x03, reference, total, place];
    octets.extend(text);
    short_message(octets)
}

fn short_message(octets: Vec<u8>) -> Result<OctetString<0, 255>, Unfit> {
    OctetString::from_vec(octets).map_err(|_| Unfit("text_too_long"))
}

fn kind(wish: AddressKind, usual: (u8, u8)) -> (Ton, Npi) {
    (Ton::from(wish.ton.unwrap_or(usual.0)), Npi::from(wish.npi.unwrap_or(usual.1)))
}

fn source(settings: &Smpp, sender: Option<&str>) -> Result<(Ton, Npi, COctetString<1, 21>), Unfit> {
    let sender = sender.unwrap_or(&settings.sender);
    if sender.is_empty() {
        let (ton, npi) = kind(settings.source, (0, 0));
        return Ok((ton, npi, COctetString::empty()));
    }
    let digits = sender.strip_prefix('+').unwrap_or(sender);
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let usual = match is_number {
        true if digits.len() >= NUMBER_LEAST => (1, 1),
        true => (3, 0),
        false if sender.len() > NAME_LIMIT => return Err(Unfit("sender_too_long")),
        false => (5, 0),
    };
    let (ton, npi) = kind(settings.source, usual);
    let written = if is_number { digits } else { sender };
    let address = COctetString::from_string(written.to_owned());
    Ok((ton, npi, address.map_err(|_| Unfit("sender_not_sendable"))?))
}

/// A relative time (SMPP 3.4 section 7.1.1): YYMMDDhhmmsstnnp.
fn validity(validity: Duration) -> EmptyOrFullCOctetString<17> {
    let seconds = validity.as_secs().max(1);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let text = format!("0000{days:02}{:02}{:02}{:02}000R", rest / 3_600, rest / 60 % 60, rest % 60);
    EmptyOrFullCOctetString::from_string(text).unwrap_or_else(|_| EmptyOrFullCOctetString::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "[trunks.n]\ntargets = [\"10.0.0.1\"]\n[smpp.a]\nhost = \"10.0.0.2\"\n\
                        system_id = \"dozvon\"\n";

    fn settings(more: &str) -> Smpp {
        let text = format!("{FILE}{more}");
        let parsed = config::parse(&[config::Source { name: "t", text: &text }]);
        let config = parsed.unwrap_or_else(|report| panic!("{report}")).config;
        config.smpp.into_values().next().unwrap()
    }

    fn submit(more: &str, sender: Option<&str>, text: &str, part: usize) -> SubmitSm {
        let settings = settings(more);
        let to = "+79161234567".parse().unwrap();
        let validity = Duration::from_secs(90_061);
        let wish =
            PartOf { settings: &settings, to: &to, sender, text, part, reference: 7, validity };
        command(&wish).unwrap()
    }

    #[test]
    fn a_short_text_goes_alone_with_plain_octets_and_a_receipt_is_asked_for() {
        let found = submit("", None, "Hi €", 0);
        assert_eq!(found.short_message().to_vec(), [b'H', b'i', b' ', 0x1b, 0x65]);
        assert_eq!((u8::from(found.esm_class), u8::from(found.registered_delivery)), (0, 1));
        assert_eq!(found.destination_addr.as_str(), "79161234567");
        assert_eq!((u8::from(found.dest_addr_ton), u8::from(found.dest_addr_npi)), (1, 1));
        assert_eq!(found.validity_period.as_str(), "000001010101000R");
        assert_eq!(
            u8::from(submit("registered_delivery = false", None, "", 0).registered_delivery),
            0
        );
    }

    #[test]
    fn each_part_of_a_long_text_says_which_it_is() {
        let text = "ж".repeat(100);
        let last = submit("", None, &text, 1);
        let octets = last.short_message().to_vec();
        assert_eq!(octets[..6], [5, 0, 3, 7, 2, 2]);
        assert_eq!(octets.len(), 6 + 33 * 2);
        assert_eq!((u8::from(last.esm_class), u8::from(last.data_coding)), (0x40, 8));
        assert_eq!(submit("", None, &text, 0).short_message().len(), 140);
    }

    #[test]
    fn a_long_text_goes_whole_where_the_centre_cuts_it() {
        let found = submit("concatenation = \"payload\"", None, &"a".repeat(200), 0);
        assert!(found.short_message().is_empty() && u8::from(found.esm_class) == 0);
        assert_eq!(found.tlvs()[0].value_length(), 200);
    }

    #[test]
    fn a_sender_is_a_name_a_number_or_a_short_code() {
        let kind = |sender| {
            let found = submit("", Some(sender), "a", 0);
            let address = found.source_addr.as_str().to_owned();
            (u8::from(found.source_addr_ton), u8::from(found.source_addr_npi), address)
        };
        assert_eq!(kind("EXAMPLE"), (5, 0, "EXAMPLE".to_owned()));
        assert_eq!(kind("+74951230000"), (1, 1, "74951230000".to_owned()));
        assert_eq!(kind("4711"), (3, 0, "4711".to_owned()));
        assert_eq!(u8::from(submit("source_ton = 2", Some("4711"), "a", 0).source_addr_ton), 2);
        let settings = settings("");
        assert!(source(&settings, Some("LONGER THAN 11")).is_err());
        assert!(source(&settings, Some("ПРИМЕР")).is_err());
    }

    #[test]
    fn a_centre_of_ucs2_alone_gets_no_other_alphabet() {
        let found = submit("data_coding = \"ucs2\"", None, "Hi", 0);
        assert_eq!(found.short_message().to_vec(), [0, b'H', 0, b'i']);
    }
}
