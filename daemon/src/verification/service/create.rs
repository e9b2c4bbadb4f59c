//! Makes a verification: limits, plan, reservation, record, act.

use std::time::Duration;

use config::{Purpose, PurposeName};
use dialplans::{CallerIdWish, E164, Plan, PlanError, PlanRequest, Tail};

use super::sandbox::{self, MagicNumber};
use super::{Accepted, Place, Placement, PlacementError, placement, settle};
use crate::accounts::ActingAccount;
use crate::app::{App, Settings};
use crate::channels::flash_call::{self, Leg};
use crate::clock::Timestamp;
use crate::ids::VerificationId;
use crate::limits::{self, Guesser};
use crate::store::{Create, CreateRefused, Created, Idempotency, LimitReached, StoreError, Who};
use crate::telemetry;
use crate::ua_driver::{CallWatch, DriverBusy};
use crate::verification::model::{
    Channel, Client, Step, StepStatus, Verification, VerificationStatus,
};

/// How often a plan is made anew because another request showed its tail in the meantime.
const PLAN_LIMIT: usize = 4;

/// What a client wishes, checked in form. Never prints: it may hold a code.
#[derive(Clone)]
pub struct NewVerification {
    /// The number to prove.
    pub to: E164,
    /// The code, for a backend that keeps its own; `None`: it is drawn.
    pub tail: Option<Tail>,
    /// Whose rules hold.
    pub purpose: PurposeName,
    /// How long it lives; `None`: as the purpose says.
    pub ttl: Option<Duration>,
    /// A BCP 47 tag.
    pub locale: Option<String>,
    /// The client's own reference.
    pub reference: Option<String>,
    /// The client's own JSON object, as text.
    pub metadata: Option<String>,
    /// Whose it is.
    pub client: Client,
}

/// Why no verification was made. Nothing was stored and nothing sent.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The file has no such purpose.
    #[error("no such purpose")]
    PurposeUnknown,
    /// The account may not use it.
    #[error("the account may not use this purpose")]
    PurposeNotAllowed,
    /// The network said lately that nobody has this number.
    #[error("the network said that the number does not exist")]
    Unallocated,
    /// There is no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The plan cannot become a call.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// A limit has no room.
    #[error("a limit has no room")]
    Limit(LimitReached),
    /// Other sessions have open ones for this number and purpose.
    #[error("too many are open")]
    TooManyOpen,
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    OtherRequest,
    /// Every plan showed a tail that another request had just shown.
    #[error("no plan outlived the requests beside it")]
    Contended,
    /// The call loop has no room.
    #[error(transparent)]
    Driver(#[from] DriverBusy),
    /// The process is stopping.
    #[error("the process is stopping")]
    Stopping,
    /// The database did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a dry run found.
#[derive(Debug)]
pub struct DryRun {
    /// The plan that would be carried out; a test key has none.
    pub plan: Option<Plan>,
    /// How it would go on.
    pub rehearsed: Rehearsed,
}

/// The figures of a verification that was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rehearsed {
    /// Digits of the code.
    pub code_length: u8,
    /// How many different codes could be drawn.
    pub code_space: u64,
}

/// Makes a verification by flash call and places its first call.
pub async fn create(
    app: &App,
    account: &ActingAccount,
    wish: NewVerification,
    idempotency: Option<Idempotency<Verification>>,
) -> Result<Accepted<Box<Verification>>, CreateError> {
    let settings = app.settings();
    let purpose = purpose(&settings, account, &wish)?;
    if app.stop().is_cancelled() {
        return Err(CreateError::Stopping);
    }
    if !account.live {
        return sandboxed(app, account, purpose, &wish, idempotency).await;
    }
    for _ in 0..PLAN_LIMIT {
        let now = app.now();
        let plan = plan(app, &settings, account, purpose, &wish).await?;
        let verification_id = app.verification_id(now);
        let place = Place { verification_id, purpose, attempt: 1, elapsed: Duration::ZERO };
        let placement = placement(now, app, &settings, place, &plan.first)?;
        let limits = &settings.config.limits;
        let reservation = app.driver().reserve()?;
        let guesser = Guesser { account: account.name.as_str(), client: &wish.client };
        let create = Create {
            verification: verification(
                now,
                account,
                &settings,
                purpose,
                &wish,
                verification_id,
                &placement,
            ),
            max_open: limits.open_verifications,
            tails_since: now - limits.same_tail,
            limits: limits::for_flash_call(limits, &wish.to, guesser),
            idempotency: idempotency.clone(),
        };
        let created = match app.store().create_verification(create).await {
            Err(StoreError::OutcomeUnknown) => read_back(app, verification_id, &placement).await?,
            created => created?,
        };
        match created {
            Created::Stored { verification, response, superseded } => {
                let leg = Leg { attempt: 1, live: true, call: placement.call, next: plan.second };
                let watch = reservation.place_call(placement.order);
                started(app, &verification, superseded, leg, watch).await;
                return Ok(Accepted::Done(verification, response));
            }
            Created::Replayed(response) => return Ok(Accepted::Replayed(response)),
            Created::Refused(CreateRefused::TailShown) => {}
            Created::Refused(refused) => return Err(refused.into()),
        }
    }
    Err(CreateError::Contended)
}

/// Says what [`create`] would do, and does none of it.
pub async fn rehearse(
    app: &App,
    account: &ActingAccount,
    wish: &NewVerification,
) -> Result<DryRun, CreateError> {
    let settings = app.settings();
    let purpose = purpose(&settings, account, wish)?;
    if !account.live {
        let code_length = sandbox::CODE_LENGTH;
        let code_space = 10_u64.pow(u32::from(code_length));
        return Ok(DryRun { plan: None, rehearsed: Rehearsed { code_length, code_space } });
    }
    let plan = plan(app, &settings, account, purpose, wish).await?;
    let guesser = Guesser { account: account.name.as_str(), client: &wish.client };
    let limits = limits::for_flash_call(&settings.config.limits, &wish.to, guesser);
    if let Some(reached) = app.store().limit_reached(&limits).await? {
        return Err(CreateError::Limit(reached));
    }
    let length = plan.first.caller_id.code_length();
    let rehearsed = Rehearsed {
        code_length: length.digits() as u8,
        code_space: plan.first.endings.unwrap_or(length.space()),
    };
    Ok(DryRun { plan: Some(plan), rehearsed })
}

fn purpose<'a>(
    settings: &'a Settings,
    account: &ActingAccount,
    wish: &NewVerification,
) -> Result<&'a Purpose, CreateError> {
    let purpose = settings.config.purposes.get(&wish.purpose).ok_or(CreateError::PurposeUnknown)?;
    if !account.rules.purposes.contains(&wish.purpose) {
        return Err(CreateError::PurposeNotAllowed);
    }
    Ok(purpose)
}

async fn plan(
    app: &App,
    settings: &Settings,
    account: &ActingAccount,
    purpose: &Purpose,
    wish: &NewVerification,
) -> Result<Plan, CreateError> {
    let since = app.now() - settings.config.limits.same_tail;
    let (recent, unallocated) = tokio::try_join!(
        app.store().recent_tails(&wish.to, since),
        app.store().is_unallocated(&wish.to)
    )?;
    if unallocated {
        return Err(CreateError::Unallocated);
    }
    let request = PlanRequest {
        pools: account.rules.pools.clone(),
        min_endings: purpose.min_endings,
        allow_small_pools: purpose.allow_small_pools.as_slice().into(),
        resting: app.resting().at(app.now()),
        ring_limit: purpose.ring_limit,
        caller_id: wish.tail.map_or(CallerIdWish::Drawn, CallerIdWish::WithTail),
    };
    let health = app.driver().health();
    let dialplan = &settings.dialplan;
    Ok(app.with_plans_rng(|rng| dialplan.plan(rng, &wish.to, &request, &recent, &health))?)
}

fn verification(
    now: Timestamp,
    account: &ActingAccount,
    settings: &Settings,
    purpose: &Purpose,
    wish: &NewVerification,
    verification_id: VerificationId,
    placement: &Placement,
) -> Verification {
    let step = Step {
        n: 1,
        channel: Channel::FlashCall,
        status: StepStatus::Queued,
        detail: None,
        created_at: now,
        code: Some(placement.code),
        calls: vec![placement.call.clone()],
    };
    Verification {
        verification_id,
        account: account.name.to_string(),
        live: account.live,
        version: 1,
        status: VerificationStatus::Pending,
        to: wish.to.into(),
        purpose: wish.purpose.to_string(),
        locale: wish.locale.clone(),
        reference: wish.reference.clone(),
        metadata: wish.metadata.clone(),
        client: wish.client.clone(),
        created_at: now,
        expires_at: now + wish.ttl.unwrap_or(purpose.ttl),
        ended_at: None,
        code_length: placement.code.length,
        code_space: placement.code.space,
        checks_max: purpose.checks,
        checks_used: 0,
        sends_max: purpose.sends,
        sends_used: 1,
        next_send_allowed_at: now + settings.config.limits.between_sends,
        steps: vec![step],
    }
}

/// A commit whose answer is unknown is settled by reading the id back. When that fails too,
/// nothing is placed, and a task of its own waits for the database to end what may be there.
async fn read_back(
    app: &App,
    verification_id: VerificationId,
    placement: &Placement,
) -> Result<Created, CreateError> {
    match app.store().verification(&Who::Gateway, verification_id).await {
        Ok(Some(stored)) => {
            let verification = Box::new(stored);
            Ok(Created::Stored { verification, response: None, superseded: None })
        }
        Ok(None) => Err(StoreError::Unavailable.into()),
        Err(error) => {
            let call_id = placement.call.call_id;
            let task = flash_call::disown(app.clone(), verification_id, call_id);
            app.tasks().spawn(task);
            Err(error.into())
        }
    }
}

/// What follows from the commit.
async fn started(
    app: &App,
    verification: &Verification,
    superseded: Option<Box<Verification>>,
    leg: Leg,
    watch: CallWatch,
) {
    app.expiry().add(verification);
    telemetry::verification_created(&verification.purpose);
    let verification_id = verification.verification_id;
    flash_call::start(app, verification_id, leg, watch);
    if let Some(superseded) = superseded {
        settle(app, &superseded).await;
    }
}

/// Under a test key: the same rows, but the call loop is a play.
async fn sandboxed(
    app: &App,
    account: &ActingAccount,
    purpose: &Purpose,
    wish: &NewVerification,
    idempotency: Option<Idempotency<Verification>>,
) -> Result<Accepted<Box<Verification>>, CreateError> {
    let now = app.now();
    let settings = app.settings();
    let verification_id = app.verification_id(now);
    let placement = sandbox::placement(now, app, verification_id, &wish.to);
    let create = Create {
        verification: verification(
            now,
            account,
            &settings,
            purpose,
            wish,
            verification_id,
            &placement,
        ),
        max_open: u32::MAX,
        // The code is always the same, so nothing that was shown counts.
        tails_since: Timestamp::MAX,
        limits: Vec::new(),
        idempotency,
    };
    match app.store().create_verification(create).await? {
        Created::Stored { verification, response, superseded } => {
            let watch = sandbox::play(app, MagicNumber::of(&wish.to));
            let leg = Leg { attempt: 1, live: false, call: placement.call, next: None };
            started(app, &verification, superseded, leg, watch).await;
            Ok(Accepted::Done(verification, response))
        }
        Created::Replayed(response) => Ok(Accepted::Replayed(response)),
        Created::Refused(refused) => Err(refused.into()),
    }
}

impl From<CreateRefused> for CreateError {
    fn from(refused: CreateRefused) -> Self {
        match refused {
            CreateRefused::OtherRequest => Self::OtherRequest,
            CreateRefused::Limit(reached) => Self::Limit(reached),
            CreateRefused::TooManyOpen => Self::TooManyOpen,
            CreateRefused::TailShown => Self::Contended,
        }
    }
}
