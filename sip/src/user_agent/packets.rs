//! What arrives: who may write at all, and whom a message concerns.

use std::net::IpAddr;
use std::time::Instant;

use super::common::Owner;
use super::{Core, UserAgent};
use crate::identity::Branch;
use crate::message::{Framing, Message, is_keep_alive};
use crate::transport::{
    Connection, ConnectionChange, ConnectionHandle, Incoming, Loss, Remote, Transport,
    TransportError,
};

impl UserAgent {
    /// Takes one datagram, or one message cut from a stream.
    ///
    /// A packet from an address that belongs to no trunk is counted and nothing else: no byte of
    /// it is read, nothing is allocated, nobody is answered.
    pub fn handle_packet(&mut self, now: Instant, packet: Incoming<'_>) {
        let core = &mut self.core;
        let ip = packet.source.address.ip();
        let opened_for = core.trunk_of_connection(packet.source);
        let peer = opened_for.or_else(|| core.trunks.of_peer(ip));
        let Some(trunk) = peer.or_else(|| core.trunks.of_network(ip)) else {
            core.common.counters.strangers += 1;
            return;
        };
        if is_keep_alive(packet.bytes) {
            core.common.counters.keep_alives += 1;
            return;
        }
        let framing = match packet.source.transport.is_reliable() {
            true => Framing::Stream,
            false => Framing::Datagram,
        };
        match self.parser.parse(packet.bytes, framing) {
            // What we send goes to resolved addresses only, and nobody else can answer it.
            Ok(message) if message.status().is_some() && peer.is_none() => {
                core.common.counters.strangers += 1;
            }
            Ok(message) if message.status().is_some() => {
                core.handle_response(now, (trunk, packet.source), &message);
                core.wind_down(now);
            }
            Ok(message) => {
                let request = (&message, packet.bytes.len());
                core.handle_request(now, (trunk, packet.source), request);
            }
            Err(fault) => {
                core.handle_fault(now, (trunk, packet.source), (&fault, packet.bytes.len()));
            }
        }
    }

    /// Whether some trunk listens to this address: nobody else's connection needs to be kept.
    pub fn listens_to(&self, peer: IpAddr) -> bool {
        let trunks = &self.core.trunks;
        trunks.of_peer(peer).or_else(|| trunks.of_network(peer)).is_some()
    }

    /// A stream connection opened or closed. What waits for an answer over one that closed is sent
    /// once more, for which the driver opens another one (RFC 5626 section 4.4), and a trunk that
    /// was registered over it registers at once.
    pub fn handle_connection(
        &mut self,
        now: Instant,
        connection: ConnectionHandle,
        change: ConnectionChange,
    ) {
        let core = &mut self.core;
        let loss = match change {
            ConnectionChange::Opened { remote, trunk } => {
                let trunk = trunk.map(|trunk| trunk.index);
                core.connections.insert(connection, Connection { remote, trunk });
                return;
            }
            ConnectionChange::Failed { remote, trunk, kind } => {
                Loss { remote, trunk: Some(trunk.index), kind }
            }
            ConnectionChange::Closed => match core.connections.remove(&connection) {
                Some(Connection { remote, trunk: trunk @ Some(index) }) => {
                    core.with_trunk(index, |trunk, common| trunk.forget_port(common));
                    Loss { remote, trunk, kind: TransportError::Reset }
                }
                // Nothing of ours was sent over a connection that the far side opened but answers,
                // which it will ask for again.
                Some(Connection { trunk: None, .. }) | None => return,
            },
        };
        core.handle_loss(now, &loss);
    }
}

impl Core {
    /// Tells everybody whom it concerns.
    pub(super) fn handle_loss(&mut self, now: Instant, loss: &Loss) {
        self.calls_transport_error(now, loss);
        self.texts_transport_error(now, loss);
        self.releases_transport_error(now, loss);
        self.trunks_transport_error(now, loss);
        self.wind_down(now);
    }

    /// The trunk for which a packet's connection was opened. Over TLS its far end has proved who
    /// it is.
    pub(super) fn trunk_of_connection(&self, source: Remote) -> Option<u32> {
        self.connections.get(&source.connection?)?.trunk
    }

    /// `trunk` is one that listens to the source.
    fn handle_response(
        &mut self,
        now: Instant,
        (trunk, source): (u32, Remote),
        response: &Message<'_>,
    ) {
        let branch = response.via.branch.and_then(Branch::read);
        let owner = branch.and_then(|branch| Some((branch, *self.common.branches.get(&branch)?)));
        let taken = owner.is_some_and(|(branch, owner)| {
            self.owner_trusts(now, owner, source)
                && self.owned_response(now, owner, (branch, response))
        });
        if !taken {
            self.stray_response(now, (trunk, source), response);
        }
    }

    /// Whether the source is an address of the very trunk that the request was sent to, or the far
    /// end of a connection that was opened for it. What was sent under TLS is not answered outside.
    fn owner_trusts(&mut self, now: Instant, owner: Owner, source: Remote) -> bool {
        let trunk = match owner {
            Owner::Trunk(index) => Some(index),
            Owner::Call(place) => self.calls.get_mut(place).map(|call| call.trunk()),
            Owner::Text(place) => self.texts.get_mut(place).map(|text| text.trunk()),
            Owner::Release(place) => self.releases.get_mut(place).map(|release| release.trunk()),
            Owner::Server(_) => None,
        };
        let opened_for = self.trunk_of_connection(source);
        trunk.and_then(|trunk| self.trunks.at(trunk)).is_some_and(|trunk| {
            opened_for == Some(trunk.index)
                || (trunk.wire.transport != Transport::Tls || source.transport == Transport::Tls)
                    && trunk.trusts(now, source.address.ip())
        })
    }

    /// `false`: it belongs to no transaction of the owner after all.
    fn owned_response(
        &mut self,
        now: Instant,
        owner: Owner,
        (branch, response): (Branch, &Message<'_>),
    ) -> bool {
        match owner {
            Owner::Call(place) => self.call_response(now, place, (branch, response)),
            Owner::Text(place) => self.text_response(now, place, response),
            Owner::Trunk(index) => self.trunk_response(now, index, (branch, response)),
            Owner::Release(place) => self.release_response(now, place, response),
            Owner::Server(_) => false,
        }
    }
}
