//! Reading `[[routes]]`.

use std::collections::BTreeMap;

use dialplans::{PoolChoice, PoolName, Prefix, Route, TrunkName, TrunkOrder};

use crate::config::Pool;
use crate::config::trunk::Trunk;
use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::raw::{RawTable, RawValue};
use crate::read::Names;
use crate::schema;
use crate::section::Section;
use crate::section::list::is_known;
use crate::section::scalar::Zero;
use crate::source::{Span, Spanned};

pub(crate) fn read_all(
    root: &RawTable,
    names: &Names<'_>,
    trunks: &BTreeMap<TrunkName, Trunk>,
    pools: &BTreeMap<PoolName, Pool>,
    faults: &mut Faults,
) -> Vec<Route> {
    let values: &[Spanned<RawValue>] = match root.get("routes").map(|entry| &entry.value) {
        None => &[],
        Some(Spanned { value: RawValue::List(values), .. }) => values,
        Some(other) => {
            let message = format!("\"routes\" wants tables, found {}", other.value.kind());
            faults.add(Code::WrongType, other.span, message).help("head each with [[routes]]");
            &[]
        }
    };
    // A trunk or pool that could not be read may be just the one that a route lacks.
    let is_whole = trunks.len() == names.trunks.len() && pools.len() == names.pools.len();
    let parts = Parts { names, trunks, by_priority: by_priority(trunks), pools, is_whole };
    let mut seen: BTreeMap<Prefix, Span> = BTreeMap::new();
    let mut routes = Vec::new();
    for value in values {
        let Some(section) = Section::open(faults, &schema::ROUTE, "routes", value.span, value)
        else {
            continue;
        };
        let route = faults.unless_wrong(|faults| read(&section, &parts, faults)).flatten();
        let Some(place) = section.place_of("prefix") else { continue };
        let Some(route) = route else { continue };
        match seen.insert(route.prefix, place) {
            None => routes.push(route),
            Some(first) => {
                faults
                    .add(Code::RouteDuplicatePrefix, place, "two routes have this prefix")
                    .see("the other one is at", first);
            }
        }
    }
    routes
}

/// The order for routes that name no trunks.
fn by_priority(trunks: &BTreeMap<TrunkName, Trunk>) -> Vec<TrunkName> {
    let mut trunks: Vec<&Trunk> = trunks.values().collect();
    trunks.sort_by_key(|trunk| trunk.priority);
    trunks.into_iter().map(|trunk| trunk.name.clone()).collect()
}

fn read(section: &Section<'_>, parts: &Parts<'_>, faults: &mut Faults) -> Option<Route> {
    if section.get("prefix").is_none() {
        section.missing(faults, "prefix", "prefix = \"+79\", or \"+\" for every number");
    }
    let prefix = section.parsed(faults, "prefix", Code::BadPrefix, Prefix::parse);
    let ring_limit = section.seconds(faults, "ring_limit", 1..=60, Zero::IsRefused);
    let pools = pools(section, parts, faults);
    // A pool that is misspelt may be just the one that a trunk shows.
    let is_whole = parts.is_whole && pools.is_some();
    let pools = pools.unwrap_or(PoolChoice::Any);
    let trunks = match section.texts(faults, "trunks") {
        Some(texts) => {
            named_trunks(&texts, parts, faults, |trunk| !is_whole || parts.may_show(trunk, &pools))
        }
        None if section.get("group").is_some() => {
            let may_show = |trunk: &TrunkName| !is_whole || parts.may_show(trunk, &pools);
            group(section, parts, faults).into_iter().filter(may_show).collect()
        }
        None => {
            let may_show = |trunk: &&TrunkName| parts.may_show(trunk, &pools);
            let trunks: Vec<_> = parts.by_priority.iter().filter(may_show).cloned().collect();
            if trunks.is_empty() && section.get("trunks").is_none() && is_whole {
                section.missing(faults, "trunks", "no trunk may show the pools of this route");
            }
            trunks
        }
    };
    let order = match section.get("trunks") {
        Some(_) => TrunkOrder::AsNamed,
        None => TrunkOrder::ByPriority,
    };
    if section.get("trunks").is_some()
        && let Some(place) = section.get("group").map(|value| value.span)
    {
        faults
            .add(Code::DuplicateValue, place, "a route names its trunks or a group of them")
            .help("leave out \"trunks\" or \"group\"");
    }
    Some(Route { prefix: prefix?, trunks: trunks.into(), order, pools, ring_limit })
}

/// The pools that a route names; `None`: one of them is not there.
fn pools(section: &Section<'_>, parts: &Parts<'_>, faults: &mut Faults) -> Option<PoolChoice> {
    let Some(texts) = section.texts(faults, "pools") else { return Some(PoolChoice::Any) };
    let names = &parts.names.pools;
    let mut pools = Vec::new();
    let mut are_known = true;
    for name in texts {
        are_known &= is_known(faults, Code::RouteUnknownPool, "pool", name, names);
        pools.extend(PoolName::parse(name.value).ok());
    }
    are_known.then(|| PoolChoice::named(pools))
}

/// What routes are made of.
struct Parts<'a> {
    names: &'a Names<'a>,
    trunks: &'a BTreeMap<TrunkName, Trunk>,
    by_priority: Vec<TrunkName>,
    pools: &'a BTreeMap<PoolName, Pool>,
    is_whole: bool,
}

impl Parts<'_> {
    fn may_show(&self, trunk: &TrunkName, choice: &PoolChoice) -> bool {
        let is_named = |pool: &&Pool| match choice {
            PoolChoice::Any => true,
            PoolChoice::Named(names) => names.contains(&pool.name),
        };
        self.pools.values().filter(is_named).any(|pool| pool.trunks.contains(trunk))
    }
}

/// The trunks of the group that a route names, by their priority.
fn group(section: &Section<'_>, parts: &Parts<'_>, faults: &mut Faults) -> Vec<TrunkName> {
    let Some(named) = section.text(faults, "group") else { return Vec::new() };
    let is_in = |name: &&TrunkName| {
        parts.trunks.get(*name).and_then(|trunk| trunk.group.as_deref()) == Some(named.value)
    };
    let trunks: Vec<_> = parts.by_priority.iter().filter(is_in).cloned().collect();
    if trunks.is_empty() && parts.is_whole {
        let message = format!("no trunk has the group {:?}", named.value);
        faults
            .add(Code::RouteUnknownGroup, named.span, message)
            .help("write group = \"…\" into the trunks that belong to it");
    }
    trunks
}

fn named_trunks(
    texts: &[Spanned<&str>],
    parts: &Parts<'_>,
    faults: &mut Faults,
    may_show: impl Fn(&TrunkName) -> bool,
) -> Vec<TrunkName> {
    let mut trunks = Vec::new();
    for name in texts {
        if !is_known(faults, Code::RouteUnknownTrunk, "trunk", *name, &parts.names.trunks) {
            continue;
        }
        let Ok(trunk) = TrunkName::parse(name.value) else { continue };
        if !may_show(&trunk) {
            faults
                .add(
                    Code::RouteTrunkWithoutPool,
                    name.span,
                    format!("trunk {trunk:?} may show no pool of this route"),
                )
                .help(format!("add {trunk:?} to the \"trunks\" of a pool of this route"));
        }
        trunks.push(trunk);
    }
    trunks
}
