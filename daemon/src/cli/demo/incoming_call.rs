//! `--channel incoming_call`: the user calls the gateway, and is refused and approved at once.

use std::time::Instant;

use serde_json::{Value, json};

use super::stage::Stage;
use super::{DemoError, NUMBER, WAIT_S, expect, text};
use crate::carrier::{Shown, Wish};
use crate::cli::{Endpoint, output};

/// Another phone, which proves nothing.
const STRANGER: &str = "+79160000000";

/// A stranger's call, then the user's, told step by step.
pub(super) async fn prove(stage: &Stage) -> Result<(), DemoError> {
    let api = stage.api();
    output::line("");
    output::line(format_args!(
        "POST /v1/verifications {{\"to\": \"{NUMBER}\", \"purpose\": \"sign_up\"}}"
    ));
    let wish = json!({ "to": NUMBER, "purpose": "sign_up" });
    let created = expect("verify the number", api.post("/v1/verifications", &wish).await?)?;
    let (id, number) = (text(&created["id"]), text(&created["incoming_call"]["number"]));
    output::line(format_args!("  201 {id}, {}", text(&created["status"])));
    output::line(format_args!("  the user is to call {number}"));

    output::line("");
    output::line(format_args!("{STRANGER} calls {number}"));
    stage.wish(&call(STRANGER, &number)).await?;
    refused(stage, STRANGER).await?;
    let seen = read(api, &id).await?;
    output::line(format_args!("  refused, and the verification is {}", text(&seen["status"])));
    if seen["status"] != "pending" {
        return Err(DemoError::Missing("a stranger's call was not passed over".to_owned()));
    }

    output::line("");
    output::line(format_args!("{NUMBER} calls {number}"));
    let begun = Instant::now();
    stage.wish(&call(NUMBER, &number)).await?;
    let path = format!("/v1/verifications/{id}?wait={WAIT_S}&after={}", text(&seen["version"]));
    let seen = expect("wait for the call", api.get(&path).await?)?;
    let took = begun.elapsed();
    refused(stage, NUMBER).await?;
    output::line(format_args!(
        "  refused unanswered, and the verification is {} after {} ms",
        text(&seen["status"]),
        took.as_millis()
    ));
    match seen["status"].as_str() {
        Some("approved") => Ok(()),
        _ => Err(DemoError::Missing("the user's call did not prove the number".to_owned())),
    }
}

fn call(from: &str, to: &str) -> Wish {
    Wish::Call { from: from.to_owned(), to: to.to_owned(), shown: Shown::Asserted }
}

/// Waits until the caller heard that the call is refused.
async fn refused(stage: &Stage, caller: &str) -> Result<(), DemoError> {
    match stage.called(caller).await? {
        603 => Ok(()),
        status => Err(DemoError::Missing(format!("the call was answered {status} and not 603"))),
    }
}

async fn read(api: &Endpoint, id: &str) -> Result<Value, DemoError> {
    expect("read the verification", api.get(&format!("/v1/verifications/{id}")).await?)
}
