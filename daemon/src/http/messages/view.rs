//! How a text looks to a client.

use serde::Serialize;

use crate::http::verifications::view::number;
use crate::store::Message;

/// A text.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Message)]
pub struct MessageView {
    /// Its id.
    #[schema(example = "msg_01jq3v8d9kf2m7x0c5n1t6w4rb")]
    pub id: String,
    /// False under a test key.
    pub live: bool,
    /// Rises with each stored change.
    pub version: u32,
    /// `outbound` or `inbound`.
    pub direction: &'static str,
    /// `accepted`, `sent`, `delivered`, `failed`, `expired`, `rejected`, `unknown`, `received`,
    /// `redirected`; more may come.
    #[schema(example = "accepted")]
    pub status: &'static str,
    /// Why it stands so, such as `sip_503`; `incomplete`: parts of an inbound text never came, and
    /// `[…]` stands for them.
    pub detail: Option<String>,
    /// The number: in full for the account's own keys, masked for operators.
    #[schema(example = "+79161234567")]
    pub to: String,
    /// The sender's name or number; null: the trunk's own.
    pub sender: Option<String>,
    /// The text, for the account's own keys until its retention ends.
    pub text: Option<String>,
    /// How many parts it is sent in.
    pub segments: u16,
    /// `gsm7`, `ucs2` or `utf8`; of a text from outside also `ascii`, `latin1`, `cyrillic`.
    #[schema(example = "utf8")]
    pub encoding: String,
    /// The trunk; null: none yet.
    pub trunk: Option<String>,
    /// Whether the phone may show it twice.
    pub maybe_duplicate: bool,
    /// What became of each part that was sent by itself.
    pub deliveries: Vec<DeliveryView>,
    /// The client's own reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// When it was accepted.
    pub created_at: String,
    /// After this it is not handed on any more.
    pub valid_until: String,
    /// When it changed last.
    pub updated_at: String,
}

/// The name, or the number of somebody who wrote to us.
fn sender(message: &Message, full: bool) -> Option<String> {
    let from = message.from.as_ref().map(|from| number(from, full));
    message.sender.clone().or(from)
}

fn deliveries(message: &Message) -> Vec<DeliveryView> {
    if message.parts.is_empty() {
        let status = message.status.as_str();
        let updated_at = message.updated_at.to_string();
        return vec![DeliveryView {
            segment: 1,
            status,
            detail: message.detail.clone(),
            updated_at,
        }];
    }
    let view = |(place, part): (u16, &crate::store::Part)| DeliveryView {
        segment: place,
        status: part.status.as_str(),
        detail: part.detail.clone(),
        updated_at: part.updated_at.to_string(),
    };
    (1..).zip(&message.parts).map(view).collect()
}

/// What became of one part of a text.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryView {
    /// From 1.
    pub segment: u16,
    /// As the text's status, or `sending` while its answer is awaited.
    pub status: &'static str,
    /// Why it stands so, such as `smpp_11` (the status of SMPP) or `receipt_001`.
    pub detail: Option<String>,
    /// When it changed last.
    pub updated_at: String,
}

impl MessageView {
    /// Shows one; `full` shows number and text too.
    pub fn new(message: &Message, full: bool) -> Self {
        Self {
            id: message.message_id.to_string(),
            live: message.live,
            version: message.version,
            direction: message.direction.as_str(),
            status: message.status.as_str(),
            detail: message.detail.clone(),
            to: number(&message.to, full),
            sender: sender(message, full),
            text: message.text.clone().filter(|_| full),
            segments: message.segments,
            encoding: message.encoding.clone(),
            trunk: message.trunk.as_ref().map(ToString::to_string),
            maybe_duplicate: message.maybe_duplicate,
            deliveries: deliveries(message),
            reference: message.reference.clone(),
            created_at: message.created_at.to_string(),
            valid_until: message.valid_until.to_string(),
            updated_at: message.updated_at.to_string(),
        }
    }
}
