//! `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers): on every answer to
//! a key, what it has left; and where something is sent, the rules of sending.

use std::sync::{Arc, OnceLock};

use axum::http::Method;
use axum::http::header::{HeaderMap, HeaderName, HeaderValue};
use config::Limits;

use crate::accounts::Allowance;
use crate::limits;
use crate::store::LimitRule;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Routes whose POST is counted for the number that it reaches.
const SENDING: [&str; 4] =
    ["/v1/verifications", "/v1/verifications/{id}/resend", "/v1/messages", "/v1/calls"];

/// Carries what a key has left from where the key is found to where the answer leaves.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter(Arc<OnceLock<Allowance>>);

impl Meter {
    pub(super) fn show(&self, allowance: Allowance) {
        self.0.get_or_init(|| allowance);
    }

    pub(super) fn shown(&self) -> Option<Allowance> {
        self.0.get().copied()
    }
}

/// A rule as `RateLimit-Policy` says it: `"send-minute";q=4;w=60`.
pub(super) fn policy(scope: &str, rule: LimitRule) -> String {
    let name = limits::rule_name(scope, rule);
    format!("\"{name}\";q={};w={}", rule.max, rule.window.as_secs())
}

/// Adds the fields to an answer; those of a limit that refused it stay in front.
pub(super) fn tell(
    headers: &mut HeaderMap,
    allowance: Allowance,
    method: &Method,
    route: &str,
    limits: &Limits,
) {
    let Allowance { quota, left, full_in } = allowance;
    let mut policies = vec![format!("\"key\";q={quota};w=1")];
    if *method == Method::POST && SENDING.contains(&route) {
        let rules = limits::send_rules(limits).into_iter();
        let rules = rules.filter(|(_, rule)| !rule.window.is_zero());
        policies.extend(rules.map(|(scope, rule)| policy(scope, rule)));
    }
    let refused = headers.get(POLICY).and_then(|value| value.to_str().ok()).map(str::to_owned);
    policies.retain(|policy| Some(policy) != refused.as_ref());
    append(headers, POLICY, &policies.join(", "));
    let wait = full_in.as_millis().div_ceil(1000);
    append(headers, LIMIT, &format!("\"key\";r={left};t={wait}"));
}

/// One field each, though a list could stand in several: not every client joins them.
fn append(headers: &mut HeaderMap, name: HeaderName, items: &str) {
    let before = headers.get(&name).and_then(|value| value.to_str().ok());
    let all = before.map_or_else(|| items.to_owned(), |before| format!("{before}, {items}"));
    if let Ok(value) = HeaderValue::from_str(&all) {
        headers.insert(name, value);
    }
}
