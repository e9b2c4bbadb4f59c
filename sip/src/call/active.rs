//! A call under way: its INVITEs, their CANCEL, and what must be undone.

mod failover;
mod responses;
mod sending;
mod voice;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::forks::{Forks, Releaser};
use super::machine::{Input, Limits, State, Step};
use super::pracks::Pracks;
use super::shape::Shape;
use super::talk::{Talk, Voice};
use super::timeline::Timeline;
use super::{CallHandle, CallIdentity, CallRequest, InterruptedCall, TimelineEvent};
use crate::auth::{AuthRequest, Credentials};
use crate::event::Event;
use crate::identity::{Branch, Identifiers, Purpose};
use crate::number::{CallerId, UserPart};
use crate::request::{Progress, Request};
use crate::timer::earlier;
use crate::transaction::{ClientInput, ClientSend, ClientTell, InviteClient};
use crate::transport::{Loss, Remote, Transport, TransportError};
use crate::trunk::Rel100;
use crate::trunk::state::Trunk;
use crate::trunk::wire::Wire;
use crate::user_agent::common::{Common, Owner};

/// CSeq number of the first INVITE of a call.
pub(super) const FIRST_CSEQ: u32 = 1;
/// CSeq numbers above the last known one that are tried when an earlier process's INVITE is to be
/// cancelled: one for each round of challenges and for each refusal that was mended since.
const LATER_CSEQS: u8 = 7;

/// One call, from its INVITE to the last repeat that may come.
#[derive(Debug)]
pub(crate) struct ActiveCall {
    handle: CallHandle,
    /// Its own place, for the timers and branches it registers.
    place: u32,
    trunk: u32,
    wire: Arc<Wire>,
    identity: CallIdentity,
    ids: Identifiers,
    called: UserPart,
    caller_id: CallerId,
    media_port: u16,
    expires_s: u16,
    limits: Limits,
    state: State,
    round: Round,
    /// Boxed, because most calls have none: a call is small.
    tried: Option<Box<Tried>>,
    /// INVITEs that were refused and sent again; their failures may come again.
    refused: Vec<Round>,
    credentials: Credentials,
    cancel: Option<Box<Request>>,
    forks: Forks,
    /// What the INVITE holds beside the necessary.
    shape: Shape,
    /// Gone with the offer of reliable responses, which most trunks are not made.
    pracks: Option<Box<Pracks>>,
    /// `None`: a flash call, which is released as soon as it is answered.
    voice: Option<Box<Voice>>,
    /// Gone when the end is told.
    timeline: Option<Timeline>,
    /// For a call of an earlier process: the CSeq numbers that are left to try.
    interrupted: Option<u8>,
    /// What the timer queue holds for this call.
    pub(crate) armed: Option<Instant>,
    /// Whether the user agent finds it by its Call-ID for the far side's requests.
    pub(crate) is_listed: bool,
    /// Whether the trunk counts this call among those that are up.
    pub(crate) counted: bool,
}

/// One INVITE with its transaction.
#[derive(Debug)]
struct Round {
    cseq: u32,
    branch: Branch,
    machine: InviteClient,
    /// Where it went; by which connection is the driver's to find.
    address: SocketAddr,
    transport: Transport,
    /// Whether it was sent again because its connection broke.
    is_repeated: bool,
}

/// The targets that failed a call.
#[derive(Debug, Default)]
struct Tried(Vec<SocketAddr>);

/// What the final response says beside its class.
#[derive(Clone, Copy, Debug)]
struct Final {
    status: u16,
    cause: Option<u8>,
    retry_after: Option<Duration>,
}

impl Round {
    /// The far end.
    fn remote(&self) -> Remote {
        Remote { transport: self.transport, address: self.address, connection: None }
    }
}

impl ActiveCall {
    /// Sends the first INVITE.
    pub(crate) fn place(
        now: Instant,
        common: &mut Common,
        trunk: &mut Trunk,
        (handle, place): (CallHandle, u32),
        (remote, request, talk_limit): (Remote, CallRequest, Option<Duration>),
    ) -> Self {
        let talk = talk_limit.unwrap_or_default();
        let limits = Limits::new(now, (&request, talk), common.settings.timings);
        let terms = common.terms(&remote);
        let mut call = Self {
            handle,
            place,
            trunk: trunk.index,
            wire: Arc::clone(&trunk.wire),
            ids: Identifiers::derive(&request.identity, &common.mark),
            identity: request.identity,
            called: request.called,
            caller_id: request.caller_id,
            media_port: request.media_port,
            expires_s: request.call_limit.as_millis().div_ceil(1000).clamp(1, 3600) as u16,
            limits,
            state: State::calling(now, &limits),
            round: Round {
                cseq: FIRST_CSEQ,
                branch: Branch::derive(&request.identity, Purpose::Invite, FIRST_CSEQ),
                machine: InviteClient::start(now, &terms),
                address: remote.address,
                transport: remote.transport,
                is_repeated: false,
            },
            tried: None,
            refused: Vec::new(),
            credentials: Credentials::default(),
            cancel: None,
            forks: Forks::default(),
            shape: Shape::new(trunk.settings.rel100),
            pracks: None,
            voice: talk_limit.map(|_| Box::default()),
            timeline: Some(Timeline::start(now)),
            interrupted: None,
            armed: None,
            is_listed: false,
            counted: true,
        };
        let uri = call.request_uri(common);
        let invite = AuthRequest { method: "INVITE", uri: &uri, in_dialog: false };
        trunk.authenticator.foresee(&mut common.rng, invite, &mut call.credentials);
        common.scratch = uri;
        call.begin_round(now, common);
        call
    }

    /// Sends the CANCEL of an INVITE that an earlier process sent, or the BYE of the dialog that it
    /// left up.
    pub(crate) fn interrupted(
        now: Instant,
        common: &mut Common,
        trunk: &Trunk,
        (handle, place): (CallHandle, u32),
        call: InterruptedCall,
    ) -> Self {
        let limits = Limits::none(now, common.settings.timings);
        let branch = Branch::derive(&call.identity, Purpose::Invite, call.last_cseq);
        let transport = trunk.wire.transport;
        let left_up = call.dialog.as_ref().and_then(|dialog| dialog.restore(transport));
        let (state, machine) = match left_up {
            Some(_) => (State::Over, InviteClient::Terminated),
            None => (State::undoing(now, &limits), InviteClient::Proceeding),
        };
        let mut call = Self {
            handle,
            place,
            trunk: trunk.index,
            wire: Arc::clone(&trunk.wire),
            ids: Identifiers::derive(&call.identity, &common.mark),
            identity: call.identity,
            called: call.called,
            caller_id: call.caller_id,
            media_port: 0,
            expires_s: 0,
            limits,
            state,
            round: Round {
                cseq: call.last_cseq,
                branch,
                machine,
                address: call.target,
                transport,
                is_repeated: false,
            },
            tried: None,
            refused: Vec::new(),
            credentials: Credentials::default(),
            cancel: None,
            forks: Forks::default(),
            shape: Shape::new(Rel100::Off),
            pracks: None,
            voice: None,
            timeline: None,
            interrupted: Some(LATER_CSEQS),
            armed: None,
            is_listed: false,
            counted: false,
        };
        match left_up {
            Some(left_up) => {
                let wire = Arc::clone(&call.wire);
                let by = Releaser { wire: &wire, ..call.releaser() };
                call.forks.hang_up_left(now, common, by, left_up);
                call.left_up_settled(common, None);
            }
            None => {
                common.branches.insert(call.round.branch, Owner::Call(place));
                call.send_cancel(now, common);
            }
        }
        call
    }

    /// Our name for it.
    pub(crate) fn handle(&self) -> CallHandle {
        self.handle
    }

    /// Which trunk it uses.
    pub(crate) fn trunk(&self) -> u32 {
        self.trunk
    }

    /// Whether it takes one of the trunk's channels. The 200 to its CANCEL gives it back, for the
    /// 487 may never come.
    pub(crate) fn holds_channel(&self) -> bool {
        !self.state.is_ended() && self.cancel.as_ref().is_none_or(|cancel| cancel.is_open())
    }

    /// Whether its end was told.
    pub(crate) fn is_ended(&self) -> bool {
        self.state.is_ended() && self.interrupted.is_none()
    }

    /// Whether the phone rings.
    pub(crate) fn rings(&self) -> bool {
        matches!(self.state, State::Ringing { .. })
    }

    /// Whether nothing of it waits for an answer: what is left are repeats.
    pub(crate) fn is_quiet(&self) -> bool {
        self.is_ended() && !self.cancels_still() && self.forks.is_quiet()
    }

    /// Whether its CANCEL was answered and only the INVITE's own end is missing, which may never
    /// come.
    pub(crate) fn waits_for_487(&self) -> bool {
        matches!(self.state, State::Cancelling { .. }) && !self.cancels_still()
    }

    /// Whether nothing of it is left.
    pub(crate) fn is_over(&self) -> bool {
        self.state == State::Over
            && self.round.machine == InviteClient::Terminated
            && self.refused.is_empty()
            && self.cancel.as_ref().is_none_or(|cancel| cancel.is_over())
            && self.forks.is_over()
    }

    /// Its earliest deadline.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let cancel = self.cancel.as_ref().and_then(|cancel| cancel.deadline());
        let invites = self.refused.iter().chain([&self.round]);
        invites
            .map(|round| round.machine.deadline())
            .chain([self.state.deadline(&self.limits), cancel, self.forks.deadline()])
            .chain([self.pracks.as_ref().and_then(|pracks| pracks.deadline())])
            .chain([self.talk().and_then(Talk::deadline)])
            .fold(None, earlier)
    }

    /// Forgets its branches.
    pub(crate) fn drop_transactions(mut self: Box<Self>, common: &mut Common) {
        for round in self.refused.iter().chain([&self.round]) {
            common.branches.remove(&round.branch);
        }
        self.drop_pracks(common);
        self.forks.drop_transactions(common);
    }

    /// The daemon wants no more of it.
    pub(crate) fn hang_up(&mut self, now: Instant, common: &mut Common) {
        let answered = self.answered();
        self.step(now, common, Input::HangUp, answered);
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant, common: &mut Common) {
        let terms = self.terms(common);
        while let Some(timer) = self.round.machine.due(now) {
            let step = self.round.machine.step(now, &terms, ClientInput::Fired(timer));
            if step.send == Some(ClientSend::Request) {
                common.counters.retransmissions += 1;
                self.send_invite(common);
            }
            if step.tell == Some(ClientTell::Timeout) {
                self.enter(now, TimelineEvent::Timeout);
                self.step(now, common, Input::Timeout, None);
            }
        }
        for round in &mut self.refused {
            let terms = common.terms(&round.remote());
            while let Some(timer) = round.machine.due(now) {
                round.machine.step(now, &terms, ClientInput::Fired(timer));
            }
        }
        self.refused.retain(|round| {
            let is_over = round.machine == InviteClient::Terminated;
            if is_over {
                common.branches.remove(&round.branch);
            }
            !is_over
        });
        if let Some(cancel) = &mut self.cancel {
            let progress = cancel.handle_timeout(now, common);
            if progress == Progress::Timeout {
                self.cancel_failed(common);
            }
        }
        self.forks.handle_timeout(now, common);
        self.left_up_settled(common, None);
        if let Some(pracks) = &mut self.pracks {
            pracks.handle_timeout(now, common);
        }
        self.talk_timeout(now, common);
        while self.state.deadline(&self.limits).is_some_and(|at| at <= now) {
            let answered = self.answered();
            self.step(now, common, Input::Deadline, answered);
        }
    }

    /// The network lost what went to a far end. `false`: nothing of this call went there.
    pub(crate) fn handle_transport_error(
        &mut self,
        now: Instant,
        common: &mut Common,
        loss: &Loss,
    ) -> bool {
        let is_concerned = self.forks.handle_transport_error(now, common, (self.trunk, loss));
        self.left_up_settled(common, None);
        if let Some(pracks) = &mut self.pracks {
            pracks.handle_transport_error(now, common, (self.trunk, loss));
        }
        if !loss.concerns(self.trunk, &self.round.remote()) {
            return is_concerned;
        }
        let progress = match &mut self.cancel {
            Some(cancel) => cancel.handle_transport_error(now, common, loss.kind),
            None => Progress::Nothing,
        };
        if self.goes_once_more(loss.kind) {
            self.round.is_repeated = true;
            self.send_invite(common);
            return true;
        }
        let terms = self.terms(common);
        let told = self.round.machine.step(now, &terms, ClientInput::TransportError).tell;
        if told.is_some() || progress == Progress::TransportError {
            self.enter(now, TimelineEvent::TransportError);
            self.step(now, common, Input::TransportError, None);
        }
        if progress == Progress::TransportError {
            self.cancel_failed(common);
        }
        let has_left = matches!(loss.kind, TransportError::Refused | TransportError::Unreachable);
        if has_left && matches!(self.state, State::Proceeding { .. }) {
            self.enter(now, TimelineEvent::TransportError);
            self.step(now, common, Input::TargetLost, None);
        }
        true
    }

    /// Whether an INVITE that nobody answered yet is sent over another connection: its own one
    /// broke, perhaps before the far side read it. One that is not wanted any more must not ring
    /// after all.
    fn goes_once_more(&self, kind: TransportError) -> bool {
        let is_open = matches!(self.round.machine, InviteClient::Calling { .. });
        let is_news = is_open && !self.round.is_repeated;
        kind == TransportError::Reset && is_news && self.state.is_wanted()
    }

    /// Does what a transition asks for. `status` is that of the response that led to it.
    fn step(&mut self, now: Instant, common: &mut Common, input: Input, last: Option<Final>) {
        let step: Step = self.state.step(now, &self.limits, input);
        if step.silence {
            self.round.machine.silence();
        }
        if step.ringing
            && let Some(timeline) = &self.timeline
        {
            let after = now.saturating_duration_since(timeline.start_of_call());
            let status = last.map_or(180, |last| last.status);
            common.events.push_back(Event::Ringing { call: self.handle, status, after });
        }
        if step.late_ringing {
            let status = last.map_or(180, |last| last.status);
            common.events.push_back(Event::LateRinging { call: self.handle, status });
        }
        if step.answered {
            self.tell_answered(now, common);
        }
        if step.bye {
            let wire = Arc::clone(&self.wire);
            let by = Releaser { wire: &wire, ..self.releaser() };
            self.forks.hang_up(now, common, by);
            self.enter(now, TimelineEvent::Bye);
        }
        if step.cancel {
            self.send_cancel(now, common);
        }
        if step.cancelled {
            common.events.push_back(Event::Cancelled { call: self.handle });
        }
        if step.forget {
            self.round.machine = InviteClient::Terminated;
        }
        if let Some(end) = step.end {
            // An INVITE that is over, or to be undone, wants no more of its early dialogs.
            self.drop_pracks(common);
            self.stop_talking();
            self.tell_end(now, common, end, last);
        }
    }

    /// The CANCEL of an earlier process's call was answered by nobody.
    fn cancel_failed(&mut self, common: &mut Common) {
        if self.interrupted.take().is_some() {
            let call = self.handle;
            common.events.push_back(Event::InterruptedCallCancelled { call, status: None });
            self.forget_interrupted();
        }
    }

    /// Tells what became of the BYE of a call that an earlier process left up, once that is known.
    fn left_up_settled(&mut self, common: &mut Common, status: Option<u16>) {
        let is_settled = self.state == State::Over && self.forks.is_quiet();
        if is_settled && !self.cancels_still() && self.interrupted.take().is_some() {
            let call = self.handle;
            common.events.push_back(Event::InterruptedCallCancelled { call, status });
        }
    }

    /// Nothing is to be cancelled. An INVITE that was answered meanwhile still has its repeats.
    fn forget_interrupted(&mut self) {
        self.state = State::Over;
        if self.round.machine == InviteClient::Proceeding {
            self.round.machine = InviteClient::Terminated;
        }
    }

    fn cancels_still(&self) -> bool {
        self.cancel.as_ref().is_some_and(|cancel| cancel.is_open())
    }

    fn enter(&mut self, now: Instant, event: TimelineEvent) {
        if let Some(timeline) = &mut self.timeline {
            timeline.enter(now, event);
        }
    }
}
