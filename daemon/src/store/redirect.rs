//! Redirects of texts into mailboxes as they are kept, and the letters that they make.

use std::fmt;

use dialplans::E164;
use rand_chacha::ChaCha20Rng;
use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::email_address::EmailAddress;
use crate::ids::{LetterId, MessageId, RedirectId};
use crate::secrets::{Keys, SealedColumn};
use crate::store::convert::{Table, int};
use crate::store::message::{CreateMessage, Message, MessageCreated};
use crate::store::request::{CreateMessageAsk, Request};
use crate::store::row::{LetterRow, RedirectRow};
use crate::store::sql_types::Key;
use crate::store::{Page, PageFilter, Store, StoreError, Who, page};
use crate::verification::status::words;

const PHONE: SealedColumn = SealedColumn("sms_redirect.phone");
const EMAIL: SealedColumn = SealedColumn("sms_redirect.email");
const REASON: SealedColumn = SealedColumn("sms_redirect.reason");
const LETTER_TO: SealedColumn = SealedColumn("letter.to");
const LETTER_CONTENT: SealedColumn = SealedColumn("letter.content");

words! {
    /// Where a redirected text goes.
    RedirectMode {
        /// To the mailbox, and not to the phone.
        Instead = "instead",
        /// To both.
        Also = "also",
    }
}

/// A redirect of an account's own texts for one phone.
#[derive(Clone, PartialEq, Eq)]
pub struct Redirect {
    /// Its id.
    pub redirect_id: RedirectId,
    /// The owning account.
    pub account: String,
    /// False under a test key.
    pub live: bool,
    /// Rises by one with each stored change, from 1.
    pub version: u32,
    /// Whose texts.
    pub phone: E164,
    /// Where they go.
    pub email: EmailAddress,
    /// Instead or also.
    pub mode: RedirectMode,
    /// Whether the mailbox is another than that of the user's card.
    pub is_override: bool,
    /// The client's own words; `None`: none were given.
    pub reason: Option<String>,
    /// From then on texts go to the phone again.
    pub until: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

impl fmt::Debug for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redirect").field("redirect_id", &self.redirect_id).finish_non_exhaustive()
    }
}

words! {
    /// What a letter is for.
    LetterKind {
        /// It tells of a redirect.
        Notice = "notice",
        /// It carries a text.
        Text = "text",
    }
}

words! {
    /// What became of a letter.
    LetterOutcome {
        /// The mail server has it.
        Sent = "sent",
        /// The mail server does not want it.
        Rejected = "rejected",
        /// It could not be handed over in time.
        Expired = "expired",
    }
}

/// A letter that is sent at least once: readers know repeats by its id. Never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredLetter {
    /// Its id.
    pub letter_id: LetterId,
    /// The owning account.
    pub account: String,
    /// False under a test key: it does not leave.
    pub live: bool,
    /// What it is for.
    pub kind: LetterKind,
    /// The redirect that makes it.
    pub redirect_id: RedirectId,
    /// To whom.
    pub to: EmailAddress,
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub text: String,
    /// The text that it carries; `None`: it is a notice.
    pub message_id: Option<MessageId>,
    /// Whether that text goes nowhere else.
    pub is_instead: bool,
    /// When it was written.
    pub created_at: Timestamp,
    /// After this it is not sent any more.
    pub valid_until: Timestamp,
}

impl fmt::Debug for StoredLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredLetter").field("letter_id", &self.letter_id).finish_non_exhaustive()
    }
}

/// A redirect to store over the one that the phone may have.
#[derive(Debug)]
pub struct PutRedirect {
    /// As it is to be; where the phone has one, that one's id and time of making stay.
    pub redirect: Redirect,
    /// Who wants it, for the audit.
    pub actor: String,
    /// What the phone is told.
    pub notice: Message,
    /// What the mailbox is told.
    pub letter: StoredLetter,
}

/// A redirect that was stored.
#[derive(Debug)]
pub struct RedirectPut {
    /// As it is stored.
    pub redirect: Redirect,
    /// What was stored to tell phone and mailbox; `None`: they know, for the redirect had the same
    /// mailbox and mode before.
    pub told: Option<Box<(Message, StoredLetter)>>,
}

/// A redirect to remove.
#[derive(Clone, Debug)]
pub(crate) struct DeleteRedirect {
    pub(crate) key: Key,
    pub(crate) actor: String,
}

/// What became of a letter.
#[derive(Clone, Debug)]
pub struct EndLetter {
    /// Which one.
    pub letter_id: LetterId,
    /// The text that stands where the letter stands.
    pub message_id: Option<MessageId>,
    /// What it came to.
    pub outcome: LetterOutcome,
    /// The exact word, such as `smtp_250`.
    pub detail: String,
}

impl Redirect {
    /// Whether texts are redirected at `now`.
    pub fn is_active(&self, now: Timestamp) -> bool {
        now < self.until
    }

    pub(crate) fn key(keys: &Keys, account: &str, live: bool, phone: &E164) -> Key {
        let number = phone.reveal();
        let parts = [account.as_bytes(), &[u8::from(live)], number.as_str().as_bytes()];
        Key::cut(keys.text_hmac("sms-redirect", &parts))
    }

    pub(crate) fn own_key(&self, keys: &Keys) -> Key {
        Self::key(keys, &self.account, self.live, &self.phone)
    }

    pub(crate) fn row(&self, keys: &Keys, rng: &mut ChaCha20Rng) -> RedirectRow {
        let id = self.redirect_id.0;
        let number = self.phone.reveal();
        RedirectRow {
            redirect_id: self.redirect_id,
            account: self.account.clone(),
            live: self.live,
            version: int(self.version),
            phone_hmac: self.own_key(keys),
            phone_sealed: keys.seal(rng, PHONE, id, number.as_bytes()),
            phone_masked: self.phone.to_string(),
            email_sealed: keys.seal(rng, EMAIL, id, self.email.reveal().as_bytes()),
            email_masked: self.email.to_string(),
            mode: self.mode.as_str().to_owned(),
            is_override: self.is_override,
            reason_sealed: self
                .reason
                .as_ref()
                .map(|reason| keys.seal(rng, REASON, id, reason.as_bytes())),
            until: self.until,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

pub(crate) fn redirect(keys: &Keys, row: RedirectRow) -> Result<Redirect, StoreError> {
    let table = Table("sms_redirect");
    let id = row.redirect_id.0;
    let phone = table.unseal(keys, PHONE, id, &row.phone_sealed)?;
    let email = table.unseal(keys, EMAIL, id, &row.email_sealed)?;
    let reason = row.reason_sealed.map(|sealed| table.unseal(keys, REASON, id, &sealed));
    Ok(Redirect {
        redirect_id: row.redirect_id,
        account: row.account,
        live: row.live,
        version: table.number("version", row.version)?,
        phone: table.column("phone", E164::parse(&phone).ok())?,
        email: table.column("email", EmailAddress::parse(&email).ok())?,
        mode: table.column("mode", RedirectMode::from_word(&row.mode))?,
        is_override: row.is_override,
        reason: reason.transpose()?,
        until: row.until,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}

pub(crate) fn letter_row(keys: &Keys, rng: &mut ChaCha20Rng, letter: &StoredLetter) -> LetterRow {
    let id = letter.letter_id.0;
    let content = json!({"subject": letter.subject, "text": letter.text}).to_string();
    LetterRow {
        letter_id: letter.letter_id,
        account: letter.account.clone(),
        live: letter.live,
        kind: letter.kind.as_str().to_owned(),
        redirect_id: letter.redirect_id,
        to_sealed: Some(keys.seal(rng, LETTER_TO, id, letter.to.reveal().as_bytes())),
        to_masked: letter.to.to_string(),
        content_sealed: Some(keys.seal(rng, LETTER_CONTENT, id, content.as_bytes())),
        message_id: letter.message_id,
        is_instead: letter.is_instead,
        created_at: letter.created_at,
        valid_until: letter.valid_until,
    }
}

fn letter(keys: &Keys, row: LetterRow) -> Result<StoredLetter, StoreError> {
    let table = Table("letter");
    let id = row.letter_id.0;
    let unseal = |column, sealed: Option<Vec<u8>>| {
        let sealed = table.column("content", sealed)?;
        table.unseal(keys, column, id, &sealed)
    };
    let to = unseal(LETTER_TO, row.to_sealed)?;
    let content = unseal(LETTER_CONTENT, row.content_sealed)?;
    let content: Value = table.column("content", serde_json::from_str(&content).ok())?;
    let text = |name: &str| {
        let text = content.get(name).and_then(Value::as_str).map(str::to_owned);
        table.column("content", text)
    };
    Ok(StoredLetter {
        letter_id: row.letter_id,
        account: row.account,
        live: row.live,
        kind: table.column("kind", LetterKind::from_word(&row.kind))?,
        redirect_id: row.redirect_id,
        to: table.column("to", EmailAddress::parse(&to).ok())?,
        subject: text("subject")?,
        text: text("text")?,
        message_id: row.message_id,
        is_instead: row.is_instead,
        created_at: row.created_at,
        valid_until: row.valid_until,
    })
}

impl Store {
    /// Stores a redirect with what phone and mailbox are told of it and its entry in the audit.
    pub async fn put_redirect(&self, put: PutRedirect) -> Result<RedirectPut, StoreError> {
        self.ask(|task| Request::PutRedirect(Box::new(task)), put).await
    }

    /// Removes the redirect of a phone, with an entry in the audit; false: it has none.
    pub async fn delete_redirect(
        &self,
        who: &Who,
        phone: &E164,
        actor: String,
    ) -> Result<bool, StoreError> {
        let (Some(account), Some(live)) = who.narrowed() else { return Ok(false) };
        let key = Redirect::key(&self.0.keys, account, live, phone);
        self.ask(Request::DeleteRedirect, DeleteRedirect { key, actor }).await
    }

    /// The redirect of a phone in the account of `who`, also one that has ended.
    pub async fn redirect_of(
        &self,
        who: &Who,
        phone: &E164,
    ) -> Result<Option<Redirect>, StoreError> {
        let (Some(account), Some(live)) = who.narrowed() else { return Ok(None) };
        let key = Redirect::key(&self.0.keys, account, live, phone);
        let row = self.0.reader.redirect_by_phone(key).await?;
        row.map(|row| redirect(&self.0.keys, row)).transpose()
    }

    /// One redirect, whosever it is.
    pub async fn redirect(&self, id: RedirectId) -> Result<Option<Redirect>, StoreError> {
        let row = self.0.reader.redirect(id).await?;
        row.map(|row| redirect(&self.0.keys, row)).transpose()
    }

    /// Redirects of an account, newest first.
    pub async fn redirects(
        &self,
        who: &Who,
        filter: &PageFilter,
    ) -> Result<Page<Redirect>, StoreError> {
        let rows = self.0.reader.list_redirects(who, filter).await?;
        let items = rows.into_iter().map(|row| redirect(&self.0.keys, row));
        let items = items.collect::<Result<_, _>>()?;
        Ok(page(items, filter.limit, |redirect| redirect.redirect_id.0))
    }

    /// Stores a text with the letter that carries it.
    pub async fn create_message_with_letter(
        &self,
        create: CreateMessage,
        letter: StoredLetter,
    ) -> Result<MessageCreated, StoreError> {
        let mut ask = CreateMessageAsk::new(&self.0.keys, create);
        ask.letter = Some(letter);
        self.ask(|task| Request::CreateMessage(Box::new(task)), ask).await
    }

    /// Letters that have not ended, oldest first, after `after`, at most `limit`.
    pub async fn open_letters(
        &self,
        after: Option<LetterId>,
        limit: u32,
    ) -> Result<Vec<StoredLetter>, StoreError> {
        let rows = self.0.reader.open_letters(after.unwrap_or(LetterId(0)), limit).await?;
        rows.into_iter().map(|row| letter(&self.0.keys, row)).collect()
    }

    /// Writes down what became of a letter, and of the text that stands where it stands.
    pub async fn end_letter(&self, end: EndLetter) -> Result<(), StoreError> {
        self.ask_patiently(|task| Request::EndLetter(Box::new(task)), end).await
    }
}
