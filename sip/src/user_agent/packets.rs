//! What arrives: who may write at all, and whom a message concerns.

use std::time::Instant;

use super::common::Owner;
use super::{Core, UserAgent};
use crate::identity::Branch;
use crate::message::{Framing, Message, is_keep_alive};
use crate::transport::{ConnectionChange, ConnectionHandle, Incoming, Remote, TransportError};

impl UserAgent {
    /// Takes one datagram, or one message cut from a stream.
    ///
    /// A packet from an address that belongs to no trunk is counted and nothing else: no byte of
    /// it is read, nothing is allocated, nobody is answered.
    pub fn handle_packet(&mut self, now: Instant, packet: Incoming<'_>) {
        let core = &mut self.core;
        let Some(trunk) = core.trunks.of_peer(packet.source.address.ip()) else {
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

    /// A stream connection opened or closed. What waits for an answer over one that closed is
    /// treated as refused, and a trunk that was registered over it registers at once.
    pub fn handle_connection(
        &mut self,
        now: Instant,
        connection: ConnectionHandle,
        change: ConnectionChange,
    ) {
        match change {
            ConnectionChange::Opened { remote } => {
                self.core.connections.insert(connection, remote);
            }
            ConnectionChange::Closed => {
                if let Some(remote) = self.core.connections.remove(&connection) {
                    self.handle_transport_error(now, remote, TransportError::Reset);
                }
            }
        }
    }
}

impl Core {
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

    /// Whether the source is an address of the very trunk that the request was sent to.
    fn owner_trusts(&mut self, now: Instant, owner: Owner, source: Remote) -> bool {
        let trunk = match owner {
            Owner::Trunk(index) => Some(index),
            Owner::Call(place) => self.calls.get_mut(place).map(|call| call.trunk()),
            Owner::Text(place) => self.texts.get_mut(place).map(|text| text.trunk()),
            Owner::Release(place) => self.releases.get_mut(place).map(|release| release.trunk()),
            Owner::Server(_) => None,
        };
        trunk
            .and_then(|trunk| self.trunks.at(trunk))
            .is_some_and(|trunk| trunk.trusts(now, source.address.ip()))
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
