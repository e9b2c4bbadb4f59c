//! A text that leaves once: whoever sends it wrote down that it leaves, and hears what became of
//! it. Nothing is submitted a second time.

use std::time::Duration;

use config::Smpp;
use dialplans::TrunkName;
use rusmpp::pdus::SubmitSm;

use super::link::Slot;
use super::receipt::{Verdict, plain_id};
use super::session::SubmitEnd;
use super::submit::{self, PartOf, Unfit};
use crate::app::App;
use crate::ids::{MessageId, VerificationId};
use crate::messages::{OutgoingText, TextEnd};
use crate::store::SubmittedCode;

/// How long the message centre may try: a code is of no use for longer.
const VALIDITY: Duration = Duration::from_secs(600);

/// A text with its place in the link's window.
pub(in crate::messages) struct Ready {
    app: App,
    link: TrunkName,
    message_id: MessageId,
    proves: Option<VerificationId>,
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
    let registered_delivery = settings.registered_delivery && text.proves.is_some();
    let settings = Smpp { registered_delivery, ..settings.clone() };
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
    Ok(Ready {
        app: app.clone(),
        link: settings.name,
        message_id: text.message_id,
        proves: text.proves,
        slot,
        parts,
    })
}

impl Ready {
    /// Submits each part, once.
    pub(in crate::messages) async fn send(self) -> TextEnd {
        let mut sent = TextEnd::Lost;
        let parts = self.parts.len();
        for (place, part) in self.parts.into_iter().enumerate() {
            let end = self.slot.submit(part).await;
            if let (Some(verification_id), SubmitEnd::Answered { remote_id: Some(id), .. }) =
                (self.proves, &end)
            {
                let submitted = SubmittedCode {
                    link: self.link.clone(),
                    remote_id: plain_id(id),
                    verification_id,
                    dispatch_id: self.message_id,
                    part: place,
                    parts,
                };
                if let Err(error) = self.app.store().submitted_code(submitted).await {
                    tracing::warn!(%error, "the receipt of a code will not be known");
                }
            }
            sent = match of_end(end) {
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
