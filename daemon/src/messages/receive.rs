//! Texts from outside: stored once, for the account whose number they were sent to.

use dialplans::{E164, TrunkName};

use crate::app::App;
use crate::facts::Fact;
use crate::store::{
    CreateMessage, Direction, Idempotency, Message, MessageCreated, MessageStatus, StoreError,
    StoredResponse,
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
    /// `gsm7`, `ucs2` or `utf8`, as it was carried.
    pub encoding: &'static str,
    /// In how many parts it was carried.
    pub segments: u16,
    /// The trunk that brought it; `None`: it came another way.
    pub trunk: Option<TrunkName>,
    /// Names it wherever it is heard again: a repeat is not another text. Kept for 24 hours as an
    /// HMAC.
    pub key: String,
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

/// Stores a text and tells it. Returns after the commit; a repeat changes nothing.
pub async fn receive(app: &App, arrived: Arrived) -> Result<(), StoreError> {
    let now = app.now();
    let render = |_: &Message| Some(StoredResponse { status: 0, headers: vec![], body: vec![] });
    let idempotency = Idempotency {
        key: format!("{KEY_MARK}{}", arrived.key),
        request: Vec::new(),
        render: std::sync::Arc::new(render),
    };
    let message = Message {
        message_id: app.message_id(now),
        account: arrived.account,
        live: true,
        version: 1,
        direction: Direction::Inbound,
        status: MessageStatus::Received,
        detail: None,
        to: arrived.to.into(),
        from: match &arrived.sender {
            Sender::Number(number) => Some((*number).into()),
            Sender::Name(_) | Sender::Unknown => None,
        },
        sender: match arrived.sender {
            Sender::Name(name) => Some(name),
            Sender::Number(_) | Sender::Unknown => None,
        },
        text: Some(arrived.text),
        encoding: arrived.encoding.to_owned(),
        segments: arrived.segments,
        reference: None,
        trunk: arrived.trunk,
        parts: Vec::new(),
        maybe_duplicate: false,
        created_at: now,
        valid_until: now,
        updated_at: now,
    };
    let create = CreateMessage { message, limits: Vec::new(), idempotency: Some(idempotency) };
    match app.store().create_message(create).await? {
        MessageCreated::Stored { message, .. } => {
            let message_id = message.message_id;
            app.facts().tell(Fact::TextReceived { message_id, account: message.account });
        }
        MessageCreated::Replayed(_) => {}
        MessageCreated::OtherRequest | MessageCreated::Limit(_) => {
            unreachable!("a text from outside has one request for a key, and no limit")
        }
    }
    Ok(())
}
