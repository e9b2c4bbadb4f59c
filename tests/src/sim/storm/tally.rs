//! What answers a peer of the storm has, and what a storm came to.

/// Statuses of the table of responses.
pub(super) const STATUSES: [u16; 60] = [
    100, 101, 180, 181, 182, 183, 199, 200, 202, 204, 299, 300, 301, 302, 305, 380, 399, 400, 401,
    402, 403, 404, 405, 406, 407, 408, 410, 412, 413, 414, 415, 416, 420, 421, 422, 423, 428, 436,
    480, 481, 482, 483, 484, 486, 487, 488, 491, 494, 499, 500, 501, 502, 503, 504, 505, 513, 600,
    603, 604, 608,
];
/// What may stand in each of them: with the statuses a table of 300 responses.
pub(super) const LINES: [&str; 5] = [
    "Contact: <sip:x@192.0.2.1>\r\n",
    "Reason: Q.850;cause=34\r\nRetry-After: 99999999999\r\nUnsupported: 100rel\r\nMin-SE: 90\r\n",
    "Proxy-Authenticate: Digest realm=\"a\", nonce=\"NONCE\", qop=\"auth\"\r\n\
     WWW-Authenticate: Digest realm=\"b\", nonce=\"NONCE\", algorithm=SHA-256\r\n",
    "Require: 100rel\r\nRSeq: 1\r\nContact: <sip:x@192.0.2.2>\r\nContent-Type: application/sdp\r\n",
    "Record-Route: <sip:203.0.113.9;lr>, <sip:192.0.2.1>\r\nContact: <tel:+7>\r\nExpires: 0\r\n\
     Min-Expires: 4294967295\r\nDiversion: <sip:z@y>\r\n",
];
/// The responses of the table: each status with each of the lines.
pub const RESPONSES: usize = STATUSES.len() * LINES.len();
const WORDS: usize = RESPONSES.div_ceil(64);

/// What a seed came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Storm {
    /// Calls that were placed.
    pub calls: u64,
    /// Messages that left.
    pub packets: u64,
    /// Connections that broke.
    pub breaks: u64,
    /// Connections that could not be opened.
    pub refused: u64,
    /// Answers of the resolver that led nowhere.
    pub lies: u64,
    /// Answers of the resolver that held nothing.
    pub dead_names: u64,
    /// How often everybody slept for up to two hours.
    pub sleeps: u64,
    /// Calls that went to a second target.
    pub failovers: u64,
    /// Voice calls that were up.
    pub talks: u64,
    /// Refusals that were mended.
    pub mended: u64,
    /// Which responses of the table an INVITE got.
    seen: [u64; WORDS],
}

impl Storm {
    /// Adds what another seed came to.
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.packets += other.packets;
        self.breaks += other.breaks;
        self.refused += other.refused;
        self.lies += other.lies;
        self.dead_names += other.dead_names;
        self.sleeps += other.sleeps;
        self.failovers += other.failovers;
        self.talks += other.talks;
        self.mended += other.mended;
        for (mine, theirs) in self.seen.iter_mut().zip(other.seen) {
            *mine |= theirs;
        }
    }

    /// How many responses of the table INVITEs got.
    #[must_use]
    pub fn responses(&self) -> u32 {
        self.seen.iter().map(|word| word.count_ones()).sum()
    }

    pub(super) fn saw_response(&mut self, status: usize, lines: usize) {
        let at = status * LINES.len() + lines;
        self.seen[at / 64] |= 1 << (at % 64);
    }
}
