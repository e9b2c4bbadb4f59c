//! Texts: sending, and what happens to them.

use std::time::Instant;

use super::common::Owner;
use super::{Core, UserAgent};
use crate::message::Message;
use crate::text::active::ActiveText;
use crate::text::{MessageHandle, OutboundMessage, SendMessageError};
use crate::transport::Loss;
use crate::trunk::TrunkHandle;
use crate::trunk::state::Fate;

impl UserAgent {
    /// Sends a text by MESSAGE. Its [`crate::Event::MessageEnded`] is promised from here on, or its
    /// [`crate::Event::MessageTooLong`]; a 202 means accepted and not delivered.
    pub fn send_message(
        &mut self,
        now: Instant,
        trunk: TrunkHandle,
        message: OutboundMessage,
    ) -> Result<MessageHandle, SendMessageError> {
        let core = &mut self.core;
        let trunk = core.trunks.get_mut(trunk).ok_or(SendMessageError::UnknownTrunk)?;
        if !trunk.settings.sms {
            return Err(SendMessageError::NotOffered);
        }
        if trunk.fate != Fate::Serving || core.is_shutting_down || !trunk.is_bound() {
            return Err(SendMessageError::TrunkDown);
        }
        let remote = trunk.choose(now, &mut core.common.rng, &[]);
        let remote = remote.ok_or(SendMessageError::TrunkDown)?;
        if trunk.texts_up >= core.common.settings.max_texts {
            return Err(SendMessageError::Busy);
        }
        let common = &mut core.common;
        let place = core.texts.try_insert(|handle, place| {
            let names = (MessageHandle(handle), place);
            ActiveText::send(now, common, trunk, names, (remote, message))
        })?;
        trunk.texts_up += 1;
        let handle = core.texts.get_mut(place).map(|text| text.handle());
        core.settle_text(place, false);
        Ok(handle.unwrap_or(MessageHandle(0)))
    }
}

impl Core {
    pub(super) fn text_timeout(&mut self, now: Instant, place: u32) {
        let Some(text) = self.texts.get_mut(place) else { return };
        let was_waiting = text.is_waiting();
        text.handle_timeout(now, &mut self.common);
        self.settle_text(place, was_waiting);
    }

    pub(super) fn texts_transport_error(&mut self, now: Instant, loss: &Loss) {
        for place in self.texts.places() {
            let Some(text) = self.texts.get_mut(place) else { continue };
            let was_waiting = text.is_waiting();
            text.handle_transport_error(now, &mut self.common, loss);
            self.settle_text(place, was_waiting);
        }
    }

    /// `false`: the response belongs to nothing.
    pub(super) fn text_response(
        &mut self,
        now: Instant,
        place: u32,
        response: &Message<'_>,
    ) -> bool {
        let Some(text) = self.texts.get_mut(place) else { return false };
        let Some(trunk) = self.trunks.at(text.trunk()) else { return false };
        trunk.learn_from(now, &mut self.common, &response.via, false);
        let was_waiting = text.is_waiting();
        let taken = text.handle_response(now, &mut self.common, trunk, response);
        self.settle_text(place, was_waiting);
        taken
    }

    fn settle_text(&mut self, place: u32, was_waiting: bool) {
        let Some(text) = self.texts.get_mut(place) else { return };
        if was_waiting
            && !text.is_waiting()
            && let Some(trunk) = self.trunks.at(text.trunk())
        {
            trunk.texts_up = trunk.texts_up.saturating_sub(1);
        }
        let is_over = text.is_over();
        let deadline = if is_over { None } else { text.deadline() };
        self.common.timers.rearm(Owner::Text(place), &mut text.armed, deadline);
        if is_over && let Some(text) = self.texts.remove(place) {
            text.drop_transactions(&mut self.common);
        }
    }
}
