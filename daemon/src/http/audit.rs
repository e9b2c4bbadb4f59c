//! `GET /v1/audit`: who did what, and what the gateway did on somebody's earlier word.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value};

use super::caller::Caller;
use super::error::{Problem, ProblemBody};
use super::list::{self, List};
use super::query::Parameters;
use super::reply;
use crate::accounts::Scope;
use crate::app::App;
use crate::ids::AuditId;
use crate::store::{AuditEntry, AuditFilter, AuditKind};

/// An entry of the audit.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuditEntry)]
pub struct AuditView {
    /// Its id.
    #[schema(example = "aud_01jq3v8d9kf2m7x0c5n1t6w4rb")]
    pub id: String,
    /// False under a test key.
    pub live: bool,
    /// The account that it concerns.
    pub account: String,
    /// `redirect.put`, `redirect.deleted`, `redirect.used`; more may come.
    #[schema(example = "redirect.used")]
    pub kind: &'static str,
    /// `key:…`, `operator` (at the local socket); null: the gateway by itself.
    pub actor: Option<String>,
    /// What it was done to.
    #[schema(example = "rdr_01jq3v8d9kf2m7x0c5n1t6w4rb")]
    pub subject: String,
    /// More about it; numbers and mailboxes are masked.
    #[schema(value_type = Object)]
    pub details: Map<String, Value>,
    /// When.
    pub created_at: String,
}

/// Read the audit, newest first. A key of an account sees what concerns its account.
#[utoipa::path(
    get, path = "/v1/audit", tag = "operators",
    params(list::PageParams, ("kind" = Option<String>, Query, description = "Only entries of this kind.")),
    responses(
        (status = 200, body = List<AuditView>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    caller.require_any(&[Scope::Audit, Scope::Redirects])?;
    let page = list::page(&mut parameters, |AuditId(id)| id);
    let kind = list::word(&mut parameters, "kind", AuditKind::from_word);
    let filter = AuditFilter { page, kind };
    parameters.finish()?;
    let page = app.store().audit(&caller.who(), &filter).await?;
    Ok(reply::json(StatusCode::OK, &List::new(page, AuditView::new, AuditId)))
}

impl AuditView {
    fn new(entry: &AuditEntry) -> Self {
        Self {
            id: entry.audit_id.to_string(),
            live: entry.live,
            account: entry.account.clone(),
            kind: entry.kind.as_str(),
            actor: entry.actor.clone(),
            subject: entry.subject.clone(),
            details: entry.details.clone(),
            created_at: entry.created_at.to_string(),
        }
    }
}
