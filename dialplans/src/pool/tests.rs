use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::draw::{Draw, number_with_tail};
use super::endings::Endings;
use super::*;
use crate::caller_id::{CallerId, RestingCallerIds};
use crate::tail::{RecentTails, Tail};

fn seeded(seed: u64) -> ChaCha20Rng {
    println!("seed {seed}");
    ChaCha20Rng::seed_from_u64(seed)
}

fn three() -> CodeLength {
    CodeLength::new(3).unwrap()
}

fn pool(code_length: u8, ranges: &[&str]) -> Result<CallerIdPool, PoolError> {
    CallerIdPool::new(
        PoolName::parse("moscow").unwrap(),
        CodeLength::new(code_length).unwrap(),
        [TrunkName::parse("north").unwrap()],
        ranges.iter().map(|range| NumberRange::parse(range).unwrap()),
    )
}

fn resting(numbers: &[u64]) -> RestingCallerIds {
    RestingCallerIds::new(
        numbers
            .iter()
            .map(|number| CallerId::new(E164::from_value(*number).unwrap(), three()).unwrap()),
    )
}

fn tail(value: u64) -> Tail {
    Tail::from_value(three(), value)
}

/// Ranges within 5,000 numbers, so that every set can be counted number by number.
fn random_ranges(rng: &mut ChaCha20Rng) -> Vec<(u64, u64)> {
    (0..1 + rng.next_u32() % 6)
        .map(|_| {
            let first = 1_000_000 + u64::from(rng.next_u32() % 5_000);
            let width = [1, 3, 90, 1_000, 1_500][rng.next_u32() as usize % 5];
            (first, first + u64::from(rng.next_u32()) % width)
        })
        .collect()
}

fn enumerate(ranges: &[(u64, u64)]) -> BTreeSet<u64> {
    ranges.iter().flat_map(|(first, last)| *first..=*last).collect()
}

#[test]
fn a_range_is_two_numbers_of_one_length_in_order() {
    let range = NumberRange::parse("+74951230000-+74951239999").unwrap();
    assert_eq!(range.count(), 10_000);
    assert_eq!(range.reveal(), "+74951230000-+74951239999");
    assert_eq!(NumberRange::parse("+74951230000 - +74951239999"), Ok(range));
    assert_eq!(NumberRange::parse("+74951230000").unwrap().count(), 1);
    assert_eq!(NumberRange::parse("+74951230000").unwrap().reveal(), "+74951230000");
    let reversed = NumberRange::parse("+74951239999-+74951230000");
    assert_eq!(reversed, Err(NumberRangeError::Reversed));
    let lengths = NumberRange::parse("+7495123-+74951239999");
    assert_eq!(lengths, Err(NumberRangeError::LengthsDiffer));
    let no_plus = NumberRange::parse("+74951230000-9999");
    assert_eq!(no_plus, Err(NumberRangeError::Number(E164Error::NoPlus)));
    assert_eq!(format!("{range:?}"), "NumberRange(10000 hidden)");
}

#[test]
fn a_pool_knows_how_many_codes_it_can_make() {
    for (code_length, ranges, numbers, endings) in [
        (4, &["+74951230000-+74951239999"][..], 10_000, 10_000),
        (4, &["+74951230000-+74951230099"], 100, 100),
        // A million numbers have no more than 10,000 codes of 4 digits.
        (4, &["+74951000000-+74951999999"], 1_000_000, 10_000),
        (6, &["+74951000000-+74951999999"], 1_000_000, 1_000_000),
        // The same tails in another exchange add numbers but no code.
        (4, &["+74951230000-+74951230099", "+74951240000-+74951240099"], 200, 100),
        // Overlapping, repeated and touching ranges count each number once.
        (4, &["+74951230000-+74951230099", "+74951230050-+74951230149"], 150, 150),
        (4, &["+74951230000", "+74951230000", "+74951230001"], 2, 2),
        // Over the end of a head the tails start again at 0000.
        (4, &["+74951239990-+74951240009"], 20, 20),
        (10, &["+74950000000-+74959999999"], 10_000_000, 10_000_000),
    ] {
        let pool = pool(code_length, ranges).unwrap();
        assert_eq!(pool.number_count(), numbers, "{ranges:?}");
        assert_eq!(pool.ending_count(), endings, "{ranges:?}");
        let ranges: Vec<_> = ranges.iter().map(|text| NumberRange::parse(text).unwrap()).collect();
        assert_eq!(ending_count(pool.code_length(), &ranges), endings);
    }
}

#[test]
fn what_cannot_be_a_pool_is_refused_by_cause() {
    assert_eq!(pool(4, &[]).unwrap_err(), PoolError::NoNumber);
    assert_eq!(pool(7, &["+7495123"]).unwrap_err(), PoolError::NumberTooShort);
    let nobody = CallerIdPool::new(
        PoolName::parse("moscow").unwrap(),
        three(),
        [],
        [NumberRange::parse("+74951230000").unwrap()],
    );
    assert_eq!(nobody.unwrap_err(), PoolError::NoTrunk);
}

#[test]
fn a_pool_does_not_print_its_numbers() {
    let printed = format!("{:?}", pool(4, &["+74951234567"]).unwrap());
    assert!(!printed.contains("4567"), "{printed}");
}

#[test]
fn the_arithmetic_of_ranges_is_that_of_counting_every_number() {
    let mut rng = seeded(20);
    for round in 0..100 {
        let ranges = random_ranges(&mut rng);
        let endings = Endings::new(three(), ranges.clone());
        let numbers = enumerate(&ranges);
        let mut by_tail: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        for number in &numbers {
            by_tail.entry(number % 1_000).or_default().insert(*number);
        }
        assert_eq!(endings.numbers(), numbers.len() as u64, "round {round}");
        assert_eq!(endings.count(), by_tail.len() as u64, "round {round}");
        for (rank, (tail, with_tail)) in by_tail.iter().enumerate() {
            assert_eq!(endings.rank(*tail), Some(rank as u64));
            assert_eq!(endings.tail_at(rank as u64), *tail);
            assert_eq!(endings.numbers_with(*tail), with_tail.len() as u64);
            let placed: BTreeSet<u64> = (0..with_tail.len() as u64)
                .map(|place| {
                    let number = endings.number_at(*tail, place).unwrap();
                    assert_eq!(endings.place_of(number), Some(place));
                    number
                })
                .collect();
            assert_eq!(&placed, with_tail);
        }
        for number in 999_990..1_006_600 {
            assert_eq!(endings.contains(number), numbers.contains(&number), "{number}");
        }
        for tail in (0..1_000).filter(|tail| !by_tail.contains_key(tail)) {
            assert_eq!((endings.rank(tail), endings.numbers_with(tail)), (None, 0));
        }
        let others = random_ranges(&mut rng);
        let shared = numbers.intersection(&enumerate(&others)).count() as u64;
        assert_eq!(endings.shared_with(&Endings::new(three(), others)), shared, "round {round}");
    }
}

#[test]
fn what_rests_and_what_was_shown_is_taken_off_exactly() {
    let mut rng = seeded(21);
    for round in 0..100 {
        let ranges = random_ranges(&mut rng);
        let endings = Endings::new(three(), ranges.clone());
        let numbers = enumerate(&ranges);
        let mut some = |of: u32| -> BTreeSet<u64> {
            (1_000_000..1_006_500).filter(|_| rng.next_u32().is_multiple_of(of)).collect()
        };
        let at_rest = some(2);
        let shown: BTreeSet<u64> = some(40).iter().map(|number| number % 1_000).collect();
        let may_show: BTreeSet<u64> = numbers.difference(&at_rest).copied().collect();
        let tails: BTreeSet<u64> = may_show.iter().map(|number| number % 1_000).collect();
        let left: BTreeSet<u64> = tails.difference(&shown).copied().collect();

        let resting = resting(&at_rest.iter().copied().collect::<Vec<_>>());
        let recent = RecentTails::known(shown.iter().map(|value| tail(*value)));
        let draw = Draw::new(&endings, three(), &resting, &recent);
        assert_eq!(endings.count() - draw.resting_count(), tails.len() as u64, "round {round}");
        assert_eq!(draw.recent_count(), tails.intersection(&shown).count() as u64);
        assert_eq!(draw.left(), left.len() as u64, "round {round}");
        match draw.number(&mut rng) {
            Some(number) => {
                assert!(may_show.contains(&number) && left.contains(&(number % 1_000)));
            }
            None => assert!(left.is_empty()),
        }
    }
}

/// Five standard deviations above the mean of chi-square: one false alarm in a million.
#[track_caller]
fn assert_uniform(counts: &BTreeMap<u64, u64>, over: usize) {
    assert_eq!(counts.len(), over, "every value is drawn and no other");
    let draws: u64 = counts.values().sum();
    let expected = draws as f64 / over as f64;
    let square: f64 =
        counts.values().map(|count| (*count as f64 - expected).powi(2) / expected).sum();
    let freedom = (over - 1) as f64;
    println!("chi-square {square:.1} at {freedom} degrees of freedom");
    assert!(square <= freedom + 5.0 * (2.0 * freedom).sqrt(), "chi-square {square}");
}

/// 1,000 numbers with every tail, 100 of the tails in three exchanges, and 30 more.
fn uneven() -> Endings {
    Endings::new(
        three(),
        vec![
            (1_000_500, 1_001_499),
            (1_005_100, 1_005_199),
            (1_007_100, 1_007_199),
            (1_009_990, 1_010_019),
        ],
    )
}

#[test]
fn every_tail_is_as_likely_as_any_other_however_many_numbers_have_it() {
    let endings = uneven();
    let at_rest = resting(&[1_001_000, 1_010_000, 1_001_150, 1_005_160]);
    let known = RecentTails::known([tail(7), tail(123)]);
    let hidden = RecentTails::hidden(3, |tail| [7, 123, 500].contains(&tail.value()));
    // The tail 000 rests in both exchanges; 150 and 160 have another number each.
    for (recent, over, seed) in [(known, 997, 1), (hidden, 996, 2)] {
        let mut rng = seeded(seed);
        let mut counts = BTreeMap::new();
        for _ in 0..100_000 {
            let draw = Draw::new(&endings, three(), &at_rest, &recent);
            let number = draw.number(&mut rng).unwrap();
            *counts.entry(number % 1_000).or_default() += 1;
        }
        assert!(![0, 7, 123].iter().any(|barred| counts.contains_key(barred)));
        assert_uniform(&counts, over);
    }
}

#[test]
fn every_number_with_the_tail_is_as_likely_as_any_other_that_does_not_rest() {
    let endings = uneven();
    for (at_rest, over) in [(&[][..], 3), (&[1_005_150][..], 2), (&[1_001_150, 1_007_150], 1)] {
        let mut rng = seeded(3);
        let mut counts = BTreeMap::new();
        for _ in 0..30_000 {
            let number = number_with_tail(&mut rng, &endings, at_rest, 150).unwrap();
            assert!(number % 1_000 == 150 && !at_rest.contains(&number));
            *counts.entry(number).or_default() += 1;
        }
        assert_uniform(&counts, over);
    }
    let all = [1_001_150, 1_005_150, 1_007_150];
    assert_eq!(number_with_tail(&mut seeded(4), &endings, &all, 150), None);
}

#[test]
fn a_draw_without_a_tail_left_draws_nothing_and_ends() {
    let endings = Endings::new(three(), vec![(1_000_000, 1_000_004)]);
    let none = RestingCallerIds::default();
    let lying = RecentTails::hidden(1, |_| true);
    for recent in [RecentTails::known((0..5).map(tail)), lying] {
        assert_eq!(Draw::new(&endings, three(), &none, &recent).number(&mut seeded(5)), None);
    }
}

#[test]
fn tails_of_another_length_take_nothing_off() {
    let endings = uneven();
    let recent = RecentTails::known([Tail::parse("0500").unwrap()]);
    let none = RestingCallerIds::default();
    assert_eq!(Draw::new(&endings, three(), &none, &recent).left(), 1_000);
}
