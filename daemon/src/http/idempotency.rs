//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): which key a request carries,
//! and which keys are being worked on in this process.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use serde_json::Value;

use super::body::canonical;
use super::error::{Code, Problem};
use crate::accounts::ActingAccount;
use crate::app::App;
use crate::store::{Idempotency, Replay, StoredResponse};

/// Longest key, in bytes.
const KEY_LIMIT: usize = 255;

/// The key of a request, if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(pub Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all("idempotency-key").iter();
        let Some(value) = values.next() else { return Ok(Self(None)) };
        let text = value.to_str().ok().filter(|_| values.next().is_none());
        match text.and_then(unquoted) {
            Some(key) => Ok(Self(Some(key))),
            None => Err(Problem::new(Code::BadHeader)
                .detail("Idempotency-Key is one text of 1 to 255 visible ASCII characters.")),
        }
    }
}

/// The draft wants a quoted string (RFC 8941 section 3.3.3); most clients leave the quotes out.
fn unquoted(text: &str) -> Option<String> {
    let text = text.trim();
    let key = match text.strip_prefix('"') {
        Some(rest) => unescaped(rest.strip_suffix('"')?)?,
        None => text.to_owned(),
    };
    let fits = (1..=KEY_LIMIT).contains(&key.len());
    (fits && key.bytes().all(|byte| (0x20..0x7f).contains(&byte))).then_some(key)
}

fn unescaped(text: &str) -> Option<String> {
    let mut key = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => key.push(characters.next().filter(|next| matches!(next, '"' | '\\'))?),
            '"' => return None,
            plain => key.push(plain),
        }
    }
    Some(key)
}

/// The keys of requests that this process is working on.
#[derive(Clone, Debug, Default)]
pub struct Running(Arc<Mutex<HashSet<[u8; 32]>>>);

/// Holds a key until the work is done, also when it fails or panics.
#[derive(Debug)]
pub struct RunningGuard {
    running: Running,
    key: [u8; 32],
}

impl Running {
    /// Takes a key (its HMAC); `None`: a request with it is being worked on.
    pub fn take(&self, key: [u8; 32]) -> Option<RunningGuard> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        taken.then(|| RunningGuard { running: self.clone(), key })
    }
}

impl Drop for RunningGuard {
    fn drop(&mut self) {
        self.running.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// What a request does about its key before anything else.
#[derive(Debug)]
pub enum Idempotent {
    /// It was done before: this is its answer.
    Replayed(StoredResponse),
    /// It is to be done; the guard is held until it is.
    Go(Option<RunningGuard>, Option<Begun>),
}

/// A request with a key that nobody used before.
#[derive(Clone, Debug)]
pub struct Begun {
    key: String,
    request: Vec<u8>,
}

impl Idempotent {
    /// Asks for an earlier answer. `request` is method and path.
    pub async fn begin(
        app: &App,
        account: &ActingAccount,
        key: IdempotencyKey,
        request: &str,
        body: &Value,
    ) -> Result<Self, Problem> {
        let Some(key) = key.0 else { return Ok(Self::Go(None, None)) };
        // A test key's requests are another world.
        let key = if account.live { key } else { format!("test/{key}") };
        let request = format!("{request}\n{}", canonical(body)).into_bytes();
        let name = account.name.as_str();
        let running = app.keys().text_hmac("running", &[name.as_bytes(), key.as_bytes()]);
        let in_use = || Problem::new(Code::IdempotencyKeyInUse);
        let guard = app.running().take(running).ok_or_else(in_use)?;
        match app.store().replay(name, &key, &request).await? {
            Replay::Fresh => Ok(Self::Go(Some(guard), Some(Begun { key, request }))),
            Replay::Response(response) => Ok(Self::Replayed(response)),
            Replay::OtherRequest => Err(Problem::new(Code::IdempotencyKeyReused)),
        }
    }
}

impl Begun {
    /// What the store is to keep: `render` makes the answer from what is about to be committed.
    pub fn render<T>(
        self,
        render: impl Fn(&T) -> Option<StoredResponse> + Send + Sync + 'static,
    ) -> Idempotency<T> {
        Idempotency { key: self.key, request: self.request, render: Arc::new(render) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_be_quoted_or_not_and_is_the_same() {
        assert_eq!(unquoted("order-17"), Some("order-17".to_owned()));
        assert_eq!(unquoted("\"order-17\""), Some("order-17".to_owned()));
        assert_eq!(unquoted(r#""a\"b\\c""#), Some(r#"a"b\c"#.to_owned()));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = "x".repeat(256);
        for text in ["", "\"\"", "\"open", "\"a\"b\"", r#""a\n""#, "ключ", &long] {
            assert_eq!(unquoted(text), None, "{text}");
        }
    }

    #[test]
    fn a_running_key_is_free_again_when_its_work_ends() {
        let running = Running::default();
        let guard = running.take([1; 32]).unwrap();
        assert!(running.take([1; 32]).is_none());
        assert!(running.take([2; 32]).is_some());
        drop(guard);
        assert!(running.take([1; 32]).is_some());
    }
}
