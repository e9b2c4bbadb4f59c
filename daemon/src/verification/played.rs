//! Calls that nobody places: each can be hung up while it is played, as one that is placed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::ids::CallId;

/// The calls that are played at this moment.
#[derive(Debug, Default)]
pub struct PlayedCalls(Mutex<HashMap<CallId, CancellationToken>>);

impl PlayedCalls {
    /// Notes a call that begins. What is answered is cancelled when the call is hung up.
    pub fn begin(&self, call_id: CallId) -> CancellationToken {
        self.calls().entry(call_id).or_default().clone()
    }

    /// Forgets a call that has ended.
    pub fn end(&self, call_id: CallId) {
        self.calls().remove(&call_id);
    }

    /// Hangs a call up; nothing when none with this id is played.
    pub fn hang_up(&self, call_id: CallId) {
        if let Some(hung_up) = self.calls().get(&call_id) {
            hung_up.cancel();
        }
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<CallId, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
