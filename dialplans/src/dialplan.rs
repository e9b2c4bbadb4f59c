//! The table of routes, and the plan of one call.

mod compile;
pub(crate) mod explain;
mod offer;
pub(crate) mod plan;
pub(crate) mod share;

use std::collections::BTreeMap;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use thiserror::Error;

use crate::dialling::TrunkDialling;
use crate::name::{PoolName, TrunkName};
use crate::number::E164;
use crate::pool::CallerIdPool;
use crate::pool::endings::Endings;
use crate::prefix::Prefix;
use crate::route::{Route, TrunkOrder};
use crate::table::PrefixTable;
use crate::tail::RecentTails;
use crate::trunk_health::TrunkHealth;

use self::explain::Explanation;
use self::offer::Question;
use self::plan::{Plan, PlanError, PlanRequest};

/// The most trunks that one plan tries: a third call in a row annoys and seldom helps.
const TRUNKS_IN_A_PLAN: usize = 2;

/// Trunks, pools and routes: everything that a plan is made from.
#[derive(Debug, Clone)]
pub struct Dialplan {
    trunks: Vec<TrunkDialling>,
    pools: Vec<CallerIdPool>,
    /// The place of each pool in `pools`.
    pool_places: BTreeMap<PoolName, u32>,
    /// What each prefix leads to, as a place in `targets`.
    table: PrefixTable,
    /// Trunks and pools of routes; a million routes share a handful.
    targets: Vec<Target>,
    /// The numbers of several pools together, for those that routes and trunks put
    /// together when the account narrows nothing; by sorted places in `pools`.
    unions: BTreeMap<Box<[u32]>, Endings>,
}

/// What a route says, in places instead of names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    /// In the order that holds: as named, or by priority.
    trunks: Box<[u32]>,
    order: TrunkOrder,
    /// `None` is every pool.
    pools: Option<Box<[u32]>>,
    ring_limit: Option<Duration>,
}

/// Why trunks, pools and routes do not make a dialplan.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DialplanError {
    /// Two trunks have one name.
    #[error("two trunks are named {trunk}")]
    TrunkTwice {
        /// The name.
        trunk: TrunkName,
    },
    /// Two pools have one name.
    #[error("two pools are named {pool}")]
    PoolTwice {
        /// The name.
        pool: PoolName,
    },
    /// Two routes have one prefix.
    #[error("two routes have the prefix {prefix}")]
    RouteTwice {
        /// The prefix.
        prefix: Prefix,
    },
    /// A route has no trunk.
    #[error("the route {prefix} has no trunk")]
    RouteWithoutTrunk {
        /// The route's prefix.
        prefix: Prefix,
    },
    /// A route names a trunk that is not there.
    #[error("the route {prefix} names the trunk {trunk}, which is not there")]
    RouteUnknownTrunk {
        /// The route's prefix.
        prefix: Prefix,
        /// The trunk that is missing.
        trunk: TrunkName,
    },
    /// A route names a pool that is not there.
    #[error("the route {prefix} names the pool {pool}, which is not there")]
    RouteUnknownPool {
        /// The route's prefix.
        prefix: Prefix,
        /// The pool that is missing.
        pool: PoolName,
    },
    /// A pool names a trunk that is not there.
    #[error("the pool {pool} names the trunk {trunk}, which is not there")]
    PoolUnknownTrunk {
        /// The pool.
        pool: PoolName,
        /// The trunk that is missing.
        trunk: TrunkName,
    },
}

impl Dialplan {
    /// Checks that every name means something and compiles the routes. A trunk or pool
    /// that a route names twice counts where it stands first.
    pub fn new(
        trunks: impl IntoIterator<Item = TrunkDialling>,
        pools: impl IntoIterator<Item = CallerIdPool>,
        routes: impl IntoIterator<Item = Route>,
    ) -> Result<Self, DialplanError> {
        compile::compile(
            trunks.into_iter().collect(),
            pools.into_iter().collect(),
            routes.into_iter().collect(),
        )
    }

    /// The pools, in the order of the file.
    pub fn pools(&self) -> &[CallerIdPool] {
        &self.pools
    }

    /// The trunks and how they dial, in the order of the file.
    pub fn trunks(&self) -> &[TrunkDialling] {
        &self.trunks
    }

    /// The prefix of the route that a number takes; `None` when no route names it.
    pub fn longest_prefix(&self, to: &E164) -> Option<Prefix> {
        self.table.longest(to).map(|(length, _)| Prefix::of(to, length))
    }

    /// Decides over which trunks to call a number, and what the phone shows.
    ///
    /// `rng` must be the generator that is kept for codes. The caller ID's tail is uniform
    /// over the tails that the trunk may show less those that rest and those in `recent`;
    /// the number is uniform over those with that tail.
    pub fn plan(
        &self,
        rng: &mut ChaCha20Rng,
        to: &E164,
        request: &PlanRequest,
        recent: &RecentTails,
        trunks: &TrunkHealth,
    ) -> Result<Plan, PlanError> {
        let question = Question { dialplan: self, to, request, recent, trunks };
        question.plan(rng)
    }

    /// Says what [`Dialplan::plan`] would decide and why; it draws nothing.
    pub fn explain(
        &self,
        to: &E164,
        request: &PlanRequest,
        recent: &RecentTails,
        trunks: &TrunkHealth,
    ) -> Explanation {
        Question { dialplan: self, to, request, recent, trunks }.explain()
    }

    fn target(&self, index: u32) -> &Target {
        &self.targets[index as usize]
    }

    fn trunk(&self, place: u32) -> &TrunkDialling {
        &self.trunks[place as usize]
    }

    fn pool(&self, place: u32) -> &CallerIdPool {
        &self.pools[place as usize]
    }
}
