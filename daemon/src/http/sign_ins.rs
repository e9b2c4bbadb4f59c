//! `/v1/sign-ins`: from what somebody typed to the channels that this user may choose.

pub mod entry;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use config::UnknownUser;
use dialplans::E164;
use serde::Serialize;

use super::body::Json;
use super::caller::Caller;
use super::directory::login;
use super::error::{Code, Problem, ProblemBody};
use super::input::{Faults, TextRule};
use super::query::PathId;
use super::reply;
use crate::accounts::{ActingAccount, Scope};
use crate::app::App;
use crate::clock::Timestamp;
use crate::directory::{self, SignInError, Started};
use crate::email_address::EmailAddress;
use crate::ids::SignInId;
use crate::store::{Identifier, SignInStatus};
use crate::verification::service::MagicNumber;

/// A sign-in.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = SignIn)]
pub struct SignInView {
    /// Its id: give it as `to` of a verification.
    #[schema(example = "sgn_01jq3v8d9kf2m7x0c5n1t6w4rb")]
    pub id: String,
    /// False under a test key.
    pub live: bool,
    /// `open`, `completed`, `failed`, `expired`; more may come.
    #[schema(example = "open")]
    pub status: &'static str,
    /// Whose it is; null: the account conceals that, until the sign-in is completed.
    pub user_id: Option<String>,
    /// The channels that this user may choose.
    pub channels: Vec<ChoiceView>,
    /// The verification that ended it; null: none did.
    pub verification_id: Option<String>,
    /// When it began.
    pub created_at: String,
    /// When it ends at the latest.
    pub expires_at: String,
    /// When it ended; null while it is open.
    pub ended_at: Option<String>,
}

/// A channel that a user may choose.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Choice)]
pub struct ChoiceView {
    /// The channel.
    #[schema(example = "sms")]
    pub channel: &'static str,
    /// Where it leads, masked.
    #[schema(example = "+791*****67")]
    pub to: String,
}

impl SignInView {
    fn new(started: &Started, now: Timestamp) -> Self {
        let sign_in = &started.sign_in;
        let is_told = sign_in.concealed.is_none() || sign_in.status == SignInStatus::Completed;
        Self {
            id: sign_in.sign_in_id.to_string(),
            live: sign_in.live,
            status: sign_in.status_at(now).as_str(),
            user_id: is_told.then(|| sign_in.user_id.to_string()),
            channels: started
                .choices
                .iter()
                .map(|choice| ChoiceView {
                    channel: choice.channel.as_str(),
                    to: choice.to_masked.clone(),
                })
                .collect(),
            verification_id: sign_in.verification_id.map(|id| id.to_string()),
            created_at: sign_in.created_at.to_string(),
            expires_at: sign_in.expires_at.to_string(),
            ended_at: sign_in.ended_at.as_ref().map(Timestamp::to_string),
        }
    }
}

/// Begin a sign-in for whoever has this number, mailbox or login.
///
/// The answer names the channels that this user may choose; a verification with `to: "sgn_…"`
/// and one of them completes it. Where the account conceals who is registered
/// (`unknown_user = "conceal"`), every identifier is answered alike, with the channels of its kind
/// alone; what nobody has is sent nothing, and no code completes it.
#[utoipa::path(
    post, path = "/v1/sign-ins", tag = "directory",
    request_body(content = Object, example = json!({"identifier": "+79161234567"})),
    responses(
        (status = 201, body = SignInView, description = "It is stored; Location names it."),
        (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "user-disabled"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "user-not-registered"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json,
) -> Result<Response, Problem> {
    caller.require_any(&[Scope::Verify, Scope::Directory])?;
    let account = caller.account(&app)?;
    let text = Faults::new().read(&body, |object| {
        object.required_text("identifier", TextRule::line(254)).map(str::to_owned)
    })?;
    let identifier = identifier(&text, &account)?;
    let started = directory::begin(&app, &account, &identifier).await?;
    let view = SignInView::new(&started, app.now());
    let location = format!("/v1/sign-ins/{}", view.id);
    let mut response = reply::rendered(StatusCode::CREATED, &view);
    response.headers.push(("location".to_owned(), location));
    Ok(reply::stored(response))
}

/// Read a sign-in.
#[utoipa::path(
    get, path = "/v1/sign-ins/{id}", tag = "directory", params(("id" = String, Path)),
    responses(
        (status = 200, body = SignInView),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<SignInId>,
) -> Result<Response, Problem> {
    caller.require_any(&[Scope::Verify, Scope::Directory])?;
    let account = caller.account(&app)?;
    let started = directory::read(&app, &account.who(), id).await?;
    let started = started.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(reply::json(StatusCode::OK, &SignInView::new(&started, app.now())))
}

/// An address has an @, a login a letter, a number neither.
fn identifier(text: &str, account: &ActingAccount) -> Result<Identifier, Problem> {
    let not_registered = || match account.rules.unknown_user {
        UnknownUser::Reveal => Problem::new(Code::UserNotRegistered),
        // Nobody could have it, so nobody's presence is told.
        UnknownUser::Conceal => {
            let detail = "a number, a mailbox or a login is meant";
            Problem::field(Code::InvalidRequest, "/identifier", detail)
        }
    };
    if text.contains('@') {
        let address = EmailAddress::parse(text).map_err(|_| not_registered())?;
        return Ok(Identifier::Email(address));
    }
    if let Some(magic) = MagicNumber::parse(text).filter(|_| !account.live) {
        return Ok(Identifier::Phone(magic));
    }
    if let Ok(number) = E164::from_typed(text, account.rules.default_region) {
        return Ok(Identifier::Phone(number));
    }
    login(text).map(Identifier::Login).map_err(|_| not_registered())
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::NotRegistered => Self::new(Code::UserNotRegistered),
            SignInError::Disabled => Self::new(Code::UserDisabled),
            SignInError::Store(error) => error.into(),
        }
    }
}
