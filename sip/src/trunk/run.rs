//! What a trunk does by itself: registering, asking its targets, keeping its NAT binding open.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::pings::{Liveness, Turn};
use super::registrar::Registrar;
use super::state::{Trunk, remote_of};
use crate::event::{Event, RegistrationState};
use crate::identity::Branch;
use crate::message::{Message, Method, Via};
use crate::registration::{Command, Registration};
use crate::timer::earlier;
use crate::transport::{Loss, Target};
use crate::trunk::TrunkSettings;
use crate::user_agent::common::Common;

/// What keeps a NAT binding open (RFC 5626 section 4.4.1 sends it over streams; over UDP every
/// registrar in use passes it over).
const KEEP_ALIVE: &[u8] = b"\r\n\r\n";
/// How long a static trunk without an address waits before it asks for one again.
const RESOLVE_AGAIN: Duration = Duration::from_secs(30);
/// Commands of a registration that follow from each other without time passing: a REGISTER that
/// cannot be built for one target after the other. More wait for the next turn.
const ROUNDS: usize = 8;

impl Trunk {
    /// Starts what the settings ask for.
    pub(crate) fn start(&mut self, now: Instant, common: &mut Common) {
        let interval = self.settings.keep_alive.filter(|_| !self.settings.transport.is_reliable());
        self.keep_alive_at = interval.map(|interval| now + interval);
        if self.settings.registrar.is_some() {
            let mut machine = Registration::new(self.settings.expires);
            machine.set_targets(now, self.targets.clone());
            machine.start(now);
            let registrar = Registrar::new(common, (self.index, &self.wire), machine);
            self.registrar = Some(Box::new(registrar));
        } else {
            self.liveness =
                self.settings.options_ping.map(|interval| Liveness::start(now, interval));
            self.tell(common, RegistrationState::Static);
            if self.targets.is_empty() {
                self.resolve(now, common);
            }
        }
        self.handle_timeout(now, common);
    }

    /// Stops all of it at once, without a word to the registrar.
    pub(crate) fn stop(&mut self, common: &mut Common) {
        if let Some(mut registrar) = self.registrar.take() {
            registrar.drop_transactions(common);
        }
        self.pings.drop_transactions(common);
        self.liveness = None;
        self.keep_alive_at = None;
        self.resolve_at = None;
    }

    /// Takes changed settings.
    pub(crate) fn update(&mut self, now: Instant, common: &mut Common, settings: TrunkSettings) {
        let old = std::mem::replace(&mut self.settings, settings);
        self.authenticator.update(&self.settings);
        if old.local != self.settings.local || old.external != self.settings.external {
            self.learnt = None;
        }
        let contact = self.wire.contact.clone();
        self.rewire(&common.settings.product);
        let is_led_elsewhere = old.followed_name() != self.settings.followed_name();
        if is_led_elsewhere || old.targets != self.settings.targets {
            // Where another name leads is to be asked for; until then there are none.
            self.replace_targets(now, &mut common.rng, self.settings.targets.clone());
            if let Some(registrar) = &mut self.registrar {
                registrar.machine.set_targets(now, self.targets.clone());
            }
        }
        let is_another = is_led_elsewhere
            || old.registrar != self.settings.registrar
            || old.outbound_proxy != self.settings.outbound_proxy
            || old.domain != self.settings.domain
            || old.user != self.settings.user
            || old.options_ping != self.settings.options_ping
            || old.keep_alive != self.settings.keep_alive;
        if is_another {
            self.stop(common);
            self.start(now, common);
            return;
        }
        if let Some(registrar) = &mut self.registrar {
            registrar.machine.set_wished(self.settings.expires);
            if contact != self.wire.contact || old.expires != self.settings.expires {
                registrar.machine.register_soon(now);
            }
        }
        self.handle_timeout(now, common);
    }

    /// Takes the addresses that its name has. None at all is an outage of the name service and
    /// changes nothing.
    pub(crate) fn set_targets(&mut self, now: Instant, common: &mut Common, targets: Vec<Target>) {
        if targets.is_empty() {
            return;
        }
        self.resolve_at = None;
        self.replace_targets(now, &mut common.rng, targets);
        if let Some(registrar) = &mut self.registrar {
            registrar.machine.set_targets(now, self.targets.clone());
        }
        self.handle_timeout(now, common);
    }

    /// Registers at once.
    pub(crate) fn register_soon(&mut self, now: Instant, common: &mut Common) {
        if let Some(registrar) = &mut self.registrar {
            registrar.machine.register_soon(now);
        }
        self.handle_timeout(now, common);
    }

    /// Takes the binding away. The end is told as `Unregistered`.
    pub(crate) fn unregister(&mut self, now: Instant, common: &mut Common) {
        if let Some(registrar) = &mut self.registrar {
            registrar.unregister(now, common, (&mut self.authenticator, &self.wire));
        }
        self.liveness = None;
        self.keep_alive_at = None;
        self.carry_out(now, common);
    }

    /// Whether nothing is bound, sent or waited for.
    pub(crate) fn is_idle(&self) -> bool {
        self.registrar.as_ref().is_none_or(|registrar| registrar.machine.is_idle())
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant, common: &mut Common) {
        if let Some(registrar) = &mut self.registrar {
            registrar.handle_timeout(now, common, (&mut self.authenticator, &self.wire));
        }
        self.pings.handle_timeout(now, common);
        if self.resolve_at.is_some_and(|at| at <= now) {
            self.resolve(now, common);
        }
        self.ping_if_due(now, common);
        if self.keep_alive_at.is_some_and(|at| at <= now) {
            self.keep_alive_at = self.settings.keep_alive.map(|interval| now + interval);
            if let Some(remote) = self.remote() {
                let transmit = common.transmit(remote, self.index);
                common.outbox.send(transmit, KEEP_ALIVE);
            }
        }
        self.carry_out(now, common);
    }

    /// A response with one of our branches came from one of its addresses. `false`: it belongs to
    /// no transaction of the trunk.
    pub(crate) fn handle_response(
        &mut self,
        now: Instant,
        common: &mut Common,
        (branch, response): (Branch, &Message<'_>),
    ) -> bool {
        let Some(status) = response.status().map(|status| status.code()) else { return false };
        let taken = match response.cseq.method {
            Method::Register => {
                self.learn_from(now, common, &response.via, true);
                self.registrar.as_mut().is_some_and(|registrar| {
                    let authenticator = &mut self.authenticator;
                    registrar.handle_response(now, common, authenticator, (branch, response))
                })
            }
            Method::Options => {
                self.learn_from(now, common, &response.via, false);
                let from = self.pings.handle_response(now, common, (branch, status));
                if let Some(address) = from {
                    self.ping_answered(now, common, address, status);
                }
                true
            }
            _ => false,
        };
        self.handle_timeout(now, common);
        taken
    }

    /// Looks at what a response says of our address. Where there is a registrar only it is
    /// believed: another server may see us behind another port of the NAT.
    pub(crate) fn learn_from(
        &mut self,
        now: Instant,
        common: &mut Common,
        via: &Via<'_>,
        is_registrar: bool,
    ) {
        if is_registrar != self.registrar.is_some() || !self.learn(via, &common.settings.product) {
            return;
        }
        if let Some(registrar) = &mut self.registrar {
            registrar.machine.register_soon(now);
        }
    }

    /// The INVITE of a call was refused with this status.
    pub(crate) fn call_refused(&mut self, now: Instant, common: &mut Common, status: u16) {
        if let Some(registrar) = &mut self.registrar
            && matches!(status, 403 | 404 | 481)
        {
            registrar.machine.call_refused(now, &mut common.rng);
        }
    }

    /// The INVITE of a call was left without an answer: perhaps its target is gone.
    pub(crate) fn call_unanswered(&mut self, now: Instant, common: &mut Common) {
        if let Some(registrar) = &mut self.registrar {
            registrar.machine.call_refused(now, &mut common.rng);
        }
    }

    /// The network lost what went to a far end.
    pub(crate) fn handle_transport_error(
        &mut self,
        now: Instant,
        common: &mut Common,
        loss: &Loss,
    ) {
        self.pings.handle_transport_error(common, &loss.remote);
        if let Some(registrar) = &mut self.registrar {
            registrar.handle_transport_error(now, common, loss);
        }
        self.handle_timeout(now, common);
    }

    /// A connection of ours is gone, and with it the port at which the far side saw it.
    pub(crate) fn forget_port(&mut self, common: &Common) {
        if !self.settings.transport.is_reliable() {
            return;
        }
        if let Some(learnt) = &mut self.learnt {
            learnt.set_port(self.settings.local.port());
            self.rewire(&common.settings.product);
        }
    }

    /// The earliest deadline.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let registrar = self.registrar.as_ref().and_then(|registrar| registrar.deadline());
        let liveness = self.liveness.as_ref().map(Liveness::deadline);
        [registrar, self.pings.deadline(), liveness, self.keep_alive_at, self.resolve_at]
            .into_iter()
            .fold(None, earlier)
    }

    /// Does what the registration wants.
    fn carry_out(&mut self, now: Instant, common: &mut Common) {
        for _ in 0..ROUNDS {
            let Some(registrar) = &mut self.registrar else { return };
            let mut routes_may_have_changed = false;
            while let Some(command) = registrar.poll_command(now, common, &self.wire) {
                let handle = common.handle(self.index);
                match command {
                    // Sent already.
                    Command::Register(_) => {}
                    Command::Ping { target } => {
                        let by = (self.index, &*self.wire);
                        self.pings.send(now, common, by, remote_of(&target));
                    }
                    Command::Resolve => {
                        common.events.extend(resolve_event(handle, &self.settings));
                    }
                    Command::Tell(state) => {
                        routes_may_have_changed = true;
                        common.events.push_back(Event::Registration { trunk: handle, state });
                    }
                }
            }
            if routes_may_have_changed {
                let routes = registrar.machine.service_route().to_vec();
                self.set_routes(routes, &common.settings.product);
            }
            let Some(registrar) = &mut self.registrar else { return };
            if registrar.machine.poll_timeout().is_none_or(|at| at > now) {
                return;
            }
            registrar.handle_timeout(now, common, (&mut self.authenticator, &self.wire));
        }
    }

    fn ping_if_due(&mut self, now: Instant, common: &mut Common) {
        let Some(liveness) = self.liveness.as_mut().filter(|it| it.deadline() <= now) else {
            return;
        };
        let was_alive = liveness.is_alive();
        if liveness.round(now) == Some(Turn::Died) {
            if let Some(dead) = self.targets.get(self.current).map(|target| target.address) {
                self.set_aside(now, dead);
            }
            self.current = (self.current + 1) % self.targets.len().max(1);
            self.resolve(now, common);
            self.resolve_at = None;
            if was_alive {
                let retry_in = self.settings.options_ping.unwrap_or(RESOLVE_AGAIN);
                self.tell(common, RegistrationState::Failed { status: None, retry_in });
            }
        }
        if let Some(target) = self.targets.get(self.current) {
            let remote = remote_of(target);
            self.pings.send(now, common, (self.index, &self.wire), remote);
        }
    }

    fn ping_answered(
        &mut self,
        now: Instant,
        common: &mut Common,
        address: SocketAddr,
        status: u16,
    ) {
        if let Some(registrar) = &mut self.registrar {
            registrar.machine.ping_answered(now, &mut common.rng, address);
        }
        if !matches!(status, 408 | 503) {
            self.take_back(address);
        }
        let turn = self.liveness.as_mut().and_then(|liveness| liveness.answered(status));
        if turn == Some(Turn::Revived) {
            self.tell(common, RegistrationState::Static);
        }
    }

    fn resolve(&mut self, now: Instant, common: &mut Common) {
        let handle = common.handle(self.index);
        let event = resolve_event(handle, &self.settings);
        self.resolve_at = event.as_ref().map(|_| now + RESOLVE_AGAIN);
        common.events.extend(event);
    }

    fn tell(&self, common: &mut Common, state: RegistrationState) {
        let trunk = common.handle(self.index);
        common.events.push_back(Event::Registration { trunk, state });
    }

    fn rewire(&mut self, product: &str) {
        self.wire = Arc::new(super::wire::Wire::new(
            &self.settings,
            self.learnt,
            self.routes.clone(),
            product,
        ));
    }

    /// Takes the Route values that the registrar gave.
    fn set_routes(&mut self, routes: Vec<Box<[u8]>>, product: &str) {
        if routes != self.routes {
            self.routes = routes;
            self.rewire(product);
        }
    }

    /// Returns whether our Contact changed by what the Via says.
    fn learn(&mut self, via: &Via<'_>, product: &str) -> bool {
        let Some(seen) = self.seen_in(via) else { return false };
        self.learnt = Some(seen);
        self.rewire(product);
        true
    }
}

/// Asks for the addresses of a trunk whose targets are not fixed.
fn resolve_event(trunk: crate::trunk::TrunkHandle, settings: &TrunkSettings) -> Option<Event> {
    let name = settings.followed_name()?;
    Some(Event::ResolveTargets { trunk, name, transport: settings.transport })
}
