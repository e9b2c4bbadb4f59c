//! Why this trunk, and why not that one.

use std::fmt;

use crate::dialling::DialledNumber;
use crate::name::{PoolName, TrunkName};
use crate::number::E164;
use crate::prefix::Prefix;
use crate::tail::CodeLength;
use crate::trunk_health::TrunkState;

use super::offer::{Offer, Question};
use super::plan::{CallerIdWish, EndingCount, SkipReason, list};
use super::share::Share;
use super::{TRUNKS_IN_A_PLAN, Target};

/// What a plan would decide for one number and why; it holds no caller ID.
///
/// `Display` is several lines for a terminal, without a line end at the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The number, which prints masked.
    pub to: E164,
    /// The prefixes of all routes that name the number, the longest first: that one is
    /// the route. None when no route names the number.
    pub routes: Vec<Prefix>,
    /// The pools, in the order of the file, and whether the route and the account have
    /// them.
    pub pools: Vec<PoolExplanation>,
    /// The trunks of the route in order.
    pub trunks: Vec<TrunkExplanation>,
}

/// A pool and whether its numbers may be shown on this route for this account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolExplanation {
    /// The pool.
    pub pool: PoolName,
    /// How many numbers it holds.
    pub numbers: u64,
    /// How many distinct tails they have.
    pub endings: u64,
    /// How many digits are the code.
    pub code_length: CodeLength,
    /// The trunks that may show it.
    pub trunks: Vec<TrunkName>,
    /// Whether it may be shown.
    pub verdict: PoolVerdict,
}

/// Whether a pool may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolVerdict {
    /// By those of the route's trunks that are among its own.
    Allowed,
    /// The route does not name it.
    NotOnRoute,
    /// The account does not have it.
    NotInAccount,
}

/// A trunk of the route and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkExplanation {
    /// The trunk.
    pub trunk: TrunkName,
    /// Its state.
    pub state: TrunkState,
    /// What it would dial, masked in print; `None` when it cannot dial the number.
    pub dialled: Option<DialledNumber>,
    /// The arithmetic of a draw over it; `None` when it may show no pool.
    pub endings: Option<EndingCount>,
    /// Its share of the calls, where trunks of its priority share them: its place among them is
    /// then drawn for each call. `None` where its place is fixed.
    pub share: Option<Share>,
    /// What it is for.
    pub verdict: TrunkVerdict,
}

/// What a trunk is for in a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrunkVerdict {
    /// It takes the first attempt.
    First,
    /// It takes the second attempt, when the first rang nowhere.
    Second(KeepsCallerId),
    /// It would take the call too, but two trunks before it do.
    NotNeeded,
    /// It takes no call.
    Skipped(SkipReason),
}

/// Whether the second attempt shows the caller ID of the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepsCallerId {
    /// The second trunk may show every number of the first.
    Always,
    /// It may show some of them; for the others a new caller ID is drawn.
    WhenShared,
    /// It may show none of them, so a new caller ID is drawn.
    Never,
}

impl Question<'_> {
    pub(super) fn explain(&self) -> Explanation {
        let holders: Vec<(usize, u32)> = self.dialplan.table.holders(self.to).collect();
        let target = holders.first().map(|(_, target)| self.dialplan.target(*target));
        Explanation {
            to: *self.to,
            routes: holders.iter().map(|(length, _)| Prefix::of(self.to, *length)).collect(),
            pools: target.map_or_else(Vec::new, |target| self.explain_pools(target)),
            trunks: target.map_or_else(Vec::new, |target| self.explain_trunks(target)),
        }
    }

    fn explain_pools(&self, target: &Target) -> Vec<PoolExplanation> {
        let verdict = |place: u32, pool: &PoolName| match &target.pools {
            Some(pools) if !pools.contains(&place) => PoolVerdict::NotOnRoute,
            _ if !self.request.pools.allows(pool) => PoolVerdict::NotInAccount,
            _ => PoolVerdict::Allowed,
        };
        (0..)
            .zip(self.dialplan.pools())
            .map(|(place, pool)| PoolExplanation {
                pool: pool.name().clone(),
                numbers: pool.number_count(),
                endings: pool.ending_count(),
                code_length: pool.code_length(),
                trunks: pool.trunks().to_vec(),
                verdict: verdict(place, pool.name()),
            })
            .collect()
    }

    fn explain_trunks(&self, target: &Target) -> Vec<TrunkExplanation> {
        let mut explained = Vec::with_capacity(target.trunks.len());
        let mut taken = 0;
        let mut first: Option<Offer<'_>> = None;
        for trunk in &target.trunks {
            let code_length = first.as_ref().map(|first| first.code_length);
            let offer = self.offer(target, *trunk, code_length);
            let counted = offer.as_ref().ok();
            let endings =
                counted.map(|offer| self.count(target, *trunk, offer, &self.new_draw(offer)));
            let verdict = match &offer {
                Err(reason) => TrunkVerdict::Skipped(reason.clone()),
                Ok(offer) => self.verdict(*trunk, offer, endings.as_ref(), first.as_ref(), taken),
            };
            let dialling = self.dialplan.trunk(*trunk);
            explained.push(TrunkExplanation {
                trunk: dialling.trunk.clone(),
                state: self.trunks.state(&dialling.trunk),
                dialled: dialling.dial(self.to).ok(),
                endings,
                share: self.dialplan.share(target, *trunk),
                verdict: verdict.clone(),
            });
            if matches!(verdict, TrunkVerdict::First | TrunkVerdict::Second(_)) {
                taken += 1;
                first = first.or(offer.ok());
            }
        }
        explained
    }

    fn verdict(
        &self,
        trunk: u32,
        offer: &Offer<'_>,
        endings: Option<&EndingCount>,
        first: Option<&Offer<'_>>,
        taken: usize,
    ) -> TrunkVerdict {
        let keeps = first.map(|first| match self.request.caller_id {
            CallerIdWish::Again(_) => KeepsCallerId::Always,
            CallerIdWish::Drawn | CallerIdWish::WithTail(_) => keeps_caller_id(first, offer),
        });
        let shows = match self.request.caller_id {
            // What the first attempt drew is shown again without a draw.
            _ if keeps == Some(KeepsCallerId::Always) => Ok(()),
            CallerIdWish::Drawn => match endings {
                Some(count)
                    if count.left < count.needed && keeps != Some(KeepsCallerId::WhenShared) =>
                {
                    Err(SkipReason::PoolTooSmall(count.clone()))
                }
                _ => Ok(()),
            },
            CallerIdWish::WithTail(tail) => self.may_show(&tail, offer),
            CallerIdWish::Again(caller_id) => self.may_show_again(&caller_id, offer),
        };
        match (shows.and_then(|()| self.is_up(trunk)), keeps) {
            (Err(reason), _) => TrunkVerdict::Skipped(reason),
            (Ok(()), _) if taken == TRUNKS_IN_A_PLAN => TrunkVerdict::NotNeeded,
            (Ok(()), None) => TrunkVerdict::First,
            (Ok(()), Some(keeps)) => TrunkVerdict::Second(keeps),
        }
    }
}

fn keeps_caller_id(first: &Offer<'_>, second: &Offer<'_>) -> KeepsCallerId {
    match first.numbers.shared_with(&second.numbers) {
        0 => KeepsCallerId::Never,
        shared if shared == first.numbers.numbers() => KeepsCallerId::Always,
        _ => KeepsCallerId::WhenShared,
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((route, shorter)) = self.routes.split_first() else {
            return write!(f, "{}: no route names it, so it is not called", self.to);
        };
        write!(f, "{}: route {route}", self.to)?;
        if !shorter.is_empty() {
            write!(f, ", which is longer than {}", list(shorter))?;
        }
        for pool in &self.pools {
            write!(f, "\n  {pool}")?;
        }
        for (place, trunk) in (1..).zip(&self.trunks) {
            write!(f, "\n  {place}. {trunk}")?;
        }
        Ok(())
    }
}

impl fmt::Display for PoolExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pool, numbers, endings, code_length, trunks, verdict } = self;
        write!(
            f,
            "pool {pool}: {verdict}; {numbers} numbers, {endings} endings of {code_length} digits, \
             shown by {}",
            list(trunks)
        )
    }
}

impl fmt::Display for PoolVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Allowed => "allowed",
            Self::NotOnRoute => "not on this route",
            Self::NotInAccount => "not in this account",
        })
    }
}

impl fmt::Display for TrunkExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trunk {}: {}", self.trunk, self.verdict)?;
        if let Some(share) = self.share {
            write!(f, "\n     {share}: who comes before whom is drawn for each call")?;
        }
        let takes = matches!(self.verdict, TrunkVerdict::First | TrunkVerdict::Second(_));
        if let Some(dialled) = self.dialled.filter(|_| takes) {
            write!(f, "\n     dials {dialled}")?;
        }
        // A pool that is too small has said its arithmetic already.
        let is_said = matches!(self.verdict, TrunkVerdict::Skipped(SkipReason::PoolTooSmall(_)));
        match &self.endings {
            Some(endings) if !is_said => write!(f, "\n     {endings}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for TrunkVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.write_str("first attempt"),
            Self::Second(keeps) => write!(f, "second attempt, {keeps}"),
            Self::NotNeeded => f.write_str("not needed, two trunks before it take the call"),
            Self::Skipped(reason) => write!(f, "skipped, it {reason}"),
        }
    }
}

impl fmt::Display for KeepsCallerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Always => "with the caller ID of the first",
            Self::WhenShared => {
                "with the caller ID of the first where it may show it, else a new one"
            }
            Self::Never => "with a new caller ID",
        })
    }
}
