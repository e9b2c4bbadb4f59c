//! A trunk as the user agent knows it: its addresses, what it learnt, what is up on it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::wire::Wire;
use crate::auth::Authenticator;
use crate::message::{Rport, Via};
use crate::transport::{Remote, Target};
use crate::trunk::{External, HostPort, TrunkSettings};

/// How long an address that left the set is still listened to: the longest call and its repeats.
const FORMER_PEER: Duration = Duration::from_secs(120);
/// Addresses that are remembered so, in all.
const FORMER_LIMIT: usize = 64;

/// One trunk.
#[derive(Debug)]
pub(crate) struct Trunk {
    pub(crate) index: u32,
    pub(crate) settings: TrunkSettings,
    pub(crate) wire: Arc<Wire>,
    pub(crate) authenticator: Authenticator,
    /// Best first.
    pub(crate) targets: Vec<Target>,
    /// The one that is used.
    pub(crate) current: usize,
    former: Vec<(IpAddr, Instant)>,
    learnt: Option<SocketAddr>,
    routes: Vec<Box<[u8]>>,
    /// Calls that take a channel.
    pub(crate) calls_up: u32,
    /// Texts that wait for their answer.
    pub(crate) texts_up: usize,
    pub(crate) paused: bool,
    pub(crate) bucket: Bucket,
    /// What the timer queue holds for this trunk.
    pub(crate) armed: Option<Instant>,
}

/// A token bucket: so many requests a second, and as many at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    per_second: u32,
    /// Thousandths of a token.
    level: u64,
    filled_at: Instant,
}

impl Bucket {
    pub(crate) fn new(now: Instant, per_second: u32) -> Self {
        Self { per_second, level: u64::from(per_second) * 1000, filled_at: now }
    }

    /// Takes a token, if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let gone_ms = now.saturating_duration_since(self.filled_at).as_millis();
        let full = u64::from(self.per_second) * 1000;
        // A millisecond brings `per_second` thousandths of a token.
        let gained =
            u64::try_from(gone_ms).unwrap_or(u64::MAX).saturating_mul(self.per_second.into());
        if gone_ms > 0 {
            self.level = self.level.saturating_add(gained).min(full);
            self.filled_at = now;
        }
        let has_one = self.level >= 1000;
        if has_one {
            self.level -= 1000;
        }
        has_one
    }

    /// When a token is there.
    pub(crate) fn next(&self, now: Instant) -> Instant {
        let missing = 1000u64.saturating_sub(self.level);
        now + Duration::from_millis(missing.div_ceil(u64::from(self.per_second.max(1))))
    }
}

impl Trunk {
    pub(crate) fn new(
        now: Instant,
        index: u32,
        settings: TrunkSettings,
        product: &str,
        requests_per_second: u32,
    ) -> Self {
        Self {
            index,
            wire: Arc::new(Wire::new(&settings, None, Vec::new(), product)),
            authenticator: Authenticator::new(&settings),
            targets: ordered(settings.targets.clone()),
            current: 0,
            former: Vec::new(),
            learnt: None,
            routes: Vec::new(),
            calls_up: 0,
            texts_up: 0,
            paused: false,
            bucket: Bucket::new(now, requests_per_second),
            armed: None,
            settings,
        }
    }

    /// The name that leads to the trunk's addresses, when they are not fixed.
    pub(crate) fn name_to_resolve(&self) -> Option<HostPort> {
        if !self.settings.targets.is_empty() {
            return None;
        }
        let proxy = self.settings.outbound_proxy.as_ref().or(self.settings.registrar.as_ref());
        let domain = || HostPort { host: self.settings.domain.clone(), port: None };
        Some(proxy.cloned().unwrap_or_else(domain))
    }

    /// Whether calls may leave over it.
    pub(crate) fn is_bound(&self) -> bool {
        self.settings.registrar.is_none()
    }

    /// Where its requests go; `None`: no address is known.
    pub(crate) fn remote(&self) -> Option<Remote> {
        self.targets.get(self.current).map(remote_of)
    }

    /// Whether a packet from this address may be from the trunk.
    pub(crate) fn trusts(&self, now: Instant, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.targets.iter().any(|target| target.address.ip().to_canonical() == ip)
            || self.former.iter().any(|(former, until)| *former == ip && *until > now)
    }

    /// Every address from which packets may come, former ones too.
    pub(crate) fn peers(&self) -> impl Iterator<Item = IpAddr> {
        let targets = self.targets.iter().map(|target| target.address.ip().to_canonical());
        targets.chain(self.former.iter().map(|(ip, _)| *ip))
    }

    /// Takes new addresses. The one in use stays in use when it is among them.
    pub(crate) fn set_targets(&mut self, now: Instant, targets: Vec<Target>) {
        let used = self.targets.get(self.current).map(|target| target.address);
        for target in std::mem::take(&mut self.targets) {
            self.remember(now, target.address.ip());
        }
        self.targets = ordered(targets);
        self.current =
            self.targets.iter().position(|target| Some(target.address) == used).unwrap_or_default();
    }

    /// Listens to an address for a while although it is not in the set.
    pub(crate) fn remember(&mut self, now: Instant, ip: IpAddr) {
        let ip = ip.to_canonical();
        self.former.retain(|(former, until)| *former != ip && *until > now);
        if self.former.len() < FORMER_LIMIT {
            self.former.push((ip, now + FORMER_PEER));
        }
    }

    /// Takes changed settings. Returns whether they change what a registrar was told.
    pub(crate) fn update(&mut self, now: Instant, settings: TrunkSettings, product: &str) {
        self.authenticator.update(&settings);
        if settings.targets != self.settings.targets {
            self.set_targets(now, settings.targets.clone());
        }
        if settings.local != self.settings.local || settings.external != self.settings.external {
            self.learnt = None;
        }
        self.settings = settings;
        self.rewire(product);
    }

    /// Takes the Route values that the registrar gave.
    pub(crate) fn set_routes(&mut self, routes: Vec<Box<[u8]>>, product: &str) {
        if routes != self.routes {
            self.routes = routes;
            self.rewire(product);
        }
    }

    /// Looks at what the topmost Via of a response says about our address. Returns whether our
    /// Contact changed by it.
    pub(crate) fn learn(&mut self, via: &Via<'_>, product: &str) -> bool {
        if self.settings.external != External::Learn {
            return false;
        }
        let local = self.settings.local;
        let known = self.learnt.unwrap_or(local);
        let seen = match (via.received, via.rport) {
            (None, Rport::Absent | Rport::Asked) => return false,
            // RFC 3261 section 18.2.1: no `received` means that the address was the one in Via.
            (received, rport) => SocketAddr::new(
                received.unwrap_or(local.ip()),
                match rport {
                    Rport::Port(port) => port,
                    Rport::Absent | Rport::Asked => known.port(),
                },
            ),
        };
        if seen == known || seen.port() == 0 || seen.ip().is_unspecified() {
            return false;
        }
        self.learnt = Some(seen);
        self.rewire(product);
        true
    }

    fn rewire(&mut self, product: &str) {
        self.wire = Arc::new(Wire::new(&self.settings, self.learnt, self.routes.clone(), product));
    }
}

/// The far end behind a target. A connection is the driver's to find.
pub(crate) fn remote_of(target: &Target) -> Remote {
    Remote { transport: target.transport, address: target.address, connection: None }
}

/// By priority; the order within one priority is the resolver's, which knows the weights.
fn ordered(mut targets: Vec<Target>) -> Vec<Target> {
    targets.sort_by_key(|target| target.priority);
    targets
}
