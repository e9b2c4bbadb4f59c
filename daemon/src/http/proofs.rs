//! `/v1/proofs`: a backend spends what its client hands on.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::body::Json;
use super::caller::Caller;
use super::error::{Code, Problem, ProblemBody};
use super::input::{Faults, TextRule};
use super::reply;
use crate::accounts::Scope;
use crate::app::App;
use crate::clock::Timestamp;
use crate::directory::proof::{self, ProofError, Proved};
use crate::verification::model::{Proved as What, Verification};

/// What was proved.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Proof)]
pub struct ProofView {
    /// The verification; null: a password completed the sign-in.
    pub verification_id: Option<String>,
    /// The sign-in; null: there was none.
    pub sign_in_id: Option<String>,
    /// The user of the directory; null: the verification was made for a number or mailbox.
    pub user_id: Option<String>,
    /// The purpose; null: a password completed the sign-in.
    pub purpose: Option<String>,
    /// What was proved: `phone` or `email`; null: a password completed the sign-in.
    #[schema(example = "phone")]
    pub proved: Option<&'static str>,
    /// The number or mailbox that was proved; null: none was, or a redirect led to the mailbox.
    pub to: Option<String>,
    /// When.
    pub proved_at: Option<String>,
    /// False under a test key.
    pub live: bool,
}

impl ProofView {
    fn new(proved: &Proved) -> Self {
        let time = |at: Option<Timestamp>| at.as_ref().map(Timestamp::to_string);
        match proved {
            Proved::Verification(proved) => Self {
                verification_id: Some(proved.verification_id.to_string()),
                sign_in_id: proved.sign_in_id.map(|id| id.to_string()),
                user_id: proved.user_id.map(|id| id.to_string()),
                purpose: Some(proved.purpose.clone()),
                proved: proved.proved.map(What::as_str),
                to: to(proved),
                proved_at: time(proved.ended_at),
                live: proved.live,
            },
            Proved::SignIn(proved) => Self {
                verification_id: None,
                sign_in_id: Some(proved.sign_in_id.to_string()),
                user_id: Some(proved.user_id.to_string()),
                purpose: None,
                proved: None,
                to: None,
                proved_at: time(proved.ended_at),
                live: proved.live,
            },
        }
    }
}

/// What was proved, which may be another target of the verification than its first.
fn to(verification: &Verification) -> Option<String> {
    let mut dispatches = verification.steps.iter().flat_map(|step| &step.dispatches);
    match verification.proved? {
        What::Phone => verification.number().map(|number| String::from(&*number.reveal())),
        // The mailbox of a redirect may be somebody else's.
        What::Email if dispatches.any(|dispatch| dispatch.redirect.is_some()) => None,
        What::Email => verification.mailbox().map(|address| address.reveal().to_owned()),
    }
}

/// Spend a proof: it says what was proved, once, within ten minutes.
#[utoipa::path(
    post, path = "/v1/proofs/redeem", tag = "directory",
    request_body(content = Object, example = json!({"proof": "prf_…"})),
    responses(
        (status = 200, body = ProofView),
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description = "not-found: none of this account's, or too old."),
        (status = 409, body = ProblemBody, content_type = "application/problem+json", description = "proof-spent"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn redeem(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json,
) -> Result<Response, Problem> {
    caller.require_any(&[Scope::Verify, Scope::Directory])?;
    let account = caller.account(&app)?;
    let text = Faults::new().read(&body, |object| {
        object.required_text("proof", TextRule::line(128)).map(str::to_owned)
    })?;
    let proved = proof::read(&app, &account, &text).await?;
    proof::spend(&app, &proved).await?;
    Ok(reply::json(StatusCode::OK, &ProofView::new(&proved)))
}

impl From<ProofError> for Problem {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::Unknown => Self::new(Code::NotFound),
            ProofError::Spent => Self::new(Code::ProofSpent),
            ProofError::Store(error) => error.into(),
        }
    }
}
