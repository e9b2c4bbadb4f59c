//! What the refusals of the use cases look like.

use std::time::Duration;

use dialplans::PlanError;

use crate::http::error::{Code, Problem};
use crate::limits::LimitKind;
use crate::store::LimitReached;
use crate::verification::machine::Refusal;
use crate::verification::model::Verification;
use crate::verification::service::{CheckError, CommonRefusal, CreateError, ResendError};

/// When a client should come back that found no trunk.
const TRUNK_RETRY: Duration = Duration::from_secs(5);

impl From<CreateError> for Problem {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::PurposeUnknown => {
                Self::field(Code::PurposeUnknown, "/purpose", "There is no such purpose.")
            }
            CreateError::PurposeNotAllowed => Self::new(Code::PurposeNotAllowed),
            CreateError::Unallocated => {
                let detail = "The network said within the last hour that nobody has this number.";
                Self::field(Code::NumberInvalid, "/to", detail)
            }
            CreateError::Plan(error) => error.into(),
            CreateError::Placement(error) => Self::internal(&error),
            CreateError::Limit(reached) => reached.into(),
            CreateError::TooManyOpen => Self::new(Code::TooManyOpen).retry_after(TRUNK_RETRY),
            CreateError::OtherRequest => Self::new(Code::IdempotencyKeyReused),
            CreateError::Contended | CreateError::Driver(_) => Self::new(Code::Overloaded),
            CreateError::Stopping => Self::new(Code::ShuttingDown),
            CreateError::Store(error) => error.into(),
        }
    }
}

impl From<PlanError> for Problem {
    fn from(error: PlanError) -> Self {
        let code = match &error {
            PlanError::NoRoute { .. } => Code::DestinationNotAllowed,
            PlanError::NoTrunkUp { .. } => Code::NoTrunkUp,
            PlanError::PoolTooSmall(_) => Code::PoolTooSmall,
            PlanError::TailNotInPools => Code::TailNotInPools,
            PlanError::TailShownRecently => Code::TailShownRecently,
            PlanError::CallerIdNotInPools => Code::NotResendable,
            // What the operator's tables do not allow, a client cannot mend.
            PlanError::NoPool { .. } | PlanError::NotDialable { .. } => Code::DestinationNotAllowed,
        };
        let problem = Self::new(code).caused_by(&error);
        match code {
            Code::PoolTooSmall => problem.detail(error.to_string()),
            Code::NoTrunkUp => problem.retry_after(TRUNK_RETRY),
            _ => problem,
        }
    }
}

impl From<CommonRefusal> for Problem {
    fn from(refusal: CommonRefusal) -> Self {
        match refusal {
            CommonRefusal::NotFound => Self::new(Code::NotFound),
            CommonRefusal::OtherRequest => Self::new(Code::IdempotencyKeyReused),
            CommonRefusal::Limit(reached) => reached.into(),
            CommonRefusal::Store(error) => error.into(),
        }
    }
}

impl From<CheckError> for Problem {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Ended(verification) => ended(&verification),
            CheckError::Common(refusal) => refusal.into(),
        }
    }
}

impl From<ResendError> for Problem {
    fn from(error: ResendError) -> Self {
        match error {
            ResendError::Ended(verification) => ended(&verification),
            ResendError::Refused(Refusal::TooSoon { allowed_at }) => {
                Self::new(Code::ResendTooSoon).retry_at(allowed_at)
            }
            ResendError::Refused(Refusal::NoSendLeft) => {
                Self::new(Code::NotResendable).detail("No send is left.")
            }
            ResendError::Refused(
                Refusal::NotRepeatable | Refusal::NoSuchCall | Refusal::Ended { .. },
            ) => Self::new(Code::NotResendable),
            ResendError::Plan(error) => error.into(),
            ResendError::Placement(error) => Self::internal(&error),
            ResendError::Driver(_) => Self::new(Code::Overloaded),
            ResendError::Stopping => Self::new(Code::ShuttingDown),
            ResendError::Common(refusal) => refusal.into(),
        }
    }
}

fn ended(verification: &Verification) -> Problem {
    let status = verification.status.as_str();
    Problem::new(Code::VerificationEnded).detail(format!("Its status is {status}."))
}

impl From<LimitReached> for Problem {
    fn from(reached: LimitReached) -> Self {
        let code = match crate::limits::kind(&reached) {
            LimitKind::BetweenSends => Code::ResendTooSoon,
            LimitKind::Sends => Code::NumberLimit,
            LimitKind::FlashCallClosed => Code::FlashCallClosed,
            LimitKind::FailedChecks => Code::TooManyFailedChecks,
        };
        Self::new(code).retry_at(reached.retry_at).limited_by(reached.scope, reached.rule)
    }
}
