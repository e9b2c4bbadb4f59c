//! Going on to another target of the same trunk (RFC 3263 section 4.3).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{ActiveCall, Round};
use crate::auth::AuthRequest;
use crate::call::TimelineEvent;
use crate::call::forks::Forks;
use crate::call::machine::State;
use crate::call::shape::Shape;
use crate::transaction::InviteClient;
use crate::transport::{Loss, Target, Transport, TransportError};
use crate::trunk::Rel100;
use crate::trunk::state::Trunk;
use crate::user_agent::common::{Common, Owner};

/// From the first INVITE: a phone that rings later than somebody waits for it helps nobody.
const WINDOW: Duration = Duration::from_secs(10);

impl ActiveCall {
    /// The target failed: sends the INVITE to the next one, and enters `why` before it. `false`:
    /// there is none, or the call is not worth it, and this is the call's end.
    pub(super) fn fail_over(
        &mut self,
        now: Instant,
        common: &mut Common,
        trunk: &mut Trunk,
        why: Option<TimelineEvent>,
    ) -> bool {
        let failed = self.round.address;
        trunk.set_aside(now, failed);
        if !self.may_fail_over(now) {
            return false;
        }
        let tried = &mut self.tried.get_or_insert_default().0;
        tried.push(failed);
        let Some(remote) = trunk.choose(now, &mut common.rng, tried) else { return false };
        if let Some(why) = why {
            self.enter(now, why);
        }
        let uri = self.request_uri(common);
        let invite = AuthRequest { method: "INVITE", uri: &uri, in_dialog: false };
        trunk.authenticator.repeat(&mut common.rng, invite, &mut self.credentials);
        common.scratch = uri;
        common.counters.failovers += 1;
        self.next_round(now, common, remote);
        true
    }

    /// Whether the target has left the INVITE without an answer for as long as it may.
    pub(crate) fn is_left_silent(&self, now: Instant) -> bool {
        matches!(self.state, State::Calling { no_answer, .. } if no_answer <= now)
            && matches!(self.round.machine, InviteClient::Calling { .. })
    }

    /// Goes on to the next target after this one's silence. Returns what is left of its INVITE,
    /// which may still ring and has to be undone then; `None`: there is no other target.
    pub(crate) fn leave_silence(
        &mut self,
        now: Instant,
        common: &mut Common,
        trunk: &mut Trunk,
    ) -> Option<ActiveCall> {
        if !self.fail_over(now, common, trunk, Some(TimelineEvent::Timeout)) {
            return None;
        }
        // Its transaction goes with what is left.
        self.refused.pop().map(|round| self.remains(round))
    }

    /// The network lost what went to a far end: goes on to the next target. `false`: the call is
    /// not concerned, or there is none.
    pub(crate) fn leave_loss(
        &mut self,
        now: Instant,
        common: &mut Common,
        trunk: &mut Trunk,
        loss: &Loss,
    ) -> bool {
        if self.falls_back(now, common, trunk, loss) {
            return true;
        }
        let is_lost = matches!(self.round.machine, InviteClient::Calling { .. })
            && loss.concerns(self.trunk, &self.round.remote())
            && !self.goes_once_more(loss.kind);
        if !is_lost || !self.fail_over(now, common, trunk, Some(TimelineEvent::TransportError)) {
            return false;
        }
        if let Some(lost) = self.refused.pop() {
            common.branches.remove(&lost.branch);
        }
        true
    }

    /// An INVITE that was too large for a datagram found no TCP at its target: it goes as a
    /// datagram after all (RFC 3261 section 18.1.1), and so do others for a while.
    fn falls_back(
        &mut self,
        now: Instant,
        common: &mut Common,
        trunk: &Trunk,
        loss: &Loss,
    ) -> bool {
        let Round { transport, address, .. } = self.round;
        let of_udp =
            |target: &Target| (target.transport, target.address) == (Transport::Udp, address);
        // A connection that was open and broke may have carried the INVITE.
        let never_left = loss.kind != TransportError::Reset
            && loss.concerns(self.trunk, &self.round.remote())
            && matches!(self.round.machine, InviteClient::Calling { .. });
        let is_grown = transport == Transport::Tcp && trunk.targets.iter().any(of_udp);
        if !(never_left && is_grown && self.state.is_wanted()) {
            return false;
        }
        common.note_tcp_refusal(now, address);
        self.go_by(now, common, Transport::Udp);
        self.send_invite(common);
        true
    }

    /// Takes the place at which it was put.
    pub(crate) fn settle_at(&mut self, common: &mut Common, place: u32) {
        self.place = place;
        common.branches.insert(self.round.branch, Owner::Call(place));
    }

    fn may_fail_over(&self, now: Instant) -> bool {
        let start = self.timeline.as_ref().map(|timeline| timeline.start_of_call());
        let is_early = start.is_some_and(|start| now.saturating_duration_since(start) < WINDOW);
        is_early && self.is_worth_another_round(now)
    }

    /// An INVITE that was left as a call of its own, of which nothing is told.
    fn remains(&self, mut round: Round) -> ActiveCall {
        round.machine.silence();
        ActiveCall {
            handle: self.handle,
            place: self.place,
            trunk: self.trunk,
            wire: Arc::clone(&self.wire),
            ids: self.ids,
            identity: self.identity,
            called: self.called.clone(),
            caller_id: self.caller_id.clone(),
            media_port: self.media_port,
            expires_s: self.expires_s,
            limits: self.limits,
            state: State::Abandoned { is_told: false },
            round,
            tried: None,
            refused: Vec::new(),
            credentials: self.credentials.clone(),
            cancel: None,
            forks: Forks::default(),
            shape: Shape::new(Rel100::Off),
            pracks: None,
            voice: None,
            timeline: None,
            interrupted: None,
            armed: None,
            is_listed: false,
            counted: false,
        }
    }
}
