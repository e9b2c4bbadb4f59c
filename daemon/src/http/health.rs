//! `/healthz`, `/readyz`, `/metrics`: without a key.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::error::{Code, Problem, ProblemBody};
use super::reply;
use crate::app::App;

/// How long the database may take to show a sign of life.
const PING_LIMIT: Duration = Duration::from_secs(2);

/// Whether the process can take work.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Readiness)]
pub struct ReadyView {
    /// Always `ready`; anything else is a problem.
    pub status: &'static str,
    /// Trunks that can take a call.
    pub trunks_up: usize,
    /// Trunks of the file.
    pub trunks: usize,
    /// Calls that have not ended.
    pub calls_up: u32,
}

/// The process answers.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Health)]
pub struct HealthView {
    /// Always `ok`.
    pub status: &'static str,
}

/// Whether the process is alive.
#[utoipa::path(get, path = "/healthz", tag = "health", security(()), responses((status = 200, body = HealthView)))]
pub(super) async fn healthz() -> Response {
    reply::json(StatusCode::OK, &HealthView { status: "ok" })
}

/// Whether it can take work: the database answers and the process is not stopping. Trunks that
/// are down do not count, for another instance would have the same.
#[utoipa::path(
    get, path = "/readyz", tag = "health", security(()),
    responses(
        (status = 200, body = ReadyView),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn readyz(State(app): State<App>) -> Result<Response, Problem> {
    if app.stop().is_cancelled() {
        return Err(Problem::new(Code::ShuttingDown));
    }
    match tokio::time::timeout(PING_LIMIT, app.store().ping()).await {
        Ok(answered) => answered?,
        Err(_elapsed) => return Err(Problem::new(Code::StoreUnavailable)),
    }
    let table = app.driver().trunks();
    let view = ReadyView {
        status: "ready",
        trunks_up: table.up(),
        trunks: table.trunks.len(),
        calls_up: table.calls_up(),
    };
    Ok(reply::json(StatusCode::OK, &view))
}

/// Figures for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "health", security(()),
    responses((status = 200, body = String, content_type = "text/plain"))
)]
pub(super) async fn metrics(State(app): State<App>) -> Result<Response, Problem> {
    let page = app.metrics().ok_or_else(|| Problem::new(Code::NotFound))?.render();
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(CONTENT_TYPE, kind)], page).into_response())
}
