//! `dozvon calls` and `dozvon call`.

use serde_json::{Value, json};

use super::status::text;
use super::{Ask, Endpoint, Exit, output, refused, unanswered};

/// Seconds for which the daemon is asked to hold an answer back.
const WAIT_S: u32 = 25;
/// How often `--follow` asks for calls that ended.
const FOLLOW_PERIOD: std::time::Duration = std::time::Duration::from_secs(1);

/// Lists calls, newest first; with `follow` goes on with calls as they end, oldest first.
pub(super) async fn calls(ask: &Ask, limit: u16, follow: bool) -> Exit {
    let endpoint = Endpoint::socket(&ask.socket);
    let mut seen: Option<String> = None;
    let mut every = tokio::time::interval(FOLLOW_PERIOD);
    loop {
        every.tick().await;
        let answer = match endpoint.get(&format!("/v1/calls?limit={limit}")).await {
            Ok(answer) if answer.status.is_success() => answer.body,
            Ok(answer) => return refused(&answer),
            Err(error) => return unanswered(&error),
        };
        let list = answer["data"].as_array().cloned().unwrap_or_default();
        let is_first = seen.is_none();
        // Identifiers sort by time, so "after the last one shown" is a comparison of texts.
        let fresh: Vec<Value> = list
            .into_iter()
            .filter(|call| !follow || !call["ended_at"].is_null())
            .filter(|call| seen.as_deref().is_none_or(|seen| text(&call["id"]).as_str() > seen))
            .collect();
        if let Some(newest) = fresh.first() {
            seen = Some(text(&newest["id"]));
        }
        print_calls(ask, &fresh, is_first, follow);
        if !follow {
            return Exit::Success;
        }
        seen.get_or_insert_default();
    }
}

fn print_calls(ask: &Ask, list: &[Value], with_header: bool, oldest_first: bool) {
    if ask.json {
        for call in list {
            output::line(call);
        }
        return;
    }
    let mut rows: Vec<Vec<String>> = list
        .iter()
        .map(|call| {
            ["created_at", "id", "trunk", "to", "caller_id", "outcome", "status", "q850"]
                .map(|key| text(&call[key]))
                .to_vec()
        })
        .collect();
    if oldest_first {
        rows.reverse();
    }
    let header = ["TIME", "CALL", "TRUNK", "TO", "CALLER ID", "OUTCOME", "SIP", "Q.850"];
    if with_header {
        output::table(&header, &[6, 7], &rows);
    } else {
        for row in rows {
            output::line(row.join("  "));
        }
    }
}

/// Places a test flash call and tells how it went.
pub(super) async fn place(ask: &Ask, number: &str) -> Exit {
    let endpoint = Endpoint::socket(&ask.socket);
    let wish = json!({ "to": number, "channels": ["flash_call"], "reference": "dozvon call" });
    let mut object = match endpoint.post("/v1/verifications", &wish).await {
        Ok(answer) if answer.status.is_success() => answer.body,
        Ok(answer) => return refused(&answer),
        Err(error) => return unanswered(&error),
    };
    while is_moving(&object) {
        let id = text(&object["id"]);
        let version = text(&object["version"]);
        let path = format!("/v1/verifications/{id}?wait={WAIT_S}&after={version}");
        object = match endpoint.get(&path).await {
            Ok(answer) if answer.status.is_success() => answer.body,
            Ok(answer) => return refused(&answer),
            Err(error) => return unanswered(&error),
        };
    }
    if ask.json {
        output::line(&object);
    } else {
        for step in object["steps"].as_array().into_iter().flatten() {
            for call in step["calls"].as_array().into_iter().flatten() {
                output::line(format_args!(
                    "{} over {}: {}",
                    text(&call["id"]),
                    text(&call["trunk"]),
                    text(&call["outcome"])
                ));
                for entry in call["timeline"].as_array().into_iter().flatten() {
                    output::line(format_args!(
                        "{:>8} ms  {}",
                        text(&entry["t_ms"]),
                        text(&entry["event"])
                    ));
                }
            }
        }
    }
    let rang = object["steps"][0]["status"] == "rang" || object["steps"][0]["status"] == "answered";
    if rang { Exit::Success } else { Exit::Failure }
}

/// Whether a call of the verification is still up.
fn is_moving(object: &Value) -> bool {
    let calls = object["steps"].as_array().into_iter().flatten();
    object["status"] == "pending"
        && calls
            .filter_map(|step| step["calls"].as_array())
            .flatten()
            .any(|call| call["outcome"].is_null())
}
