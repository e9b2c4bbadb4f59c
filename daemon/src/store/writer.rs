//! The one task that writes: it takes all requests that wait, runs them in one transaction and
//! answers each after the commit.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::store::StoreError;
use crate::store::backend::{Backend, BatchError, Core};
use crate::store::changes::Changed;
use crate::store::request::Request;

/// Requests that may wait. Above it callers are told at once that there is no room: at the rates
/// measured it is a fifth of a second of work.
pub(crate) const QUEUE: usize = 2_048;
/// Requests of one transaction: large enough to share a sync of the disk, small enough that the
/// last one does not wait long for the first.
const BATCH: usize = 512;
/// How often a batch is repeated because another writer was quicker, before it is halved.
const REPEATS: u32 = 3;

/// What was committed since the start.
#[derive(Debug, Default)]
pub(crate) struct Written {
    batches: AtomicU64,
    requests: AtomicU64,
    rows: AtomicU64,
}

impl Written {
    fn count(&self, requests: usize, rows: usize) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.requests.fetch_add(requests as u64, Ordering::Relaxed);
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
    }

    pub(crate) fn statistics(&self, waiting: usize) -> Statistics {
        Statistics {
            batches: self.batches.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
            rows: self.rows.load(Ordering::Relaxed),
            waiting: waiting as u64,
        }
    }
}

/// The writer's figures, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Transactions that were committed since the start.
    pub batches: u64,
    /// Requests in them.
    pub requests: u64,
    /// Rows that they inserted, changed or deleted, housekeeping apart.
    pub rows: u64,
    /// Requests that wait for the writer.
    pub waiting: u64,
}

/// The writer task's own matter.
pub(crate) struct Writer {
    pub(crate) backend: Backend,
    pub(crate) core: Core,
    pub(crate) changed: Changed,
    pub(crate) written: Arc<Written>,
    pub(crate) closing: CancellationToken,
}

impl Writer {
    /// Writes until it is told to close, then what still waits.
    pub(crate) async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                biased;
                () = self.closing.cancelled(), if !requests.is_closed() => requests.close(),
                count = requests.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        break;
                    }
                    // Housekeeping may wait for locks or fail, and nobody else for it.
                    let is_chore = |request: &mut Request| matches!(request, Request::Chore(_));
                    let chores: Vec<_> = batch.extract_if(.., is_chore).collect();
                    self.write(std::mem::take(&mut batch)).await;
                    for chore in chores {
                        self.write(vec![chore]).await;
                    }
                }
            }
        }
        self.changed.close();
        self.backend.close().await;
    }

    /// Writes one batch; where a row is at fault, halves of it until that row is alone.
    async fn write(&mut self, batch: Vec<Request>) {
        let mut parts = VecDeque::from([batch]);
        while let Some(mut part) = parts.pop_front() {
            if part.is_empty() {
                continue;
            }
            match self.repeat(&mut part).await {
                Ok(()) => part.into_iter().for_each(|request| request.finish(None)),
                Err(BatchError::Row(..) | BatchError::Conflict(_)) if part.len() > 1 => {
                    let second = part.split_off(part.len() / 2);
                    parts.push_front(second);
                    parts.push_front(part);
                }
                Err(error) => {
                    let failure = failure(&error, part.len());
                    part.into_iter().for_each(|request| request.finish(Some(failure)));
                }
            }
        }
    }

    async fn repeat(&mut self, part: &mut [Request]) -> Result<(), BatchError> {
        let mut repeats = 0;
        loop {
            match self.backend.transact(&mut self.core, part).await {
                Ok(committed) => {
                    self.written.count(part.len(), committed.rows);
                    self.changed.tell(&committed.changes);
                    if committed.announced {
                        self.core.announcer.wake();
                    }
                    return Ok(());
                }
                Err(BatchError::Conflict(_)) if repeats < REPEATS => repeats += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

/// Logs why requests failed, and says it in the words of the interface.
fn failure(error: &BatchError, requests: usize) -> StoreError {
    match error {
        BatchError::Row(failure, cause) => {
            tracing::error!(cause, "a row was refused");
            *failure
        }
        BatchError::Conflict(cause) => {
            tracing::error!(%cause, "a row was refused again and again");
            StoreError::Rejected
        }
        BatchError::Lost(cause) => {
            tracing::warn!(%cause, requests, "the database is not there, nothing was stored");
            StoreError::Unavailable
        }
        BatchError::Unavailable(cause) => {
            tracing::warn!(cause, requests, "the database refuses writes, nothing was stored");
            StoreError::Unavailable
        }
        BatchError::OutcomeUnknown(cause) => {
            tracing::error!(cause, requests, "it is not known whether a batch was stored");
            StoreError::OutcomeUnknown
        }
    }
}
