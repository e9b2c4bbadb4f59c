//! The pure state machine: one input at a time, no clock, no database.
//!
//! The store runs it inside its transaction with the row locked, in order of arrival, and
//! writes what changed once for each verification of a batch.

mod dispatch;
mod workflow;

use std::cmp::Ordering;
use std::net::SocketAddr;

use dialplans::E164;
use sip::{CallOutcome, SavedDialog};

use crate::clock::Timestamp;
use crate::ids::CallId;
use crate::secrets::Keys;
pub use crate::verification::input::{
    Again, Answer, Input, PresentedCode, PresentedCodeError, Reason, Refusal,
};
use crate::verification::model::{
    Call, CallRecord, CallState, CallVerdict, Channel, Dispatch, Proved, Step, StepCode,
    StepStatus, Verification, VerificationStatus,
};

/// The detail of a step whose call has said the code.
const SAID: &str = "said";
/// The detail of a step whose call rang and was not answered before it was to speak.
const NO_REPLY: &str = "no_reply";
/// The detail of a step whose call was ended by its callee before the code was said.
const HUNG_UP: &str = "hung_up";

/// What an accepted input did.
enum Effect {
    Unchanged,
    Changed,
    Checked { valid: bool },
    Called(CallVerdict),
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
        self.limit_earlier_codes(now);
        if expired
            || matches!(effect, Ok(Effect::Changed | Effect::Checked { .. } | Effect::Called(_)))
        {
            self.version = self.version.saturating_add(1);
        }
        match effect? {
            Effect::Unchanged | Effect::Changed => Ok(Answer::Done),
            Effect::Checked { valid } => Ok(Answer::Checked { valid }),
            Effect::Called(verdict) => Ok(Answer::Called(verdict)),
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
            Input::Resend { again, next_send_allowed_at } => {
                self.resend(now, again, *next_send_allowed_at)
            }
            Input::NextAttempt { follows, call, code } => self.next_attempt(*follows, call, *code),
            Input::NextStep { step, reason, next_send_allowed_at } => {
                self.next_step(now, step, *reason, *next_send_allowed_at)
            }
            Input::Skipped { channel, status, detail } => {
                self.skipped(now, *channel, *status, detail)
            }
            Input::Sending { dispatch_id } => self.sending(*dispatch_id),
            Input::Dispatched { dispatch_id, outcome, detail } => {
                self.dispatched(now, *dispatch_id, *outcome, detail)
            }
            Input::Receipt { dispatch_id, part, parts, delivered, detail } => {
                self.receipt(now, *dispatch_id, (*part, *parts), *delivered, detail)
            }
            Input::Progress { call_id, target, cseq, ringing, cancelled } => {
                self.progress(*call_id, *target, *cseq, *ringing, *cancelled)
            }
            Input::Talking { call_id, dialog } => self.talking(*call_id, dialog),
            Input::Said { call_id } => self.said(*call_id),
            Input::CallEnded { call_id, record, last } => {
                self.call_ended(now, *call_id, record, *last)
            }
            Input::IncomingCall { called, is_trusted } => {
                self.incoming_call(now, *called, *is_trusted)
            }
            Input::NothingLeft => Ok(self.nothing_left(now)),
            Input::Supersede | Input::Expire => Ok(Effect::Unchanged),
        }
    }

    /// Whether it was made for a sign-in of nobody, which looks as if it were somebody's: nothing
    /// of it leaves, and no code approves it.
    pub fn is_decoy(&self) -> bool {
        self.sign_in_id.is_some() && self.user_id.is_none()
    }

    /// Whether its calls, texts and mails leave: under a test key they are played.
    pub fn goes_out(&self) -> bool {
        self.live && !self.is_decoy()
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
        let mut proved = None;
        for step in &self.steps {
            if let Some(code) = step.checkable_code(now)
                && self.is_right(keys, presented.reveal(), code)
            {
                // One code may have gone several ways: the mailbox is the least that it proves.
                proved = proved.max(Some(step.proves()));
            }
        }
        // Whatever was guessed of a decoy: there is nobody who could sign in.
        let valid = proved.is_some() && !self.is_decoy();
        self.checks_used += 1;
        if valid {
            self.proved = proved;
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

    /// A call of the user: it proves the number when it came to the number that was given out,
    /// over a trunk that vouches for it. Whatever else it came to stands in the step's detail.
    fn incoming_call(
        &mut self,
        now: Timestamp,
        called: E164,
        is_trusted: bool,
    ) -> Result<Effect, Refusal> {
        self.require_pending()?;
        if self.is_decoy() {
            return Err(Refusal::NotAwaited);
        }
        let waiting = |step: &&mut Step| step.status == StepStatus::Waiting;
        let step = self.steps.iter_mut().rfind(waiting).ok_or(Refusal::NotAwaited)?;
        let verdict = match step.awaits {
            Some(awaited) if awaited != called => CallVerdict::WrongNumber,
            Some(_) if is_trusted => CallVerdict::Approved,
            Some(_) => CallVerdict::UntrustedNumber,
            None => return Err(Refusal::NotAwaited),
        };
        step.detail = Some(verdict.as_str().to_owned());
        if verdict == CallVerdict::Approved {
            step.status = StepStatus::Called;
            self.proved = Some(Proved::Phone);
            self.end(VerificationStatus::Approved, now);
        }
        Ok(Effect::Called(verdict))
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
        // Only a flash call has shown its code by ringing.
        if cancelled && !step.status.shows_code() && step.channel == Channel::FlashCall {
            step.stand(StepStatus::Rang, "ring_limit");
            changed = true;
        } else if cseq > 0 && step.status == StepStatus::Queued {
            step.status = StepStatus::Dialing;
            changed = true;
        }
        Ok(if changed { Effect::Changed } else { Effect::Unchanged })
    }

    fn talking(&mut self, call_id: CallId, dialog: &SavedDialog) -> Result<Effect, Refusal> {
        let (step, at) = self.find_call(call_id)?;
        let call = &mut step.calls[at];
        if !call.is_up() || call.dialog.as_ref() == Some(dialog) {
            return Ok(Effect::Unchanged);
        }
        call.dialog = Some(dialog.clone());
        Ok(Effect::Changed)
    }

    fn said(&mut self, call_id: CallId) -> Result<Effect, Refusal> {
        self.require_pending()?;
        let (step, _) = self.find_call(call_id)?;
        if step.status == StepStatus::Answered {
            return Ok(Effect::Unchanged);
        }
        step.stand(StepStatus::Answered, SAID);
        Ok(Effect::Changed)
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
            let is_awaited =
                matches!(earlier.outcome, CallOutcome::TrunkTimeout | CallOutcome::TrunkDown);
            if !(late && is_awaited) {
                return Ok(Effect::Unchanged);
            }
        }
        call.state = CallState::Ended(record.clone());
        call.dialled = None;
        call.dialog = None;
        step.follow_outcome(at, record.outcome);
        if !pending {
            step.calls[at].caller_id = None;
        } else if last {
            self.nothing_left(now);
        }
        Ok(Effect::Changed)
    }

    /// Ends it: codes are forgotten, and so are the caller IDs of calls that have ended. A call
    /// that is up keeps its own for the CANCEL.
    fn end(&mut self, status: VerificationStatus, at: Timestamp) {
        self.status = status;
        self.ended_at = Some(at);
        self.next_at = None;
        for step in &mut self.steps {
            step.code = None;
            step.secret = None;
            step.awaits = None;
            step.let_go(at);
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

    /// What its code proves.
    fn proves(&self) -> Proved {
        let is_redirected = self.dispatches.iter().any(|dispatch| dispatch.redirect.is_some());
        if is_redirected || self.channel == Channel::Email { Proved::Email } else { Proved::Phone }
    }

    /// Whether a call of it is up, or a text or mail of it is not at its end.
    fn is_busy(&self) -> bool {
        self.has_call_up() || self.dispatches.iter().any(Dispatch::is_open)
    }

    fn has_call_up(&self) -> bool {
        self.calls.iter().any(Call::is_up)
    }

    fn is_spoken(&self) -> bool {
        self.channel == Channel::Voice
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
        if self.is_spoken() && !self.status.shows_code() {
            // Nothing is shown by ringing, nor by an answer before all was said.
            match outcome {
                CallOutcome::Rang | CallOutcome::LateRing => {
                    return self.stand(StepStatus::Unreachable, NO_REPLY);
                }
                CallOutcome::Answered => return self.stand(StepStatus::Declined, HUNG_UP),
                _ => {}
            }
        }
        match StepStatus::of_outcome(outcome) {
            // Somebody else may have seen it.
            StepStatus::Diverted => {
                self.code = None;
                self.stand(StepStatus::Diverted, detail);
            }
            StepStatus::Failed if outcome == CallOutcome::LateRing && !self.is_spoken() => {
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
        matches!(self, Self::Queued | Self::Waiting | Self::Dialing | Self::Sending)
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
