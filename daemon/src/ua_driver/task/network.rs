//! What the call loop reads and writes: datagrams, messages of connections, and what the network
//! has to say of either.

use std::io;
use std::time::Instant;

use sip::{Incoming, Remote, Transmit, Transport};

use super::Task;
use crate::ua_driver::connections::Fact;
use crate::ua_driver::listeners::Accepted;
use crate::ua_driver::sockets::Readiness;
use crate::ua_driver::stream::Told;
use crate::ua_driver::tcp::{CONNECT_LIMIT, DETOUR_LIMIT, Dial, Security};
use crate::ua_driver::tls::TlsError;

/// Packets read from one socket before timers and commands have their turn: at 10 µs each,
/// 1 ms.
const PACKETS_PER_TURN: usize = 100;
/// The same for what connections tell.
const NEWS_PER_TURN: usize = 100;

impl Task {
    pub(super) fn read(&mut self, ready: Readiness, packet: &mut [u8]) {
        let index = ready.index;
        if ready.has_errors {
            metrics::counter!("dozvon_sip_socket_errors_total").increment(1);
            self.sockets.take_refusals(index, &mut self.refusals);
            self.drain(Instant::now());
        }
        for _ in 0..PACKETS_PER_TURN {
            let (local, socket) = self.sockets.get(index);
            match socket.try_recv_from(packet) {
                Ok((length, source)) => {
                    let now = Instant::now();
                    let incoming =
                        Incoming { source: Remote::udp(source), local, bytes: &packet[..length] };
                    self.user_agent.handle_packet(now, incoming);
                    self.drain(now);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    // An ICMP error of an earlier packet; its address is in the error queue.
                    tracing::debug!(%error, "a datagram socket reported an error");
                    self.sockets.take_refusals(index, &mut self.refusals);
                    self.drain(Instant::now());
                }
            }
        }
    }

    /// Takes what one connection tells.
    pub(super) fn hear(&mut self, told: Told) {
        let Some(fact) = self.connections.fact(told) else { return };
        let now = Instant::now();
        match fact {
            Fact::Change(connection, change) => {
                self.user_agent.handle_connection(now, connection, change);
            }
            Fact::Message { source, local, bytes } => {
                self.user_agent.handle_packet(now, Incoming { source, local, bytes: &bytes });
            }
        }
        self.drain(now);
    }

    /// Takes what connections have told already.
    pub(super) fn hear_waiting(&mut self) {
        for _ in 0..NEWS_PER_TURN {
            let Some(told) = self.connections.waiting_news() else { return };
            self.hear(told);
        }
    }

    /// Keeps a connection that a trunk's address opened. Nobody else's costs more than this look.
    pub(super) fn accept(&mut self, accepted: Accepted) {
        let remote = accepted.remote;
        if !self.user_agent.listens_to(remote.address.ip()) {
            metrics::counter!("dozvon_sip_strangers_turned_away_total").increment(1);
        } else if !self.connections.accept(accepted) {
            tracing::warn!(remote = %remote.address, "too many connections, one was turned away");
        }
    }

    /// Carries out everything that the user agent has to say.
    pub(super) fn drain(&mut self, now: Instant) {
        loop {
            self.transmit(now);
            if let Some(refusal) = self.refusals.pop() {
                let remote = Remote::udp(refusal.remote);
                self.user_agent.handle_transport_error(now, remote, refusal.kind);
            } else if let Some((connection, change)) = self.connections.poll_closed() {
                self.user_agent.handle_connection(now, connection, change);
            } else {
                break;
            }
        }
        while let Some(event) = self.user_agent.poll_event() {
            self.event(now, event);
        }
    }

    pub(super) fn transmit(&mut self, now: Instant) {
        loop {
            self.out.clear();
            let Some(transmit) = self.user_agent.poll_transmit(&mut self.out) else { return };
            if transmit.remote.transport.is_reliable() {
                self.send_by_stream(&transmit);
                continue;
            }
            let remote = transmit.remote.address;
            if let Err(error) = self.sockets.send(&self.out, remote, &mut self.refusals) {
                self.send_failed(now, transmit.remote, &error);
            }
        }
    }

    fn send_failed(&mut self, now: Instant, remote: Remote, error: &io::Error) {
        let kind = match error.kind() {
            // A full kernel buffer is loss like any other: the transaction repeats.
            io::ErrorKind::WouldBlock => return,
            io::ErrorKind::ConnectionRefused => sip::TransportError::Refused,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                sip::TransportError::Unreachable
            }
            _ => sip::TransportError::Local,
        };
        tracing::debug!(%error, "a datagram could not be sent");
        self.user_agent.handle_transport_error(now, remote, kind);
    }

    fn send_by_stream(&mut self, transmit: &Transmit) {
        let room = transmit.trunk.and_then(|trunk| self.by_handle.get(&trunk));
        let spec = room.map(|place| &self.rooms[*place].spec);
        let tls = spec.and_then(|spec| spec.tls.as_ref());
        let is_detour = spec.is_some_and(|spec| spec.settings.transport == Transport::Udp);
        let dial = || Dial {
            address: transmit.remote.address,
            limit: if is_detour { DETOUR_LIMIT } else { CONNECT_LIMIT },
            security: match (transmit.remote.transport, tls) {
                (Transport::Tls, Some(client)) => Ok(Security::Client(client.clone())),
                (Transport::Tls, None) => Err(TlsError::NotConfigured),
                (Transport::Tcp | Transport::Udp, _) => Ok(Security::Clear),
            },
        };
        self.connections.send(transmit, &self.out, dial);
    }
}
