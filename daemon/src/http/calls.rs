//! `/v1/calls`: what became of every call.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use dialplans::TrunkName;
use serde::Serialize;
use sip::CallOutcome;

use super::call_view::{TimelineView, timeline};
use super::caller::Caller;
use super::error::{Code, Problem, ProblemBody};
use super::list::{self, List};
use super::query::{Parameters, PathId};
use super::reply;
use super::verifications::view::number;
use crate::accounts::Scope;
use crate::app::App;
use crate::ids::CallId;
use crate::store::{CallFilter, CallView};
use crate::verification::model::{CallRecord, CallState};

/// One call over one trunk.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Call)]
pub struct CallRecordView {
    /// Its id.
    #[schema(example = "cal_01jq3v8d9kf2m7x0c5n1t6w4rb")]
    pub id: String,
    /// False under a test key.
    pub live: bool,
    /// The verification that it was placed for.
    pub verification_id: String,
    /// Of which step, from 1.
    pub step: u8,
    /// Which try of the step, from 1.
    pub attempt: u8,
    /// The owning account.
    pub account: String,
    /// The trunk.
    pub trunk: String,
    /// The number: in full for the account's own keys, masked for operators.
    pub to: String,
    /// The caller ID without its tail, which is the code.
    #[schema(example = "+7495123****")]
    pub caller_id: String,
    /// When it was written down.
    pub created_at: String,
    /// When it ended; null while it is up.
    pub ended_at: Option<String>,
    /// Whether a ringing signal was seen.
    pub rang: bool,
    /// How it ended; null while it is up.
    #[schema(example = "rang")]
    pub outcome: Option<&'static str>,
    /// Final status of the INVITE.
    #[schema(example = 487)]
    pub status: Option<u16>,
    /// Q.850 cause.
    pub q850: Option<u8>,
    /// What the trunk wished with Retry-After.
    pub retry_after_s: Option<u64>,
    /// Where the INVITE went, for operators.
    pub target: Option<String>,
    /// What happened, once it has ended.
    pub timeline: Vec<TimelineView>,
}

/// List calls, newest first.
#[utoipa::path(
    get, path = "/v1/calls", tag = "operators",
    params(
        ("limit" = Option<u64>, Query, description = "How many, 1 to 200; 50 when left out."),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before."),
        ("created_after" = Option<String>, Query),
        ("created_before" = Option<String>, Query),
        ("to" = Option<String>, Query),
        ("trunk" = Option<String>, Query),
        ("outcome" = Option<String>, Query),
    ),
    responses(
        (status = 200, body = List<CallRecordView>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    caller.require_any(&[Scope::Calls, Scope::Operator])?;
    let outcome = |word: &str| CallOutcome::ALL.into_iter().find(|known| known.as_str() == word);
    let filter = CallFilter {
        page: list::page(&mut parameters, |CallId(id)| id),
        to: list::number(&mut parameters),
        trunk: parameters.parsed::<TrunkName>("trunk", "a trunk's name"),
        outcome: list::word(&mut parameters, "outcome", outcome),
    };
    parameters.finish()?;
    let page = app.store().calls(&caller.who(), &filter).await?;
    let page = List::new(page, |call| view(call, &caller), CallId);
    Ok(reply::json(StatusCode::OK, &page))
}

/// Read one call with its history.
#[utoipa::path(
    get, path = "/v1/calls/{id}", tag = "operators", params(("id" = String, Path)),
    responses(
        (status = 200, body = CallRecordView),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<CallId>,
    parameters: Parameters,
) -> Result<Response, Problem> {
    caller.require_any(&[Scope::Calls, Scope::Operator])?;
    parameters.finish()?;
    let call = app.store().call(&caller.who(), id).await?;
    let call = call.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(reply::json(StatusCode::OK, &view(&call, &caller)))
}

impl CallRecordView {
    /// Shows it with its number in full, or masked and with the trunk's address.
    pub fn new(call: &CallView, own: bool) -> Self {
        let (record, rang, target) = match &call.state {
            CallState::Up { rang, target, .. } => (None, *rang, *target),
            CallState::Ended(record) => (Some(record), record.rang, record.target),
        };
        Self {
            id: call.call_id.to_string(),
            live: call.live,
            verification_id: call.verification_id.to_string(),
            step: call.step_n,
            attempt: call.attempt,
            account: call.account.clone(),
            trunk: call.trunk.to_string(),
            to: number(&call.to, own),
            caller_id: call.caller_id_masked.clone(),
            created_at: call.created_at.to_string(),
            ended_at: record.map(|record| record.ended_at.to_string()),
            rang,
            outcome: record.map(|record| record.outcome.as_str()),
            status: record.and_then(|record| record.status),
            q850: record.and_then(|record| record.q850),
            retry_after_s: record.and_then(retry_after_s),
            target: target.filter(|_| !own).map(|target| target.to_string()),
            timeline: record.map(|record| timeline(&record.timeline)).unwrap_or_default(),
        }
    }
}

fn view(call: &CallView, caller: &Caller) -> CallRecordView {
    CallRecordView::new(call, caller.sees_numbers())
}

fn retry_after_s(record: &CallRecord) -> Option<u64> {
    record.retry_after.map(|wait| wait.as_secs())
}
