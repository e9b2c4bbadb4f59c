//! Makes, lists and revokes keys; the command line calls this on a store that it opens itself.

use std::time::Duration;

use rand_chacha::ChaCha20Rng;

use crate::accounts::{Network, Scope, Scopes, Token};
use crate::clock::Timestamp;
use crate::store::{ApiKey, ApiKeyId, Store, StoreError};

/// A key that is wished for.
#[derive(Clone, Debug)]
pub struct KeyWish {
    /// The account it sees; `None`: a gateway key.
    pub account: Option<String>,
    /// False for a test key.
    pub live: bool,
    /// What it may do.
    pub scopes: Scopes,
    /// The networks it may be used from; empty: from everywhere.
    pub networks: Vec<Network>,
    /// What its owner calls it.
    pub label: Option<String>,
    /// How long it counts; `None`: without end.
    pub valid_for: Option<Duration>,
}

/// Why no key was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateKeyError {
    /// No scope was wished for.
    #[error("a key needs a scope")]
    NoScope,
    /// A gateway key and an account key have different scopes.
    #[error("{} belongs to a {} key", scope.as_str(), if scope.is_gateway() { "gateway" } else { "account's" })]
    ForeignScope {
        /// The scope that does not fit.
        scope: Scope,
    },
    /// A gateway key sees what is live.
    #[error("a gateway key cannot be a test key")]
    GatewayTestKey,
    /// The database did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a key. The token is in no other place than the answer.
pub async fn create_key(
    store: &Store,
    now: Timestamp,
    rng: &mut ChaCha20Rng,
    wish: KeyWish,
) -> Result<Token, CreateKeyError> {
    if wish.scopes.is_empty() {
        return Err(CreateKeyError::NoScope);
    }
    let gateway = wish.account.is_none();
    if let Some(scope) = wish.scopes.iter().find(|scope| scope.is_gateway() != gateway) {
        return Err(CreateKeyError::ForeignScope { scope });
    }
    if gateway && !wish.live {
        return Err(CreateKeyError::GatewayTestKey);
    }
    let token = Token::draw(rng, wish.live);
    let key = ApiKey {
        api_key_id: token.id().clone(),
        secret_sha256: token.secret_sha256(),
        account: wish.account,
        live: wish.live,
        scopes: wish.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
        networks: wish.networks.iter().map(ToString::to_string).collect(),
        label: wish.label,
        created_at: now,
        expires_at: wish.valid_for.map(|duration| now + duration),
        revoked_at: None,
        last_used_at: None,
    };
    store.create_api_key(key).await?;
    Ok(token)
}

/// All keys, newest first, revoked ones too.
pub async fn list_keys(store: &Store) -> Result<Vec<ApiKey>, StoreError> {
    store.api_keys().await
}

/// Revokes a key; a running daemon refuses it within 2 s. False: there is none with this id.
pub async fn revoke_key(store: &Store, id: &ApiKeyId) -> Result<bool, StoreError> {
    store.revoke_api_key(id).await
}
