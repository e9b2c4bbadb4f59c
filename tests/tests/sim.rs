//! The core against a simulated carrier and network, seed by seed.
//!
//! - `DOZVON_SIM_SEEDS=N`: play N seeds; without it 20,000, in the long form 1,000,000.
//! - `DOZVON_SIM_SEED=N`: play this seed and print its messages.
//! - `DOZVON_STORM_SEEDS=N`: play N storms; without it 10,000, in the long form 100,000. With
//!   `soak`: until somebody stops it, and each seed that breaks a rule is printed.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use dozvon_tests::sim::scenario::Scenario;
use dozvon_tests::sim::storm::{self, Storm};
use dozvon_tests::sim::{Bug, Report, ladder, run};
use sip::CallOutcome;

/// Seeds that once showed a fault, of the core or of the simulation.
const ONCE_FAILED: &[u64] = &[58, 74, 86, 93, 103, 105, 114, 126, 142, 154, 190, 191];

/// Storms that once left something behind.
const STORMS_ONCE_FAILED: &[u64] = &[18_494, 68_573, 96_963];

fn number_from(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn seeds() -> u64 {
    let long = number_from("DOZVON_LONG").unwrap_or(0) > 0;
    number_from("DOZVON_SIM_SEEDS").unwrap_or(if long { 1_000_000 } else { 20_000 })
}

/// Plays seeds on all cores and hands each report to `take`. Panics with the first seed that
/// breaks a rule.
fn play(seeds: u64, take: impl Fn(u64, Report) + Sync) {
    let next = AtomicU64::new(0);
    let broken = Mutex::new(None);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds || broken.lock().expect("no thread panics").is_some() {
                        return;
                    }
                    match run(seed, None) {
                        Ok(report) => take(seed, report),
                        Err(violation) => {
                            *broken.lock().expect("no thread panics") = Some((seed, violation));
                        }
                    }
                }
            });
        }
    });
    if let Some((seed, violation)) = broken.into_inner().expect("no thread panics") {
        let scenario = Scenario::of(seed);
        panic!("seed {seed} {violation}\n{scenario:#?}\n{}", ladder(seed, None));
    }
}

/// How many storms to play; `None`: until somebody stops it.
fn storms() -> Option<u64> {
    if std::env::var("DOZVON_STORM_SEEDS").is_ok_and(|word| word == "soak") {
        return None;
    }
    let long = number_from("DOZVON_LONG").unwrap_or(0) > 0;
    let usual = if long { 100_000 } else { 10_000 };
    Some(number_from("DOZVON_STORM_SEEDS").unwrap_or(usual))
}

#[test]
fn in_a_storm_of_everything_each_call_ends_once_and_nothing_is_left() {
    let (start, seeds) = (Instant::now(), storms());
    let (next, broken) = (AtomicU64::new(0), AtomicU64::new(0));
    let sum = Mutex::new(Storm::default());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let play = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seeds.is_some_and(|seeds| seed >= seeds) {
            return;
        }
        match storm::play(start, seed) {
            Ok(played) => sum.lock().expect("no thread panics").add(&played),
            Err(rule) => {
                println!("storm {seed}: {rule}");
                broken.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(play);
        }
    });
    let sum = sum.into_inner().expect("no thread panics");
    println!("{} storms in {:.1} s: {sum:?}", next.into_inner(), start.elapsed().as_secs_f64());
    assert_eq!(broken.into_inner(), 0, "storms that broke a rule");
    if seeds.is_none_or(|seeds| seeds >= 1_000) {
        // A storm that stopped doing what it is for would pass silently.
        assert!(sum.failovers > 1_000 && sum.breaks > 10_000 && sum.mended > 500);
        assert!(sum.talks > 100 && sum.refused > 1_000, "{sum:?}");
        assert!(sum.lies > 1_000 && sum.dead_names > 1_000 && sum.sleeps > 100, "{sum:?}");
        assert_eq!(sum.responses() as usize, storm::RESPONSES, "responses that INVITEs got");
    }
}

#[test]
fn storms_that_once_failed_keep_every_rule() {
    let start = Instant::now();
    for &seed in STORMS_ONCE_FAILED {
        storm::play(start, seed).unwrap_or_else(|rule| panic!("storm {seed}: {rule}"));
    }
}

#[derive(Default)]
struct Tally {
    packets: u64,
    lost: u64,
    calm: BTreeMap<CallOutcome, u64>,
    stormy_calls: u64,
    stormy_left_over: u64,
    stormy_agreed: u64,
}

#[test]
fn every_seed_keeps_every_rule_and_999_calls_of_1000_end_rightly_in_a_storm() {
    if let Some(seed) = number_from("DOZVON_SIM_SEED") {
        println!("{:#?}\n{}", Scenario::of(seed), ladder(seed, None));
        run(seed, None).unwrap_or_else(|violation| panic!("seed {seed} {violation}"));
        return;
    }
    let start = Instant::now();
    let tally = Mutex::new(Tally::default());
    let seeds = seeds();
    play(seeds, |seed, report| {
        let weather = Scenario::of(seed).weather;
        let mut tally = tally.lock().expect("no thread panics");
        tally.packets += report.packets;
        tally.lost += report.lost;
        for call in report.calls {
            if weather.is_calm() {
                *tally.calm.entry(call.outcome).or_default() += 1;
            }
            if weather.lost == 200 {
                tally.stormy_calls += 1;
                tally.stormy_left_over += u64::from(!call.is_clean);
                tally.stormy_agreed += u64::from(call.agrees);
            }
        }
    });
    let tally = tally.into_inner().expect("no thread panics");
    let took = start.elapsed().as_secs_f64();
    println!("{seeds} seeds in {took:.1} s: {:.0} a second", seeds as f64 / took);
    println!("{} packets left the core, {} were lost", tally.packets, tally.lost);
    println!("outcomes where nothing was lost: {:?}", tally.calm);
    println!(
        "{} calls with 20 % of all packets lost each way: each ended once, as the packets that \
         came say; {} left a phone ringing or talking; {} ended as the phone would tell it",
        tally.stormy_calls, tally.stormy_left_over, tally.stormy_agreed
    );
    assert!(tally.stormy_left_over * 1000 <= tally.stormy_calls);
    if seeds >= 20_000 {
        // A simulation that stopped doing what it is for would pass silently.
        assert_eq!(tally.calm.len(), 20, "kinds of outcome");
        assert!(tally.stormy_calls > 15_000);
        assert!(tally.lost > seeds);
    }
}

#[test]
fn seeds_that_once_failed_keep_every_rule() {
    for &seed in ONCE_FAILED {
        run(seed, None).unwrap_or_else(|violation| panic!("seed {seed} {violation}"));
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let hashes = Mutex::new(BTreeMap::new());
    play(2_000, |seed, report| {
        let again = run(seed, None).unwrap_or_else(|violation| panic!("seed {seed} {violation}"));
        assert_eq!(report.hash, again.hash, "seed {seed}");
        hashes.lock().expect("no thread panics").insert(report.hash, seed);
    });
    assert_eq!(hashes.into_inner().expect("no thread panics").len(), 2_000, "and others' differ");
}

/// How many of the first 300 seeds a planted fault breaks, and how.
#[expect(clippy::print_stdout, reason = "a test shows how its fault was caught")]
fn caught(bug: Bug) -> BTreeMap<String, u32> {
    let mut ways = BTreeMap::new();
    for seed in 0..300 {
        if let Err(violation) = run(seed, Some(bug)) {
            *ways.entry(violation.what).or_default() += 1;
        }
    }
    println!("{bug:?}: {ways:?}");
    ways
}

#[test]
fn a_timer_b_that_does_not_fire_is_caught() {
    assert!(
        caught(Bug::TimerBIsSilent).contains_key("a call without an end long after its limits")
    );
}

#[test]
fn a_repeated_2xx_that_is_told_twice_is_caught() {
    assert!(
        caught(Bug::RepeatedSuccessIsToldTwice).contains_key("the end of a call was told twice")
    );
}

#[test]
fn a_doubled_cancel_is_caught() {
    assert!(caught(Bug::CancelIsDoubled).contains_key("CANCEL was repeated within T1"));
}

#[test]
fn a_failure_without_its_ack_is_caught() {
    let ways = caught(Bug::FailureIsNotAcknowledged);
    assert!(ways.keys().any(|way| way.starts_with("0 ACKs to 1 failures")), "{ways:?}");
}
