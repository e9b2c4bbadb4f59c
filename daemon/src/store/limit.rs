//! Limits over sliding windows, counted in the same transaction as what they limit.

use std::net::IpAddr;
use std::time::Duration;

use dialplans::E164;

use crate::clock::Timestamp;

/// Whom a limit counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LimitSubject {
    /// A called number, for all accounts together.
    Number(E164),
    /// An account.
    Account(String),
    /// An end user's address, within an account.
    Address(String, IpAddr),
    /// An end user's device, within an account.
    Device(String, String),
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
