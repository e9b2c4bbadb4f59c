//! All trunks of a user agent, and the addresses from which they may write.

use std::net::IpAddr;

use super::TrunkHandle;
use super::state::Trunk;
use crate::message::Uri;
use crate::network::Network;
use crate::transport::{Remote, Transport};

/// Trunks by index; an index is not used again.
#[derive(Debug)]
pub(crate) struct Trunks {
    shard: u16,
    list: Vec<Option<Box<Trunk>>>,
    /// Every address that some trunk listens to, with the trunk; sorted.
    peers: Vec<(IpAddr, u32)>,
    /// The networks from which requests of some trunk come besides.
    networks: Vec<(Network, u32)>,
}

impl Trunks {
    pub(crate) fn new(shard: u16) -> Self {
        Self { shard, list: Vec::new(), peers: Vec::new(), networks: Vec::new() }
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
        self.all_of_peer(ip).next()
    }

    /// The first trunk with this address in one of its networks. Requests alone come from there:
    /// what we send goes to resolved addresses, and its answers come from them.
    pub(crate) fn of_network(&self, ip: IpAddr) -> Option<u32> {
        self.all_of_network(ip).next()
    }

    /// The trunk whose call or text this is: of those that listen to the source the one that the
    /// Request-URI's `line` token names, else the one for which the connection was opened, else
    /// the one whose Contact has the URI's user, else the first. A trunk over TLS takes nothing
    /// that came in clear, where a source address proves little.
    pub(crate) fn of_request(
        &self,
        source: Remote,
        opened_for: Option<u32>,
        uri: &Uri<'_>,
    ) -> Option<&Trunk> {
        let ip = source.address.ip();
        let get = |at| {
            let is_sealed = |trunk: &&Trunk| {
                trunk.settings.transport != Transport::Tls || source.transport == Transport::Tls
            };
            self.get(at).filter(is_sealed)
        };
        let known = || {
            let connected = opened_for.into_iter();
            connected.chain(self.all_of_peer(ip)).chain(self.all_of_network(ip)).filter_map(get)
        };
        if let Some(line) = uri.params.value("line") {
            let bears = |trunk: &&Trunk| {
                let own = trunk.settings.line.as_ref().filter(|_| trunk.settings.inbound.line);
                own.is_some_and(|own| own.as_bytes() == line)
            };
            if let Some(trunk) = known().find(bears) {
                return Some(trunk);
            }
        }
        let takes_all = |trunk: &&Trunk| trunk.settings.inbound.addresses;
        if let Some(trunk) = opened_for.and_then(get).filter(takes_all) {
            return Some(trunk);
        }
        let by_address = self.all_of_peer(ip).filter_map(get).filter(takes_all);
        let by_network = self.all_of_network(ip).filter_map(get);
        let mut first = None;
        for trunk in by_address.chain(by_network) {
            if uri.user == Some(trunk.settings.contact_user.reveal().as_bytes()) {
                return Some(trunk);
            }
            first.get_or_insert(trunk);
        }
        first
    }

    fn get(&self, index: u32) -> Option<&Trunk> {
        self.list.get(index as usize)?.as_deref()
    }

    fn all_of_peer(&self, ip: IpAddr) -> impl Iterator<Item = u32> {
        let ip = ip.to_canonical();
        let at = self.peers.partition_point(|(peer, _)| *peer < ip);
        self.peers[at..].iter().take_while(move |(peer, _)| *peer == ip).map(|(_, trunk)| *trunk)
    }

    fn all_of_network(&self, ip: IpAddr) -> impl Iterator<Item = u32> {
        self.networks.iter().filter(move |(network, _)| network.contains(ip)).map(|(_, at)| *at)
    }

    /// Brings the addresses in line with the trunks.
    pub(crate) fn collect_peers(&mut self) {
        let mut peers = std::mem::take(&mut self.peers);
        let mut networks = std::mem::take(&mut self.networks);
        peers.clear();
        networks.clear();
        for trunk in self.iter() {
            peers.extend(trunk.peers().map(|ip| (ip, trunk.index)));
            let own = trunk.settings.inbound.networks.iter();
            networks.extend(own.map(|network| (*network, trunk.index)));
        }
        self.networks = networks;
        peers.sort_unstable();
        peers.dedup();
        self.peers = peers;
    }
}
