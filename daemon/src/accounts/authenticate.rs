//! Finds the key that a request shows.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::accounts::{Network, Scope, Scopes, Token};
use crate::clock::{Clock, Timestamp};
use crate::store::{ApiKey, ApiKeyId, Store, StoreError};

/// How long a key that was read counts as known. A revocation therefore counts after this and
/// one look into the database, well within the promised 2 s.
const KNOWN_FOR: Duration = Duration::from_secs(1);

/// Keys remembered at most; more are forgotten all at once, which costs one read each.
const KNOWN_LIMIT: usize = 4096;

/// How often the use of a key is written down.
const TOUCH_PERIOD: Duration = Duration::from_secs(60);

/// Finds keys, and remembers them for a second.
#[derive(Debug)]
pub struct Authenticator {
    store: Store,
    clock: Clock,
    known: Mutex<HashMap<ApiKeyId, Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    key: Arc<KnownKey>,
    read_at: Timestamp,
    touched_at: Option<Timestamp>,
}

/// A key in the form in which it is asked.
#[derive(Debug)]
pub struct KnownKey {
    stored: ApiKey,
    scopes: Scopes,
    networks: Vec<Network>,
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticateError {
    /// The key is unknown, revoked or expired, or its secret is wrong. Nobody is told which.
    #[error("the key is not valid")]
    Invalid,
    /// The key is valid, but not from this address.
    #[error("the key is not valid from this address")]
    Address,
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Authenticator {
    /// Finds keys in this store.
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, known: Mutex::default() }
    }

    /// The key that a client shows from this address.
    pub async fn authenticate(
        &self,
        token: &Token,
        from: IpAddr,
    ) -> Result<Arc<KnownKey>, AuthenticateError> {
        let key = self.find(token.id()).await?.ok_or(AuthenticateError::Invalid)?;
        let now = self.clock.now();
        // The secret is compared first and in constant time: no other answer may depend on a
        // guess.
        if !token.matches(&key.stored.secret_sha256)
            || key.stored.live != token.live()
            || key.stored.revoked_at.is_some()
            || key.stored.expires_at.is_some_and(|end| end <= now)
        {
            return Err(AuthenticateError::Invalid);
        }
        if !key.networks.is_empty() && !key.networks.iter().any(|network| network.contains(from)) {
            return Err(AuthenticateError::Address);
        }
        self.touch(&key, now).await;
        Ok(key)
    }

    async fn find(&self, id: &ApiKeyId) -> Result<Option<Arc<KnownKey>>, StoreError> {
        let now = self.clock.now();
        let remembered = self.known().get(id).cloned();
        if let Some(known) = &remembered
            && now.since(known.read_at) < KNOWN_FOR
        {
            return Ok(Some(known.key.clone()));
        }
        let Some(stored) = self.store.api_key(id).await? else {
            self.known().remove(id);
            return Ok(None);
        };
        let key = Arc::new(KnownKey::new(stored));
        let touched_at = remembered.and_then(|known| known.touched_at);
        let mut known = self.known();
        if known.len() >= KNOWN_LIMIT {
            known.clear();
        }
        known.insert(id.clone(), Known { key: key.clone(), read_at: now, touched_at });
        Ok(Some(key))
    }

    async fn touch(&self, key: &KnownKey, now: Timestamp) {
        let id = &key.stored.api_key_id;
        {
            let mut known = self.known();
            let Some(known) = known.get_mut(id) else { return };
            if known.touched_at.is_some_and(|at| now.since(at) < TOUCH_PERIOD) {
                return;
            }
            known.touched_at = Some(now);
        }
        if let Err(error) = self.store.touch_api_key(id, now).await {
            tracing::debug!(%error, key = %id, "the use of a key was not written down");
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<ApiKeyId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KnownKey {
    fn new(stored: ApiKey) -> Self {
        // What a newer version wrote and this one does not know gives no right, and a network
        // that cannot be read lets nobody in.
        let scopes = stored.scopes.iter().filter_map(|scope| Scope::parse(scope).ok()).collect();
        let networks = stored
            .networks
            .iter()
            .map(|network| Network::parse(network).unwrap_or(Network::NOWHERE))
            .collect();
        Self { stored, scopes, networks }
    }

    /// By which it is found.
    pub fn id(&self) -> &ApiKeyId {
        &self.stored.api_key_id
    }

    /// The account it sees; `None`: a gateway key.
    pub fn account(&self) -> Option<&str> {
        self.stored.account.as_deref()
    }

    /// False for a test key.
    pub fn live(&self) -> bool {
        self.stored.live
    }

    /// What it may do.
    pub fn scopes(&self) -> Scopes {
        self.scopes
    }
}
