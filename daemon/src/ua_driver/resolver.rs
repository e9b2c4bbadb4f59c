//! Names become targets (RFC 3263 section 4) by hickory-resolver.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::RData;
use sip::{HostPort, Target, Transport, TrunkHandle};
use tokio::sync::mpsc;

/// The default port of SIP over UDP and TCP (RFC 3261 section 19.1.2).
const SIP_PORT: u16 = 5060;
/// The default port of SIP over TLS.
const SIPS_PORT: u16 = 5061;
/// No answer after this long counts as an empty answer; the user agent asks again.
const RESOLVE_LIMIT: Duration = Duration::from_secs(5);
/// Addresses kept from one answer: more would be a mistake or an attack.
const TARGET_LIMIT: usize = 32;

/// What a resolution came to. An empty list: the name does not resolve at present.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) trunk: TrunkHandle,
    pub(super) targets: Vec<Target>,
}

/// Resolves names beside the call loop, which never waits for it.
#[derive(Debug)]
pub(super) struct Resolver {
    dns: Option<TokioResolver>,
    answers: mpsc::Sender<Resolved>,
}

impl Resolver {
    /// Reads the system's configuration; without one only addresses resolve.
    pub(super) fn new(answers: mpsc::Sender<Resolved>) -> Self {
        let dns = match TokioResolver::builder_tokio().and_then(|builder| builder.build()) {
            Ok(dns) => Some(dns),
            Err(error) => {
                tracing::warn!(%error, "no name server is configured, only addresses resolve");
                None
            }
        };
        Self { dns, answers }
    }

    /// Starts one resolution; its answer arrives on the channel.
    pub(super) fn resolve(&self, trunk: TrunkHandle, name: HostPort, transport: Transport) {
        let dns = self.dns.clone();
        let answers = self.answers.clone();
        tokio::spawn(async move {
            let lookup = targets(dns.as_ref(), &name, transport);
            let targets = tokio::time::timeout(RESOLVE_LIMIT, lookup).await.unwrap_or_default();
            if targets.is_empty() {
                tracing::warn!(host = %name.host, "the name does not resolve");
            }
            // The call loop is gone only when the process ends.
            let _ = answers.send(Resolved { trunk, targets }).await;
        });
    }
}

async fn targets(
    dns: Option<&TokioResolver>,
    name: &HostPort,
    transport: Transport,
) -> Vec<Target> {
    let default_port = if transport == Transport::Tls { SIPS_PORT } else { SIP_PORT };
    if let Ok(ip) = name.host.parse::<IpAddr>() {
        let address = SocketAddr::new(ip, name.port.unwrap_or(default_port));
        return vec![Target { transport, address, priority: 0, weight: 1 }];
    }
    let Some(dns) = dns else { return Vec::new() };
    let mut found = match name.port {
        Some(port) => addresses(dns, &name.host, port, transport, (0, 1)).await,
        None => {
            let by_srv = srv_targets(dns, &name.host, transport).await;
            if by_srv.is_empty() {
                addresses(dns, &name.host, default_port, transport, (0, 1)).await
            } else {
                by_srv
            }
        }
    };
    found.truncate(TARGET_LIMIT);
    found
}

async fn srv_targets(dns: &TokioResolver, host: &str, transport: Transport) -> Vec<Target> {
    let service = match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp => "_sip._tcp",
        Transport::Tls => "_sips._tcp",
    };
    let Ok(answer) = dns.srv_lookup(format!("{service}.{host}.")).await else { return Vec::new() };
    let mut found = Vec::new();
    for record in answer.answers().iter().take(TARGET_LIMIT) {
        let RData::SRV(srv) = &record.data else { continue };
        let rank = (srv.priority, srv.weight);
        let host = srv.target.to_utf8();
        // A target of "." says that the service is not offered (RFC 2782).
        if host != "." {
            found.extend(addresses(dns, &host, srv.port, transport, rank).await);
        }
    }
    found
}

async fn addresses(
    dns: &TokioResolver,
    host: &str,
    port: u16,
    transport: Transport,
    (priority, weight): (u16, u16),
) -> Vec<Target> {
    let Ok(answer) = dns.lookup_ip(host).await else { return Vec::new() };
    answer
        .iter()
        .map(|ip| Target { transport, address: SocketAddr::new(ip, port), priority, weight })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(host: &str, port: Option<u16>) -> HostPort {
        HostPort { host: host.to_owned(), port }
    }

    #[tokio::test]
    async fn an_address_needs_no_name_server_and_takes_the_transports_port() {
        let udp = targets(None, &name("192.0.2.7", None), Transport::Udp).await;
        assert_eq!(udp, [Target::udp("192.0.2.7:5060".parse().unwrap())]);
        let tls = targets(None, &name("2001:db8::7", None), Transport::Tls).await;
        assert_eq!(tls[0].address, "[2001:db8::7]:5061".parse().unwrap());
        let port = targets(None, &name("192.0.2.7", Some(5080)), Transport::Udp).await;
        assert_eq!(port[0].address.port(), 5080);
    }

    #[tokio::test]
    async fn a_name_without_a_name_server_is_an_empty_answer() {
        assert!(targets(None, &name("sip.example.ru", None), Transport::Udp).await.is_empty());
    }
}
