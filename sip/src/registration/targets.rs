//! Where REGISTERs go, and in which order.

use std::net::SocketAddr;

use crate::transport::Target;

/// A trunk's targets in the order in which they are tried.
#[derive(Debug, Default)]
pub(super) struct Targets {
    list: Vec<Place>,
    /// The one in use.
    current: usize,
    /// How many others are still to be tried in this round.
    left: usize,
}

#[derive(Debug)]
struct Place {
    target: Target,
    /// Whether it left a REGISTER without an answer and has answered nothing since.
    silent: bool,
}

impl Targets {
    /// Takes a new list and orders it by priority; the order of equals is the resolver's, which
    /// knows their weights. What is known of targets that stay is kept.
    pub(super) fn replace(&mut self, mut targets: Vec<Target>) {
        targets.sort_by_key(|target| target.priority);
        let current = self.current().map(|target| target.address);
        let silent: Vec<SocketAddr> = self.silent().map(|target| target.address).collect();
        self.list = targets
            .into_iter()
            .map(|target| Place { silent: silent.contains(&target.address), target })
            .collect();
        self.current = 0;
        if let Some(address) = current {
            self.choose(address);
        }
        self.start_round();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn current(&self) -> Option<&Target> {
        self.list.get(self.current).map(|place| &place.target)
    }

    pub(super) fn holds(&self, address: SocketAddr) -> bool {
        self.list.iter().any(|place| place.target.address == address)
    }

    /// Makes this one the current one, if it is there.
    pub(super) fn choose(&mut self, address: SocketAddr) {
        if let Some(at) = self.list.iter().position(|place| place.target.address == address) {
            self.current = at;
        }
    }

    /// All others are to be tried when the current one fails.
    pub(super) fn start_round(&mut self) {
        self.left = self.list.len().saturating_sub(1);
    }

    /// Goes on to the next target of the round; `false` when the round is over, and then the
    /// next one starts with the first target.
    pub(super) fn advance(&mut self) -> bool {
        if self.left == 0 {
            self.current = 0;
            self.start_round();
            return false;
        }
        self.left -= 1;
        self.current = (self.current + 1) % self.list.len();
        true
    }

    pub(super) fn mark(&mut self, address: SocketAddr, silent: bool) {
        for place in &mut self.list {
            if place.target.address == address {
                place.silent = silent;
            }
        }
    }

    pub(super) fn silent(&self) -> impl Iterator<Item = &Target> {
        self.list.iter().filter(|place| place.silent).map(|place| &place.target)
    }
}
