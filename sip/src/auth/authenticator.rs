//! Which challenges of a trunk are answered, and how often.

use rand_chacha::ChaCha20Rng;

use crate::number::Secret;
use crate::trunk::{DigestAlgorithm, TrunkSettings};

use super::challenge::{Challenge, Challenges};
use super::credentials::{ChallengeKind, Credentials, Entry};
use super::params::means;
use super::realm::{Answer, NonceId, Realm, RealmId, Standing};

/// Answers to one realm for one request.
const MAX_ANSWERS_FOR_A_REALM: u8 = 2;
/// Answers to all realms for one request; one answer may hold several realms' values.
const MAX_ANSWERS_FOR_A_REQUEST: u8 = 3;
/// Realms that are remembered beyond those pinned, and realms answered at once.
const MAX_REALMS: usize = 8;

/// The request that is challenged.
#[derive(Clone, Copy, Debug)]
pub struct AuthRequest<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its request URI, as written.
    pub uri: &'a str,
    /// Whether it belongs to a dialog (a BYE): then only pinned realms are answered.
    pub in_dialog: bool,
}

/// Why a challenge is not answered. Nothing was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The trunk has no password, or a user name that no header field can hold.
    #[error("the trunk has no credentials")]
    NoCredentials,
    /// No Digest challenge with an algorithm that is known and allowed.
    #[error("no challenge that can be answered")]
    NoUsableChallenge,
    /// Another realm than the pinned one asks.
    #[error("a realm that is not the trunk's asks for credentials")]
    ForeignRealm,
    /// Only MD5 is offered where a stronger algorithm was offered before.
    #[error("only md5 is offered where a stronger algorithm was offered before")]
    Downgrade,
    /// The same nonce again: the answer was wrong.
    #[error("the answer was refused")]
    Refused,
    /// The limits of answers for a realm or for a request are reached.
    #[error("challenged again and again")]
    TooManyAnswers,
}

/// A trunk's secret and what was learnt about those who ask for it.
///
/// It relies on its caller for one thing: a response is handed to it only when it came from an
/// address of the trunk.
pub struct Authenticator {
    user: String,
    password: Option<Secret>,
    configured_realms: Vec<String>,
    algorithms: Vec<DigestAlgorithm>,
    md5_is_named: bool,
    /// The strongest algorithm that a realm we may answer has offered.
    strongest_seen: DigestAlgorithm,
    realms: Vec<Realm>,
    next_id: u32,
}

impl Authenticator {
    /// For a trunk that has not been challenged yet.
    pub fn new(settings: &TrunkSettings) -> Self {
        let printable = !settings.auth_user.bytes().any(|byte| byte < b' ' || byte == 0x7f);
        Self {
            user: settings.auth_user.clone(),
            password: settings.password.clone().filter(|_| printable),
            configured_realms: settings.realms.clone(),
            algorithms: settings.digest.clone(),
            md5_is_named: settings.md5_is_named || settings.digest == [DigestAlgorithm::Md5],
            strongest_seen: DigestAlgorithm::Md5,
            realms: Vec::new(),
            next_id: 0,
        }
    }

    /// Takes changed settings; what was learnt is kept unless it was learnt with others.
    pub fn update(&mut self, settings: &TrunkSettings) {
        let fresh = Self::new(settings);
        let same = self.user == fresh.user
            && self.password == fresh.password
            && self.configured_realms == fresh.configured_realms
            && self.algorithms == fresh.algorithms
            && self.md5_is_named == fresh.md5_is_named;
        if !same {
            *self = fresh;
        }
    }

    /// Fills empty `credentials` before the request was ever sent, when a realm has challenged
    /// this method before and its last nonce worked. Saves the round of a challenge.
    pub fn foresee(
        &mut self,
        rng: &mut ChaCha20Rng,
        request: AuthRequest<'_>,
        credentials: &mut Credentials,
    ) {
        debug_assert!(credentials.is_empty(), "only a request that was not answered for yet");
        if self.password.is_none() {
            return;
        }
        for realm in &mut self.realms {
            let Some(nonce) = realm.nonce_for_unasked(request.method) else { continue };
            credentials.entries.push(Entry {
                realm: realm.id,
                kind: realm.kind,
                nonce,
                answers: 1,
                unasked: true,
                end: 0,
            });
        }
        if !credentials.is_empty() {
            credentials.rounds = 1;
            self.write(rng, request, credentials);
        }
    }

    /// Answers a 401 or 407. `challenges` are the values of all its WWW-Authenticate and
    /// Proxy-Authenticate header fields. On success `credentials` hold the values for the
    /// request that is to be sent; on an error they are as before.
    pub fn answer<'c>(
        &mut self,
        rng: &mut ChaCha20Rng,
        challenges: impl Iterator<Item = (ChallengeKind, &'c [u8])>,
        request: AuthRequest<'_>,
        credentials: &mut Credentials,
    ) -> Result<(), AnswerError> {
        if self.password.is_none() {
            return Err(AnswerError::NoCredentials);
        }
        let chosen = self.choose(challenges, request.in_dialog)?;
        let mut changed = credentials.clone();
        changed.rounds = changed.rounds.saturating_add(1);
        for (kind, challenge) in &chosen {
            let realm = self.realm_index(*kind, challenge);
            let realm = &mut self.realms[realm];
            let fresh = NonceId(self.next_id);
            let nonce = realm.remember(challenge, fresh);
            self.next_id += u32::from(nonce == fresh);
            let Some(entry) = changed.entries.iter_mut().find(|one| one.realm == realm.id) else {
                let (realm, kind) = (realm.id, *kind);
                changed.entries.push(Entry {
                    realm,
                    kind,
                    nonce,
                    answers: 1,
                    unasked: false,
                    end: 0,
                });
                continue;
            };
            if entry.nonce == nonce && !challenge.stale && !entry.unasked {
                return Err(AnswerError::Refused);
            }
            let worked = realm.nonce(entry.nonce).is_some_and(|old| old.worked);
            changed.excused |= challenge.stale || worked && entry.nonce != nonce;
            if entry.unasked {
                realm.unasked_refused();
            }
            entry.answers = entry.answers.saturating_add(1);
            entry.unasked = false;
            entry.nonce = nonce;
        }
        let most_answers = changed.entries.iter().map(|entry| entry.answers).max().unwrap_or(0);
        let excuse = u8::from(changed.excused);
        if changed.rounds > MAX_ANSWERS_FOR_A_REQUEST + excuse
            || most_answers > MAX_ANSWERS_FOR_A_REALM + excuse
        {
            return Err(AnswerError::TooManyAnswers);
        }
        *credentials = changed;
        self.write(rng, request, credentials);
        Ok(())
    }

    /// Writes `credentials` anew for a request that is repeated for another reason than a
    /// challenge: each nonce with its next count.
    pub fn repeat(
        &mut self,
        rng: &mut ChaCha20Rng,
        request: AuthRequest<'_>,
        credentials: &mut Credentials,
    ) {
        if !credentials.is_empty() {
            self.write(rng, request, credentials);
        }
    }

    /// Takes note of a response to a request that carried `credentials`: one that shows that
    /// they were accepted pins their realms. May be called for each response.
    pub fn settled(&mut self, method: &str, credentials: &Credentials, status: u16) {
        if !shows_acceptance(status) {
            return;
        }
        for entry in &credentials.entries {
            let Some(at) = self.realms.iter().position(|realm| realm.id == entry.realm) else {
                continue;
            };
            let pinned = self.pinned(entry.kind);
            let realm = &mut self.realms[at];
            if realm.standing == Standing::Candidate && pinned {
                // Another realm of this kind was pinned while this answer was under way.
                continue;
            }
            realm.standing = Standing::Pinned;
            realm.methods.insert(method);
            if entry.unasked {
                realm.unasked_accepted();
            }
            if let Some(nonce) = realm.nonce(entry.nonce) {
                nonce.worked = true;
            }
        }
    }

    /// The challenges to answer: for each realm that may ask, the strongest that is allowed.
    fn choose<'c>(
        &mut self,
        values: impl Iterator<Item = (ChallengeKind, &'c [u8])>,
        in_dialog: bool,
    ) -> Result<Vec<(ChallengeKind, Challenge<'c>)>, AnswerError> {
        let mut chosen: Vec<(ChallengeKind, Challenge<'c>)> = Vec::new();
        let mut reason = AnswerError::NoUsableChallenge;
        let all = values.flat_map(|(kind, value)| Challenges::new(value).map(move |it| (kind, it)));
        for (kind, challenge) in all {
            let open = self.is_open(kind);
            if !(self.may_ask(kind, challenge.realm) || open && !in_dialog) {
                reason = AnswerError::ForeignRealm;
                continue;
            }
            if !self.algorithms.contains(&challenge.algorithm.hash) {
                continue;
            }
            self.strongest_seen = self.strongest_seen.max(challenge.algorithm.hash);
            let room = chosen.len() < MAX_REALMS;
            // While no realm is pinned, one of each kind is tried.
            let rival = chosen.iter_mut().find(|(other_kind, other)| {
                *other_kind == kind && (open || other.realm == challenge.realm)
            });
            match rival {
                Some((_, other)) if other.algorithm.hash >= challenge.algorithm.hash => {}
                Some((_, other)) => *other = challenge,
                None if room => chosen.push((kind, challenge)),
                None => {}
            }
        }
        let before = chosen.len();
        chosen.retain(|(_, challenge)| !self.is_downgrade(challenge));
        match (chosen.is_empty(), before) {
            (false, _) => Ok(chosen),
            (true, 0) => Err(reason),
            (true, _) => Err(AnswerError::Downgrade),
        }
    }

    fn is_downgrade(&self, challenge: &Challenge<'_>) -> bool {
        challenge.algorithm.hash == DigestAlgorithm::Md5
            && self.strongest_seen > DigestAlgorithm::Md5
            && !self.md5_is_named
    }

    /// Whether the operator named this realm, or one answer to it was accepted.
    fn may_ask(&self, kind: ChallengeKind, realm: &[u8]) -> bool {
        self.configured_realms.iter().any(|name| means(realm, name.as_bytes()))
            || self.realms.iter().any(|known| {
                known.kind == kind && known.standing == Standing::Pinned && *known.name == *realm
            })
    }

    /// Whether any realm may ask, because none is pinned.
    fn is_open(&self, kind: ChallengeKind) -> bool {
        self.configured_realms.is_empty() && !self.pinned(kind)
    }

    fn pinned(&self, kind: ChallengeKind) -> bool {
        self.realms.iter().any(|one| one.kind == kind && one.standing == Standing::Pinned)
            && self.configured_realms.is_empty()
    }

    /// Where the challenge's realm is remembered; a new one takes the oldest candidate's place.
    fn realm_index(&mut self, kind: ChallengeKind, challenge: &Challenge<'_>) -> usize {
        let known = self
            .realms
            .iter()
            .position(|realm| realm.kind == kind && *realm.name == *challenge.realm);
        if let Some(at) = known {
            return at;
        }
        let standing = match self.may_ask(kind, challenge.realm) {
            true => Standing::Pinned,
            false => Standing::Candidate,
        };
        if self.realms.len() >= MAX_REALMS
            && let Some(oldest) =
                self.realms.iter().position(|realm| realm.standing == Standing::Candidate)
        {
            self.realms.remove(oldest);
        }
        let id = RealmId(self.next_id);
        self.next_id += 1;
        self.realms.push(Realm::new(id, kind, challenge.realm, standing));
        self.realms.len() - 1
    }

    /// Writes all values anew, each with the next count of its nonce.
    fn write(
        &mut self,
        rng: &mut ChaCha20Rng,
        request: AuthRequest<'_>,
        credentials: &mut Credentials,
    ) {
        let Some(password) = &self.password else { return };
        let answer = Answer {
            user: &self.user,
            password: password.reveal(),
            method: request.method,
            uri: request.uri.as_bytes(),
        };
        credentials.values.clear();
        for entry in &mut credentials.entries {
            let realm = self.realms.iter_mut().find(|realm| realm.id == entry.realm);
            if let Some(realm) = realm
                && let Some(nonce) = realm.nonce_or_newest(entry.nonce)
            {
                entry.nonce = nonce;
                realm.write_answer(rng, nonce, answer, &mut credentials.values);
            }
            entry.end = credentials.values.len() as u32;
        }
        // They are kept as long as the call rings, and thousands may.
        credentials.values.shrink_to_fit();
        credentials.entries.shrink_to_fit();
    }
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator")
            .field("realms", &self.realms.len())
            .field("strongest_seen", &self.strongest_seen)
            .finish_non_exhaustive()
    }
}

/// Whether this status cannot have come from the one who asked for credentials and refused
/// them: progress with the callee, success, or an end on the callee's side.
fn shows_acceptance(status: u16) -> bool {
    matches!(status, 101..=299 | 404 | 410 | 480 | 484 | 486 | 487 | 488 | 600..=699)
}
