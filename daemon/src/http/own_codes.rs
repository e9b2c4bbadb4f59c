//! `POST /v1/calls`: a flash call for a backend that keeps its own codes.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use config::PurposeName;
use dialplans::Tail;
use serde::Serialize;
use serde_json::Value;

use super::body::Json;
use super::caller::Caller;
use super::error::{Problem, ProblemBody};
use super::idempotency::{IdempotencyKey, Idempotent};
use super::input::{Faults, TextRule};
use super::reply;
use super::verifications::input::{client, number};
use crate::accounts::{ActingAccount, Scope};
use crate::app::App;
use crate::channels::CodeWish;
use crate::store::StoredResponse;
use crate::verification::model::{Channel, DEFAULT_AFTER, Planned, Verification, Wording};
use crate::verification::service::{self, Accepted, NewVerification};

/// A call that was placed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = PlacedCall)]
pub struct PlacedCallView {
    /// Its id, for `GET /v1/calls/{id}`.
    #[schema(example = "cal_01jq3v8d9kf2m7x0c5n1t6w4rb")]
    pub id: String,
    /// False under a test key.
    pub live: bool,
    /// The verification that records it; a second trunk's call is found there.
    pub verification_id: String,
    /// The called number.
    pub to: String,
    /// The trunk.
    pub trunk: String,
    /// When it was written down.
    pub created_at: String,
}

/// Place a flash call whose caller ID ends in these digits.
///
/// The digits must be the end of a number of the account's pools; the limits of verifications
/// count. The caller ID is never told.
#[utoipa::path(
    post, path = "/v1/calls", tag = "operators",
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body(content = Object, example = json!({"to": "+79161234567", "tail": "0042"})),
    responses(
        (status = 201, body = PlacedCallView, description = "It is stored; Location names it."),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body): Json,
) -> Result<Response, Problem> {
    caller.require(Scope::CallsOwnCodes)?;
    let account = caller.account(&app)?;
    let wish = read(&body, &account)?;
    let (guard, idempotency) =
        match Idempotent::begin(&app, &account, key, "POST /v1/calls", &body).await? {
            Idempotent::Replayed(response) => return Ok(reply::replayed(response)),
            Idempotent::Go(guard, idempotency) => (guard, idempotency),
        };
    let idempotency = idempotency.map(|begun| begun.render(rendered));
    let task_app = app.clone();
    let accepted = reply::tracked(&app, async move {
        let _guard = guard;
        service::create(&task_app, &account, wish, idempotency).await
    });
    match accepted.await?.map_err(Problem::from)? {
        Accepted::Replayed(response) => Ok(reply::replayed(response)),
        Accepted::Done(_, Some(response)) => Ok(reply::stored(response)),
        Accepted::Done(verification, None) => {
            let response = rendered(&verification);
            Ok(reply::stored(response.expect("a new verification has a call")))
        }
    }
}

fn rendered(verification: &Verification) -> Option<StoredResponse> {
    let call = verification.steps.first()?.calls.first()?;
    let view = PlacedCallView {
        id: call.call_id.to_string(),
        live: verification.live,
        verification_id: verification.verification_id.to_string(),
        to: super::verifications::view::target(&verification.to, true),
        trunk: call.trunk.to_string(),
        created_at: call.created_at.to_string(),
    };
    let mut response = reply::rendered(StatusCode::CREATED, &view);
    response.headers.push(("location".to_owned(), format!("/v1/calls/{}", view.id)));
    Some(response)
}

fn read(body: &Value, account: &ActingAccount) -> Result<NewVerification, Problem> {
    Faults::new().read(body, |object| {
        let to = object.required_text("to", TextRule::line(64));
        let to = to.and_then(|text| number(object, "to", text, account));
        let tail = object.required_text("tail", TextRule::line(10)).map(Tail::parse);
        if let Some(Err(error)) = &tail {
            object.fault("tail", "bad-value", error.to_string());
        }
        let reference = object.text("reference", TextRule::line(128)).map(str::to_owned);
        let client = object.object("client", client).unwrap_or_default();
        Some(NewVerification {
            to: to?.into(),
            channels: vec![Planned { channel: Channel::FlashCall, after: DEFAULT_AFTER }],
            code: CodeWish::Tail(tail?.ok()?),
            wording: Wording::default(),
            purpose: PurposeName::sign_in(),
            ttl: None,
            locale: None,
            reference,
            metadata: None,
            client,
        })
    })
}
