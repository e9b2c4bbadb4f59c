//! `dozvon demo --channel email`: the code goes out as a letter, and the mailbox tells what it got.

use serde_json::{Value, json};

use super::stage::Stage;
use super::text::wait_sent;
use super::{DemoError, expect, prove_code, text};
use crate::cli::output;

/// The mailbox that is proved, in a domain that nobody can have (RFC 2606).
const MAILBOX: &str = "ivan@corp.example";

/// One mailbox, proved by the letter that it got.
pub(super) async fn prove(stage: &Stage) -> Result<(), DemoError> {
    let api = stage.api();
    let wish = json!({"to": MAILBOX, "channels": ["email"], "locale": "ru"});
    output::line("");
    output::line(format_args!("POST /v1/verifications {wish}"));
    let created = expect("verify the mailbox", api.post("/v1/verifications", &wish).await?)?;
    output::line(format_args!("  201 {}, {}", text(&created["id"]), text(&created["status"])));
    output::line("");

    let letter = stage.letter(MAILBOX).await?;
    let id = text(&created["id"]);
    let object = wait_sent(api, created).await?;
    output::line("");
    output::line(format_args!("The mailbox shows \"{}\"", letter.subject));
    for line in letter.text.lines() {
        output::line(format_args!("  | {line}"));
    }
    output::line(format_args!("The step: {}", text(&object["steps"][0]["status"])));

    let code = code_of(&letter.text, &object)?;
    prove_code(api, &id, &code).await
}

/// The one run of digits that is as long as the code.
fn code_of(shown: &str, object: &Value) -> Result<String, DemoError> {
    let length = object["code"]["length"].as_u64();
    let mut runs = shown
        .split(|character: char| !character.is_ascii_digit())
        .filter(|run| Some(run.len() as u64) == length);
    match (runs.next(), runs.next()) {
        (Some(code), None) => Ok(code.to_owned()),
        _ => Err(DemoError::Missing("the letter does not show one code".to_owned())),
    }
}
