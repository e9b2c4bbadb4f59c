//! Texts from outside: stored once, for the account whose number they were sent to.

use dialplans::{E164, TrunkName};

use crate::app::App;
use crate::clock::Timestamp;
use crate::facts::Fact;
use crate::ids::MessageId;
use crate::store::{
    CreateMessage, Direction, Idempotency, Message, MessageCreated, MessageStatus, ReceivePart,
    StoreError, StoredResponse,
};

/// A text that arrived.
#[derive(Clone)]
pub struct Arrived {
    /// The account whose number it was sent to.
    pub account: String,
    /// That number.
    pub to: E164,
    /// Who sent it.
    pub sender: Sender,
    /// What was written.
    pub text: String,
    /// As it was carried: `gsm7`, `ucs2`, `utf8`, `latin1`, ….
    pub encoding: &'static str,
    /// In how many parts it was carried.
    pub segments: u16,
    /// The trunk that brought it; `None`: it came another way.
    pub trunk: Option<TrunkName>,
}

/// Who sent a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A number.
    Number(E164),
    /// A name, such as that of a shop.
    Name(String),
    /// Nobody who wants to be known.
    Unknown,
}

/// Keys of texts from outside stand apart from those of clients, which have no control character.
const KEY_MARK: &str = "\u{1}";

/// Texts that are settled at once.
const PAGE: u32 = 200;

impl Arrived {
    /// As it is stored.
    pub(crate) fn into_message(self, message_id: MessageId, now: Timestamp) -> Message {
        let (from, sender) = match self.sender {
            Sender::Number(number) => (Some(number.into()), None),
            Sender::Name(name) => (None, Some(name)),
            Sender::Unknown => (None, None),
        };
        Message {
            message_id,
            account: self.account,
            live: true,
            version: 1,
            direction: Direction::Inbound,
            status: MessageStatus::Received,
            detail: None,
            to: self.to.into(),
            from,
            sender,
            text: Some(self.text),
            encoding: self.encoding.to_owned(),
            segments: self.segments,
            reference: None,
            trunk: self.trunk,
            parts: Vec::new(),
            maybe_duplicate: false,
            created_at: now,
            valid_until: now,
            updated_at: now,
        }
    }
}

/// Stores a text and tells it. Returns after the commit; a repeat changes nothing. `key` names it
/// wherever it is heard again, and is kept for 24 hours as an HMAC.
pub async fn receive(app: &App, arrived: Arrived, key: &str) -> Result<(), StoreError> {
    let now = app.now();
    let render = |_: &Message| Some(StoredResponse { status: 0, headers: vec![], body: vec![] });
    let idempotency = Idempotency {
        key: format!("{KEY_MARK}{key}"),
        request: Vec::new(),
        render: std::sync::Arc::new(render),
    };
    let message = arrived.into_message(app.message_id(now), now);
    let create = CreateMessage { message, limits: Vec::new(), idempotency: Some(idempotency) };
    match app.store().create_message(create).await? {
        MessageCreated::Stored { message, .. } => {
            tell(app, [(message.message_id, message.account)]);
        }
        MessageCreated::Replayed(_) => {}
        MessageCreated::OtherRequest | MessageCreated::Limit(_) => {
            unreachable!("a text from outside has one request for a key, and no limit")
        }
    }
    Ok(())
}

/// Takes in a part of a text that a message centre cut, or a whole one; returns after the commit.
pub async fn receive_part(app: &App, part: ReceivePart) -> Result<(), StoreError> {
    tell(app, app.store().receive_part(part).await?);
    Ok(())
}

/// Stores the texts as they are whose first part came before this moment.
pub(crate) async fn settle_parts(app: &App, before: Timestamp) -> Result<(), StoreError> {
    loop {
        let stored = app.store().settle_inbound(before, PAGE).await?;
        let is_last = stored.len() < PAGE as usize;
        tell(app, stored);
        if is_last {
            return Ok(());
        }
    }
}

fn tell(app: &App, stored: impl IntoIterator<Item = (MessageId, String)>) {
    for (message_id, account) in stored {
        app.facts().tell(Fact::TextReceived { message_id, account });
    }
}
