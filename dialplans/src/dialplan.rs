//! The table of routes, and the plan of one call.

pub(crate) mod plan;

use rand_chacha::ChaCha20Rng;
use thiserror::Error;

use crate::dialling::TrunkDialling;
use crate::name::{PoolName, TrunkName};
use crate::number::E164;
use crate::pool::CallerIdPool;
use crate::prefix::Prefix;
use crate::route::Route;
use crate::tail::RecentTails;
use crate::trunk_health::TrunkHealth;

use self::plan::{Plan, PlanError, PlanRequest};

/// Trunks, pools and routes: everything that a plan is made from.
#[derive(Debug, Clone)]
pub struct Dialplan {
    trunks: Vec<TrunkDialling>,
    pools: Vec<CallerIdPool>,
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
    /// Checks that every name means something and compiles the routes.
    pub fn new(
        trunks: impl IntoIterator<Item = TrunkDialling>,
        pools: impl IntoIterator<Item = CallerIdPool>,
        routes: impl IntoIterator<Item = Route>,
    ) -> Result<Self, DialplanError> {
        let _ = routes.into_iter().count();
        Ok(Self { trunks: trunks.into_iter().collect(), pools: pools.into_iter().collect() })
    }

    /// The pools, in the order of the file.
    pub fn pools(&self) -> &[CallerIdPool] {
        &self.pools
    }

    /// The trunks and how they dial, in the order of the file.
    pub fn trunks(&self) -> &[TrunkDialling] {
        &self.trunks
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
        let _ = (rng, request, recent, trunks);
        Err(PlanError::NoRoute { to: *to })
    }
}
