//! The configuration as text, with every default filled in.

mod writer;

use dialplans::{DialFormat, PoolChoice, Route, TrunkOrder};
use sip::{
    CallerIdHeader, Codec, DigestAlgorithm, External, HostPort, Privacy, Rel100, RingSignal,
    Target, Transport,
};

use crate::address::in_uri;
use crate::config::account::Account;
use crate::config::database::{Database, OnOutage, Store};
use crate::config::email::{Email, MailTls};
use crate::config::purpose::{Purpose, WorkflowStep};
use crate::config::sip_section::Sip;
use crate::config::smpp::Smpp;
use crate::config::tls::TrunkTls;
use crate::config::trunk::{Offer, TransportChoice, Trunk};
use crate::config::webhook::Webhook;
use crate::config::{Config, Pool};
use crate::read::smpp::{CONCATENATIONS, DATA_CODINGS};
use crate::read::trunk::inbound::{CALLED, CALLER};
use crate::read::trunk::offer::{CODECS, PRIVACY, REL100};
use crate::read::trunk::{DIGESTS, HEADERS, RING_SIGNALS};
use crate::section::scalar::Choice;
use writer::Writer;

const HOUR_S: u64 = 3_600;
const DAY_S: u64 = 24 * HOUR_S;

pub(crate) fn dump(config: &Config) -> String {
    let mut out = Writer::default();
    out.table("api");
    out.texts("listen", &config.api.listen);
    out.texts("operator_listen", &config.api.operator_listen);
    out.text("socket", &config.api.socket.display());
    database(&mut out, &config.database);
    out.table("secrets");
    if let Some(key) = &config.secrets.key {
        out.secret("key", key);
    }
    out.secrets("old_keys", &config.secrets.old_keys);
    sip(&mut out, &config.sip);
    for trunk in config.trunks.values() {
        self::trunk(&mut out, trunk);
    }
    pools_and_routes(&mut out, config);
    for (name, purpose) in &config.purposes {
        self::purpose(&mut out, name.as_str(), purpose);
    }
    for (name, account) in &config.accounts {
        self::account(&mut out, name.as_str(), account);
    }
    out.table("sms");
    if let Some(trunk) = &config.sms.default {
        out.text("default", trunk);
    }
    for link in config.smpp.values() {
        smpp(&mut out, link);
    }
    out.table("voice");
    if let Some(folder) = &config.voice.prompts {
        out.text("prompts", &folder.display());
    }
    if let Some(email) = &config.email {
        self::email(&mut out, email);
    }
    for hook in config.webhooks.values() {
        webhook(&mut out, hook);
    }
    for (name, texts) in &config.templates {
        out.named_table("templates", name.as_str());
        for (locale, template) in texts {
            out.text(locale, &template.source());
        }
    }
    limits(&mut out, config);
    out.finish()
}

fn sip(out: &mut Writer, sip: &Sip) {
    out.table("sip");
    let listen = sip.listen.iter();
    out.texts("listen", listen.map(|s| format!("{}:{}", transport(s.transport), s.address)));
    if let Some(certificate) = &sip.tls {
        out.value("tls", writer::certificate(certificate));
    }
    out.text("external", &external(&sip.external));
    let ports = sip.media_ports.iter();
    out.texts("media_ports", ports.map(|ports| format!("{}-{}", ports.start(), ports.end())));
}

fn pools_and_routes(out: &mut Writer, config: &Config) {
    for pool in config.pools.values() {
        out.named_table("pools", pool.name.as_str());
        out.texts("numbers", pool.numbers.iter().map(dialplans::NumberRange::reveal));
        out.texts("trunks", &pool.trunks);
        out.value("code_length", pool.code_length);
    }
    for route in &config.routes {
        out.route();
        out.text("prefix", &route.prefix.reveal().as_str());
        match route.order {
            TrunkOrder::AsNamed => out.texts("trunks", route.trunks.iter()),
            // A list would keep its order; what goes by priority is named by none, or by its group.
            TrunkOrder::ByPriority => {
                if let Some(group) = group_of(config, route) {
                    out.text("group", &group);
                }
            }
        }
        if let PoolChoice::Named(pools) = &route.pools {
            out.texts("pools", pools.iter());
        }
        if let Some(ring_limit) = route.ring_limit {
            out.seconds("ring_limit", ring_limit);
        }
    }
}

/// The group whose trunks these are; `None`: they are all that may show the pools of the route.
fn group_of<'c>(config: &'c Config, route: &Route) -> Option<&'c str> {
    let may_show = |trunk: &&Trunk| {
        let is_meant = |pool: &&Pool| match &route.pools {
            PoolChoice::Any => true,
            PoolChoice::Named(pools) => pools.contains(&pool.name),
        };
        config.pools.values().filter(is_meant).any(|pool| pool.trunks.contains(&trunk.name))
    };
    let shown: Vec<&Trunk> = config.trunks.values().filter(may_show).collect();
    if shown.len() == route.trunks.len() {
        return None;
    }
    let first = shown.iter().find(|trunk| route.trunks.contains(&trunk.name))?;
    first.group.as_deref()
}

fn database(out: &mut Writer, database: &Database) {
    out.table("database");
    match &database.store {
        Store::Sqlite { path: None } => {}
        Store::Sqlite { path: Some(path) } => {
            out.text("url", &format!("sqlite://{}", path.display()));
        }
        Store::Postgres { url, password, on_outage } => {
            out.text("url", &url.as_str());
            if let Some(password) = password {
                out.secret("password", password);
            }
            let on_outage = match on_outage {
                OnOutage::Refuse => "refuse",
            };
            out.text("on_outage", &on_outage);
        }
    }
    let retention = &database.retention;
    out.value(
        "retention",
        format!(
            "{{ calls_days = {}, message_text_hours = {}, numbers_days = {} }}",
            retention.calls.as_secs() / DAY_S,
            retention.message_text.as_secs() / HOUR_S,
            retention.numbers.as_secs() / DAY_S
        ),
    );
}

fn trunk(out: &mut Writer, trunk: &Trunk) {
    out.named_table("trunks", trunk.name.as_str());
    if let Some(registrar) = &trunk.registrar {
        out.text("registrar", &host_port(registrar));
    }
    out.text("domain", &trunk.domain);
    if let Some(proxy) = &trunk.outbound_proxy {
        out.text("outbound_proxy", &host_port(proxy));
    }
    if !trunk.targets.is_empty() {
        out.values("targets", trunk.targets.iter().map(target));
    }
    out.text(
        "transport",
        &match trunk.transport {
            TransportChoice::Fixed(fixed) => transport(fixed),
            TransportChoice::Auto => "auto",
        },
    );
    if trunk.tls != TrunkTls::default() {
        out.value("tls", writer::trunk_tls(&trunk.tls));
    }
    out.text("external", &external(&trunk.external));
    out.text("user", &trunk.user.reveal());
    out.text("auth_user", &trunk.auth_user);
    if let Some(password) = &trunk.password {
        out.secret("password", password);
    }
    out.texts("realm", &trunk.realms);
    // Written down, MD5 would be wished for by name.
    if trunk.digest_is_written {
        let digest = trunk.digest.iter();
        out.texts("digest", digest.map(|algorithm| word::<DigestAlgorithm>(&DIGESTS, algorithm)));
    }
    out.text("contact_user", &trunk.contact_user.reveal());
    out.value("line", trunk.line);
    out.seconds("expires", trunk.expires);
    out.seconds("options_ping", trunk.options_ping.unwrap_or_default());
    out.seconds("keep_alive", trunk.keep_alive.unwrap_or_default());
    caller_id(out, trunk);
    out.value("user_phone", trunk.user_phone);
    let headers = trunk.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    out.inline_table("headers", headers);
    out.text("dial_format", &format(trunk.dial_format));
    out.value("dial_strip", trunk.translation.strip());
    out.text("dial_prefix", &trunk.translation.prefix());
    offer(out, &trunk.offer);
    out.text("ring_signal", &word::<RingSignal>(&RING_SIGNALS, &trunk.ring_signal));
    out.seconds("ring_limit", trunk.ring_limit);
    out.seconds("no_ring_limit", trunk.no_ring_limit);
    out.seconds("no_answer_timeout", trunk.no_answer_timeout);
    out.value("max_calls", trunk.max_calls);
    out.value("cps", trunk.cps);
    out.value("priority", trunk.priority);
    out.value("weight", trunk.weight);
    if let Some(group) = &trunk.group {
        out.text("group", group);
    }
    out.text("sms", &if trunk.sms { "message" } else { "off" });
    out.text("sms_from", &trunk.sms_from.reveal());
    inbound(out, trunk);
}

/// What its INVITEs offer.
fn offer(out: &mut Writer, offer: &Offer) {
    out.text("rel100", &word::<Rel100>(&REL100, &offer.rel100));
    out.texts("codecs", offer.codecs.iter().map(|codec| word::<Codec>(&CODECS, codec)));
    out.text("privacy", &word::<Privacy>(&PRIVACY, &offer.privacy));
    if let Some(address) = &offer.media_external {
        out.text("media_external", address);
    }
    out.texts("media_networks", offer.media_networks.iter().map(ToString::to_string));
}

/// How calls and texts of the trunk are known and read.
fn inbound(out: &mut Writer, trunk: &Trunk) {
    let inbound = &trunk.inbound;
    let words = [("line", inbound.line), ("address", inbound.addresses)];
    let words = words.into_iter().filter(|(_, is_set)| *is_set).map(|(word, _)| word.to_owned());
    let networks = inbound.networks.iter().map(ToString::to_string);
    let ways: Vec<_> = words.chain(networks).map(|way| format!("\"{way}\"")).collect();
    let answer = inbound.refusal.status().code();
    out.value("inbound", format!("{{ match = [{}], answer = {answer} }}", ways.join(", ")));
    out.texts("did_from", inbound.called_from.iter().map(|from| word(&CALLED, from)));
    out.texts("cli_from", inbound.caller_from.iter().map(|from| word(&CALLER, from)));
    out.value("cli_trusted", trunk.cli_trusted);
}

/// The caller ID's fields, form and country, and From's user.
fn caller_id(out: &mut Writer, trunk: &Trunk) {
    let fields = trunk.caller_id_in.iter();
    let fields: Vec<_> = fields.map(|header| word::<CallerIdHeader>(&HEADERS, header)).collect();
    out.text("caller_id_in", &fields.join("+"));
    out.text("caller_id_format", &format(trunk.caller_id_format));
    for form in [trunk.dial_format, trunk.caller_id_format] {
        if let DialFormat::National(country) = form {
            out.text("country_code", &country.digits());
            break;
        }
    }
    let from_user = match &trunk.from_user {
        None => "caller_id",
        Some(user) if *user == trunk.user => "user",
        Some(user) => user.reveal(),
    };
    out.text("from_user", &from_user);
}

fn purpose(out: &mut Writer, name: &str, purpose: &Purpose) {
    out.named_table("purposes", name);
    out.values("workflow", purpose.workflow.iter().map(workflow_step));
    out.seconds("ttl_s", purpose.ttl);
    out.value("checks", purpose.checks);
    out.value("sends", purpose.sends);
    out.value("min_endings", purpose.min_endings);
    out.texts("allow_small_pools", &purpose.allow_small_pools);
    if let Some(ring_limit) = purpose.ring_limit {
        out.seconds("ring_limit", ring_limit);
    }
    out.seconds("call_limit", purpose.call_limit);
}

fn workflow_step(step: &WorkflowStep) -> String {
    let name = step.channel.name();
    match step.after {
        None => format!("{name:?}"),
        Some(after) => {
            format!("{{ channel = {name:?}, after_s = {} }}", after.as_secs_f64())
        }
    }
}

fn account(out: &mut Writer, name: &str, account: &Account) {
    out.named_table("accounts", name);
    if let PoolChoice::Named(pools) = &account.pools {
        out.texts("pools", pools.iter());
    }
    out.texts("purposes", &account.purposes);
    out.texts("senders", account.senders.iter().map(sip::UserPart::reveal));
    let numbers = account.inbound_numbers.iter();
    out.texts("inbound_numbers", numbers.map(dialplans::NumberRange::reveal));
    if let Some(region) = &account.default_region {
        out.text("default_region", region);
    }
    out.text("unknown_user", &account.unknown_user.as_str());
}

fn smpp(out: &mut Writer, link: &Smpp) {
    out.named_table("smpp", link.name.as_str());
    out.text("host", &host_port(&link.host));
    out.value("tls", link.tls);
    if let Some(ca) = &link.ca {
        out.text("ca", &ca.display());
    }
    out.text("system_id", &link.system_id);
    if let Some(password) = &link.password {
        out.secret("password", password);
    }
    out.text("system_type", &link.system_type);
    out.value("window", link.window);
    out.value("throughput", link.throughput);
    out.seconds("enquire_link", link.enquire_link);
    out.text("sender", &link.sender);
    let kinds = [
        ("source_ton", link.source.ton),
        ("source_npi", link.source.npi),
        ("dest_ton", link.dest.ton),
        ("dest_npi", link.dest.npi),
    ];
    for (key, octet) in kinds {
        if let Some(octet) = octet {
            out.value(key, octet);
        }
    }
    out.value("registered_delivery", link.registered_delivery);
    out.text("data_coding", &word(&DATA_CODINGS, &link.data_coding));
    out.text("concatenation", &word(&CONCATENATIONS, &link.concatenation));
}

fn email(out: &mut Writer, email: &Email) {
    out.table("email");
    let scheme = if email.tls == MailTls::Wrapped { "smtps" } else { "smtp" };
    out.text("smtp", &format!("{scheme}://{}:{}", in_uri(&email.host), email.port));
    if email.tls == MailTls::Off {
        out.text("tls", &"off");
    }
    out.text("from", &email.from.source());
    if let Some(user) = &email.user {
        out.text("user", user);
    }
    if let Some(password) = &email.password {
        out.secret("password", password);
    }
    if let Some(ca) = &email.ca {
        out.text("ca", &ca.display());
    }
    out.value("connections", email.connections);
    out.seconds("reply_limit", email.reply_limit);
}

fn webhook(out: &mut Writer, hook: &Webhook) {
    out.named_table("webhooks", hook.name.as_str());
    out.text("account", &hook.account);
    let scheme = if hook.url.is_tls { "https" } else { "http" };
    out.text("url", &format!("{scheme}://{}{}", host_port(&hook.url.host), hook.url.path));
    out.secret("secret", &hook.secret);
    if let Some(secret) = &hook.previous_secret {
        out.secret("previous_secret", secret);
    }
    out.texts("events", &hook.events);
    out.value("allow_private", hook.allow_private);
}

fn limits(out: &mut Writer, config: &Config) {
    let limits = &config.limits;
    out.table("limits");
    out.seconds("between_sends_s", limits.between_sends);
    out.value("sends_per_minute", limits.sends_per_minute);
    out.value("sends_per_day", limits.sends_per_day);
    out.value("flash_calls_per_day", limits.flash_calls_per_day);
    out.value("failed_checks_per_day", limits.failed_checks_per_day);
    out.value("failed_long_checks_per_day", limits.failed_long_checks_per_day);
    out.value("open_verifications", limits.open_verifications);
    out.value("same_tail_hours", limits.same_tail.as_secs() / HOUR_S);
    out.value("http_connections", limits.http_connections);
    out.value("requests_per_second", limits.requests_per_second);
}

fn host_port(host: &HostPort) -> String {
    match host.port {
        Some(port) => format!("{}:{port}", in_uri(&host.host)),
        None => in_uri(&host.host),
    }
}

fn target(target: &Target) -> String {
    let Target { address, priority, weight, .. } = target;
    format!("{{ address = \"{address}\", priority = {priority}, weight = {weight} }}")
}

fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
        Transport::Tls => "tls",
    }
}

fn external(external: &External) -> String {
    match external {
        External::Learn => "auto".to_owned(),
        External::Fixed { address, port: None } => address.to_string(),
        External::Fixed { address, port: Some(port) } => {
            std::net::SocketAddr::new(*address, *port).to_string()
        }
    }
}

fn format(format: DialFormat) -> &'static str {
    match format {
        DialFormat::PlusE164 => "+e164",
        DialFormat::E164 => "e164",
        DialFormat::National(_) => "national",
    }
}

/// The word that the file has for a value.
fn word<T: PartialEq>(choices: &[Choice<T>], value: &T) -> &'static str {
    let found = choices.iter().find(|(_, choice)| choice.as_ref() == Some(value));
    found.map_or("", |(word, _)| word)
}
