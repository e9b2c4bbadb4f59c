//! What became of each part of a text. Pure.

use dialplans::TrunkName;
use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::ids::MessageId;
use crate::store::message::{Message, MessageStatus};
use crate::verification::status::words;

words! {
    /// Where one part of a text stands. The first three move, the others are ends.
    PartStatus {
        /// Not handed on.
        Accepted = "accepted",
        /// It is being handed on: after a crash nobody knows whether it was taken.
        Sending = "sending",
        /// The message centre has it.
        Sent = "sent",
        /// The phone has it.
        Delivered = "delivered",
        /// It will not arrive.
        Failed = "failed",
        /// Its time ran out.
        Expired = "expired",
        /// The message centre refused it.
        Rejected = "rejected",
        /// It may have arrived.
        Unknown = "unknown",
    }
}

impl PartStatus {
    /// Whether it can still change.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Accepted | Self::Sending | Self::Sent)
    }
}

/// One part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it stands.
    pub status: PartStatus,
    /// Why, in a word such as `smpp_11`; `None`: nothing to say.
    pub detail: Option<String>,
    /// When it changed last.
    pub updated_at: Timestamp,
}

impl Part {
    /// One that was not handed on.
    pub fn accepted(now: Timestamp) -> Self {
        Self { status: PartStatus::Accepted, detail: None, updated_at: now }
    }
}

/// What happened to a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartEvent {
    /// It is about to be handed on.
    Sending,
    /// The message centre took it, under this id; `None`: it told none.
    Taken(Option<String>),
    /// It was not taken, and will be tried again.
    NotTaken,
    /// The answer was lost: it will be tried again, and may arrive twice.
    Lost,
    /// It came to this end while it was with us.
    Ended(PartStatus),
    /// The message centre says what became of it.
    Told(PartStatus),
}

/// Something that happened to one part of a text.
#[derive(Clone, Debug)]
pub struct ChangePart {
    /// Which text.
    pub message_id: MessageId,
    /// Which part, from 0.
    pub part: usize,
    /// Over which message centre.
    pub link: TrunkName,
    /// What happened.
    pub event: PartEvent,
    /// Why, in a word.
    pub detail: Option<String>,
}

impl Message {
    /// Takes an event in; false: it changes nothing, for the part has ended or is not there. What
    /// a message centre says counts only for what it has.
    pub(crate) fn change_part(&mut self, now: Timestamp, change: &ChangePart) -> bool {
        let Some(part) = self.parts.get_mut(change.part) else { return false };
        let next = match (part.status, &change.event) {
            (PartStatus::Accepted, PartEvent::Sending) => PartStatus::Sending,
            (PartStatus::Sending, PartEvent::Taken(_)) => PartStatus::Sent,
            (PartStatus::Sending, PartEvent::NotTaken | PartEvent::Lost) => PartStatus::Accepted,
            (PartStatus::Accepted | PartStatus::Sending | PartStatus::Sent, event) => match event {
                PartEvent::Ended(end) => *end,
                PartEvent::Told(told) if part.status == PartStatus::Sent => *told,
                _ => return false,
            },
            (
                PartStatus::Delivered
                | PartStatus::Failed
                | PartStatus::Expired
                | PartStatus::Rejected
                | PartStatus::Unknown,
                _,
            ) => return false,
        };
        if (part.status, &part.detail) == (next, &change.detail) {
            return false;
        }
        *part = Part { status: next, detail: change.detail.clone(), updated_at: now };
        self.maybe_duplicate |= change.event == PartEvent::Lost;
        self.trunk = Some(change.link.clone());
        self.status = overall(&self.parts);
        self.detail.clone_from(&change.detail);
        self.version += 1;
        self.updated_at = now;
        true
    }
}

/// Where a text stands whose parts stand so. It has ended when each part has, as the worst of
/// them did: a phone shows it whole or not at all.
pub(crate) fn overall(parts: &[Part]) -> MessageStatus {
    let any = |status| parts.iter().any(|part| part.status == status);
    if any(PartStatus::Accepted) || any(PartStatus::Sending) {
        MessageStatus::Accepted
    } else if any(PartStatus::Sent) {
        MessageStatus::Sent
    } else if any(PartStatus::Rejected) {
        MessageStatus::Rejected
    } else if any(PartStatus::Failed) {
        MessageStatus::Failed
    } else if any(PartStatus::Expired) {
        MessageStatus::Expired
    } else if any(PartStatus::Unknown) {
        MessageStatus::Unknown
    } else {
        MessageStatus::Delivered
    }
}

/// As a column: JSON that an operator can read; `None`: the text is carried whole.
pub(crate) fn encode(parts: &[Part]) -> Option<String> {
    let one = |part: &Part| {
        json!({
            "status": part.status.as_str(),
            "detail": part.detail,
            "updated_at": part.updated_at.as_millis(),
        })
    };
    let parts: Vec<Value> = parts.iter().map(one).collect();
    (!parts.is_empty()).then(|| Value::Array(parts).to_string())
}

/// Reads what [`encode`] wrote; the inner `None`: it is something else.
pub(crate) fn decode(column: Option<&str>) -> Option<Vec<Part>> {
    let Some(json) = column else { return Some(Vec::new()) };
    let Value::Array(parts) = serde_json::from_str(json).ok()? else { return None };
    let one = |part: &Value| {
        Some(Part {
            status: PartStatus::from_word(part.get("status")?.as_str()?)?,
            detail: part.get("detail")?.as_str().map(str::to_owned),
            updated_at: Timestamp(part.get("updated_at")?.as_i64()?),
        })
    };
    parts.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use PartStatus::{Accepted, Delivered, Expired, Failed, Rejected, Sending, Sent, Unknown};

    fn parts(statuses: &[PartStatus]) -> Vec<Part> {
        let part = |&status| Part { status, ..Part::accepted(Timestamp(0)) };
        statuses.iter().map(part).collect()
    }

    #[test]
    fn a_text_ends_when_each_part_has_and_as_the_worst_of_them_did() {
        for (statuses, status) in [
            (&[Delivered, Delivered][..], MessageStatus::Delivered),
            (&[Delivered, Sent], MessageStatus::Sent),
            (&[Rejected, Accepted], MessageStatus::Accepted),
            (&[Sent, Sending], MessageStatus::Accepted),
            (&[Delivered, Unknown], MessageStatus::Unknown),
            (&[Unknown, Expired], MessageStatus::Expired),
            (&[Expired, Failed], MessageStatus::Failed),
            (&[Failed, Rejected], MessageStatus::Rejected),
        ] {
            assert_eq!(overall(&parts(statuses)), status, "{statuses:?}");
        }
    }

    #[test]
    fn parts_read_back_as_they_were_written() {
        let mut parts = parts(&[Accepted, Sending, Sent, Delivered, Unknown]);
        parts[2].detail = Some("smpp_\"0\"".to_owned());
        assert_eq!(decode(encode(&parts).as_deref()), Some(parts));
        assert_eq!((encode(&[]), decode(None)), (None, Some(Vec::new())));
        for wrong in ["", "{}", "[1]", r#"[{"status":"gone","detail":null,"updated_at":1}]"#] {
            assert_eq!(decode(Some(wrong)), None, "{wrong}");
        }
    }
}
