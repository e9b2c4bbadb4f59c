//! `/v1/trunks`: how the trunks stand, and what an operator may ask of them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use dialplans::{TrunkName, TrunkState};
use serde::Serialize;
use sip::RegistrationState;

use super::body::JsonOrNothing;
use super::caller::Caller;
use super::error::{Code, Problem, ProblemBody};
use super::input::Faults;
use super::list::List;
use super::query::{Parameters, PathId};
use super::reply;
use crate::accounts::Scope;
use crate::app::App;
use crate::ua_driver::{TrunkCommand, TrunkStatus};

/// A trunk.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Trunk)]
pub struct TrunkView {
    /// The operator's name for it.
    #[schema(example = "north")]
    pub name: String,
    /// Always true: a test key reaches no trunk.
    pub live: bool,
    /// `up`, `down`, `paused`, `cooling`, `full`; more may come.
    #[schema(example = "up")]
    pub state: &'static str,
    /// Its binding; null: nothing is known yet.
    pub registration: Option<RegistrationView>,
    /// Calls that have not ended.
    pub calls_up: u32,
    /// Calls that ended since the start.
    pub ended: u64,
    /// Of those, the ones that rang.
    pub rang: u64,
    /// Of those, the ones that somebody or a voicemail answered.
    pub answered: u64,
    /// Share of the ended calls that rang, 0 to 1; null before the first.
    pub ring_ratio: Option<f64>,
    /// Mean time from INVITE to ringing (post-dial delay); null before the first.
    pub pdd_ms: Option<u64>,
    /// Share of the calls that reached the callee's side (network effectiveness, ITU-T E.425),
    /// 0 to 1; null before the first.
    pub ner: Option<f64>,
}

/// A trunk's binding.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
#[schema(as = Registration)]
pub struct RegistrationView {
    /// `static`, `registering`, `registered`, `failed`, `rejected`, `auth_failed`,
    /// `unregistered`; more may come.
    #[schema(example = "registered")]
    pub state: &'static str,
    /// Status of the registrar's last answer, where it failed.
    pub last_status: Option<u16>,
    /// What the registrar granted.
    pub granted_s: Option<u64>,
    /// When it ends unless it is refreshed.
    pub expires_in_s: Option<u64>,
    /// When it is tried again.
    pub retry_in_s: Option<u64>,
    /// From REGISTER to its answer.
    pub round_trip_ms: Option<u64>,
    /// The registrar's address.
    pub target: Option<String>,
    /// Our address as the registrar sees it.
    pub contact: Option<String>,
}

/// List the trunks in the order of the file.
#[utoipa::path(
    get, path = "/v1/trunks", tag = "operators",
    responses(
        (status = 200, body = List<TrunkView>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Response, Problem> {
    caller.require(Scope::Operator)?;
    parameters.finish()?;
    let table = app.driver().trunks();
    let data = table.trunks.iter().map(TrunkView::new).collect();
    Ok(reply::json(StatusCode::OK, &List { data, next_cursor: None }))
}

/// Read one trunk.
#[utoipa::path(
    get, path = "/v1/trunks/{name}", tag = "operators", params(("name" = String, Path)),
    responses(
        (status = 200, body = TrunkView),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    PathId(name): PathId<TrunkName>,
    parameters: Parameters,
) -> Result<Response, Problem> {
    caller.require(Scope::Operator)?;
    parameters.finish()?;
    shown(&app, &name)
}

/// Register at once, without waiting for the refresh.
#[utoipa::path(
    post, path = "/v1/trunks/{name}/register", tag = "operators", params(("name" = String, Path)),
    responses(
        (status = 200, body = TrunkView, description = "Asked for; the state follows."),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn register(
    State(app): State<App>,
    caller: Caller,
    PathId(name): PathId<TrunkName>,
    JsonOrNothing(body): JsonOrNothing,
) -> Result<Response, Problem> {
    command(&app, &caller, name, &body, TrunkCommand::Register).await
}

/// Take no new calls; those that are up go on.
#[utoipa::path(
    post, path = "/v1/trunks/{name}/pause", tag = "operators", params(("name" = String, Path)),
    responses(
        (status = 200, body = TrunkView, description = "Asked for; the state follows."),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn pause(
    State(app): State<App>,
    caller: Caller,
    PathId(name): PathId<TrunkName>,
    JsonOrNothing(body): JsonOrNothing,
) -> Result<Response, Problem> {
    command(&app, &caller, name, &body, TrunkCommand::Pause).await
}

/// Take new calls again.
#[utoipa::path(
    post, path = "/v1/trunks/{name}/resume", tag = "operators", params(("name" = String, Path)),
    responses(
        (status = 200, body = TrunkView, description = "Asked for; the state follows."),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn resume(
    State(app): State<App>,
    caller: Caller,
    PathId(name): PathId<TrunkName>,
    JsonOrNothing(body): JsonOrNothing,
) -> Result<Response, Problem> {
    command(&app, &caller, name, &body, TrunkCommand::Resume).await
}

async fn command(
    app: &App,
    caller: &Caller,
    name: TrunkName,
    body: &serde_json::Value,
    command: TrunkCommand,
) -> Result<Response, Problem> {
    caller.require(Scope::Operator)?;
    Faults::new().read(body, |_nothing| Some(()))?;
    if !app.driver().command_trunk(name.clone(), command).await {
        return Err(Problem::new(Code::NotFound));
    }
    tracing::info!(trunk = %name, ?command, "an operator asked something of a trunk");
    shown(app, &name)
}

fn shown(app: &App, name: &TrunkName) -> Result<Response, Problem> {
    let trunk = app.driver().trunk(name).ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(reply::json(StatusCode::OK, &TrunkView::new(&trunk)))
}

impl TrunkView {
    /// Shows how it stands.
    pub fn new(trunk: &TrunkStatus) -> Self {
        let counts = &trunk.counts;
        Self {
            name: trunk.name.to_string(),
            live: true,
            state: state(trunk.state),
            registration: trunk.registration.as_ref().map(|state| registration(trunk, state)),
            calls_up: trunk.calls_up,
            ended: counts.ended,
            rang: counts.rang,
            answered: counts.answered,
            ring_ratio: (counts.ended > 0).then(|| counts.rang as f64 / counts.ended as f64),
            pdd_ms: counts.mean_post_dial_delay().map(|mean| mean.as_millis() as u64),
            ner: counts.network_effectiveness(),
        }
    }
}

/// The state's word.
pub fn state(state: TrunkState) -> &'static str {
    match state {
        TrunkState::Up => "up",
        TrunkState::Down => "down",
        TrunkState::Paused => "paused",
        TrunkState::Cooling => "cooling",
        TrunkState::Full => "full",
    }
}

fn registration(trunk: &TrunkStatus, state: &RegistrationState) -> RegistrationView {
    let since = trunk.registration_since.elapsed();
    let view = |state| RegistrationView { state, ..RegistrationView::default() };
    let again = |word, retry_in: &std::time::Duration| RegistrationView {
        retry_in_s: Some(retry_in.saturating_sub(since).as_secs()),
        ..view(word)
    };
    match state {
        RegistrationState::Static => view("static"),
        RegistrationState::Registering => view("registering"),
        RegistrationState::Registered { granted, target, contact, round_trip, .. } => {
            RegistrationView {
                granted_s: Some(granted.as_secs()),
                expires_in_s: Some(granted.saturating_sub(since).as_secs()),
                round_trip_ms: Some(round_trip.as_millis() as u64),
                target: Some(target.to_string()),
                contact: Some(contact.to_string()),
                ..view("registered")
            }
        }
        RegistrationState::Failed { status, retry_in } => {
            RegistrationView { last_status: *status, ..again("failed", retry_in) }
        }
        RegistrationState::Rejected { retry_in } => {
            RegistrationView { last_status: Some(403), ..again("rejected", retry_in) }
        }
        RegistrationState::AuthFailed { retry_in } => again("auth_failed", retry_in),
        RegistrationState::Unregistered => view("unregistered"),
    }
}
