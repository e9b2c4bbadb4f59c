//! A text that leaves once: whoever sends it wrote down that it leaves, and hears what became of
//! it. Nothing is submitted a second time.

use std::time::Duration;

use config::Smpp;
use rusmpp::pdus::SubmitSm;

use super::link::Slot;
use super::receipt::Verdict;
use super::session::SubmitEnd;
use super::submit::{self, PartOf, Unfit};
use crate::app::App;
use crate::messages::{OutgoingText, TextEnd};

/// How long the message centre may try: a code is of no use for longer.
const VALIDITY: Duration = Duration::from_secs(600);

/// A text with its place in the link's window.
pub(in crate::messages) struct Ready {
    slot: Slot,
    parts: Vec<SubmitSm>,
}

/// Reserves a place; an error is the end of this try.
pub(in crate::messages) fn reserve(
    app: &App,
    settings: &Smpp,
    text: &OutgoingText,
) -> Result<Ready, TextEnd> {
    let rejected = |word: &str| TextEnd::Rejected(word.to_owned());
    let (_, _, parts) =
        super::plan(settings, &text.text).ok_or_else(|| rejected("text_too_long"))?;
    // Nobody waits for receipts of such a text.
    let settings = Smpp { registered_delivery: false, ..settings.clone() };
    let command = |part| {
        submit::command(&PartOf {
            settings: &settings,
            to: &text.to,
            sender: text.sender.as_deref(),
            text: &text.text,
            part,
            reference: text.message_id.0.to_be_bytes()[15],
            validity: VALIDITY,
        })
    };
    let parts: Result<Vec<_>, Unfit> = (0..parts).map(command).collect();
    let parts = parts.map_err(|Unfit(word)| rejected(word))?;
    let link = app.links().get(&settings.name);
    let link = link.ok_or_else(|| TextEnd::Later("no_link".to_owned()))?;
    let slot = link.try_reserve().ok_or_else(|| TextEnd::Later("link_busy".to_owned()))?;
    Ok(Ready { slot, parts })
}

impl Ready {
    /// Submits each part, once.
    pub(in crate::messages) async fn send(self) -> TextEnd {
        let mut sent = TextEnd::Lost;
        for (place, part) in self.parts.into_iter().enumerate() {
            let end = of_end(self.slot.submit(part).await);
            sent = match end {
                TextEnd::Sent(word) => TextEnd::Sent(word),
                // Of a text that left in part nobody knows what a phone shows.
                TextEnd::Later(_) if place > 0 => return TextEnd::Lost,
                end => return end,
            };
        }
        sent
    }
}

fn of_end(end: SubmitEnd) -> TextEnd {
    match end {
        SubmitEnd::NotSent => TextEnd::Later("link_down".to_owned()),
        SubmitEnd::Lost => TextEnd::Lost,
        SubmitEnd::Answered { status, .. } => {
            let word = format!("smpp_{}", u32::from(status));
            match Verdict::of(status) {
                Verdict::Taken => TextEnd::Sent(word),
                Verdict::Throttled | Verdict::Later => TextEnd::Later(word),
                Verdict::Refused => TextEnd::Rejected(word),
            }
        }
    }
}
