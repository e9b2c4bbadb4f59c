//! Routes: numbers with a prefix, and the trunks that take them.

use std::sync::Arc;
use std::time::Duration;

use crate::name::{PoolName, TrunkName};
use crate::prefix::Prefix;

/// Numbers that start with a prefix, the trunks that take them, and the pools they see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The numbers meant; of several routes the longest prefix wins.
    pub prefix: Prefix,
    /// The trunks, at least one.
    pub trunks: Arc<[TrunkName]>,
    /// In which order they are tried.
    pub order: TrunkOrder,
    /// The pools whose numbers may be shown on this route.
    pub pools: PoolChoice,
    /// How long a phone rings at most on this route; the shorter of this and the
    /// request's holds.
    pub ring_limit: Option<Duration>,
}

/// In which order the trunks of a route are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TrunkOrder {
    /// As the route names them.
    AsNamed,
    /// By their priority; those of one priority share the calls by their weight.
    ByPriority,
}

/// Which pools may be shown; the narrower of route and account holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PoolChoice {
    /// Every pool that the trunk may show.
    Any,
    /// These, in order of preference.
    Named(Arc<[PoolName]>),
}

impl PoolChoice {
    /// These pools, in order of preference.
    pub fn named(pools: impl IntoIterator<Item = PoolName>) -> Self {
        Self::Named(pools.into_iter().collect())
    }

    pub(crate) fn allows(&self, pool: &PoolName) -> bool {
        match self {
            Self::Any => true,
            Self::Named(pools) => pools.contains(pool),
        }
    }
}
