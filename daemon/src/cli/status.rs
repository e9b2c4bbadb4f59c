//! `dozvon status` and `dozvon trunks`.

use serde_json::Value;

use super::{Ask, Endpoint, Exit, output, refused, unanswered};

/// How the running daemon is: ready or not, trunks, calls.
pub(super) async fn status(ask: &Ask) -> Exit {
    let endpoint = Endpoint::socket(&ask.socket);
    let ready = match endpoint.get("/readyz").await {
        Ok(ready) => ready,
        Err(error) => return unanswered(&error),
    };
    let trunks = match endpoint.get("/v1/trunks").await {
        Ok(trunks) if trunks.status.is_success() => trunks.body,
        Ok(answer) => return refused(&answer),
        Err(error) => return unanswered(&error),
    };
    if ask.json {
        output::line(serde_json::json!({ "ready": ready.body, "trunks": trunks["data"] }));
    } else {
        let list = trunks["data"].as_array().map_or(&[][..], Vec::as_slice);
        let up = list.iter().filter(|trunk| trunk["state"] == "up").count();
        let calls: u64 = list.iter().filter_map(|trunk| trunk["calls_up"].as_u64()).sum();
        let word = if ready.status.is_success() { "ready" } else { "not ready" };
        output::line(format_args!("{word}, {up} of {} trunks up, {calls} calls", list.len()));
        if !list.is_empty() {
            print_trunks(list);
        }
    }
    if ready.status.is_success() { Exit::Success } else { Exit::TryAgain }
}

/// How the trunks are.
pub(super) async fn trunks(ask: &Ask) -> Exit {
    match Endpoint::socket(&ask.socket).get("/v1/trunks").await {
        Ok(answer) if answer.status.is_success() => {
            if ask.json {
                output::line(&answer.body);
            } else {
                print_trunks(answer.body["data"].as_array().map_or(&[][..], Vec::as_slice));
            }
            Exit::Success
        }
        Ok(answer) => refused(&answer),
        Err(error) => unanswered(&error),
    }
}

fn print_trunks(list: &[Value]) {
    let header = ["TRUNK", "STATE", "REGISTRATION", "CALLS", "RANG", "ENDED", "PDD MS", "NER %"];
    let rows: Vec<Vec<String>> = list
        .iter()
        .map(|trunk| {
            let number = |key: &str| trunk[key].as_u64().map_or("-".to_owned(), |n| n.to_string());
            let ner =
                trunk["ner"].as_f64().map_or("-".to_owned(), |ner| format!("{:.0}", ner * 100.0));
            vec![
                text(&trunk["name"]),
                text(&trunk["state"]),
                text(&trunk["registration"]["state"]),
                number("calls_up"),
                number("rang"),
                number("ended"),
                number("pdd_ms"),
                ner,
            ]
        })
        .collect();
    output::table(&header, &[3, 4, 5, 6, 7], &rows);
}

/// A JSON text as it is printed in a cell.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}
