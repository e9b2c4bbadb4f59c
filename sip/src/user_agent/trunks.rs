//! Trunks: adding, changing, removing, and the end of everything.

use std::time::Instant;

use super::common::Owner;
use super::{Core, UserAgent};
use crate::event::Event;
use crate::identity::Branch;
use crate::message::Message;
use crate::transport::{Loss, Target};
use crate::trunk::state::{Fate, Trunk};
use crate::trunk::{TrunkHandle, TrunkSettings};

impl UserAgent {
    /// Adds a trunk and starts to register it. Where its addresses are not fixed,
    /// [`Event::ResolveTargets`] asks for them.
    pub fn add_trunk(&mut self, now: Instant, trunk: TrunkSettings) -> TrunkHandle {
        let core = &mut self.core;
        let (settings, rng) = (&core.common.settings, &mut core.common.rng);
        let names = (rng, settings.product.as_str(), settings.requests_per_second);
        let handle = core.trunks.add(|index| Trunk::new(now, index, trunk, names));
        core.with_trunk(handle.index, |trunk, common| trunk.start(now, common));
        handle
    }

    /// Takes changed settings. Calls that are up go on with those they started with; a binding
    /// whose Contact does not change stays. A trunk that is being removed is left as it is.
    pub fn update_trunk(&mut self, now: Instant, trunk: TrunkHandle, settings: TrunkSettings) {
        let core = &mut self.core;
        let Some(trunk) = core.trunks.get_mut(trunk) else { return };
        if matches!(trunk.fate, Fate::Leaving | Fate::Unbinding) {
            return;
        }
        let index = trunk.index;
        core.with_trunk(index, |trunk, common| trunk.update(now, common, settings));
        core.trunks.collect_peers();
    }

    /// Lets no more calls and texts leave over a trunk, or lets them again. Its binding stays.
    pub fn pause_trunk(&mut self, now: Instant, trunk: TrunkHandle, is_paused: bool) {
        // Nothing is due by it: the instant is there as in every other method.
        let _: Instant = now;
        let Some(trunk) = self.core.trunks.get_mut(trunk) else { return };
        trunk.fate = match (trunk.fate, is_paused) {
            (Fate::Serving | Fate::Paused, true) => Fate::Paused,
            (Fate::Serving | Fate::Paused, false) => Fate::Serving,
            (fate @ (Fate::Leaving | Fate::Unbinding), _) => fate,
        };
    }

    /// Takes a trunk away: its calls are hung up, then its binding is removed, and it is forgotten
    /// when nothing of it is left. Its `Unregistered` is told, unless it is static.
    pub fn remove_trunk(&mut self, now: Instant, trunk: TrunkHandle) {
        let core = &mut self.core;
        let Some(index) = core.trunks.get_mut(trunk).map(|trunk| trunk.index) else { return };
        core.leave(index);
        for place in core.calls.places() {
            if core.calls.get_mut(place).is_some_and(|call| call.trunk() == index) {
                core.hang_up_at(now, place);
            }
        }
        core.wind_down(now);
    }

    /// Registers at once.
    pub fn register_now(&mut self, now: Instant, trunk: TrunkHandle) {
        let core = &mut self.core;
        let Some(index) = core.trunks.get_mut(trunk).map(|trunk| trunk.index) else { return };
        core.with_trunk(index, |trunk, common| trunk.register_soon(now, common));
    }

    /// Gives a trunk its addresses, best first within each priority; an empty list when its name
    /// does not resolve.
    pub fn set_targets(&mut self, now: Instant, trunk: TrunkHandle, targets: Vec<Target>) {
        let core = &mut self.core;
        let Some(index) = core.trunks.get_mut(trunk).map(|trunk| trunk.index) else { return };
        core.with_trunk(index, |trunk, common| trunk.set_targets(now, common, targets));
        core.trunks.collect_peers();
    }

    /// Ends everything: no call or text is taken any more, calls that do not ring are cancelled,
    /// ringing ones keep their limits, then bindings are removed. [`Event::ShutDown`] tells when
    /// nothing waits for an answer.
    pub fn shut_down(&mut self, now: Instant) {
        let core = &mut self.core;
        if core.is_shutting_down {
            return;
        }
        core.is_shutting_down = true;
        for index in core.trunks.indices() {
            core.leave(index);
        }
        for place in core.calls.places() {
            if core.calls.get_mut(place).is_some_and(|call| !call.rings()) {
                core.hang_up_at(now, place);
            }
        }
        core.wind_down(now);
    }
}

impl Core {
    pub(super) fn trunk_timeout(&mut self, now: Instant, index: u32) {
        self.with_trunk(index, |trunk, common| trunk.handle_timeout(now, common));
    }

    pub(super) fn trunk_response(
        &mut self,
        now: Instant,
        index: u32,
        (branch, response): (Branch, &Message<'_>),
    ) -> bool {
        self.with_trunk(index, |trunk, common| {
            trunk.handle_response(now, common, (branch, response))
        })
        .unwrap_or(false)
    }

    pub(super) fn trunks_transport_error(&mut self, now: Instant, loss: &Loss) {
        for index in self.trunks.indices() {
            self.with_trunk(index, |trunk, common| {
                let is_told = loss.trunk.is_none_or(|concerned| concerned == index);
                if is_told && trunk.trusts(now, loss.remote.address.ip()) {
                    trunk.handle_transport_error(now, common, loss);
                }
            });
        }
    }

    /// Lets a trunk do something and brings its timer in line.
    pub(super) fn with_trunk<R>(
        &mut self,
        index: u32,
        act: impl FnOnce(&mut Trunk, &mut super::common::Common) -> R,
    ) -> Option<R> {
        let trunk = self.trunks.at(index)?;
        let result = act(trunk, &mut self.common);
        let deadline = trunk.deadline();
        self.common.timers.rearm(Owner::Trunk(index), &mut trunk.armed, deadline);
        Some(result)
    }

    /// Goes on with what leaves: a trunk without calls removes its binding, one without a binding
    /// is forgotten, and when all is quiet the shutdown is told.
    pub(super) fn wind_down(&mut self, now: Instant) {
        if self.leaving == 0 && !self.is_shutting_down {
            return;
        }
        for index in self.trunks.indices() {
            self.wind_trunk_down(now, index);
        }
        let is_quiet = self.calls.values().all(|call| call.is_quiet())
            && self.texts.values().all(|text| !text.is_waiting())
            && self.releases.values().all(|release| release.is_quiet())
            && self.trunks.iter().all(|trunk| trunk.fate == Fate::Unbinding && trunk.is_idle());
        if self.is_shutting_down && is_quiet && !self.shutdown_told {
            self.shutdown_told = true;
            self.common.events.push_back(Event::ShutDown);
        }
    }

    fn wind_trunk_down(&mut self, now: Instant, index: u32) {
        let is_quiet = self
            .calls
            .values()
            .filter(|call| call.trunk() == index)
            .all(|call| call.is_quiet() || call.waits_for_487())
            && self.texts.values().all(|text| text.trunk() != index || !text.is_waiting());
        let is_unused = self.calls.values().all(|call| call.trunk() != index)
            && self.texts.values().all(|text| text.trunk() != index)
            && self.releases.values().all(|release| release.trunk() != index);
        let Some(trunk) = self.trunks.at(index) else { return };
        if trunk.fate == Fate::Leaving && is_quiet {
            trunk.fate = Fate::Unbinding;
            self.with_trunk(index, |trunk, common| trunk.unregister(now, common));
        }
        let Some(trunk) = self.trunks.at(index) else { return };
        if trunk.fate == Fate::Unbinding && trunk.is_idle() && is_unused && !self.is_shutting_down {
            self.with_trunk(index, |trunk, common| trunk.stop(common));
            self.trunks.remove(index);
            self.leaving -= 1;
        }
    }

    fn leave(&mut self, index: u32) {
        let Some(trunk) = self.trunks.at(index) else { return };
        if matches!(trunk.fate, Fate::Serving | Fate::Paused) {
            trunk.fate = Fate::Leaving;
            self.leaving += 1;
        }
    }
}
