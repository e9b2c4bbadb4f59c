//! What surrounds every request: its id, the rendering of problems, one line in the log for
//! what failed here.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{ALLOW, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

use super::error::{Code, Problem};
use super::rate::{self, Meter};
use crate::app::App;
use crate::telemetry;

/// Names the request in our log.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Wraps the whole router.
pub(super) async fn envelope(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let request_id = app.request_id();
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let route =
        request.extensions().get::<MatchedPath>().map(|matched| matched.as_str().to_owned());
    let route = route.as_deref().unwrap_or("unmatched");
    let meter = Meter::default();
    request.extensions_mut().insert(meter.clone());
    let span = telemetry::request_span(&request_id);
    let started = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    if let Some(problem) = response.extensions_mut().remove::<Arc<Problem>>() {
        span.in_scope(|| log(&problem));
        let allow = response.headers_mut().remove(ALLOW);
        response = problem.render(app.now(), &path, &request_id);
        if let Some(allow) = allow {
            response.headers_mut().insert(ALLOW, allow);
        }
    }
    if let Some(allowance) = meter.shown() {
        let limits = &app.settings().config.limits;
        rate::tell(response.headers_mut(), allowance, &method, route, limits);
    }
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    telemetry::http_request(method.as_str(), route, response.status().as_u16(), started.elapsed());
    response
}

fn log(problem: &Problem) {
    let code = problem.code().as_str();
    match (problem.code(), problem.cause()) {
        (Code::Internal, cause) => tracing::error!(cause, "a request failed here"),
        (_, Some(cause)) => tracing::warn!(code, cause, "a request was refused"),
        (_, None) => tracing::debug!(code, "a request was refused"),
    }
}

/// The answer where no route is.
pub(super) async fn no_route() -> Problem {
    Problem::new(Code::NotFound)
}

/// The answer where a route takes other methods.
pub(super) async fn no_method() -> Problem {
    Problem::new(Code::MethodNotAllowed)
}
