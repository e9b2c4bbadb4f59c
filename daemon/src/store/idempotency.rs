//! `Idempotency-Key`: a repeated request gets the very bytes that the first one got.

use std::fmt;
use std::sync::Arc;

/// A response as it is kept (sealed, for it holds a full number) and sent again.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredResponse {
    /// The HTTP status.
    pub status: u16,
    /// Header field values that belong to the body, such as Location.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl fmt::Debug for StoredResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Renders the response from what is about to be committed. It may be called again when a batch
/// has to be repeated, so it must give the same bytes for the same value.
type Render<T> = Arc<dyn Fn(&T) -> Option<StoredResponse> + Send + Sync>;

/// What a request with an `Idempotency-Key` brings along. Kept for 24 hours for its account.
#[derive(Clone)]
pub struct Idempotency<T> {
    /// The client's key; the store keeps an HMAC of it.
    pub key: String,
    /// Method, path and canonical body; the store keeps an HMAC of it.
    pub request: Vec<u8>,
    /// Renders the response inside the transaction; `None`: this answer is not kept.
    pub render: Render<T>,
}

impl<T> fmt::Debug for Idempotency<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Idempotency(***)")
    }
}

/// What is known of an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// Nothing: go on.
    Fresh,
    /// The same request was answered with this.
    Response(StoredResponse),
    /// The key was used for another request.
    OtherRequest,
}
