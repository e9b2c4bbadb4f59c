//! Limits over sliding windows, counted in the same transaction as what they limit.

use std::net::IpAddr;
use std::time::Duration;

use dialplans::E164;

use crate::clock::Timestamp;
use crate::email_address::EmailAddress;
use crate::ids::{SignInId, UserId};

/// Whom a limit counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LimitSubject {
    /// A called number, for all accounts together.
    Number(E164),
    /// A mailbox, for all accounts together.
    Mailbox(EmailAddress),
    /// An account.
    Account(String),
    /// An end user's address, within an account.
    Address(String, IpAddr),
    /// An end user's device, within an account.
    Device(String, String),
    /// A sign-in.
    SignIn(SignInId),
    /// A user of the directory.
    User(UserId),
    /// What ended in a proof, by the number of its id.
    Proof(u128),
    /// What a device, within an account, has to do with a number or mailbox.
    DeviceAt(String, String, Box<Self>),
}

/// At most `max` in any `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitRule {
    /// How many.
    pub max: u32,
    /// In how long.
    pub window: Duration,
}

/// What is done with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitUse {
    /// Refused without room; counted on success.
    Take,
    /// Refused without room; not counted.
    Look,
    /// Counted on success, never refused.
    Count,
    /// Refused without room unless a [`LimitUse::Excuse`] of the same request was counted before;
    /// not counted.
    LookUnlessExcused,
    /// Never refused, not counted: when it was counted before, it excuses.
    Excuse,
    /// Counted when a check approves, and then alone; never refused.
    CountApproval,
}

impl LimitUse {
    /// Whether it can refuse; `excused`: an excuse of the same request was counted before.
    pub(crate) fn refuses(self, excused: bool) -> bool {
        match self {
            Self::Take | Self::Look => true,
            Self::LookUnlessExcused => !excused,
            Self::Count | Self::Excuse | Self::CountApproval => false,
        }
    }

    /// Whether it is counted; `approved`: by a check that approves.
    pub(crate) fn counts(self, approved: bool) -> bool {
        match self {
            Self::Take | Self::Count => !approved,
            Self::CountApproval => approved,
            Self::Look | Self::LookUnlessExcused | Self::Excuse => false,
        }
    }
}

/// One count with its rules. All rules of one scope and subject share one row, so they are
/// given together and alike everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is counted, such as `send` or `failed_check`.
    pub scope: &'static str,
    /// Whom it counts.
    pub subject: LimitSubject,
    /// All must have room.
    pub rules: Vec<LimitRule>,
    /// What is done with it.
    pub limit_use: LimitUse,
}

/// A limit had no room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitReached {
    /// Which count.
    pub scope: &'static str,
    /// Which rule.
    pub rule: LimitRule,
    /// When there is room again.
    pub retry_at: Timestamp,
}

impl LimitSubject {
    /// Its parts, kind first, for the HMAC under which it is kept.
    pub(crate) fn parts(&self) -> [Vec<u8>; 3] {
        match self {
            Self::Number(number) => {
                [b"number".to_vec(), number.reveal().as_bytes().to_vec(), Vec::new()]
            }
            Self::Mailbox(address) => [b"mailbox".to_vec(), address.folded().into(), Vec::new()],
            Self::Account(account) => [b"account".to_vec(), account.clone().into(), Vec::new()],
            Self::Address(account, address) => {
                [b"address".to_vec(), account.clone().into(), address.to_string().into()]
            }
            Self::Device(account, device) => {
                [b"device".to_vec(), account.clone().into(), device.clone().into()]
            }
            Self::SignIn(id) => [b"sign_in".to_vec(), id.0.to_be_bytes().into(), Vec::new()],
            Self::User(id) => [b"user".to_vec(), id.0.to_be_bytes().into(), Vec::new()],
            Self::Proof(id) => [b"proof".to_vec(), id.to_be_bytes().into(), Vec::new()],
            Self::DeviceAt(account, device, at) => {
                let [kind, value, more] = at.parts();
                // None of the parts holds a NUL.
                let place = [kind, value, more].join(&0);
                [b"device_at".to_vec(), format!("{account}\0{device}").into(), place]
            }
        }
    }
}

impl Limit {
    /// The first of these limits that has no room in the log of its place, excuses heard.
    pub(crate) fn first_reached<'a>(
        now: Timestamp,
        limits: &[Self],
        log: impl Fn(usize) -> Option<&'a LimitLog>,
    ) -> Option<LimitReached> {
        let empty = LimitLog::default();
        let reached = |at: usize, limit: &Self| log(at).unwrap_or(&empty).reached(now, limit);
        let places = || limits.iter().enumerate();
        let excused = places()
            .filter(|(_, limit)| limit.limit_use == LimitUse::Excuse)
            .any(|(at, limit)| reached(at, limit).is_some());
        places()
            .filter(|(_, limit)| limit.limit_use.refuses(excused))
            .find_map(|(at, limit)| reached(at, limit))
    }

    /// The longest window of its rules.
    fn longest(&self) -> Duration {
        self.rules.iter().map(|rule| rule.window).max().unwrap_or_default()
    }
}

/// Above this a rule's events share entries; up to it every event has its own and the window is
/// exact to the millisecond.
const EXACT_MAX: u32 = 64;
/// Entries of one window when events share them: the error is at most one part in 64 of that
/// window, and always on the strict side.
const SHARES: i64 = 64;
/// Most entries of a row: several rules' worth. The oldest two are merged before it is exceeded.
const MAX_ENTRIES: usize = 256;

/// The events of one count, oldest first, as they stand in one row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LimitLog(Vec<Entry>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    at: Timestamp,
    count: u32,
}

impl LimitLog {
    const ENTRY_LEN: usize = 12;

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let chunks = bytes.chunks_exact(Self::ENTRY_LEN);
        if !chunks.remainder().is_empty() {
            return None;
        }
        let entry = |chunk: &[u8]| {
            let (at, count) = chunk.split_first_chunk::<8>()?;
            let at = Timestamp(i64::from_be_bytes(*at));
            Some(Entry { at, count: u32::from_be_bytes(count.try_into().ok()?) })
        };
        chunks.map(entry).collect::<Option<Vec<_>>>().map(Self)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * Self::ENTRY_LEN);
        for entry in &self.0 {
            bytes.extend(entry.at.as_millis().to_be_bytes());
            bytes.extend(entry.count.to_be_bytes());
        }
        bytes
    }

    /// The first rule without room.
    pub(crate) fn reached(&self, now: Timestamp, limit: &Limit) -> Option<LimitReached> {
        limit.rules.iter().find_map(|rule| {
            let retry_at = self.full_until(now, *rule)?;
            Some(LimitReached { scope: limit.scope, rule: *rule, retry_at })
        })
    }

    /// When the rule has room again; `None`: it has room.
    fn full_until(&self, now: Timestamp, rule: LimitRule) -> Option<Timestamp> {
        let inside = self.0.iter().filter(|entry| entry.at + rule.window > now);
        let mut sum: u64 = inside.clone().map(|entry| u64::from(entry.count)).sum();
        if sum < u64::from(rule.max) {
            return None;
        }
        for entry in inside {
            sum -= u64::from(entry.count);
            if sum < u64::from(rule.max) {
                return Some(entry.at + rule.window);
            }
        }
        // A rule of zero never has room.
        Some(now + rule.window)
    }

    /// Adds one event and forgets those that no rule can see.
    pub(crate) fn count(&mut self, now: Timestamp, limit: &Limit) {
        let longest = limit.longest();
        self.0.retain(|entry| entry.at + longest > now);
        self.0.push(Entry { at: now, count: 1 });
        self.share_entries(now, limit);
        if self.0.len() > MAX_ENTRIES {
            let oldest = self.0.remove(0);
            self.0[0].count = self.0[0].count.saturating_add(oldest.count);
        }
    }

    /// Merges neighbours that every rule which still sees them may take for one. The time of the
    /// later one holds for both, so nothing is forgotten early.
    fn share_entries(&mut self, now: Timestamp, limit: &Limit) {
        let mut merged: Vec<Entry> = Vec::with_capacity(self.0.len());
        for &entry in &self.0 {
            let share = share_at(now.since(entry.at), limit);
            match merged.last_mut() {
                Some(last)
                    if share > 0 && last.at.as_millis() / share == entry.at.as_millis() / share =>
                {
                    *last = Entry { at: entry.at, count: last.count.saturating_add(entry.count) };
                }
                _ => merged.push(entry),
            }
        }
        self.0 = merged;
    }

    /// When the row can be deleted.
    pub(crate) fn forgotten_at(&self, limit: &Limit) -> Timestamp {
        self.0.last().map_or(Timestamp(0), |last| last.at + limit.longest())
    }
}

/// How many milliseconds of events of this age one entry may hold; 0: each has its own.
fn share_at(age: Duration, limit: &Limit) -> i64 {
    let seeing = limit.rules.iter().filter(|rule| rule.window > age);
    let share = |rule: &LimitRule| match rule.max {
        0..=EXACT_MAX => 0,
        _ => i64::try_from(rule.window.as_millis()).unwrap_or(i64::MAX) / SHARES,
    };
    seeing.map(share).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(rules: &[(u32, u64)]) -> Limit {
        let rule = |&(max, seconds)| LimitRule { max, window: Duration::from_secs(seconds) };
        Limit {
            scope: "send",
            subject: LimitSubject::Account("vats".to_owned()),
            rules: rules.iter().map(rule).collect(),
            limit_use: LimitUse::Take,
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp(1_769_850_000_000 + seconds * 1_000)
    }

    #[test]
    fn several_rules_of_one_count_each_hold_over_their_own_window() {
        let limit = limit(&[(1, 15), (4, 60), (30, 86_400)]);
        let mut log = LimitLog::default();
        let mut taken = Vec::new();
        for second in 0..200 {
            if log.reached(at(second), &limit).is_none() {
                log.count(at(second), &limit);
                taken.push(second);
            }
        }
        assert_eq!(taken, [0, 15, 30, 45, 60, 75, 90, 105, 120, 135, 150, 165, 180, 195]);
        let reached = log.reached(at(200), &limit).unwrap();
        assert_eq!((reached.rule.max, reached.retry_at), (1, at(210)));
    }

    #[test]
    fn no_window_ever_holds_more_than_the_rule_allows_and_room_comes_when_it_was_told() {
        let cases: [&[(u32, u64)]; 4] =
            [&[(3, 10)], &[(30, 100)], &[(200, 1_000)], &[(300, 60), (1_000, 2_000)]];
        for rules in cases {
            let limit = limit(rules);
            let mut log = LimitLog::default();
            let mut taken: Vec<Timestamp> = Vec::new();
            let mut promised = None;
            for tenth in 0..30_000 {
                let now = Timestamp(tenth * 100);
                match log.reached(now, &limit) {
                    Some(reached) => {
                        assert!(promised.is_none_or(|until| now < until), "later than promised");
                        promised = Some(reached.retry_at);
                    }
                    None => {
                        log.count(now, &limit);
                        taken.push(now);
                        promised = None;
                    }
                }
                for &(max, window) in rules {
                    let start = now - Duration::from_secs(window);
                    let inside = taken.iter().rev().take_while(|&&at| at > start).count();
                    assert!(inside <= max as usize, "{inside} of {max} at {now}");
                }
            }
            assert!(log.0.len() < MAX_ENTRIES, "{} entries", log.0.len());
            let even = |&(max, window)| 3_000_u64.div_ceil(window) * u64::from(max);
            let even = rules.iter().map(even).min().unwrap();
            assert!(taken.len() as u64 * 100 >= even * 95, "{} of {even}", taken.len());
        }
    }

    #[test]
    fn what_is_only_counted_keeps_its_row_small() {
        let limit = limit(&[(5, 86_400)]);
        let mut log = LimitLog::default();
        for second in 0..10_000 {
            log.count(at(second), &limit);
        }
        assert_eq!(log.0.len(), MAX_ENTRIES);
        assert_eq!(log.0.iter().map(|entry| entry.count).sum::<u32>(), 10_000);
    }

    #[test]
    fn a_log_reads_back_and_damage_is_noticed() {
        let limit = limit(&[(5, 60)]);
        let mut log = LimitLog::default();
        log.count(at(1), &limit);
        log.count(at(2), &limit);
        assert_eq!(LimitLog::decode(&log.encode()), Some(log.clone()));
        assert_eq!(LimitLog::decode(&log.encode()[1..]), None);
        assert_eq!(log.forgotten_at(&limit), at(62));
    }
}
