//! Hands one text on, part by part.

use std::time::Duration;

use config::Smpp;
use dialplans::TrunkName;

use super::link::Slot;
use super::receipt::{Verdict, plain_id};
use super::session::SubmitEnd;
use super::submit::{self, PartOf, Unfit};
use crate::app::App;
use crate::store::{
    ChangePart, Message, MessageChanged, PartEvent, PartStatus, StoreError, WRITE_RETRY,
};

/// Waits between tries of a part that was not taken.
const WAITS: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(300),
];
/// Hands on what is left of a text, until each part is taken or has ended, or the process stops;
/// the next start goes on with it.
pub(in crate::messages) async fn run(app: App, mut message: Message) {
    let Some(name) = message.trunk.clone() else { return };
    let mut tries = 0;
    while let Some(part) = next_part(&message) {
        if app.now() >= message.valid_until {
            expire(&app, &mut message, &name).await;
            return;
        }
        match hand_on(&app, &mut message, &name, part).await {
            Step::Next => tries = 0,
            Step::Wait => {
                let wait = WAITS[tries.min(WAITS.len() - 1)];
                let wait = app.jittered(wait).min(app.clock().until(message.valid_until));
                tries += 1;
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = app.stop().cancelled() => return,
                }
            }
            Step::Closed => return,
        }
    }
}

/// Goes on with a text of an earlier process. A part whose answer nobody heard is submitted again,
/// for it may not have been taken.
pub(in crate::messages) fn take_up(app: &App, mut message: Message) {
    let (task_app, name) = (app.clone(), message.trunk.clone());
    app.spawn(async move {
        let Some(name) = name else { return };
        for part in 0..message.parts.len() {
            if message.parts[part].status == PartStatus::Sending {
                let word = Some("interrupted".to_owned());
                if !write(&task_app, &mut message, &name, part, PartEvent::Lost, word).await {
                    return;
                }
            }
        }
        run(task_app, message).await;
    });
}

fn next_part(message: &Message) -> Option<usize> {
    message.parts.iter().position(|part| part.status == PartStatus::Accepted)
}

/// How it goes on after a try.
enum Step {
    /// With the next part at once.
    Next,
    /// With the same part later.
    Wait,
    /// Not: another hand works on the text, or the store is closed.
    Closed,
}

async fn hand_on(app: &App, message: &mut Message, name: &TrunkName, part: usize) -> Step {
    let settings = app.settings();
    let (Some(settings), Some(link)) = (settings.config.smpp.get(name), app.links().get(name))
    else {
        // The file that names it again may come with the next start.
        return Step::Wait;
    };
    let slot = tokio::select! {
        slot = link.reserve() => slot,
        () = tokio::time::sleep(app.clock().until(message.valid_until)) => return Step::Wait,
        // From the reservation on it goes to its end: what leaves is written down.
        () = app.stop().cancelled() => return Step::Closed,
    };
    let command = match command(app, settings, message, part) {
        Ok(command) => command,
        Err(Unfit(word)) => return refuse(app, message, name, part, word.to_owned()).await,
    };
    if !write(app, message, name, part, PartEvent::Sending, None).await {
        return Step::Closed;
    }
    submit(app, message, name, part, slot, command).await
}

async fn submit(
    app: &App,
    message: &mut Message,
    name: &TrunkName,
    part: usize,
    slot: Slot,
    command: rusmpp::pdus::SubmitSm,
) -> Step {
    let (event, word, step) = match slot.submit(command).await {
        SubmitEnd::NotSent => (PartEvent::NotTaken, "link_down".to_owned(), Step::Next),
        SubmitEnd::Lost => (PartEvent::Lost, "no_answer".to_owned(), Step::Wait),
        SubmitEnd::Answered { status, remote_id } => {
            let word = format!("smpp_{}", u32::from(status));
            match Verdict::of(status) {
                Verdict::Taken => {
                    let remote_id = remote_id.map(|id| plain_id(&id));
                    (PartEvent::Taken(remote_id), word, Step::Next)
                }
                Verdict::Throttled | Verdict::Later => (PartEvent::NotTaken, word, Step::Wait),
                Verdict::Refused => return refuse(app, message, name, part, word).await,
            }
        }
    };
    if write(app, message, name, part, event, Some(word)).await { step } else { Step::Closed }
}

fn command(
    app: &App,
    settings: &Smpp,
    message: &Message,
    part: usize,
) -> Result<rusmpp::pdus::SubmitSm, Unfit> {
    let to = message.to.full().ok_or(Unfit("number_blanked"))?;
    let text = message.text.as_deref().ok_or(Unfit("text_blanked"))?;
    submit::command(&PartOf {
        settings,
        to: &to,
        sender: message.sender.as_deref(),
        text,
        part,
        // The last octet of the id is chance, and the same for each part and each try.
        reference: message.message_id.0.to_be_bytes()[15],
        validity: app.clock().until(message.valid_until),
    })
}

/// A part is refused for good, and with it those that did not leave: a phone shows a text whole
/// or not at all.
async fn refuse(
    app: &App,
    message: &mut Message,
    name: &TrunkName,
    part: usize,
    word: String,
) -> Step {
    let ended = PartEvent::Ended(PartStatus::Rejected);
    let mut left: Vec<usize> = (0..message.parts.len()).collect();
    left.retain(|&other| other != part && message.parts[other].status == PartStatus::Accepted);
    for other in left {
        let word = Some("other_part_refused".to_owned());
        write(app, message, name, other, ended.clone(), word).await;
    }
    write(app, message, name, part, ended, Some(word)).await;
    Step::Next
}

async fn expire(app: &App, message: &mut Message, name: &TrunkName) {
    // What may have arrived is not called expired.
    let status = if message.maybe_duplicate { PartStatus::Unknown } else { PartStatus::Expired };
    while let Some(part) = next_part(message) {
        let word = message.parts[part].detail.clone().unwrap_or_else(|| "no_link".to_owned());
        if !write(app, message, name, part, PartEvent::Ended(status), Some(word)).await {
            return;
        }
    }
}

/// Writes down what happened to a part, until the store takes it. False: the part has gone
/// another way, or the store is closed.
pub(super) async fn write(
    app: &App,
    message: &mut Message,
    link: &TrunkName,
    part: usize,
    event: PartEvent,
    detail: Option<String>,
) -> bool {
    loop {
        let change = ChangePart {
            message_id: message.message_id,
            part,
            link: link.clone(),
            event: event.clone(),
            detail: detail.clone(),
        };
        match app.store().change_part(change).await {
            Ok(MessageChanged::Stored(stored)) => {
                *message = *stored;
                return true;
            }
            Ok(MessageChanged::Ended(_) | MessageChanged::NotFound) => return false,
            Err(StoreError::Closed) => return false,
            Err(error) => {
                let message_id = message.message_id;
                tracing::warn!(%error, %message_id, "a part's status was not written down");
                tokio::time::sleep(WRITE_RETRY).await;
            }
        }
    }
}
