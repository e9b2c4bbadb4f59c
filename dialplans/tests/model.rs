//! Plans of random tables, against a model that counts every number by itself.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::collections::BTreeSet;

use dozvon_dialplans::{
    CallerId, CallerIdPool, CallerIdWish, CodeLength, Dialplan, E164, KeepsCallerId, NumberRange,
    Plan, PlanError, PlanRequest, PoolChoice, PoolName, Prefix, RecentTails, RestingCallerIds,
    Route, Tail, TrunkDialling, TrunkHealth, TrunkName, TrunkOrder, TrunkState, TrunkVerdict,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const TRUNKS: [&str; 4] = ["north", "south", "west", "east"];
const POOLS: [&str; 4] = ["moscow", "kazan", "perm", "omsk"];
const TO: &str = "+79161234567";
const ROUNDS: usize = 3_000;

/// A table and a request in plain words.
struct World {
    pools: Vec<Pool>,
    route_trunks: Vec<usize>,
    route_pools: Option<Vec<usize>>,
    account: Option<Vec<usize>>,
    small: Vec<usize>,
    up: [bool; 4],
    resting: BTreeSet<u64>,
    shown: BTreeSet<String>,
    min_endings: u64,
}

struct Pool {
    code_length: usize,
    trunks: Vec<usize>,
    ranges: Vec<(u64, u64)>,
}

/// What the model expects of one trunk that takes a call.
struct Expected {
    trunk: usize,
    may_show: BTreeSet<u64>,
    left: usize,
}

fn chance(rng: &mut ChaCha20Rng, of: u32) -> bool {
    rng.next_u32().is_multiple_of(of)
}

/// Some of `0..4`, in an order of their own.
fn some(rng: &mut ChaCha20Rng) -> Vec<usize> {
    let mut all: Vec<usize> = (0..4).collect();
    for at in (1..4).rev() {
        all.swap(at, rng.next_u32() as usize % (at + 1));
    }
    all.truncate(1 + rng.next_u32() as usize % 4);
    all
}

impl World {
    fn random(rng: &mut ChaCha20Rng) -> Self {
        let pools = (0..4).map(|_| Pool::random(rng)).collect();
        let choice = |rng: &mut ChaCha20Rng| (!chance(rng, 3)).then(|| some(rng));
        Self {
            pools,
            route_trunks: some(rng),
            route_pools: choice(rng),
            account: choice(rng),
            small: if chance(rng, 3) { some(rng) } else { Vec::new() },
            up: std::array::from_fn(|_| !chance(rng, 4)),
            resting: (0..rng.next_u32() % 60).map(|_| place(rng)).collect(),
            shown: (0..rng.next_u32() % 60)
                .map(|_| format!("{:03}", rng.next_u32() % 1_000))
                .collect(),
            min_endings: [1, 10, 60][rng.next_u32() as usize % 3],
        }
    }

    /// The pools of route and account that a trunk may show, in order of preference.
    fn pools_on(&self, trunk: usize) -> Vec<usize> {
        let order = match (&self.route_pools, &self.account) {
            (Some(route), _) => route.clone(),
            (None, Some(account)) => account.clone(),
            (None, None) => (0..4).collect(),
        };
        let in_account =
            |pool: &usize| self.account.as_ref().is_none_or(|account| account.contains(pool));
        order
            .into_iter()
            .filter(in_account)
            .filter(|pool| self.pools[*pool].trunks.contains(&trunk))
            .collect()
    }

    /// What the trunk may draw from with codes of one length: the numbers it may show at
    /// all, those that may be drawn, and how many endings are left.
    fn numbers_on(&self, trunk: usize, code_length: usize) -> (BTreeSet<u64>, Expected, bool) {
        let mut pools = self.pools_on(trunk);
        pools.retain(|pool| self.pools[*pool].code_length == code_length);
        let numbers: BTreeSet<u64> = pools
            .iter()
            .flat_map(|pool| &self.pools[*pool].ranges)
            .flat_map(|(first, last)| *first..=*last)
            .collect();
        let ending = |number: u64| number.to_string()[11 - code_length..].to_owned();
        let may_show: BTreeSet<u64> = numbers
            .iter()
            .copied()
            .filter(|number| !self.resting.contains(number))
            .filter(|number| !self.shown.contains(&ending(*number)))
            .collect();
        let left = may_show.iter().map(|number| ending(*number)).collect::<BTreeSet<_>>().len();
        let lifted = pools.iter().all(|pool| self.small.contains(pool));
        let needed = if lifted { 1 } else { self.min_endings as usize };
        (numbers, Expected { trunk, may_show, left }, left >= needed)
    }

    fn dialplan(&self) -> Dialplan {
        let pools = self.pools.iter().zip(POOLS).map(|(pool, name)| {
            CallerIdPool::new(
                PoolName::parse(name).unwrap(),
                CodeLength::new(pool.code_length as u8).unwrap(),
                pool.trunks.iter().map(|trunk| TrunkName::parse(TRUNKS[*trunk]).unwrap()),
                pool.ranges
                    .iter()
                    .map(|(first, last)| NumberRange::parse(&format!("+{first}-+{last}")).unwrap()),
            )
            .unwrap()
        });
        let trunk = |name: &str| TrunkName::parse(name).unwrap();
        let route = Route {
            prefix: Prefix::parse("+79").unwrap(),
            trunks: self.route_trunks.iter().map(|place| trunk(TRUNKS[*place])).collect(),
            order: TrunkOrder::AsNamed,
            pools: named(self.route_pools.as_deref()),
            ring_limit: None,
        };
        let trunks = TRUNKS.map(|name| TrunkDialling::plain(trunk(name)));
        Dialplan::new(trunks, pools, [route]).unwrap()
    }

    fn request(&self) -> PlanRequest {
        let three = CodeLength::new(3).unwrap();
        let resting = self.resting.iter().map(|number| {
            CallerId::new(E164::parse(&format!("+{number}")).unwrap(), three).unwrap()
        });
        PlanRequest {
            pools: named(self.account.as_deref()),
            min_endings: self.min_endings,
            allow_small_pools: pool_names(&self.small).collect(),
            resting: RestingCallerIds::new(resting),
            ring_limit: None,
            caller_id: CallerIdWish::Drawn,
        }
    }

    fn recent(&self, hidden: bool) -> RecentTails {
        let tails = self.shown.iter().map(|tail| Tail::parse(tail).unwrap());
        if hidden {
            let tails: Vec<Tail> = tails.collect();
            RecentTails::hidden(tails.len() as u64, move |tail| tails.contains(tail))
        } else {
            RecentTails::known(tails)
        }
    }

    fn health(&self) -> TrunkHealth {
        let state = |up: bool| if up { TrunkState::Up } else { TrunkState::Down };
        let states = TRUNKS.iter().zip(self.up);
        states.map(|(name, up)| (TrunkName::parse(name).unwrap(), state(up))).collect()
    }
}

impl Pool {
    fn random(rng: &mut ChaCha20Rng) -> Self {
        let range = |rng: &mut ChaCha20Rng| {
            let first = place(rng);
            (first, first + u64::from(rng.next_u32() % 90))
        };
        Self {
            code_length: if chance(rng, 4) { 4 } else { 3 },
            trunks: some(rng),
            ranges: (0..1 + rng.next_u32() % 3).map(|_| range(rng)).collect(),
        }
    }
}

/// A number near the others, so that ranges, endings and resting numbers meet.
fn place(rng: &mut ChaCha20Rng) -> u64 {
    74_951_229_950 + u64::from(rng.next_u32() % 120) + 1_000 * u64::from(rng.next_u32() % 2)
}

fn pool_names(pools: &[usize]) -> impl Iterator<Item = PoolName> {
    pools.iter().map(|pool| PoolName::parse(POOLS[*pool]).unwrap())
}

fn named(pools: Option<&[usize]>) -> PoolChoice {
    pools.map_or(PoolChoice::Any, |pools| PoolChoice::named(pool_names(pools)))
}

/// The number as the model counts it.
fn shown_by(plan: &Plan, attempt: usize) -> u64 {
    plan.attempts().nth(attempt).unwrap().caller_id.reveal().digits().parse().unwrap()
}

/// Walks the trunks as the words of the design do, checking each attempt of the plan.
fn check(world: &World, plan: &Result<Plan, PlanError>) {
    let mut taken: Vec<usize> = Vec::new();
    let (mut code_length, mut down) = (None, false);
    for trunk in &world.route_trunks {
        let pools = world.pools_on(*trunk);
        let Some(own) = pools.first().map(|pool| world.pools[*pool].code_length) else { continue };
        let length = code_length.unwrap_or(own);
        if !pools.iter().any(|pool| world.pools[*pool].code_length == length) {
            continue;
        }
        let (numbers, expected, enough) = world.numbers_on(*trunk, length);
        let first = (taken.len() == 1).then(|| shown_by(plan.as_ref().unwrap(), 0));
        let kept = first.is_some_and(|first| numbers.contains(&first));
        if !kept && !enough {
            continue;
        }
        if !world.up[*trunk] {
            down = true;
            continue;
        }
        let plan = plan.as_ref().unwrap();
        let attempt = plan.attempts().nth(taken.len()).unwrap();
        assert_eq!(attempt.trunk.as_str(), TRUNKS[expected.trunk]);
        let shown = shown_by(plan, taken.len());
        if kept {
            assert_eq!((Some(shown), attempt.endings), (first, None));
        } else {
            assert!(expected.may_show.contains(&shown));
            assert_eq!(attempt.endings, Some(expected.left as u64));
        }
        code_length = Some(length);
        taken.push(*trunk);
        if taken.len() == 2 {
            break;
        }
    }
    match plan {
        Ok(plan) => assert_eq!(plan.attempts().count(), taken.len()),
        Err(PlanError::NoTrunkUp { .. }) => assert!(taken.is_empty() && down),
        Err(_) => assert!(taken.is_empty() && !down),
    }
}

fn check_explanation(dialplan: &Dialplan, world: &World, plan: &Result<Plan, PlanError>) {
    let to = E164::parse(TO).unwrap();
    let recent = world.recent(false);
    let explained = dialplan.explain(&to, &world.request(), &recent, &world.health());
    let takers = explained.trunks.iter().filter_map(|explained| match explained.verdict {
        TrunkVerdict::First => Some((explained, None)),
        TrunkVerdict::Second(keeps) => Some((explained, Some(keeps))),
        TrunkVerdict::NotNeeded | TrunkVerdict::Skipped(_) => None,
    });
    let takers: Vec<_> = takers.collect();
    let Ok(plan) = plan else {
        assert!(takers.is_empty(), "{explained}");
        return;
    };
    for (attempt, (explained, keeps)) in plan.attempts().zip(&takers) {
        // Where the first draw decides, the explanation names the nearest second trunk.
        let Some(KeepsCallerId::WhenShared) = keeps else {
            assert_eq!(attempt.trunk, explained.trunk);
            if keeps.is_none() {
                assert_eq!(attempt.endings, explained.endings.as_ref().map(|count| count.left));
            }
            continue;
        };
    }
    assert!(takers.len() >= plan.attempts().count(), "{explained}");
}

#[test]
fn a_plan_is_what_counting_every_number_says() {
    let (mut plans, mut twice, mut refused) = (0, 0, 0);
    for seed in 0..ROUNDS as u64 {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let world = World::random(&mut rng);
        let dialplan = world.dialplan();
        let to = E164::parse(TO).unwrap();
        let recent = world.recent(false);
        let plan = dialplan.plan(&mut rng, &to, &world.request(), &recent, &world.health());
        println!("seed {seed}");
        check(&world, &plan);
        check_explanation(&dialplan, &world, &plan);
        match &plan {
            Ok(plan) if plan.second.is_some() => twice += 1,
            Ok(_) => plans += 1,
            Err(_) => refused += 1,
        }
    }
    println!("{twice} plans of two attempts, {plans} of one, {refused} refused");
    assert!(twice > 500 && plans > 300 && refused > 300);
}

#[test]
fn tails_that_only_a_test_knows_are_not_drawn_and_never_counted_too_low() {
    let mut drawn = 0;
    for seed in 0..ROUNDS as u64 {
        println!("seed {seed}");
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let world = World::random(&mut rng);
        let (dialplan, to) = (world.dialplan(), E164::parse(TO).unwrap());
        let recent = world.recent(true);
        let plan = dialplan.plan(&mut rng, &to, &world.request(), &recent, &world.health());
        let Ok(plan) = plan else { continue };
        for attempt in plan.attempts() {
            let tail = attempt.caller_id.tail();
            assert!(!world.shown.contains(tail.reveal().as_str()));
            let trunk = TRUNKS.iter().position(|name| *name == attempt.trunk.as_str()).unwrap();
            let (_, expected, _) = world.numbers_on(trunk, tail.length().digits());
            assert!(attempt.endings.is_none_or(|left| left <= expected.left as u64));
            drawn += 1;
        }
    }
    assert!(drawn > 1_000, "only {drawn} drawn");
}
