//! Reading `[trunks.NAME]`.

mod headers;
pub(crate) mod inbound;
pub(crate) mod offer;
mod reach;

use std::collections::BTreeMap;
use std::time::Duration;

use dialplans::{CountryCode, DialFormat, Translation, TrunkName};
use sip::{CallerIdHeader, DigestAlgorithm, External, RingSignal, UserPart};

use crate::address;
use crate::config::trunk::Trunk;
use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::raw::RawTable;
use crate::read::{secret, table_name, user_part};
use crate::schema;
use crate::section::Section;
use crate::section::scalar::{Zero, choose};
use crate::source::Spanned;

/// The user of a static trunk that is given none; only texts and our Contact show it.
const STATIC_USER: &str = "dozvon";

pub(crate) fn read_all(
    root: &RawTable,
    external: &External,
    faults: &mut Faults,
) -> BTreeMap<TrunkName, Trunk> {
    let trunks = Section::each(faults, root, "trunks", &schema::TRUNK);
    let trunks = trunks.iter().filter_map(|section| {
        faults.unless_wrong(|faults| read(section, external, faults)).flatten()
    });
    trunks.map(|trunk| (trunk.name.clone(), trunk)).collect()
}

fn read(section: &Section<'_>, external: &External, faults: &mut Faults) -> Option<Trunk> {
    let name = table_name(section, TrunkName::parse, faults);
    let reach = reach::read(section, faults);
    let identity = identity(section, reach.registrar.is_some(), faults);
    let shown = shown(section, &identity.user, faults);
    let (dial_format, caller_id_format, translation) = dialling(section, faults);
    let options_ping = section.seconds(faults, "options_ping", 5..=3_600, Zero::MeansNever);
    let default_ping = Duration::from_secs(if reach.registrar.is_some() { 0 } else { 30 });
    let keep_alive = section.seconds(faults, "keep_alive", 5..=600, Zero::MeansNever);
    let (ring_limit, no_ring_limit, no_answer_timeout) = timeouts(section, faults);
    let (inbound, cli_trusted) = inbound::read(section, faults);
    let trunk = Trunk {
        name: name?,
        registrar: reach.registrar,
        domain: reach.domain,
        outbound_proxy: reach.outbound_proxy,
        targets: reach.targets,
        transport: reach.transport,
        tls: reach.tls,
        external: section
            .parsed(faults, "external", Code::BadExternal, address::external)
            .unwrap_or_else(|| external.clone()),
        auth_user: text(section, "auth_user", faults)
            .unwrap_or_else(|| identity.user.reveal().to_owned()),
        password: identity.password,
        realms: realms(section, faults),
        digest: digest(section, faults),
        digest_is_written: section.get("digest").is_some(),
        contact_user: user(section, "contact_user", faults).unwrap_or(identity.user.clone()),
        line: section.flag(faults, "line", true),
        expires: section
            .seconds(faults, "expires", 60..=86_400, Zero::IsRefused)
            .unwrap_or(Duration::from_secs(600)),
        options_ping: never(options_ping.unwrap_or(default_ping)),
        keep_alive: never(keep_alive.unwrap_or(Duration::from_secs(25))),
        caller_id_in: shown.headers,
        from_user: shown.from_user,
        caller_id_format,
        user_phone: section.flag(faults, "user_phone", false),
        headers: headers::read(section, faults),
        offer: offer::read(section, faults),
        dial_format,
        translation,
        ring_signal: ring_signal(section, faults),
        no_answer_timeout,
        ring_limit,
        no_ring_limit,
        max_calls: section.whole(faults, "max_calls", 100, 1..=100_000),
        cps: section.whole(faults, "cps", 10, 1..=10_000),
        priority: section.whole(faults, "priority", 0, 0..=65_535),
        weight: section.whole(faults, "weight", 1, 0..=65_535),
        group: text(section, "group", faults),
        sms: section
            .choice(faults, "sms", &[("off", Some(false)), ("message", Some(true))])
            .unwrap_or(false),
        sms_from: user(section, "sms_from", faults).unwrap_or(identity.user.clone()),
        inbound,
        cli_trusted,
        user: identity.user,
    };
    Some(trunk)
}

struct Identity {
    user: UserPart,
    password: Option<crate::config::secret::SecretRef>,
}

fn identity(section: &Section<'_>, registers: bool, faults: &mut Faults) -> Identity {
    let user = user(section, "user", faults);
    let password = secret::at(section, "password", faults);
    if registers && section.get("user").is_none() {
        let place = section.place_of("registrar");
        let message = format!("trunk {:?} registers and has no user", section.name);
        faults
            .add(Code::TrunkWithoutUser, place, message)
            .help("user = \"…\", as the carrier gave it");
    }
    if registers && section.get("password").is_none() {
        let message = format!("trunk {:?} registers and has no password", section.name);
        faults
            .add(Code::TrunkWithoutPassword, section.place, message)
            .help("a registrar's challenge will not be answered");
    }
    let user = user.unwrap_or_else(|| {
        UserPart::new(STATIC_USER).expect("letters are a user part (RFC 3261 section 25.1)")
    });
    Identity { user, password }
}

struct Shown {
    headers: Vec<CallerIdHeader>,
    from_user: Option<UserPart>,
}

/// Which header fields show the caller ID, and what From holds.
fn shown(section: &Section<'_>, user: &UserPart, faults: &mut Faults) -> Shown {
    let written = section.text(faults, "caller_id_in");
    let mut headers = match written {
        Some(text) => header_list(text, faults),
        None => vec![CallerIdHeader::From, CallerIdHeader::PAssertedIdentity],
    };
    let from = section.text(faults, "from_user");
    let from_user = match from.map(|text| text.value) {
        Some("caller_id") => None,
        Some("user") => Some(user.clone()),
        Some(_) => self::user(section, "from_user", faults),
        // Where From is not among the fields, it must not show the caller ID by default either.
        None if headers.contains(&CallerIdHeader::From) => None,
        None => Some(user.clone()),
    };
    if from_user.is_some() {
        headers.retain(|header| *header != CallerIdHeader::From);
    } else if from.is_some() && !headers.contains(&CallerIdHeader::From) {
        headers.insert(0, CallerIdHeader::From);
    }
    if headers.is_empty() && from_user.is_some() {
        let message = format!("trunk {:?} shows the caller ID in no header field", section.name);
        faults
            .add(Code::CallerIdHidden, from.or(written).map(|text| text.span), message)
            .help("the caller ID is the code: leave out \"from_user\", or add \"pai\", \"ppi\" or \"rpid\" to \"caller_id_in\"");
    }
    Shown { headers, from_user }
}

pub(crate) const HEADERS: [(&str, Option<CallerIdHeader>); 4] = [
    ("from", Some(CallerIdHeader::From)),
    ("pai", Some(CallerIdHeader::PAssertedIdentity)),
    ("ppi", Some(CallerIdHeader::PPreferredIdentity)),
    ("rpid", Some(CallerIdHeader::RemotePartyId)),
];

fn header_list(text: Spanned<&str>, faults: &mut Faults) -> Vec<CallerIdHeader> {
    let mut headers = Vec::new();
    for word in text.value.split('+') {
        let word = text.with(word.trim());
        let Some(header) = choose(faults, "caller_id_in", word, &HEADERS) else { continue };
        if headers.contains(&header) {
            let message = format!("\"caller_id_in\" holds {:?} twice", word.value);
            faults.add(Code::DuplicateValue, text.span, message);
        } else {
            headers.push(header);
        }
    }
    headers
}

/// `dial_format`, `caller_id_format`, and what is stripped and put in front.
fn dialling(section: &Section<'_>, faults: &mut Faults) -> (DialFormat, DialFormat, Translation) {
    let country = section.parsed(faults, "country_code", Code::BadDialling, CountryCode::parse);
    let format = |faults: &mut Faults, key: &str| {
        let choices = [
            ("+e164", Some(Form::PlusE164)),
            ("e164", Some(Form::E164)),
            ("national", Some(Form::National)),
        ];
        match (section.choice(faults, key, &choices), country) {
            (None | Some(Form::PlusE164), _) => DialFormat::PlusE164,
            (Some(Form::E164), _) => DialFormat::E164,
            (Some(Form::National), Some(country)) => DialFormat::National(country),
            (Some(Form::National), None) => {
                if section.get("country_code").is_none() {
                    section.missing(
                        faults,
                        "country_code",
                        &format!(
                            "{key:?} is national, so say of which country: country_code = \"7\""
                        ),
                    );
                }
                DialFormat::PlusE164
            }
        }
    };
    let dial_format = format(faults, "dial_format");
    let caller_id_format = format(faults, "caller_id_format");
    let strip = section.whole(faults, "dial_strip", 0_u8, 0..=15);
    let prefix = section.text(faults, "dial_prefix");
    let translation = Translation::new(strip, prefix.map_or("", |prefix| prefix.value));
    let translation = translation.unwrap_or_else(|error| {
        faults.add(Code::BadDialling, section.place_of("dial_prefix"), error.to_string());
        Translation::default()
    });
    (dial_format, caller_id_format, translation)
}

#[derive(Clone, Copy)]
enum Form {
    PlusE164,
    E164,
    National,
}

pub(crate) const DIGESTS: [(&str, Option<DigestAlgorithm>); 3] = [
    ("sha-512-256", Some(DigestAlgorithm::Sha512Trunc256)),
    ("sha-256", Some(DigestAlgorithm::Sha256)),
    ("md5", Some(DigestAlgorithm::Md5)),
];

fn digest(section: &Section<'_>, faults: &mut Faults) -> Vec<DigestAlgorithm> {
    match section.texts(faults, "digest") {
        Some(words) => {
            words.into_iter().filter_map(|word| choose(faults, "digest", word, &DIGESTS)).collect()
        }
        None => DIGESTS.iter().filter_map(|(_, algorithm)| *algorithm).collect(),
    }
}

pub(crate) const RING_SIGNALS: [(&str, Option<RingSignal>); 3] = [
    ("180", Some(RingSignal::Ringing)),
    ("180+183", Some(RingSignal::RingingOrSessionProgress)),
    ("any", Some(RingSignal::Any)),
];

fn ring_signal(section: &Section<'_>, faults: &mut Faults) -> RingSignal {
    section.choice(faults, "ring_signal", &RING_SIGNALS).unwrap_or(RingSignal::Ringing)
}

/// `ring_limit`, `no_ring_limit` and `no_answer_timeout`.
fn timeouts(section: &Section<'_>, faults: &mut Faults) -> (Duration, Duration, Duration) {
    let ring_limit = section.seconds(faults, "ring_limit", 1..=60, Zero::IsRefused);
    let no_ring_limit = section.seconds(faults, "no_ring_limit", 2..=120, Zero::IsRefused);
    // Timer B ends the transaction after 32 s anyway (RFC 3261 section 17.1.1.2).
    let no_answer = section.seconds(faults, "no_answer_timeout", 1..=32, Zero::IsRefused);
    let ring_limit = ring_limit.unwrap_or(Duration::from_secs(4));
    let no_ring_limit = no_ring_limit.unwrap_or(Duration::from_secs(12));
    let no_answer = no_answer.unwrap_or(Duration::from_secs(6));
    if no_answer >= no_ring_limit {
        let written = ["no_answer_timeout", "no_ring_limit"];
        let place = written.into_iter().find_map(|key| section.get(key)).map(|value| value.span);
        let message = format!(
            "trunk {:?} waits {} s for any answer and {} s for ringing",
            section.name,
            no_answer.as_secs_f64(),
            no_ring_limit.as_secs_f64()
        );
        faults
            .add(Code::TimeoutsDisagree, place, message)
            .help("\"no_answer_timeout\" must be shorter than \"no_ring_limit\"");
    }
    (ring_limit, no_ring_limit, no_answer)
}

fn realms(section: &Section<'_>, faults: &mut Faults) -> Vec<String> {
    let texts = section.texts_or_none(faults, "realm").unwrap_or_default();
    let clean = |text: Spanned<&str>| clean_text("realm", text, faults);
    texts.into_iter().filter_map(clean).collect()
}

fn user(section: &Section<'_>, key: &str, faults: &mut Faults) -> Option<UserPart> {
    section.parsed(faults, key, Code::BadUser, user_part)
}

fn text(section: &Section<'_>, key: &str, faults: &mut Faults) -> Option<String> {
    let text = section.text(faults, key)?;
    clean_text(key, text, faults)
}

/// A text that can stand in quotes in a header field.
fn clean_text(key: &str, text: Spanned<&str>, faults: &mut Faults) -> Option<String> {
    let fits = (1..=128).contains(&text.value.len()) && !text.value.contains(char::is_control);
    if fits {
        return Some(text.value.to_owned());
    }
    let message = format!("{key:?} wants 1 to 128 bytes without control characters");
    faults.add(Code::BadText, text.span, message);
    None
}

fn never(duration: Duration) -> Option<Duration> {
    Some(duration).filter(|duration| !duration.is_zero())
}
