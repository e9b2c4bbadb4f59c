//! What a user agent is told once, when it is made.

use std::time::Duration;

use crate::timer::Timings;

/// What holds for all trunks of one user agent.
#[derive(Clone)]
pub struct Settings {
    /// Which user agent this is; every [`crate::TrunkHandle`] it gives out bears it.
    pub shard: u16,
    /// T1, T2 and T4.
    pub timings: Timings,
    /// Marks our Call-IDs, so that a 2xx that comes after a restart is known as ours and released.
    pub call_id_key: [u8; 32],
    /// Value of User-Agent in requests and Server in responses; empty: neither is written.
    pub product: String,
    /// Server transactions at once; requests beyond it are dropped and counted.
    pub max_server_transactions: usize,
    /// Requests that one trunk may send us in a second, each repeat counted; others are dropped
    /// and counted.
    pub requests_per_second: u32,
    /// Texts from outside that may wait for our answer, over all trunks; more are told 503.
    pub max_incoming_texts: usize,
    /// How long such a text waits; then it is told 480. Below the 32 s after which the sender
    /// gives it up (RFC 3261 Timer F).
    pub incoming_text_limit: Duration,
    /// Texts of one trunk that may wait for their answer.
    pub max_texts: usize,
    /// REGISTERs that may leave in a second over all trunks when many bindings are lost at once.
    pub registers_per_second: u32,
}

impl Settings {
    /// The defaults of the operator's guide, with the key that marks our Call-IDs.
    pub fn new(call_id_key: [u8; 32]) -> Self {
        Self {
            shard: 0,
            timings: Timings::default(),
            call_id_key,
            product: String::from("Dozvon"),
            max_server_transactions: 4096,
            requests_per_second: 200,
            max_incoming_texts: 256,
            incoming_text_limit: Duration::from_secs(8),
            max_texts: 256,
            registers_per_second: 40,
        }
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("shard", &self.shard)
            .field("timings", &self.timings)
            .field("product", &self.product)
            .finish_non_exhaustive()
    }
}
