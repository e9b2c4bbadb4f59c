//! What the workflow has left, and what it handed on, as columns hold them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::verification::model::{Channel, Dispatch, DispatchOutcome, DispatchState, Planned};

const QUEUED: &str = "queued";
const SENDING: &str = "sending";
const REDIRECT: &str = "redirect";

/// `sms:60000 voice:60000`: each channel with the milliseconds that it waits.
pub(crate) fn encode_planned(planned: &[Planned]) -> String {
    let word =
        |planned: &Planned| format!("{}:{}", planned.channel.as_str(), planned.after.as_millis());
    planned.iter().map(word).collect::<Vec<_>>().join(" ")
}

pub(crate) fn decode_planned(text: &str) -> Option<Vec<Planned>> {
    let planned = |word: &str| {
        let (channel, after) = word.split_once(':')?;
        let after = Duration::from_millis(after.parse().ok()?);
        Some(Planned { channel: Channel::from_word(channel)?, after })
    };
    text.split_whitespace().map(planned).collect()
}

/// `[[id, created, "queued"], [id, created, "sent", ended, detail]]`; nothing for none. Behind
/// them stand the redirect of a text that goes to a mailbox, and the list of the parts that have
/// arrived, when there are any.
pub(crate) fn encode_dispatches(dispatches: &[Dispatch]) -> String {
    if dispatches.is_empty() {
        return String::new();
    }
    let value = |dispatch: &Dispatch| {
        let (id, created) = (dispatch.dispatch_id.to_string(), dispatch.created_at.as_millis());
        let mut values = match &dispatch.state {
            DispatchState::Queued => vec![json!(id), json!(created), json!(QUEUED)],
            DispatchState::Sending => vec![json!(id), json!(created), json!(SENDING)],
            DispatchState::Ended { at, outcome, detail } => {
                let (outcome, at) = (outcome.as_str(), at.as_millis());
                vec![json!(id), json!(created), json!(outcome), json!(at), json!(detail)]
            }
        };
        if let Some(redirect) = dispatch.redirect {
            values.push(json!({REDIRECT: redirect.to_string()}));
        }
        if !dispatch.arrived.is_empty() {
            values.push(json!(dispatch.arrived));
        }
        Value::Array(values)
    };
    Value::Array(dispatches.iter().map(value).collect()).to_string()
}

pub(crate) fn decode_dispatches(text: &str) -> Option<Vec<Dispatch>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let values: Vec<Vec<Value>> = serde_json::from_str(text).ok()?;
    values.iter().map(|value| dispatch(value)).collect()
}

fn dispatch(value: &[Value]) -> Option<Dispatch> {
    let text = |place: usize| value.get(place).and_then(Value::as_str);
    let time = |place: usize| value.get(place).and_then(Value::as_i64).map(Timestamp);
    let state = match text(2)? {
        QUEUED => DispatchState::Queued,
        SENDING => DispatchState::Sending,
        word => DispatchState::Ended {
            at: time(3)?,
            outcome: DispatchOutcome::from_word(word)?,
            detail: text(4)?.to_owned(),
        },
    };
    let arrived = value.last().and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let part = |part: &Value| usize::try_from(part.as_u64()?).ok();
    let arrived = arrived.iter().map(part).collect::<Option<_>>()?;
    let redirect = value.iter().find_map(|value| value.get(REDIRECT)?.as_str());
    let redirect = redirect.map(str::parse).transpose().ok()?;
    let dispatch_id = text(0)?.parse().ok()?;
    Some(Dispatch { dispatch_id, created_at: time(1)?, state, arrived, redirect })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::MessageId;

    #[test]
    fn what_is_left_and_what_was_handed_on_read_back_as_they_were_written() {
        let planned = vec![
            Planned { channel: Channel::Sms, after: Duration::from_secs(60) },
            Planned { channel: Channel::Email, after: Duration::ZERO },
        ];
        assert_eq!(decode_planned(&encode_planned(&planned)), Some(planned));
        assert_eq!(decode_planned(""), Some(Vec::new()));
        assert_eq!(decode_planned("pigeon:1"), None);
        let ended = |outcome| DispatchState::Ended {
            at: Timestamp(7),
            outcome,
            detail: "sip \"200\"".to_owned(),
        };
        let mut states = vec![DispatchState::Queued, DispatchState::Sending];
        states.extend(DispatchOutcome::ALL.iter().copied().map(ended));
        let with_state = |state| Dispatch { state, ..Dispatch::queued(MessageId(9), Timestamp(5)) };
        let mut dispatches: Vec<_> = states.into_iter().map(with_state).collect();
        dispatches[1].arrived = vec![0];
        dispatches[2].arrived = vec![2, 1];
        let redirected = dispatches.clone().into_iter();
        let redirect = Some(crate::ids::RedirectId(11));
        dispatches.extend(redirected.map(|it| Dispatch { redirect, ..it }));
        assert_eq!(decode_dispatches(&encode_dispatches(&dispatches)), Some(dispatches));
        assert_eq!(decode_dispatches(""), Some(Vec::new()));
    }
}
