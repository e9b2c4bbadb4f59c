//! Texts as they are kept.

mod part;

use std::fmt;

use dialplans::{E164, TrunkName};
use rand_chacha::ChaCha20Rng;

use crate::clock::Timestamp;
use crate::ids::MessageId;
use crate::secrets::{Keys, SealedColumn};
use crate::store::StoreError;
use crate::store::convert::{NumberColumns, Table, int};
use crate::store::idempotency::{Idempotency, StoredResponse};
use crate::store::limit::{Limit, LimitReached};
use crate::store::row::{MessageChangeRow, MessageRow};
use crate::store::view::PageFilter;
use crate::verification::model::StoredNumber;
use crate::verification::status::words;

pub use part::{ChangePart, Part, PartEvent, PartStatus};

const MESSAGE_TO: SealedColumn = SealedColumn("message.to");
const MESSAGE_FROM: SealedColumn = SealedColumn("message.from");
const MESSAGE_TEXT: SealedColumn = SealedColumn("message.text");

words! {
    /// Which way a text goes.
    Direction {
        /// From us to a phone.
        Outbound = "outbound",
        /// From a phone to one of our numbers.
        Inbound = "inbound",
    }
}

words! {
    /// Where a text stands. `Accepted` and `Sent` move, the others are ends.
    MessageStatus {
        /// Stored, not handed on.
        Accepted = "accepted",
        /// Handed on; whether it arrives is not known.
        Sent = "sent",
        /// It arrived.
        Delivered = "delivered",
        /// It did not arrive.
        Failed = "failed",
        /// `valid_until` passed before it could be handed on.
        Expired = "expired",
        /// Nobody wanted to carry it.
        Rejected = "rejected",
        /// The answer was lost: it may have arrived.
        Unknown = "unknown",
        /// An inbound one.
        Received = "received",
        /// It went to a mailbox.
        Redirected = "redirected",
    }
}

impl MessageStatus {
    /// Whether it can still change. A handed-on text moves when its delivery is reported.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Accepted | Self::Sent)
    }
}

/// A text.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub message_id: MessageId,
    /// The owning account.
    pub account: String,
    /// False under a test key.
    pub live: bool,
    /// Rises by one with each stored change, from 1.
    pub version: u32,
    /// Which way it goes.
    pub direction: Direction,
    /// Where it stands.
    pub status: MessageStatus,
    /// Why it stands so, in a word such as `sip_503`; `None`: nothing to say.
    pub detail: Option<String>,
    /// The called number.
    pub to: StoredNumber,
    /// The sender's name or number; `None`: the trunk's own, or the number of `from`.
    pub sender: Option<String>,
    /// The number that sent an inbound text; `None`: the text is ours, or its sender is no number.
    pub from: Option<StoredNumber>,
    /// The text, sealed in the store; `None` once its retention ran out.
    pub text: Option<String>,
    /// `gsm7`, `ucs2` or `utf8`.
    pub encoding: String,
    /// How many parts it is sent in.
    pub segments: u16,
    /// The client's own reference.
    pub reference: Option<String>,
    /// The trunk that took it; `None`: none yet.
    pub trunk: Option<TrunkName>,
    /// What became of each part; empty: it is carried whole.
    pub parts: Vec<Part>,
    /// Whether it may have been handed on twice.
    pub maybe_duplicate: bool,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// After this it is not handed on any more.
    pub valid_until: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("message_id", &self.message_id)
            .field("status", &self.status)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

impl Message {
    /// Stands differently from now on; `version` rises by one.
    pub(crate) fn change(&mut self, now: Timestamp, change: &MessageChange) {
        self.version += 1;
        self.status = change.status;
        self.detail.clone_from(&change.detail);
        if change.trunk.is_some() {
            self.trunk.clone_from(&change.trunk);
        }
        self.maybe_duplicate |= change.maybe_duplicate;
        self.updated_at = now;
    }
}

pub(crate) fn message_row(keys: &Keys, rng: &mut ChaCha20Rng, message: &Message) -> MessageRow {
    let id = message.message_id;
    let to = NumberColumns::seal(keys, rng, MESSAGE_TO, id.0, &message.to);
    let from = message.from.as_ref();
    let from = from.map(|from| NumberColumns::seal(keys, rng, MESSAGE_FROM, id.0, from));
    let (from_sealed, from_masked) = match from {
        Some(from) => (from.sealed, Some(from.masked)),
        None => (None, None),
    };
    let seal_text = |text: &String| keys.seal(rng, MESSAGE_TEXT, id.0, text.as_bytes());
    MessageRow {
        message_id: id,
        account: message.account.clone(),
        live: message.live,
        version: int(message.version),
        direction: message.direction.as_str().to_owned(),
        status: message.status.as_str().to_owned(),
        detail: message.detail.clone(),
        to_sealed: to.sealed,
        to_hmac: to.hmac,
        to_masked: to.masked,
        sender: message.sender.clone(),
        text_sealed: message.text.as_ref().map(seal_text),
        encoding: message.encoding.clone(),
        segments: int(message.segments),
        reference: message.reference.clone(),
        trunk: message.trunk.as_ref().map(|trunk| trunk.as_str().to_owned()),
        maybe_duplicate: message.maybe_duplicate,
        created_at: message.created_at,
        valid_until: message.valid_until,
        updated_at: message.updated_at,
        parts: part::encode(&message.parts),
        from_sealed,
        from_masked,
    }
}

pub(crate) fn message_change_row(message: &Message) -> MessageChangeRow {
    MessageChangeRow {
        message_id: message.message_id,
        version: int(message.version),
        status: message.status.as_str().to_owned(),
        detail: message.detail.clone(),
        trunk: message.trunk.as_ref().map(|trunk| trunk.as_str().to_owned()),
        maybe_duplicate: message.maybe_duplicate,
        updated_at: message.updated_at,
        parts: part::encode(&message.parts),
    }
}

pub(crate) fn message(keys: &Keys, row: MessageRow) -> Result<Message, StoreError> {
    let table = Table("message");
    let id = row.message_id;
    let to =
        table.stored_number(keys, MESSAGE_TO, id.0, row.to_sealed.as_deref(), row.to_masked)?;
    let from = row.from_masked.map(|masked| {
        table.stored_number(keys, MESSAGE_FROM, id.0, row.from_sealed.as_deref(), masked)
    });
    let unseal_text = |sealed: Vec<u8>| table.unseal(keys, MESSAGE_TEXT, id.0, &sealed);
    let trunk = row.trunk.as_deref().map(TrunkName::parse).transpose();
    Ok(Message {
        message_id: id,
        account: row.account,
        live: row.live,
        version: table.number("version", row.version)?,
        direction: table.column("direction", Direction::from_word(&row.direction))?,
        status: table.column("status", MessageStatus::from_word(&row.status))?,
        detail: row.detail,
        to,
        sender: row.sender,
        from: from.transpose()?,
        parts: table.column("parts", part::decode(row.parts.as_deref()))?,
        text: row.text_sealed.map(unseal_text).transpose()?,
        encoding: row.encoding,
        segments: table.number("segments", row.segments)?,
        reference: row.reference,
        trunk: trunk.map_err(|_| table.damaged("trunk"))?,
        maybe_duplicate: row.maybe_duplicate,
        created_at: row.created_at,
        valid_until: row.valid_until,
        updated_at: row.updated_at,
    })
}

/// A text to store.
#[derive(Debug)]
pub struct CreateMessage {
    /// With version 1.
    pub message: Message,
    /// Limits that must have room, and counts.
    pub limits: Vec<Limit>,
    /// The idempotency key, if one came.
    pub idempotency: Option<Idempotency<Message>>,
}

/// What became of a text to store.
#[derive(Debug)]
pub enum MessageCreated {
    /// It is committed.
    Stored {
        /// As it is stored.
        message: Box<Message>,
        /// What the idempotency record holds.
        response: Option<StoredResponse>,
    },
    /// The idempotency key was used before: this is what it got.
    Replayed(StoredResponse),
    /// The idempotency key was used for another request; nothing was stored.
    OtherRequest,
    /// A limit has no room; nothing was stored.
    Limit(LimitReached),
}

/// A new status for a text.
#[derive(Clone, Debug)]
pub struct ChangeMessage {
    /// Which one.
    pub message_id: MessageId,
    /// What changes.
    pub change: MessageChange,
}

/// What changes of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageChange {
    /// Where it stands from then on.
    pub status: MessageStatus,
    /// Why.
    pub detail: Option<String>,
    /// The trunk that took it; `None`: as before.
    pub trunk: Option<TrunkName>,
    /// Marks that it may be handed on twice.
    pub maybe_duplicate: bool,
}

/// What became of a change.
#[derive(Debug)]
pub enum MessageChanged {
    /// It is committed.
    Stored(Box<Message>),
    /// The text had ended before; it stays as it is.
    Ended(Box<Message>),
    /// No such text.
    NotFound,
}

/// Which texts are listed. All that are given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageFilter {
    /// Which part of them.
    pub page: PageFilter,
    /// To this number.
    pub to: Option<E164>,
    /// With this reference.
    pub reference: Option<String>,
    /// In this status.
    pub status: Option<MessageStatus>,
    /// In this direction.
    pub direction: Option<Direction>,
}
