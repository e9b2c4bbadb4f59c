//! Reading `tls` tables.

use sip::HostPort;

use crate::address;
use crate::config::tls::{Certificate, TrunkTls};
use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::read::secret;
use crate::schema;
use crate::schema::Schema;
use crate::section::Section;

/// `[sip] tls`.
pub(crate) fn of_listeners(section: &Section<'_>, faults: &mut Faults) -> Option<Certificate> {
    certificate(section, "tls", &schema::SIP_TLS, faults)
}

/// `[trunks.NAME] tls`.
pub(crate) fn of_trunk(section: &Section<'_>, faults: &mut Faults) -> TrunkTls {
    let Some(table) = open(section, "tls", &schema::TRUNK_TLS, faults) else {
        return TrunkTls::default();
    };
    let name =
        table.parsed(faults, "name", Code::BadHost, |text| match address::host_port(text)? {
            HostPort { host, port: None } => Ok(host),
            HostPort { port: Some(_), .. } => Err(address::AddressError::Host),
        });
    let client_cert = certificate(&table, "client_cert", &schema::CLIENT_CERT, faults);
    TrunkTls { ca: table.path(faults, "ca"), name, client_cert }
}

fn certificate(
    section: &Section<'_>,
    key: &'static str,
    schema: &'static Schema,
    faults: &mut Faults,
) -> Option<Certificate> {
    let table = open(section, key, schema, faults)?;
    if table.get("cert").is_none() {
        table.missing(faults, "cert", "cert = \"/etc/dozvon/tls/chain.pem\"");
    }
    if table.get("key").is_none() {
        table.missing(faults, "key", "key = { credential = \"sip-tls-key\" }");
    }
    let cert = table.path(faults, "cert");
    let key = secret::at(&table, "key", faults);
    Some(Certificate { cert: cert?, key: key? })
}

fn open<'a>(
    section: &Section<'a>,
    key: &str,
    schema: &'static Schema,
    faults: &mut Faults,
) -> Option<Section<'a>> {
    let value = section.get(key)?;
    Section::open(faults, schema, section.name, value.span, value)
}
