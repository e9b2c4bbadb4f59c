//! What is remembered of a realm: whether it may ask, and the nonces that it gave.

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;

use super::challenge::Challenge;
use super::credentials::ChallengeKind;
use super::digest::{Algorithm, DigestInput, nonce_count_text};
use crate::hex;

/// How many nonces of one realm are remembered. Servers that give each request its own make
/// older ones worthless; a few are kept so that calls placed at once count apart.
const MAX_NONCES: usize = 8;

/// Most requests in a row that leave without credentials after unasked ones were refused.
const MAX_PAUSE: u8 = 63;

/// Our number for a realm; never used again by the same authenticator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RealmId(pub(super) u32);

/// Our number for a nonce; never used again by the same authenticator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NonceId(pub(super) u32);

/// Why a realm may ask for credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Named by the operator, or learnt when an answer to it was accepted.
    Pinned,
    /// No realm of its kind is pinned yet.
    Candidate,
}

/// A realm that challenged us.
pub(super) struct Realm {
    pub(super) id: RealmId,
    pub(super) kind: ChallengeKind,
    /// As it stood between the quotes.
    pub(super) name: Box<[u8]>,
    pub(super) standing: Standing,
    /// Methods that were challenged and then accepted.
    pub(super) methods: MethodSet,
    /// Oldest first.
    nonces: Vec<Nonce>,
    /// Requests still to be sent without unasked credentials.
    pause: u8,
    /// The pause after the next refusal is above twice this.
    last_pause: u8,
}

/// A nonce with what is needed to answer for it.
pub(super) struct Nonce {
    pub(super) id: NonceId,
    value: Box<[u8]>,
    opaque: Option<Box<[u8]>>,
    algorithm: Algorithm,
    token: Option<Box<[u8]>>,
    qop_auth: bool,
    /// How many requests carried it.
    count: u32,
    /// Our nonce of the session forms, which hash it into the secret once (RFC 7616 section
    /// 3.4.2), so it stays while the server's nonce does.
    session_cnonce: Option<[u8; 32]>,
    /// Whether an answer with it was accepted.
    pub(super) worked: bool,
}

/// The parts of an answer that the realm does not know.
#[derive(Clone, Copy)]
pub(super) struct Answer<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a str,
    pub(super) method: &'a str,
    pub(super) uri: &'a [u8],
}

impl Realm {
    pub(super) fn new(id: RealmId, kind: ChallengeKind, name: &[u8], standing: Standing) -> Self {
        Self {
            id,
            kind,
            name: name.into(),
            standing,
            methods: MethodSet::default(),
            nonces: Vec::new(),
            pause: 0,
            last_pause: 0,
        }
    }

    /// The number of the challenge's nonce: the old one when it is known in the same form.
    pub(super) fn remember(&mut self, challenge: &Challenge<'_>, fresh: NonceId) -> NonceId {
        let known = self.nonces.iter().find(|nonce| {
            *nonce.value == *challenge.nonce
                && nonce.algorithm == challenge.algorithm
                && nonce.qop_auth == challenge.qop_auth
        });
        if let Some(nonce) = known {
            return nonce.id;
        }
        if self.nonces.len() == MAX_NONCES {
            self.nonces.remove(0);
        }
        self.nonces.push(Nonce {
            id: fresh,
            value: challenge.nonce.into(),
            opaque: challenge.opaque.map(Into::into),
            algorithm: challenge.algorithm,
            token: challenge.algorithm_token.map(Into::into),
            qop_auth: challenge.qop_auth,
            count: 0,
            session_cnonce: None,
            worked: false,
        });
        fresh
    }

    pub(super) fn nonce(&mut self, id: NonceId) -> Option<&mut Nonce> {
        self.nonces.iter_mut().find(|nonce| nonce.id == id)
    }

    /// The nonce with this number, else the newest.
    pub(super) fn nonce_or_newest(&self, id: NonceId) -> Option<NonceId> {
        let same = self.nonces.iter().find(|nonce| nonce.id == id);
        same.or(self.nonces.last()).map(|nonce| nonce.id)
    }

    /// The newest nonce that worked, when an unasked answer has good prospects; each call that
    /// finds a pause shortens it.
    pub(super) fn nonce_for_unasked(&mut self, method: &str) -> Option<NonceId> {
        if self.standing != Standing::Pinned || !self.methods.holds(method) {
            return None;
        }
        if self.pause > 0 {
            self.pause -= 1;
            return None;
        }
        self.nonces.iter().rev().find(|nonce| nonce.worked).map(|nonce| nonce.id)
    }

    /// An unasked answer was challenged again: some carriers count that as a failed login, so
    /// the next 1, 3, 7 … 63 requests wait for their challenge.
    pub(super) fn unasked_refused(&mut self) {
        self.last_pause = (self.last_pause * 2 + 1).min(MAX_PAUSE);
        self.pause = self.last_pause;
    }

    pub(super) fn unasked_accepted(&mut self) {
        self.last_pause = 0;
    }

    /// Writes the value of an Authorization or Proxy-Authorization header field for one more
    /// use of the nonce. Nothing is written when the nonce is gone.
    pub(super) fn write_answer(
        &mut self,
        rng: &mut ChaCha20Rng,
        id: NonceId,
        answer: Answer<'_>,
        out: &mut Vec<u8>,
    ) {
        let Some(nonce) = self.nonces.iter_mut().find(|nonce| nonce.id == id) else { return };
        nonce.count = nonce.count.saturating_add(1);
        let cnonce = nonce.cnonce(rng);
        let nonce_count = nonce.qop_auth.then_some(nonce.count);
        let response = DigestInput {
            algorithm: nonce.algorithm,
            user: answer.user.as_bytes(),
            realm: &self.name,
            password: answer.password.as_bytes(),
            nonce: &nonce.value,
            cnonce: &cnonce,
            nonce_count,
            method: answer.method.as_bytes(),
            uri: answer.uri,
        }
        .response();
        out.extend_from_slice(b"Digest username=\"");
        write_escaped(answer.user.as_bytes(), out);
        write_param("\", realm=\"", &self.name, out);
        write_param("\", nonce=\"", &nonce.value, out);
        write_param("\", uri=\"", answer.uri, out);
        write_param("\", response=\"", response.as_bytes(), out);
        out.push(b'"');
        if let Some(token) = &nonce.token {
            write_param(", algorithm=", token, out);
        }
        if let Some(opaque) = &nonce.opaque {
            write_param(", opaque=\"", opaque, out);
            out.push(b'"');
        }
        if nonce_count.is_some() || nonce.algorithm.session {
            write_param(", cnonce=\"", &cnonce, out);
            out.push(b'"');
        }
        if let Some(count) = nonce_count {
            write_param(", qop=auth, nc=", &nonce_count_text(count), out);
        }
    }
}

impl Nonce {
    fn cnonce(&mut self, rng: &mut ChaCha20Rng) -> [u8; 32] {
        if let Some(cnonce) = self.session_cnonce {
            return cnonce;
        }
        let mut bits = [0; 16];
        rng.fill_bytes(&mut bits);
        let mut text = [0; 32];
        hex::write(&bits, &mut text);
        if self.algorithm.session {
            self.session_cnonce = Some(text);
        }
        text
    }
}

/// The methods whose challenges are worth foreseeing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MethodSet(u8);

impl MethodSet {
    pub(super) fn insert(&mut self, method: &str) {
        self.0 |= Self::bit(method);
    }

    pub(super) fn holds(self, method: &str) -> bool {
        self.0 & Self::bit(method) != 0
    }

    fn bit(method: &str) -> u8 {
        match method {
            "REGISTER" => 1,
            "INVITE" => 2,
            "MESSAGE" => 4,
            _ => 0,
        }
    }
}

fn write_param(before: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(before.as_bytes());
    out.extend_from_slice(value);
}

fn write_escaped(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
}
