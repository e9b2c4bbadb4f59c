//! A call's timeline as one column: JSON that an operator can read.

use std::time::Duration;

use serde_json::Value;
use sip::{TimelineEntry, TimelineEvent};

/// `[{"t_ms":0,"event":"invite","cseq":1},{"t_ms":640,"event":"180"}]`.
pub(crate) fn encode(timeline: &[TimelineEntry]) -> String {
    let mut json = String::with_capacity(2 + timeline.len() * 32);
    json.push('[');
    for (place, entry) in timeline.iter().enumerate() {
        if place > 0 {
            json.push(',');
        }
        let word = word(entry.event);
        json.push_str(&format!("{{\"t_ms\":{},\"event\":\"{word}\"", entry.at.as_millis()));
        if let TimelineEvent::Invite { cseq } = entry.event {
            json.push_str(&format!(",\"cseq\":{cseq}"));
        }
        json.push('}');
    }
    json.push(']');
    json
}

/// The word of an event; a response's is its status.
pub fn word(event: TimelineEvent) -> String {
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

/// Reads what [`encode`] wrote; `None`: it is something else.
pub(crate) fn decode(json: &str) -> Option<Vec<TimelineEntry>> {
    let Value::Array(entries) = serde_json::from_str(json).ok()? else { return None };
    entries.iter().map(decode_entry).collect()
}

fn decode_entry(entry: &Value) -> Option<TimelineEntry> {
    let at = Duration::from_millis(entry.get("t_ms")?.as_u64()?);
    let event = match entry.get("event")?.as_str()? {
        "invite" => {
            TimelineEvent::Invite { cseq: u32::try_from(entry.get("cseq")?.as_u64()?).ok()? }
        }
        "cancel" => TimelineEvent::Cancel,
        "ack" => TimelineEvent::Ack,
        "bye" => TimelineEvent::Bye,
        "timeout" => TimelineEvent::Timeout,
        "transport_error" => TimelineEvent::TransportError,
        status => TimelineEvent::Response { status: status.parse().ok()? },
    };
    Some(TimelineEntry { at, event })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeline_of_every_event_reads_back() {
        let events = [
            TimelineEvent::Invite { cseq: 2 },
            TimelineEvent::Response { status: 180 },
            TimelineEvent::Cancel,
            TimelineEvent::Ack,
            TimelineEvent::Bye,
            TimelineEvent::Timeout,
            TimelineEvent::TransportError,
        ];
        let at = Duration::from_millis(640);
        let timeline = events.map(|event| TimelineEntry { at, event }).to_vec();
        assert_eq!(decode(&encode(&timeline)), Some(timeline));
        assert_eq!(encode(&[]), "[]");
        assert_eq!(decode("{}"), None);
        assert_eq!(decode("[{\"t_ms\":1,\"event\":\"?\"}]"), None);
    }
}
