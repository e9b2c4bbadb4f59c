//! 2xx to INVITEs that nothing here remembers: of an earlier process, or so late that their
//! transaction is gone. A call that nobody knows of would be up, and paid for, until the callee
//! tires of it; so each is acknowledged and ended.

use std::sync::Arc;
use std::time::Instant;

use super::Core;
use super::common::Owner;
use crate::auth::Credentials;
use crate::call::forks::{Destiny, Forks, Releaser};
use crate::identity::CallId;
use crate::message::{Message, Method};
use crate::timer::earlier;
use crate::transport::{Loss, Remote};
use crate::trunk::wire::Wire;

/// Calls that are released at once: what one busy trunk may have had up when a process died.
const RELEASES_LIMIT: usize = 10_000;

/// One such call, as long as its 2xx may be repeated.
#[derive(Debug)]
pub(crate) struct Release {
    call_id: CallId,
    trunk: u32,
    wire: Arc<Wire>,
    forks: Forks,
    /// When no repeat is expected any more.
    until: Instant,
    /// What the timer queue holds for it.
    armed: Option<Instant>,
}

impl Release {
    pub(super) fn trunk(&self) -> u32 {
        self.trunk
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.forks.is_quiet()
    }
}

impl Core {
    /// A response that belongs to no transaction. Only a 2xx to an INVITE with our mark in its
    /// Call-ID is more than counted (RFC 3261 section 18.1.2 would drop that too).
    pub(super) fn stray_response(
        &mut self,
        now: Instant,
        (trunk, source): (u32, Remote),
        response: &Message<'_>,
    ) {
        let is_success = response.status().is_some_and(|status| status.is_success());
        let call_id = match is_success && response.cseq.method == Method::Invite {
            true => self.common.mark.recognise(response.call_id),
            false => None,
        };
        let (Some(call_id), Some(owner)) = (call_id, self.trunks.at(trunk)) else {
            self.common.counters.stray_responses += 1;
            return;
        };
        let wire = Arc::clone(&owner.wire);
        let place = match self.releases_by_call.get(&call_id) {
            Some(&place) => place,
            None if self.releases.len() >= RELEASES_LIMIT => {
                self.common.counters.stray_responses += 1;
                return;
            }
            None => {
                let until = self.common.transaction_end(now);
                let place = self.releases.insert(|_, _| Release {
                    call_id,
                    trunk,
                    wire: Arc::clone(&wire),
                    forks: Forks::default(),
                    until,
                    armed: None,
                });
                self.releases_by_call.insert(call_id, place);
                self.common.counters.released_strays += 1;
                place
            }
        };
        let (Some(release), Some(trunk)) = (self.releases.get_mut(place), self.trunks.at(trunk))
        else {
            return;
        };
        let by = Releaser { owner: Owner::Release(place), trunk: release.trunk, wire: &wire };
        let way = (source, &Credentials::default());
        let common = &mut self.common;
        let success = (response, 0, Destiny::Released);
        release.forks.release(now, common, by, success, way, |ip| trunk.trusts(now, ip));
        self.settle_release(now, place);
    }

    pub(super) fn release_timeout(&mut self, now: Instant, place: u32) {
        if let Some(release) = self.releases.get_mut(place) {
            release.forks.handle_timeout(now, &mut self.common);
        }
        self.settle_release(now, place);
    }

    /// `false`: the response belongs to nothing.
    pub(super) fn release_response(
        &mut self,
        now: Instant,
        place: u32,
        response: &Message<'_>,
    ) -> bool {
        let Some(status) = response.status().map(|status| status.code()) else { return false };
        let Some(release) = self.releases.get_mut(place) else { return false };
        let Some(trunk) = self.trunks.at(release.trunk) else { return false };
        let by =
            Releaser { owner: Owner::Release(place), trunk: release.trunk, wire: &release.wire };
        let authenticator = &mut trunk.authenticator;
        let answer = (response, status);
        let common = &mut self.common;
        let taken = release.forks.handle_response(now, common, by, authenticator, answer);
        self.settle_release(now, place);
        taken
    }

    pub(super) fn releases_transport_error(&mut self, now: Instant, loss: &Loss) {
        for place in self.releases.places() {
            if let Some(release) = self.releases.get_mut(place) {
                let trunk = release.trunk;
                release.forks.handle_transport_error(now, &mut self.common, (trunk, loss));
            }
            self.settle_release(now, place);
        }
    }

    fn settle_release(&mut self, now: Instant, place: u32) {
        let Some(release) = self.releases.get_mut(place) else { return };
        let is_over = release.until <= now && release.forks.is_over();
        let until = (release.until > now).then_some(release.until);
        let deadline = if is_over { None } else { earlier(release.forks.deadline(), until) };
        self.common.timers.rearm(Owner::Release(place), &mut release.armed, deadline);
        if is_over && let Some(mut release) = self.releases.remove(place) {
            self.releases_by_call.remove(&release.call_id);
            release.forks.drop_transactions(&mut self.common);
        }
    }
}
