//! Deliveries to webhooks: written with what they tell, tried until they end.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use crate::clock::Timestamp;
use crate::ids::EventId;
use crate::secrets::{Keys, SealedColumn};
use crate::store::convert::{Table, int};
use crate::store::message::Message;
use crate::store::request::Request;
use crate::store::row::{DeliveryChangeRow, DeliveryRow, DisabledRow};
use crate::store::sql_types::Key;
use crate::store::{Store, StoreError};
use crate::verification::model::Verification;

/// How long a node has for one try: longer than a try may take, and what is left of it is how
/// late another node takes up what a dead one had begun.
pub const DELIVERY_LEASE: Duration = Duration::from_secs(20);

pub(crate) const BODY: SealedColumn = SealedColumn("webhook_delivery.body");

/// What a batch changes.
#[derive(Clone, Copy)]
pub enum Told<'a> {
    /// A text; `None`: it is new.
    Message(Option<&'a Message>, &'a Message),
    /// A verification; `None`: it is new.
    Verification(Option<&'a Verification>, &'a Verification),
    /// Something that is in no other table.
    News(&'a News),
}

/// Something that is told and stands in no other table.
#[derive(Clone, Debug)]
pub struct News {
    /// The type of the event.
    pub kind: &'static str,
    /// Whose; `None`: the gateway's own.
    pub account: Option<String>,
    /// What it is. Not for logs.
    pub data: NewsData,
}

/// What stands in an event. Never prints: a number may.
#[derive(Clone)]
pub struct NewsData(pub serde_json::Value);

impl fmt::Debug for NewsData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewsData(***)")
    }
}

/// An event for one webhook. Never prints: a text stands in it.
pub struct Outgoing {
    /// Which webhook.
    pub webhook: String,
    /// The type.
    pub kind: &'static str,
    /// What is sent.
    pub body: Vec<u8>,
}

/// Makes the events of a change. It runs inside the writer's transaction, so it only computes.
pub type Announce = dyn Fn(Timestamp, Told<'_>) -> Vec<Outgoing> + Send + Sync;

/// Who makes events, and who is woken when some are stored.
#[derive(Clone, Default)]
pub(crate) struct Announcer {
    announce: Arc<RwLock<Option<Arc<Announce>>>>,
    woken: Arc<Notify>,
}

impl Announcer {
    pub(crate) fn get(&self) -> Option<Arc<Announce>> {
        self.announce.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn wake(&self) {
        self.woken.notify_waiters();
    }
}

impl fmt::Debug for Announcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Announcer")
    }
}

/// A delivery that is under way.
#[derive(Clone)]
pub struct WebhookDelivery {
    /// Its id, which every try carries.
    pub event_id: EventId,
    /// What is sent. Not for logs.
    pub body: Vec<u8>,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next.
    pub next_at: Timestamp,
}

/// What a try came to.
#[derive(Clone, Debug)]
pub struct DeliveryChange {
    /// Which delivery.
    pub event_id: EventId,
    /// How often it was tried by now.
    pub attempts: u32,
    /// When it is tried next; `None`: it has ended.
    pub next_at: Option<Timestamp>,
    /// What the last try came to, in a word such as `http_200`.
    pub outcome: String,
    /// The webhook that wants nothing any more, and its address.
    pub disable: Option<(String, String)>,
}

impl DeliveryChange {
    pub(crate) fn row(&self, now: Timestamp) -> DeliveryChangeRow {
        DeliveryChangeRow {
            event_id: self.event_id,
            attempts: int(self.attempts),
            next_at: self.next_at,
            ended_at: self.next_at.is_none().then_some(now),
            outcome: self.outcome.clone(),
        }
    }

    pub(crate) fn disabled(&self, keys: &Keys, now: Timestamp) -> Option<DisabledRow> {
        let (webhook, url) = self.disable.clone()?;
        let url_hmac = url_hmac(keys, &url);
        Some(DisabledRow { webhook, url_hmac, disabled_at: now })
    }
}

fn url_hmac(keys: &Keys, url: &str) -> Key {
    Key::cut(keys.text_hmac("webhook-url", &[url.as_bytes()]))
}

fn delivery(keys: &Keys, row: DeliveryRow) -> Result<WebhookDelivery, StoreError> {
    let table = Table("webhook_delivery");
    let body = keys.unseal(BODY, row.event_id.0, &row.body_sealed);
    Ok(WebhookDelivery {
        event_id: row.event_id,
        body: body.map_err(|_| table.damaged("body"))?,
        attempts: table.number("attempts", row.attempts)?,
        next_at: table.column("next_at", row.next_at)?,
    })
}

impl Store {
    /// From here on the events that `announce` makes are stored with what they tell.
    pub fn announce_with(&self, announce: Arc<Announce>) {
        let slot = &self.0.announcer.announce;
        *slot.write().unwrap_or_else(PoisonError::into_inner) = Some(announce);
    }

    /// Ends when events were stored after this call. A hint: look into the store as well.
    pub fn announced(&self) -> OwnedNotified {
        Arc::clone(&self.0.announcer.woken).notified_owned()
    }

    /// Stores the events of something that stands in no other table; nothing when nobody makes
    /// events.
    pub async fn tell(&self, news: News) -> Result<(), StoreError> {
        if self.0.announcer.get().is_none() {
            return Ok(());
        }
        self.ask(|task| Request::Tell(Box::new(task)), news).await
    }

    /// The deliveries to one webhook that have not ended and are tried after this moment, those
    /// first that are tried first.
    pub async fn webhook_deliveries(
        &self,
        webhook: &str,
        after: Timestamp,
        limit: u32,
    ) -> Result<Vec<WebhookDelivery>, StoreError> {
        let rows = self.0.reader.webhook_deliveries(webhook, after, limit).await?;
        rows.into_iter().map(|row| delivery(&self.0.keys, row)).collect()
    }

    /// The deliveries to one webhook that are due. Where several nodes share the database each is
    /// given to one of them, which has [`DELIVERY_LEASE`] to write down what its try came to.
    pub async fn due_deliveries(
        &self,
        webhook: &str,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<WebhookDelivery>, StoreError> {
        let rows = self.0.reader.due_deliveries(webhook, now, limit).await?;
        rows.into_iter().map(|row| delivery(&self.0.keys, row)).collect()
    }

    /// Writes down what a try came to.
    pub async fn change_delivery(&self, change: DeliveryChange) -> Result<(), StoreError> {
        self.ask_patiently(|task| Request::ChangeDelivery(Box::new(task)), change).await
    }

    /// Whether this webhook said that it wants nothing any more at this address.
    pub async fn is_webhook_disabled(&self, webhook: &str, url: &str) -> Result<bool, StoreError> {
        self.0.reader.is_webhook_disabled(webhook, url_hmac(&self.0.keys, url)).await
    }
}
