//! `/v1/messages`: texts that a backend relays.

pub mod input;
pub mod preview;
pub mod view;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::body::Json;
use super::caller::Caller;
use super::error::{Code, Problem, ProblemBody};
use super::idempotency::{IdempotencyKey, Idempotent};
use super::list::{self, List};
use super::query::{Parameters, PathId};
use super::reply;
use crate::accounts::Scope;
use crate::app::App;
use crate::ids::MessageId;
use crate::messages::{self, CreateError, RouteError};
use crate::store::{Direction, Message, MessageFilter, MessageStatus, StoredResponse};
use crate::verification::service::Accepted;

use input::NewMessageSchema;
use view::MessageView;

/// Send a text.
///
/// 202 is answered when it is stored. It is handed on at least once until `valid_for_s` has
/// passed; `maybe_duplicate` says that the phone may show it twice.
#[utoipa::path(
    post, path = "/v1/messages", tag = "messages",
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats get the first answer, for 24 hours.")),
    request_body = NewMessageSchema,
    responses(
        (status = 202, body = MessageView, description = "It is stored; Location names it."),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body): Json,
) -> Result<Response, Problem> {
    caller.require(Scope::Messages)?;
    let account = caller.account(&app)?;
    let wish = input::read(&body, &account)?;
    let request = "POST /v1/messages";
    let (guard, idempotency) = match Idempotent::begin(&app, &account, key, request, &body).await? {
        Idempotent::Replayed(response) => return Ok(reply::replayed(response)),
        Idempotent::Go(guard, idempotency) => (guard, idempotency),
    };
    let idempotency =
        idempotency.map(|begun| begun.render(|message: &Message| Some(rendered(message))));
    let task_app = app.clone();
    let accepted = reply::tracked(&app, async move {
        let _guard = guard;
        messages::create(&task_app, &account, wish, idempotency).await
    });
    match accepted.await?.map_err(Problem::from)? {
        Accepted::Replayed(response) => Ok(reply::replayed(response)),
        Accepted::Done(_, Some(response)) => Ok(reply::stored(response)),
        Accepted::Done(message, None) => Ok(reply::stored(rendered(&message))),
    }
}

fn rendered(message: &Message) -> StoredResponse {
    let view = MessageView::new(message, true);
    let location = format!("/v1/messages/{}", view.id);
    let mut response = reply::rendered(StatusCode::ACCEPTED, &view);
    response.headers.push(("location".to_owned(), location));
    response
}

/// Read a text's status; with `wait`, hold the answer back until it changes.
#[utoipa::path(
    get, path = "/v1/messages/{id}", tag = "messages",
    params(
        ("id" = String, Path),
        ("wait" = Option<u64>, Query, description = "Seconds to wait for a change, 1 to 30."),
        ("after" = Option<u32>, Query, description = "The version that is known; left out: the one at arrival."),
    ),
    responses(
        (status = 200, body = MessageView),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<MessageId>,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    caller.require_any(&[Scope::Messages, Scope::Operator])?;
    let wait = parameters.wait();
    parameters.finish()?;
    let who = caller.who();
    let found = match wait {
        None => app.store().message(&who, id).await?,
        Some(wait) => messages::wait(&app, &who, id, wait).await?,
    };
    let found = found.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(reply::json(StatusCode::OK, &MessageView::new(&found, caller.sees_numbers())))
}

/// List texts, newest first.
#[utoipa::path(
    get, path = "/v1/messages", tag = "messages",
    params(list::ListParams, ("direction" = Option<String>, Query, description = "outbound or inbound")),
    responses(
        (status = 200, body = List<MessageView>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    caller.require_any(&[Scope::Messages, Scope::Operator])?;
    let filter = MessageFilter {
        page: list::page(&mut parameters, |MessageId(id)| id),
        to: list::number(&mut parameters),
        reference: parameters.text("reference"),
        status: list::word(&mut parameters, "status", MessageStatus::from_word),
        direction: list::word(&mut parameters, "direction", Direction::from_word),
    };
    parameters.finish()?;
    let page = app.store().messages(&caller.who(), &filter).await?;
    let full = caller.sees_numbers();
    let page = List::new(page, |item| MessageView::new(item, full), MessageId);
    Ok(reply::json(StatusCode::OK, &page))
}

impl From<RouteError> for Problem {
    fn from(error: RouteError) -> Self {
        match error {
            RouteError::NotOffered => {
                Self::new(Code::ChannelNotAvailable).detail("No trunk of this gateway sends texts.")
            }
            RouteError::NoRoute | RouteError::Dial(_) | RouteError::Digits(_) => {
                Self::new(Code::DestinationNotAllowed)
            }
        }
    }
}

impl From<CreateError> for Problem {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Route(error) => error.into(),
            CreateError::SenderNotAllowed => Self::field(
                Code::SenderNotAllowed,
                "/sender",
                "The sender is not in the account's list.",
            ),
            CreateError::NoTemplate => Self::field(
                Code::InvalidRequest,
                "/template",
                "There is no such template in this language.",
            ),
            CreateError::MissingVariable(missing) => {
                let pointer = format!("/variables/{}", missing.name);
                Self::field(Code::InvalidRequest, &pointer, "The template needs this variable.")
            }
            CreateError::TooLong => {
                Self::field(Code::TextTooLong, "/text", "At most 1000 bytes fit into one message.")
            }
            CreateError::Limit(reached) => reached.into(),
            CreateError::OtherRequest => Self::new(Code::IdempotencyKeyReused),
            CreateError::Stopping => Self::new(Code::ShuttingDown),
            CreateError::Store(error) => error.into(),
        }
    }
}
