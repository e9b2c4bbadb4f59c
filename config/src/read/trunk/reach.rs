//! Where a trunk is.

use sip::{HostPort, Target, Transport};

use crate::address;
use crate::config::tls::TrunkTls;
use crate::config::trunk::TransportChoice;
use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::raw::RawValue;
use crate::read::tls;
use crate::schema;
use crate::section::Section;
use crate::source::Spanned;

pub(super) struct Reach {
    pub(super) registrar: Option<HostPort>,
    pub(super) domain: String,
    pub(super) outbound_proxy: Option<HostPort>,
    pub(super) targets: Vec<Target>,
    pub(super) transport: TransportChoice,
    pub(super) tls: TrunkTls,
}

pub(super) fn read(section: &Section<'_>, faults: &mut Faults) -> Reach {
    let registrar = host(section, "registrar", faults);
    let outbound_proxy = host(section, "outbound_proxy", faults);
    let domain = section.parsed(faults, "domain", Code::BadHost, address::uri_host);
    let transport = section.choice(
        faults,
        "transport",
        &[
            ("udp", Some(TransportChoice::Fixed(Transport::Udp))),
            ("tcp", Some(TransportChoice::Fixed(Transport::Tcp))),
            ("tls", Some(TransportChoice::Fixed(Transport::Tls))),
            ("auto", Some(TransportChoice::Auto)),
        ],
    );
    let transport = transport.unwrap_or(TransportChoice::Fixed(Transport::Udp));
    if transport == TransportChoice::Auto && section.get("targets").is_some() {
        let message = "\"transport\" cannot be \"auto\" where \"targets\" are addresses";
        faults
            .add(Code::BadChoice, section.place_of("transport"), message)
            .help("only a name says how it wants to be reached: \"udp\", \"tcp\" or \"tls\"");
    }
    let targets = targets(section, transport.at_first(), faults);
    let keys = ["targets", "outbound_proxy", "registrar", "domain"];
    if keys.iter().all(|key| section.get(key).is_none()) {
        let message = format!("nothing says where trunk {:?} is", section.name);
        faults
            .add(Code::TrunkUnreachable, section.place, message)
            .help("registrar = \"sip.example.ru\", or targets = [\"192.0.2.1:5060\"] for a trunk without registration");
    }
    let domain = domain
        .or_else(|| registrar.as_ref().map(|found| address::in_uri(&found.host)))
        .or_else(|| outbound_proxy.as_ref().map(|found| address::in_uri(&found.host)))
        .or_else(|| targets.first().map(|t| address::in_uri(&t.address.ip().to_string())))
        .unwrap_or_default();
    let tls = tls::of_trunk(section, faults);
    if let Some(table) = section.get("tls")
        && !transport.allows(Transport::Tls)
    {
        let message = format!("trunk {:?} does not use TLS", section.name);
        faults.add(Code::TlsUnused, table.span, message).help("transport = \"tls\"");
    }
    let reach = Reach { registrar, domain, outbound_proxy, targets, transport, tls };
    warn_in_clear(section, &reach, faults);
    reach
}

fn host(section: &Section<'_>, key: &str, faults: &mut Faults) -> Option<HostPort> {
    let text = section.text(faults, key)?;
    if text.value.starts_with("sip:") || text.value.starts_with("sips:") {
        faults
            .add(Code::BadHost, text.span, format!("{key:?} is a host and not an address of SIP"))
            .help("leave out \"sip:\"; what follows \";\" is said by \"transport\"");
        return None;
    }
    section.parsed(faults, key, Code::BadHost, address::host_port)
}

/// Fixed addresses. What is written first is tried first, unless priorities say otherwise.
fn targets(section: &Section<'_>, transport: Transport, faults: &mut Faults) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for (at, value) in section.values(faults, "targets").unwrap_or_default().iter().enumerate() {
        let order = u16::try_from(at).unwrap_or(u16::MAX);
        let Some(target) = target(section, value, (transport, order), faults) else { continue };
        if targets.iter().any(|known| known.address == target.address) {
            faults.add(Code::DuplicateValue, value.span, "\"targets\" holds this value twice");
        } else {
            targets.push(target);
        }
    }
    targets
}

fn target(
    section: &Section<'_>,
    value: &Spanned<RawValue>,
    (transport, order): (Transport, u16),
    faults: &mut Faults,
) -> Option<Target> {
    let address_of = |text: &str| address::target(text, transport);
    match &value.value {
        RawValue::Text(text) => match address_of(text) {
            Ok(address) => Some(Target { transport, address, priority: order, weight: 1 }),
            Err(error) => {
                faults
                    .add(Code::BadAddress, value.span, format!("\"targets\": {error}"))
                    .help("a name goes to \"registrar\", \"outbound_proxy\" or \"domain\"");
                None
            }
        },
        RawValue::Table(_) => {
            let table = Section::open(faults, &schema::TARGET, section.name, value.span, value)?;
            if table.get("address").is_none() {
                table.missing(faults, "address", "address = \"192.0.2.1:5060\"");
            }
            let address = table.parsed(faults, "address", Code::BadAddress, address_of);
            let priority = table.whole(faults, "priority", order, 0..=65_535);
            let weight = table.whole(faults, "weight", 1, 0..=65_535);
            Some(Target { transport, address: address?, priority, weight })
        }
        _ => {
            section.wrong_element(faults, "targets", value);
            None
        }
    }
}

/// In a flash call the caller ID is the code, and all but TLS shows it to everybody on the way.
fn warn_in_clear(section: &Section<'_>, reach: &Reach, faults: &mut Faults) {
    let (key, is_public) = if !reach.targets.is_empty() {
        ("targets", reach.targets.iter().any(|target| address::is_public(target.address.ip())))
    } else if let Some(proxy) = &reach.outbound_proxy {
        ("outbound_proxy", address::is_public_host(&proxy.host))
    } else if let Some(registrar) = &reach.registrar {
        ("registrar", address::is_public_host(&registrar.host))
    } else {
        let host = reach.domain.trim_matches(['[', ']']);
        ("domain", !host.is_empty() && address::is_public_host(host))
    };
    if is_public && reach.transport != TransportChoice::Fixed(Transport::Tls) {
        let message =
            format!("trunk {:?} sends codes in clear over a public network", section.name);
        faults
            .add(Code::CodeInClear, section.place_of(key), message)
            .help("the caller ID is the code, and everybody on the way can read it: transport = \"tls\", or a VPN or a private link to the carrier");
    }
}
