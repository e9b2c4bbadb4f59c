//! What a seed decides.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use sip::CallOutcome;

/// One play: who is there and what they do.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The network.
    pub weather: Weather,
    /// Whether the trunk has a registrar; a static trunk has none.
    pub registered: bool,
    /// What the carrier wants to know before it serves anybody.
    pub guard: Guard,
    /// The calls, in the order in which they are placed.
    pub calls: Vec<CallPlan>,
    /// The texts.
    pub texts: Vec<TextPlan>,
}

/// What the network does to packets, in each direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    /// Packets lost, of 1000.
    pub lost: u32,
    /// Packets doubled, of 1000.
    pub doubled: u32,
    /// Shortest and longest delay. Unequal ones reorder.
    pub delay_ms: (u64, u64),
}

impl Weather {
    /// Whether every packet arrives once and in order.
    pub fn is_calm(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.delay_ms.0 == self.delay_ms.1
    }
}

/// The carrier's manners with credentials and bindings.
#[derive(Clone, Debug)]
pub struct Guard {
    /// Whether REGISTER is challenged, by 401.
    pub register: bool,
    /// Statuses with which an INVITE or MESSAGE is challenged, one after the other.
    pub invite: Vec<u16>,
    /// The algorithms that are offered, in this order; empty: none is named.
    pub algorithms: Vec<&'static str>,
    /// Whether `qop="auth"` is offered.
    pub qop: bool,
    /// How long a nonce is good; afterwards it is stale.
    pub nonce_life: Duration,
    /// Whether a stale nonce is called so.
    pub says_stale: bool,
    /// Seconds that a binding is granted.
    pub granted: u32,
    /// Whether the first REGISTER is refused with 423 and twice what was asked.
    pub too_brief: bool,
    /// Whether a BYE is challenged by a realm that is not the carrier's.
    pub rogue_bye: bool,
}

/// One call.
#[derive(Clone, Debug)]
pub struct CallPlan {
    /// When it is placed.
    pub at: Duration,
    /// What the called phone does.
    pub phone: Phone,
    /// What follows the CANCEL.
    pub on_cancel: OnCancel,
    /// After which time the daemon hangs up.
    pub hang_up: Option<Duration>,
    /// Whether the call's limits are so long that Timer B comes before them.
    pub patient: bool,
    /// How long the phone needs for its first sign, and then for its end.
    pub pause_ms: (u64, u64),
}

/// What a called phone does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phone {
    /// Rings until it is cancelled.
    Rings,
    /// 183 first, then as `Rings`.
    RingsAfterProgress,
    /// Rings and is then answered, or refused with this status.
    RingsThen(u16),
    /// Answered without ringing.
    Answers,
    /// Refused with this status, and this Q.850 cause in Reason.
    Refuses(u16, Option<u8>),
    /// Nothing ever comes.
    Silent,
    /// 100, and nothing else.
    TryingOnly,
    /// 181, then ringing elsewhere.
    Diverts,
    /// Two phones ring; one is answered, or both.
    Forks {
        /// How many answer: 1 or 2.
        answers: u8,
    },
    /// The first sign is ringing, and comes when only a patient call still waits.
    RingsLate,
    /// The same, with an answer.
    AnswersLate,
    /// Whatever credentials come, they are challenged again.
    NeverSatisfied,
}

/// What a carrier does with a CANCEL that it gets in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCancel {
    /// 200, then 487.
    Terminates,
    /// 487, then 200.
    TerminatesFirst,
    /// 200, and 487 some seconds later.
    TerminatesLate,
    /// The phone was answered just before: 200 to both.
    Answers,
    /// 200, and never a 487.
    Forgets,
    /// 481, and nothing else.
    Unknown,
}

/// One text.
#[derive(Clone, Debug)]
pub struct TextPlan {
    /// When it is sent.
    pub at: Duration,
    /// What the carrier says; `None`: nothing.
    pub status: Option<u16>,
}

impl CallPlan {
    /// What the call must come to when the network loses nothing and the daemon does not hang up.
    pub fn expected(&self) -> CallOutcome {
        let cancelled = |outcome| match self.on_cancel {
            OnCancel::Answers => CallOutcome::Answered,
            _ => outcome,
        };
        match self.phone {
            Phone::Rings | Phone::RingsAfterProgress => cancelled(CallOutcome::Rang),
            Phone::RingsThen(200) | Phone::Answers | Phone::Forks { .. } => CallOutcome::Answered,
            Phone::RingsThen(_) => CallOutcome::Rang,
            Phone::Refuses(status, cause) => refused(status, cause),
            Phone::RingsLate if self.patient => cancelled(CallOutcome::Rang),
            Phone::AnswersLate if self.patient => CallOutcome::Answered,
            Phone::Silent | Phone::RingsLate | Phone::AnswersLate => CallOutcome::TrunkTimeout,
            Phone::TryingOnly => cancelled(CallOutcome::NoRing),
            Phone::Diverts => CallOutcome::Diverted,
            Phone::NeverSatisfied => CallOutcome::AuthFailed,
        }
    }
}

impl CallPlan {
    /// The call's `no_answer_timeout`, `no_ring_limit` and `call_limit`.
    pub fn limits(&self) -> [Duration; 3] {
        match self.patient {
            true => [40, 60, 90].map(Duration::from_secs),
            false => [6, 12, 25].map(Duration::from_secs),
        }
    }
}

/// Written by hand beside the core's own table.
fn refused(status: u16, cause: Option<u8>) -> CallOutcome {
    match (status, cause) {
        (486 | 600, _) | (480, Some(17)) => CallOutcome::Busy,
        (404, Some(3)) => CallOutcome::NoRoute,
        (404, _) => CallOutcome::Unallocated,
        (480, Some(34)) | (503, _) => CallOutcome::Congestion,
        (480, _) => CallOutcome::Unreachable,
        (500, _) => CallOutcome::TrunkError,
        (408, _) => CallOutcome::TrunkTimeout,
        (603, _) => CallOutcome::Blocked,
        (403, _) => CallOutcome::TrunkForbids,
        (402, _) => CallOutcome::NoFunds,
        (410, _) => CallOutcome::Changed,
        (484, _) => CallOutcome::BadNumber,
        (488, _) => CallOutcome::Format,
        (302, _) => CallOutcome::TrunkProtocol,
        other => unreachable!("no phone refuses with {other:?}"),
    }
}

impl Scenario {
    /// The scenario of a seed.
    pub fn of(seed: u64) -> Self {
        let rng = &mut stream(seed, b'S');
        let weather = weather(rng);
        let guard = guard(rng);
        let calls = (0..pick(rng, 1, 5)).map(|_| call(rng, &guard)).collect();
        let texts = (0..pick(rng, 0, 3) / 2).map(|_| text(rng)).collect();
        Self { weather, registered: chance(rng, 500), guard, calls, texts }
    }
}

/// A stream of randomness of its own for each part of a play.
pub(super) fn stream(seed: u64, part: u8) -> ChaCha8Rng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[31] = part;
    ChaCha8Rng::from_seed(bytes)
}

/// A number from `low` to `high`, both included.
pub(super) fn pick(rng: &mut ChaCha8Rng, low: u64, high: u64) -> u64 {
    low + rng.next_u64() % (high - low + 1)
}

pub(super) fn chance(rng: &mut ChaCha8Rng, of_1000: u32) -> bool {
    pick(rng, 0, 999) < u64::from(of_1000)
}

fn one_of<T: Copy>(rng: &mut ChaCha8Rng, list: &[T]) -> T {
    list[pick(rng, 0, list.len() as u64 - 1) as usize]
}

fn weather(rng: &mut ChaCha8Rng) -> Weather {
    let delay = pick(rng, 1, 100);
    match pick(rng, 0, 9) {
        0..=3 => Weather { lost: 0, doubled: 0, delay_ms: (delay, delay) },
        4..=5 => Weather { lost: 0, doubled: 200, delay_ms: (1, 2 * delay) },
        6 => Weather { lost: 50, doubled: 50, delay_ms: (1, 400) },
        _ => Weather { lost: 200, doubled: 200, delay_ms: (1, 3 * delay) },
    }
}

fn guard(rng: &mut ChaCha8Rng) -> Guard {
    let invite: &[&[u16]] = &[&[], &[407], &[407], &[401], &[407, 401]];
    let algorithms: &[&[&str]] = &[
        &[],
        &["MD5"],
        &["SHA-256"],
        &["MD5", "SHA-256"],
        &["SHA-512-256", "SHA-256", "md5"],
        &["SHA-256-sess"],
        &["AKAv1-MD5", "MD5-sess"],
    ];
    Guard {
        register: chance(rng, 800),
        invite: one_of(rng, invite).to_vec(),
        algorithms: one_of(rng, algorithms).to_vec(),
        qop: chance(rng, 700),
        nonce_life: Duration::from_secs(one_of(rng, &[8, 30, 3600])),
        says_stale: chance(rng, 500),
        granted: one_of(rng, &[20, 60, 600, 3600]),
        too_brief: chance(rng, 100),
        rogue_bye: chance(rng, 200),
    }
}

fn call(rng: &mut ChaCha8Rng, guard: &Guard) -> CallPlan {
    let refusals: &[(u16, Option<u8>)] = &[
        (486, None),
        (486, Some(17)),
        (600, None),
        (404, None),
        (404, Some(1)),
        (404, Some(3)),
        (480, None),
        (480, Some(17)),
        (480, Some(20)),
        (480, Some(34)),
        (503, None),
        (500, None),
        (408, None),
        (603, None),
        (403, None),
        (402, None),
        (410, None),
        (484, None),
        (488, None),
        (302, None),
    ];
    let phone = match pick(rng, 0, 19) {
        0..=5 => Phone::Rings,
        6 => Phone::RingsAfterProgress,
        7..=8 => Phone::RingsThen(one_of(rng, &[200, 486, 480, 603, 408, 487])),
        9 => Phone::Answers,
        10..=12 => {
            let (status, cause) = one_of(rng, refusals);
            Phone::Refuses(status, cause)
        }
        13 => Phone::Silent,
        14 => Phone::TryingOnly,
        15 => Phone::Diverts,
        16 => Phone::Forks { answers: one_of(rng, &[1, 2]) },
        17 => Phone::RingsLate,
        18 => Phone::AnswersLate,
        // Somebody must challenge before nobody can be satisfied.
        _ if guard.invite.is_empty() => Phone::Rings,
        _ => Phone::NeverSatisfied,
    };
    let manners = [
        OnCancel::Terminates,
        OnCancel::Terminates,
        OnCancel::Terminates,
        OnCancel::TerminatesFirst,
        OnCancel::TerminatesLate,
        OnCancel::Answers,
        OnCancel::Forgets,
        OnCancel::Unknown,
    ];
    CallPlan {
        at: Duration::from_millis(pick(rng, 0, 20_000)),
        phone,
        on_cancel: one_of(rng, &manners),
        hang_up: chance(rng, 100).then(|| Duration::from_millis(pick(rng, 0, 8_000))),
        patient: chance(rng, 250),
        pause_ms: (pick(rng, 0, 2_500), pick(rng, 500, 3_000)),
    }
}

fn text(rng: &mut ChaCha8Rng) -> TextPlan {
    let statuses = [Some(202), Some(202), Some(200), Some(503), Some(404), None];
    TextPlan { at: Duration::from_millis(pick(rng, 0, 20_000)), status: one_of(rng, &statuses) }
}
