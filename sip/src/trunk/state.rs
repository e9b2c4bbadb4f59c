//! A trunk as the user agent knows it: its addresses, what it learnt, what is up on it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;

use super::pings::{Liveness, Pings};
use super::registrar::Registrar;
use super::wire::Wire;
use crate::auth::Authenticator;
use crate::media::RemoteMedia;
use crate::message::{Rport, Via};
use crate::transport::{Remote, Target};
use crate::trunk::{External, TrunkSettings};

/// How long an address that left the set is still listened to: the longest call and its repeats.
const FORMER_PEER: Duration = Duration::from_secs(120);
/// How long a target that failed a call is passed over.
const SET_ASIDE: Duration = Duration::from_secs(60);
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
    /// Targets that failed a call, and until when others are preferred.
    aside: Vec<(SocketAddr, Instant)>,
    /// Our address as the far side showed it.
    pub(crate) learnt: Option<SocketAddr>,
    /// The Route values that the registrar gave.
    pub(crate) routes: Vec<Box<[u8]>>,
    /// `None`: a static trunk, or one that was stopped.
    pub(crate) registrar: Option<Box<Registrar>>,
    pub(crate) pings: Pings,
    /// Whether the target of a static trunk lives; `None`: nobody asks.
    pub(crate) liveness: Option<Liveness>,
    pub(crate) keep_alive_at: Option<Instant>,
    /// When the targets are asked for again.
    pub(crate) resolve_at: Option<Instant>,
    /// Calls that take a channel.
    pub(crate) calls_up: u32,
    /// Texts that wait for their answer.
    pub(crate) texts_up: usize,
    pub(crate) fate: Fate,
    pub(crate) bucket: Bucket,
    /// What the timer queue holds for this trunk.
    pub(crate) armed: Option<Instant>,
}

/// What the daemon wants of a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Calls and texts.
    Serving,
    /// Its binding, but no new calls and texts.
    Paused,
    /// Nothing more: it goes when its calls and its binding are gone.
    Leaving,
    /// The same, and the binding is on its way out.
    Unbinding,
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
}

impl Trunk {
    pub(crate) fn new(
        now: Instant,
        index: u32,
        settings: TrunkSettings,
        (rng, product, requests_per_second): (&mut ChaCha20Rng, &str, u32),
    ) -> Self {
        Self {
            index,
            wire: Arc::new(Wire::new(&settings, None, Vec::new(), product)),
            authenticator: Authenticator::new(&settings),
            targets: ordered(rng, settings.targets.clone()),
            current: 0,
            former: Vec::new(),
            aside: Vec::new(),
            learnt: None,
            routes: Vec::new(),
            registrar: None,
            pings: Pings::default(),
            liveness: None,
            keep_alive_at: None,
            resolve_at: None,
            calls_up: 0,
            texts_up: 0,
            fate: Fate::Serving,
            bucket: Bucket::new(now, requests_per_second),
            armed: None,
            settings,
        }
    }

    /// Whether calls and texts may leave over it, as far as its peer is concerned.
    pub(crate) fn is_bound(&self) -> bool {
        match &self.registrar {
            Some(registrar) => registrar.machine.bound_to().is_some(),
            None => self.liveness.as_ref().is_none_or(Liveness::is_alive),
        }
    }

    /// Where its requests go: to the target that holds the binding, or, without a registrar, to
    /// the one in use. `None`: no address is known.
    pub(crate) fn remote(&self) -> Option<Remote> {
        let target = match &self.registrar {
            Some(registrar) => registrar.machine.bound_to(),
            None => self.targets.get(self.current),
        };
        target.map(remote_of)
    }

    /// Where a call or a text goes that did not go to any of `tried`: to the target that holds the
    /// binding, or to one of those in use by its share, or to a worse one; a target that failed a
    /// call lately is passed over. `None`: there is no other. Without `tried` every target that is
    /// known serves before nothing does.
    pub(crate) fn choose(
        &self,
        now: Instant,
        rng: &mut ChaCha20Rng,
        tried: &[SocketAddr],
    ) -> Option<Remote> {
        let bound = self.registrar.as_ref().and_then(|registrar| registrar.machine.bound_to());
        let is_aside = |address: SocketAddr| {
            self.aside.iter().any(|(aside, until)| *aside == address && *until > now)
        };
        let is_good =
            |target: &&Target| !tried.contains(&target.address) && !is_aside(target.address);
        if let Some(target) = bound.filter(|target| is_good(target)) {
            return Some(remote_of(target));
        }
        let in_use = self.targets.get(self.current).map_or(0, |target| target.priority);
        // The priority in use first, then the best of the others.
        let rank = |target: &Target| (target.priority != in_use, target.priority);
        let best = self.targets.iter().filter(is_good).map(rank).min();
        let class: Vec<&Target> = self
            .targets
            .iter()
            .filter(is_good)
            .filter(|target| best == Some(rank(target)))
            .collect();
        match drawn(rng, &class) {
            Some(target) => Some(remote_of(target)),
            None if tried.is_empty() => self.remote(),
            None => None,
        }
    }

    /// A target failed a call: others are preferred for a while (RFC 3263 section 4.3).
    pub(crate) fn set_aside(&mut self, now: Instant, address: SocketAddr) {
        self.aside.retain(|(aside, until)| *aside != address && *until > now);
        if self.aside.len() < FORMER_LIMIT {
            self.aside.push((address, now + SET_ASIDE));
        }
    }

    /// A target answered.
    pub(crate) fn take_back(&mut self, address: SocketAddr) {
        self.aside.retain(|(aside, _)| *aside != address);
    }

    /// Whether a packet from this address may be from the trunk.
    pub(crate) fn trusts(&self, now: Instant, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.targets.iter().any(|target| target.address.ip().to_canonical() == ip)
            || self.former.iter().any(|(former, until)| *former == ip && *until > now)
    }

    /// Whether audio may go where the far side wants it: what a far side says must not turn us
    /// against others.
    pub(crate) fn takes_media_at(&self, now: Instant, media: &RemoteMedia) -> bool {
        let ip = media.address.ip();
        self.trusts(now, ip)
            || self.settings.media_networks.iter().any(|network| network.contains(ip))
    }

    /// Every address from which packets may come, former ones too.
    pub(crate) fn peers(&self) -> impl Iterator<Item = IpAddr> {
        let targets = self.targets.iter().map(|target| target.address.ip().to_canonical());
        targets.chain(self.former.iter().map(|(ip, _)| *ip))
    }

    /// Takes new addresses. The one in use stays in use when it is among them.
    pub(crate) fn replace_targets(
        &mut self,
        now: Instant,
        rng: &mut ChaCha20Rng,
        targets: Vec<Target>,
    ) {
        let used = self.targets.get(self.current).map(|target| target.address);
        for target in std::mem::take(&mut self.targets) {
            self.remember(now, target.address.ip());
        }
        self.targets = ordered(rng, targets);
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

    /// Our address as the topmost Via of a response shows it, when that is news and when we are to
    /// learn it so (RFC 3581 section 4).
    pub(crate) fn seen_in(&self, via: &Via<'_>) -> Option<SocketAddr> {
        if self.settings.external != External::Learn {
            return None;
        }
        // A large INVITE of a UDP trunk has its own port at its own connection.
        if !via.transport.eq_ignore_ascii_case(self.settings.transport.via_token().as_bytes()) {
            return None;
        }
        let local = self.settings.local;
        let known = self.learnt.unwrap_or(local);
        let port = match via.rport {
            Rport::Port(port) => port,
            // Without both the far side told nothing.
            Rport::Absent | Rport::Asked => via.received.map(|_| known.port())?,
        };
        // No `received` means that the address was the one in Via (RFC 3261 section 18.2.1).
        let seen = SocketAddr::new(via.received.unwrap_or(local.ip()), port);
        let is_usable = port != 0 && !seen.ip().is_unspecified();
        (seen != known && is_usable).then_some(seen)
    }
}

/// One of `targets`, which must have one priority, by its share (RFC 2782): a weight of 0 has
/// hardly any. Nothing is drawn where there is no choice.
fn drawn<'t>(rng: &mut ChaCha20Rng, targets: &[&'t Target]) -> Option<&'t Target> {
    let [first, others @ ..] = targets else { return None };
    if others.is_empty() {
        return Some(first);
    }
    // A hundredth of the smallest share is what is left for a weight of 0.
    let share = |target: &Target| (u64::from(target.weight) * 100).max(1);
    let all: u64 = targets.iter().map(|target| share(target)).sum();
    let mut point = rng.next_u64() % all;
    targets.iter().copied().find(|target| {
        let is_there = point < share(target);
        point = point.saturating_sub(share(target));
        is_there
    })
}

/// The far end behind a target. A connection is the driver's to find.
pub(crate) fn remote_of(target: &Target) -> Remote {
    Remote { transport: target.transport, address: target.address, connection: None }
}

/// By priority, and within one priority as the weights draw them (RFC 2782).
fn ordered(rng: &mut ChaCha20Rng, targets: Vec<Target>) -> Vec<Target> {
    let mut left: Vec<&Target> = targets.iter().collect();
    let mut ordered = Vec::with_capacity(targets.len());
    while let Some(best) = left.iter().map(|target| target.priority).min() {
        let class: Vec<&Target> =
            left.iter().copied().filter(|target| target.priority == best).collect();
        let Some(next) = drawn(rng, &class) else { break };
        left.retain(|target| !std::ptr::eq(*target, next));
        ordered.push(next.clone());
    }
    ordered
}
