//! `dozvon demo`: the main job on real sockets, without a file.
//!
//! The trunk simulator runs as a child process, the daemon in this one, on SQLite in a
//! temporary folder; the number is proved through the HTTP API as any backend would, and the
//! code comes only from what the simulator's handset shows.

mod incoming_call;
mod ladder;
mod letter;
mod many;
mod phone;
mod spoken;
mod stage;
mod text;

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::status::text;
use super::{Endpoint, Exit, output};
use phone::Phone;
use stage::Stage;

/// The number that is proved; its last two digits let the simulator ring.
const NUMBER: &str = "+79161234567";
/// Seconds for which the daemon is asked to hold an answer back.
const WAIT_S: u32 = 20;
/// How often the record of a call is asked for, and the time between.
const RECORD_TRIES: u32 = 50;
const RECORD_PERIOD: std::time::Duration = std::time::Duration::from_millis(100);

/// Options of the demo.
#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {
    /// Prove this many numbers, many at once, and close with a table.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    calls: Option<u32>,
    /// By which channel one number is proved.
    #[arg(long, value_enum, default_value = "flash_call", conflicts_with = "calls")]
    channel: DemoChannel,
    /// Stay up afterwards, with the API and a key printed.
    #[arg(long)]
    keep: bool,
    /// Where the API listens; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

/// The channels that the demo shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum DemoChannel {
    /// The tail of the calling number.
    FlashCall,
    /// A call that says the code.
    Voice,
    /// The user calls the gateway.
    IncomingCall,
    /// A text.
    Sms,
    /// A letter.
    Email,
}

/// Why the demo did not work.
#[derive(Debug, thiserror::Error)]
pub(super) enum DemoError {
    /// Something could not be started.
    #[error("{what}: {cause}")]
    Start {
        /// What.
        what: &'static str,
        /// Why.
        cause: String,
    },
    /// The simulator's process ended.
    #[error("the carrier's process ended while the demo needed it")]
    CarrierDied,
    /// A step of the play did not come.
    #[error("{0}")]
    Missing(String),
    /// The API refused.
    #[error("the API refused to {what}: {problem}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// What it said.
        problem: String,
    },
    /// The API did not answer.
    #[error("the API did not answer: {0}")]
    Unanswered(#[from] super::AskError),
}

/// Plays the demo; success only when all of it worked.
pub(super) async fn demo(args: DemoArgs) -> Exit {
    let stage = match Stage::set(args.listen).await {
        Ok(stage) => stage,
        Err(error) => {
            output::complain(format_args!("error: {error}"));
            return Exit::Failure;
        }
    };
    let stop = crate::lifecycle::stop_signal();
    let played = tokio::select! {
        played = play(&stage, args.calls, args.channel) => played,
        () = stage.carrier_ended() => Err(DemoError::CarrierDied),
        () = stop => Err(DemoError::Missing("interrupted".to_owned())),
    };
    let exit = match &played {
        Ok(()) => Exit::Success,
        Err(error) => {
            output::complain(format_args!("error: {error}"));
            Exit::Failure
        }
    };
    if args.keep && exit == Exit::Success {
        stage.print_address();
        tokio::select! {
            () = crate::lifecycle::stop_signal() => {}
            () = stage.carrier_ended() => output::complain("the carrier's process ended"),
        }
    }
    stage.strike().await;
    exit
}

async fn play(stage: &Stage, calls: Option<u32>, channel: DemoChannel) -> Result<(), DemoError> {
    stage.wait_registered().await?;
    match (calls, channel) {
        (Some(count), _) => many::prove(stage, count).await,
        (None, DemoChannel::FlashCall) => prove_one(stage).await,
        (None, DemoChannel::Voice) => spoken::prove(stage).await,
        (None, DemoChannel::IncomingCall) => incoming_call::prove(stage).await,
        (None, DemoChannel::Sms) => text::prove(stage).await,
        (None, DemoChannel::Email) => letter::prove(stage).await,
    }
}

/// One number, told step by step.
async fn prove_one(stage: &Stage) -> Result<(), DemoError> {
    let api = stage.api();
    output::line("");
    output::line(format_args!("POST /v1/verifications {{\"to\": \"{NUMBER}\"}}"));
    let created = ask_created(api, NUMBER, "flash_call").await?;
    output::line(format_args!("  201 {}, {}", text(&created["id"]), text(&created["status"])));
    output::line("");

    let phone = stage.phone(NUMBER).await?;
    let object = wait_rang(api, created).await?;
    stage.ladder_until_acknowledged(&phone).await?;
    output::line("");
    output::line(format_args!("The phone rang and shows {}", phone.caller_id));

    let id = text(&object["id"]);
    let code = code_of(&phone, &object)?;
    prove_code(api, &id, &code).await?;
    print_record(api, &id, "rang").await
}

/// Shows that another code is refused and that this one proves it.
async fn prove_code(api: &Endpoint, id: &str, code: &str) -> Result<(), DemoError> {
    let wrong = wrong_code(code);
    let refused = check(api, id, &wrong).await?;
    output::line(format_args!("POST …/check with {wrong}: valid {}", text(&refused["valid"])));
    if refused["valid"] != false {
        return Err(DemoError::Missing("a wrong code was not refused".to_owned()));
    }
    let approved = check(api, id, code).await?;
    output::line(format_args!(
        "POST …/check with {code}: valid {}, {}",
        text(&approved["valid"]),
        text(&approved["status"])
    ));
    if approved["valid"] != true || approved["status"] != "approved" {
        return Err(DemoError::Missing("the right code was not accepted".to_owned()));
    }
    Ok(())
}

async fn print_record(api: &Endpoint, id: &str, outcome: &str) -> Result<(), DemoError> {
    let call = recorded_call(api, id).await?;
    output::line("");
    output::line(format_args!(
        "The call record: {} over trunk {}",
        text(&call["id"]),
        text(&call["trunk"])
    ));
    output::line(format_args!("  outcome {}", text(&call["outcome"])));
    for entry in call["timeline"].as_array().into_iter().flatten() {
        output::line(format_args!("  {:>6} ms  {}", text(&entry["t_ms"]), text(&entry["event"])));
    }
    if call["outcome"] != outcome {
        return Err(DemoError::Missing(format!("the call record does not say {outcome}")));
    }
    Ok(())
}

/// The call with its record, which is written once the call has ended. `?wait=` would answer at
/// once, because the verification itself has ended.
async fn recorded_call(api: &Endpoint, id: &str) -> Result<Value, DemoError> {
    let mut every = tokio::time::interval(RECORD_PERIOD);
    for _ in 0..RECORD_TRIES {
        every.tick().await;
        let path = format!("/v1/verifications/{id}");
        let object = expect("read the record", api.get(&path).await?)?;
        let call = &object["steps"][0]["calls"][0];
        if !call["outcome"].is_null() {
            return Ok(call.clone());
        }
    }
    Err(DemoError::Missing("the call's record was not written".to_owned()))
}

/// Asks for a verification.
async fn ask_created(api: &Endpoint, number: &str, channel: &str) -> Result<Value, DemoError> {
    let wish = json!({ "to": number, "channels": [channel], "locale": "ru" });
    expect("verify the number", api.post("/v1/verifications", &wish).await?)
}

/// Waits until the flash call's step has an end.
async fn wait_rang(api: &Endpoint, mut object: Value) -> Result<Value, DemoError> {
    while object["status"] == "pending"
        && matches!(object["steps"][0]["status"].as_str(), Some("queued" | "dialing"))
    {
        let path = format!(
            "/v1/verifications/{}?wait={WAIT_S}&after={}",
            text(&object["id"]),
            text(&object["version"])
        );
        object = expect("wait for the call", api.get(&path).await?)?;
    }
    match object["steps"][0]["status"].as_str() {
        Some("rang") => Ok(object),
        other => Err(DemoError::Missing(format!(
            "the call did not ring: {} ({})",
            other.unwrap_or("no step"),
            text(&object["steps"][0]["detail"])
        ))),
    }
}

async fn check(api: &Endpoint, id: &str, code: &str) -> Result<Value, DemoError> {
    let path = format!("/v1/verifications/{id}/check");
    expect("check the code", api.post(&path, &json!({ "code": code })).await?)
}

fn expect(what: &'static str, answer: super::Answer) -> Result<Value, DemoError> {
    if answer.status.is_success() {
        Ok(answer.body)
    } else {
        Err(DemoError::Refused { what, problem: answer.problem() })
    }
}

/// The last digits that the phone shows, as many as the verification asks for.
fn code_of(phone: &Phone, object: &Value) -> Result<String, DemoError> {
    let length = object["code"]["length"].as_u64().and_then(|length| usize::try_from(length).ok());
    let start = length.and_then(|length| phone.caller_id.len().checked_sub(length));
    let code = start.and_then(|start| phone.caller_id.get(start..));
    code.map(str::to_owned).ok_or_else(|| {
        DemoError::Missing("the phone shows fewer digits than the code has".to_owned())
    })
}

/// Another code of the same length.
fn wrong_code(code: &str) -> String {
    let turn = |digit: char| if digit == '9' { '0' } else { '9' };
    code.chars().map(turn).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_code_is_never_the_right_one() {
        for code in ["0000", "9999", "0909", "1234"] {
            assert_ne!(wrong_code(code), code);
            assert_eq!(wrong_code(code).len(), code.len());
        }
    }
}
