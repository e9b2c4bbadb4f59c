//! Who waits for the next version of a verification or a text.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::store::batch::Changes;

/// The rows that somebody watches. Only these cost anything when they change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changed(Arc<Mutex<Watched>>);

#[derive(Debug)]
enum Watched {
    Open(HashMap<u128, watch::Sender<u32>>),
    Closed,
}

impl Default for Watched {
    fn default() -> Self {
        Self::Open(HashMap::new())
    }
}

impl Changed {
    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn watch(&self, id: u128) -> VersionWatch {
        let versions = match &mut *self.lock() {
            Watched::Open(senders) => senders.entry(id).or_default().subscribe(),
            // The sender is dropped at once: whoever waits is told that there is nothing to come.
            Watched::Closed => watch::channel(0).1,
        };
        VersionWatch { id, versions: Some(versions), changed: self.clone() }
    }

    /// Tells those who wait, after the commit.
    pub(crate) fn tell(&self, changes: &Changes) {
        if let Watched::Open(senders) = &*self.lock() {
            for (id, &version) in changes {
                if let Some(sender) = senders.get(id) {
                    sender.send_replace(version);
                }
            }
        }
    }

    /// Nothing will change any more: lets everybody go.
    pub(crate) fn close(&self) {
        *self.lock() = Watched::Closed;
    }

    fn forget_unwatched(&self, id: u128) {
        if let Watched::Open(senders) = &mut *self.lock()
            && senders.get(&id).is_some_and(|sender| sender.receiver_count() == 0)
        {
            senders.remove(&id);
        }
    }
}

/// Tells the versions of one row that were committed since it was asked for.
#[derive(Debug)]
pub struct VersionWatch {
    id: u128,
    /// Taken only when this is dropped.
    versions: Option<watch::Receiver<u32>>,
    changed: Changed,
}

impl VersionWatch {
    /// Waits until a version above `version` was committed by this process, or the store is
    /// closed. Cancel-safe. A change that another process commits is not told.
    pub async fn above(&mut self, version: u32) {
        if let Some(versions) = &mut self.versions {
            // An error: the store is closed, and there is nothing to wait for.
            let _ = versions.wait_for(|&committed| committed > version).await;
        }
    }
}

impl Drop for VersionWatch {
    fn drop(&mut self) {
        self.versions = None;
        self.changed.forget_unwatched(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(changed: &Changed) -> usize {
        match &*changed.lock() {
            Watched::Open(senders) => senders.len(),
            Watched::Closed => 0,
        }
    }

    #[tokio::test]
    async fn a_version_told_before_the_wait_is_not_missed() {
        let changed = Changed::default();
        let mut watch = changed.watch(1);
        changed.tell(&Changes::from([(1, 3), (2, 9)]));
        watch.above(2).await;
        let mut late = changed.watch(1);
        late.above(2).await;
    }

    #[tokio::test]
    async fn what_nobody_watches_is_forgotten_and_closing_lets_all_go() {
        let changed = Changed::default();
        let first = changed.watch(1);
        let second = changed.watch(1);
        drop(first);
        assert_eq!(count(&changed), 1);
        drop(second);
        assert_eq!(count(&changed), 0);
        let mut waiting = changed.watch(1);
        changed.close();
        waiting.above(7).await;
        changed.watch(1).above(7).await;
    }
}
