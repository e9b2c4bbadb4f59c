//! Hands one text on. A relayed text goes out at least once: when an answer was lost it is sent
//! again and marked, for the phone may show it twice.

use std::time::Duration;

use sip::{MessageSummary, OutboundMessage, SendMessageError, UserPart};

use crate::app::App;
use crate::store::{
    ChangeMessage, Message, MessageChange, MessageChanged, MessageStatus, StoreError,
};
use crate::ua_driver::MessageEnd;
use crate::verification::service::MagicNumber;

/// Waits between tries: a trunk that hiccups is back in seconds, one that is down in minutes.
const WAITS: [Duration; 5] = [
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(180),
    Duration::from_secs(300),
];

/// Between two tries to write down what became of it.
const WRITE_RETRY: Duration = Duration::from_millis(500);

/// How long a text under a test key is under way.
const PLAY: Duration = Duration::from_millis(150);

/// The word that stands in `detail` while a try is out: after a crash nobody knows whether it
/// arrived.
pub(super) const SENDING: &str = "sending";

/// What one try came to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Try {
    /// It is at an end.
    End(MessageStatus, String),
    /// It was refused for now, or could not be tried: it did not arrive.
    Later(String),
    /// The answer was lost: it may have arrived.
    Lost,
}

/// Hands it on in a task of its own.
pub(super) fn start(app: &App, message: Message) {
    let task = run(app.clone(), message);
    app.tasks().spawn(task);
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
            Some(Try::End(status, word)) => {
                write(&app, &mut message, status, word).await;
                return;
            }
            Some(Try::Later(word)) => {
                if !write(&app, &mut message, MessageStatus::Accepted, word).await {
                    return;
                }
            }
            Some(Try::Lost) => {
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
async fn try_once(app: &App, message: &mut Message) -> Option<Try> {
    if app.stop().is_cancelled() {
        return None;
    }
    let Some((trunk, outbound)) = outbound(app, message) else {
        return Some(Try::End(MessageStatus::Failed, "not_sendable".to_owned()));
    };
    let Ok(reservation) = app.driver().reserve() else {
        return Some(Try::Later("overloaded".to_owned()));
    };
    message.trunk = Some(trunk.clone());
    if !write(app, message, MessageStatus::Accepted, SENDING.to_owned()).await {
        return None;
    }
    Some(match reservation.send_message(trunk, outbound).await {
        Ok(MessageEnd::Ended(summary)) => of_summary(&summary),
        Ok(MessageEnd::Refused(refused)) => of_refusal(refused),
        Err(_the_call_loop_died) => Try::Lost,
    })
}

fn outbound(app: &App, message: &Message) -> Option<(dialplans::TrunkName, OutboundMessage)> {
    let settings = app.settings();
    let name = settings.config.sms.default.clone()?;
    let trunk = settings.config.trunks.get(&name)?;
    let dialled = trunk.dialling().dial(&message.to.full()?).ok()?;
    let sender = message.sender.as_deref().map(UserPart::new).transpose().ok()?;
    let outbound = OutboundMessage {
        identity: app.keys().message_identity(message.message_id),
        called: UserPart::new(dialled.reveal()).ok()?,
        sender: Some(sender.unwrap_or_else(|| trunk.sms_from.clone())),
        text: message.text.clone()?,
    };
    Some((name, outbound))
}

fn of_summary(summary: &MessageSummary) -> Try {
    let Some(status) = summary.status else { return Try::Lost };
    let word = format!("sip_{status}");
    match status {
        200..=299 => Try::End(MessageStatus::Sent, word),
        // The trunk cannot or will not at the moment.
        401 | 403 | 407 | 408 | 429 | 480 | 486 | 491 | 500..=599 => Try::Later(word),
        _ => Try::End(MessageStatus::Rejected, word),
    }
}

fn of_refusal(refused: SendMessageError) -> Try {
    match refused {
        SendMessageError::TooLong { .. } => {
            Try::End(MessageStatus::Rejected, "text_too_long".to_owned())
        }
        SendMessageError::NotOffered => {
            Try::End(MessageStatus::Rejected, "trunk_takes_no_texts".to_owned())
        }
        SendMessageError::UnknownTrunk | SendMessageError::TrunkDown | SendMessageError::Busy => {
            Try::Later("trunk_down".to_owned())
        }
    }
}

/// Under a test key: nothing leaves, and one magic number does not get it.
async fn play(app: &App, message: &Message) {
    tokio::time::sleep(PLAY).await;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: Option<u16>) -> Try {
        let message = sip::MessageHandle(1);
        of_summary(&MessageSummary { message, status, retry_after: None })
    }

    #[test]
    fn accepted_is_sent_and_never_called_delivered() {
        for status in [200, 202] {
            let word = format!("sip_{status}");
            assert_eq!(answered(Some(status)), Try::End(MessageStatus::Sent, word));
        }
    }

    #[test]
    fn a_lost_answer_is_told_apart_from_a_refusal() {
        assert_eq!(answered(None), Try::Lost);
        assert_eq!(answered(Some(503)), Try::Later("sip_503".to_owned()));
        assert_eq!(answered(Some(404)), Try::End(MessageStatus::Rejected, "sip_404".to_owned()));
    }
}
