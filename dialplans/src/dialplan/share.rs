//! How trunks of one priority share the calls of a route.

use std::borrow::Cow;
use std::fmt;

use rand_chacha::ChaCha20Rng;

use crate::pool::draw::below;
use crate::route::TrunkOrder;

use super::{Dialplan, Target};

/// Points for each unit of weight. A weight of 0 has one point: such a trunk takes a call when the
/// others cannot, and else hardly ever.
const POINTS: u64 = 100;

/// A trunk's share among those of its priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Its own weight.
    pub weight: u64,
    /// The weight of all of its priority, its own counted.
    pub of: u64,
}

impl Dialplan {
    /// The trunks of a target in the order in which one call tries them. Those of one priority are
    /// drawn one after the other by weight, so the calls of one that takes none go to the others
    /// by their weights. Nothing is drawn where there is no choice.
    pub(super) fn order<'t>(&self, rng: &mut ChaCha20Rng, target: &'t Target) -> Cow<'t, [u32]> {
        match target.order {
            TrunkOrder::AsNamed => Cow::Borrowed(&target.trunks),
            TrunkOrder::ByPriority => {
                let mut order = Vec::with_capacity(target.trunks.len());
                for class in self.classes(target) {
                    let mut left = class.to_vec();
                    while let Some(at) = self.draw(rng, &left) {
                        order.push(left.remove(at));
                    }
                }
                Cow::Owned(order)
            }
        }
    }

    /// The share of a trunk of this target; `None` where its place is fixed.
    pub(super) fn share(&self, target: &Target, trunk: u32) -> Option<Share> {
        if target.order == TrunkOrder::AsNamed {
            return None;
        }
        let class = self.classes(target).find(|class| class.contains(&trunk))?;
        let weight = |trunk: &u32| u64::from(self.trunk(*trunk).weight);
        let of = class.iter().map(weight).sum();
        (class.len() > 1).then(|| Share { weight: weight(&trunk), of })
    }

    fn classes<'t>(&self, target: &'t Target) -> impl Iterator<Item = &'t [u32]> {
        let priority = |trunk: &u32| self.trunk(*trunk).priority;
        target.trunks.chunk_by(move |one, next| priority(one) == priority(next))
    }

    /// The place of one of these trunks, by weight; `None` when there is none.
    fn draw(&self, rng: &mut ChaCha20Rng, trunks: &[u32]) -> Option<usize> {
        if trunks.len() == 1 {
            return Some(0);
        }
        let points = |trunk: &u32| (u64::from(self.trunk(*trunk).weight) * POINTS).max(1);
        let mut point = below(rng, trunks.iter().map(points).sum())?;
        trunks.iter().position(|trunk| {
            let is_there = point < points(trunk);
            point = point.saturating_sub(points(trunk));
            is_there
        })
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "weight {} of {} in its priority", self.weight, self.of)
    }
}
