//! The user agent under test, and faults that may be planted round it to see that they are caught.

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use sip::{
    CallHandle, CallOutcome, CallRequest, ConnectionChange, ConnectionHandle, Event, Incoming,
    MessageHandle, OutboundMessage, PlaceCallError, SendMessageError, Settings, TimelineEvent,
    Transmit, TransportError, TrunkHandle, TrunkSettings, UserAgent,
};

use super::packet::Packet;

/// A fault of the core, made from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Timer B does not fire: a call that nobody answers never ends.
    TimerBIsSilent,
    /// A 2xx that comes again is told again.
    RepeatedSuccessIsToldTwice,
    /// The CANCEL that follows the ring limit leaves twice in the same instant.
    CancelIsDoubled,
    /// The ACK of a failure is lost inside.
    FailureIsNotAcknowledged,
}

/// The user agent, with at most one fault.
pub(super) struct Subject {
    ua: UserAgent,
    bug: Option<Bug>,
    /// Events that the fault adds.
    added: VecDeque<Event>,
    /// Packets that the fault adds.
    doubled: Option<(Transmit, Vec<u8>)>,
    successes: BTreeSet<(String, String)>,
    ended: Vec<Event>,
}

impl Subject {
    pub(super) fn new(settings: Settings, seed: [u8; 32], bug: Option<Bug>) -> Self {
        Self {
            ua: UserAgent::new(settings, seed),
            bug,
            added: VecDeque::new(),
            doubled: None,
            successes: BTreeSet::new(),
            ended: Vec::new(),
        }
    }

    pub(super) fn add_trunk(&mut self, now: Instant, settings: TrunkSettings) -> TrunkHandle {
        self.ua.add_trunk(now, settings)
    }

    pub(super) fn place_call(
        &mut self,
        now: Instant,
        trunk: TrunkHandle,
        request: CallRequest,
    ) -> Result<CallHandle, PlaceCallError> {
        self.ua.place_call(now, trunk, request)
    }

    pub(super) fn hang_up(&mut self, now: Instant, call: CallHandle) {
        self.ua.hang_up(now, call);
    }

    pub(super) fn send_message(
        &mut self,
        now: Instant,
        trunk: TrunkHandle,
        message: OutboundMessage,
    ) -> Result<MessageHandle, SendMessageError> {
        self.ua.send_message(now, trunk, message)
    }

    pub(super) fn shut_down(&mut self, now: Instant) {
        self.ua.shut_down(now);
    }

    pub(super) fn handle_packet(&mut self, now: Instant, packet: Incoming<'_>) {
        if self.bug == Some(Bug::RepeatedSuccessIsToldTwice)
            && let Some(read) = Packet::read(packet.bytes)
            && read.status() == Some(200)
            && read.cseq().1 == "INVITE"
        {
            let dialog = (read.call_id().to_owned(), read.to_tag().to_owned());
            if !self.successes.insert(dialog) {
                self.added.extend(self.ended.last().cloned());
            }
        }
        self.ua.handle_packet(now, packet);
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.ua.handle_timeout(now);
    }

    /// No connection could be opened for this.
    pub(super) fn refuse(&mut self, now: Instant, transmit: Transmit) {
        let Some(trunk) = transmit.trunk else { return };
        let (remote, kind) = (transmit.remote, TransportError::Refused);
        let failed = ConnectionChange::Failed { remote, trunk, kind };
        self.ua.handle_connection(now, ConnectionHandle(0), failed);
    }

    pub(super) fn poll_transmit(&mut self, out: &mut Vec<u8>) -> Option<Transmit> {
        if let Some((transmit, bytes)) = self.doubled.take() {
            *out = bytes;
            return Some(transmit);
        }
        let transmit = self.ua.poll_transmit(out)?;
        match self.bug {
            Some(Bug::CancelIsDoubled) if out.starts_with(b"CANCEL") => {
                self.doubled = Some((transmit, out.clone()));
            }
            Some(Bug::FailureIsNotAcknowledged) if out.starts_with(b"ACK") => {
                return self.poll_transmit(out);
            }
            _ => {}
        }
        Some(transmit)
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        if let Some(added) = self.added.pop_front() {
            return Some(added);
        }
        let event = self.ua.poll_event()?;
        if let Event::Ended(summary) = &event {
            let unanswered = summary.outcome == CallOutcome::TrunkTimeout
                && summary.timeline.last().is_some_and(|last| last.event == TimelineEvent::Timeout);
            if self.bug == Some(Bug::TimerBIsSilent) && unanswered {
                return self.poll_event();
            }
            self.ended.push(event.clone());
        }
        Some(event)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.ua.poll_timeout()
    }

    pub(super) fn residue(&self) -> usize {
        self.ua.residue()
    }
}
