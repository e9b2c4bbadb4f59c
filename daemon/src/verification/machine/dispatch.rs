//! Texts and mails that carry a code, and what becomes of them.

use super::Effect;
use crate::clock::Timestamp;
use crate::ids::MessageId;
use crate::verification::input::Refusal;
use crate::verification::model::{
    Dispatch, DispatchOutcome, DispatchState, Step, StepStatus, Verification,
};

impl Verification {
    /// Adds a text or mail to the present step.
    pub(super) fn queue(&mut self, dispatch: &Dispatch) {
        if let Some(step) = self.steps.last_mut() {
            step.dispatches.push(dispatch.clone());
            step.await_news();
        }
    }

    pub(super) fn sending(&mut self, dispatch_id: MessageId) -> Result<Effect, Refusal> {
        self.require_pending()?;
        let (step, at) = self.find_dispatch(dispatch_id)?;
        match step.dispatches[at].state {
            DispatchState::Queued => {}
            // It may have left: whoever asks again must not send it.
            DispatchState::Sending | DispatchState::Ended { .. } => {
                return Err(Refusal::NotRepeatable);
            }
        }
        step.dispatches[at].state = DispatchState::Sending;
        if !step.status.shows_code() {
            step.status = StepStatus::Sending;
        }
        Ok(Effect::Changed)
    }

    pub(super) fn dispatched(
        &mut self,
        now: Timestamp,
        dispatch_id: MessageId,
        outcome: DispatchOutcome,
        detail: &str,
    ) -> Result<Effect, Refusal> {
        let (step, at) = self.find_dispatch(dispatch_id)?;
        if let DispatchState::Ended { outcome: earlier, .. } = step.dispatches[at].state
            && !earlier.is_corrected_by(outcome)
        {
            return Ok(Effect::Unchanged);
        }
        let detail = detail.to_owned();
        step.dispatches[at].state = DispatchState::Ended { at: now, outcome, detail };
        step.follow_dispatches();
        self.nothing_left(now);
        Ok(Effect::Changed)
    }

    /// A text has arrived when each of its parts has; one part that will not is enough for the
    /// opposite.
    pub(super) fn receipt(
        &mut self,
        now: Timestamp,
        dispatch_id: MessageId,
        (part, parts): (usize, usize),
        delivered: bool,
        detail: &str,
    ) -> Result<Effect, Refusal> {
        if !delivered {
            return self.dispatched(now, dispatch_id, DispatchOutcome::Failed, detail);
        }
        let (step, at) = self.find_dispatch(dispatch_id)?;
        let arrived = &mut step.dispatches[at].arrived;
        if part >= parts || arrived.contains(&part) {
            return Ok(Effect::Unchanged);
        }
        arrived.push(part);
        if arrived.len() < parts {
            return Ok(Effect::Changed);
        }
        match self.dispatched(now, dispatch_id, DispatchOutcome::Delivered, detail)? {
            // It had failed by another part's receipt; that this one arrived is kept.
            Effect::Unchanged => Ok(Effect::Changed),
            effect => Ok(effect),
        }
    }

    fn find_dispatch(&mut self, dispatch_id: MessageId) -> Result<(&mut Step, usize), Refusal> {
        self.steps
            .iter_mut()
            .find_map(|step| {
                let is_it = |dispatch: &Dispatch| dispatch.dispatch_id == dispatch_id;
                let at = step.dispatches.iter().position(is_it)?;
                Some((step, at))
            })
            .ok_or(Refusal::NoSuchCall)
    }
}

impl Step {
    /// The verification has ended: what waits to be handed on is not handed on any more, and
    /// what is under way may arrive, as its answer will still say.
    pub(super) fn let_go(&mut self, at: Timestamp) {
        let mut changed = false;
        for dispatch in &mut self.dispatches {
            let outcome = match dispatch.state {
                DispatchState::Queued => DispatchOutcome::Canceled,
                DispatchState::Sending => DispatchOutcome::Unknown,
                DispatchState::Ended { .. } => continue,
            };
            dispatch.state = DispatchState::Ended { at, outcome, detail: "ended".to_owned() };
            changed = true;
        }
        if changed {
            self.follow_dispatches();
        }
    }

    /// The step stands where the best of its texts or mails stands: what one of them showed
    /// stays shown.
    fn follow_dispatches(&mut self) {
        let ended = self.dispatches.iter().filter_map(|dispatch| match &dispatch.state {
            DispatchState::Ended { outcome, detail, .. } => Some((*outcome, detail)),
            DispatchState::Queued | DispatchState::Sending => None,
        });
        let Some((outcome, detail)) = ended.max_by_key(|(outcome, _)| outcome.rank()) else {
            return;
        };
        // While a further one is under way, only good news counts.
        let waits = self.dispatches.iter().any(Dispatch::is_open);
        let status = outcome.step_status();
        if status.shows_code() || !waits {
            self.detail = Some(detail.clone());
            self.status = status;
        }
    }
}

impl DispatchOutcome {
    /// What it makes of its step.
    pub fn step_status(self) -> StepStatus {
        match self {
            Self::Sent => StepStatus::Sent,
            Self::Delivered => StepStatus::Delivered,
            Self::Failed => StepStatus::Failed,
            Self::Rejected => StepStatus::Rejected,
            Self::Unknown => StepStatus::Interrupted,
            Self::Canceled => StepStatus::Canceled,
        }
    }

    /// A receipt says more of what was sent, and of what nobody answered.
    fn is_corrected_by(self, receipt: Self) -> bool {
        match self {
            Self::Sent => matches!(receipt, Self::Delivered | Self::Failed),
            Self::Unknown => matches!(receipt, Self::Sent | Self::Delivered | Self::Failed),
            Self::Delivered | Self::Failed | Self::Rejected | Self::Canceled => false,
        }
    }

    fn rank(self) -> u8 {
        match self {
            Self::Canceled => 0,
            Self::Rejected => 1,
            Self::Failed => 2,
            Self::Unknown => 3,
            Self::Sent => 4,
            Self::Delivered => 5,
        }
    }
}
