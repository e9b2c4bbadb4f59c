//! Nanoseconds of a look-up among a million prefixes, and of a plan.
//!
//! `cargo bench -p dozvon-dialplans --profile suite --bench lookup`

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark measures time, prints it, and stops where its tables are wrong"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use dozvon_dialplans::{
    CallerId, CallerIdPool, CallerIdWish, CodeLength, Dialplan, E164, NumberRange, PlanRequest,
    PoolChoice, PoolName, Prefix, RecentTails, Region, RestingCallerIds, Route, Tail,
    TrunkDialling, TrunkHealth, TrunkName, TrunkOrder, TrunkState,
};
use phonenumber::metadata::DATABASE;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const PREFIXES: usize = 1_000_000;
const NUMBERS: usize = 1 << 16;
const SEED: u64 = 2_024;

fn main() {
    println!("seed {SEED}");
    let mut rng = ChaCha20Rng::seed_from_u64(SEED);
    let started = Instant::now();
    let (plan, numbers) = million(&mut rng);
    println!("a dialplan of {PREFIXES} prefixes is made in {:.0?}", started.elapsed());
    let (mut found, mut at) = (0, 0);
    nanoseconds("longest prefix match, random numbers", 2_000_000, || {
        at = (at + 1) % NUMBERS;
        found += usize::from(plan.longest_prefix(black_box(&numbers[at])).is_some());
    });
    println!("  {} % of these numbers have a route", found / 20_000);
    plans(&mut rng, &plan, &numbers);
    pools(&mut rng);
    typed();
}

/// A million prefixes of 4 to 11 digits, as rate decks and numbering-plan registers have
/// them, under a handful of targets, and numbers that mostly have a route.
fn million(rng: &mut ChaCha20Rng) -> (Dialplan, Vec<E164>) {
    let mut digits = |count: u32| {
        let low = 10_u64.pow(count - 1);
        low + rng.next_u64() % (9 * low)
    };
    let mut prefixes: Vec<u64> =
        (0..PREFIXES + PREFIXES / 4).map(|at| digits(4 + at as u32 % 8)).collect();
    prefixes.sort_unstable();
    prefixes.dedup();
    let numbers = (0..NUMBERS)
        .map(|at| match at % 4 {
            0 => digits(11).to_string(),
            _ => {
                let prefix = prefixes[digits(9) as usize % prefixes.len()].to_string();
                format!("{prefix}{}", &"123456789012"[..13 - prefix.len()])
            }
        })
        .map(|digits| E164::parse(&format!("+{digits}")).unwrap())
        .collect();
    // Dropping neighbours by chance keeps all lengths.
    while prefixes.len() > PREFIXES {
        prefixes.swap_remove(rng.next_u64() as usize % prefixes.len());
    }
    let routes = prefixes.iter().map(|prefix| Route {
        prefix: Prefix::parse(&format!("+{prefix}")).unwrap(),
        trunks: Arc::new([trunk("north"), trunk("south")]),
        order: TrunkOrder::AsNamed,
        pools: PoolChoice::named([name(["moscow", "kazan"][*prefix as usize % 2])]),
        ring_limit: None,
    });
    let pools = [
        pool("moscow", ["+74951230000-+74951239999"]),
        pool("kazan", ["+78431230000-+78431239999"]),
    ];
    let plan = Dialplan::new(trunks(), pools, routes.collect::<Vec<_>>()).unwrap();
    (plan, numbers)
}

fn plans(rng: &mut ChaCha20Rng, dialplan: &Dialplan, numbers: &[E164]) {
    let numbers: Vec<E164> =
        numbers.iter().filter(|to| dialplan.longest_prefix(to).is_some()).copied().collect();
    let health = health();
    let mut at = 0;
    let ten = || (0..10).map(|value| Tail::parse(&format!("{:04}", value * 977)).unwrap());
    let shown: Vec<Tail> = ten().collect();
    let hidden = RecentTails::hidden(10, move |tail| shown.contains(tail));
    for (what, recent) in [
        ("plan, nothing shown", RecentTails::none()),
        ("plan, 10 tails shown", RecentTails::known(ten())),
        ("plan, 10 tails known to a test only", hidden),
    ] {
        nanoseconds(what, 1_000_000, || {
            at = (at + 1) % numbers.len();
            let plan = dialplan.plan(rng, &numbers[at], &request(), &recent, &health);
            black_box(plan.unwrap());
        });
    }
}

fn pools(rng: &mut ChaCha20Rng) {
    let singles = |count: u64| (0..count).map(|at| format!("+7495{:07}", at * 7_919 % 10_000_000));
    let four = CodeLength::new(4).unwrap();
    for (what, ranges, at_rest) in [
        ("plan, pool of a million numbers in a range", vec!["+74951000000-+74951999999".into()], 0),
        ("plan, pool of 1,000 single numbers", singles(1_000).collect::<Vec<String>>(), 0),
        ("plan, the same, 100 of them at rest", singles(1_000).collect(), 100),
        ("plan, pool of 10,000 single numbers", singles(10_000).collect(), 0),
    ] {
        let resting = ranges.iter().take(at_rest).map(|number| E164::parse(number).unwrap());
        let resting =
            RestingCallerIds::new(resting.map(|number| CallerId::new(number, four).unwrap()));
        let route = Route {
            prefix: Prefix::parse("+7").unwrap(),
            trunks: Arc::new([trunk("north"), trunk("south")]),
            order: TrunkOrder::AsNamed,
            pools: PoolChoice::Any,
            ring_limit: None,
        };
        let pools = [pool("moscow", ranges.iter().map(String::as_str))];
        let dialplan = Dialplan::new(trunks(), pools, [route]).unwrap();
        let (to, health) = (E164::parse("+79161234567").unwrap(), health());
        let request = PlanRequest { min_endings: 500, resting, ..request() };
        nanoseconds(what, 20_000, || {
            black_box(dialplan.plan(rng, &to, &request, &RecentTails::none(), &health).unwrap());
        });
    }
}

fn typed() {
    let started = Instant::now();
    let russia = Region::parse("RU").unwrap();
    println!("the tables of the numbering plans are read in {:.0?}", started.elapsed());
    nanoseconds("typed number, one country", 200_000, || {
        black_box(E164::from_typed("8 (916) 123-45-67", Some(russia)).unwrap());
    });
    let all: Vec<String> = DATABASE
        .iter()
        .filter_map(|plan| {
            Some(format!("+{}{}", plan.country_code(), plan.descriptors().mobile()?.example()?))
        })
        .collect();
    let mut at = 0;
    nanoseconds("typed number, every country in turn", 2_000, || {
        at = (at + 1) % all.len();
        let _ = black_box(E164::from_typed(&all[at], None));
    });
}

/// Prints the median and the best of 200 batches: a machine that does other work meanwhile
/// takes whole batches away from us, not a part of each.
fn nanoseconds(what: &str, times: u32, mut work: impl FnMut()) {
    let per_batch = times / 200;
    let mut batches: Vec<f64> = (0..200)
        .map(|_| {
            let started = Instant::now();
            for _ in 0..per_batch {
                work();
            }
            started.elapsed().as_nanos() as f64 / f64::from(per_batch)
        })
        .collect();
    batches.sort_unstable_by(f64::total_cmp);
    println!("{what:45} {:8.0} ns, best {:8.0} ns", batches[100], batches[0]);
}

fn trunk(name: &str) -> TrunkName {
    TrunkName::parse(name).unwrap()
}

fn name(name: &str) -> PoolName {
    PoolName::parse(name).unwrap()
}

fn trunks() -> [TrunkDialling; 2] {
    ["north", "south"].map(|name| TrunkDialling::plain(trunk(name)))
}

fn health() -> TrunkHealth {
    ["north", "south"].map(|name| (trunk(name), TrunkState::Up)).into_iter().collect()
}

fn pool<'a>(pool: &str, ranges: impl IntoIterator<Item = &'a str>) -> CallerIdPool {
    let ranges = ranges.into_iter().map(|range| NumberRange::parse(range).unwrap());
    let trunks = [trunk("north"), trunk("south")];
    CallerIdPool::new(name(pool), CodeLength::new(4).unwrap(), trunks, ranges).unwrap()
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
