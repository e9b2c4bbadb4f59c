//! Texts, as the rest of the daemon asks for them.

use dialplans::TrunkName;

use crate::clock::Timestamp;
use crate::ids::{MessageId, VerificationId};
use crate::store::message::{
    self, ChangeMessage, ChangePart, CreateMessage, Message, MessageChanged, MessageCreated,
    MessageFilter,
};
use crate::store::request::{CreateMessageAsk, Request};
use crate::store::{Page, Store, StoreError, VersionWatch, Who, page};

/// A part that a message centre may mean by an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// The id under which it was taken.
    pub remote_id: String,
    /// Which text.
    pub message_id: MessageId,
    /// Which part, from 0.
    pub part: usize,
    /// The verification whose code it carried, and in how many parts; `message_id` is the
    /// text's own id then, and no text is stored. `None`: a text that is.
    pub code: Option<(VerificationId, usize)>,
}

/// A part of a code's text that a message centre took.
#[derive(Clone, Debug)]
pub struct SubmittedCode {
    /// Over which message centre.
    pub link: TrunkName,
    /// Under which id.
    pub remote_id: String,
    /// Whose code.
    pub verification_id: VerificationId,
    /// The text's own id.
    pub dispatch_id: MessageId,
    /// Which part, from 0.
    pub part: usize,
    /// In how many parts it goes.
    pub parts: usize,
}

impl Store {
    /// Stores a text with its idempotency record and its counts against limits.
    pub async fn create_message(
        &self,
        create: CreateMessage,
    ) -> Result<MessageCreated, StoreError> {
        let ask = CreateMessageAsk::new(&self.0.keys, create);
        self.ask(|task| Request::CreateMessage(Box::new(task)), ask).await
    }

    /// Changes a text's status; one that has ended never changes.
    pub async fn change_message(
        &self,
        change: ChangeMessage,
    ) -> Result<MessageChanged, StoreError> {
        self.ask_patiently(|task| Request::ChangeMessage(Box::new(task)), change).await
    }

    /// One text; `None`: not there or not for `who`.
    pub async fn message(
        &self,
        who: &Who,
        message_id: MessageId,
    ) -> Result<Option<Message>, StoreError> {
        let row = self.0.reader.message(message_id).await?;
        row.filter(|row| who.sees(&row.account, row.live))
            .map(|row| message::message(&self.0.keys, row))
            .transpose()
    }

    /// Texts, newest first.
    pub async fn messages(
        &self,
        who: &Who,
        filter: &MessageFilter,
    ) -> Result<Page<Message>, StoreError> {
        let to = self.hash_of(filter.to.as_ref());
        let rows = self.0.reader.messages(who, filter, to).await?;
        let items = rows.into_iter().map(|row| message::message(&self.0.keys, row));
        Ok(page(items.collect::<Result<_, _>>()?, filter.page.limit, |item| item.message_id.0))
    }

    /// Outbound texts that are neither delivered nor given up, oldest first, after `after`, at
    /// most `limit`.
    pub async fn unfinished_messages(
        &self,
        after: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<Message>, StoreError> {
        let rows = self.0.reader.unfinished_messages(after.unwrap_or(MessageId(0)), limit).await?;
        rows.into_iter().map(|row| message::message(&self.0.keys, row)).collect()
    }

    /// Takes in what happened to one part; what has ended never changes.
    pub async fn change_part(&self, change: ChangePart) -> Result<MessageChanged, StoreError> {
        self.ask_patiently(|task| Request::ChangePart(Box::new(task)), change).await
    }

    /// Keeps under which id a part of a code's text was taken, so that its receipt is known.
    pub async fn submitted_code(&self, submitted: SubmittedCode) -> Result<(), StoreError> {
        self.ask_patiently(|task| Request::SubmittedCode(Box::new(task)), submitted).await
    }

    /// Texts whose parts still wait for receipts and whose validity ended in this span, the
    /// earliest first, at most `limit`.
    pub async fn overdue_messages(
        &self,
        from: Timestamp,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<Message>, StoreError> {
        let rows = self.0.reader.overdue_messages(from, before, limit).await?;
        rows.into_iter().map(|row| message::message(&self.0.keys, row)).collect()
    }

    /// The parts that a message centre may mean by one of these ids, the newest first.
    pub async fn submitted(
        &self,
        link: &str,
        ids: &[String; 3],
    ) -> Result<Vec<Submitted>, StoreError> {
        let rows = self.0.reader.submitted(link, ids).await?;
        let part = |part: i32| usize::try_from(part).unwrap_or(usize::MAX);
        Ok(rows
            .into_iter()
            .map(|row| Submitted {
                remote_id: row.remote_id,
                message_id: row.message_id,
                part: part(row.part),
                code: row.verification_id.map(|id| (id, row.parts.map_or(1, part))),
            })
            .collect())
    }

    /// Tells each stored version of one text from now on. Subscribe before reading, so that no
    /// change is missed between the two.
    pub fn watch_message(&self, message_id: MessageId) -> VersionWatch {
        self.0.changed.watch(message_id.0)
    }
}
