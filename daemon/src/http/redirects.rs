//! `/v1/sms-redirects`: an account's own texts for one phone go to a mailbox.

pub mod input;
pub mod view;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use dialplans::E164;

use super::body::Json;
use super::caller::Caller;
use super::directory;
use super::error::{Code, Problem, ProblemBody};
use super::list::{self, List};
use super::query::{Parameters, PathId};
use super::reply;
use crate::accounts::{ActingAccount, Scope};
use crate::app::App;
use crate::ids::RedirectId;
use crate::messages::redirects::{self, PutError};

use input::RedirectSchema;
use view::RedirectView;

/// Redirect the account's own texts for a phone.
///
/// A later one takes the place of the earlier one. Phone and mailbox are told; each use stands in
/// the audit. Codes of the purpose `password_reset` are never redirected.
#[utoipa::path(
    put, path = "/v1/sms-redirects/{phone}", tag = "redirects",
    params(("phone" = String, Path, example = "+79161234567")),
    request_body = RedirectSchema,
    responses(
        (status = 200, body = RedirectView),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put(
    State(app): State<App>,
    caller: Caller,
    PathId(phone): PathId<String>,
    Json(body): Json,
) -> Result<Response, Problem> {
    caller.require(Scope::Redirects)?;
    let account = caller.account(&app)?;
    let phone = number(&phone, &account)?;
    let wish = input::read(&body, phone, app.now())?;
    let (task_app, actor) = (app.clone(), caller.actor());
    let put =
        reply::tracked(&app, async move { redirects::put(&task_app, &account, actor, wish).await });
    let redirect = put.await?.map_err(Problem::from)?;
    Ok(reply::json(StatusCode::OK, &RedirectView::new(&redirect, app.now())))
}

/// Read the redirect of a phone.
#[utoipa::path(
    get, path = "/v1/sms-redirects/{phone}", tag = "redirects",
    params(("phone" = String, Path, example = "+79161234567")),
    responses(
        (status = 200, body = RedirectView),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    PathId(phone): PathId<String>,
) -> Result<Response, Problem> {
    caller.require(Scope::Redirects)?;
    let account = caller.account(&app)?;
    let phone = number(&phone, &account)?;
    let found = app.store().redirect_of(&account.who(), &phone).await?;
    let found = found.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(reply::json(StatusCode::OK, &RedirectView::new(&found, app.now())))
}

/// Remove the redirect of a phone.
#[utoipa::path(
    delete, path = "/v1/sms-redirects/{phone}", tag = "redirects",
    params(("phone" = String, Path, example = "+79161234567")),
    responses(
        (status = 204, description = "It is gone."),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete(
    State(app): State<App>,
    caller: Caller,
    PathId(phone): PathId<String>,
) -> Result<StatusCode, Problem> {
    caller.require(Scope::Redirects)?;
    let account = caller.account(&app)?;
    let phone = number(&phone, &account)?;
    match app.store().delete_redirect(&account.who(), &phone, caller.actor()).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::new(Code::NotFound)),
    }
}

/// List redirects, newest first; also those whose time has run out, for a while.
#[utoipa::path(
    get, path = "/v1/sms-redirects", tag = "redirects", params(list::PageParams),
    responses(
        (status = 200, body = List<RedirectView>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    caller.require(Scope::Redirects)?;
    let account = caller.account(&app)?;
    let filter = list::page(&mut parameters, |RedirectId(id)| id);
    parameters.finish()?;
    let page = app.store().redirects(&account.who(), &filter).await?;
    let now = app.now();
    let page = List::new(page, |redirect| RedirectView::new(redirect, now), RedirectId);
    Ok(reply::json(StatusCode::OK, &page))
}

/// The number in the path, as people type it.
fn number(text: &str, account: &ActingAccount) -> Result<E164, Problem> {
    directory::input::phone(text, account).map_err(|(code, detail)| {
        let known = [Code::NumberInvalid, Code::NotAPhoneNumber];
        let code = known.into_iter().find(|known| known.as_str() == code);
        Problem::new(code.unwrap_or(Code::NotAPhoneNumber)).detail(detail)
    })
}

impl From<PutError> for Problem {
    fn from(error: PutError) -> Self {
        match error {
            PutError::NoMailbox => Self::field(
                Code::InvalidRequest,
                "/email",
                "The user of this number has no mailbox in the directory.",
            ),
            PutError::NotOfUser => Self::field(
                Code::MailboxNotOfUser,
                "/email",
                "The directory knows this number with another mailbox or not at all.",
            ),
            PutError::NoReason => {
                Self::field(Code::InvalidRequest, "/reason", "An override needs a reason.")
            }
            PutError::UserDisabled => Self::new(Code::UserDisabled),
            PutError::NoMail => {
                Self::new(Code::ChannelNotAvailable).detail("This gateway sends no mail.")
            }
            PutError::Notice(error) => error.into(),
            PutError::Stopping => Self::new(Code::ShuttingDown),
            PutError::Store(error) => error.into(),
        }
    }
}
