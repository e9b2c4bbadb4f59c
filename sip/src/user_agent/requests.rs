//! Requests of the trunks: whose repeat one is, and what it is answered.

use std::net::SocketAddr;
use std::time::Instant;

use super::common::Owner;
use super::{Core, UserAgent};
use crate::event::Event;
use crate::inbound::{IncomingCall, IncomingText, IncomingTextHandle, TextAnswer};
use crate::message::{Message, Method, ParseFault, Rport, Status};
use crate::server::answer::{Reply, Surroundings, Verdict, judge};
use crate::server::check::refuse_fault;
use crate::server::parties;
use crate::server::transactions::{Due, Key, LONGER_BY, ServerTransaction};
use crate::transport::{Remote, Transmit};

/// An answer may be larger than its request by this much: what is added by a To tag, `received`,
/// `rport` and the lists that a refusal must carry. More would make us an amplifier.
const LARGER_BY: usize = 200;
/// Where a client listens whose Via names no port (RFC 3261 section 18.2.2).
const DEFAULT_PORT: u16 = 5060;

impl UserAgent {
    /// Answers a text. One that was given up meanwhile, or answered, changes nothing.
    pub fn answer_text(&mut self, now: Instant, text: IncomingTextHandle, answer: TextAnswer) {
        let status = match answer {
            TextAnswer::Accepted => Status::ACCEPTED,
            TextAnswer::NotFound => Status::NOT_FOUND,
            TextAnswer::Unavailable => Status::SERVICE_UNAVAILABLE,
        };
        self.core.answer_text_at(now, text, status);
    }
}

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
        let surroundings = Surroundings {
            cancels: method == Method::Cancel
                && self.server_keys.contains_key(&Key::of(request, Method::Invite)),
            is_of_our_call: self.common.mark.recognise(request.call_id).is_some(),
        };
        let verdict = judge(request, method, surroundings);
        if !matches!(verdict, Verdict::Refuse(_))
            && self.handle_talk_request(now, source, (request, key))
        {
            return;
        }
        if verdict == Verdict::Ignore {
            return;
        }
        if self.servers.len() >= self.common.settings.max_server_transactions {
            self.common.counters.server_transactions_full += 1;
            return;
        }
        let arrived = Arrived { request, size, key, method, trunk, source };
        match verdict {
            Verdict::Call => self.refuse_call(now, &arrived),
            Verdict::Text(text) => self.take_text(now, &arrived, text),
            verdict => {
                self.answer_at_once(now, &arrived, verdict);
            }
        }
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
        if matches!(written, Some(Ok(()))) && self.may_answer(answer.len(), size) {
            self.send_answer(trunk, source, &answer);
        }
        self.answer = answer;
    }

    pub(super) fn server_timeout(&mut self, now: Instant, place: u32) {
        let Some(server) = self.servers.get_mut(place) else { return };
        let terms = self.common.terms(&server.remote);
        match server.handle_timeout(now, &terms) {
            Due::Nothing => {}
            Due::Respond => self.respond_again(place),
            Due::Unanswered => {
                self.common.counters.texts_unanswered += 1;
                self.text_was_answered(place);
            }
        }
        self.settle_server(place);
    }

    /// A call: refused as its trunk says, then told.
    fn refuse_call(&mut self, now: Instant, arrived: &Arrived<'_, '_>) {
        let Some(trunk) = self.owner(arrived) else {
            self.common.counters.unmatched += 1;
            self.answer_at_once(now, arrived, Verdict::Answer(Status::NOT_FOUND));
            return;
        };
        let Some(owner) = self.trunks.at(trunk) else { return };
        let inbound = &owner.settings.inbound;
        let call = IncomingCall {
            trunk: self.common.handle(trunk),
            called: parties::called(arrived.request, &inbound.called_from),
            caller: parties::caller(arrived.request, &inbound.caller_from),
            at: now,
        };
        let refusal = inbound.refusal.status();
        let arrived = Arrived { trunk, ..*arrived };
        if self.answer_at_once(now, &arrived, Verdict::Answer(refusal)) {
            self.common.counters.incoming_calls += 1;
            self.common.events.push_back(Event::IncomingCall(call));
        }
    }

    /// A text: told, and answered when the daemon has stored it.
    fn take_text(&mut self, now: Instant, arrived: &Arrived<'_, '_>, body: &str) {
        let Some(trunk) = self.owner(arrived) else {
            self.common.counters.unmatched += 1;
            self.answer_at_once(now, arrived, Verdict::Answer(Status::NOT_FOUND));
            return;
        };
        if self.is_shutting_down || self.texts_awaiting >= self.common.settings.max_incoming_texts {
            self.answer_at_once(now, arrived, Verdict::Answer(Status::SERVICE_UNAVAILABLE));
            return;
        }
        let Some(owner) = self.trunks.at(trunk) else { return };
        let inbound = &owner.settings.inbound;
        let request = arrived.request;
        let called = parties::called(request, &inbound.called_from);
        let caller = parties::caller(request, &inbound.caller_from);
        let arrived = Arrived { trunk, ..*arrived };
        let Some(answer) = self.written(&arrived, Verdict::Answer(Status::ACCEPTED)) else {
            return;
        };
        if !self.may_answer(answer.len() + LONGER_BY, arrived.size) {
            self.answer = answer;
            return;
        }
        let until = now + self.common.settings.incoming_text_limit;
        let key = arrived.key;
        let way = (trunk, arrived.answered_to());
        let mut handle = 0;
        let place = self.servers.insert(|own, _| {
            handle = own;
            ServerTransaction::awaiting(key, way, &answer, until)
        });
        self.answer = answer;
        self.server_keys.insert(key, place);
        self.settle_server(place);
        self.texts_awaiting += 1;
        self.common.counters.incoming_texts += 1;
        self.common.events.push_back(Event::IncomingText(IncomingText {
            text: IncomingTextHandle(handle),
            trunk: self.common.handle(trunk),
            called,
            caller,
            body: body.to_owned(),
            call_id: request.call_id.into(),
            cseq: request.cseq.number,
            at: now,
        }));
    }

    fn answer_text_at(&mut self, now: Instant, text: IncomingTextHandle, status: Status) {
        let Some(place) = self.servers.place_of(text.0) else { return };
        let Some(server) = self.servers.get_mut(place) else { return };
        let terms = self.common.terms(&server.remote);
        if server.give(now, &terms, status) {
            self.text_was_answered(place);
        }
        self.settle_server(place);
    }

    fn text_was_answered(&mut self, place: u32) {
        self.texts_awaiting = self.texts_awaiting.saturating_sub(1);
        self.common.counters.requests_answered += 1;
        self.respond_again(place);
    }

    /// The trunk whose call or text it is.
    fn owner(&self, arrived: &Arrived<'_, '_>) -> Option<u32> {
        let uri = arrived.request.request_uri()?;
        let opened_for = self.trunk_of_connection(arrived.source);
        self.trunks.of_request(arrived.source, opened_for, &uri).map(|trunk| trunk.index)
    }

    /// Answers, and keeps the answer for repeats. `false`: it may not be sent.
    fn answer_at_once(
        &mut self,
        now: Instant,
        arrived: &Arrived<'_, '_>,
        verdict: Verdict<'_>,
    ) -> bool {
        let Some(answer) = self.written(arrived, verdict) else { return false };
        let Arrived { key, method, trunk, .. } = *arrived;
        let remote = arrived.answered_to();
        self.send_answer(trunk, remote, &answer);
        let terms = self.common.terms(&remote);
        let place = self.servers.insert(|_, _| {
            ServerTransaction::answered(now, &terms, (key, method), (trunk, remote), &answer)
        });
        self.answer = answer;
        self.server_keys.insert(key, place);
        self.settle_server(place);
        true
    }

    /// The answer in the buffer that belongs back into `self.answer`; `None`: there is none that
    /// may be sent.
    fn written(&mut self, arrived: &Arrived<'_, '_>, verdict: Verdict<'_>) -> Option<Vec<u8>> {
        let to_tag = self.common.random_tag().text();
        let mut out = std::mem::take(&mut self.answer);
        out.clear();
        let reply = Reply {
            request: arrived.request,
            to_tag: &to_tag,
            product: &self.common.settings.product,
            source: arrived.source.address,
        };
        let written = match verdict {
            Verdict::Refuse(rejection) => reply.refuse(&mut out, rejection),
            Verdict::RefuseText(fault) => reply.refuse_text(&mut out, fault),
            Verdict::Answer(status) => reply.answer(&mut out, status),
            Verdict::Call | Verdict::Text(_) | Verdict::Ignore => return None,
        };
        if written.is_ok() && self.may_answer(out.len(), arrived.size) {
            return Some(out);
        }
        self.answer = out;
        None
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
        self.common.outbox.send(transmit, server.response());
    }

    pub(super) fn settle_server(&mut self, place: u32) {
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

    /// Whether an answer is small enough beside its request.
    fn may_answer(&mut self, answer: usize, request: usize) -> bool {
        let may = answer <= request + LARGER_BY;
        if !may {
            self.common.counters.answers_too_large += 1;
        }
        may
    }

    fn send_answer(&mut self, trunk: u32, remote: Remote, answer: &[u8]) {
        self.common.counters.requests_answered += 1;
        let transmit: Transmit = self.common.transmit(remote, trunk);
        self.common.outbox.send(transmit, answer);
    }
}

/// A request that begins a transaction.
#[derive(Clone, Copy)]
struct Arrived<'r, 'a> {
    request: &'r Message<'a>,
    /// Its bytes on the wire.
    size: usize,
    key: Key,
    method: Method<'a>,
    trunk: u32,
    source: Remote,
}

impl Arrived<'_, '_> {
    /// Where the answer goes.
    fn answered_to(&self) -> Remote {
        answered_to(self.request, self.source)
    }
}

/// Where an answer goes: always to the address that the request came from; to its port too when
/// the client asked for that (RFC 3581 section 4), else to the port of its Via.
pub(super) fn answered_to(request: &Message<'_>, source: Remote) -> Remote {
    let address = match request.via.rport {
        Rport::Absent => {
            let port = request.via.port.unwrap_or(DEFAULT_PORT);
            SocketAddr::new(source.address.ip(), port)
        }
        Rport::Asked | Rport::Port(_) => source.address,
    };
    Remote { address, ..source }
}
