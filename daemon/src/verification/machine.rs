//! The pure state machine: one input at a time, no clock, no database.
//!
//! The store runs it inside its transaction with the row locked, in order of arrival, and
//! writes what changed once for each verification of a batch.

use std::cmp::Ordering;
use std::net::SocketAddr;
use std::time::Duration;

use sip::CallOutcome;

use crate::clock::Timestamp;
use crate::ids::CallId;
use crate::secrets::Keys;
pub use crate::verification::input::{Answer, Input, PresentedCode, PresentedCodeError, Refusal};
use crate::verification::model::{
    Call, CallRecord, CallState, Step, StepCode, StepStatus, Verification, VerificationStatus,
};

/// How long a code stays checkable after the next channel's code went out.
pub const EARLIER_CODE_LIFE: Duration = Duration::from_secs(60);

/// Most calls of one step: two attempts and the resends that any sensible configuration allows.
const MAX_CALLS: usize = 32;
/// Most steps of one verification: each channel twice and some room.
const MAX_STEPS: usize = 16;

/// What an accepted input did.
enum Effect {
    Unchanged,
    Changed,
    Checked { valid: bool },
}

impl Verification {
    /// Applies one input at `now`. A verification past its `expires_at` is settled as expired
    /// first. `version` rises by one when anything changed.
    ///
    /// After the end only the evidence of calls is still recorded: status, checks, sends and the
    /// time of the end stay as they are.
    pub fn apply(&mut self, now: Timestamp, keys: &Keys, input: &Input) -> Result<Answer, Refusal> {
        let expired = self.is_pending() && now >= self.expires_at;
        if expired {
            self.end(VerificationStatus::Expired, self.expires_at);
        }
        let effect = self.take(now, keys, input);
        if expired || matches!(effect, Ok(Effect::Changed | Effect::Checked { .. })) {
            self.version = self.version.saturating_add(1);
        }
        match effect? {
            Effect::Unchanged | Effect::Changed => Ok(Answer::Done),
            Effect::Checked { valid } => Ok(Answer::Checked { valid }),
        }
    }

    fn take(&mut self, now: Timestamp, keys: &Keys, input: &Input) -> Result<Effect, Refusal> {
        match input {
            Input::Check(code) => self.check(now, keys, code),
            Input::Cancel => {
                self.require_pending()?;
                self.end(VerificationStatus::Canceled, now);
                Ok(Effect::Changed)
            }
            Input::Supersede if self.is_pending() => {
                self.end(VerificationStatus::Superseded, now);
                Ok(Effect::Changed)
            }
            Input::Resend { call, next_send_allowed_at } => {
                self.resend(now, call, *next_send_allowed_at)
            }
            Input::NextAttempt { call, code } => self.next_attempt(call, *code),
            Input::NextStep { step, next_send_allowed_at } => {
                self.next_step(now, step, *next_send_allowed_at)
            }
            Input::Progress { call_id, target, cseq, ringing, cancelled } => {
                self.progress(*call_id, *target, *cseq, *ringing, *cancelled)
            }
            Input::CallEnded { call_id, record, last } => {
                self.call_ended(now, *call_id, record, *last)
            }
            Input::NothingLeft => Ok(self.nothing_left(now)),
            Input::Supersede | Input::Expire => Ok(Effect::Unchanged),
        }
    }

    /// Whether a right code would approve it.
    pub fn is_pending(&self) -> bool {
        self.status == VerificationStatus::Pending
    }

    fn require_pending(&self) -> Result<(), Refusal> {
        match self.status {
            VerificationStatus::Pending => Ok(()),
            status => Err(Refusal::Ended { status }),
        }
    }

    fn check(
        &mut self,
        now: Timestamp,
        keys: &Keys,
        presented: &PresentedCode,
    ) -> Result<Effect, Refusal> {
        self.require_pending()?;
        let mut valid = false;
        for step in &self.steps {
            if let Some(code) = step.checkable_code(now) {
                valid |= self.is_right(keys, presented.reveal(), code);
            }
        }
        self.checks_used += 1;
        if valid {
            self.end(VerificationStatus::Approved, now);
        } else if self.checks_used >= self.checks_max {
            self.end(VerificationStatus::Locked, now);
        }
        Ok(Effect::Checked { valid })
    }

    /// The last digits, or, where more digits are given, the whole caller number.
    fn is_right(&self, keys: &Keys, digits: &str, code: &StepCode) -> bool {
        let matches = |stored| keys.code_matches(self.verification_id, digits, stored);
        match digits.len().cmp(&usize::from(code.length)) {
            Ordering::Less => false,
            Ordering::Equal => matches(&code.tail_hmac),
            Ordering::Greater => code.number_hmac.as_ref().is_some_and(matches),
        }
    }

    fn resend(
        &mut self,
        now: Timestamp,
        call: &Call,
        next_send_allowed_at: Timestamp,
    ) -> Result<Effect, Refusal> {
        self.require_pending()?;
        let step = self.steps.last().ok_or(Refusal::NotRepeatable)?;
        if step.code.is_none() || step.has_call_up() || step.calls.len() >= MAX_CALLS {
            return Err(Refusal::NotRepeatable);
        }
        self.require_send(now)?;
        self.count_send(next_send_allowed_at);
        self.place(call);
        Ok(Effect::Changed)
    }

    fn next_attempt(&mut self, call: &Call, code: Option<StepCode>) -> Result<Effect, Refusal> {
        self.require_pending()?;
        let step = self.steps.last_mut().ok_or(Refusal::NotRepeatable)?;
        let repeatable = !step.status.shows_code() && step.status != StepStatus::Diverted;
        if !repeatable || step.has_call_up() || step.calls.len() >= MAX_CALLS {
            return Err(Refusal::NotRepeatable);
        }
        step.code = Some(code.or(step.code).ok_or(Refusal::NotRepeatable)?);
        self.follow_code_of_present_step();
        self.place(call);
        Ok(Effect::Changed)
    }

    fn next_step(
        &mut self,
        now: Timestamp,
        step: &Step,
        next_send_allowed_at: Timestamp,
    ) -> Result<Effect, Refusal> {
        self.require_pending()?;
        if self.sends_used >= self.sends_max {
            return Err(Refusal::NoSendLeft);
        }
        if self.steps.len() >= MAX_STEPS {
            return Err(Refusal::NotRepeatable);
        }
        for earlier in self.steps.iter_mut().filter_map(|step| step.code.as_mut()) {
            earlier.checkable_until.get_or_insert(now + EARLIER_CODE_LIFE);
        }
        let n = self.steps.len() as u8 + 1;
        self.steps.push(Step { n, ..step.clone() });
        self.count_send(next_send_allowed_at);
        self.follow_code_of_present_step();
        Ok(Effect::Changed)
    }

    fn progress(
        &mut self,
        call_id: CallId,
        target: Option<SocketAddr>,
        cseq: u32,
        ringing: bool,
        cancelled: bool,
    ) -> Result<Effect, Refusal> {
        let (step, at) = self.find_call(call_id)?;
        let CallState::Up { target: known, last_cseq, rang } = step.calls[at].state else {
            return Ok(Effect::Unchanged);
        };
        let state = CallState::Up {
            target: target.or(known),
            last_cseq: last_cseq.max(cseq),
            rang: rang || ringing || cancelled,
        };
        let mut changed = state != step.calls[at].state;
        step.calls[at].state = state;
        if cancelled && !step.status.shows_code() {
            step.stand(StepStatus::Rang, "ring_limit");
            changed = true;
        } else if cseq > 0 && step.status == StepStatus::Queued {
            step.status = StepStatus::Dialing;
            changed = true;
        }
        Ok(if changed { Effect::Changed } else { Effect::Unchanged })
    }

    fn call_ended(
        &mut self,
        now: Timestamp,
        call_id: CallId,
        record: &CallRecord,
        last: bool,
    ) -> Result<Effect, Refusal> {
        let pending = self.is_pending();
        let (step, at) = self.find_call(call_id)?;
        let call = &mut step.calls[at];
        if let CallState::Ended(earlier) = &call.state {
            // The one end that is corrected: an abandoned call rang after all.
            let late = record.outcome == CallOutcome::LateRing;
            if !late || earlier.outcome != CallOutcome::TrunkTimeout {
                return Ok(Effect::Unchanged);
            }
        }
        call.state = CallState::Ended(record.clone());
        call.dialled = None;
        step.follow_outcome(at, record.outcome);
        if !pending {
            step.calls[at].caller_id = None;
        } else if last {
            self.nothing_left(now);
        }
        Ok(Effect::Changed)
    }

    fn nothing_left(&mut self, now: Timestamp) -> Effect {
        if !self.is_pending() || self.steps.iter().any(|step| step.status.is_live()) {
            return Effect::Unchanged;
        }
        let checkable = |step: &&mut Step| step.checkable_code(now).is_some();
        let mut left = self.steps.iter_mut().filter(checkable).peekable();
        if left.peek().is_none() {
            self.end(VerificationStatus::Failed, now);
            return Effect::Changed;
        }
        let mut effect = Effect::Unchanged;
        for code in left.filter_map(|step| step.code.as_mut()) {
            // No later code went out after all, so this one lives on.
            if code.checkable_until.take().is_some() {
                effect = Effect::Changed;
            }
        }
        effect
    }

    /// Ends it: codes are forgotten, and so are the caller IDs of calls that have ended. A call
    /// that is up keeps its own for the CANCEL.
    fn end(&mut self, status: VerificationStatus, at: Timestamp) {
        self.status = status;
        self.ended_at = Some(at);
        for step in &mut self.steps {
            step.code = None;
            if step.status.is_live() && !step.has_call_up() {
                step.status = StepStatus::Canceled;
            }
            for call in step.calls.iter_mut().filter(|call| !call.is_up()) {
                call.caller_id = None;
            }
        }
    }

    fn require_send(&self, now: Timestamp) -> Result<(), Refusal> {
        if self.sends_used >= self.sends_max {
            return Err(Refusal::NoSendLeft);
        }
        if now < self.next_send_allowed_at {
            return Err(Refusal::TooSoon { allowed_at: self.next_send_allowed_at });
        }
        Ok(())
    }

    fn count_send(&mut self, next_send_allowed_at: Timestamp) {
        self.sends_used += 1;
        self.next_send_allowed_at = next_send_allowed_at;
    }

    /// Adds a call to the present step.
    fn place(&mut self, call: &Call) {
        if let Some(step) = self.steps.last_mut() {
            let attempt = step.calls.len() as u8 + 1;
            step.calls.push(Call { attempt, ..call.clone() });
            // A code that was shown once stays shown while it is sent again.
            if !step.status.shows_code() {
                step.status = StepStatus::Queued;
                step.detail = None;
            }
        }
    }

    fn follow_code_of_present_step(&mut self) {
        if let Some(code) = self.steps.last().and_then(|step| step.code) {
            self.code_length = code.length;
            self.code_space = code.space;
        }
    }

    fn find_call(&mut self, call_id: CallId) -> Result<(&mut Step, usize), Refusal> {
        self.steps
            .iter_mut()
            .find_map(|step| {
                let at = step.calls.iter().position(|call| call.call_id == call_id)?;
                Some((step, at))
            })
            .ok_or(Refusal::NoSuchCall)
    }
}

impl Step {
    /// The code of this step, if a client may present it at `now`.
    pub fn checkable_code(&self, now: Timestamp) -> Option<&StepCode> {
        let code = self.code.as_ref()?;
        let in_time = code.checkable_until.is_none_or(|until| now < until);
        (in_time && (self.status.is_live() || self.status.shows_code())).then_some(code)
    }

    fn has_call_up(&self) -> bool {
        self.calls.iter().any(Call::is_up)
    }

    fn stand(&mut self, status: StepStatus, detail: &str) {
        // The word that said why it rang stays when the call's end only confirms it.
        if self.status != status || self.detail.is_none() {
            self.status = status;
            self.detail = Some(detail.to_owned());
        }
    }

    /// What the end of its call `at` makes of the step.
    fn follow_outcome(&mut self, at: usize, outcome: CallOutcome) {
        let detail = outcome.as_str();
        match StepStatus::of_outcome(outcome) {
            // Somebody else may have seen it.
            StepStatus::Diverted => {
                self.code = None;
                self.stand(StepStatus::Diverted, detail);
            }
            StepStatus::Failed if outcome == CallOutcome::LateRing => {
                // The phone shows two numbers when the caller ID has changed since.
                let shown = &self.calls[at].caller_id;
                if self.calls.last().is_some_and(|last| last.caller_id == *shown) {
                    self.stand(StepStatus::Rang, detail);
                } else {
                    self.code = None;
                    self.stand(StepStatus::Failed, detail);
                }
            }
            status if status.shows_code() || !self.status.shows_code() => {
                self.stand(status, detail);
            }
            // An earlier call of the step showed the code.
            _ => {}
        }
    }
}

impl Call {
    /// Whether no end is known.
    pub fn is_up(&self) -> bool {
        matches!(self.state, CallState::Up { .. })
    }
}

impl StepStatus {
    /// Whether something is still under way.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Queued | Self::Dialing)
    }

    /// Whether the user has the code, or may have it.
    pub fn shows_code(self) -> bool {
        matches!(
            self,
            Self::Rang | Self::Answered | Self::Sent | Self::Delivered | Self::Interrupted
        )
    }

    /// What a call's outcome makes of its step.
    pub fn of_outcome(outcome: CallOutcome) -> Self {
        match outcome {
            CallOutcome::Rang => Self::Rang,
            CallOutcome::Answered => Self::Answered,
            CallOutcome::Busy => Self::Busy,
            CallOutcome::Blocked => Self::Declined,
            CallOutcome::Unreachable | CallOutcome::Changed | CallOutcome::NoRing => {
                Self::Unreachable
            }
            CallOutcome::Unallocated | CallOutcome::BadNumber | CallOutcome::NoRoute => {
                Self::NoRoute
            }
            CallOutcome::TrunkForbids
            | CallOutcome::NoFunds
            | CallOutcome::AuthFailed
            | CallOutcome::Identity => Self::Rejected,
            CallOutcome::Diverted => Self::Diverted,
            CallOutcome::Congestion
            | CallOutcome::TrunkTimeout
            | CallOutcome::TrunkDown
            | CallOutcome::TrunkError
            | CallOutcome::Format
            | CallOutcome::TrunkProtocol
            | CallOutcome::LateRing => Self::Failed,
            CallOutcome::Canceled => Self::Canceled,
            CallOutcome::Interrupted => Self::Interrupted,
        }
    }
}

#[cfg(test)]
mod tests;
