//! Calls: placing, hanging up, what happens to them.

use std::time::{Duration, Instant};

use super::common::Owner;
use super::{Core, UserAgent};
use crate::call::active::ActiveCall;
use crate::call::{CallHandle, CallRequest, InterruptedCall, PlaceCallError, VoiceCallRequest};
use crate::identity::Branch;
use crate::message::Message;
use crate::transport::Loss;
use crate::trunk::TrunkHandle;
use crate::trunk::state::Fate;

/// The shortest and the longest that an answered call may stay up.
const TALK_LIMIT_FLOOR: Duration = Duration::from_secs(1);
const TALK_LIMIT_CAP: Duration = Duration::from_secs(15 * 60);

impl UserAgent {
    /// Sends an INVITE. Its [`crate::Event::Ended`] is promised from here on.
    pub fn place_call(
        &mut self,
        now: Instant,
        trunk: TrunkHandle,
        request: CallRequest,
    ) -> Result<CallHandle, PlaceCallError> {
        self.core.place(now, trunk, (request, None))
    }

    /// Sends the INVITE of a call that stays up once it is answered, which
    /// [`crate::Event::Answered`] tells. Its [`crate::Event::Ended`] is promised from here on.
    pub fn place_voice_call(
        &mut self,
        now: Instant,
        trunk: TrunkHandle,
        request: VoiceCallRequest,
    ) -> Result<CallHandle, PlaceCallError> {
        let talk_limit = request.talk_limit.clamp(TALK_LIMIT_FLOOR, TALK_LIMIT_CAP);
        self.core.place(now, trunk, (request.call, Some(talk_limit)))
    }

    /// Ends a call: by CANCEL, as soon as that is allowed, or by BYE where it is up. An unknown or ended call is left as it
    /// is.
    pub fn hang_up(&mut self, now: Instant, call: CallHandle) {
        let core = &mut self.core;
        if let Some(place) = core.calls.place_of(call.0) {
            core.hang_up_at(now, place);
        }
    }

    /// Cancels the INVITE of a call that was up when an earlier process died, or hangs up where it
    /// had been answered and its dialog was saved. It is told by
    /// [`crate::Event::InterruptedCallCancelled`]; there is no `Ended` for it.
    pub fn cancel_interrupted(
        &mut self,
        now: Instant,
        trunk: TrunkHandle,
        call: InterruptedCall,
    ) -> Result<CallHandle, PlaceCallError> {
        let core = &mut self.core;
        let trunk = core.trunks.get_mut(trunk).ok_or(PlaceCallError::UnknownTrunk)?;
        let common = &mut core.common;
        // The address was written down by us, but the set of addresses may have changed since.
        let left_up = call.dialog.as_ref().and_then(|dialog| dialog.next_hop());
        for ip in [Some(call.target.ip()), left_up].into_iter().flatten() {
            trunk.remember(now, ip);
        }
        let place = core.calls.insert(|handle, place| {
            ActiveCall::interrupted(now, common, trunk, (CallHandle(handle), place), call)
        });
        core.trunks.collect_peers();
        Ok(core.settle_new_call(place))
    }
}

impl Core {
    fn place(
        &mut self,
        now: Instant,
        trunk: TrunkHandle,
        (request, talk_limit): (CallRequest, Option<Duration>),
    ) -> Result<CallHandle, PlaceCallError> {
        let is_shutting_down = self.is_shutting_down;
        let trunk = self.trunks.get_mut(trunk).ok_or(PlaceCallError::UnknownTrunk)?;
        let common = &mut self.common;
        if trunk.fate != Fate::Serving || is_shutting_down {
            return Err(PlaceCallError::Paused);
        }
        if !trunk.is_bound() {
            return Err(PlaceCallError::NotRegistered);
        }
        let remote = trunk.choose(now, &mut common.rng, &[]).ok_or(PlaceCallError::NoTarget)?;
        if trunk.calls_up >= trunk.settings.max_calls {
            return Err(PlaceCallError::ChannelsBusy);
        }
        trunk.calls_up += 1;
        let place = self.calls.insert(|handle, place| {
            let names = (CallHandle(handle), place);
            ActiveCall::place(now, common, trunk, names, (remote, request, talk_limit))
        });
        Ok(self.settle_new_call(place))
    }

    pub(super) fn hang_up_at(&mut self, now: Instant, place: u32) {
        if let Some(call) = self.calls.get_mut(place) {
            call.hang_up(now, &mut self.common);
        }
        self.settle_call(place);
    }

    pub(super) fn call_timeout(&mut self, now: Instant, place: u32) {
        let left = self.leave_silence(now, place);
        if let Some(call) = self.calls.get_mut(place) {
            call.handle_timeout(now, &mut self.common);
        }
        self.settle_call(place);
        if let Some(mut left) = left {
            let common = &mut self.common;
            let place = self.calls.insert(|_, place| {
                left.settle_at(common, place);
                left
            });
            self.settle_call(place);
        }
    }

    /// Takes a call to its trunk's next target when this one left it without an answer. Returns
    /// what is left there.
    fn leave_silence(&mut self, now: Instant, place: u32) -> Option<ActiveCall> {
        let call = self.calls.get_mut(place).filter(|call| call.is_left_silent(now))?;
        let index = call.trunk();
        let trunk = self.trunks.at(index)?;
        let left = call.leave_silence(now, &mut self.common, trunk);
        self.with_trunk(index, |trunk, common| trunk.call_unanswered(now, common));
        left
    }

    pub(super) fn calls_transport_error(&mut self, now: Instant, loss: &Loss) {
        for place in self.calls.places() {
            let Some(call) = self.calls.get_mut(place) else { continue };
            let trunk = self.trunks.at(call.trunk());
            let common = &mut self.common;
            if trunk.is_some_and(|trunk| call.leave_loss(now, common, trunk, loss)) {
                self.settle_call(place);
                continue;
            }
            if call.handle_transport_error(now, &mut self.common, loss) {
                self.settle_call(place);
            }
        }
    }

    /// `false`: the response belongs to nothing.
    pub(super) fn call_response(
        &mut self,
        now: Instant,
        place: u32,
        (branch, response): (Branch, &Message<'_>),
    ) -> bool {
        let Some(call) = self.calls.get_mut(place) else { return false };
        let Some(trunk) = self.trunks.at(call.trunk()) else { return false };
        trunk.learn_from(now, &mut self.common, &response.via, false);
        let was_ended = call.is_ended();
        let taken = call.handle_response(now, &mut self.common, trunk, (branch, response));
        let has_ended = call.is_ended() && !was_ended;
        let index = call.trunk();
        self.settle_call(place);
        if has_ended && let Some(status) = response.status() {
            let status = status.code();
            self.with_trunk(index, |trunk, common| trunk.call_refused(now, common, status));
        }
        taken
    }

    fn settle_new_call(&mut self, place: u32) -> CallHandle {
        let handle = self.calls.get_mut(place).map(|call| call.handle());
        self.settle_call(place);
        handle.unwrap_or(CallHandle(0))
    }

    /// Brings timers and counts in line with a call that may have changed, and removes it when
    /// nothing of it is left.
    pub(super) fn settle_call(&mut self, place: u32) {
        let Some(call) = self.calls.get_mut(place) else { return };
        let trunk = call.trunk();
        if call.counted && !call.holds_channel() {
            call.counted = false;
            if let Some(trunk) = self.trunks.at(trunk) {
                trunk.calls_up = trunk.calls_up.saturating_sub(1);
            }
        }
        let in_dialog = call.is_in_dialog();
        if call.is_listed != in_dialog {
            call.is_listed = in_dialog;
            match in_dialog {
                true => self.talks.insert(call.call_id(), place),
                false => self.talks.remove(&call.call_id()),
            };
        }
        let is_over = call.is_over();
        let deadline = if is_over { None } else { call.deadline() };
        self.common.timers.rearm(Owner::Call(place), &mut call.armed, deadline);
        if is_over && let Some(call) = self.calls.remove(place) {
            call.drop_transactions(&mut self.common);
        }
    }
}
