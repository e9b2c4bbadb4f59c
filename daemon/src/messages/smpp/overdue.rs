//! Receipts that never come: when the validity of their text ends, nobody knows.

use std::time::Duration;

use crate::app::App;
use crate::clock::Timestamp;
use crate::store::{Message, PartEvent, PartStatus, StoreError};

/// How often it is looked.
const ROUND: Duration = Duration::from_secs(15);
/// How long after the validity a message centre may still say that it ended.
const GRACE: Duration = Duration::from_secs(60);
/// Texts read at once.
const PAGE: u32 = 200;

/// Looks until the process stops.
pub(super) async fn run(app: App) {
    let mut from = Timestamp(0);
    loop {
        let before = app.now() - GRACE;
        match settle(&app, from, before).await {
            Ok(()) => from = before,
            // The next round begins where this one did.
            Err(error) => tracing::warn!(%error, "overdue receipts were not looked for"),
        }
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            () = app.stop().cancelled() => return,
        }
    }
}

/// Ends the texts whose validity ended in this span.
pub(super) async fn settle(
    app: &App,
    mut from: Timestamp,
    before: Timestamp,
) -> Result<(), StoreError> {
    loop {
        let page = app.store().overdue_messages(from, before, PAGE).await?;
        let is_last = page.len() < PAGE as usize;
        let end = page.last().map(|message| message.valid_until);
        for message in page {
            give_up(app, message).await?;
        }
        match end {
            Some(end) if !is_last => {
                // Those that are not waited for would stand on the next page again.
                from = if end > from { end } else { Timestamp(from.0 + 1) };
            }
            Some(_) | None => return Ok(()),
        }
    }
}

async fn give_up(app: &App, mut message: Message) -> Result<(), StoreError> {
    let Some(link) = message.trunk.clone() else { return Ok(()) };
    let settings = app.settings();
    let is_awaited = |smpp: &config::Smpp| smpp.registered_delivery;
    if !settings.config.smpp.get(&link).is_none_or(is_awaited) {
        return Ok(());
    }
    for part in 0..message.parts.len() {
        if message.parts[part].status == PartStatus::Sent {
            let ended = PartEvent::Ended(PartStatus::Unknown);
            let word = Some("no_receipt".to_owned());
            // False: its receipt came in between.
            let _ = super::send::write(app, &mut message, &link, part, ended, word).await;
        }
    }
    Ok(())
}
