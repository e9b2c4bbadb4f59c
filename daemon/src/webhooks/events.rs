//! Which events a change makes, and what stands in them. Pure.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Hook;
use crate::clock::Timestamp;
use crate::http::calls::CallRecordView;
use crate::http::messages::view::MessageView;
use crate::http::verifications::view::VerificationView;
use crate::store::{CallView, Message, MessageStatus, News, Outgoing, Told};
use crate::verification::model::{Call, CallState, Step, Verification, VerificationStatus};

/// The events of one change, for each webhook that wants them. What happens under a test key
/// leaves nothing.
pub(super) fn of(hooks: &[Arc<Hook>], now: Timestamp, told: Told<'_>) -> Vec<Outgoing> {
    let mut outgoing = Vec::new();
    for (kind, subject) in happened(told) {
        let wanting = hooks.iter().filter(|hook| {
            let wants = match subject.account() {
                Some(account) => {
                    hook.settings.account.as_str() == account && hook.settings.wants(kind)
                }
                None => hook.settings.names(kind),
            };
            wants && !hook.is_disabled()
        });
        let mut wanting = wanting.peekable();
        if wanting.peek().is_none() {
            continue;
        }
        let body = json!({"type": kind, "timestamp": now.to_string(), "data": subject.data()});
        let body = body.to_string().into_bytes();
        let event = |hook: &Arc<Hook>| Outgoing {
            webhook: hook.name().to_owned(),
            kind,
            body: body.clone(),
        };
        outgoing.extend(wanting.map(event));
    }
    outgoing
}

/// What an event is about.
enum Subject<'a> {
    Message(&'a Message),
    Verification(&'a Verification),
    Call(&'a Verification, &'a Step, &'a Call),
    News(&'a News),
}

impl Subject<'_> {
    /// Whose it is; `None`: the gateway's own.
    fn account(&self) -> Option<&str> {
        match self {
            Self::Message(message) => Some(&message.account),
            Self::Verification(verification) | Self::Call(verification, ..) => {
                Some(&verification.account)
            }
            Self::News(news) => news.account.as_deref(),
        }
    }

    /// As its account's own keys see it.
    fn data(&self) -> Value {
        match self {
            Self::Message(message) => json!(MessageView::new(message, true)),
            Self::Verification(verification) => json!(VerificationView::new(verification, true)),
            Self::Call(verification, step, call) => {
                let view = CallView::of(verification, step, call);
                json!(CallRecordView::new(&view, true))
            }
            Self::News(news) => news.data.0.clone(),
        }
    }
}

/// The types of the events, in the order in which it happened: calls before what they led to.
fn happened(told: Told<'_>) -> Vec<(&'static str, Subject<'_>)> {
    match told {
        Told::Message(before, after) if after.live => {
            let kind = of_message(before, after);
            kind.map(|kind| (kind, Subject::Message(after))).into_iter().collect()
        }
        Told::Verification(before, after) if after.live => {
            let mut events = of_calls(before, after);
            let kind = of_verification(before, after);
            events.extend(kind.map(|kind| (kind, Subject::Verification(after))));
            events
        }
        Told::Message(..) | Told::Verification(..) => Vec::new(),
        Told::News(news) => vec![(news.kind, Subject::News(news))],
    }
}

fn of_calls<'a>(
    before: Option<&Verification>,
    after: &'a Verification,
) -> Vec<(&'static str, Subject<'a>)> {
    let mut events = Vec::new();
    for (place, step) in after.steps.iter().enumerate() {
        let earlier = before.and_then(|before| before.steps.get(place));
        for (place, call) in step.calls.iter().enumerate() {
            let earlier = earlier.and_then(|step| step.calls.get(place));
            let stood = earlier.map_or((false, false), |call| stands(&call.state));
            let (rang, ended) = stands(&call.state);
            let subject = || Subject::Call(after, step, call);
            if rang && !stood.0 {
                events.push(("call.rang", subject()));
            }
            if ended && !stood.1 {
                events.push(("call.ended", subject()));
            }
        }
    }
    events
}

/// Whether it rang, and whether it ended.
fn stands(state: &CallState) -> (bool, bool) {
    match state {
        CallState::Up { rang, .. } => (*rang, false),
        CallState::Ended(record) => (record.rang, true),
    }
}

fn of_message(before: Option<&Message>, after: &Message) -> Option<&'static str> {
    if before.is_some_and(|before| before.status == after.status) {
        return None;
    }
    match after.status {
        // The answer to the request said so.
        MessageStatus::Accepted => None,
        MessageStatus::Sent => Some("message.sent"),
        MessageStatus::Delivered => Some("message.delivered"),
        MessageStatus::Failed
        | MessageStatus::Expired
        | MessageStatus::Rejected
        | MessageStatus::Unknown => Some("message.failed"),
        MessageStatus::Received => Some("message.received"),
        MessageStatus::Redirected => Some("message.redirected"),
    }
}

fn of_verification(before: Option<&Verification>, after: &Verification) -> Option<&'static str> {
    let Some(before) = before else { return Some("verification.created") };
    if before.status == after.status {
        let statuses = |it: &Verification| -> Vec<_> {
            it.steps.iter().map(|step| (step.n, step.status)).collect()
        };
        let is_same = statuses(before) == statuses(after);
        return (!is_same).then_some("verification.step_changed");
    }
    match after.status {
        VerificationStatus::Pending => None,
        VerificationStatus::Approved => Some("verification.approved"),
        VerificationStatus::Expired => Some("verification.expired"),
        // The status in the event says which.
        VerificationStatus::Failed
        | VerificationStatus::Canceled
        | VerificationStatus::Locked
        | VerificationStatus::Superseded => Some("verification.failed"),
    }
}
