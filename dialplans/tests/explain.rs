//! Explanations as an operator reads them.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::sync::Arc;

use dozvon_dialplans::{
    CallerIdPool, CallerIdWish, CodeLength, Dialplan, E164, NumberRange, PlanRequest, PoolChoice,
    PoolName, Prefix, RecentTails, RestingCallerIds, Route, Tail, TrunkDialling, TrunkHealth,
    TrunkName, TrunkOrder, TrunkState,
};

fn trunk(name: &str) -> TrunkName {
    TrunkName::parse(name).unwrap()
}

fn pool(name: &str, trunks: &[&str], range: &str) -> CallerIdPool {
    CallerIdPool::new(
        PoolName::parse(name).unwrap(),
        CodeLength::new(4).unwrap(),
        trunks.iter().map(|name| trunk(name)),
        [NumberRange::parse(range).unwrap()],
    )
    .unwrap()
}

fn route(prefix: &str, trunks: &[&str], pools: &[&str]) -> Route {
    Route {
        prefix: Prefix::parse(prefix).unwrap(),
        trunks: trunks.iter().map(|name| trunk(name)).collect(),
        order: TrunkOrder::AsNamed,
        pools: PoolChoice::named(pools.iter().map(|name| PoolName::parse(name).unwrap())),
        ring_limit: None,
    }
}

fn explain(to: &str, states: &[(&str, TrunkState)]) -> String {
    let names = ["north", "south", "west", "east"];
    let pools = [
        pool("moscow", &["north", "south"], "+74951230000-+74951239999"),
        pool("kazan", &["west"], "+78431230000-+78431230099"),
        pool("perm", &["east"], "+73421230000-+73421239999"),
        pool("omsk", &["north"], "+73811230000-+73811239999"),
    ];
    let routes = [
        route("+7", &["south"], &["moscow"]),
        route("+79", &["west", "north", "south", "east"], &["moscow", "kazan", "perm"]),
    ];
    let trunks = names.map(|name| TrunkDialling::plain(trunk(name)));
    let dialplan = Dialplan::new(trunks, pools, routes).unwrap();
    let account = ["moscow", "kazan", "omsk"].map(|name| PoolName::parse(name).unwrap());
    let request = PlanRequest {
        pools: PoolChoice::named(account),
        min_endings: 1_000,
        allow_small_pools: Arc::default(),
        resting: RestingCallerIds::default(),
        ring_limit: None,
        caller_id: CallerIdWish::Drawn,
    };
    let recent = RecentTails::known([Tail::parse("0042").unwrap()]);
    let up = names.map(|name| (trunk(name), TrunkState::Up));
    let states = states.iter().map(|(name, state)| (trunk(name), *state));
    let health: TrunkHealth = up.into_iter().chain(states).collect();
    dialplan.explain(&E164::parse(to).unwrap(), &request, &recent, &health).to_string()
}

#[test]
fn an_explanation_names_the_route_each_pool_and_each_trunk_with_its_reason() {
    let expected = include_str!("explain/mobile.txt");
    assert_eq!(explain("+79161234567", &[]), expected.trim_end());
}

#[test]
fn an_explanation_says_which_trunk_takes_no_calls() {
    let states = [("north", TrunkState::Cooling), ("south", TrunkState::Full)];
    let expected = include_str!("explain/nobody.txt");
    assert_eq!(explain("+79161234567", &states), expected.trim_end());
}

#[test]
fn trunks_that_share_a_priority_are_explained_with_their_weights() {
    let names = [("north", 0, 3), ("south", 0, 1), ("west", 1, 1)];
    let trunks = names.map(|(name, priority, weight)| TrunkDialling {
        priority,
        weight,
        ..TrunkDialling::plain(trunk(name))
    });
    let shown_by = names.map(|(name, ..)| name);
    let pools = [pool("moscow", &shown_by, "+74951230000-+74951239999")];
    let order = TrunkOrder::ByPriority;
    let route = Route { order, ..route("+7", &["west", "south", "north"], &["moscow"]) };
    let dialplan = Dialplan::new(trunks, pools, [route]).unwrap();
    let request = PlanRequest {
        pools: PoolChoice::Any,
        min_endings: 1_000,
        allow_small_pools: Arc::default(),
        resting: RestingCallerIds::default(),
        ring_limit: None,
        caller_id: CallerIdWish::Drawn,
    };
    let health: TrunkHealth =
        shown_by.into_iter().map(|name| (trunk(name), TrunkState::Up)).collect();
    let to = E164::parse("+79161234567").unwrap();
    let explained = dialplan.explain(&to, &request, &RecentTails::none(), &health).to_string();
    assert_eq!(explained, include_str!("explain/shared.txt").trim_end());
}

#[test]
fn a_number_without_a_route_is_explained_in_one_line() {
    let explained = explain("+4930901820", &[]);
    assert_eq!(explained, "+493*****20: no route names it, so it is not called");
}
