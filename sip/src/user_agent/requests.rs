//! Requests of the trunks: whose repeat one is, and what it is answered.

use std::net::SocketAddr;
use std::time::Instant;

use super::Core;
use super::common::Owner;
use crate::message::{Message, Method, ParseFault, Rport};
use crate::server::answer::{Verdict, judge, write};
use crate::server::check::refuse_fault;
use crate::server::transactions::{Key, ServerTransaction};
use crate::transport::{Remote, Transmit};

/// An answer may be larger than its request by this much: what is added by a To tag, `received`,
/// `rport` and the lists that a refusal must carry. More would make us an amplifier.
const LARGER_BY: usize = 200;
/// Where a client listens whose Via names no port (RFC 3261 section 18.2.2).
const DEFAULT_PORT: u16 = 5060;

impl Core {
    /// A request that could be read. `trunk` is one that listens to the source.
    pub(super) fn handle_request(
        &mut self,
        now: Instant,
        (trunk, source): (u32, Remote),
        (request, size): (&Message<'_>, usize),
    ) {
        let Some(method) = request.request_method() else { return };
        if !self.may_ask(now, trunk) {
            return;
        }
        let keyed = if method == Method::Ack { Method::Invite } else { method };
        let key = Key::of(request, keyed);
        if let Some(&place) = self.server_keys.get(&key) {
            self.repeated_request(now, place, method);
            return;
        }
        let cancels = method == Method::Cancel
            && self.server_keys.contains_key(&Key::of(request, Method::Invite));
        let verdict = judge(request, method, cancels);
        if verdict == Verdict::Ignore {
            return;
        }
        if self.servers.len() >= self.common.settings.max_server_transactions {
            self.common.counters.server_transactions_full += 1;
            return;
        }
        let remote = Remote { address: answer_address(request, source.address), ..source };
        let to_tag = self.common.random_tag().text();
        let mut answer = std::mem::take(&mut self.answer);
        answer.clear();
        let names = (&to_tag[..], self.common.settings.product.as_str());
        let written = write(&mut answer, request, verdict, names, source.address);
        if matches!(written, Some(Ok(()))) && self.send_answer(trunk, remote, &answer, size) {
            let terms = self.common.terms(&remote);
            let named = (key, method);
            let place = self.servers.insert(|_, _| {
                ServerTransaction::answered(now, &terms, named, (trunk, remote), &answer)
            });
            self.server_keys.insert(key, place);
            self.settle_server(place);
        }
        self.answer = answer;
    }

    /// Something that could not be read: a request is told so, once for each time it comes.
    pub(super) fn handle_fault(
        &mut self,
        now: Instant,
        (trunk, source): (u32, Remote),
        (fault, size): (&ParseFault<'_>, usize),
    ) {
        if !fault.is_answerable() {
            self.common.counters.unreadable += 1;
            return;
        }
        if !self.may_ask(now, trunk) {
            return;
        }
        let to_tag = self.common.random_tag().text();
        let mut answer = std::mem::take(&mut self.answer);
        answer.clear();
        let written = refuse_fault(&mut answer, fault, &to_tag, source.address);
        if matches!(written, Some(Ok(()))) {
            self.send_answer(trunk, source, &answer, size);
        }
        self.answer = answer;
    }

    pub(super) fn server_timeout(&mut self, now: Instant, place: u32) {
        let Some(server) = self.servers.get_mut(place) else { return };
        let terms = self.common.terms(&server.remote);
        if server.handle_timeout(now, &terms) {
            self.respond_again(place);
        }
        self.settle_server(place);
    }

    fn repeated_request(&mut self, now: Instant, place: u32, method: Method<'_>) {
        let Some(server) = self.servers.get_mut(place) else { return };
        let terms = self.common.terms(&server.remote);
        if server.handle_request(now, &terms, method) {
            self.respond_again(place);
        }
        self.settle_server(place);
    }

    fn respond_again(&mut self, place: u32) {
        let Some(server) = self.servers.get_mut(place) else { return };
        let transmit = self.common.transmit(server.remote, server.trunk);
        self.common.outbox.send(transmit, &server.response);
    }

    fn settle_server(&mut self, place: u32) {
        let Some(server) = self.servers.get_mut(place) else { return };
        let is_over = server.is_over();
        let deadline = if is_over { None } else { server.deadline() };
        self.common.timers.rearm(Owner::Server(place), &mut server.armed, deadline);
        if is_over && let Some(server) = self.servers.remove(place) {
            self.server_keys.remove(&server.key);
        }
    }

    /// Whether the trunk's rate leaves room for one more request.
    fn may_ask(&mut self, now: Instant, trunk: u32) -> bool {
        let may = self.trunks.at(trunk).is_some_and(|trunk| trunk.bucket.take(now));
        if !may {
            self.common.counters.requests_over_rate += 1;
        }
        may
    }

    /// `false`: the answer is too much larger than the request.
    fn send_answer(&mut self, trunk: u32, remote: Remote, answer: &[u8], size: usize) -> bool {
        if answer.len() > size + LARGER_BY {
            self.common.counters.answers_too_large += 1;
            return false;
        }
        self.common.counters.requests_answered += 1;
        let transmit: Transmit = self.common.transmit(remote, trunk);
        self.common.outbox.send(transmit, answer);
        true
    }
}

/// Where the answer goes: always to the address that the request came from; to its port too when
/// the client asked for that (RFC 3581 section 4), else to the port of its Via.
fn answer_address(request: &Message<'_>, source: SocketAddr) -> SocketAddr {
    match request.via.rport {
        Rport::Absent => SocketAddr::new(source.ip(), request.via.port.unwrap_or(DEFAULT_PORT)),
        Rport::Asked | Rport::Port(_) => source,
    }
}
