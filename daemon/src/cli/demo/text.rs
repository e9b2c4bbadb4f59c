//! `dozvon demo --channel sms`: the code goes out as a text, and the handset tells what it got.

use serde_json::{Value, json};

use super::stage::Stage;
use super::{DemoError, NUMBER, WAIT_S, expect, prove_code, text};
use crate::cli::{Endpoint, output};

/// One number, proved by the text that its handset shows.
pub(super) async fn prove(stage: &Stage) -> Result<(), DemoError> {
    let api = stage.api();
    let wish = json!({
        "to": NUMBER, "channels": ["sms"], "locale": "ru",
        "autofill": {"web_origin": "app.example.ru"},
    });
    output::line("");
    output::line(format_args!("POST /v1/verifications {wish}"));
    let created = expect("verify the number", api.post("/v1/verifications", &wish).await?)?;
    output::line(format_args!("  201 {}, {}", text(&created["id"]), text(&created["status"])));
    output::line("");

    let shown = stage.text(NUMBER).await?;
    let id = text(&created["id"]);
    let object = wait_sent(api, created).await?;
    output::line("");
    output::line("The phone shows");
    for line in shown.lines() {
        output::line(format_args!("  | {line}"));
    }
    output::line(format_args!("The step: {}", text(&object["steps"][0]["status"])));

    let code = code_of(&shown, &object)?;
    prove_code(api, &id, &code).await
}

/// Waits until the text or letter was taken.
pub(super) async fn wait_sent(api: &Endpoint, mut object: Value) -> Result<Value, DemoError> {
    while matches!(object["steps"][0]["status"].as_str(), Some("queued" | "sending")) {
        let (id, version) = (text(&object["id"]), text(&object["version"]));
        let path = format!("/v1/verifications/{id}?wait={WAIT_S}&after={version}");
        object = expect("wait for what is sent", api.get(&path).await?)?;
    }
    match object["steps"][0]["status"].as_str() {
        Some("sent" | "delivered") => Ok(object),
        other => Err(DemoError::Missing(format!(
            "what was sent was not taken: {}",
            other.unwrap_or("no step")
        ))),
    }
}

/// The digits behind the last `#`, as a browser finds them (WebOTP).
fn code_of(shown: &str, object: &Value) -> Result<String, DemoError> {
    let code = shown.rsplit('#').next().unwrap_or_default().trim();
    let length = object["code"]["length"].as_u64();
    if length == Some(code.len() as u64) && code.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(code.to_owned());
    }
    Err(DemoError::Missing("the text's last line has no code".to_owned()))
}
