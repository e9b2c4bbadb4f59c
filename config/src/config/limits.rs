//! `[limits]`: how much may be sent and connected.

use std::time::Duration;

/// Limits on sending to one number, on wrong codes, and on connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Between two sends to one number.
    pub between_sends: Duration,
    /// Sends to one number in a minute.
    pub sends_per_minute: u32,
    /// Sends to one number in 24 hours, whatever the channel.
    pub sends_per_day: u32,
    /// Flash calls to one number in 24 hours.
    pub flash_calls_per_day: u32,
    /// Failed checks of short codes for one number in 24 hours; then flash calls to it stop.
    pub failed_checks_per_day: u32,
    /// Failed checks of codes of six digits and more for one number or mailbox in 24 hours; then
    /// they stop, but for a device that proved it before.
    pub failed_long_checks_per_day: u32,
    /// Open verifications for one number and purpose.
    pub open_verifications: u32,
    /// How long a tail is not shown to the same number again.
    pub same_tail: Duration,
    /// HTTP connections at once.
    pub http_connections: u32,
    /// Requests of one API key in a second; as many may come at once after a quiet second.
    pub requests_per_second: u32,
}
