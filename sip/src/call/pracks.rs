//! Acknowledging reliable provisional responses (RFC 3262 section 4).

use std::net::IpAddr;
use std::time::Instant;

use super::forks::Releaser;
use super::shape::RELIABLE;
use crate::auth::{AuthRequest, Authenticator, Credentials, challenges};
use crate::dialog::Dialog;
use crate::identity::Branch;
use crate::message::{HeaderName, Message};
use crate::request::{Progress, Request};
use crate::timer::earlier;
use crate::transport::{Loss, Remote};
use crate::user_agent::common::Common;

/// Early dialogs of one INVITE whose responses are acknowledged.
const DIALOGS_LIMIT: usize = 8;
/// PRACKs of one early dialog, answers to challenges counted.
const PRACKS_LIMIT: u32 = 32;

/// The early dialogs of one INVITE that were set up by reliable responses.
#[derive(Debug, Default)]
pub(crate) struct Pracks {
    list: Vec<Early>,
}

/// What a provisional response is among those of its dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The next one, or one that wants no acknowledgement.
    Next,
    /// One that came before. Its PRACK is repeated by its own timer.
    Repeated,
    /// One behind another that is missing: it says nothing until that one came.
    Ahead,
}

#[derive(Debug)]
struct Early {
    /// The CSeq number of its INVITE.
    invite: u32,
    to_tag: Box<[u8]>,
    dialog: Dialog,
    /// The number of the last response that was acknowledged.
    rseq: u32,
    /// How many PRACKs left.
    sent: u32,
    credentials: Credentials,
    request: Option<Request>,
}

impl Pracks {
    /// A 101–199 came to an INVITE that offers reliable responses; its PRACK leaves.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        common: &mut Common,
        by: Releaser<'_>,
        response: &Message<'_>,
        (peer, is_trusted): (Remote, impl Fn(IpAddr) -> bool),
    ) -> Order {
        let is_reliable = response.headers.has_token(HeaderName::Require, RELIABLE);
        let Some(rseq) = response.headers.rseq().filter(|_| is_reliable) else {
            return Order::Next;
        };
        let to_tag = response.to.tag().unwrap_or_default();
        // Each INVITE numbers its responses from a beginning of its own (RFC 3262 section 3).
        let invite = response.cseq.number;
        let is_its = |early: &Early| early.invite == invite && *early.to_tag == *to_tag;
        let known = self.list.iter().position(is_its);
        let at = match known {
            Some(at) if rseq <= self.list[at].rseq => return Order::Repeated,
            Some(at) if rseq != self.list[at].rseq + 1 => return Order::Ahead,
            Some(at) => at,
            None if self.list.len() >= DIALOGS_LIMIT => {
                common.counters.forks_refused += 1;
                return Order::Next;
            }
            None => {
                self.list.reserve_exact(1);
                self.list.push(Early {
                    invite,
                    to_tag: to_tag.into(),
                    dialog: Dialog::from_response(response, peer, is_trusted),
                    rseq,
                    sent: 0,
                    credentials: Credentials::default(),
                    request: None,
                });
                self.list.len() - 1
            }
        };
        let early = &mut self.list[at];
        early.rseq = rseq;
        early.credentials = Credentials::default();
        early.send(now, common, by);
        Order::Next
    }

    /// How many requests left within the early dialog with this To tag: its BYE counts on.
    pub(crate) fn sent_within(&self, to_tag: &[u8]) -> u32 {
        let its = self.list.iter().filter(|early| *early.to_tag == *to_tag);
        its.map(|early| early.sent).sum()
    }

    /// A response to one of the PRACKs came. `false`: to none of them.
    pub(crate) fn handle_response(
        &mut self,
        now: Instant,
        common: &mut Common,
        by: Releaser<'_>,
        authenticator: &mut Authenticator,
        (branch, response): (Branch, &Message<'_>),
    ) -> bool {
        let asked = |early: &&mut Early| {
            early.request.as_ref().is_some_and(|request| request.branch() == branch)
        };
        let Some(early) = self.list.iter_mut().find(asked) else { return false };
        let (Some(request), Some(status)) = (&mut early.request, response.status()) else {
            return false;
        };
        let progress = request.handle_response(now, common, status.code());
        if progress == Progress::Response && matches!(status.code(), 401 | 407) {
            early.answer_challenge(now, common, by, authenticator, response);
        }
        true
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant, common: &mut Common) {
        for request in self.list.iter_mut().filter_map(|early| early.request.as_mut()) {
            let _: Progress = request.handle_timeout(now, common);
        }
    }

    /// The network lost what went to a far end.
    pub(crate) fn handle_transport_error(
        &mut self,
        now: Instant,
        common: &mut Common,
        (trunk, loss): (u32, &Loss),
    ) {
        let requests = self.list.iter_mut().filter_map(|early| early.request.as_mut());
        for request in requests.filter(|request| loss.concerns(trunk, &request.remote())) {
            let _: Progress = request.handle_transport_error(now, common, loss.kind);
        }
    }

    /// The earliest deadline.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let requests = self.list.iter().filter_map(|early| early.request.as_ref());
        requests.fold(None, |first, request| earlier(first, request.deadline()))
    }

    /// The INVITE has its final response: no PRACK is repeated any more.
    pub(crate) fn drop_transactions(&mut self, common: &mut Common) {
        for request in self.list.iter_mut().filter_map(|early| early.request.take()) {
            request.drop_transaction(common);
        }
    }
}

impl Early {
    fn send(&mut self, now: Instant, common: &mut Common, by: Releaser<'_>) {
        if let Some(old) = self.request.take() {
            old.drop_transaction(common);
        }
        if self.sent >= PRACKS_LIMIT {
            common.counters.forks_refused += 1;
            return;
        }
        self.sent += 1;
        let branch = common.random_branch();
        let (dialog, nth, credentials) = (&self.dialog, self.sent, &self.credentials);
        let (hop, rseq) = ((branch, dialog.next_hop()), self.rseq);
        self.request = Request::send(now, common, (by.owner, by.trunk), hop, |out| {
            dialog.write_prack(out, by.wire, branch, (nth, credentials), rseq)
        });
    }

    /// Only a pinned realm is answered, as for a BYE.
    fn answer_challenge(
        &mut self,
        now: Instant,
        common: &mut Common,
        by: Releaser<'_>,
        authenticator: &mut Authenticator,
        response: &Message<'_>,
    ) {
        let uri = self.dialog.request_uri();
        let request = AuthRequest { method: "PRACK", uri: &uri, in_dialog: true };
        let answered = authenticator.answer(
            &mut common.rng,
            challenges(response),
            request,
            &mut self.credentials,
        );
        match answered {
            Ok(()) => self.send(now, common, by),
            Err(_) => common.counters.challenges_refused += 1,
        }
    }
}
