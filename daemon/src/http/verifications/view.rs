//! How a verification looks to a client.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::directory::proof;
use crate::http::call_view::{TimelineView, timeline};
use crate::secrets::Keys;
use crate::verification::model::{
    Call, CallState, Proved, Step, StoredNumber, StoredTarget, Verification, VerificationStatus,
};

/// A verification.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Verification)]
pub struct VerificationView {
    /// Its id.
    #[schema(example = "vrf_01jq3v8d9kf2m7x0c5n1t6w4rb")]
    pub id: String,
    /// False under a test key.
    pub live: bool,
    /// Rises with each stored change.
    pub version: u32,
    /// `pending`, `approved`, `failed`, `expired`, `canceled`, `locked`, `superseded`; more may
    /// come.
    #[schema(example = "pending")]
    pub status: &'static str,
    /// The number or mailbox to prove: in full for the account's own keys, masked for operators.
    #[schema(example = "+79161234567")]
    pub to: String,
    /// The user of the directory whose it is; of one that was made for a sign-in, once it is
    /// approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The sign-in that it completes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_in_id: Option<String>,
    /// The purpose.
    #[schema(example = "sign_in")]
    pub purpose: String,
    /// When it was accepted (RFC 3339).
    pub created_at: String,
    /// When it ends at the latest.
    pub expires_at: String,
    /// When it ended; null while it is pending.
    pub ended_at: Option<String>,
    /// A BCP 47 tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// The client's own reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The client's own labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    /// What is known of the code; never the code.
    pub code: CodeView,
    /// How many codes may be presented.
    pub checks: CountView,
    /// How many calls and texts may go out.
    pub sends: SendsView,
    /// What the user is to call; only while that call is awaited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incoming_call: Option<IncomingCallView>,
    /// The channels that were tried, oldest first.
    pub steps: Vec<StepView>,
    /// What the workflow does next; null: nothing.
    pub next: Option<NextView>,
    /// What was proved: `phone` or `email`; a code that a redirect sent to a mailbox proves
    /// `email`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proved: Option<&'static str>,
}

/// What is known of a code.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Code)]
pub struct CodeView {
    /// Its digits.
    pub length: u8,
    /// How many different codes could have been drawn.
    pub space: u64,
    /// The same as bits, rounded down to a tenth.
    #[schema(example = 13.2)]
    pub bits: f64,
}

/// A count and what is left of it.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Count)]
pub struct CountView {
    /// How many there are.
    pub max: u32,
    /// How many are left.
    pub left: u32,
}

/// Calls and texts.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Sends)]
pub struct SendsView {
    /// How many there are.
    pub max: u32,
    /// How many are left.
    pub left: u32,
    /// Before this a resend is refused.
    pub next_allowed_at: String,
}

/// A number of ours that the user is to call.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = IncomingCall)]
pub struct IncomingCallView {
    /// The number. The call is refused unanswered, so it costs nothing.
    #[schema(example = "+74951230000")]
    pub number: String,
    /// The same for a link that dials.
    #[schema(example = "tel:+74951230000")]
    pub tel_uri: String,
    /// After this a call proves nothing.
    pub until: String,
}

/// One channel's try.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Step)]
pub struct StepView {
    /// From 1.
    pub n: u8,
    /// `flash_call`, …; more may come.
    #[schema(example = "flash_call")]
    pub channel: &'static str,
    /// `queued`, `waiting`, `called`, `dialing`, `sending`, `rang`, `answered`, `busy`, `declined`, `unreachable`,
    /// `no_route`, `rejected`, `diverted`, `sent`, `delivered`, `failed`, `interrupted`,
    /// `canceled`; more may come.
    #[schema(example = "rang")]
    pub status: &'static str,
    /// The exact word, such as `ring_limit` or a call's outcome.
    pub detail: Option<String>,
    /// The calls, oldest first.
    pub calls: Vec<StepCallView>,
}

/// One call of a step.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = StepCall)]
pub struct StepCallView {
    /// Its id.
    #[schema(example = "cal_01jq3v8d9kf2m7x0c5n1t6w4rb")]
    pub id: String,
    /// The trunk.
    pub trunk: String,
    /// How it ended; null while it is up.
    pub outcome: Option<&'static str>,
    /// What happened, once it has ended.
    pub timeline: Vec<TimelineView>,
}

/// What the workflow does next.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Next)]
pub struct NextView {
    /// Which channel.
    pub channel: &'static str,
    /// When.
    pub at: String,
}

/// What a check came to.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = CheckResult)]
pub struct CheckView {
    /// True only in the answer to the one request that approved the verification.
    pub valid: bool,
    /// The verification's id.
    pub id: String,
    /// False under a test key.
    pub live: bool,
    /// The verification's version.
    pub version: u32,
    /// Where the verification stands.
    pub status: &'static str,
    /// How many codes may still be presented.
    pub checks: CountView,
    /// What was proved: `phone` or `email`; left out: nothing. A code that a redirect sent to a
    /// mailbox proves `email`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proved: Option<&'static str>,
    /// What a backend may spend once at `/v1/proofs/redeem`, within ten minutes; only where
    /// `valid`, of a sign-in or a `password_reset`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
}

impl VerificationView {
    /// Shows one; `full` shows the number too.
    pub fn new(verification: &Verification, full: bool) -> Self {
        let metadata = verification.metadata.as_deref();
        Self {
            id: verification.verification_id.to_string(),
            live: verification.live,
            version: verification.version,
            status: verification.status.as_str(),
            to: target(&verification.to, full),
            user_id: user_id(verification),
            sign_in_id: verification.sign_in_id.map(|id| id.to_string()),
            purpose: verification.purpose.clone(),
            created_at: verification.created_at.to_string(),
            expires_at: verification.expires_at.to_string(),
            ended_at: verification.ended_at.as_ref().map(Timestamp::to_string),
            locale: verification.locale.clone(),
            reference: verification.reference.clone(),
            metadata: metadata.and_then(|text| serde_json::from_str(text).ok()),
            code: CodeView::new(verification.code_length, verification.code_space),
            checks: CountView::of(verification.checks_max, verification.checks_used),
            sends: SendsView {
                max: verification.sends_max,
                left: verification.sends_max.saturating_sub(verification.sends_used),
                next_allowed_at: verification.next_send_allowed_at.to_string(),
            },
            incoming_call: incoming_call(verification),
            steps: verification.steps.iter().map(step).collect(),
            next: verification
                .next()
                .map(|(channel, at)| NextView { channel: channel.as_str(), at: at.to_string() }),
            proved: verification.proved.map(Proved::as_str),
        }
    }
}

impl CheckView {
    /// Shows what a check came to.
    pub fn new(keys: &Keys, verification: &Verification, valid: bool) -> Self {
        let proof = valid.then(|| proof::of_verification(keys, verification)).flatten();
        Self {
            valid,
            proof,
            id: verification.verification_id.to_string(),
            live: verification.live,
            version: verification.version,
            status: verification.status.as_str(),
            checks: CountView::of(verification.checks_max, verification.checks_used),
            proved: verification.proved.map(Proved::as_str),
        }
    }
}

impl CodeView {
    /// A code of so many digits, drawn from so many.
    pub fn new(length: u8, space: u64) -> Self {
        let bits = (space.max(1) as f64).log2();
        Self { length, space, bits: (bits * 10.0).floor() / 10.0 }
    }
}

impl CountView {
    fn of(max: u32, used: u32) -> Self {
        Self { max, left: max.saturating_sub(used) }
    }
}

/// Who it is would tell whether there is anybody, and a sign-in may have to conceal that.
fn user_id(verification: &Verification) -> Option<String> {
    let is_told =
        verification.sign_in_id.is_none() || verification.status == VerificationStatus::Approved;
    verification.user_id.filter(|_| is_told).map(|id| id.to_string())
}

fn incoming_call(verification: &Verification) -> Option<IncomingCallView> {
    let number = verification.steps.iter().rev().find_map(|step| step.awaits)?;
    let number = number.reveal().as_str().to_owned();
    let tel_uri = format!("tel:{number}");
    Some(IncomingCallView { number, tel_uri, until: verification.expires_at.to_string() })
}

fn step(step: &Step) -> StepView {
    StepView {
        n: step.n,
        channel: step.channel.as_str(),
        status: step.status.as_str(),
        detail: step.detail.clone(),
        calls: step.calls.iter().map(call).collect(),
    }
}

fn call(call: &Call) -> StepCallView {
    let (outcome, entries) = match &call.state {
        CallState::Up { .. } => (None, Vec::new()),
        CallState::Ended(record) => (Some(record.outcome.as_str()), timeline(&record.timeline)),
    };
    let (id, trunk) = (call.call_id.to_string(), call.trunk.to_string());
    StepCallView { id, trunk, outcome, timeline: entries }
}

/// A number as its reader may see it.
pub fn number(number: &StoredNumber, full: bool) -> String {
    match number.full().filter(|_| full) {
        Some(number) => number.reveal().as_str().to_owned(),
        None => number.to_string(),
    }
}

/// A number or mailbox as its reader may see it.
pub fn target(target: &StoredTarget, full: bool) -> String {
    match (target, target.mailbox().filter(|_| full)) {
        (_, Some(address)) => address.reveal().to_owned(),
        (StoredTarget::Number(stored), None) => number(stored, full),
        (StoredTarget::Mailbox(_), None) => target.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_never_overstated() {
        assert_eq!(CodeView::new(4, 10_000).bits, 13.2);
        assert_eq!(CodeView::new(4, 1_000).bits, 9.9);
        assert_eq!(CodeView::new(6, 1_000_000).bits, 19.9);
        assert_eq!(CodeView::new(4, 0).bits, 0.0);
    }
}
