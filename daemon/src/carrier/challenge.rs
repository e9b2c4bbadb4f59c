//! Digest on the server's side: whom the simulator lets in.

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use sip::auth::Presented;
use sip::message::{HeaderName, Message};

use super::CarrierSettings;

/// The nonces in force: a new one each this many uses, so that a client has to follow.
const USES_OF_A_NONCE: u32 = 500;

/// Hands out nonces and judges what comes back.
#[derive(Debug)]
pub(super) struct Gate {
    settings: CarrierSettings,
    nonce: String,
    uses: u32,
    rng: ChaCha20Rng,
}

/// What the gate says of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Its credentials are right.
    Admitted,
    /// It has none, or wrong ones: challenge it. `stale`: right ones for an old nonce.
    Challenged { value: String },
}

impl Gate {
    pub(super) fn new(settings: CarrierSettings, rng: ChaCha20Rng) -> Self {
        let mut gate = Self { settings, nonce: String::new(), uses: 0, rng };
        gate.renew();
        gate
    }

    /// Judges the credentials of `request` in the field `header`.
    pub(super) fn judge(&mut self, request: &Message<'_>, header: HeaderName) -> Admission {
        let method = request.request_method().map_or("", |method| method.as_str());
        let mut stale = false;
        for value in request.headers.lines(header) {
            let value = value.to_vec();
            let Some(presented) = Presented::parse(&value) else { continue };
            let known = presented.user == self.settings.user.as_bytes()
                && presented.realm == self.settings.realm.as_bytes();
            let password = self.settings.password.reveal().as_bytes();
            if !known || !presented.is_right(method.as_bytes(), password) {
                continue;
            }
            if presented.nonce == self.nonce.as_bytes() {
                self.uses += 1;
                if self.uses >= USES_OF_A_NONCE {
                    self.renew();
                }
                return Admission::Admitted;
            }
            stale = true;
        }
        let realm = &self.settings.realm;
        let nonce = &self.nonce;
        let stale = if stale { ", stale=true" } else { "" };
        Admission::Challenged {
            value: format!(
                "Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm=SHA-256, qop=\"auth\"{stale}"
            ),
        }
    }

    fn renew(&mut self) {
        self.nonce = format!("{:016x}{:016x}", self.rng.next_u64(), self.rng.next_u64());
        self.uses = 0;
    }

    /// Whether calls and texts are challenged at all.
    pub(super) fn challenges_calls(&self) -> bool {
        self.settings.challenge_calls
    }

    /// A fresh To tag.
    pub(super) fn tag(&mut self) -> String {
        format!("{:016x}", self.rng.next_u64())
    }
}
