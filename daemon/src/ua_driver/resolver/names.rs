//! What the resolver asks of the name service, so that tests can be one.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use hickory_resolver::config::LookupIpStrategy;
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::{TokioResolver, proto};

/// Records of one kind, and how long they hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ua_driver) struct Answer<T> {
    /// Empty: the name has none.
    pub(in crate::ua_driver) records: Vec<T>,
    pub(in crate::ua_driver) ttl: Duration,
}

/// Which transport a domain wants, and under which name it is found (RFC 3263 section 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ua_driver) struct Naptr {
    pub(in crate::ua_driver) order: u16,
    pub(in crate::ua_driver) preference: u16,
    /// In lower case; `s` says that SRV records stand behind the replacement.
    pub(in crate::ua_driver) flags: String,
    /// In lower case, such as `sip+d2u`.
    pub(in crate::ua_driver) service: String,
    pub(in crate::ua_driver) replacement: String,
}

/// One host of a service (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ua_driver) struct Srv {
    pub(in crate::ua_driver) priority: u16,
    pub(in crate::ua_driver) weight: u16,
    pub(in crate::ua_driver) port: u16,
    pub(in crate::ua_driver) host: String,
}

/// Nobody could say whether there are records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name service does not answer: {0}")]
pub(in crate::ua_driver) struct Silent(pub(super) String);

/// Somebody who knows names. A name that is not there has no records, which is an answer.
pub(in crate::ua_driver) trait NameService:
    Clone + Send + Sync + 'static
{
    /// NAPTR records of a domain.
    fn naptr(&self, name: &str) -> impl Future<Output = Result<Answer<Naptr>, Silent>> + Send;
    /// SRV records of a service.
    fn srv(&self, name: &str) -> impl Future<Output = Result<Answer<Srv>, Silent>> + Send;
    /// A and AAAA records of a host.
    fn addresses(&self, name: &str) -> impl Future<Output = Result<Answer<IpAddr>, Silent>> + Send;
}

/// The system's name servers; `None`: none is configured.
#[derive(Clone, Debug)]
pub(in crate::ua_driver) struct SystemNames(Option<TokioResolver>);

impl SystemNames {
    /// Reads the system's configuration.
    pub(in crate::ua_driver) fn new() -> Self {
        let built = TokioResolver::builder_tokio().and_then(|mut builder| {
            builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
            builder.build()
        });
        match built {
            Ok(resolver) => Self(Some(resolver)),
            Err(error) => {
                tracing::warn!(%error, "no name server is configured, only addresses resolve");
                Self(None)
            }
        }
    }

    fn resolver(&self) -> Result<&TokioResolver, Silent> {
        self.0.as_ref().ok_or_else(|| Silent("none is configured".to_owned()))
    }
}

impl NameService for SystemNames {
    async fn naptr(&self, name: &str) -> Result<Answer<Naptr>, Silent> {
        let found = self.resolver()?.lookup(absolute(name), RecordType::NAPTR).await;
        answer(found, |data| match data {
            RData::NAPTR(naptr) => Some(Naptr {
                order: naptr.order,
                preference: naptr.preference,
                flags: lower(&naptr.flags),
                service: lower(&naptr.services),
                replacement: naptr.replacement.to_utf8(),
            }),
            _ => None,
        })
    }

    async fn srv(&self, name: &str) -> Result<Answer<Srv>, Silent> {
        let found = self.resolver()?.srv_lookup(absolute(name)).await;
        answer(found, |data| match data {
            RData::SRV(srv) => Some(Srv {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                host: srv.target.to_utf8(),
            }),
            _ => None,
        })
    }

    async fn addresses(&self, name: &str) -> Result<Answer<IpAddr>, Silent> {
        // The hosts file is asked too.
        let found = self.resolver()?.lookup_ip(absolute(name)).await;
        answer(found.map(Lookup::from), |data| match data {
            RData::A(proto::rr::rdata::A(ip)) => Some((*ip).into()),
            RData::AAAA(proto::rr::rdata::AAAA(ip)) => Some((*ip).into()),
            _ => None,
        })
    }
}

/// How long "there is none" is believed.
const NOTHING_FOR: Duration = Duration::from_secs(60);

fn answer<T>(
    found: Result<Lookup, NetError>,
    read: impl Fn(&RData) -> Option<T>,
) -> Result<Answer<T>, Silent> {
    match found {
        Ok(lookup) => {
            let records = lookup.answers().iter().filter_map(|record| read(&record.data));
            let ttl = lookup.valid_until().saturating_duration_since(Instant::now());
            Ok(Answer { records: records.collect(), ttl })
        }
        Err(error) if error.is_no_records_found() || error.is_nx_domain() => {
            Ok(Answer { records: Vec::new(), ttl: NOTHING_FOR })
        }
        Err(error) => Err(Silent(error.to_string())),
    }
}

/// A name that no search list is added to.
fn absolute(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.'))
}

fn lower(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).to_ascii_lowercase()
}
