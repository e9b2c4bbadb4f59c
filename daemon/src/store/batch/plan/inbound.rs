//! Texts from outside in a batch: parts come together here, so that no two of them pass each
//! other.

use std::collections::{BTreeMap, BTreeSet};

use super::{Held, Plan};
use crate::ids::MessageId;
use crate::messages::Arrived;
use crate::messages::coding::{self, Piece};
use crate::store::inbound::{Given, InboundPart, PartContent, ReceivePartAsk, SettleParts};
use crate::store::sql_types::Key;

/// What stands for a part that never came.
const GAP: &str = "[…]";
/// Why such a text is as it is.
const INCOMPLETE: &str = "incomplete";

/// The parts that were read, by text and place.
pub(super) struct Arrivals {
    parts: BTreeMap<Key, BTreeMap<u8, InboundPart>>,
    changed: BTreeSet<(Key, u8)>,
}

impl Arrivals {
    pub(super) fn new(loaded: Vec<InboundPart>) -> Self {
        let mut parts: BTreeMap<Key, BTreeMap<u8, InboundPart>> = BTreeMap::new();
        for part in loaded {
            parts.entry(part.group).or_default().insert(part.part, part);
        }
        Self { parts, changed: BTreeSet::new() }
    }

    /// Those that wait for the others.
    fn open(&self, group: Key) -> impl Iterator<Item = &InboundPart> {
        let parts = self.parts.get(&group).into_iter().flat_map(BTreeMap::values);
        parts.filter(|part| part.content.is_some())
    }

    /// The contents of those that wait, each in its place; they wait no longer.
    fn take(&mut self, group: Key) -> Vec<Option<PartContent>> {
        let Some(parts) = self.parts.get_mut(&group) else { return Vec::new() };
        let open = parts.values_mut().filter(|part| part.content.is_some());
        let mut taken = Vec::new();
        for part in open {
            taken.resize(usize::from(part.total).max(usize::from(part.part)), None);
            taken[usize::from(part.part) - 1] = part.content.take();
            self.changed.insert((group, part.part));
        }
        taken
    }
}

impl Plan<'_> {
    pub(super) fn receive_part(&mut self, ask: &ReceivePartAsk) -> Vec<Given> {
        let (group, place, total) = (ask.group, ask.receive.part, ask.receive.total);
        let patience = InboundPart::patience(self.now);
        let mut given = Vec::new();
        let waits_in_vain = self.inbound.open(group).any(|part| part.received_at < patience);
        if waits_in_vain {
            given.extend(self.give(group));
        }
        let is_begun = self.inbound.open(group).next().is_some();
        let known = self.inbound.parts.get(&group).and_then(|parts| parts.get(&place));
        match known {
            Some(known) if known.content.is_some() => {
                if known.octets_hmac == ask.octets_hmac {
                    return given;
                }
                // The reference has come round, and the older text will not get its part.
                given.extend(self.give(group));
            }
            // Within a text that has begun anew even the same words are its own part.
            Some(known) if !is_begun && ask.repeats(known) => return given,
            Some(_) | None => {}
        }
        let part = ask.new_part(self.now);
        self.inbound.parts.entry(group).or_default().insert(place, part);
        self.inbound.changed.insert((group, place));
        if self.inbound.open(group).count() == usize::from(total) {
            given.extend(self.give(group));
        }
        given
    }

    pub(super) fn settle_parts(&mut self, ask: SettleParts) -> Vec<Given> {
        let is_overdue = self.inbound.open(ask.group).any(|part| part.received_at < ask.before);
        // Another part may have come and completed it since it was looked up.
        if is_overdue { self.give(ask.group).into_iter().collect() } else { Vec::new() }
    }

    /// Stores the text of the parts that are there.
    fn give(&mut self, group: Key) -> Option<Given> {
        let parts = self.inbound.take(group);
        let first = parts.iter().flatten().next()?;
        let is_whole = parts.iter().all(Option::is_some);
        let pieces = parts.iter().map(|part| match part {
            Some(part) => Piece::Octets(&part.octets, part.charset),
            None => Piece::Missing(GAP),
        });
        let arrived = Arrived {
            account: first.account.clone(),
            to: first.to,
            sender: first.sender.clone(),
            text: coding::join(pieces),
            encoding: first.charset.as_str(),
            segments: u16::try_from(parts.len()).unwrap_or(u16::MAX),
            trunk: Some(first.link.clone()),
        };
        let message_id = MessageId::generate(self.now, self.rng);
        let mut message = arrived.into_message(message_id, self.now);
        message.detail = (!is_whole).then(|| INCOMPLETE.to_owned());
        let given = (message_id, message.account.clone());
        self.messages.insert(message_id, Held { before: None, after: message });
        Some(given)
    }

    pub(super) fn write_inbound(&mut self) {
        for (group, place) in std::mem::take(&mut self.inbound.changed) {
            let parts = self.inbound.parts.get(&group);
            let part = parts.and_then(|parts| parts.get(&place));
            if let Some(part) = part {
                self.writes.inbound_parts.push(part.row(self.keys, self.rng));
            }
        }
    }
}
