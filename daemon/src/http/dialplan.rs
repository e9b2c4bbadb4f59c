//! `/v1/dialplan/explain`: why a number would take which trunk.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use config::{AccountName, PurposeName};
use dialplans::{CallerIdWish, Explanation, PlanRequest};
use serde::Serialize;

use super::body::Json;
use super::caller::Caller;
use super::error::{Code, Problem, ProblemBody};
use super::input::{Faults, TextRule};
use super::reply;
use super::trunks::state;
use super::verifications::input::number;
use crate::accounts::{ActingAccount, Scope};
use crate::app::App;

/// Why a number would take which trunk and pool.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Explanation)]
pub struct ExplanationView {
    /// The number, masked.
    pub to: String,
    /// Always true: trunks are asked as they stand.
    pub live: bool,
    /// The prefixes of all routes that name the number, the longest first: that one is taken.
    pub routes: Vec<String>,
    /// Every pool, and whether it may be shown.
    pub pools: Vec<PoolView>,
    /// The route's trunks in order.
    pub trunks: Vec<RouteTrunkView>,
    /// The same for people, several lines.
    pub text: String,
}

/// A pool on a route.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ExplainedPool)]
pub struct PoolView {
    /// Its name.
    pub name: String,
    /// How many numbers it holds.
    pub numbers: u64,
    /// How many distinct codes they have.
    pub endings: u64,
    /// Digits of a code.
    pub code_length: usize,
    /// The same for people.
    pub text: String,
}

/// A trunk on a route.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ExplainedTrunk)]
pub struct RouteTrunkView {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: &'static str,
    /// How many codes could be drawn over it; null: none.
    pub endings: Option<u64>,
    /// Which part of the calls tries it before the others of its priority, 0 to 1; null: its place
    /// is fixed.
    pub share: Option<f64>,
    /// The same for people.
    pub text: String,
}

/// Explain which trunk and pool a number would take.
#[utoipa::path(
    post, path = "/v1/dialplan/explain", tag = "operators",
    request_body(content = Object, example = json!({"to": "+79161234567", "purpose": "sign_in", "account": "default"})),
    responses(
        (status = 200, body = ExplanationView),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn explain(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json,
) -> Result<Response, Problem> {
    caller.require(Scope::Operator)?;
    let settings = app.settings();
    let accounts = &settings.config.accounts;
    let (to, account, purpose) = Faults::new().read(&body, |object| {
        let name = object.text("account", TextRule::line(64));
        let name = name.map_or_else(|| Ok(AccountName::default_account()), AccountName::parse);
        let found = name.ok().and_then(|name| {
            let rules = accounts.get(&name)?.clone();
            Some(ActingAccount { name, rules, live: true })
        });
        if found.is_none() {
            object.fault("account", "bad-value", "there is no such account");
        }
        let purpose = object.text("purpose", TextRule::line(64));
        let purpose = purpose.map_or_else(|| Ok(PurposeName::sign_in()), PurposeName::parse);
        let rules = purpose.ok().and_then(|name| settings.config.purposes.get(&name));
        if rules.is_none() {
            object.fault("purpose", Code::PurposeUnknown.as_str(), "there is no such purpose");
        }
        let text = object.required_text("to", TextRule::line(64));
        let account = found?;
        Some((number(object, "to", text?, &account)?, account, rules?))
    })?;
    let request = PlanRequest {
        pools: account.rules.pools,
        min_endings: purpose.min_endings,
        allow_small_pools: purpose.allow_small_pools.as_slice().into(),
        resting: app.resting().at(app.now()),
        ring_limit: purpose.ring_limit,
        caller_id: CallerIdWish::Drawn,
    };
    let since = app.now() - settings.config.limits.same_tail;
    let recent = app.store().recent_tails(&to, since).await?;
    let health = app.driver().health();
    let explanation = settings.dialplan.explain(&to, &request, &recent, &health);
    Ok(reply::json(StatusCode::OK, &view(&explanation)))
}

fn view(explanation: &Explanation) -> ExplanationView {
    let pools = explanation.pools.iter().map(|pool| PoolView {
        name: pool.pool.to_string(),
        numbers: pool.numbers,
        endings: pool.endings,
        code_length: pool.code_length.digits(),
        text: pool.to_string(),
    });
    let trunks = explanation.trunks.iter().map(|trunk| RouteTrunkView {
        name: trunk.trunk.to_string(),
        state: state(trunk.state),
        endings: trunk.endings.as_ref().map(|count| count.left),
        share: trunk.share.map(|share| share.weight as f64 / share.of.max(1) as f64),
        text: trunk.to_string(),
    });
    ExplanationView {
        to: explanation.to.to_string(),
        live: true,
        routes: explanation.routes.iter().map(ToString::to_string).collect(),
        pools: pools.collect(),
        trunks: trunks.collect(),
        text: explanation.to_string(),
    }
}
