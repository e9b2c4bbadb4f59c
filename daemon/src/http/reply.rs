//! Responses that are successes.

use std::future::Future;

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::error::Problem;
use crate::app::App;
use crate::store::StoredResponse;

/// A JSON body.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    stored(rendered(status, body))
}

/// A JSON body as it is kept.
pub fn rendered(status: StatusCode, body: &impl Serialize) -> StoredResponse {
    let body = serde_json::to_vec(body).expect("views hold only texts, numbers and lists");
    StoredResponse { status: status.as_u16(), headers: Vec::new(), body }
}

/// A response that was rendered before the commit.
pub fn stored(stored: StoredResponse) -> Response {
    let status = StatusCode::from_u16(stored.status).unwrap_or(StatusCode::OK);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for (name, value) in &stored.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    (status, headers, stored.body).into_response()
}

/// The response that the first request with this idempotency key got.
pub fn replayed(response: StoredResponse) -> Response {
    let mut response = stored(response);
    let replayed = HeaderName::from_static("idempotent-replayed");
    response.headers_mut().insert(replayed, HeaderValue::from_static("true"));
    response
}

/// Runs work in a task of its own that a stop waits for: a client that hangs up ends only its
/// wait for the answer.
pub async fn tracked<T, F>(app: &App, work: F) -> Result<T, Problem>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let span = tracing::Span::current();
    let task = app.spawn(tracing::Instrument::instrument(work, span));
    task.await.map_err(|panicked| Problem::internal(&panicked))
}
