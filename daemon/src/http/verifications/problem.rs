//! What the refusals of the use cases look like.

use std::time::Duration;

use dialplans::PlanError;

use crate::channels::PrepareError;
use crate::channels::wording::WordingError;
use crate::http::error::{Code, Problem};
use crate::limits::LimitKind;
use crate::store::LimitReached;
use crate::verification::machine::Refusal;
use crate::verification::model::Verification;
use crate::verification::service::{CheckError, CommonRefusal, CreateError, SendError};

/// When a client should come back that found no trunk.
const TRUNK_RETRY: Duration = Duration::from_secs(5);

impl From<CreateError> for Problem {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::PurposeUnknown => {
                Self::field(Code::PurposeUnknown, "/purpose", "There is no such purpose.")
            }
            CreateError::PurposeNotAllowed => Self::new(Code::PurposeNotAllowed),
            CreateError::Prepare(error) => error.into(),
            CreateError::Limit(reached) => reached.into(),
            CreateError::TooManyOpen => Self::new(Code::TooManyOpen).retry_after(TRUNK_RETRY),
            CreateError::OtherRequest => Self::new(Code::IdempotencyKeyReused),
            CreateError::Contended => Self::new(Code::Overloaded),
            CreateError::Stopping => Self::new(Code::ShuttingDown),
            CreateError::Store(error) => error.into(),
        }
    }
}

impl From<PrepareError> for Problem {
    fn from(error: PrepareError) -> Self {
        match error {
            PrepareError::NotOffered | PrepareError::NoTarget | PrepareError::RulesGone => {
                let detail = "None of the channels can be begun for this target.";
                Self::new(Code::ChannelNotAvailable).detail(detail)
            }
            PrepareError::NumbersTaken => Self::new(Code::TooManyOpen).retry_after(TRUNK_RETRY),
            PrepareError::OwnCode => {
                let detail = "Only sms, voice and email can carry a code of your own.";
                Self::field(Code::ChannelNotAvailable, "/code", detail)
            }
            PrepareError::Unallocated => {
                let detail = "The network said within the last hour that nobody has this number.";
                Self::field(Code::NumberInvalid, "/to", detail)
            }
            PrepareError::Plan(error) => error.into(),
            PrepareError::Placement(error) => Self::internal(&error),
            PrepareError::Route(error) => error.into(),
            PrepareError::Wording(WordingError::TooLong) => Self::new(Code::TextTooLong),
            PrepareError::Wording(
                error @ (WordingError::NoTemplate
                | WordingError::NoCode
                | WordingError::MissingVariable(_)),
            ) => Self::field(Code::InvalidRequest, "/template", error.to_string()),
            PrepareError::NothingToRepeat => Self::new(Code::NotResendable),
            PrepareError::Driver(_) | PrepareError::Line(_) => Self::new(Code::Overloaded),
            PrepareError::Store(error) => error.into(),
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

impl From<SendError> for Problem {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Ended(verification) => ended(&verification),
            SendError::Refused(Refusal::TooSoon { allowed_at }) => {
                Self::new(Code::ResendTooSoon).retry_at(allowed_at)
            }
            SendError::Refused(Refusal::NoSendLeft) => {
                Self::new(Code::NotResendable).detail("No send is left.")
            }
            SendError::Refused(
                Refusal::NotRepeatable
                | Refusal::NotDue
                | Refusal::NotAwaited
                | Refusal::NoSuchCall
                | Refusal::Ended { .. },
            ) => Self::new(Code::NotResendable),
            SendError::ChannelNotAvailable => {
                let detail = "Neither the verification nor its purpose names this channel.";
                Self::field(Code::ChannelNotAvailable, "/channel", detail)
            }
            SendError::Prepare(error) => error.into(),
            SendError::Stopping => Self::new(Code::ShuttingDown),
            SendError::Common(refusal) => refusal.into(),
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
            LimitKind::LongCodesClosed => Code::CodesClosed,
            LimitKind::WrongPasswords => Code::TooManyPasswords,
            LimitKind::FailedChecks => Code::TooManyFailedChecks,
        };
        Self::new(code).retry_at(reached.retry_at).limited_by(reached.scope, reached.rule)
    }
}
