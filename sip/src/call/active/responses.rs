//! What a call does with the responses that it gets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{ActiveCall, Final, Round};
use crate::auth::{AuthRequest, challenges};
use crate::call::TimelineEvent;
use crate::call::forks::{Destiny, Releaser};
use crate::call::machine::{Input, Signal, State};
use crate::call::pracks::Order;
use crate::event::Event;
use crate::identity::{Branch, Purpose};
use crate::message::{Message, Method};
use crate::request::Progress;
use crate::transaction::{ClientInput, ClientSend, ClientStep, ClientTell, InviteClient};
use crate::transport::Remote;
use crate::trunk::state::Trunk;
use crate::trunk::{Rel100, RingSignal};
use crate::user_agent::common::{Common, Owner};

/// Retry-After beyond this is taken for this: a far side must not close a trunk for a day.
const RETRY_AFTER_CAP: Duration = Duration::from_secs(300);

impl ActiveCall {
    /// A response with one of our branches came from an address of the trunk. `false`: it belongs
    /// to no transaction of this call.
    pub(crate) fn handle_response(
        &mut self,
        now: Instant,
        common: &mut Common,
        trunk: &mut Trunk,
        (branch, response): (Branch, &Message<'_>),
    ) -> bool {
        let Some(status) = response.status().map(|status| status.code()) else { return false };
        match response.cseq.method {
            Method::Invite if branch == self.round.branch => {
                self.invite_response(now, common, trunk, (response, status));
                true
            }
            Method::Invite => self.refused_response(now, common, trunk, (branch, response)),
            Method::Cancel if branch == self.round.branch => {
                self.cancel_response(now, common, status)
            }
            Method::Prack => self.prack_response(now, common, trunk, (branch, response)),
            Method::Bye => {
                let wire = Arc::clone(&self.wire);
                let by = Releaser { wire: &wire, ..self.releaser() };
                let (answer, authenticator) = ((response, status), &mut trunk.authenticator);
                let is_ours = self.forks.handle_response(now, common, by, authenticator, answer);
                self.left_up_settled(common, Some(status));
                is_ours
            }
            _ => false,
        }
    }

    fn invite_response(
        &mut self,
        now: Instant,
        common: &mut Common,
        trunk: &mut Trunk,
        (response, status): (&Message<'_>, u16),
    ) {
        let terms = self.terms(common);
        let step: ClientStep = self.round.machine.step(now, &terms, client_input(status));
        let order = match status {
            101..200 if step.tell.is_some() => self.acknowledge(now, common, trunk, response),
            _ => Order::Next,
        };
        let is_repeat = order != Order::Next
            || self.timeline.as_ref().is_none_or(|timeline| timeline.ends_with_response(status));
        if !is_repeat {
            self.enter(now, TimelineEvent::Response { status });
        }
        if step.send == Some(ClientSend::Ack) {
            self.send_ack(common, &self.round, response.to.raw);
        }
        if status < 300 {
            trunk.take_back(self.round.address);
        }
        if status > 100 && !self.credentials.is_empty() && !is_repeat {
            trunk.authenticator.settled("INVITE", &self.credentials, status);
        }
        let last = Final {
            status,
            cause: response.headers.q850().map(|cause| cause.0),
            retry_after: response
                .headers
                .retry_after_s()
                .map(|seconds| Duration::from_secs(u64::from(seconds)).min(RETRY_AFTER_CAP)),
        };
        match status {
            // A 2xx is released in whatever state it finds the transaction: a forking proxy may
            // send one behind a failure (RFC 3261 section 16.7, step 5).
            200..300 => {
                let destiny = self.destiny(now, trunk, response);
                self.take_success(now, common, trunk, (self.round.remote(), response, destiny));
                let input = match destiny {
                    Destiny::Kept => Input::Answered,
                    Destiny::Released => Input::Success,
                };
                self.step(now, common, input, Some(last));
            }
            _ if step.tell != Some(ClientTell::Response) || order == Order::Repeated => {}
            100..200 => {
                let signal = match order {
                    Order::Ahead => Signal::Progress,
                    _ => signal(response, status, trunk.settings.ring_signal),
                };
                self.hear_early(trunk, response);
                self.step(now, common, Input::Provisional(signal), Some(last));
            }
            401 | 407 if self.answer_challenge(now, common, trunk, response) => {}
            503 if self.fail_over(now, common, trunk, None) => {}
            _ if self.mend(now, common, trunk, (response, status)) => {}
            _ => self.step(now, common, Input::Failure, Some(last)),
        }
    }

    /// ACK, and BYE unless it is to stay, for a new dialog; ACK for a repeat.
    fn take_success(
        &mut self,
        now: Instant,
        common: &mut Common,
        trunk: &Trunk,
        (peer, response, destiny): (Remote, &Message<'_>, Destiny),
    ) {
        let wire = Arc::clone(&self.wire);
        let by = Releaser { wire: &wire, ..self.releaser() };
        let way = (peer, &self.credentials);
        let to_tag = response.to.tag().unwrap_or_default();
        let sent = self.pracks.as_ref().map_or(0, |pracks| pracks.sent_within(to_tag));
        let success = (response, sent, destiny);
        let is_new = self.forks.release(now, common, by, success, way, |ip| trunk.trusts(now, ip));
        if is_new {
            self.enter(now, TimelineEvent::Ack);
            if destiny == Destiny::Released {
                self.enter(now, TimelineEvent::Bye);
            }
        }
    }

    /// Acknowledges a provisional response that is sent reliably, where that was offered.
    fn acknowledge(
        &mut self,
        now: Instant,
        common: &mut Common,
        trunk: &Trunk,
        response: &Message<'_>,
    ) -> Order {
        if self.shape.rel100 == Rel100::Off || self.state.is_ended() {
            return Order::Next;
        }
        let wire = Arc::clone(&self.wire);
        let by = Releaser { wire: &wire, ..self.releaser() };
        let peer = (self.round.remote(), |ip| trunk.trusts(now, ip));
        let pracks = self.pracks.get_or_insert_default();
        pracks.receive(now, common, by, response, peer)
    }

    fn prack_response(
        &mut self,
        now: Instant,
        common: &mut Common,
        trunk: &mut Trunk,
        answer: (Branch, &Message<'_>),
    ) -> bool {
        let wire = Arc::clone(&self.wire);
        let by = Releaser { wire: &wire, ..self.releaser() };
        let Some(pracks) = &mut self.pracks else { return false };
        pracks.handle_response(now, common, by, &mut trunk.authenticator, answer)
    }

    /// Forgets what is under way within early dialogs.
    pub(super) fn drop_pracks(&mut self, common: &mut Common) {
        if let Some(pracks) = &mut self.pracks {
            pracks.drop_transactions(common);
        }
    }

    /// Repeats the INVITE as the refusal asks. `false`: the refusal is the call's end.
    fn mend(
        &mut self,
        now: Instant,
        common: &mut Common,
        trunk: &mut Trunk,
        (refusal, status): (&Message<'_>, u16),
    ) -> bool {
        if !self.is_worth_another_round(now) || !self.shape.mend(status, refusal) {
            return false;
        }
        let uri = self.request_uri(common);
        let invite = AuthRequest { method: "INVITE", uri: &uri, in_dialog: false };
        trunk.authenticator.repeat(&mut common.rng, invite, &mut self.credentials);
        common.scratch = uri;
        common.counters.refusals_mended += 1;
        self.next_round(now, common, self.round.remote());
        true
    }

    /// Whether a refusal may be followed by another INVITE of the same call.
    pub(super) fn is_worth_another_round(&self, now: Instant) -> bool {
        self.state.is_wanted() && now < self.limits.until
    }

    /// Repeats the INVITE with credentials. `false`: the challenge is the call's end.
    fn answer_challenge(
        &mut self,
        now: Instant,
        common: &mut Common,
        trunk: &mut Trunk,
        response: &Message<'_>,
    ) -> bool {
        if !self.is_worth_another_round(now) {
            return false;
        }
        let uri = self.request_uri(common);
        let invite = AuthRequest { method: "INVITE", uri: &uri, in_dialog: false };
        let answered = trunk.authenticator.answer(
            &mut common.rng,
            challenges(response),
            invite,
            &mut self.credentials,
        );
        common.scratch = uri;
        if answered.is_err() {
            common.counters.challenges_refused += 1;
            return false;
        }
        self.next_round(now, common, self.round.remote());
        true
    }

    /// Sends the INVITE again in a transaction of its own.
    pub(super) fn next_round(&mut self, now: Instant, common: &mut Common, remote: Remote) {
        let cseq = self.round.cseq + 1;
        let next = Round {
            cseq,
            branch: Branch::derive(&self.identity, Purpose::Invite, cseq),
            machine: InviteClient::start(now, &common.terms(&remote)),
            address: remote.address,
            transport: remote.transport,
            is_repeated: false,
        };
        self.refused.reserve_exact(1);
        self.refused.push(std::mem::replace(&mut self.round, next));
        self.state = State::calling(now, &self.limits);
        self.enter(now, TimelineEvent::Invite { cseq });
        self.begin_round(now, common);
    }

    /// A response to an INVITE that was refused and sent again.
    fn refused_response(
        &mut self,
        now: Instant,
        common: &mut Common,
        trunk: &Trunk,
        (branch, response): (Branch, &Message<'_>),
    ) -> bool {
        let Some(at) = self.refused.iter().position(|round| round.branch == branch) else {
            return false;
        };
        let terms = common.terms(&self.refused[at].remote());
        let status = response.status().map_or(0, |status| status.code());
        let step = self.refused[at].machine.step(now, &terms, client_input(status));
        if step.send == Some(ClientSend::Ack) {
            self.send_ack(common, &self.refused[at], response.to.raw);
        }
        if (200..300).contains(&status) {
            let peer = self.refused[at].remote();
            self.take_success(now, common, trunk, (peer, response, Destiny::Released));
        }
        true
    }

    /// A response to the CANCEL; it never ends the INVITE (RFC 3261 section 9.1).
    fn cancel_response(&mut self, now: Instant, common: &mut Common, status: u16) -> bool {
        let Some(cancel) = &mut self.cancel else { return false };
        let progress = cancel.handle_response(now, common, status);
        if progress == Progress::Response && status >= 200 {
            self.interrupted_answered(now, common, status);
        }
        true
    }

    /// The CANCEL of an earlier process's call has its final response.
    fn interrupted_answered(&mut self, now: Instant, common: &mut Common, status: u16) {
        let Some(tries) = self.interrupted else { return };
        if status == 481 && tries > 0 && self.state != State::Over {
            self.interrupted = Some(tries - 1);
            self.cancel_next_cseq(now, common);
            return;
        }
        self.interrupted = None;
        let call = self.handle;
        common.events.push_back(Event::InterruptedCallCancelled { call, status: Some(status) });
        if status >= 300 {
            self.forget_interrupted();
        }
    }

    /// The far side knows no INVITE with this CSeq number: perhaps one with the next.
    fn cancel_next_cseq(&mut self, now: Instant, common: &mut Common) {
        common.branches.remove(&self.round.branch);
        let cseq = self.round.cseq.wrapping_add(1);
        let branch = Branch::derive(&self.identity, Purpose::Invite, cseq);
        let Round { address, transport, .. } = self.round;
        let machine = InviteClient::Proceeding;
        self.round = Round { cseq, branch, machine, address, transport, is_repeated: false };
        self.state = State::undoing(now, &self.limits);
        common.branches.insert(branch, Owner::Call(self.place));
        self.send_cancel(now, common);
    }
}

fn client_input(status: u16) -> ClientInput {
    match status {
        100..200 => ClientInput::Provisional,
        200..300 => ClientInput::Success,
        _ => ClientInput::Failure,
    }
}

/// What a 1xx says to this trunk's operator. 181, Diversion and History-Info say that somebody
/// else's phone would show the code.
fn signal(response: &Message<'_>, status: u16, ring_signal: RingSignal) -> Signal {
    if status == 181 || response.headers.is_diverted() {
        return Signal::Diverted;
    }
    let rings = match ring_signal {
        RingSignal::Ringing => status == 180,
        RingSignal::RingingOrSessionProgress => {
            status == 180 || status == 183 && !response.body.is_empty()
        }
        RingSignal::Any => !matches!(status, 100 | 181 | 182 | 199),
    };
    if rings { Signal::Ringing } else { Signal::Progress }
}
