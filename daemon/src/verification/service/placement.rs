//! From an attempt of a plan to the row that is written and the order that the call loop gets.

use std::time::Duration;

use config::Purpose;
use dialplans::{Attempt, DialError, TrunkName};
use sip::{CallRequest, UserPart, UserPartError};

use crate::app::{App, Settings};
use crate::clock::Timestamp;
use crate::ids::VerificationId;
use crate::ua_driver::CallOrder;
use crate::verification::model::{Call, CallState, StepCode};

/// A call that is ready to be written down and then placed.
#[derive(Debug)]
pub struct Placement {
    /// The evidence.
    pub call: Call,
    /// The code that it shows.
    pub code: StepCode,
    /// What the call loop is asked.
    pub order: CallOrder,
}

/// Why an attempt cannot become a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// The file lost the trunk while the plan was made.
    #[error("no trunk is named {0}")]
    UnknownTrunk(TrunkName),
    /// The digits to dial hold what a SIP URI cannot.
    #[error("the digits to dial are no user part: {0}")]
    Dialled(#[from] UserPartError),
    /// The trunk's form cannot show the caller ID.
    #[error("the trunk cannot show the caller ID: {0}")]
    CallerId(#[from] DialError),
}

/// Which call of a step it is.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Of which verification.
    pub verification_id: VerificationId,
    /// Its purpose's rules.
    pub purpose: &'a Purpose,
    /// From 1 within the step.
    pub attempt: u8,
    /// Since the step's first INVITE.
    pub elapsed: Duration,
}

/// Makes a call out of an attempt.
pub fn placement(
    now: Timestamp,
    app: &App,
    settings: &Settings,
    place: Place<'_>,
    attempt: &Attempt,
) -> Result<Placement, PlacementError> {
    let trunk = settings.config.trunks.get(&attempt.trunk);
    let trunk = trunk.ok_or_else(|| PlacementError::UnknownTrunk(attempt.trunk.clone()))?;
    let called = UserPart::new(attempt.dialled.reveal())?;
    let call_id = app.call_id(now);
    let request = CallRequest {
        identity: app.keys().call_identity(call_id),
        called: called.clone(),
        caller_id: trunk.caller_id(&attempt.caller_id)?,
        ring_limit: attempt.ring_limit.unwrap_or(trunk.ring_limit),
        no_ring_limit: trunk.no_ring_limit,
        call_limit: place.purpose.call_limit.saturating_sub(place.elapsed),
        no_answer_timeout: trunk.no_answer_timeout,
        // The call loop writes the port of its own socket.
        media_port: 0,
    };
    let call = Call {
        call_id,
        attempt: place.attempt,
        trunk: attempt.trunk.clone(),
        dialled: Some(called),
        caller_id: Some(attempt.caller_id),
        caller_id_masked: attempt.caller_id.to_string(),
        dialog: None,
        created_at: now,
        state: CallState::Up { target: None, last_cseq: 0, rang: false },
    };
    let length = attempt.caller_id.code_length();
    let space = attempt.endings.unwrap_or(length.space());
    let code = StepCode::of_caller_id(app.keys(), place.verification_id, &attempt.caller_id, space);
    let order = CallOrder { call_id, trunk: attempt.trunk.clone(), request, talk_limit: None };
    Ok(Placement { call, code, order })
}
