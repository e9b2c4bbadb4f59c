//! Texts from outside that come in parts: each part is kept until its text is whole, and for a
//! while after that, to know its repeats.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dialplans::{E164, TrunkName};
use rand_chacha::ChaCha20Rng;
use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::ids::MessageId;
use crate::messages::Sender;
use crate::messages::coding::Charset;
use crate::secrets::{Keys, SealedColumn};
use crate::store::convert::{Table, int};
use crate::store::request::Request;
use crate::store::row::InboundPartRow;
use crate::store::sql_types::Key;
use crate::store::{Store, StoreError};

const CONTENT: SealedColumn = SealedColumn("inbound_part.content");

/// How long the others of a text are waited for, from its first part on.
const PATIENCE: Duration = Duration::from_secs(300);
/// A message centre asks again at the latest after so long on one connection.
const REPEATED_HERE: Duration = Duration::from_secs(60);
/// How long after a connection was made the repeats of what an earlier one left unanswered come.
const REPEATED_AT_FIRST: Duration = Duration::from_secs(120);
/// How long before the connection those were heard at most; and how long apart from its text a
/// part may come again, which its reference names.
const REPEATED_LATE: Duration = Duration::from_secs(600);

/// A part of a text, as it came. Never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct PartContent {
    /// The account whose number it was sent to.
    pub account: String,
    /// That number.
    pub to: E164,
    /// Who sent it.
    pub sender: Sender,
    /// How its octets are read.
    pub charset: Charset,
    /// The link that brought it.
    pub link: TrunkName,
    /// What was written.
    pub octets: Vec<u8>,
}

/// Which equal parts are the same part, heard again: a message centre repeats what it heard no
/// answer to. The same words some time later are another text.
#[derive(Clone, Copy, Debug)]
pub struct Repeats {
    here_since: Timestamp,
    connected_at: Timestamp,
    /// `None`: an earlier connection left nothing that would still come.
    earlier_since: Option<Timestamp>,
}

impl Repeats {
    /// Of a text that stands alone: nothing but its words names it.
    pub fn of_words(now: Timestamp, connected_at: Timestamp) -> Self {
        let is_first = now < connected_at + REPEATED_AT_FIRST;
        let earlier_since = is_first.then(|| connected_at - REPEATED_LATE);
        Self { here_since: now - REPEATED_HERE, connected_at, earlier_since }
    }

    /// Of a part that its text's reference names.
    pub fn of_reference(now: Timestamp) -> Self {
        let since = now - REPEATED_LATE;
        Self { here_since: since, connected_at: since, earlier_since: None }
    }

    fn holds(self, received_at: Timestamp) -> bool {
        match self.earlier_since {
            _ if received_at >= self.connected_at => received_at >= self.here_since,
            Some(since) => received_at >= since,
            None => false,
        }
    }
}

/// A part of a text from outside to take in.
#[derive(Debug)]
pub struct ReceivePart {
    /// Names its text: over what, from whom, to whom, which reference.
    pub text: Vec<u8>,
    /// From 1.
    pub part: u8,
    /// Of how many; 1: it is whole.
    pub total: u8,
    /// What it holds.
    pub content: PartContent,
    /// Which equal ones are the same.
    pub repeats: Repeats,
}

/// A part to take in, with the hashes of what has to be looked up.
#[derive(Debug)]
pub(crate) struct ReceivePartAsk {
    pub(crate) group: Key,
    pub(crate) octets_hmac: Key,
    pub(crate) receive: ReceivePart,
}

/// A text whose missing parts are not waited for any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SettleParts {
    pub(crate) group: Key,
    /// When its first part came before this.
    pub(crate) before: Timestamp,
}

/// A text that was stored, and whose it is.
pub(crate) type Given = (MessageId, String);

/// A part as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct InboundPart {
    pub(crate) group: Key,
    pub(crate) part: u8,
    pub(crate) total: u8,
    pub(crate) octets_hmac: Key,
    /// `None`: its text was given on.
    pub(crate) content: Option<PartContent>,
    pub(crate) received_at: Timestamp,
}

impl ReceivePartAsk {
    fn new(keys: &Keys, receive: ReceivePart) -> Self {
        let content = &receive.content;
        let charset = content.charset.as_str().as_bytes();
        let octets_hmac = keys.text_hmac("inbound-octets", &[charset, &content.octets]);
        Self {
            group: Key::cut(keys.text_hmac("inbound-text", &[&receive.text])),
            octets_hmac: Key::cut(octets_hmac),
            receive,
        }
    }

    pub(crate) fn new_part(&self, now: Timestamp) -> InboundPart {
        InboundPart {
            group: self.group,
            part: self.receive.part,
            total: self.receive.total,
            octets_hmac: self.octets_hmac,
            content: Some(self.receive.content.clone()),
            received_at: now,
        }
    }

    /// Whether a part whose text was given on is this one.
    pub(crate) fn repeats(&self, known: &InboundPart) -> bool {
        known.octets_hmac == self.octets_hmac && self.receive.repeats.holds(known.received_at)
    }
}

impl InboundPart {
    /// Parts that came before this wait for no others.
    pub(crate) fn patience(now: Timestamp) -> Timestamp {
        now - PATIENCE
    }

    pub(crate) fn row(&self, keys: &Keys, rng: &mut ChaCha20Rng) -> InboundPartRow {
        let seal = |content: &PartContent| {
            keys.seal(rng, CONTENT, row_id(self.group, self.part), &content.encode())
        };
        InboundPartRow {
            group_hmac: self.group,
            part: int(self.part),
            total: int(self.total),
            octets_hmac: self.octets_hmac,
            content_sealed: self.content.as_ref().map(seal),
            received_at: self.received_at,
        }
    }
}

pub(crate) fn part(keys: &Keys, row: InboundPartRow) -> Result<InboundPart, StoreError> {
    let table = Table("inbound_part");
    let part = table.number("part", row.part)?;
    let content = row.content_sealed.map(|sealed| {
        let plain = table.unseal(keys, CONTENT, row_id(row.group_hmac, part), &sealed)?;
        table.column("content", PartContent::decode(&plain))
    });
    Ok(InboundPart {
        group: row.group_hmac,
        part,
        total: table.number("total", row.total)?,
        octets_hmac: row.octets_hmac,
        content: content.transpose()?,
        received_at: row.received_at,
    })
}

/// Each part's seal is bound to its own place.
fn row_id(group: Key, part: u8) -> u128 {
    group.row_id() ^ u128::from(part)
}

impl PartContent {
    fn encode(&self) -> Vec<u8> {
        let (number, name) = match &self.sender {
            Sender::Number(number) => (Some(number.reveal()), None),
            Sender::Name(name) => (None, Some(name.as_str())),
            Sender::Unknown => (None, None),
        };
        let value = json!({
            "account": self.account,
            "to": self.to.reveal().as_str(),
            "from": number.as_ref().map(|number| number.as_str()),
            "name": name,
            "charset": self.charset.as_str(),
            "link": self.link.as_str(),
            "octets": STANDARD.encode(&self.octets),
        });
        value.to_string().into_bytes()
    }

    /// Reads what `encode` wrote; `None`: it is something else.
    fn decode(plain: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(plain).ok()?;
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let sender = match (text("from"), text("name")) {
            (Some(number), _) => Sender::Number(E164::parse(number).ok()?),
            (None, Some(name)) => Sender::Name(name.to_owned()),
            (None, None) => Sender::Unknown,
        };
        Some(Self {
            account: text("account")?.to_owned(),
            to: E164::parse(text("to")?).ok()?,
            sender,
            charset: Charset::from_word(text("charset")?)?,
            link: TrunkName::parse(text("link")?).ok()?,
            octets: STANDARD.decode(text("octets")?).ok()?,
        })
    }
}

impl fmt::Debug for PartContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartContent").field("link", &self.link).finish_non_exhaustive()
    }
}

impl Store {
    /// Takes a part in; with the last one its text is stored, in the same transaction. Answers the
    /// texts that were stored: an older one too that the same reference named and that waited for
    /// a part.
    pub async fn receive_part(
        &self,
        receive: ReceivePart,
    ) -> Result<Vec<(MessageId, String)>, StoreError> {
        let ask = ReceivePartAsk::new(&self.0.keys, receive);
        self.ask(|task| Request::ReceivePart(Box::new(task)), ask).await
    }

    /// Stores the texts whose first part came before this moment as they are, at most `limit` of
    /// them.
    pub async fn settle_inbound(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<(MessageId, String)>, StoreError> {
        let mut stored = Vec::new();
        for group in self.0.reader.overdue_inbound(before, limit).await? {
            let settle = SettleParts { group, before };
            stored.extend(self.ask_patiently(Request::SettleParts, settle).await?);
        }
        Ok(stored)
    }

    /// Parts that came before this moment wait for no others.
    pub fn inbound_patience(&self) -> Timestamp {
        InboundPart::patience(self.0.clock.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_same_words_are_a_repeat_only_while_the_message_centre_would_repeat_them() {
        let now = Timestamp(100_000_000);
        // On a connection that is an hour old: what was heard within the last minute.
        let old = Repeats::of_words(now, now - MINUTE * 60);
        assert!(old.holds(now - MINUTE / 2));
        assert!(!old.holds(now - MINUTE * 2));
        assert!(!old.holds(now - MINUTE * 61));
        // Right after a new connection: also what the earlier one heard last.
        let fresh = Repeats::of_words(now, now - MINUTE);
        assert!(fresh.holds(now - MINUTE * 5));
        assert!(!fresh.holds(now - MINUTE * 15));
    }

    #[test]
    fn a_part_reads_back_as_it_was_written() {
        for sender in [
            Sender::Number("+79161234567".parse().unwrap()),
            Sender::Name("SHOP \"1\"".to_owned()),
            Sender::Unknown,
        ] {
            let content = PartContent {
                account: "vats".to_owned(),
                to: "+74951230000".parse().unwrap(),
                sender,
                charset: Charset::Ucs2,
                link: "centre".parse().unwrap(),
                octets: (0..=255).collect(),
            };
            let plain = String::from_utf8(content.encode()).unwrap();
            assert!(PartContent::decode(&plain) == Some(content));
        }
        assert!(PartContent::decode("{}").is_none() && PartContent::decode("").is_none());
    }
}
