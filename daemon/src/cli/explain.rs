//! `dozvon dialplan explain`.

use serde_json::json;

use super::{Ask, Endpoint, Exit, output, refused, unanswered};

/// Says why a number would take which trunk and pool.
pub(super) async fn explain(ask: &Ask, number: &str) -> Exit {
    let wish = json!({ "to": number });
    match Endpoint::socket(&ask.socket).post("/v1/dialplan/explain", &wish).await {
        Ok(answer) if answer.status.is_success() => {
            match answer.body["text"].as_str().filter(|_| !ask.json) {
                Some(text) => output::line(text.trim_end()),
                None => output::line(&answer.body),
            }
            Exit::Success
        }
        Ok(answer) => refused(&answer),
        Err(error) => unanswered(&error),
    }
}
