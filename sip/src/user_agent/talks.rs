//! Requests of the far side within a call that is up.

use std::time::Instant;

use super::Core;
use super::requests::answered_to;
use crate::call::talk::{Reinvite, concerns_a_talk};
use crate::message::{HeaderName, Message, Method, Status, WriteFault, Writer};
use crate::server::check::ALLOW;
use crate::server::transactions::{Key, ServerTransaction};
use crate::transport::Remote;

impl Core {
    /// A request that belongs to no transaction. `false`: to no call that is up either.
    pub(super) fn handle_talk_request(
        &mut self,
        now: Instant,
        source: Remote,
        (request, key): (&Message<'_>, Key),
    ) -> bool {
        let Some(method) = request.request_method().filter(|method| concerns_a_talk(*method))
        else {
            return false;
        };
        let call_id = self.common.mark.recognise(request.call_id);
        let Some(&place) = call_id.and_then(|call_id| self.talks.get(&call_id)) else {
            return false;
        };
        let Some(call) = self.calls.get_mut(place) else { return false };
        let trunk = call.trunk();
        // Whoever knows the tags of a call over another trunk is still not its far side.
        let is_far_side =
            self.trunks.at(trunk).is_some_and(|trunk| trunk.trusts(now, source.address.ip()));
        if !is_far_side || !call.holds(request) {
            return false;
        }
        let remote = answered_to(request, source);
        match method {
            Method::Bye => {
                self.answer_talk(now, place, (request, key, remote), (Status::OK, ""));
                if let Some(call) = self.calls.get_mut(place) {
                    call.far_hang_up(now, &mut self.common);
                }
            }
            Method::Ack => {
                let Some(trunk) = self.trunks.at(trunk) else { return false };
                call.reinvite_acked(now, &mut self.common, trunk, request);
            }
            _ => {
                let Some(trunk) = self.trunks.at(trunk) else { return false };
                let reinvite = call.reinvite(now, &mut self.common, trunk, request);
                let answer = match &reinvite {
                    Some(Reinvite::Accepted { description, .. }) => (Status::OK, &description[..]),
                    Some(Reinvite::NotAcceptable) => (Status::NOT_ACCEPTABLE_HERE, ""),
                    Some(Reinvite::OutOfOrder) => (Status::SERVER_ERROR, ""),
                    None => return false,
                };
                self.answer_talk(now, place, (request, key, remote), answer);
            }
        }
        self.settle_call(place);
        true
    }

    /// Answers, and keeps the answer for repeats.
    fn answer_talk(
        &mut self,
        now: Instant,
        place: u32,
        (request, key, remote): (&Message<'_>, Key, Remote),
        answer: (Status, &str),
    ) {
        if self.servers.len() >= self.common.settings.max_server_transactions {
            self.common.counters.server_transactions_full += 1;
            return;
        }
        let (Some(call), Some(method)) = (self.calls.get_mut(place), request.request_method())
        else {
            return;
        };
        let trunk = call.trunk();
        let mut out = std::mem::take(&mut self.answer);
        out.clear();
        let names = (call.contact(), self.common.settings.product.as_str());
        if write(&mut out, request, remote, names, answer).is_ok() {
            self.common.counters.requests_answered += 1;
            let transmit = self.common.transmit(remote, trunk);
            self.common.outbox.send(transmit, &out);
            if method == Method::Invite && answer.0 == Status::OK {
                call.reinvite_answered(now, &self.common, request, (remote, &out));
            }
            let terms = self.common.terms(&remote);
            let named = (key, method);
            let server = self.servers.insert(|_, _| {
                ServerTransaction::answered(now, &terms, named, (trunk, remote), &out)
            });
            self.server_keys.insert(key, server);
            self.settle_server(server);
        }
        self.answer = out;
    }
}

fn write(
    out: &mut Vec<u8>,
    request: &Message<'_>,
    remote: Remote,
    (contact, product): (&str, &str),
    (status, description): (Status, &str),
) -> Result<(), WriteFault> {
    let phrase = status.phrase();
    // Both tags are there: the request was found by them.
    let mut writer = Writer::reply(out, &request.headers, status, phrase, b"", remote.address);
    writer.copy_all(HeaderName::RecordRoute, &request.headers);
    if !description.is_empty() {
        writer.address(HeaderName::Contact, contact);
        writer.header(HeaderName::Allow, ALLOW);
    }
    if !product.is_empty() {
        writer.header(HeaderName::Server, product);
    }
    match description {
        "" => writer.finish(),
        description => writer.finish_with_body("application/sdp", description.as_bytes()),
    }
}
