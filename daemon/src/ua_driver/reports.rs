//! Who waits for which call and text.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use sip::{CallHandle, CallOutcome, CallSummary, MessageHandle, RemoteMedia, SavedDialog};
use tokio::sync::{oneshot, watch};

use super::{CallEnd, CallProgress, MessageEnd};
use crate::ids::CallId;

/// An abandoned call may still ring until Timer B, 64·T1 after its INVITE.
const LATE_RING: Duration = Duration::from_secs(33);
/// Abandoned calls that are remembered for it; the oldest are forgotten first.
const LATE_LIMIT: usize = 10_000;

/// One call's listeners.
#[derive(Debug)]
struct CallListener {
    call_id: CallId,
    trunk: usize,
    progress: watch::Sender<CallProgress>,
    ended: oneshot::Sender<CallEnd>,
}

/// Everybody who waits for an end. An entry is made before its request leaves and removed
/// with its end, so the table holds exactly what is up.
#[derive(Debug, Default)]
pub(super) struct Reports {
    calls: HashMap<CallHandle, CallListener>,
    handles: HashMap<CallId, CallHandle>,
    messages: HashMap<MessageHandle, oneshot::Sender<MessageEnd>>,
    interrupted: HashMap<CallHandle, oneshot::Sender<Option<u16>>>,
    /// Calls that ended without a final answer, and until when they may still ring.
    abandoned: VecDeque<(Instant, CallHandle, watch::Sender<CallProgress>)>,
}

impl Reports {
    pub(super) fn call_placed(
        &mut self,
        handle: CallHandle,
        call_id: CallId,
        trunk: usize,
        progress: watch::Sender<CallProgress>,
        ended: oneshot::Sender<CallEnd>,
    ) {
        self.handles.insert(call_id, handle);
        self.calls.insert(handle, CallListener { call_id, trunk, progress, ended });
    }

    pub(super) fn handle(&self, call_id: CallId) -> Option<CallHandle> {
        self.handles.get(&call_id).copied()
    }

    /// The place of the call's trunk.
    pub(super) fn trunk(&self, handle: CallHandle) -> Option<usize> {
        self.calls.get(&handle).map(|listener| listener.trunk)
    }

    /// Changes what is known of a call; listeners see the latest.
    pub(super) fn progress(&self, handle: CallHandle, change: impl FnOnce(&mut CallProgress)) {
        if let Some(listener) = self.calls.get(&handle) {
            listener.progress.send_modify(change);
        }
    }

    /// An answered call stays up.
    pub(super) fn answered(
        &self,
        handle: CallHandle,
        media: RemoteMedia,
        dialog: Option<SavedDialog>,
    ) {
        self.progress(handle, |progress| {
            progress.media = Some(media);
            progress.dialog = dialog;
        });
    }

    /// The far side of a call that is up has moved.
    pub(super) fn moved(&self, handle: CallHandle, dialog: SavedDialog) {
        self.progress(handle, |progress| progress.dialog = Some(dialog));
    }

    /// Tells the end.
    pub(super) fn call_ended(&mut self, now: Instant, summary: CallSummary) {
        let Some(listener) = self.calls.remove(&summary.call) else { return };
        self.handles.remove(&listener.call_id);
        if matches!(summary.outcome, CallOutcome::TrunkTimeout | CallOutcome::TrunkDown) {
            self.abandon(now, summary.call, listener.progress);
        }
        // A listener that stopped waiting has no use for the end.
        let _ = listener.ended.send(CallEnd::Ended(summary));
    }

    fn abandon(&mut self, now: Instant, call: CallHandle, progress: watch::Sender<CallProgress>) {
        while self.abandoned.len() >= LATE_LIMIT
            || self.abandoned.front().is_some_and(|(until, ..)| *until <= now)
        {
            self.abandoned.pop_front();
        }
        self.abandoned.push_back((now + LATE_RING, call, progress));
    }

    /// An abandoned call rings: its listener, if it still waits, is told.
    pub(super) fn late_ringing(&self, handle: CallHandle) {
        if let Some((.., progress)) = self.abandoned.iter().find(|(_, call, _)| *call == handle) {
            progress.send_modify(|progress| progress.late_ringing = true);
        }
    }

    pub(super) fn message_sent(
        &mut self,
        handle: MessageHandle,
        ended: oneshot::Sender<MessageEnd>,
    ) {
        self.messages.insert(handle, ended);
    }

    pub(super) fn message_ended(&mut self, handle: MessageHandle, end: MessageEnd) {
        if let Some(ended) = self.messages.remove(&handle) {
            // A listener that stopped waiting has no use for the end.
            let _ = ended.send(end);
        }
    }

    pub(super) fn interrupted(&mut self, handle: CallHandle, done: oneshot::Sender<Option<u16>>) {
        self.interrupted.insert(handle, done);
    }

    pub(super) fn interrupted_cancelled(&mut self, handle: CallHandle, status: Option<u16>) {
        if let Some(done) = self.interrupted.remove(&handle) {
            // A listener that stopped waiting has no use for the end.
            let _ = done.send(status);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(
        reports: &mut Reports,
        nth: u64,
        outcome: CallOutcome,
    ) -> watch::Receiver<CallProgress> {
        let (progress, watch) = watch::channel(CallProgress::default());
        let (ended, _) = oneshot::channel();
        let call = CallHandle(nth);
        reports.call_placed(call, CallId(nth.into()), 0, progress, ended);
        let summary = CallSummary {
            call,
            outcome,
            rang: false,
            status: None,
            q850: None,
            q850_from_reason: false,
            retry_after: None,
            target: ([127, 0, 0, 1], 5060).into(),
            last_cseq: 1,
            timeline: Vec::new(),
        };
        reports.call_ended(Instant::now(), summary);
        watch
    }

    #[test]
    fn a_call_that_was_left_to_its_silence_or_with_its_trunk_is_heard_when_it_rings_late() {
        let mut reports = Reports::default();
        for (nth, outcome, is_heard) in [
            (1, CallOutcome::TrunkTimeout, true),
            (2, CallOutcome::TrunkDown, true),
            (3, CallOutcome::Busy, false),
        ] {
            let watch = ended(&mut reports, nth, outcome);
            reports.late_ringing(CallHandle(nth));
            assert_eq!(watch.borrow().late_ringing, is_heard, "{outcome:?}");
        }
    }
}
