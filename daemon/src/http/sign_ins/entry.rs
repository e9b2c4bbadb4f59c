//! `/v1/sign-ins/{id}/password` and `…/new-password`: the ends without a code.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::SignInView;
use crate::accounts::Scope;
use crate::app::App;
use crate::directory::entry::{self, EntryError};
use crate::directory::proof;
use crate::http::body::Json;
use crate::http::caller::Caller;
use crate::http::directory::input::PASSWORD;
use crate::http::error::{Code, Problem, ProblemBody};
use crate::http::input::{Faults, TextRule};
use crate::http::query::PathId;
use crate::http::reply;
use crate::http::verifications::input::client;
use crate::ids::SignInId;

/// What a password came to.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = PasswordResult)]
pub struct PasswordView {
    /// True only in the answer to the one request that completed the sign-in.
    pub valid: bool,
    /// What a backend may spend once; only where `valid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    /// The sign-in.
    pub sign_in: SignInView,
}

/// Complete a sign-in by the user's password; five tries.
#[utoipa::path(
    post, path = "/v1/sign-ins/{id}/password", tag = "directory", params(("id" = String, Path)),
    request_body(content = Object, example = json!({"password": "correct horse"})),
    responses(
        (status = 200, body = PasswordView, description = "The password was looked at; valid says whether it was right."),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "sign-in-ended"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn password(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<SignInId>,
    Json(body): Json,
) -> Result<Response, Problem> {
    caller.require_any(&[Scope::Verify, Scope::Directory])?;
    let account = caller.account(&app)?;
    let (text, client) = Faults::new().read(&body, |object| {
        let client = object.object("client", client).unwrap_or_default();
        // One of a wrong length is a wrong one.
        let text = object.required_text("password", TextRule::line(PASSWORD.max))?;
        Some((text.to_owned(), client))
    })?;
    let task_app = app.clone();
    let tried = reply::tracked(&app, async move {
        let tried = entry::by_password(&task_app, &account, id, &client, text).await?;
        let proof = tried.valid.then(|| proof::of_sign_in(task_app.keys(), &tried.started.sign_in));
        Ok::<_, EntryError>((tried, proof))
    });
    let (tried, proof) = tried.await??;
    let sign_in = SignInView::new(&tried.started, app.now());
    Ok(reply::json(StatusCode::OK, &PasswordView { valid: tried.valid, proof, sign_in }))
}

/// Set a new password by the proof of an approved `password_reset`, and complete the sign-in.
#[utoipa::path(
    post, path = "/v1/sign-ins/{id}/new-password", tag = "directory", params(("id" = String, Path)),
    request_body(content = Object, example = json!({"proof": "prf_…", "password": "correct horse"})),
    responses(
        (status = 200, body = SignInView),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "not-found: the sign-in, or a proof of this user's password_reset."),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "sign-in-ended, proof-spent"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn new_password(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<SignInId>,
    Json(body): Json,
) -> Result<Response, Problem> {
    caller.require_any(&[Scope::Verify, Scope::Directory])?;
    let account = caller.account(&app)?;
    let (proof, text) = Faults::new().read(&body, |object| {
        let proof = object.required_text("proof", TextRule::line(128));
        let text = object.required_text("password", PASSWORD)?;
        Some((proof?.to_owned(), text.to_owned()))
    })?;
    let task_app = app.clone();
    let started = reply::tracked(&app, async move {
        entry::by_new_password(&task_app, &account, id, &proof, text).await
    });
    let started = started.await??;
    Ok(reply::json(StatusCode::OK, &SignInView::new(&started, app.now())))
}

impl From<EntryError> for Problem {
    fn from(error: EntryError) -> Self {
        match error {
            EntryError::NotFound => Self::new(Code::NotFound),
            EntryError::Ended(_) => Self::new(Code::SignInEnded),
            EntryError::Disabled => Self::new(Code::UserDisabled),
            EntryError::Limit(reached) => reached.into(),
            EntryError::Proof(error) => error.into(),
            EntryError::Change(error) => error.into(),
            EntryError::Hash(_) => Self::new(Code::Overloaded),
            EntryError::Store(error) => error.into(),
        }
    }
}
