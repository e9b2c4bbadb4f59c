//! Plans, from the operator's tables to the attempts.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::sync::Arc;
use std::time::Duration;

use dozvon_dialplans::{
    CallerId, CallerIdPool, CallerIdWish, CodeLength, CountryCode, DialError, DialFormat, Dialplan,
    DialplanError, E164, EndingCount, KeepsCallerId, NumberRange, Plan, PlanError, PlanRequest,
    PoolChoice, PoolName, Prefix, RecentTails, RestingCallerIds, Route, SkipReason, Tail,
    Translation, TrunkDialling, TrunkHealth, TrunkName, TrunkOrder, TrunkState, TrunkVerdict,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

const MOBILE: &str = "+79161234567";
const BERLIN: &str = "+4930901820";

fn trunk(name: &str) -> TrunkName {
    TrunkName::parse(name).unwrap()
}

fn pool_name(name: &str) -> PoolName {
    PoolName::parse(name).unwrap()
}

fn number(text: &str) -> E164 {
    E164::parse(text).unwrap()
}

fn pool(name: &str, code_length: u8, trunks: &[&str], ranges: &[&str]) -> CallerIdPool {
    CallerIdPool::new(
        pool_name(name),
        CodeLength::new(code_length).unwrap(),
        trunks.iter().map(|name| trunk(name)),
        ranges.iter().map(|range| NumberRange::parse(range).unwrap()),
    )
    .unwrap()
}

fn route(prefix: &str, trunks: &[&str], pools: &[&str]) -> Route {
    Route {
        prefix: Prefix::parse(prefix).unwrap(),
        trunks: trunks.iter().map(|name| trunk(name)).collect(),
        order: TrunkOrder::AsNamed,
        pools: match pools {
            [] => PoolChoice::Any,
            names => PoolChoice::named(names.iter().map(|name| pool_name(name))),
        },
        ring_limit: None,
    }
}

fn trunks(names: &[&str]) -> Vec<TrunkDialling> {
    names.iter().map(|name| TrunkDialling::plain(trunk(name))).collect()
}

/// Three trunks: north and south share the pool moscow, west has the pool kazan.
fn dialplan() -> Dialplan {
    let pools = [
        pool("moscow", 4, &["north", "south"], &["+74951230000-+74951239999"]),
        pool("kazan", 4, &["west"], &["+78431230000-+78431239999"]),
        pool("small", 4, &["north"], &["+78121230000-+78121230099"]),
        pool("long", 6, &["east"], &["+78129000000-+78129999999"]),
    ];
    let routes = [
        route("+7", &["south"], &["moscow"]),
        route("+79", &["north", "south", "west"], &["moscow", "kazan"]),
        route("+7812", &["north"], &["small"]),
        route("+7843", &["north", "west"], &[]),
        route("+7846", &["west", "east"], &[]),
    ];
    Dialplan::new(trunks(&["north", "south", "west", "east"]), pools, routes).unwrap()
}

fn request() -> PlanRequest {
    PlanRequest {
        pools: PoolChoice::Any,
        min_endings: 1_000,
        allow_small_pools: Arc::default(),
        resting: RestingCallerIds::default(),
        ring_limit: None,
        caller_id: CallerIdWish::Drawn,
    }
}

fn health(states: &[(&str, TrunkState)]) -> TrunkHealth {
    let up = ["north", "south", "west", "east"].map(|name| (trunk(name), TrunkState::Up));
    up.into_iter().chain(states.iter().map(|(name, state)| (trunk(name), *state))).collect()
}

fn plan_with(
    dialplan: &Dialplan,
    to: &str,
    request: &PlanRequest,
    recent: &RecentTails,
    states: &[(&str, TrunkState)],
) -> Result<Plan, PlanError> {
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    dialplan.plan(&mut rng, &number(to), request, recent, &health(states))
}

fn plan(to: &str, request: &PlanRequest) -> Result<Plan, PlanError> {
    plan_with(&dialplan(), to, request, &RecentTails::none(), &[])
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.attempts().map(|attempt| attempt.trunk.as_str()).collect()
}

#[test]
fn the_route_with_the_longest_prefix_takes_the_call() {
    assert_eq!(plan(MOBILE, &request()).unwrap().route.to_string(), "+79");
    assert_eq!(plan("+74957654321", &request()).unwrap().route.to_string(), "+7");
}

#[test]
fn a_number_that_no_route_names_is_not_called() {
    let refused = plan(BERLIN, &request()).unwrap_err();
    assert_eq!(refused, PlanError::NoRoute { to: number(BERLIN) });
    assert_eq!(refused.to_string(), "no route names +493*****20");
}

#[test]
fn two_trunks_in_order_show_one_caller_id_that_both_may_show() {
    let plan = plan(MOBILE, &request()).unwrap();
    assert_eq!(names(&plan), ["north", "south"]);
    let second = plan.second.unwrap();
    assert_eq!(plan.first.caller_id, second.caller_id);
    assert!(plan.first.caller_id.reveal().starts_with("+7495123"));
    assert_eq!((plan.first.endings, second.endings), (Some(10_000), None));
    assert!(plan.skipped.is_empty());
}

#[test]
fn a_second_trunk_that_may_not_show_the_caller_id_draws_its_own() {
    let recent = RecentTails::none();
    let states = [("south", TrunkState::Down)];
    let plan = plan_with(&dialplan(), MOBILE, &request(), &recent, &states).unwrap();
    assert_eq!(names(&plan), ["north", "west"]);
    let second = plan.second.unwrap();
    assert!(second.caller_id.reveal().starts_with("+7843123"));
    assert_eq!(second.endings, Some(10_000));
}

#[test]
fn a_trunk_that_takes_no_calls_is_passed_over_with_its_reason() {
    for state in [TrunkState::Down, TrunkState::Paused, TrunkState::Cooling, TrunkState::Full] {
        let recent = RecentTails::none();
        let states = [("north", state)];
        let plan = plan_with(&dialplan(), MOBILE, &request(), &recent, &states).unwrap();
        assert_eq!(names(&plan), ["south", "west"]);
        assert_eq!(plan.skipped.len(), 1);
        assert_eq!(plan.skipped[0].trunk, trunk("north"));
        assert_eq!(plan.skipped[0].reason, SkipReason::State(state));
    }
}

#[test]
fn without_a_trunk_that_is_up_the_error_names_each_and_why() {
    let states =
        [("north", TrunkState::Down), ("south", TrunkState::Full), ("west", TrunkState::Cooling)];
    let refused = plan_with(&dialplan(), MOBILE, &request(), &RecentTails::none(), &states);
    assert_eq!(
        refused.unwrap_err().to_string(),
        "no trunk of the route +79 takes calls: north is down, south is full, \
         west is cooling after failures"
    );
}

#[test]
fn a_trunk_of_which_nothing_is_known_is_down() {
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    let (to, recent) = (number(MOBILE), RecentTails::none());
    let refused = dialplan().plan(&mut rng, &to, &request(), &recent, &TrunkHealth::new());
    assert!(matches!(refused, Err(PlanError::NoTrunkUp { .. })));
}

#[test]
fn a_pool_smaller_than_the_purpose_allows_is_refused_with_its_arithmetic() {
    let recent =
        RecentTails::known(["0001", "0002", "5000"].map(|text| Tail::parse(text).unwrap()));
    let four = CodeLength::new(4).unwrap();
    let at_rest = CallerId::new(number("+78121230000"), four).unwrap();
    let request = PlanRequest { resting: RestingCallerIds::new([at_rest]), ..request() };
    let refused = plan_with(&dialplan(), "+78121234567", &request, &recent, &[]).unwrap_err();
    let count = EndingCount {
        trunk: trunk("north"),
        pools: vec![pool_name("small")],
        in_pools: 100,
        on_trunk: 100,
        resting: 1,
        recent: 2,
        left: 97,
        needed: 1_000,
    };
    assert_eq!(refused, PlanError::PoolTooSmall(count));
    assert_eq!(
        refused.to_string(),
        "pool too small: 100 endings in the pools, 100 on trunk north (small), 1 rest, \
         2 shown within 24 hours: 97 left, 1000 needed"
    );
}

#[test]
fn the_arithmetic_tells_what_the_trunk_may_not_show() {
    let pools = [
        pool("moscow", 4, &["south"], &["+74951230000-+74951239999"]),
        pool("small", 4, &["north"], &["+78121230000-+78121230099"]),
    ];
    let routes = [route("+7", &["north"], &[])];
    let dialplan = Dialplan::new(trunks(&["north", "south"]), pools, routes).unwrap();
    let refused = plan_with(&dialplan, MOBILE, &request(), &RecentTails::none(), &[]);
    let Err(PlanError::PoolTooSmall(count)) = refused else { panic!("{refused:?}") };
    assert_eq!((count.in_pools, count.on_trunk, count.left), (10_000, 100, 100));
}

#[test]
fn a_small_pool_is_drawn_from_where_the_operator_allows_it_by_name() {
    let small = PlanRequest { allow_small_pools: [pool_name("small")].into(), ..request() };
    assert_eq!(plan("+78121234567", &small).unwrap().first.endings, Some(100));
    let other = PlanRequest { allow_small_pools: [pool_name("moscow")].into(), ..request() };
    assert!(matches!(plan("+78121234567", &other), Err(PlanError::PoolTooSmall(_))));
    let none_left = PlanRequest { min_endings: 0, ..small };
    let recent = RecentTails::hidden(100, |_| true);
    let refused = plan_with(&dialplan(), "+78121234567", &none_left, &recent, &[]);
    assert!(matches!(refused, Err(PlanError::PoolTooSmall(EndingCount { left: 0, .. }))));
}

#[test]
fn a_trunk_with_too_few_endings_is_passed_over_for_one_with_enough() {
    let account = PoolChoice::named([pool_name("small"), pool_name("kazan")]);
    let request = PlanRequest { pools: account, ..request() };
    let plan = plan("+78431234567", &request).unwrap();
    assert_eq!(names(&plan), ["west"]);
    assert!(
        matches!(&plan.skipped[0].reason, SkipReason::PoolTooSmall(count) if count.left == 100)
    );
}

#[test]
fn a_caller_id_is_kept_where_a_draw_of_its_own_would_be_too_small() {
    let pools = [
        pool("small", 4, &["north", "south"], &["+78121230000-+78121230099"]),
        pool("tiny", 4, &["south"], &["+78431230000-+78431230009"]),
    ];
    let routes = [route("+7", &["north", "south"], &[])];
    let dialplan = Dialplan::new(trunks(&["north", "south"]), pools, routes).unwrap();
    let request = PlanRequest { allow_small_pools: [pool_name("small")].into(), ..request() };
    let recent = RecentTails::none();
    let plan = plan_with(&dialplan, MOBILE, &request, &recent, &[]).unwrap();
    assert_eq!(names(&plan), ["north", "south"]);
    assert_eq!(plan.second.unwrap().caller_id, plan.first.caller_id);
    let explained = dialplan.explain(&number(MOBILE), &request, &recent, &health(&[]));
    assert_eq!(explained.trunks[1].verdict, TrunkVerdict::Second(KeepsCallerId::Always));
}

#[test]
fn a_third_trunk_is_not_tried_and_draws_nothing() {
    let names = ["north", "south", "west"];
    let pools = names.map(|name| {
        let exchange = name.len() * 100;
        let range = format!("+7495{exchange}0000-+7495{exchange}9999");
        pool(name, 4, &[name], &[&range])
    });
    let plan_over = |names: &[&str], rng: &mut ChaCha20Rng| {
        let routes = [route("+7", names, &[])];
        let dialplan = Dialplan::new(trunks(&["north", "south", "west"]), pools.clone(), routes);
        let (to, recent) = (number(MOBILE), RecentTails::none());
        dialplan.unwrap().plan(rng, &to, &request(), &recent, &health(&[])).unwrap()
    };
    let (mut three, mut two) = (ChaCha20Rng::seed_from_u64(13), ChaCha20Rng::seed_from_u64(13));
    assert_eq!(plan_over(&names, &mut three), plan_over(&names[..2], &mut two));
    assert_eq!(three, two, "the generators have thrown alike");
}

#[test]
fn two_pools_on_one_trunk_are_drawn_from_together() {
    // North may show moscow and small; their tails overlap, their numbers do not.
    let plan = plan("+78431234567", &request()).unwrap();
    assert_eq!(plan.first.trunk, trunk("north"));
    assert_eq!(plan.first.endings, Some(10_000));
}

#[test]
fn an_account_narrows_the_pools_of_the_route() {
    let moscow = PoolChoice::named([pool_name("moscow")]);
    let narrowed = plan(MOBILE, &PlanRequest { pools: moscow, ..request() }).unwrap();
    assert_eq!(names(&narrowed), ["north", "south"]);
    let kazan = PoolChoice::named([pool_name("kazan"), pool_name("elsewhere")]);
    let narrowed = plan(MOBILE, &PlanRequest { pools: kazan, ..request() }).unwrap();
    assert_eq!(names(&narrowed), ["west"]);
    assert_eq!(narrowed.skipped[0].reason, SkipReason::NoPool);
    let long = PoolChoice::named([pool_name("long")]);
    let refused = plan(MOBILE, &PlanRequest { pools: long, ..request() });
    assert_eq!(refused, Err(PlanError::NoPool { route: Prefix::parse("+79").unwrap() }));
}

#[test]
fn a_second_attempt_has_a_code_of_the_same_length_or_is_not_made() {
    let plan = plan("+78461234567", &request()).unwrap();
    assert_eq!(names(&plan), ["west"]);
    let (own, first) = (CodeLength::new(6).unwrap(), CodeLength::new(4).unwrap());
    assert_eq!(plan.skipped[0].reason, SkipReason::CodeLengthDiffers { own, first });
}

#[test]
fn a_tail_that_the_number_saw_is_not_shown_again() {
    // All tails but one were shown, known by value or only by a test.
    let last = Tail::parse("4242").unwrap();
    let request = PlanRequest { min_endings: 1, ..request() };
    let all = (0..10_000).map(|value| Tail::parse(&format!("{value:04}")).unwrap());
    let known = RecentTails::known(all.filter(|tail| *tail != last));
    let hidden = RecentTails::hidden(9_999, move |tail| *tail != last);
    for recent in [known, hidden] {
        let plan = plan_with(&dialplan(), MOBILE, &request, &recent, &[]).unwrap();
        assert!(plan.first.caller_id.tail() == last);
        assert_eq!(plan.first.endings, Some(1));
    }
}

#[test]
fn a_wished_tail_is_shown_if_the_pools_have_it() {
    let wish = |text| PlanRequest {
        caller_id: CallerIdWish::WithTail(Tail::parse(text).unwrap()),
        ..request()
    };
    let granted = plan(MOBILE, &wish("0042")).unwrap();
    assert_eq!(granted.first.caller_id.reveal().as_str(), "+74951230042");
    assert_eq!(granted.second.unwrap().caller_id, granted.first.caller_id);
    // A pool of 100 numbers is no obstacle: the backend keeps its own codes.
    assert!(plan("+78121234567", &wish("0042")).is_ok());
    assert_eq!(plan("+78121234567", &wish("0100")), Err(PlanError::TailNotInPools));
    assert_eq!(plan(MOBILE, &wish("000042")), Err(PlanError::TailNotInPools));
    let recent = RecentTails::known([Tail::parse("0042").unwrap()]);
    let again = plan_with(&dialplan(), MOBILE, &wish("0042"), &recent, &[]);
    assert_eq!(again, Err(PlanError::TailShownRecently));
}

#[test]
fn a_wished_tail_of_which_every_number_rests_is_not_shown() {
    let four = CodeLength::new(4).unwrap();
    let at_rest = CallerId::new(number("+78121230042"), four).unwrap();
    let request = PlanRequest {
        caller_id: CallerIdWish::WithTail(at_rest.tail()),
        resting: RestingCallerIds::new([at_rest]),
        ..request()
    };
    assert_eq!(plan("+78121234567", &request), Err(PlanError::TailNotInPools));
}

#[test]
fn a_resend_shows_the_same_caller_id_though_it_was_just_shown() {
    let shown = plan(MOBILE, &request()).unwrap().first.caller_id;
    let again = PlanRequest { caller_id: CallerIdWish::Again(shown), ..request() };
    let recent = RecentTails::known([shown.tail()]);
    let states = [("north", TrunkState::Down)];
    let resend = plan_with(&dialplan(), MOBILE, &again, &recent, &states).unwrap();
    // West may not show it, so there is no second attempt.
    assert_eq!(names(&resend), ["south"]);
    assert_eq!(resend.first.caller_id, shown);
}

#[test]
fn a_resend_of_a_caller_id_that_left_the_pools_is_refused() {
    let foreign = CallerId::new(number("+74999999999"), CodeLength::new(4).unwrap()).unwrap();
    let again = PlanRequest { caller_id: CallerIdWish::Again(foreign), ..request() };
    assert_eq!(plan(MOBILE, &again), Err(PlanError::CallerIdNotInPools));
}

#[test]
fn the_shorter_ring_limit_of_route_and_request_holds() {
    let second = |seconds| Some(Duration::from_secs(seconds));
    for (of_route, of_request, expected) in [
        (None, None, None),
        (second(3), None, second(3)),
        (None, second(4), second(4)),
        (second(3), second(4), second(3)),
        (second(5), second(4), second(4)),
    ] {
        let route = Route { ring_limit: of_route, ..route("+7", &["north"], &[]) };
        let pools = [pool("moscow", 4, &["north"], &["+74951230000-+74951239999"])];
        let dialplan = Dialplan::new(trunks(&["north"]), pools, [route]).unwrap();
        let request = PlanRequest { ring_limit: of_request, ..request() };
        let plan = plan_with(&dialplan, MOBILE, &request, &RecentTails::none(), &[]).unwrap();
        assert_eq!(plan.first.ring_limit, expected);
    }
}

#[test]
fn each_trunk_dials_in_its_own_form_or_not_at_all() {
    let russia = CountryCode::parse("7").unwrap();
    let dialling = |name, format, strip, prefix| TrunkDialling {
        format,
        translation: Translation::new(strip, prefix).unwrap(),
        ..TrunkDialling::plain(trunk(name))
    };
    let trunks = [
        dialling("north", DialFormat::National(russia), 0, "8"),
        dialling("south", DialFormat::E164, 0, "5500#"),
    ];
    let pools = [pool("moscow", 4, &["north", "south"], &["+74951230000-+74951239999"])];
    let routes = [route("+", &["north", "south"], &[]), route("+44", &["north"], &[])];
    let dialplan = Dialplan::new(trunks, pools, routes).unwrap();
    let none = RecentTails::none();
    let home = plan_with(&dialplan, MOBILE, &request(), &none, &[]).unwrap();
    let dialled: Vec<&str> = home.attempts().map(|attempt| attempt.dialled.reveal()).collect();
    assert_eq!(dialled, ["89161234567", "5500#79161234567"]);
    let abroad = plan_with(&dialplan, BERLIN, &request(), &none, &[]).unwrap();
    assert_eq!(names(&abroad), ["south"]);
    let reason = SkipReason::NotDialable(DialError::AnotherCountry { country: russia });
    assert_eq!(abroad.skipped[0].reason, reason);
    let nobody = plan_with(&dialplan, "+442079460958", &request(), &none, &[]);
    assert!(matches!(nobody, Err(PlanError::NotDialable { .. })));
}

#[test]
fn the_same_generator_gives_the_same_plan_and_the_next_throw_another() {
    let (dialplan, to, recent) = (dialplan(), number(MOBILE), RecentTails::none());
    let plans = |rng: &mut ChaCha20Rng| -> Vec<Plan> {
        (0..3)
            .map(|_| dialplan.plan(rng, &to, &request(), &recent, &health(&[])).unwrap())
            .collect()
    };
    let mut rng = ChaCha20Rng::seed_from_u64(12);
    let first = plans(&mut rng);
    assert_eq!(first, plans(&mut ChaCha20Rng::seed_from_u64(12)));
    assert_ne!(first, plans(&mut rng));
}

#[test]
fn a_table_with_names_that_mean_nothing_is_refused_by_cause() {
    let moscow = || pool("moscow", 4, &["north"], &["+74951230000-+74951239999"]);
    let build = |names: &[&str], pools: Vec<CallerIdPool>, routes: Vec<Route>| {
        Dialplan::new(trunks(names), pools, routes).map(|_| ()).unwrap_err()
    };
    let prefix = Prefix::parse("+7").unwrap();
    assert_eq!(
        build(&["north", "north"], vec![], vec![]),
        DialplanError::TrunkTwice { trunk: trunk("north") }
    );
    assert_eq!(
        build(&["north"], vec![moscow(), moscow()], vec![]),
        DialplanError::PoolTwice { pool: pool_name("moscow") }
    );
    assert_eq!(
        build(&["south"], vec![moscow()], vec![]),
        DialplanError::PoolUnknownTrunk { pool: pool_name("moscow"), trunk: trunk("north") }
    );
    assert_eq!(
        build(&["north"], vec![moscow()], vec![route("+7", &["suoth"], &[])]),
        DialplanError::RouteUnknownTrunk { prefix, trunk: trunk("suoth") }
    );
    assert_eq!(
        build(&["north"], vec![moscow()], vec![route("+7", &["north"], &["kazan"])]),
        DialplanError::RouteUnknownPool { prefix, pool: pool_name("kazan") }
    );
    assert_eq!(
        build(&["north"], vec![], vec![route("+7", &[], &[])]),
        DialplanError::RouteWithoutTrunk { prefix }
    );
    let twice = vec![route("+7", &["north"], &[]), route("+7", &["north"], &[])];
    assert_eq!(build(&["north"], vec![], twice), DialplanError::RouteTwice { prefix });
}

#[test]
fn a_trunk_that_a_route_names_twice_gets_one_attempt() {
    let pools = [pool("moscow", 4, &["north"], &["+74951230000-+74951239999"])];
    let routes = [route("+7", &["north", "north"], &[])];
    let dialplan = Dialplan::new(trunks(&["north"]), pools, routes).unwrap();
    let plan = plan_with(&dialplan, MOBILE, &request(), &RecentTails::none(), &[]).unwrap();
    assert_eq!(names(&plan), ["north"]);
}

#[test]
fn a_plan_and_its_request_print_neither_number_nor_code() {
    let plan = plan(MOBILE, &request()).unwrap();
    let caller_id = plan.first.caller_id;
    let again = PlanRequest { caller_id: CallerIdWish::Again(caller_id), ..request() };
    let wish = PlanRequest { caller_id: CallerIdWish::WithTail(caller_id.tail()), ..request() };
    let printed = format!("{plan:?} {again:?} {wish:?} {:?}", dialplan());
    for secret in [&MOBILE[1..], caller_id.reveal().digits(), &caller_id.tail().reveal()] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
}

/// How many of 10,000 plans begin with each trunk.
fn firsts(weights: &[(&str, u16, u16)], states: &[(&str, TrunkState)]) -> Vec<usize> {
    let names: Vec<&str> = weights.iter().map(|(name, ..)| *name).collect();
    let trunks = weights.iter().map(|(name, priority, weight)| TrunkDialling {
        priority: *priority,
        weight: *weight,
        ..TrunkDialling::plain(trunk(name))
    });
    let pools = [pool("moscow", 4, &names, &["+74951230000-+74951239999"])];
    let route = Route { order: TrunkOrder::ByPriority, ..route("+7", &names, &[]) };
    let dialplan = Dialplan::new(trunks, pools, [route]).unwrap();
    let up = names.iter().map(|name| (trunk(name), TrunkState::Up));
    let states = states.iter().map(|(name, state)| (trunk(name), *state));
    let health: TrunkHealth = up.chain(states).collect();
    let mut rng = ChaCha20Rng::seed_from_u64(42);
    let mut counts = vec![0; names.len()];
    for _ in 0..10_000 {
        let (to, none) = (number(MOBILE), RecentTails::none());
        let plan = dialplan.plan(&mut rng, &to, &request(), &none, &health).unwrap();
        let first = names.iter().position(|name| trunk(name) == plan.first.trunk).unwrap();
        assert!(plan.second.is_none_or(|second| second.trunk != plan.first.trunk));
        counts[first] += 1;
    }
    counts
}

#[test]
fn trunks_of_one_priority_share_the_calls_by_weight() {
    let weights = [("north", 0, 3), ("south", 0, 1), ("west", 1, 9)];
    let counts = firsts(&weights, &[]);
    assert!((7_300..7_700).contains(&counts[0]), "{counts:?}");
    assert_eq!((counts[0] + counts[1], counts[2]), (10_000, 0));
    // The calls of one that takes none go to the others of its priority.
    let counts = firsts(&weights, &[("north", TrunkState::Down)]);
    assert_eq!(counts, [0, 10_000, 0]);
    let counts = firsts(&[("north", 0, 1), ("south", 0, 0), ("west", 0, 0)], &[]);
    assert!(counts[0] > 9_600 && counts[1] > 0 && counts[2] > 0, "{counts:?}");
}
