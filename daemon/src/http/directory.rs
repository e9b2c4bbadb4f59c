//! `/v1/directory/users`: who may sign in.

pub mod csv;
pub mod input;
pub mod view;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::body::Json;
use super::caller::Caller;
use super::error::{Code, Problem, ProblemBody};
use super::list::{self, List};
use super::query::{Parameters, PathId};
use super::reply;
use crate::accounts::Scope;
use crate::app::App;
use crate::directory::{self, ChangeError, TargetError};
use crate::ids::UserId;
use crate::store::{UserFault, UserFaultCause};

use input::UserSchema;
pub(super) use input::login;
use view::UserView;

/// Add a user.
#[utoipa::path(
    post, path = "/v1/directory/users", tag = "directory", request_body = UserSchema,
    responses(
        (status = 201, body = UserView, description = "It is stored; Location names it."),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "user-conflict"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json,
) -> Result<Response, Problem> {
    caller.require(Scope::Directory)?;
    let account = caller.account(&app)?;
    let wish = input::read_new(&body, &account)?;
    let task_app = app.clone();
    let saved = reply::tracked(&app, async move {
        directory::create(&task_app, &account, wish.user, wish.password).await
    });
    let saved = saved.await?.map_err(Problem::from)?;
    let mut response = reply::rendered(StatusCode::CREATED, &UserView::saved(&saved));
    let location = format!("/v1/directory/users/{}", saved.user.user_id);
    response.headers.push(("location".to_owned(), location));
    Ok(reply::stored(response))
}

/// List users, newest first.
#[utoipa::path(
    get, path = "/v1/directory/users", tag = "directory", params(list::PageParams),
    responses(
        (status = 200, body = List<UserView>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    caller.require(Scope::Directory)?;
    let account = caller.account(&app)?;
    let filter = list::page(&mut parameters, |UserId(id)| id);
    parameters.finish()?;
    let page = app.store().users(&account.who(), &filter).await?;
    Ok(reply::json(StatusCode::OK, &List::new(page, UserView::new, UserId)))
}

/// Read a user.
#[utoipa::path(
    get, path = "/v1/directory/users/{id}", tag = "directory", params(("id" = String, Path)),
    responses(
        (status = 200, body = UserView),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<UserId>,
) -> Result<Response, Problem> {
    caller.require(Scope::Directory)?;
    let account = caller.account(&app)?;
    let user = app.store().user(&account.who(), id).await?;
    let user = user.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(reply::json(StatusCode::OK, &UserView::new(&user)))
}

/// Change a user: what is left out stays, null clears (RFC 7396).
#[utoipa::path(
    patch, path = "/v1/directory/users/{id}", tag = "directory", params(("id" = String, Path)),
    request_body = UserSchema,
    responses(
        (status = 200, body = UserView),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn change(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<UserId>,
    Json(body): Json,
) -> Result<Response, Problem> {
    caller.require(Scope::Directory)?;
    let account = caller.account(&app)?;
    let patch = input::read_patch(&body, &account)?;
    let task_app = app.clone();
    let saved = reply::tracked(&app, async move {
        let input::Patch { fields, password } = patch;
        let wish = |user: &crate::store::User| fields.over(user);
        directory::change(&task_app, &account, id, wish, password).await
    });
    let saved = saved.await?.map_err(Problem::from)?;
    if !input::has_identifier(&saved.user) {
        tracing::info!(user_id = %id, "a user was left without number, mailbox and login");
    }
    Ok(reply::json(StatusCode::OK, &UserView::saved(&saved)))
}

/// Remove a user. Sign-ins and verifications that it began stay as records.
#[utoipa::path(
    delete, path = "/v1/directory/users/{id}", tag = "directory", params(("id" = String, Path)),
    responses(
        (status = 204, description = "It is gone."),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<UserId>,
) -> Result<StatusCode, Problem> {
    caller.require(Scope::Directory)?;
    let account = caller.account(&app)?;
    match app.store().delete_user(&account.who(), id).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::new(Code::NotFound)),
    }
}

/// What is wrong with a user, and with which field of it.
fn fault_words(fault: &UserFault) -> (&'static str, &'static str) {
    match fault.cause {
        UserFaultCause::Taken(kind) => (kind.as_str(), "another user has it"),
        UserFaultCause::Gone => ("id", "there is no such user"),
        UserFaultCause::Changed => ("id", "the user was changed in the meantime"),
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::NotFound => Self::new(Code::NotFound),
            ChangeError::Refused(faults) => match faults.first() {
                Some(fault) if fault.cause == UserFaultCause::Gone => Self::new(Code::NotFound),
                Some(fault) => {
                    let (field, detail) = fault_words(fault);
                    Self::field(Code::UserConflict, &format!("/{field}"), detail)
                }
                None => Self::new(Code::UserConflict),
            },
            ChangeError::Password(error) => Self::internal(&error),
            ChangeError::Store(error) => error.into(),
        }
    }
}

impl From<TargetError> for Problem {
    fn from(error: TargetError) -> Self {
        match error {
            TargetError::NoUser => Self::new(Code::UserNotRegistered),
            TargetError::Disabled => Self::new(Code::UserDisabled),
            TargetError::NoSignIn => Self::new(Code::NotFound),
            TargetError::SignInEnded(status) => {
                let status = status.as_str();
                Self::new(Code::SignInEnded).detail(format!("Its status is {status}."))
            }
            TargetError::Store(error) => error.into(),
        }
    }
}
