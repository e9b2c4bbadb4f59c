//! Letters on their way: each was stored with what it is about, and leaves at least once. A reader
//! who gets one twice knows it by its id.

use std::time::{Duration, SystemTime};

use crate::app::App;
use crate::clock::Timestamp;
use crate::ids::{LetterId, MessageId};
use crate::mail::{Composed, Letter, MailEnd, Mailer, Refusal};
use crate::messages::deliver::SENDING;
use crate::store::{
    ChangeMessage, EndLetter, LetterOutcome, MessageChange, MessageChanged, MessageStatus,
    StoreError, StoredLetter, WRITE_RETRY, Who,
};
use crate::verification::service;

/// Waits between tries: a mail server that hiccups is back in seconds, one that is down in
/// minutes, and one that greylists wants some.
const WAITS: [Duration; 5] = [
    Duration::from_secs(2),
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(180),
    Duration::from_secs(300),
];
/// Rows read at once.
const PAGE: u32 = 500;

/// Hands it over in a task of its own.
pub(in crate::messages) fn start(app: &App, letter: StoredLetter) {
    app.spawn(run(app.clone(), letter));
}

/// Goes on with the letters of an earlier process; answers how many there were.
pub(in crate::messages) async fn recover(app: &App) -> Result<usize, StoreError> {
    let mut waiting: Vec<StoredLetter> = Vec::new();
    loop {
        let after: Option<LetterId> = waiting.last().map(|letter| letter.letter_id);
        let page = app.store().open_letters(after, PAGE).await?;
        let is_last = page.len() < PAGE as usize;
        waiting.extend(page);
        if is_last {
            break;
        }
    }
    let count = waiting.len();
    for letter in waiting {
        if let Some(message_id) = letter.message_id.filter(|_| letter.is_instead) {
            let message = app.store().message(&Who::Gateway, message_id).await?;
            if message.is_some_and(|message| message.detail.as_deref() == Some(SENDING)) {
                write(app, message_id, "interrupted", true).await;
            }
        }
        start(app, letter);
    }
    Ok(count)
}

async fn run(app: App, letter: StoredLetter) {
    if !letter.live {
        tokio::time::sleep(service::PLAY).await;
        return end(&app, &letter, LetterOutcome::Sent, "test".to_owned()).await;
    }
    let mut last = "no_time".to_owned();
    for wait in WAITS.into_iter().chain(std::iter::repeat(WAITS[WAITS.len() - 1])) {
        if app.now() >= letter.valid_until {
            return end(&app, &letter, LetterOutcome::Expired, last).await;
        }
        if app.stop().is_cancelled() {
            return;
        }
        match try_once(&app, &letter).await {
            Try::Ended(outcome, word) => return end(&app, &letter, outcome, word).await,
            Try::Again(word) => last = word,
            Try::Stop => return,
        }
        let wait = app.jittered(wait).min(app.clock().until(letter.valid_until));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            // The next start goes on with it.
            () = app.stop().cancelled() => return,
        }
    }
}

/// What one try came to.
enum Try {
    Ended(LetterOutcome, String),
    Again(String),
    /// The text has ended by another hand, or the store is closed.
    Stop,
}

async fn try_once(app: &App, letter: &StoredLetter) -> Try {
    let Some(mailer) = app.mailer() else { return Try::Again("not_offered".to_owned()) };
    let Some(composed) = compose(mailer, letter) else {
        return Try::Ended(LetterOutcome::Rejected, "no_wording".to_owned());
    };
    let offered = match mailer.offer(composed).await {
        Ok(offered) => offered,
        Err(Refusal::Rejected(word)) => return Try::Ended(LetterOutcome::Rejected, word),
        Err(Refusal::Later(word)) => return Try::Again(word),
    };
    let carried = letter.message_id.filter(|_| letter.is_instead);
    if let Some(message_id) = carried
        && !write(app, message_id, SENDING, false).await
    {
        return Try::Stop;
    }
    match offered.send().await {
        MailEnd::Sent(word) => Try::Ended(LetterOutcome::Sent, word),
        MailEnd::Rejected(word) => Try::Ended(LetterOutcome::Rejected, word),
        MailEnd::Later(word) => Try::Again(word),
        MailEnd::Lost => match carried {
            Some(message_id) if !write(app, message_id, "no_answer", true).await => Try::Stop,
            _ => Try::Again("no_answer".to_owned()),
        },
    }
}

fn compose(mailer: &Mailer, letter: &StoredLetter) -> Option<Composed> {
    let whole = Letter {
        to: letter.to.reveal(),
        subject: &letter.subject,
        text: &letter.text,
        emphasis: None,
        id: &letter.letter_id.to_string(),
        date: SystemTime::UNIX_EPOCH + letter.created_at.since(Timestamp(0)),
    };
    Composed::new(mailer.sender(), &whole).ok()
}

/// Writes down where its text stands, until the store takes it. False: the text has ended by
/// another hand, or the store is closed.
async fn write(app: &App, message_id: MessageId, word: &str, maybe_duplicate: bool) -> bool {
    loop {
        let change = MessageChange {
            status: MessageStatus::Accepted,
            detail: Some(word.to_owned()),
            trunk: None,
            maybe_duplicate,
        };
        match app.store().change_message(ChangeMessage { message_id, change }).await {
            Ok(MessageChanged::Stored(_)) => return true,
            Ok(MessageChanged::Ended(_) | MessageChanged::NotFound) | Err(StoreError::Closed) => {
                return false;
            }
            Err(error) => {
                tracing::warn!(%error, %message_id, "a letter's departure was not written down");
                tokio::time::sleep(WRITE_RETRY).await;
            }
        }
    }
}

/// Writes down what became of it, until the store takes it.
async fn end(app: &App, letter: &StoredLetter, outcome: LetterOutcome, detail: String) {
    let letter_id = letter.letter_id;
    loop {
        let message_id = letter.message_id.filter(|_| letter.is_instead);
        let ended = EndLetter { letter_id, message_id, outcome, detail: detail.clone() };
        match app.store().end_letter(ended).await {
            Ok(()) | Err(StoreError::Closed) => break,
            Err(error) => {
                tracing::warn!(%error, %letter_id, "a letter's end was not written down");
                tokio::time::sleep(WRITE_RETRY).await;
            }
        }
    }
    tracing::info!(%letter_id, outcome = outcome.as_str(), detail, "a letter has ended");
}
