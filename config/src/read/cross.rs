//! What only several parts together can get wrong.

mod small_pools;

use dialplans::{DialFormat, NumberRange, PoolChoice};
use sip::Transport;

use crate::address;
use crate::config::Config;
use crate::config::account::Account;
use crate::config::purpose::Channel;
use crate::config::sip_section::SipListen;
use crate::config::trunk::Trunk;
use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::numbers::starts_with;
use crate::raw::RawTable;
use crate::read::purpose;
use crate::source::Span;

/// Checks the parts that were read without a fault against each other.
pub(crate) fn check(root: &RawTable, config: &Config, faults: &mut Faults) {
    sockets(root, config, faults);
    timeouts(root, config, faults);
    national_caller_ids(root, config, faults);
    small_pools::check(root, config, faults);
    inbound_numbers(root, config, faults);
    forgeable_callers(root, config, faults);
    workflows(root, config, faults);
    letters(root, config, faults);
    if !faults.has_errors() {
        // With an error in the way, what seems unused may be only misspelt elsewhere.
        unused(root, config, faults);
    }
}

/// Where a key of a named table stands, else where the table is headed.
fn place(root: &RawTable, heading: &str, name: &str, key: &str) -> Option<Span> {
    let key = root.at(&[heading, name, key]).map(|entry| entry.value.span);
    key.or_else(|| root.at(&[heading, name]).map(|entry| entry.key.span))
}

/// Datagrams leave by a socket that is listened on; connections need none.
fn sockets(root: &RawTable, config: &Config, faults: &mut Faults) {
    let is_udp = |socket: &SipListen| socket.transport == Transport::Udp;
    if config.sip.listen.iter().any(is_udp) {
        return;
    }
    for trunk in config.trunks.values().filter(|trunk| trunk.transport.allows(Transport::Udp)) {
        let name = trunk.name.as_str();
        let message =
            format!("trunk {name:?} speaks UDP, and \"listen\" of [sip] has no udp: address");
        faults
            .add(Code::TrunkWithoutSocket, place(root, "trunks", name, "transport"), message)
            .help("[sip] listen = [\"udp:0.0.0.0:5060\", …], or transport = \"tcp\" or \"tls\"");
    }
}

/// A limit of a trunk that the limit over all calls of a purpose makes void.
fn timeouts(root: &RawTable, config: &Config, faults: &mut Faults) {
    for trunk in config.trunks.values() {
        let limits = [("ring_limit", trunk.ring_limit), ("no_ring_limit", trunk.no_ring_limit)];
        for (key, limit) in limits {
            let name = trunk.name.as_str();
            let cut = config.purposes.iter().find(|(purpose, rules)| {
                let is_ring = key == "ring_limit";
                let is_used = !is_ring || rules.ring_limit.is_none();
                let is_cut = limit > rules.call_limit || (is_ring && limit == rules.call_limit);
                is_used && is_cut && !purpose::is_untouched(purpose, rules)
            });
            let Some((purpose, rules)) = cut else { continue };
            let written = root.at(&["trunks", name, key]).map(|entry| entry.value.span);
            let message = format!(
                "{key:?} of trunk {name:?} is {} s, and purpose {purpose:?} ends its calls after {} s",
                limit.as_secs_f64(),
                rules.call_limit.as_secs_f64()
            );
            let span = written.or_else(|| place(root, "purposes", purpose.as_str(), "call_limit"));
            faults
                .add(Code::TimeoutsDisagree, span, message)
                .help("make \"call_limit\" of the purpose longer, or the trunk's limit shorter");
        }
    }
}

/// A trunk that writes caller IDs in national form can write those of its own country only.
fn national_caller_ids(root: &RawTable, config: &Config, faults: &mut Faults) {
    for trunk in config.trunks.values() {
        let DialFormat::National(country) = trunk.caller_id_format else { continue };
        let code = country.digits().to_string();
        let is_shown = |pool: &&crate::config::Pool| pool.trunks.contains(&trunk.name);
        for pool in config.pools.values().filter(is_shown) {
            if pool.numbers.iter().all(|numbers| starts_with(numbers, &code)) {
                continue;
            }
            let message = format!(
                "pool {:?} has numbers outside +{code}, which trunk {:?} cannot write in national form",
                pool.name, trunk.name
            );
            faults
                .add(
                    Code::PoolNotNational,
                    place(root, "pools", pool.name.as_str(), "numbers"),
                    message,
                )
                .help(format!("[trunks.{}] caller_id_format = \"e164\" or \"+e164\"", trunk.name));
        }
    }
}

/// A number that two accounts have: nobody could say whose a text is.
fn inbound_numbers(root: &RawTable, config: &Config, faults: &mut Faults) {
    let accounts: Vec<_> = config.accounts.iter().collect();
    for (at, (name, account)) in accounts.iter().enumerate() {
        let ranges = account.inbound_numbers.iter();
        let shared = |range: &NumberRange| {
            let earlier = accounts[..at].iter();
            let other = |other: &&(_, &Account)| {
                other.1.inbound_numbers.iter().any(|own| own.overlaps(range))
            };
            let mut earlier = earlier.filter(|(first, _)| first != name);
            earlier.find(other).map(|(first, _)| first.to_string())
        };
        for first in ranges.filter_map(shared) {
            let span = place(root, "accounts", name.as_str(), "inbound_numbers");
            let message = format!("accounts {first:?} and {:?} share a number", name.as_str());
            faults
                .add(Code::InboundNumberTwice, span, message)
                .help("a text belongs to the one account whose number it was sent to");
        }
    }
}

/// A datagram's source address is whatever its sender wrote, and with it goes the number of the
/// caller.
fn forgeable_callers(root: &RawTable, config: &Config, faults: &mut Faults) {
    for trunk in config.trunks.values().filter(|trunk| trunk.cli_trusted) {
        let host = |name: &str| address::is_public_host(name.trim_matches(['[', ']']));
        let is_public = match (&trunk.targets[..], &trunk.registrar) {
            ([], Some(registrar)) => host(&registrar.host),
            ([], None) => host(&trunk.domain),
            (targets, _) => targets.iter().any(|target| address::is_public(target.address.ip())),
        };
        if is_public && trunk.transport.allows(Transport::Udp) {
            let span = place(root, "trunks", trunk.name.as_str(), "cli_trusted");
            let message = format!(
                "trunk {:?} is trusted with calling numbers over UDP on a public network",
                trunk.name
            );
            faults.add(Code::CliForgeable, span, message).help(
                "the source address of a datagram can be forged, and the number with it: reach the carrier by TLS, a VPN or a private link",
            );
        }
    }
}

/// A workflow with texts wants a trunk that sends them; one with users' calls wants numbers for
/// them and a trunk whose word counts.
fn workflows(root: &RawTable, config: &Config, faults: &mut Faults) {
    for (name, purpose) in &config.purposes {
        let has_texts = purpose.workflow.iter().any(|step| step.channel == Channel::Sms);
        if has_texts && config.sms.default.is_none() {
            let span = place(root, "purposes", name.as_str(), "workflow");
            let message = format!("purpose {:?} sends texts, and no trunk does", name.as_str());
            faults
                .add(Code::WorkflowWithoutTexts, span, message)
                .help("[trunks.NAME] sms = \"message\"");
        }
        let waits = purpose.workflow.iter().any(|step| step.channel == Channel::IncomingCall);
        let is_trusted = config.trunks.values().any(|trunk| trunk.cli_trusted);
        let has_numbers = config.accounts.values().any(|own| !own.inbound_numbers.is_empty());
        if waits && !(is_trusted && has_numbers) {
            let span = place(root, "purposes", name.as_str(), "workflow");
            let message =
                format!("purpose {:?} waits for calls that could prove nobody", name.as_str());
            faults
                .add(Code::WorkflowWithoutCallers, span, message)
                .help("[trunks.NAME] cli_trusted = true, and [accounts.NAME] inbound_numbers");
        }
    }
}

/// A workflow with letters wants a server that takes them.
fn letters(root: &RawTable, config: &Config, faults: &mut Faults) {
    for (name, purpose) in &config.purposes {
        let has_letters = purpose.workflow.iter().any(|step| step.channel == Channel::Email);
        if has_letters && root.get("email").is_none() {
            let span = place(root, "purposes", name.as_str(), "workflow");
            let message =
                format!("purpose {:?} sends letters, and there is no [email]", name.as_str());
            faults
                .add(Code::WorkflowWithoutEmail, span, message)
                .help("[email] smtp = \"smtps://mail.example.ru\", and from");
        }
    }
}

fn unused(root: &RawTable, config: &Config, faults: &mut Faults) {
    if config.routes.is_empty() {
        faults
            .add(Code::NoRoutes, None, "no route is there, so every number is refused")
            .help("[[routes]] with prefix = \"+79\", trunks and pools");
        return;
    }
    for trunk in config.trunks.values().filter(|trunk| !is_trunk_used(config, trunk)) {
        let span = root.at(&["trunks", trunk.name.as_str()]).map(|entry| entry.key.span);
        let message = format!("trunk {:?} is on no route and sends no texts", trunk.name);
        faults.add(Code::TrunkUnused, span, message);
    }
    for pool in config.pools.values() {
        let is_shown = config.routes.iter().any(|route| {
            let is_named = match &route.pools {
                PoolChoice::Any => true,
                PoolChoice::Named(names) => names.contains(&pool.name),
            };
            is_named && route.trunks.iter().any(|trunk| pool.trunks.contains(trunk))
        });
        if !is_shown {
            let span = root.at(&["pools", pool.name.as_str()]).map(|entry| entry.key.span);
            faults.add(
                Code::PoolUnused,
                span,
                format!("pool {:?} is shown on no route", pool.name),
            );
        }
    }
}

fn is_trunk_used(config: &Config, trunk: &Trunk) -> bool {
    config.sms.default.as_ref() == Some(&trunk.name)
        || config.routes.iter().any(|route| route.trunks.contains(&trunk.name))
}
