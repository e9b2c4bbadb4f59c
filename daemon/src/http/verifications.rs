//! `/v1/verifications`: prove that somebody has a phone in their hand.

mod channels;
pub mod events;
pub mod input;
mod problem;
pub mod view;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::body::{Json, JsonOrNothing};
use super::caller::Caller;
use super::error::{Code, Problem, ProblemBody};
use super::idempotency::{IdempotencyKey, Idempotent};
use super::input::{Faults, TextRule};
use super::list::{self, List};
use super::query::{Parameters, PathId};
use super::reply;
use crate::accounts::{ActingAccount, Scope};
use crate::app::App;
use crate::channels::CodeWish;
use crate::directory;
use crate::ids::VerificationId;
use crate::store::{Idempotency, StoredResponse, VerificationFilter};
use crate::verification::machine::{Answer, PresentedCode};
use crate::verification::model::{Channel, Verification, VerificationStatus};
use crate::verification::service::{self, Accepted};

use input::NewVerificationSchema;
use view::{CheckView, CodeView, VerificationView};

/// Longest text of a presented code: a whole number with its separators.
const CODE_LIMIT: usize = 40;

/// Make a verification and send its code.
///
/// 201 is answered when it is stored; the call is placed then.
#[utoipa::path(
    post, path = "/v1/verifications", tag = "verifications",
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats get the first answer, for 24 hours.")),
    request_body = NewVerificationSchema,
    responses(
        (status = 201, body = VerificationView, description = "It is stored; Location names it."),
        (status = 200, description = "A dry run: what would happen."),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "See the table of codes."),
    )
)]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    key: IdempotencyKey,
    Json(body): Json,
) -> Result<Response, Problem> {
    caller.require(Scope::Verify)?;
    let account = caller.account(&app)?;
    let mut wish = input::read(&body, &account, &app.settings())?;
    wish.new.to = directory::resolve(&app, &account, &wish.to).await?;
    if let CodeWish::Digits(_) = wish.new.code {
        caller.require(Scope::CallsOwnCodes)?;
    }
    if wish.dry_run {
        let rehearsal = service::rehearse(&app, &account, &wish.new).await?;
        return Ok(reply::json(StatusCode::OK, &dry_run(&rehearsal, account.live)));
    }
    let idempotent =
        Idempotent::begin(&app, &account, key, "POST /v1/verifications", &body).await?;
    let (guard, idempotency) = match idempotent {
        Idempotent::Replayed(response) => return Ok(reply::replayed(response)),
        Idempotent::Go(guard, idempotency) => (guard, idempotency),
    };
    let idempotency = idempotency.map(|begun| begun.render(created_response));
    let task_app = app.clone();
    let accepted = reply::tracked(&app, async move {
        let _guard = guard;
        service::create(&task_app, &account, wish.new, idempotency).await
    });
    match accepted.await?.map_err(Problem::from)? {
        Accepted::Replayed(response) => Ok(reply::replayed(response)),
        Accepted::Done(_, Some(response)) => Ok(reply::stored(response)),
        Accepted::Done(verification, None) => {
            Ok(reply::stored(rendered(StatusCode::CREATED, &verification)))
        }
    }
}

/// What is kept under an idempotency key.
fn created_response(verification: &Verification) -> Option<StoredResponse> {
    Some(rendered(StatusCode::CREATED, verification))
}

fn rendered(status: StatusCode, verification: &Verification) -> StoredResponse {
    let view = VerificationView::new(verification, true);
    let location = format!("/v1/verifications/{}", view.id);
    let mut response = reply::rendered(status, &view);
    if status == StatusCode::CREATED {
        response.headers.push(("location".to_owned(), location));
    }
    response
}

fn dry_run(rehearsal: &service::DryRun, live: bool) -> Value {
    let code = CodeView::new(rehearsal.rehearsed.code_length, rehearsal.rehearsed.code_space);
    let trunks: Vec<_> = rehearsal
        .plan
        .iter()
        .flat_map(|plan| plan.attempts())
        .map(|attempt| attempt.trunk.as_str())
        .collect();
    serde_json::json!({
        "dry_run": true,
        "live": live,
        "code": code,
        "steps": [{"n": 1, "channel": rehearsal.rehearsed.channel.as_str(), "trunks": trunks}],
    })
}

/// Read a verification; with `wait`, hold the answer back until it changes.
#[utoipa::path(
    get, path = "/v1/verifications/{id}", tag = "verifications",
    params(
        ("id" = String, Path),
        ("wait" = Option<u64>, Query, description = "Seconds to wait for a change, 1 to 30."),
        ("after" = Option<u32>, Query, description = "The version that is known; left out: the one at arrival."),
    ),
    responses(
        (status = 200, body = VerificationView),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<VerificationId>,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    caller.require_any(&[Scope::Verify, Scope::Operator])?;
    let wait = parameters.wait();
    parameters.finish()?;
    let who = caller.who();
    let found = match wait {
        None => service::get(&app, &who, id).await?,
        Some(wait) => service::wait(&app, &who, id, wait).await?,
    };
    let found = found.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(reply::json(StatusCode::OK, &VerificationView::new(&found, caller.sees_numbers())))
}

/// List verifications, newest first.
#[utoipa::path(
    get, path = "/v1/verifications", tag = "verifications",
    params(list::ListParams),
    responses(
        (status = 200, body = List<VerificationView>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    caller.require_any(&[Scope::Verify, Scope::Operator])?;
    let filter = VerificationFilter {
        page: list::page(&mut parameters, |VerificationId(id)| id),
        to: list::number(&mut parameters),
        reference: parameters.text("reference"),
        status: list::word(&mut parameters, "status", VerificationStatus::from_word),
        channel: list::word(&mut parameters, "channel", Channel::from_word),
    };
    parameters.finish()?;
    let page = app.store().verifications(&caller.who(), &filter).await?;
    let full = caller.sees_numbers();
    let page = List::new(page, |item| VerificationView::new(item, full), VerificationId);
    Ok(reply::json(StatusCode::OK, &page))
}

/// Present a code.
///
/// The code is the last digits of the number that called, or that whole number.
#[utoipa::path(
    post, path = "/v1/verifications/{id}/check", tag = "verifications",
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body(content = Object, example = json!({"code": "1234"})),
    responses(
        (status = 200, body = CheckView, description = "The code was looked at; valid says whether it was right."),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "verification-ended, whatever the code."),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn check(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<VerificationId>,
    key: IdempotencyKey,
    Json(body): Json,
) -> Result<Response, Problem> {
    caller.require(Scope::Verify)?;
    let account = caller.account(&app)?;
    let code = Faults::new().read(&body, |object| {
        let text = object.required_text("code", TextRule::line(CODE_LIMIT))?;
        let code = PresentedCode::parse(text);
        if let Err(error) = &code {
            object.fault("code", "bad-value", error.to_string());
        }
        code.ok()
    })?;
    let request = format!("POST /v1/verifications/{id}/check");
    let (guard, idempotency) = match Idempotent::begin(&app, &account, key, &request, &body).await?
    {
        Idempotent::Replayed(response) => return Ok(reply::replayed(response)),
        Idempotent::Go(guard, idempotency) => (guard, idempotency),
    };
    let keys = app.keys().clone();
    let idempotency = idempotency.map(|begun| {
        begun.render(move |(verification, answer)| {
            let valid = matches!(answer, Answer::Checked { valid: true });
            Some(reply::rendered(StatusCode::OK, &CheckView::new(&keys, verification, valid)))
        })
    });
    let task_app = app.clone();
    let accepted = reply::tracked(&app, async move {
        let _guard = guard;
        service::check(&task_app, &account, id, code, idempotency).await
    });
    match accepted.await?.map_err(Problem::from)? {
        Accepted::Replayed(response) => Ok(reply::replayed(response)),
        Accepted::Done(_, Some(response)) => Ok(reply::stored(response)),
        Accepted::Done(checked, None) => {
            let view = CheckView::new(app.keys(), &checked.verification, checked.valid);
            Ok(reply::json(StatusCode::OK, &view))
        }
    }
}

/// Send the same code again, over the present channel; a phone sees the same number once more.
#[utoipa::path(
    post, path = "/v1/verifications/{id}/resend", tag = "verifications",
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses(
        (status = 200, body = VerificationView),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn resend(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<VerificationId>,
    key: IdempotencyKey,
    JsonOrNothing(body): JsonOrNothing,
) -> Result<Response, Problem> {
    Faults::new().read(&body, |_nothing| Some(()))?;
    let deed = Deed { id, word: "resend", key, body };
    deed.run(app, caller, move |app, account, kept| async move {
        service::resend(&app, &account, id, kept).await
    })
    .await
}

/// Take another way: its channel begins at once, the earlier code stays valid for a minute.
#[utoipa::path(
    post, path = "/v1/verifications/{id}/switch", tag = "verifications",
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body(content = Object, example = json!({"channel": "sms"})),
    responses(
        (status = 200, body = VerificationView),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn switch(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<VerificationId>,
    key: IdempotencyKey,
    Json(body): Json,
) -> Result<Response, Problem> {
    let settings = app.settings();
    let live = caller.is_live();
    let channel = Faults::new().read(&body, |object| {
        let word = object.required_text("channel", TextRule::line(32))?;
        let channel = channels::offered(&settings, word, live);
        if let Err(detail) = &channel {
            object.fault("channel", "channel-not-available", detail.clone());
        }
        channel.ok()
    })?;
    let deed = Deed { id, word: "switch", key, body };
    deed.run(app, caller, move |app, account, kept| async move {
        service::switch(&app, &account, id, channel, kept).await
    })
    .await
}

/// End a verification: no code of it counts from then on, its call is hung up.
#[utoipa::path(
    post, path = "/v1/verifications/{id}/cancel", tag = "verifications",
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses(
        (status = 200, body = VerificationView),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn cancel(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<VerificationId>,
    key: IdempotencyKey,
    JsonOrNothing(body): JsonOrNothing,
) -> Result<Response, Problem> {
    Faults::new().read(&body, |_nothing| Some(()))?;
    let deed = Deed { id, word: "cancel", key, body };
    deed.run(app, caller, move |app, account, kept| async move {
        service::cancel(&app, &account, id, kept).await
    })
    .await
}

/// What a client does to a verification that answers with its representation.
struct Deed {
    id: VerificationId,
    /// The last part of its path.
    word: &'static str,
    key: IdempotencyKey,
    body: Value,
}

impl Deed {
    /// Does it once for its idempotency key, in a task of its own.
    async fn run<E, W>(
        self,
        app: App,
        caller: Caller,
        work: impl FnOnce(App, ActingAccount, Option<Idempotency<(Verification, Answer)>>) -> W,
    ) -> Result<Response, Problem>
    where
        E: Send + 'static,
        Problem: From<E>,
        W: Future<Output = Result<Accepted<Box<Verification>>, E>> + Send + 'static,
    {
        caller.require(Scope::Verify)?;
        let account = caller.account(&app)?;
        let request = format!("POST /v1/verifications/{}/{}", self.id, self.word);
        let begun = Idempotent::begin(&app, &account, self.key, &request, &self.body).await?;
        let (guard, idempotency) = match begun {
            Idempotent::Replayed(response) => return Ok(reply::replayed(response)),
            Idempotent::Go(guard, idempotency) => (guard, idempotency),
        };
        let idempotency = idempotency.map(|begun| {
            begun.render(|(verification, _)| Some(rendered(StatusCode::OK, verification)))
        });
        let work = work(app.clone(), account, idempotency);
        let accepted = reply::tracked(&app, async move {
            let _guard = guard;
            work.await
        });
        Ok(match accepted.await?.map_err(Problem::from)? {
            Accepted::Replayed(response) => reply::replayed(response),
            Accepted::Done(_, Some(response)) => reply::stored(response),
            Accepted::Done(verification, None) => {
                reply::stored(rendered(StatusCode::OK, &verification))
            }
        })
    }
}
