//! Who may call and register: challenges, nonces, and whether they are answered rightly.

use std::collections::BTreeMap;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use sip::auth::Presented;

use super::super::packet::Packet;
use super::super::scenario::{Guard, Weather, pick};

/// The password that the trunk has.
pub(in crate::sim) const PASSWORD: &str = "opensesame";
const REALM: &str = "carrier.example";

/// What the guard says to a request.
pub(super) enum Verdict {
    Pass,
    /// This status with these header lines.
    Refuse(u16, String),
    /// It passes, but no request should look so.
    Complain(String),
}

pub(super) struct Gatekeeper {
    guard: Guard,
    weather: Weather,
    rng: ChaCha8Rng,
    /// When each nonce was given.
    nonces: BTreeMap<String, Duration>,
    /// Which request used a nonce with a count.
    used: BTreeMap<(String, u32), String>,
    last_register_cseq: u32,
}

impl Gatekeeper {
    pub(super) fn new(guard: Guard, weather: Weather, rng: ChaCha8Rng) -> Self {
        Self {
            guard,
            weather,
            rng,
            nonces: BTreeMap::new(),
            used: BTreeMap::new(),
            last_register_cseq: 0,
        }
    }

    pub(super) fn judge_register(&mut self, now: Duration, packet: &Packet<'_>) -> Verdict {
        let cseq = packet.cseq().0;
        if self.weather.is_calm() && cseq <= self.last_register_cseq {
            return Verdict::Complain(format!("REGISTER {cseq} after {}", self.last_register_cseq));
        }
        self.last_register_cseq = self.last_register_cseq.max(cseq);
        match self.guard.register {
            true => self.judge_by(now, packet, &[401]),
            false => Verdict::Pass,
        }
    }

    /// An INVITE or a MESSAGE.
    pub(super) fn judge(&mut self, now: Duration, packet: &Packet<'_>) -> Verdict {
        let statuses = self.guard.invite.clone();
        self.judge_by(now, packet, &statuses)
    }

    /// A challenge that is given whatever was presented.
    pub(super) fn refuse(&mut self, now: Duration) -> Verdict {
        let status = self.guard.invite.first().copied().unwrap_or(407);
        self.challenge(now, status, false)
    }

    pub(super) fn too_brief(&self, asked: u32) -> Option<u32> {
        (self.guard.too_brief && asked < 1200).then_some(1200)
    }

    pub(super) fn granted(&self, asked: u32) -> u32 {
        match self.guard.too_brief {
            true => asked,
            false => self.guard.granted.min(asked),
        }
    }

    /// Every one of `statuses` must be answered by valid credentials of its kind.
    fn judge_by(&mut self, now: Duration, packet: &Packet<'_>, statuses: &[u16]) -> Verdict {
        for &status in statuses {
            let name = if status == 401 { "Authorization" } else { "Proxy-Authorization" };
            let Some(value) = packet.all(name).find(|value| value.contains(REALM)) else {
                return self.challenge(now, status, false);
            };
            let Some(presented) = Presented::parse(value.as_bytes()) else {
                return Verdict::Complain(format!("unreadable credentials: {value}"));
            };
            if !presented.is_right(packet.method().as_bytes(), PASSWORD.as_bytes()) {
                return Verdict::Complain(format!("wrong credentials: {value}"));
            }
            if presented.uri != packet.request_uri().as_bytes() {
                return Verdict::Complain(format!("credentials for another URI: {value}"));
            }
            let nonce = String::from_utf8_lossy(presented.nonce).into_owned();
            let is_fresh =
                self.nonces.get(&nonce).is_some_and(|given| now - *given < self.guard.nonce_life);
            if let Some(count) = presented.nonce_count {
                let user = self.used.entry((nonce, count)).or_insert(packet.branch().to_owned());
                if user != packet.branch() {
                    return Verdict::Complain("a nonce count was used twice".to_owned());
                }
            }
            if !is_fresh {
                return self.challenge(now, status, true);
            }
        }
        Verdict::Pass
    }

    fn challenge(&mut self, now: Duration, status: u16, is_stale: bool) -> Verdict {
        let nonce = format!("n{}-{}", self.nonces.len(), pick(&mut self.rng, 0, u64::MAX - 1));
        self.nonces.insert(nonce.clone(), now);
        let name = if status == 401 { "WWW-Authenticate" } else { "Proxy-Authenticate" };
        let stale = if is_stale && self.guard.says_stale { ", stale=true" } else { "" };
        let qop = if self.guard.qop { ", qop=\"auth,auth-int\"" } else { "" };
        let rest = format!("realm=\"{REALM}\", nonce=\"{nonce}\"{qop}{stale}");
        let lines = match self.guard.algorithms.is_empty() {
            true => format!("{name}: Digest {rest}\r\n"),
            false => self
                .guard
                .algorithms
                .iter()
                .map(|algorithm| format!("{name}: Digest {rest}, algorithm={algorithm}\r\n"))
                .collect(),
        };
        Verdict::Refuse(status, lines)
    }
}
