//! What the user agent counts and does not tell.

/// Totals since the user agent was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets from addresses that belong to no trunk. Nothing was read of them.
    pub strangers: u64,
    /// Packets that only keep a NAT binding open.
    pub keep_alives: u64,
    /// Requests and responses that could not be read and got no answer.
    pub unreadable: u64,
    /// Responses that belong to no transaction of ours, forged ones too.
    pub stray_responses: u64,
    /// 2xx to INVITEs of an earlier process, which were ACKed and BYEd.
    pub released_strays: u64,
    /// 2xx with a To tag above the number of forks that one call may have.
    pub forks_refused: u64,
    /// Requests that were answered.
    pub requests_answered: u64,
    /// Calls and texts from a known address that no trunk's `inbound` lets in; they were told 404.
    pub unmatched: u64,
    /// Calls that were told to the daemon.
    pub incoming_calls: u64,
    /// Texts that were told to the daemon.
    pub incoming_texts: u64,
    /// Texts that nobody answered in time; they were told 480.
    pub texts_unanswered: u64,
    /// Requests above a trunk's rate, dropped.
    pub requests_over_rate: u64,
    /// Requests that found no free server transaction, dropped.
    pub server_transactions_full: u64,
    /// Answers that were not sent because they would have been much larger than the request.
    pub answers_too_large: u64,
    /// Requests that were sent again because no answer came.
    pub retransmissions: u64,
    /// INVITEs over UDP that were larger than 1300 bytes (RFC 3261 section 18.1.1).
    pub large_invites: u64,
    /// INVITEs that went to another target of their trunk because one failed.
    pub failovers: u64,
    /// INVITEs and texts that were sent once more as a 413, 420, 421, 422 or 513 asked.
    pub refusals_mended: u64,
    /// Challenges that were not answered.
    pub challenges_refused: u64,
    /// Messages that could not be built from what a file or the far side gave.
    pub unbuildable: u64,
}
