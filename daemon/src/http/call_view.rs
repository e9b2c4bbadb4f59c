//! How a call looks to a client.

use serde::Serialize;
use sip::{TimelineEntry, TimelineEvent};

/// One line of a call's history.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = TimelineEntry)]
pub struct TimelineView {
    /// Milliseconds since the first INVITE.
    pub t_ms: u64,
    /// `invite`, a status such as `180`, `cancel`, `ack`, `bye`, `timeout`, `transport_error`.
    #[schema(example = "180")]
    pub event: String,
}

/// Shows a history.
pub fn timeline(entries: &[TimelineEntry]) -> Vec<TimelineView> {
    let shown = entries.iter().map(|entry| TimelineView {
        t_ms: u64::try_from(entry.at.as_millis()).unwrap_or(u64::MAX),
        event: word(entry.event),
    });
    shown.collect()
}

fn word(event: TimelineEvent) -> String {
    match event {
        TimelineEvent::Invite { .. } => "invite".to_owned(),
        TimelineEvent::Response { status } => status.to_string(),
        TimelineEvent::Cancel => "cancel".to_owned(),
        TimelineEvent::Ack => "ack".to_owned(),
        TimelineEvent::Bye => "bye".to_owned(),
        TimelineEvent::Timeout => "timeout".to_owned(),
        TimelineEvent::TransportError => "transport_error".to_owned(),
    }
}
