//! Hands one text on by SIP. A relayed text goes out at least once: when an answer was lost it is
//! sent again and marked, for the phone may show it twice.

use std::time::Duration;

use super::sender::{self, OutgoingText, TextEnd};
use crate::app::App;
use crate::store::{
    ChangeMessage, Message, MessageChange, MessageChanged, MessageStatus, StoreError, WRITE_RETRY,
};
use crate::verification::service::{self, MagicNumber};

/// Waits between tries: a trunk that hiccups is back in seconds, one that is down in minutes.
const WAITS: [Duration; 5] = [
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(180),
    Duration::from_secs(300),
];

/// The word that stands in `detail` while a try is out: after a crash nobody knows whether it
/// arrived.
pub(super) const SENDING: &str = "sending";

/// Hands it on in a task of its own.
pub(super) fn start(app: &App, message: Message) {
    if message.live && !message.parts.is_empty() {
        app.spawn(super::smpp::run(app.clone(), message));
    } else {
        app.spawn(run(app.clone(), message));
    }
}

async fn run(app: App, mut message: Message) {
    if !message.live {
        return play(&app, &message).await;
    }
    for wait in WAITS.into_iter().chain(std::iter::repeat(WAITS[WAITS.len() - 1])) {
        if app.now() >= message.valid_until {
            let word = message.detail.clone().unwrap_or_else(|| "no_trunk".to_owned());
            // What may have arrived is not called expired.
            let status = if message.maybe_duplicate {
                MessageStatus::Unknown
            } else {
                MessageStatus::Expired
            };
            write(&app, &mut message, status, word).await;
            return;
        }
        match try_once(&app, &mut message).await {
            Some(TextEnd::Sent(word)) => {
                write(&app, &mut message, MessageStatus::Sent, word).await;
                return;
            }
            Some(TextEnd::Rejected(word)) => {
                write(&app, &mut message, MessageStatus::Rejected, word).await;
                return;
            }
            Some(TextEnd::Later(word)) => {
                if !write(&app, &mut message, MessageStatus::Accepted, word).await {
                    return;
                }
            }
            Some(TextEnd::Lost) => {
                message.maybe_duplicate = true;
                let word = "no_answer".to_owned();
                if !write(&app, &mut message, MessageStatus::Accepted, word).await {
                    return;
                }
            }
            None => return,
        }
        let wait = wait.min(app.clock().until(message.valid_until));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            // The next start goes on with it.
            () = app.stop().cancelled() => return,
        }
    }
}

/// One try over the trunk; `None`: the text has ended by another hand, or the store is closed.
async fn try_once(app: &App, message: &mut Message) -> Option<TextEnd> {
    if app.stop().is_cancelled() {
        return None;
    }
    let (Some(to), Some(text)) = (message.to.full(), message.text.clone()) else {
        return Some(TextEnd::Rejected("not_sendable".to_owned()));
    };
    let sender = message.sender.clone();
    let outgoing = OutgoingText { message_id: message.message_id, to, sender, text, proves: None };
    let ready = match sender::reserve(app, &outgoing) {
        Ok(ready) => ready,
        Err(end) => return Some(end),
    };
    message.trunk = Some(ready.trunk().clone());
    if !write(app, message, MessageStatus::Accepted, SENDING.to_owned()).await {
        return None;
    }
    Some(ready.send().await)
}

/// Under a test key: nothing leaves, and one magic number does not get it.
async fn play(app: &App, message: &Message) {
    tokio::time::sleep(service::PLAY).await;
    let number = message.to.full().map(|to| MagicNumber::of(&to));
    let (status, word) = match number {
        Some(MagicNumber::UndeliveredText) => (MessageStatus::Failed, "undelivered"),
        _ => (MessageStatus::Delivered, "test"),
    };
    write(app, &mut message.clone(), status, word.to_owned()).await;
}

/// Writes down where it stands, until the store takes it. False: the text has ended by another
/// hand, or the store is closed.
async fn write(app: &App, message: &mut Message, status: MessageStatus, word: String) -> bool {
    loop {
        let change = ChangeMessage {
            message_id: message.message_id,
            change: MessageChange {
                status,
                detail: Some(word.clone()),
                trunk: message.trunk.clone(),
                maybe_duplicate: message.maybe_duplicate,
            },
        };
        match app.store().change_message(change).await {
            Ok(MessageChanged::Stored(stored)) => {
                *message = *stored;
                return true;
            }
            Ok(MessageChanged::Ended(_) | MessageChanged::NotFound) => return false,
            Err(StoreError::Closed) => return false,
            Err(error) => {
                let message_id = message.message_id;
                tracing::warn!(%error, %message_id, "a text's status was not written down");
                tokio::time::sleep(WRITE_RETRY).await;
            }
        }
    }
}
