//! What the file says of SIP, made ready for the call loop: secrets fetched, certificates read.

use std::net::SocketAddr;

use config::Config;
use sip::Transport;

use super::{StartError, StoreParts};
use crate::randomness::Stream;
use crate::secrets::Keys;
use crate::settings::{password, tls};
use crate::ua_driver::{DriverSettings, TlsServer, TrunkSpec};

/// What the call loop is started with.
pub(super) fn driver_settings(
    config: &Config,
    parts: &StoreParts,
) -> Result<DriverSettings, StartError> {
    Ok(DriverSettings {
        listen: config.sip.listen.clone(),
        tls: certificate(config)?,
        media_ports: config.sip.media_ports.clone(),
        user_agent: sip::Settings::new(parts.keys.text_hmac("call-id mark", &[])),
        seed: parts.randomness.seed(Stream::UserAgent),
        trunks: trunks(config, &parts.keys)?,
    })
}

/// What is shown to those who connect by TLS.
pub(super) fn certificate(config: &Config) -> Result<Option<TlsServer>, StartError> {
    let server = config.sip.tls.as_ref().map(tls::listener).transpose();
    server.map_err(|cause| StartError::Tls { what: "[sip] tls".to_owned(), cause })
}

/// Every trunk, in the order of the file.
pub(super) fn trunks(config: &Config, keys: &Keys) -> Result<Vec<TrunkSpec>, StartError> {
    let unspecified = SocketAddr::new(std::net::Ipv4Addr::UNSPECIFIED.into(), 0);
    let (mut trunks, mut system_roots) = (Vec::new(), None);
    for trunk in config.trunks.values() {
        let may_be_secure = trunk.transport.allows(Transport::Tls);
        let tls = may_be_secure.then(|| tls::trunk(trunk, &mut system_roots));
        let tls = tls.transpose().map_err(|cause| StartError::Tls {
            what: format!("[trunks.{}] tls", trunk.name),
            cause,
        })?;
        let secret = trunk.password.as_ref().map(password).transpose();
        let secret = secret.map_err(|cause| StartError::Secret {
            what: format!("[trunks.{}] password", trunk.name),
            cause,
        })?;
        let line = keys.line_token(&trunk.name);
        trunks.push(TrunkSpec {
            name: trunk.name.clone(),
            settings: trunk.settings(unspecified, secret, Some(line)),
            calls_per_second: Some(trunk.cps),
            transport: trunk.transport,
            tls,
        });
    }
    Ok(trunks)
}
