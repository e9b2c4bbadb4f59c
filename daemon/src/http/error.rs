//! Problems (RFC 9457): the only type of the API that becomes an error response.

mod code;

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

pub use code::Code;

use super::rate;
use crate::clock::Timestamp;
use crate::limits;
use crate::store::LimitRule;

/// What every 5xx body says: the cause is in the log, under the request's id.
const CONSTANT_DETAIL: &str = "The cause is logged under the request_id.";

/// Most faults that one answer lists; a body of 64 KiB could hold thousands.
const FAULT_LIMIT: usize = 64;

/// An answer that is not a success.
#[derive(Clone, Debug)]
pub struct Problem(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    code: Code,
    detail: Option<String>,
    faults: Vec<Fault>,
    retry: Option<Retry>,
    limited_by: Option<(&'static str, LimitRule)>,
    cause: Option<String>,
}

/// When a client may come back.
#[derive(Clone, Copy, Debug)]
enum Retry {
    After(Duration),
    At(Timestamp),
}

/// One fault of the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Fault {
    /// Where in the body (RFC 6901); empty is the body itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Which parameter of path, query or header, where it is not in the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// The kind of fault: `required`, `unknown-field`, `wrong-type`, `bad-value`,
    /// `out-of-range`, `too-long`, `too-short`, `bad-character`, or a code of the table.
    pub code: &'static str,
    /// What is wrong, without the value.
    pub detail: String,
}

/// The body of every answer that is not a success (RFC 9457).
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody<'a> {
    /// A name for this kind of problem, always `urn:dozvon:problem:` and the code.
    #[serde(rename = "type")]
    #[schema(example = "urn:dozvon:problem:no-trunk-up")]
    pub kind: String,
    /// The same short sentence for every problem with this code.
    pub title: &'a str,
    /// The HTTP status.
    #[schema(example = 503)]
    pub status: u16,
    /// What happened this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'a str>,
    /// The path of the request.
    pub instance: &'a str,
    /// A word from the table of codes; the table may grow.
    #[schema(example = "no-trunk-up")]
    pub code: &'a str,
    /// Names this request in the gateway's log; also the header field `X-Request-Id`.
    pub request_id: &'a str,
    /// The faults of the input; left out when there are none.
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    pub errors: &'a [Fault],
}

impl Problem {
    /// A problem with this code and nothing more to say than the code's title.
    pub fn new(code: Code) -> Self {
        Self(Box::new(Inner {
            code,
            detail: None,
            faults: Vec::new(),
            retry: None,
            limited_by: None,
            cause: None,
        }))
    }

    /// Says what happened this time: a sentence without a value of the client.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Asks the client to wait; sent as whole seconds, rounded up, at least 1.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry = Some(Retry::After(wait));
        self
    }

    /// Asks the client to come back then.
    pub fn retry_at(mut self, at: Timestamp) -> Self {
        self.0.retry = Some(Retry::At(at));
        self
    }

    /// Names the limit that had no room (draft-ietf-httpapi-ratelimit-headers).
    pub fn limited_by(mut self, scope: &'static str, rule: LimitRule) -> Self {
        self.0.limited_by = Some((scope, rule));
        self
    }

    /// A failure of ours: the client sees a constant body, the log sees the cause.
    pub fn internal(cause: &dyn std::error::Error) -> Self {
        Self::new(Code::Internal).caused_by(cause)
    }

    /// Keeps the error and its sources for the one log line of this request.
    pub fn caused_by(mut self, cause: &dyn std::error::Error) -> Self {
        let mut text = cause.to_string();
        let mut source = cause.source();
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        self.0.cause = Some(text);
        self
    }

    /// Bad input. One fault whose code stands in the table gives the problem its code,
    /// anything else is `invalid-request`.
    pub fn invalid(mut faults: Vec<Fault>) -> Self {
        let code = match faults.as_slice() {
            [only] => Code::ALL
                .iter()
                .copied()
                .find(|code| code.as_str() == only.code)
                .unwrap_or(Code::InvalidRequest),
            _ => Code::InvalidRequest,
        };
        let detail = match faults.as_slice() {
            [only] => only.detail.clone(),
            several => format!("{} faults were found.", several.len()),
        };
        faults.truncate(FAULT_LIMIT);
        let mut problem = Self::new(code).detail(detail);
        problem.0.faults = faults;
        problem
    }

    /// Bad input at one field of the body.
    pub fn field(code: Code, pointer: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let mut problem = Self::new(code).detail(detail.clone());
        problem.0.faults = vec![Fault {
            pointer: Some(pointer.to_owned()),
            parameter: None,
            code: code.as_str(),
            detail,
        }];
        problem
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The faults of the input.
    pub fn faults(&self) -> &[Fault] {
        &self.0.faults
    }

    /// The cause, for the log.
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// The response, once path and request id are known.
    pub fn render(&self, now: Timestamp, instance: &str, request_id: &str) -> Response {
        let status = self.0.code.status();
        let constant = status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE;
        let body = ProblemBody {
            kind: format!("urn:dozvon:problem:{}", self.0.code.as_str()),
            title: self.0.code.title(),
            status: status.as_u16(),
            detail: if constant { Some(CONSTANT_DETAIL) } else { self.0.detail.as_deref() },
            instance,
            code: self.0.code.as_str(),
            request_id,
            errors: &self.0.faults,
        };
        let bytes = serde_json::to_vec(&body).expect("a problem holds only texts and numbers");
        let mut response = (status, bytes).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let wait = self.retry_after_seconds(now);
        if let Some(wait) = wait {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait));
        }
        if let Some((scope, rule)) = self.0.limited_by {
            let wait = wait.unwrap_or_default();
            insert(headers, "ratelimit-policy", &rate::policy(scope, rule));
            let name = limits::rule_name(scope, rule);
            insert(headers, "ratelimit", &format!("\"{name}\";r=0;t={wait}"));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"dozvon\""));
        }
        response
    }

    // Every 503 and 429 says when to come back.
    fn retry_after_seconds(&self, now: Timestamp) -> Option<u64> {
        let needed = matches!(
            self.0.code.status(),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
        );
        let wait = match self.0.retry {
            Some(Retry::After(wait)) => wait,
            Some(Retry::At(at)) => at.since(now),
            None if needed => Duration::from_secs(1),
            None => return None,
        };
        Some(wait.as_millis().div_ceil(1000).clamp(1, 86_400) as u64)
    }
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

impl IntoResponse for Problem {
    /// Only marks the response: `envelope` renders it, for it knows path and request id.
    fn into_response(self) -> Response {
        let mut response = self.code().status().into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn body(problem: &Problem) -> serde_json::Value {
        let bytes = problem
            .render(Timestamp(0), "/v1/x", "req_1")
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[tokio::test]
    async fn a_500_says_nothing_of_its_cause() {
        let cause = std::io::Error::other("disk said secret things");
        let problem = Problem::internal(&cause).detail("secret too");
        let body = body(&problem).await;
        assert!(!body.to_string().contains("secret"), "{body}");
        assert_eq!(problem.cause(), Some("disk said secret things"));
        assert_eq!(body["code"], "internal");
        assert_eq!(body["request_id"], "req_1");
    }

    #[tokio::test]
    async fn one_fault_of_the_table_names_the_problem_and_several_do_not() {
        let fault = |pointer: &str, code| Fault {
            pointer: Some(pointer.to_owned()),
            parameter: None,
            code,
            detail: "wrong".to_owned(),
        };
        let one = Problem::invalid(vec![fault("/to", "not-a-phone-number")]);
        assert_eq!(one.code(), Code::NotAPhoneNumber);
        let schema = Problem::invalid(vec![fault("/to", "wrong-type")]);
        assert_eq!(schema.code(), Code::InvalidRequest);
        let two = Problem::invalid(vec![fault("/to", "not-a-phone-number"), fault("", "required")]);
        assert_eq!(two.code(), Code::InvalidRequest);
        assert_eq!(body(&two).await["errors"][0]["pointer"], "/to");
    }

    #[test]
    fn every_refusal_for_now_says_when_to_come_back() {
        for code in Code::ALL {
            let response = Problem::new(*code).render(Timestamp(0), "/", "req_1");
            let later = matches!(code.status().as_u16(), 429 | 503);
            assert_eq!(response.headers().contains_key(RETRY_AFTER), later, "{}", code.as_str());
        }
        let wait = Problem::new(Code::ResendTooSoon).retry_after(Duration::from_millis(1001));
        assert_eq!(wait.render(Timestamp(0), "/", "req_1").headers()[RETRY_AFTER], "2");
    }
}
