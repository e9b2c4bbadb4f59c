//! What one trunk can do for one call, and the plan that follows.

use std::borrow::Cow;

use rand_chacha::ChaCha20Rng;

use crate::caller_id::CallerId;
use crate::dialling::DialledNumber;
use crate::name::PoolName;
use crate::number::E164;
use crate::pool::draw::{Draw, number_with_tail};
use crate::pool::endings::Endings;
use crate::prefix::Prefix;
use crate::route::PoolChoice;
use crate::tail::{CodeLength, RecentTails, Tail};
use crate::trunk_health::{TrunkHealth, TrunkState};

use super::plan::{
    Attempt, CallerIdWish, EndingCount, Plan, PlanError, PlanRequest, SkipReason, SkippedTrunk,
};
use super::{Dialplan, TRUNKS_IN_A_PLAN, Target};

/// Everything that one plan is made from.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) dialplan: &'a Dialplan,
    pub(super) to: &'a E164,
    pub(super) request: &'a PlanRequest,
    pub(super) recent: &'a RecentTails,
    pub(super) trunks: &'a TrunkHealth,
}

/// What a trunk can do: what it dials and what it may show.
pub(super) struct Offer<'a> {
    pub(super) dialled: DialledNumber,
    pub(super) code_length: CodeLength,
    /// The pools that it may show, sorted by place.
    pub(super) pools: Vec<u32>,
    pub(super) numbers: Cow<'a, Endings>,
}

impl<'a> Question<'a> {
    pub(super) fn plan(&self, rng: &mut ChaCha20Rng) -> Result<Plan, PlanError> {
        let no_route = PlanError::NoRoute { to: *self.to };
        let (length, target) = self.dialplan.table.longest(self.to).ok_or(no_route)?;
        let route = Prefix::of(self.to, length);
        let target = self.dialplan.target(target);
        let mut attempts = Vec::with_capacity(TRUNKS_IN_A_PLAN);
        let mut skipped = Vec::new();
        for trunk in self.dialplan.order(rng, target).iter() {
            match self.attempt(rng, target, *trunk, attempts.first()) {
                Ok(attempt) => attempts.push(attempt),
                Err(reason) => {
                    let trunk = self.dialplan.trunk(*trunk).trunk.clone();
                    skipped.push(SkippedTrunk { trunk, reason });
                }
            }
            if attempts.len() == TRUNKS_IN_A_PLAN {
                break;
            }
        }
        let mut attempts = attempts.into_iter();
        match attempts.next() {
            Some(first) => Ok(Plan { route, first, second: attempts.next(), skipped }),
            None => Err(no_plan(route, skipped)),
        }
    }

    /// The call over one trunk, after the first attempt if there is one.
    fn attempt(
        &self,
        rng: &mut ChaCha20Rng,
        target: &Target,
        trunk: u32,
        first: Option<&Attempt>,
    ) -> Result<Attempt, SkipReason> {
        let offer = self.offer(target, trunk, first.map(|first| first.caller_id.code_length()))?;
        let kept = first
            .map(|first| first.caller_id)
            .filter(|kept| offer.numbers.contains(kept.number().value()));
        let (caller_id, endings) = match kept {
            Some(kept) => {
                self.is_up(trunk)?;
                (kept, None)
            }
            None => self.caller_id(rng, target, trunk, &offer)?,
        };
        Ok(Attempt {
            trunk: self.dialplan.trunk(trunk).trunk.clone(),
            caller_id,
            dialled: offer.dialled,
            ring_limit: [target.ring_limit, self.request.ring_limit].into_iter().flatten().min(),
            endings,
        })
    }

    /// What the trunk dials and may show, with codes of the length that is asked for.
    pub(super) fn offer(
        &self,
        target: &Target,
        trunk: u32,
        first: Option<CodeLength>,
    ) -> Result<Offer<'a>, SkipReason> {
        let dialling = self.dialplan.trunk(trunk);
        let dialled = dialling.dial(self.to).map_err(SkipReason::NotDialable)?;
        let pools = self.dialplan.pools_on(target, &self.request.pools, trunk);
        let own = pools.first().map(|pool| self.dialplan.pool(*pool).code_length());
        let own = own.ok_or(SkipReason::NoPool)?;
        let code_length = match self.request.caller_id {
            CallerIdWish::Drawn => first.unwrap_or(own),
            CallerIdWish::WithTail(tail) => tail.length(),
            CallerIdWish::Again(caller_id) => caller_id.code_length(),
        };
        let pools = self.dialplan.of_length(pools, code_length);
        if pools.is_empty() {
            return Err(match (self.request.caller_id, first) {
                (CallerIdWish::WithTail(_), _) => SkipReason::TailNotInPools,
                (CallerIdWish::Again(_), _) => SkipReason::CallerIdNotInPools,
                (CallerIdWish::Drawn, Some(first)) => SkipReason::CodeLengthDiffers { own, first },
                (CallerIdWish::Drawn, None) => SkipReason::NoPool,
            });
        }
        let numbers = self.dialplan.numbers_of(&pools, code_length);
        Ok(Offer { dialled, code_length, pools, numbers })
    }

    /// The caller ID that a trunk shows, and from how many endings it was drawn.
    fn caller_id(
        &self,
        rng: &mut ChaCha20Rng,
        target: &Target,
        trunk: u32,
        offer: &Offer<'_>,
    ) -> Result<(CallerId, Option<u64>), SkipReason> {
        match self.request.caller_id {
            CallerIdWish::Drawn => {
                let draw = self.draw(target, trunk, offer)?;
                self.is_up(trunk)?;
                let left = draw.left();
                // None is left when more tails were shown than `recent` counts.
                let number = draw.number(rng).ok_or_else(|| {
                    let draw = self.new_draw(offer);
                    let count = self.count(target, trunk, offer, &draw);
                    SkipReason::PoolTooSmall(EndingCount { left: 0, ..count })
                })?;
                Ok((caller_id(number, offer.code_length)?, Some(left)))
            }
            CallerIdWish::WithTail(tail) => {
                self.may_show(&tail, offer)?;
                self.is_up(trunk)?;
                let resting = self.request.resting.numbers();
                let number = number_with_tail(rng, &offer.numbers, resting, tail.value())
                    .ok_or(SkipReason::TailNotInPools)?;
                Ok((caller_id(number, offer.code_length)?, None))
            }
            CallerIdWish::Again(caller_id) => {
                self.may_show_again(&caller_id, offer)?;
                self.is_up(trunk)?;
                Ok((caller_id, None))
            }
        }
    }

    /// The draw over a trunk, if enough endings are left for it.
    fn draw<'b>(
        &'b self,
        target: &Target,
        trunk: u32,
        offer: &'b Offer<'_>,
    ) -> Result<Draw<'b>, SkipReason> {
        let draw = self.new_draw(offer);
        if draw.left() < self.needed(&offer.pools) {
            return Err(SkipReason::PoolTooSmall(self.count(target, trunk, offer, &draw)));
        }
        Ok(draw)
    }

    pub(super) fn new_draw<'b>(&'b self, offer: &'b Offer<'_>) -> Draw<'b> {
        Draw::new(&offer.numbers, offer.code_length, &self.request.resting, self.recent)
    }

    pub(super) fn may_show(&self, tail: &Tail, offer: &Offer<'_>) -> Result<(), SkipReason> {
        if self.recent.contains(tail) {
            return Err(SkipReason::TailShownRecently);
        }
        let resting = self.request.resting.numbers();
        let left = offer.numbers.numbers_with(tail.value());
        let all_rest = || offer.numbers.exhausted(resting).binary_search(&tail.value()).is_ok();
        if left == 0 || all_rest() { Err(SkipReason::TailNotInPools) } else { Ok(()) }
    }

    pub(super) fn may_show_again(
        &self,
        caller_id: &CallerId,
        offer: &Offer<'_>,
    ) -> Result<(), SkipReason> {
        match offer.numbers.contains(caller_id.number().value()) {
            true => Ok(()),
            false => Err(SkipReason::CallerIdNotInPools),
        }
    }

    pub(super) fn is_up(&self, trunk: u32) -> Result<(), SkipReason> {
        match self.trunks.state(&self.dialplan.trunk(trunk).trunk) {
            TrunkState::Up => Ok(()),
            state => Err(SkipReason::State(state)),
        }
    }

    /// How many endings a draw from these pools needs.
    fn needed(&self, pools: &[u32]) -> u64 {
        let may_be_small =
            |pool: &u32| self.request.allow_small_pools.contains(self.dialplan.pool(*pool).name());
        if pools.iter().all(may_be_small) { 1 } else { self.request.min_endings.max(1) }
    }

    /// The arithmetic of a draw, for the message and the explanation.
    pub(super) fn count(
        &self,
        target: &Target,
        trunk: u32,
        offer: &Offer<'_>,
        draw: &Draw<'_>,
    ) -> EndingCount {
        let allowed = self.dialplan.pools_allowed(target, &self.request.pools);
        let allowed = self.dialplan.of_length(allowed, offer.code_length);
        EndingCount {
            trunk: self.dialplan.trunk(trunk).trunk.clone(),
            pools: self.dialplan.pool_names(&offer.pools),
            in_pools: self.dialplan.numbers_of(&allowed, offer.code_length).count(),
            on_trunk: offer.numbers.count(),
            resting: draw.resting_count(),
            recent: draw.recent_count(),
            left: draw.left(),
            needed: self.needed(&offer.pools),
        }
    }
}

impl Dialplan {
    /// The pools of route and account, in order of preference.
    pub(super) fn pools_allowed(&self, target: &Target, account: &PoolChoice) -> Vec<u32> {
        let in_account = |place: &u32| account.allows(self.pool(*place).name());
        match (&target.pools, account) {
            (Some(pools), _) => pools.iter().copied().filter(in_account).collect(),
            (None, PoolChoice::Any) => (0..self.pools.len() as u32).collect(),
            (None, PoolChoice::Named(names)) => {
                names.iter().filter_map(|name| self.pool_places.get(name).copied()).collect()
            }
        }
    }

    /// Those of them that a trunk may show.
    pub(super) fn pools_on(&self, target: &Target, account: &PoolChoice, trunk: u32) -> Vec<u32> {
        let trunk = &self.trunk(trunk).trunk;
        let mut pools = self.pools_allowed(target, account);
        pools.retain(|pool| self.pool(*pool).trunks().contains(trunk));
        pools
    }

    /// Those of them with codes of one length, sorted and each once.
    pub(super) fn of_length(&self, mut pools: Vec<u32>, code_length: CodeLength) -> Vec<u32> {
        pools.retain(|pool| self.pool(*pool).code_length() == code_length);
        pools.sort_unstable();
        pools.dedup();
        pools
    }

    /// The numbers of pools with codes of one length; the pools are sorted.
    pub(super) fn numbers_of(&self, pools: &[u32], code_length: CodeLength) -> Cow<'_, Endings> {
        match pools {
            [pool] => Cow::Borrowed(self.pool(*pool).endings()),
            _ => match self.unions.get(pools) {
                Some(union) => Cow::Borrowed(union),
                None => Cow::Owned(self.union(pools, code_length)),
            },
        }
    }

    pub(super) fn union(&self, pools: &[u32], code_length: CodeLength) -> Endings {
        Endings::union(code_length, pools.iter().map(|pool| self.pool(*pool).endings()))
    }

    fn pool_names(&self, pools: &[u32]) -> Vec<PoolName> {
        pools.iter().map(|pool| self.pool(*pool).name().clone()).collect()
    }
}

fn caller_id(number: u64, code_length: CodeLength) -> Result<CallerId, SkipReason> {
    // A pool takes only numbers that are longer than its code.
    E164::from_value(number)
        .and_then(|number| CallerId::new(number, code_length).ok())
        .ok_or(SkipReason::NoPool)
}

/// The one cause of several that helps most: what time mends comes first, then what
/// comes nearest to a call.
fn no_plan(route: Prefix, trunks: Vec<SkippedTrunk>) -> PlanError {
    let nearness = |skipped: &&SkippedTrunk| match skipped.reason {
        SkipReason::State(_) => 0,
        SkipReason::TailShownRecently => 1,
        SkipReason::PoolTooSmall(_) => 2,
        SkipReason::CallerIdNotInPools => 3,
        SkipReason::TailNotInPools => 4,
        SkipReason::NoPool | SkipReason::CodeLengthDiffers { .. } => 5,
        SkipReason::NotDialable(_) => 6,
    };
    match trunks.iter().min_by_key(nearness).map(|skipped| skipped.reason.clone()) {
        Some(SkipReason::State(_)) => PlanError::NoTrunkUp { route, trunks },
        Some(SkipReason::TailShownRecently) => PlanError::TailShownRecently,
        Some(SkipReason::PoolTooSmall(count)) => PlanError::PoolTooSmall(count),
        Some(SkipReason::CallerIdNotInPools) => PlanError::CallerIdNotInPools,
        Some(SkipReason::TailNotInPools) => PlanError::TailNotInPools,
        Some(SkipReason::NotDialable(_)) => PlanError::NotDialable { route, trunks },
        Some(SkipReason::NoPool | SkipReason::CodeLengthDiffers { .. }) | None => {
            PlanError::NoPool { route }
        }
    }
}
