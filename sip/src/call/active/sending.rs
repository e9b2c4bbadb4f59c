//! What a call sends and tells.

use std::time::Instant;

use super::{ActiveCall, Final, Round};
use crate::call::forks::Releaser;
use crate::call::machine::{Cause, End, Reason};
use crate::call::timeline::Timeline;
use crate::call::wire::{InviteLines, Lines};
use crate::call::{CallSummary, TimelineEvent};
use crate::event::Event;
use crate::message::Raw;
use crate::outcome::{CallEnd, CallFacts, Stop, usual_cause};
use crate::request::Request;
use crate::transaction::{InviteClient, Terms};
use crate::transport::Transport;
use crate::user_agent::common::{Common, Owner};

/// An INVITE above this size should not travel by UDP (RFC 3261 section 18.1.1).
const LARGE_INVITE: usize = 1300;

impl ActiveCall {
    pub(super) fn tell_end(
        &mut self,
        now: Instant,
        common: &mut Common,
        end: End,
        last: Option<Final>,
    ) {
        if matches!(end.cause, Cause::Abandoned | Cause::CancelTimeout) {
            self.enter(now, TimelineEvent::Timeout);
        }
        let last = last.filter(|last| last.status >= 200);
        let summary = CallSummary {
            call: self.handle,
            outcome: facts(&end, last).outcome(),
            rang: end.rang,
            status: last.map(|last| last.status),
            q850: last.and_then(|last| last.cause.or(usual_cause(last.status))),
            q850_from_reason: last.is_some_and(|last| last.cause.is_some()),
            retry_after: last.and_then(|last| last.retry_after),
            target: self.round.address,
            last_cseq: self.round.cseq,
            timeline: self.timeline.take().map(Timeline::told).unwrap_or_default(),
        };
        common.events.push_back(Event::Ended(summary));
    }

    /// Registers the round's branch and sends its INVITE for the first time. One that is too large
    /// for a datagram goes over TCP, unless the far end is known to refuse that.
    pub(super) fn begin_round(&mut self, now: Instant, common: &mut Common) {
        common.branches.insert(self.round.branch, Owner::Call(self.place));
        let size = self.send_invite(common);
        if size > LARGE_INVITE && self.round.transport == Transport::Udp {
            common.counters.large_invites += 1;
            if !common.refuses_tcp(now, self.round.address) {
                common.outbox.take_back();
                self.go_by(now, common, Transport::Tcp);
                self.send_invite(common);
            }
        }
        let (call, cseq, target) = (self.handle, self.round.cseq, self.round.address);
        common.events.push_back(Event::InviteSent { call, cseq, target });
    }

    /// The round leaves by another transport than its target's: nothing of it has left yet.
    pub(super) fn go_by(&mut self, now: Instant, common: &Common, transport: Transport) {
        self.round.transport = transport;
        self.round.machine = InviteClient::start(now, &self.terms(common));
    }

    /// Sends the round's INVITE and tells how large it is.
    pub(super) fn send_invite(&self, common: &mut Common) -> usize {
        let transmit = common.transmit(self.round.remote(), self.trunk);
        let (lines, invite) = (self.lines(&self.round), self.invite_lines());
        let body = &mut common.scratch;
        let written = common.outbox.write(transmit, |out| lines.write_invite(out, body, &invite));
        written.map_or(0, <[u8]>::len)
    }

    pub(super) fn send_cancel(&mut self, now: Instant, common: &mut Common) {
        let (branch, cseq) = (self.round.branch, self.round.cseq);
        let lines = self.lines(&self.round);
        let owner = (Owner::Call(self.place), self.trunk);
        let cancel = Request::send(now, common, owner, (branch, self.round.remote()), |out| {
            lines.write_cancel(out, branch, cseq)
        });
        self.cancel = cancel.map(Box::new);
        self.enter(now, TimelineEvent::Cancel);
    }

    pub(super) fn send_ack(&self, common: &mut Common, round: &Round, to: Raw<'_>) {
        let transmit = common.transmit(round.remote(), self.trunk);
        let lines = self.lines(round);
        let _: Option<&[u8]> =
            common.outbox.write(transmit, |out| lines.write_ack(out, round.branch, round.cseq, to));
    }

    pub(super) fn terms(&self, common: &Common) -> Terms {
        common.terms(&self.round.remote())
    }

    pub(super) fn lines(&self, round: &Round) -> Lines<'_> {
        Lines {
            wire: &self.wire,
            called: &self.called,
            caller_id: &self.caller_id,
            ids: self.ids,
            transport: round.transport,
        }
    }

    fn invite_lines(&self) -> InviteLines<'_> {
        InviteLines {
            branch: self.round.branch,
            cseq: self.round.cseq,
            credentials: &self.credentials,
            expires_s: u32::from(self.expires_s),
            media_port: self.media_port,
            shape: &self.shape,
        }
    }

    pub(super) fn releaser(&self) -> Releaser<'_> {
        Releaser { owner: Owner::Call(self.place), trunk: self.trunk, wire: &self.wire }
    }

    /// The Request-URI as the digest names it, in the buffer of `common`, which is to be given
    /// back.
    pub(super) fn request_uri(&self, common: &mut Common) -> String {
        let mut uri = std::mem::take(&mut common.scratch);
        uri.clear();
        self.wire.called_uri(&self.called).write_text(&mut uri);
        uri
    }
}

/// What the outcome is read from.
fn facts(end: &End, last: Option<Final>) -> CallFacts {
    let stop = end.reason.and_then(|reason| match reason {
        Reason::RangEnough => Some(Stop::RingLimit),
        Reason::NoRing => Some(Stop::NoRingLimit),
        Reason::HungUp => Some(Stop::HungUp),
        Reason::Diverted => None,
    });
    let stop = match end.cause {
        Cause::Abandoned => stop.or(Some(Stop::NoAnswer)),
        _ => stop,
    };
    let end_seen = match (end.cause, last) {
        (Cause::TransportError, _) => CallEnd::TransportError,
        // A challenge to a call that is not wanted any more is not an answer to it.
        (_, Some(Final { status: 401 | 407, .. })) if stop.is_some() => CallEnd::Silence,
        (_, Some(last)) => CallEnd::Final { status: last.status, cause: last.cause },
        (_, None) => CallEnd::Silence,
    };
    CallFacts {
        rang: end.rang,
        diverted: end.reason == Some(Reason::Diverted),
        stop,
        end: end_seen,
    }
}
