//! Which events a change makes, and what stands in them. Pure.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Hook;
use crate::clock::Timestamp;
use crate::http::messages::view::MessageView;
use crate::http::verifications::view::VerificationView;
use crate::store::{Message, MessageStatus, Outgoing, Told};
use crate::verification::model::{Verification, VerificationStatus};

/// The events of one change, for each webhook that wants them. What happens under a test key
/// leaves nothing.
pub(super) fn of(hooks: &[Arc<Hook>], now: Timestamp, told: Told<'_>) -> Vec<Outgoing> {
    let (account, live, kind) = match told {
        Told::Message(before, after) => (&after.account, after.live, of_message(before, after)),
        Told::Verification(before, after) => {
            (&after.account, after.live, of_verification(before, after))
        }
    };
    let Some(kind) = kind.filter(|_| live) else { return Vec::new() };
    let wanting = hooks.iter().filter(|hook| {
        let settings = &hook.settings;
        settings.account.as_str() == account && settings.wants(kind) && !hook.is_disabled()
    });
    let mut wanting = wanting.peekable();
    if wanting.peek().is_none() {
        return Vec::new();
    }
    let data: Value = match told {
        Told::Message(_, message) => json!(MessageView::new(message, true)),
        Told::Verification(_, verification) => json!(VerificationView::new(verification, true)),
    };
    let body = json!({"type": kind, "timestamp": now.to_string(), "data": data}).to_string();
    let outgoing = |hook: &Arc<Hook>| Outgoing {
        webhook: hook.name().to_owned(),
        kind,
        body: body.clone().into_bytes(),
    };
    wanting.map(outgoing).collect()
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
