//! Goes on with texts that an earlier process did not hand on.

use super::deliver::{self, SENDING};
use super::redirects::letters;
use super::smpp;
use crate::app::App;
use crate::store::{Direction, Message, MessageStatus, StoreError};

/// Rows read at once.
const PAGE: u32 = 500;

/// Starts to hand on what waits; answers how many texts that were. Must have returned before
/// the first request is served: a text of this process looks the same in the store.
pub async fn recover(app: &App) -> Result<usize, StoreError> {
    let mut waiting = Vec::new();
    let mut after = None;
    loop {
        let page = app.store().unfinished_messages(after, PAGE).await?;
        after = page.last().map(|message: &Message| message.message_id);
        let last = page.len() < PAGE as usize;
        waiting.extend(page.into_iter().filter(is_waiting));
        if last {
            break;
        }
    }
    let count = waiting.len() + letters::recover(app).await?;
    for mut message in waiting {
        if message.parts.is_empty() {
            message.maybe_duplicate |= message.detail.as_deref() == Some(SENDING);
            deliver::start(app, message);
        } else {
            smpp::take_up(app, message);
        }
    }
    Ok(count)
}

fn is_waiting(message: &Message) -> bool {
    message.direction == Direction::Outbound && message.status == MessageStatus::Accepted
}
