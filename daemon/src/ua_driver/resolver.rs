//! Names become targets (RFC 3263 section 4), and stay what they are for as long as they say.

pub(super) mod names;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use config::TransportChoice;
use sip::{HostPort, Target, Transport, TrunkHandle};
use tokio::sync::{Notify, mpsc};
use tokio_util::task::AbortOnDropHandle;

use names::{Answer, NameService, Silent, Srv};

/// The default port of SIP over UDP and TCP (RFC 3261 section 19.1.2).
const SIP_PORT: u16 = 5060;
/// The default port of SIP over TLS.
const SIPS_PORT: u16 = 5061;
/// All questions about one name together take no longer.
const RESOLVE_LIMIT: Duration = Duration::from_secs(5);
/// Addresses kept from one answer: more would be a mistake or an attack.
const TARGET_LIMIT: usize = 32;
/// Names that one answer may lead to.
const HOST_LIMIT: usize = 16;
/// An answer is asked for again when it has run out, but not more often, whatever it says, and at
/// least so often: who moves an address says so by a short time to live.
const SHORTEST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(3600);
/// After a failure it is asked again after this, doubling up to the last.
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LAST_RETRY: Duration = Duration::from_secs(300);
/// However often somebody asks, the name service is asked no more often.
const SPACING: Duration = Duration::from_secs(1);

/// What a resolution came to: at least one target.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) trunk: TrunkHandle,
    pub(super) targets: Vec<Target>,
}

/// What is asked for a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Question {
    name: HostPort,
    transport: TransportChoice,
}

/// Resolves names beside the call loop, which never waits for it. Each trunk has a task that goes
/// on asking; while nobody answers, what was last known stays.
#[derive(Debug)]
pub(super) struct Resolver<N> {
    names: N,
    answers: mpsc::Sender<Resolved>,
    running: HashMap<TrunkHandle, Running>,
}

#[derive(Debug)]
struct Running {
    question: Question,
    /// The trunk does not reach what it was told.
    asked_again: Arc<Notify>,
    _task: AbortOnDropHandle<()>,
}

impl<N: NameService> Resolver<N> {
    pub(super) fn new(names: N, answers: mpsc::Sender<Resolved>) -> Self {
        Self { names, answers, running: HashMap::new() }
    }

    /// Starts to resolve a trunk's name, or does so at once if that was begun before. Answers
    /// arrive on the channel, each time they change and each time somebody asks.
    pub(super) fn resolve(
        &mut self,
        trunk: TrunkHandle,
        name: HostPort,
        transport: TransportChoice,
    ) {
        let question = Question { name, transport };
        if let Some(running) = self.running.get(&trunk)
            && running.question == question
        {
            running.asked_again.notify_one();
            return;
        }
        let asked_again = Arc::new(Notify::new());
        let (names, answers) = (self.names.clone(), self.answers.clone());
        let task = follow(names, question.clone(), asked_again.clone(), trunk, answers);
        let task = AbortOnDropHandle::new(tokio::spawn(task));
        self.running.insert(trunk, Running { question, asked_again, _task: task });
    }

    /// Asks no more for a trunk.
    pub(super) fn forget(&mut self, trunk: TrunkHandle) {
        self.running.remove(&trunk);
    }
}

/// Asks for as long as the trunk is there.
async fn follow(
    names: impl NameService,
    question: Question,
    asked_again: Arc<Notify>,
    trunk: TrunkHandle,
    answers: mpsc::Sender<Resolved>,
) {
    let mut told: Vec<Target> = Vec::new();
    let mut retry = FIRST_RETRY;
    let mut is_wanted = true;
    loop {
        let located = tokio::time::timeout(RESOLVE_LIMIT, locate(&names, &question)).await;
        let located = located.unwrap_or_else(|_elapsed| Err(Silent("in time".to_owned())));
        let next = match located {
            Ok(Answer { records: targets, ttl }) if !targets.is_empty() => {
                retry = FIRST_RETRY;
                if is_wanted || targets != told {
                    told.clone_from(&targets);
                    if answers.send(Resolved { trunk, targets }).await.is_err() {
                        return;
                    }
                }
                ttl.clamp(SHORTEST, LONGEST)
            }
            nothing => {
                let why = nothing.err().map_or("it has no address".to_owned(), |e| e.to_string());
                let kept = told.len();
                tracing::warn!(host = %question.name.host, kept, "a name does not resolve: {why}");
                let next = retry;
                retry = (retry * 2).min(LAST_RETRY);
                next
            }
        };
        is_wanted = tokio::time::timeout(next, asked_again.notified()).await.is_ok();
        if is_wanted {
            tokio::time::sleep(SPACING).await;
        }
    }
}

/// Where a name is. An address, or a port that was written, needs no SRV records (section 4.2).
async fn locate(names: &impl NameService, question: &Question) -> Result<Answer<Target>, Silent> {
    let Question { name: HostPort { host, port }, transport } = question;
    let usual = match transport {
        TransportChoice::Fixed(transport) => *transport,
        TransportChoice::Auto => Transport::Udp,
    };
    let written = port.unwrap_or_else(|| usual_port(usual));
    if let Ok(ip) = host.parse::<IpAddr>() {
        let target = Target::udp(SocketAddr::new(ip, written));
        let records = vec![Target { transport: usual, ..target }];
        return Ok(Answer { records, ttl: LONGEST });
    }
    if port.is_none() {
        let by_service = match transport {
            TransportChoice::Fixed(transport) => {
                service(names, &service_name(*transport, host), *transport).await?
            }
            TransportChoice::Auto => automatic(names, host).await?,
        };
        if let Some(found) = by_service {
            return Ok(found);
        }
    }
    let srv = Srv { priority: 0, weight: 1, port: written, host: host.clone() };
    host_targets(names, &srv, usual).await
}

/// What the domain itself prefers (section 4.1); without a word of it, the first transport that
/// has a service there. TLS comes first, for all else shows the code to everybody on the way.
async fn automatic(
    names: &impl NameService,
    domain: &str,
) -> Result<Option<Answer<Target>>, Silent> {
    let mut preferred = names.naptr(domain).await?;
    preferred.records.retain(|naptr| naptr.flags == "s");
    preferred.records.sort_by_key(|naptr| (naptr.order, naptr.preference));
    for naptr in preferred.records.iter().take(HOST_LIMIT) {
        let transport = match naptr.service.as_str() {
            "sips+d2t" => Transport::Tls,
            "sip+d2t" => Transport::Tcp,
            "sip+d2u" => Transport::Udp,
            _ => continue,
        };
        if let Some(found) = service(names, &naptr.replacement, transport).await? {
            let ttl = found.ttl.min(preferred.ttl);
            return Ok(Some(Answer { ttl, ..found }));
        }
    }
    for transport in [Transport::Tls, Transport::Udp, Transport::Tcp] {
        let found = service(names, &service_name(transport, domain), transport).await?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The hosts of a service, by priority; their order within one is drawn by weight for each use.
/// `None`: there is no such service.
async fn service(
    names: &impl NameService,
    name: &str,
    transport: Transport,
) -> Result<Option<Answer<Target>>, Silent> {
    let found = names.srv(name).await?;
    // A target of "." says that the service is not offered (RFC 2782).
    let hosts: Vec<&Srv> = found.records.iter().filter(|srv| srv.host != ".").collect();
    if hosts.is_empty() {
        return Ok(None);
    }
    let mut all = Answer { records: Vec::new(), ttl: found.ttl };
    let mut silent = None;
    for srv in hosts.into_iter().take(HOST_LIMIT) {
        match host_targets(names, srv, transport).await {
            Ok(found) => {
                all.ttl = all.ttl.min(found.ttl);
                all.records.extend(found.records);
            }
            // The other hosts of the service are there for that.
            Err(error) => silent = Some(error),
        }
    }
    all.records.sort_by_key(|target| target.priority);
    all.records.truncate(TARGET_LIMIT);
    match (all.records.is_empty(), silent) {
        (true, Some(error)) => Err(error),
        // Some host is missing for want of an answer: that is asked again soon.
        (false, Some(_)) => Ok(Some(Answer { ttl: SHORTEST, ..all })),
        (_, None) => Ok(Some(all)),
    }
}

async fn host_targets(
    names: &impl NameService,
    srv: &Srv,
    transport: Transport,
) -> Result<Answer<Target>, Silent> {
    let Srv { priority, weight, port, host } = srv;
    let found = names.addresses(host).await?;
    let target = |ip: &IpAddr| Target {
        transport,
        address: SocketAddr::new(*ip, *port),
        priority: *priority,
        weight: *weight,
    };
    let records = found.records.iter().take(TARGET_LIMIT).map(target).collect();
    Ok(Answer { records, ttl: found.ttl })
}

fn service_name(transport: Transport, domain: &str) -> String {
    match transport {
        Transport::Udp => format!("_sip._udp.{domain}"),
        Transport::Tcp => format!("_sip._tcp.{domain}"),
        Transport::Tls => format!("_sips._tcp.{domain}"),
    }
}

fn usual_port(transport: Transport) -> u16 {
    if transport == Transport::Tls { SIPS_PORT } else { SIP_PORT }
}

#[cfg(test)]
mod tests;
