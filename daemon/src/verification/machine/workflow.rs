//! From one channel to the next: resends, attempts, steps, and when the next one is due.

use std::time::Duration;

use super::Effect;
use crate::clock::Timestamp;
use crate::ids::CallId;
use crate::verification::input::{Again, Reason, Refusal};
use crate::verification::model::{
    Call, Channel, Step, StepCode, StepStatus, Verification, VerificationStatus,
};

/// How long a code stays checkable after the next channel's code went out.
const EARLIER_CODE_LIFE: Duration = Duration::from_secs(60);

/// Most calls, texts and mails of one step: two attempts and the resends that any sensible
/// configuration allows.
const MAX_SENDS: usize = 32;
/// Most steps of one verification: each channel twice and some room.
const MAX_STEPS: usize = 16;

impl Verification {
    /// Notes when the next channel begins, of a verification that is about to be stored.
    pub fn plan_next(&mut self) {
        self.schedule(self.created_at);
    }

    pub(super) fn resend(
        &mut self,
        now: Timestamp,
        again: &Again,
        next_send_allowed_at: Timestamp,
    ) -> Result<Effect, Refusal> {
        self.require_pending()?;
        let step = self.steps.last().ok_or(Refusal::NotRepeatable)?;
        if step.code.is_none() || step.is_busy() || step.is_full() {
            return Err(Refusal::NotRepeatable);
        }
        self.require_send(now)?;
        self.count_send(next_send_allowed_at);
        // The user waits for this one: the next channel's time begins anew with it.
        self.next_at = None;
        match again {
            Again::Call(call) => self.place(call),
            Again::Dispatches(dispatches) => dispatches.iter().for_each(|it| self.queue(it)),
        }
        self.schedule(now);
        Ok(Effect::Changed)
    }

    pub(super) fn next_attempt(
        &mut self,
        follows: CallId,
        call: &Call,
        code: Option<StepCode>,
    ) -> Result<Effect, Refusal> {
        self.require_pending()?;
        let step = self.steps.last_mut().ok_or(Refusal::NotRepeatable)?;
        // The user may have chosen another channel in the meantime.
        let is_present = step.calls.iter().any(|earlier| earlier.call_id == follows);
        let repeatable = !step.status.shows_code() && step.status != StepStatus::Diverted;
        if !is_present || !repeatable || step.is_busy() || step.is_full() {
            return Err(Refusal::NotRepeatable);
        }
        step.code = Some(code.or(step.code).ok_or(Refusal::NotRepeatable)?);
        self.follow_code_of_present_step();
        self.place(call);
        Ok(Effect::Changed)
    }

    pub(super) fn next_step(
        &mut self,
        now: Timestamp,
        step: &Step,
        reason: Reason,
        next_send_allowed_at: Timestamp,
    ) -> Result<Effect, Refusal> {
        self.require_pending()?;
        match reason {
            Reason::Due => self.require_due(now, step.channel)?,
            Reason::Chosen => self.require_choice(now, step.channel)?,
        }
        if self.sends_used >= self.sends_max {
            return Err(Refusal::NoSendLeft);
        }
        self.workflow.retain(|planned| planned.channel != step.channel);
        self.push_step(step.clone());
        self.count_send(next_send_allowed_at);
        self.follow_code_of_present_step();
        self.next_at = None;
        self.schedule(now);
        Ok(Effect::Changed)
    }

    pub(super) fn skipped(
        &mut self,
        now: Timestamp,
        channel: Channel,
        status: StepStatus,
        detail: &str,
    ) -> Result<Effect, Refusal> {
        self.require_pending()?;
        self.require_due(now, channel)?;
        self.workflow.remove(0);
        let detail = Some(detail.to_owned());
        self.push_step(Step { detail, ..Step::bare(0, channel, status, now) });
        self.nothing_left(now);
        Ok(Effect::Changed)
    }

    /// The present step is over: the next channel is due, or it may all be over.
    pub(super) fn nothing_left(&mut self, now: Timestamp) -> Effect {
        if !self.is_pending() {
            return Effect::Unchanged;
        }
        let planned = self.next_at;
        self.schedule(now);
        let waits = self.next_at.is_some() || self.steps.iter().any(|step| step.status.is_live());
        if !waits && !self.steps.iter().any(|step| step.checkable_code(now).is_some()) {
            self.end(VerificationStatus::Failed, now);
            return Effect::Changed;
        }
        if self.next_at == planned { Effect::Unchanged } else { Effect::Changed }
    }

    /// When the next channel begins: never while a call is up, so many seconds after the present
    /// step showed its code, at once when it showed none.
    pub(super) fn schedule(&mut self, now: Timestamp) {
        let has_send = self.sends_used < self.sends_max && self.steps.len() < MAX_STEPS;
        let planned = self.workflow.first().filter(|_| has_send && self.is_pending());
        let (Some(planned), Some(step)) = (planned, self.steps.last()) else {
            self.next_at = None;
            return;
        };
        self.next_at = if step.has_call_up() {
            None
        } else if step.status.is_live() || step.status.shows_code() {
            Some(self.next_at.unwrap_or(now + planned.after))
        } else {
            Some(self.next_at.map_or(now, |at| at.min(now)))
        };
    }

    /// Codes of earlier channels live on for a while once a later one went out.
    pub(super) fn limit_earlier_codes(&mut self, now: Timestamp) {
        let went_out = |step: &Step| step.status.shows_code() && step.code.is_some();
        let Some(shown) = self.steps.iter().rposition(went_out) else { return };
        for code in self.steps[..shown].iter_mut().filter_map(|step| step.code.as_mut()) {
            code.checkable_until.get_or_insert(now + EARLIER_CODE_LIFE);
        }
    }

    /// Adds a call to the present step.
    fn place(&mut self, call: &Call) {
        if let Some(step) = self.steps.last_mut() {
            let attempt = step.calls.len() as u8 + 1;
            step.calls.push(Call { attempt, ..call.clone() });
            step.await_news();
        }
    }

    fn push_step(&mut self, step: Step) {
        let n = self.steps.len() as u8 + 1;
        self.steps.push(Step { n, ..step });
    }

    fn require_due(&self, now: Timestamp, channel: Channel) -> Result<(), Refusal> {
        match self.next() {
            Some((due, at)) if due == channel && at <= now => Ok(()),
            _ => Err(Refusal::NotDue),
        }
    }

    fn require_choice(&self, now: Timestamp, channel: Channel) -> Result<(), Refusal> {
        let is_present = self.steps.last().is_some_and(|step| {
            step.channel == channel && (step.status.is_live() || step.status.shows_code())
        });
        if is_present || self.steps.len() >= MAX_STEPS {
            return Err(Refusal::NotRepeatable);
        }
        self.require_send(now)
    }

    fn follow_code_of_present_step(&mut self) {
        if let Some(code) = self.steps.last().and_then(|step| step.code) {
            self.code_length = code.length;
            self.code_space = code.space;
        }
    }
}

impl Step {
    fn is_full(&self) -> bool {
        self.calls.len() + self.dispatches.len() >= MAX_SENDS
    }

    /// A code that was shown once stays shown while it is sent again.
    pub(super) fn await_news(&mut self) {
        if !self.status.shows_code() {
            self.status = StepStatus::Queued;
            self.detail = None;
        }
    }
}
