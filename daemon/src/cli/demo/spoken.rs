//! A number that is proved by a voice: the code comes only from what the handset heard.

use super::stage::Stage;
use super::{DemoError, ask_created, output, print_record, prove_code, text};

/// The number whose handset is picked up; its last two digits let somebody listen.
const NUMBER: &str = "+79161234595";

/// Tells it step by step.
pub(super) async fn prove(stage: &Stage) -> Result<(), DemoError> {
    let api = stage.api();
    output::line("");
    output::line(format_args!(
        "POST /v1/verifications {{\"to\": \"{NUMBER}\", \"channels\": [\"voice\"], \"locale\": \"ru\"}}"
    ));
    let created = ask_created(api, NUMBER, "voice").await?;
    let id = text(&created["id"]);
    output::line(format_args!("  201 {id}, {}", text(&created["status"])));
    output::line("");
    let heard = stage.heard(NUMBER).await?;
    output::line("");
    output::line(format_args!(
        "The phone was picked up and heard {} RTP packets, {} lost, at most {} ms off their pace",
        heard.packets, heard.lost, heard.jitter_ms
    ));
    for code in &heard.codes {
        output::line(format_args!("  it said {code}"));
    }
    let [code, again] = &heard.codes[..] else {
        return Err(DemoError::Missing("the code was not heard twice".to_owned()));
    };
    if code != again {
        return Err(DemoError::Missing("it said two different codes".to_owned()));
    }
    prove_code(api, &id, code).await?;
    print_record(api, &id, "answered").await
}
