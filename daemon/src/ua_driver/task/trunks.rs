//! The operator's trunks in the call loop: as the file has them, and as it changes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dialplans::TrunkName;

use super::Task;
use crate::ua_driver::resolver::Resolved;
use crate::ua_driver::sockets::local_towards;
use crate::ua_driver::trunk_table::TrunkRoom;
use crate::ua_driver::{TrunkCommand, TrunkSpec};

/// A trunk that left the file takes calls for so long yet: what was planned while it was there
/// starts within the longest step.
const GRACE: Duration = Duration::from_secs(30);

impl Task {
    /// Adds a trunk; answers its place.
    pub(super) fn add_trunk(&mut self, now: Instant, mut spec: TrunkSpec) -> usize {
        let written = spec.settings.clone();
        spec.settings.local = self.local_for(&written);
        let handle = self.user_agent.add_trunk(now, spec.settings.clone());
        let place = self.rooms.len();
        self.by_handle.insert(handle, place);
        self.by_name.insert(spec.name.clone(), place);
        self.rooms.push(TrunkRoom::new(now, handle, spec, written));
        self.drain(now);
        place
    }

    /// Takes the trunks of another file.
    pub(super) fn replace_trunks(&mut self, now: Instant, trunks: Vec<TrunkSpec>) {
        let mut places = Vec::with_capacity(trunks.len());
        for spec in trunks {
            let known = self.by_name.get(&spec.name).copied();
            places.push(match known {
                Some(place) => self.change_trunk(now, place, spec),
                None => self.add_trunk(now, spec),
            });
        }
        let leaving = self.places.iter().copied().filter(|place| !places.contains(place));
        let leaving: Vec<usize> = leaving.collect();
        for &place in &leaving {
            self.rooms[place].leaves_at.get_or_insert(now + GRACE);
        }
        places.extend(leaving);
        self.places = places;
        self.pace.trunk_changed(now);
    }

    /// Lets trunks go that left the file a while ago and have no call.
    pub(super) fn forget_leavers(&mut self, now: Instant) {
        let leaves = |room: &TrunkRoom| {
            room.leaves_at.is_some_and(|leaves_at| leaves_at <= now) && room.is_quiet()
        };
        let Some(&place) = self.places.iter().find(|place| leaves(&self.rooms[**place])) else {
            return;
        };
        self.places.retain(|other| *other != place);
        // Its handle still leads to its room: its last REGISTER leaves as the others did.
        let (handle, name) = (self.rooms[place].handle, &self.rooms[place].spec.name);
        self.by_name.remove(name);
        tracing::info!(trunk = %name, "a trunk that left the file is removed");
        self.resolver.forget(handle);
        self.user_agent.remove_trunk(now, handle);
        self.drain(now);
    }

    /// Takes what names led to.
    pub(super) fn set_targets(&mut self, resolved: Resolved) {
        let now = Instant::now();
        let Some(&place) = self.by_handle.get(&resolved.trunk) else { return };
        let room = &mut self.rooms[place];
        if let Some(first) = resolved.targets.first() {
            let local = local_towards(&self.bound, first.transport, Some(first.address));
            let settings = &mut room.spec.settings;
            if settings.local != local || settings.transport != first.transport {
                settings.local = local;
                settings.transport = first.transport;
                self.user_agent.update_trunk(now, resolved.trunk, room.spec.settings.clone());
                self.drain(now);
            }
        }
        self.user_agent.set_targets(now, resolved.trunk, resolved.targets);
        self.drain(now);
    }

    /// Does what an operator asks of a trunk.
    pub(super) fn trunk_command(&mut self, now: Instant, name: &TrunkName, command: TrunkCommand) {
        let Some(&place) = self.by_name.get(name) else { return };
        let room = &mut self.rooms[place];
        match command {
            TrunkCommand::Register => self.user_agent.register_now(now, room.handle),
            TrunkCommand::Pause => room.paused = true,
            TrunkCommand::Resume => room.paused = false,
        }
        self.pace.trunk_changed(now);
    }

    /// Takes what another file says of a trunk that is there; answers its place.
    fn change_trunk(&mut self, now: Instant, place: usize, spec: TrunkSpec) -> usize {
        let room = &mut self.rooms[place];
        room.leaves_at = None;
        let is_same = room.written == spec.settings
            && room.spec.transport == spec.transport
            && room.spec.calls_per_second == spec.calls_per_second;
        if is_same {
            // Certificates stand in files: their names may be the same, and what they hold not.
            room.spec.tls = spec.tls;
            return place;
        }
        let was_led = room.written.targets.is_empty() && room.spec.transport == spec.transport;
        let (local, transport) = (room.spec.settings.local, room.spec.settings.transport);
        let chooses_anew = room.spec.transport != spec.transport;
        let mut settings = spec.settings.clone();
        if was_led && settings.targets.is_empty() {
            (settings.local, settings.transport) = (local, transport);
        } else {
            settings.local = self.local_for(&settings);
        }
        let room = &mut self.rooms[place];
        let handle = room.handle;
        room.change(now, spec, settings.clone());
        tracing::info!(trunk = %room.spec.name, "a trunk changed in the file");
        let choice = room.spec.transport;
        let name = settings.followed_name();
        self.user_agent.update_trunk(now, handle, settings);
        match name {
            Some(name) if chooses_anew => self.resolver.resolve(handle, name, choice),
            Some(_) => {}
            None => self.resolver.forget(handle),
        }
        self.drain(now);
        place
    }

    /// Our address in what is sent to a trunk of which no more than its settings is known.
    fn local_for(&self, settings: &sip::TrunkSettings) -> SocketAddr {
        let literal = settings.registrar.as_ref().and_then(|name| name.host.parse().ok());
        let fixed = settings.targets.first().map(|target| target.address);
        let towards = fixed.or_else(|| literal.map(|ip| SocketAddr::new(ip, 9)));
        local_towards(&self.bound, settings.transport, towards)
    }
}
