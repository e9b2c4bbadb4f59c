//! From names to places.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::dialling::TrunkDialling;
use crate::name::{PoolName, TrunkName};
use crate::pool::CallerIdPool;
use crate::pool::endings::Endings;
use crate::route::{PoolChoice, Route, TrunkOrder};
use crate::table::PrefixTable;

use super::{Dialplan, DialplanError, Target};

pub(super) fn compile(
    trunks: Vec<TrunkDialling>,
    pools: Vec<CallerIdPool>,
    routes: Vec<Route>,
) -> Result<Dialplan, DialplanError> {
    let mut trunk_places = BTreeMap::new();
    for (place, dialling) in (0_u32..).zip(&trunks) {
        let trunk = dialling.trunk.clone();
        if trunk_places.insert(trunk.clone(), place).is_some() {
            return Err(DialplanError::TrunkTwice { trunk });
        }
    }
    let mut pool_places = BTreeMap::new();
    for (place, pool) in (0_u32..).zip(&pools) {
        check_trunks_of(pool, &trunk_places)?;
        if pool_places.insert(pool.name().clone(), place).is_some() {
            return Err(DialplanError::PoolTwice { pool: pool.name().clone() });
        }
    }
    let mut targets = Targets::default();
    let mut prefixes = Vec::with_capacity(routes.len());
    for route in &routes {
        let mut target = target(route, &trunk_places, &pool_places)?;
        if target.order == TrunkOrder::ByPriority {
            target.trunks.sort_by_key(|place| trunks[*place as usize].priority);
        }
        prefixes.push((route.prefix, targets.place_of(target)));
    }
    let table =
        PrefixTable::new(prefixes).map_err(|prefix| DialplanError::RouteTwice { prefix })?;
    let targets = targets.in_order;
    let mut dialplan =
        Dialplan { trunks, pools, pool_places, table, targets, unions: BTreeMap::new() };
    dialplan.unions = unions(&dialplan);
    Ok(dialplan)
}

fn check_trunks_of(
    pool: &CallerIdPool,
    trunk_places: &BTreeMap<TrunkName, u32>,
) -> Result<(), DialplanError> {
    match pool.trunks().iter().find(|trunk| !trunk_places.contains_key(*trunk)) {
        Some(trunk) => {
            Err(DialplanError::PoolUnknownTrunk { pool: pool.name().clone(), trunk: trunk.clone() })
        }
        None => Ok(()),
    }
}

fn target(
    route: &Route,
    trunk_places: &BTreeMap<TrunkName, u32>,
    pool_places: &BTreeMap<PoolName, u32>,
) -> Result<Target, DialplanError> {
    let prefix = route.prefix;
    if route.trunks.is_empty() {
        return Err(DialplanError::RouteWithoutTrunk { prefix });
    }
    let trunks = places(&route.trunks, trunk_places)
        .map_err(|trunk| DialplanError::RouteUnknownTrunk { prefix, trunk })?;
    let pools = match &route.pools {
        PoolChoice::Any => None,
        PoolChoice::Named(pools) => Some(
            places(pools, pool_places)
                .map_err(|pool| DialplanError::RouteUnknownPool { prefix, pool })?,
        ),
    };
    Ok(Target { trunks, order: route.order, pools, ring_limit: route.ring_limit })
}

/// The places of names, each once; the error is the first name without a place.
fn places<N: Ord + Clone>(names: &Arc<[N]>, known: &BTreeMap<N, u32>) -> Result<Box<[u32]>, N> {
    let mut places = Vec::with_capacity(names.len());
    for name in names.iter() {
        let place = *known.get(name).ok_or_else(|| name.clone())?;
        if !places.contains(&place) {
            places.push(place);
        }
    }
    Ok(places.into())
}

/// Targets, each kept once.
#[derive(Default)]
struct Targets {
    in_order: Vec<Target>,
    known: BTreeMap<Target, u32>,
}

impl Targets {
    fn place_of(&mut self, target: Target) -> u32 {
        if let Some(place) = self.known.get(&target) {
            return *place;
        }
        let place = self.in_order.len() as u32;
        self.in_order.push(target.clone());
        self.known.insert(target, place);
        place
    }
}

/// The unions of pools that an account without limits needs on each trunk of each target.
fn unions(dialplan: &Dialplan) -> BTreeMap<Box<[u32]>, Endings> {
    let mut unions = BTreeMap::new();
    for target in &dialplan.targets {
        for trunk in &target.trunks {
            let pools = dialplan.pools_on(target, &PoolChoice::Any, *trunk);
            let Some(first) = pools.first() else { continue };
            let code_length = dialplan.pool(*first).code_length();
            let pools = dialplan.of_length(pools, code_length);
            if pools.len() > 1 && !unions.contains_key(&*pools) {
                let union = dialplan.union(&pools, code_length);
                unions.insert(pools.into(), union);
            }
        }
    }
    unions
}
