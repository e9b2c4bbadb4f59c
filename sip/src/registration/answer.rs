//! What follows the answer to a REGISTER, or its silence.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;

use super::backoff::{Cause, uniform};
use super::grant::Grant;
use super::{Attempt, Binding, Phase, Registrant, Registration, SILENT_AFTER, seconds};
use crate::auth::challenges;
use crate::event::RegistrationState;
use crate::message::Message;

/// The longest Min-Expires that is obeyed.
const MAX_MIN_EXPIRES: Duration = Duration::from_secs(24 * 3600);
/// The longest lifetime that is believed where neither we nor a Min-Expires asked for more.
const MAX_GRANT: Duration = Duration::from_secs(3600);
/// The longest Retry-After that is obeyed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

impl Registration {
    /// A response to the REGISTER of the last `Command::Register`, from the target it went to.
    pub fn handle_response(
        &mut self,
        now: Instant,
        rng: &mut ChaCha20Rng,
        trunk: &mut Registrant<'_>,
        response: &Message<'_>,
    ) {
        let Some(status) = response.status() else { return };
        let status = status.code();
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Asking(mut attempt) => {
                attempt.silent_at = None;
                self.answered_by(attempt.target.address);
                if status < 200 {
                    self.phase = Phase::Asking(attempt);
                    return;
                }
                trunk.auth.settled("REGISTER", &attempt.credentials, status);
                self.final_response(now, rng, trunk, attempt, response, status);
            }
            Phase::Removing { attempt, until } => {
                self.phase = Phase::Removing { attempt, until };
                self.removal_response(now, rng, trunk, response, status);
            }
            other => self.phase = other,
        }
    }

    /// The REGISTER of the last `Command::Register` got no answer: Timer F, or the network
    /// refused it.
    pub fn handle_no_answer(&mut self, now: Instant, rng: &mut ChaCha20Rng) {
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Asking(attempt) => {
                let address = attempt.target.address;
                self.fell_silent(now, address);
                if let Some(probe) = &mut self.probe {
                    probe.disappointed(now);
                }
                self.binding = None;
                self.next_target(now, rng, None);
            }
            Phase::Removing { .. } => self.removed(),
            other => self.phase = other,
        }
    }

    /// The target of the REGISTER of the last `Command::Register` did not prove its name. It is not
    /// silent, so no OPTIONS finds it back: only another attempt does, in a while.
    pub fn handle_untrusted(&mut self, now: Instant, rng: &mut ChaCha20Rng) {
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Asking(attempt) => {
                self.answered_by(attempt.target.address);
                self.binding = None;
                self.next_target(now, rng, None);
            }
            Phase::Removing { .. } => self.removed(),
            other => self.phase = other,
        }
    }

    fn answered_by(&mut self, address: SocketAddr) {
        self.targets.mark(address, false);
        if self.targets.silent().next().is_none() {
            self.probe = None;
        }
    }

    fn final_response(
        &mut self,
        now: Instant,
        rng: &mut ChaCha20Rng,
        trunk: &mut Registrant<'_>,
        attempt: Attempt,
        response: &Message<'_>,
        status: u16,
    ) {
        self.note_retry_after(response);
        match status {
            200..300 => self.accepted(now, rng, trunk, attempt, response),
            401 | 407 => self.challenged(now, rng, trunk, attempt, response),
            423 => self.too_brief(now, rng, trunk, attempt, response),
            403 | 404 => {
                self.binding = None;
                self.round_over(now, rng, Cause::Refusal, Some(status));
            }
            // 480 is no refusal either: it says "temporarily".
            408 | 480 | 500..600 => self.next_target(now, rng, Some(status)),
            _ => self.round_over(now, rng, Cause::Refusal, Some(status)),
        }
    }

    fn accepted(
        &mut self,
        now: Instant,
        rng: &mut ChaCha20Rng,
        trunk: &Registrant<'_>,
        attempt: Attempt,
        response: &Message<'_>,
    ) {
        let grant = Grant::read(response, trunk.contact_uri);
        let asked = Duration::from_secs(u64::from(attempt.expires_s));
        let granted = grant.seconds.map_or(asked, |seconds| Duration::from_secs(seconds.into()));
        if granted.is_zero() {
            self.binding = None;
            return self.round_over(now, rng, Cause::Trouble, Some(200));
        }
        let granted = granted.min(asked.max(MAX_GRANT));
        // The registrar counts from some time after the REGISTER left.
        let refresh = attempt.sent + uniform(rng, granted * 8 / 10, granted * 9 / 10);
        let until = match attempt.outdated {
            true => self.spaced(now),
            false => self.spaced(now).max(refresh),
        };
        self.phase = Phase::Waiting { until };
        self.binding = Some(Binding {
            target: attempt.target.clone(),
            confirmed: now,
            expires: attempt.sent + granted,
        });
        self.probe = None;
        self.backoff.reset();
        self.hold = Duration::ZERO;
        self.service_route = grant.service_route;
        self.targets.start_round();
        self.tell(RegistrationState::Registered {
            granted,
            refresh_in: until.saturating_duration_since(now),
            target: attempt.target.address,
            contact: trunk.contact,
            round_trip: now.saturating_duration_since(attempt.sent),
        });
    }

    fn challenged(
        &mut self,
        now: Instant,
        rng: &mut ChaCha20Rng,
        trunk: &mut Registrant<'_>,
        mut attempt: Attempt,
        response: &Message<'_>,
    ) {
        let request = trunk.auth_request();
        let answer =
            trunk.auth.answer(rng, challenges(response), request, &mut attempt.credentials);
        match answer {
            Ok(()) => {
                attempt.sent = now;
                attempt.silent_at = Some(now + SILENT_AFTER);
                attempt.outdated = false;
                self.push_register(&attempt.target, attempt.expires_s);
                self.phase = Phase::Asking(attempt);
            }
            Err(_) => {
                self.binding = None;
                self.round_over(now, rng, Cause::Credentials, None);
            }
        }
    }

    /// 423: asks for what the registrar wants, once for each attempt.
    fn too_brief(
        &mut self,
        now: Instant,
        rng: &mut ChaCha20Rng,
        trunk: &mut Registrant<'_>,
        attempt: Attempt,
        response: &Message<'_>,
    ) {
        let wanted = response.headers.min_expires_s().map(|s| Duration::from_secs(s.into()));
        match wanted {
            Some(wanted)
                if !attempt.lengthened && wanted > self.asked() && wanted <= MAX_MIN_EXPIRES =>
            {
                self.min_expires = wanted;
                // Fresh credentials: the nonce count of the refused REGISTER is spent.
                let expires_s = seconds(wanted);
                let attempt = self.send(now, rng, trunk, attempt.target, expires_s);
                self.phase = Phase::Asking(Attempt { lengthened: true, ..attempt });
            }
            _ => self.round_over(now, rng, Cause::Refusal, Some(423)),
        }
    }

    /// A target that gave no answer or is in trouble: the next one at once, after all of them a
    /// pause. A binding that the registrar did not deny stays until it expires.
    fn next_target(&mut self, now: Instant, rng: &mut ChaCha20Rng, status: Option<u16>) {
        if self.targets.advance() {
            self.phase = Phase::Waiting { until: now };
        } else {
            self.round_over(now, rng, Cause::Trouble, status);
        }
    }

    fn removal_response(
        &mut self,
        now: Instant,
        rng: &mut ChaCha20Rng,
        trunk: &mut Registrant<'_>,
        response: &Message<'_>,
        status: u16,
    ) {
        let Phase::Removing { attempt, .. } = &mut self.phase else { return };
        let request = trunk.auth_request();
        match status {
            100..200 => {}
            401 | 407
                if trunk
                    .auth
                    .answer(rng, challenges(response), request, &mut attempt.credentials)
                    .is_ok() =>
            {
                attempt.sent = now;
                let target = attempt.target.clone();
                self.push_register(&target, 0);
            }
            _ => self.removed(),
        }
    }

    fn note_retry_after(&mut self, response: &Message<'_>) {
        let retry_after = response.headers.retry_after_s().unwrap_or(0);
        let retry_after = Duration::from_secs(retry_after.into()).min(MAX_RETRY_AFTER);
        self.hold = self.hold.max(retry_after);
    }
}
