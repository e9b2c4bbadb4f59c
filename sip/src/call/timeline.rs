//! A call's history, eight bytes an entry while the call lives.

use std::time::{Duration, Instant};

use super::active::FIRST_CSEQ;
use super::{TimelineEntry, TimelineEvent};

/// More than this is not kept: a far side that sends endless different responses would otherwise
/// fill our memory. The last entry is replaced, so that the end is always there.
const ENTRIES_LIMIT: usize = 32;

/// An entry: the microseconds since the first INVITE, and a code for what happened.
#[derive(Clone, Copy, Debug)]
struct Packed {
    at_us: u32,
    code: u32,
}

/// Codes above every status and below every CSeq number that is kept with them.
const CANCEL: u32 = 1;
const ACK: u32 = 2;
const BYE: u32 = 3;
const TIMEOUT: u32 = 4;
const TRANSPORT_ERROR: u32 = 5;
/// 100 to 699 are responses; from here on INVITEs, with the distance of their CSeq from the first.
const INVITE: u32 = 1000;

/// The history of one call.
#[derive(Debug)]
pub(crate) struct Timeline {
    start: Instant,
    entries: Vec<Packed>,
}

impl Timeline {
    /// Starts with the first INVITE.
    pub(crate) fn start(now: Instant) -> Self {
        // INVITE, 100, 183, 180, CANCEL, 487: a call that goes well has at most six.
        let mut timeline = Self { start: now, entries: Vec::with_capacity(6) };
        timeline.enter(now, TimelineEvent::Invite { cseq: FIRST_CSEQ });
        timeline
    }

    /// When the first INVITE left.
    pub(crate) fn start_of_call(&self) -> Instant {
        self.start
    }

    /// Writes an entry down.
    pub(crate) fn enter(&mut self, now: Instant, event: TimelineEvent) {
        let code = match event {
            TimelineEvent::Invite { cseq } => INVITE + cseq.saturating_sub(FIRST_CSEQ),
            TimelineEvent::Response { status } => u32::from(status),
            TimelineEvent::Cancel => CANCEL,
            TimelineEvent::Ack => ACK,
            TimelineEvent::Bye => BYE,
            TimelineEvent::Timeout => TIMEOUT,
            TimelineEvent::TransportError => TRANSPORT_ERROR,
        };
        let at = now.saturating_duration_since(self.start);
        let packed = Packed { at_us: u32::try_from(at.as_micros()).unwrap_or(u32::MAX), code };
        match self.entries.get_mut(ENTRIES_LIMIT - 1) {
            Some(last) => *last = packed,
            None => self.entries.push(packed),
        }
    }

    /// Whether a response with this status is entered already, as the last one. Repeats are not.
    pub(crate) fn ends_with_response(&self, status: u16) -> bool {
        let last = self.entries.iter().rev().find(|entry| entry.code >= 100);
        last.is_some_and(|entry| entry.code == u32::from(status))
    }

    /// The history as it is told.
    pub(crate) fn told(self) -> Vec<TimelineEntry> {
        self.entries
            .into_iter()
            .map(|packed| TimelineEntry {
                at: Duration::from_micros(u64::from(packed.at_us)),
                event: match packed.code {
                    CANCEL => TimelineEvent::Cancel,
                    ACK => TimelineEvent::Ack,
                    BYE => TimelineEvent::Bye,
                    TIMEOUT => TimelineEvent::Timeout,
                    TRANSPORT_ERROR => TimelineEvent::TransportError,
                    code @ INVITE.. => TimelineEvent::Invite { cseq: FIRST_CSEQ + (code - INVITE) },
                    code => TimelineEvent::Response { status: code as u16 },
                },
            })
            .collect()
    }
}
