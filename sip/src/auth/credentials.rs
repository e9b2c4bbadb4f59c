//! The answers that one request carries.

use super::realm::{NonceId, RealmId};
use crate::message::{HeaderName, Message};

/// Which of the two kinds of challenge a server sent; the answer goes into the header field of
/// the same kind (RFC 3261 section 22).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChallengeKind {
    /// WWW-Authenticate, status 401, answered in Authorization.
    Server,
    /// Proxy-Authenticate, status 407, answered in Proxy-Authorization.
    Proxy,
}

impl ChallengeKind {
    /// The header field that carries the challenge.
    pub fn challenge_header(self) -> HeaderName {
        match self {
            Self::Server => HeaderName::WwwAuthenticate,
            Self::Proxy => HeaderName::ProxyAuthenticate,
        }
    }

    /// The header field that carries the answer.
    pub fn answer_header(self) -> HeaderName {
        match self {
            Self::Server => HeaderName::Authorization,
            Self::Proxy => HeaderName::ProxyAuthorization,
        }
    }
}

/// The raw values of every challenge of a response, for [`super::Authenticator::answer`].
pub fn challenges<'a>(
    response: &Message<'a>,
) -> impl Iterator<Item = (ChallengeKind, &'a [u8])> + use<'a> {
    let headers = response.headers;
    [ChallengeKind::Server, ChallengeKind::Proxy].into_iter().flat_map(move |kind| {
        headers.lines(kind.challenge_header()).map(move |value| (kind, value.bytes()))
    })
}

/// What one request carries to prove who sends it, and how often it was challenged. Starts
/// empty; kept as long as the request may be challenged or, for an INVITE, acknowledged: the ACK
/// of a 2xx repeats these values (RFC 3261 section 13.2.2.4).
#[derive(Clone, Default)]
pub struct Credentials {
    /// How often the request was answered for, in all realms together.
    pub(super) rounds: u8,
    /// Whether one answer more than the limits is due: a nonce was stale, or had worked.
    pub(super) excused: bool,
    pub(super) entries: Vec<Entry>,
    pub(super) values: Vec<u8>,
}

/// One realm's part of [`Credentials`].
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) realm: RealmId,
    pub(super) kind: ChallengeKind,
    /// The nonce last answered.
    pub(super) nonce: NonceId,
    pub(super) answers: u8,
    /// Whether the last answer was given before it was asked for.
    pub(super) unasked: bool,
    /// Where the written value ends in `values`.
    pub(super) end: u32,
}

impl Credentials {
    /// The values to be written, each with the kind of header field it belongs in.
    pub fn values(&self) -> impl Iterator<Item = (ChallengeKind, &[u8])> {
        let mut start = 0;
        self.entries.iter().map(move |entry| {
            let value = &self.values[start..entry.end as usize];
            start = entry.end as usize;
            (entry.kind, value)
        })
    }

    /// Whether the request carries nothing yet.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("rounds", &self.rounds).finish_non_exhaustive()
    }
}
