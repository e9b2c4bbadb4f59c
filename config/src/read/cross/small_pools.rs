//! Whether the endings that a call can show are as many as its purpose wants.

use std::collections::{BTreeMap, BTreeSet};

use dialplans::{CodeLength, NumberRange, PoolChoice, PoolName, TrunkName};

use crate::config::account::Account;
use crate::config::purpose::{Channel, Purpose};
use crate::config::{Config, Pool};
use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::name::PurposeName;
use crate::raw::RawTable;
use crate::read::purpose;
use crate::suggest;

/// Pools that are drawn from together, and the trunk that shows them.
type Draw<'a> = (Vec<&'a PoolName>, &'a TrunkName);

/// Counts each set of pools that a call can be drawn from: those of the route and the account
/// that the trunk may show.
pub(super) fn check(root: &RawTable, config: &Config, faults: &mut Faults) {
    let mut told: BTreeSet<(Vec<&PoolName>, &PurposeName)> = BTreeSet::new();
    for account in config.accounts.values() {
        let draws = draws(config, account);
        for purpose in &account.purposes {
            let Some(rules) = config.purposes.get(purpose) else { continue };
            let calls = rules.workflow.iter().any(|step| step.channel == Channel::FlashCall);
            if purpose::is_untouched(purpose, rules) || !calls {
                // A small pool is refused when somebody calls for it.
                continue;
            }
            for (pools, trunk) in &draws {
                let is_allowed = |name: &&PoolName| rules.allow_small_pools.contains(name);
                if pools.iter().all(is_allowed) || !told.insert((pools.clone(), purpose)) {
                    continue;
                }
                judge(root, config, (pools, trunk), (purpose, rules), faults);
            }
        }
    }
}

fn draws<'a>(config: &'a Config, account: &Account) -> BTreeSet<Draw<'a>> {
    let mut draws = BTreeSet::new();
    let mut seen: BTreeSet<(&PoolChoice, &TrunkName)> = BTreeSet::new();
    for route in &config.routes {
        for trunk in route.trunks.iter() {
            if !seen.insert((&route.pools, trunk)) {
                continue;
            }
            let is_drawn = |pool: &&Pool| {
                pool.trunks.contains(trunk)
                    && names(&route.pools, pool)
                    && names(&account.pools, pool)
            };
            let pools: Vec<_> =
                config.pools.values().filter(is_drawn).map(|pool| &pool.name).collect();
            if !pools.is_empty() {
                draws.insert((pools, trunk));
            }
        }
    }
    draws
}

fn names(choice: &PoolChoice, pool: &Pool) -> bool {
    match choice {
        PoolChoice::Any => true,
        PoolChoice::Named(names) => names.contains(&pool.name),
    }
}

fn judge(
    root: &RawTable,
    config: &Config,
    (pools, trunk): (&[&PoolName], &TrunkName),
    (purpose, rules): (&PurposeName, &Purpose),
    faults: &mut Faults,
) {
    let pools_drawn = pools.iter().filter_map(|name| config.pools.get(*name));
    let (count, wanted) = (ending_count(pools_drawn), rules.min_endings);
    let listed = suggest::list(pools.iter().map(|name| name.as_str()));
    let subject = match pools {
        [_] => format!("pool {listed} has"),
        _ => format!("pools {listed} have together"),
    };
    let first = pools.first().map_or("", |name| name.as_str());
    let span = super::place(root, "pools", first, "numbers");
    if count < wanted {
        let message = format!("{subject} {count} endings, and purpose {purpose:?} wants {wanted}");
        let checks = u64::from(rules.checks);
        faults
            .add(Code::PoolTooSmall, span, message)
            .help(format!(
                "with {checks} checks a guess wins {} of the time on {count}, {} on {wanted}",
                odds(checks, count),
                odds(checks, wanted)
            ))
            .help(format!(
                "add numbers that trunk {:?} may show, or allow it by name: [purposes.{purpose}] allow_small_pools = [{listed}]",
                trunk.as_str()
            ));
        return;
    }
    // A number is not shown the same ending twice in a day, so each call leaves one less.
    let calls = u64::from(config.limits.flash_calls_per_day);
    let spare = count - wanted;
    if spare + 1 < calls {
        let message = format!(
            "{subject} {count} endings: after {} calls to one number fewer than {wanted} are left for it",
            spare + 1
        );
        faults.add(Code::PoolBarelyEnough, span, message).help(format!(
            "\"flash_calls_per_day\" allows {calls}, each with an ending not shown before"
        ));
    }
}

/// How many different codes pools can make together; codes of different lengths are different.
fn ending_count<'a>(pools: impl Iterator<Item = &'a Pool>) -> u64 {
    let mut numbers: BTreeMap<CodeLength, Vec<&NumberRange>> = BTreeMap::new();
    for pool in pools {
        numbers.entry(pool.code_length).or_default().extend(&pool.numbers);
    }
    let counts =
        numbers.into_iter().map(|(length, ranges)| dialplans::ending_count(length, ranges));
    counts.sum()
}

/// The chance that one of `checks` guesses is right, in per cent.
fn odds(checks: u64, endings: u64) -> String {
    let percent = 100.0 * (checks as f64 / endings.max(1) as f64).min(1.0);
    let decimals = if percent >= 1.0 { 0 } else { 2 };
    let text = format!("{percent:.decimals$}");
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(code_length: u8, numbers: &str) -> Pool {
        Pool {
            name: PoolName::parse("moscow").unwrap(),
            numbers: vec![NumberRange::parse(numbers).unwrap()],
            trunks: vec![TrunkName::parse("north").unwrap()],
            code_length: CodeLength::new(code_length).unwrap(),
        }
    }

    #[test]
    fn pools_make_each_code_once_and_codes_of_different_lengths_are_different() {
        let (first, second) =
            (pool(4, "+74951230000-+74951230099"), pool(4, "+74951240050-+74951240149"));
        assert_eq!(ending_count([&first, &second].into_iter()), 150);
        let longer = pool(5, "+74951230000-+74951230099");
        assert_eq!(ending_count([&first, &longer].into_iter()), 200);
    }
}
