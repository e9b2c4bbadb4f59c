//! What is asked of a dialplan, and what it answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::caller_id::{CallerId, RestingCallerIds};
use crate::dialling::{DialError, DialledNumber};
use crate::name::{PoolName, TrunkName};
use crate::number::E164;
use crate::prefix::Prefix;
use crate::route::PoolChoice;
use crate::tail::{CodeLength, Tail};
use crate::trunk_health::TrunkState;

/// What a plan is made for, beside the number. Cloning it is cheap.
#[derive(Debug, Clone)]
pub struct PlanRequest {
    /// The pools of the account; a route's pools are narrowed to these.
    pub pools: PoolChoice,
    /// The fewest endings a code may be drawn from; a purpose's `min_endings`.
    pub min_endings: u64,
    /// The pools that may hold fewer endings than that. A smaller draw is allowed when
    /// every pool it is made from is named here.
    pub allow_small_pools: Arc<[PoolName]>,
    /// Caller IDs that are not drawn.
    pub resting: RestingCallerIds,
    /// How long the phone rings at most, where the purpose says; the shorter of this and
    /// the route's holds.
    pub ring_limit: Option<Duration>,
    /// What the phone is to show.
    pub caller_id: CallerIdWish,
}

/// What the phone is to show.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum CallerIdWish {
    /// A caller ID drawn by the dialplan.
    Drawn,
    /// One with this tail, for a backend that keeps its own codes. It must be in the
    /// pools, and this number must not have seen it lately; `min_endings` does not hold.
    WithTail(Tail),
    /// Exactly this one again, for a resend. It must still be in the pools; resting,
    /// recent tails and `min_endings` do not hold.
    Again(CallerId),
}

impl fmt::Debug for CallerIdWish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drawn => f.write_str("Drawn"),
            Self::WithTail(_) => f.write_str("WithTail(hidden)"),
            Self::Again(caller_id) => f.debug_tuple("Again").field(caller_id).finish(),
        }
    }
}

/// One or two attempts, in order; the second is for when nothing rang.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The prefix of the route that matched.
    pub route: Prefix,
    /// The call to place.
    pub first: Attempt,
    /// The call to place when the first rang nowhere and was not answered.
    pub second: Option<Attempt>,
    /// The trunks of the route that were passed over, and why.
    pub skipped: Vec<SkippedTrunk>,
}

impl Plan {
    /// The attempts in order.
    pub fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        std::iter::once(&self.first).chain(&self.second)
    }
}

/// One call over one trunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The trunk that takes the call.
    pub trunk: TrunkName,
    /// What the phone shows; its tail is the code.
    pub caller_id: CallerId,
    /// The digits for the request line.
    pub dialled: DialledNumber,
    /// How long the phone rings at most; `None` leaves it to the trunk.
    pub ring_limit: Option<Duration>,
    /// From how many endings the caller ID was drawn; `None` when it was given.
    pub endings: Option<u64>,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlanError {
    /// No route names the number.
    #[error("no route names {to}")]
    NoRoute {
        /// The number, which prints masked.
        to: E164,
    },
    /// No trunk of the route that could show a caller ID takes calls.
    #[error("no trunk of the route {route} takes calls: {}", list(trunks))]
    NoTrunkUp {
        /// The route's prefix.
        route: Prefix,
        /// Each trunk of the route and why not this one.
        trunks: Vec<SkippedTrunk>,
    },
    /// The pools of route and account hold no number that a trunk of the route may show.
    #[error("no pool of the route {route} and the account may be shown by its trunks")]
    NoPool {
        /// The route's prefix.
        route: Prefix,
    },
    /// Fewer endings are left than the purpose needs.
    #[error("pool too small: {0}")]
    PoolTooSmall(EndingCount),
    /// No number of the pools has the tail that was asked for.
    #[error("no caller ID of these pools has the tail that was asked for")]
    TailNotInPools,
    /// The number saw the tail that was asked for within 24 hours.
    #[error("this number was shown that tail within 24 hours")]
    TailShownRecently,
    /// The caller ID of an earlier call may not be shown any more.
    #[error("the caller ID of the earlier call is in no pool that may be shown")]
    CallerIdNotInPools,
    /// No trunk of the route can dial the number.
    #[error("no trunk of the route {route} can dial this number: {}", list(trunks))]
    NotDialable {
        /// The route's prefix.
        route: Prefix,
        /// Each trunk of the route and why not this one.
        trunks: Vec<SkippedTrunk>,
    },
}

/// A trunk of the route that takes no call, and why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{trunk} {reason}")]
pub struct SkippedTrunk {
    /// The trunk.
    pub trunk: TrunkName,
    /// Why not.
    pub reason: SkipReason,
}

/// Why a trunk is passed over.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SkipReason {
    /// It takes no calls at the moment.
    #[error("is {0}")]
    State(TrunkState),
    /// It may show no pool of the route and the account.
    #[error("may show no pool of the route and the account")]
    NoPool,
    /// Fewer endings are left than the purpose needs.
    #[error("has too few endings: {0}")]
    PoolTooSmall(EndingCount),
    /// None of its caller IDs has the tail that was asked for.
    #[error("has no caller ID with the tail that was asked for")]
    TailNotInPools,
    /// The number saw the tail that was asked for within 24 hours.
    #[error("would show a tail that the number saw within 24 hours")]
    TailShownRecently,
    /// It may not show the caller ID of the earlier call.
    #[error("may not show the caller ID of the earlier call")]
    CallerIdNotInPools,
    /// It cannot dial the number.
    #[error("cannot dial the number: {0}")]
    NotDialable(DialError),
    /// Its codes are of another length than those of the first attempt.
    #[error("has codes of {own} digits, but the first attempt has {first}")]
    CodeLengthDiffers {
        /// The length of this trunk's codes.
        own: CodeLength,
        /// The length that the verification has.
        first: CodeLength,
    },
}

/// The arithmetic of a draw: pools, less what the trunk may not show, less what rests,
/// less what the number saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndingCount {
    /// The trunk.
    pub trunk: TrunkName,
    /// The pools of route and account that the trunk may show.
    pub pools: Vec<PoolName>,
    /// Endings in all pools of route and account, whoever may show them.
    pub in_pools: u64,
    /// Endings in those that this trunk may show.
    pub on_trunk: u64,
    /// Endings of which every number rests.
    pub resting: u64,
    /// Endings that the number saw within 24 hours; where only a test knows them, all
    /// that were shown count.
    pub recent: u64,
    /// What is left.
    pub left: u64,
    /// What the purpose needs: 1 where the pools may be small.
    pub needed: u64,
}

impl fmt::Display for EndingCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} endings in the pools, {} on trunk {} ({}), {} rest, {} shown within 24 hours: \
             {} left, {} needed",
            self.in_pools,
            self.on_trunk,
            self.trunk,
            list(&self.pools),
            self.resting,
            self.recent,
            self.left,
            self.needed
        )
    }
}

pub(crate) fn list<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}
