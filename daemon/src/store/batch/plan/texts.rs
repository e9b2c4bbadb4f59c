//! Texts in a batch.

use super::{Held, Kept, Plan};
use crate::store::batch::Changes;
use crate::store::convert::int;
use crate::store::message::{
    ChangeMessage, ChangePart, MessageChanged, MessageCreated, PartEvent, message_change_row,
    message_row,
};
use crate::store::request::CreateMessageAsk;
use crate::store::row::SubmittedRow;
use crate::store::texts::SubmittedCode;

impl Plan<'_> {
    pub(super) fn create_message(&mut self, ask: &CreateMessageAsk) -> MessageCreated {
        let create = &ask.create;
        match self.kept(ask.idempotency) {
            Kept::Fresh => {}
            Kept::Replay(response) => return MessageCreated::Replayed(response),
            Kept::OtherRequest => return MessageCreated::OtherRequest,
        }
        if let Some(reached) = self.reached(&create.limits, &ask.limits) {
            return MessageCreated::Limit(reached);
        }
        self.count(&create.limits, &ask.limits, false);
        let message = create.message.clone();
        let held = Held { before: None, after: message.clone() };
        self.messages.insert(message.message_id, held);
        if let Some(letter) = &ask.letter {
            self.redirect_message(&message, letter);
        }
        let response = self.keep(ask.idempotency, create.idempotency.as_ref(), &message);
        MessageCreated::Stored { message: Box::new(message), response }
    }

    pub(super) fn change_message(&mut self, ask: &ChangeMessage) -> MessageChanged {
        let Some(held) = self.messages.get_mut(&ask.message_id) else {
            return MessageChanged::NotFound;
        };
        if !held.after.status.is_open() {
            return MessageChanged::Ended(Box::new(held.after.clone()));
        }
        held.after.change(self.now, &ask.change);
        MessageChanged::Stored(Box::new(held.after.clone()))
    }

    pub(super) fn change_part(&mut self, ask: &ChangePart) -> MessageChanged {
        let Some(held) = self.messages.get_mut(&ask.message_id) else {
            return MessageChanged::NotFound;
        };
        if !held.after.change_part(self.now, ask) {
            return MessageChanged::Ended(Box::new(held.after.clone()));
        }
        if let PartEvent::Taken(Some(remote_id)) = &ask.event {
            self.writes.submitted.push(SubmittedRow {
                link: ask.link.as_str().to_owned(),
                remote_id: remote_id.clone(),
                message_id: ask.message_id,
                part: int(ask.part),
                submitted_at: self.now,
                verification_id: None,
                parts: None,
            });
        }
        MessageChanged::Stored(Box::new(held.after.clone()))
    }

    pub(super) fn submitted_code(&mut self, ask: &SubmittedCode) {
        self.writes.submitted.push(SubmittedRow {
            link: ask.link.as_str().to_owned(),
            remote_id: ask.remote_id.clone(),
            message_id: ask.dispatch_id,
            part: int(ask.part),
            submitted_at: self.now,
            verification_id: Some(ask.verification_id),
            parts: Some(int(ask.parts)),
        });
    }

    pub(super) fn write_messages(&mut self, changes: &mut Changes) {
        for (id, held) in std::mem::take(&mut self.messages) {
            match held.before {
                None => {
                    let row = message_row(self.keys, self.rng, &held.after);
                    self.writes.new_messages.push(row);
                }
                Some(before) if before.version != held.after.version => {
                    self.writes.changed_messages.push(message_change_row(&held.after));
                    changes.insert(id.0, held.after.version);
                }
                Some(_) => {}
            }
        }
    }
}
