//! The events of a batch, stored with what they tell.

use super::Plan;
use crate::ids::EventId;
use crate::store::row::DeliveryRow;
use crate::store::webhook::{Announce, BODY, Told};

impl Plan<'_> {
    pub(super) fn announce(&mut self, announce: &Announce) {
        let now = self.now;
        let texts = self.messages.values().filter(|held| {
            held.before.as_ref().is_none_or(|before| before.version != held.after.version)
        });
        let texts = texts.map(|held| Told::Message(held.before.as_ref(), &held.after));
        let verifications = self.verifications.values().filter(|held| {
            held.before.as_ref().is_none_or(|before| before.version != held.after.version)
        });
        let verifications =
            verifications.map(|held| Told::Verification(held.before.as_ref(), &held.after));
        let news = self.news.iter().map(Told::News);
        let told = texts.chain(verifications).chain(news);
        let events: Vec<_> = told.flat_map(|told| announce(now, told)).collect();
        for event in events {
            let event_id = EventId::generate(now, self.rng);
            self.writes.deliveries.push(DeliveryRow {
                event_id,
                webhook: event.webhook,
                kind: event.kind.to_owned(),
                body_sealed: self.keys.seal(self.rng, BODY, event_id.0, &event.body),
                created_at: now,
                attempts: 0,
                next_at: Some(now),
            });
        }
    }
}
