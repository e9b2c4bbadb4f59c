//! Connections that rest between two letters.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::mail::conversation::Conversation;

/// A connection that rested for longer is let go: servers close idle ones after five minutes
/// (RFC 5321 section 4.5.3.2.7), and many much sooner.
const REST_LIMIT: Duration = Duration::from_secs(30);

/// At most as many as there are places, for each was one's before it came to rest.
#[derive(Default)]
pub(super) struct Pool(Mutex<Vec<(Instant, Conversation)>>);

impl Pool {
    /// The one that was used last, if it did not rest for too long.
    pub(super) fn take(&self) -> Option<Conversation> {
        let mut resting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        resting.retain(|(since, _)| since.elapsed() < REST_LIMIT);
        resting.pop().map(|(_, conversation)| conversation)
    }

    pub(super) fn put(&self, conversation: Conversation) {
        let mut resting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        resting.push((Instant::now(), conversation));
    }
}
