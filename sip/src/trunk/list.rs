//! All trunks of a user agent, and the addresses from which they may write.

use std::net::IpAddr;

use super::TrunkHandle;
use super::state::Trunk;

/// Trunks by index; an index is not used again.
#[derive(Debug)]
pub(crate) struct Trunks {
    shard: u16,
    list: Vec<Option<Box<Trunk>>>,
    /// Every address that some trunk listens to, with the trunk; sorted.
    peers: Vec<(IpAddr, u32)>,
}

impl Trunks {
    pub(crate) fn new(shard: u16) -> Self {
        Self { shard, list: Vec::new(), peers: Vec::new() }
    }

    /// Adds a trunk that `make` builds from its index.
    pub(crate) fn add(&mut self, make: impl FnOnce(u32) -> Trunk) -> TrunkHandle {
        let index = self.list.len() as u32;
        self.list.push(Some(Box::new(make(index))));
        self.collect_peers();
        TrunkHandle { shard: self.shard, index }
    }

    /// Forgets a trunk.
    pub(crate) fn remove(&mut self, index: u32) {
        if let Some(place) = self.list.get_mut(index as usize) {
            *place = None;
        }
        self.collect_peers();
    }

    /// The trunk behind a handle.
    pub(crate) fn get_mut(&mut self, handle: TrunkHandle) -> Option<&mut Trunk> {
        if handle.shard != self.shard {
            return None;
        }
        self.at(handle.index)
    }

    /// The trunk with this index.
    pub(crate) fn at(&mut self, index: u32) -> Option<&mut Trunk> {
        self.list.get_mut(index as usize)?.as_deref_mut()
    }

    /// Every trunk, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Trunk> {
        self.list.iter().filter_map(Option::as_deref)
    }

    /// The indices that are in use, in order.
    pub(crate) fn indices(&self) -> Vec<u32> {
        self.iter().map(|trunk| trunk.index).collect()
    }

    /// The first trunk that listens to this address.
    pub(crate) fn of_peer(&self, ip: IpAddr) -> Option<u32> {
        let ip = ip.to_canonical();
        let at = self.peers.partition_point(|(peer, _)| *peer < ip);
        self.peers.get(at).filter(|(peer, _)| *peer == ip).map(|(_, trunk)| *trunk)
    }

    /// Brings the addresses in line with the trunks.
    pub(crate) fn collect_peers(&mut self) {
        let mut peers = std::mem::take(&mut self.peers);
        peers.clear();
        for trunk in self.iter() {
            peers.extend(trunk.peers().map(|ip| (ip, trunk.index)));
        }
        peers.sort_unstable();
        peers.dedup();
        self.peers = peers;
    }
}
