//! `--calls N`: many numbers at once, and a closing table.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use tokio::task::JoinSet;

use super::stage::{Stage, Told};
use super::{DemoError, ask_created, check, code_of, recorded_call, text, wait_rang};
use crate::cli::{Endpoint, output};

/// Calls up at once: with 4 s of ringing, about 50 new calls a second.
const AT_ONCE: usize = 250;

/// What came of one number.
struct Proved {
    number: String,
    outcome: String,
    approved: bool,
    to_ring: Option<Duration>,
}

/// Proves `count` numbers; an error when one was not.
pub(super) async fn prove(stage: &Stage, count: u32) -> Result<(), DemoError> {
    stage.stop_drawing();
    output::line("");
    let started = Instant::now();
    let bar = ProgressBar::new(u64::from(count));
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} calls, {per_sec}, {eta}")
    {
        bar.set_style(style);
    }
    let mut tasks = JoinSet::new();
    let mut proved = Vec::new();
    for n in 0..count {
        if tasks.len() >= AT_ONCE {
            proved.push(joined(tasks.join_next().await)?);
            bar.inc(1);
        }
        tasks.spawn(prove_one(stage.api().clone(), stage.told(), number(n)));
    }
    while let Some(result) = tasks.join_next().await {
        proved.push(joined(Some(result))?);
        bar.inc(1);
    }
    let elapsed = started.elapsed();
    bar.finish_and_clear();
    for one in &proved {
        stage.wait_acknowledged(&one.number).await?;
    }
    print_tables(stage, &proved, elapsed);
    let missing = proved.iter().filter(|one| !one.approved).count();
    if missing == 0 {
        Ok(())
    } else {
        Err(DemoError::Missing(format!("{missing} of {count} numbers were not proved")))
    }
}

fn joined(
    result: Option<Result<Result<Proved, DemoError>, tokio::task::JoinError>>,
) -> Result<Proved, DemoError> {
    match result {
        Some(Ok(proved)) => proved,
        Some(Err(error)) => Err(DemoError::Missing(format!("a call's task ended: {error}"))),
        None => Err(DemoError::Missing("no call is under way".to_owned())),
    }
}

/// A mobile number whose last two digits let the simulator ring.
fn number(n: u32) -> String {
    format!("+79{:07}{:02}", 1_000_000 + n / 80, n % 80)
}

async fn prove_one(
    api: Endpoint,
    told: std::sync::Arc<Told>,
    number: String,
) -> Result<Proved, DemoError> {
    let created = ask_created(&api, &number, "flash_call").await?;
    let object = wait_rang(&api, created).await?;
    let phone = told
        .phone(&number)
        .ok_or_else(|| DemoError::Missing("a call rang that no handset saw".to_owned()))?;
    let answer = check(&api, &text(&object["id"]), &code_of(&phone, &object)?).await?;
    let call = recorded_call(&api, &text(&object["id"])).await?;
    Ok(Proved {
        number,
        outcome: text(&object["steps"][0]["status"]),
        approved: answer["valid"] == true,
        to_ring: time_to_ring(&call),
    })
}

fn time_to_ring(call: &Value) -> Option<Duration> {
    let entries = call["timeline"].as_array()?;
    let ringing = entries.iter().find(|entry| entry["event"] == "180")?;
    ringing["t_ms"].as_u64().map(Duration::from_millis)
}

fn print_tables(stage: &Stage, proved: &[Proved], elapsed: Duration) {
    let mut outcomes: BTreeMap<(&str, bool), usize> = BTreeMap::new();
    for one in proved {
        *outcomes.entry((&one.outcome, one.approved)).or_default() += 1;
    }
    let rows: Vec<Vec<String>> = outcomes
        .iter()
        .map(|((outcome, approved), count)| {
            let checked = if *approved { "approved" } else { "not approved" };
            vec![(*outcome).to_owned(), checked.to_owned(), count.to_string()]
        })
        .collect();
    output::table(&["OUTCOME", "CODE", "CALLS"], &[2], &rows);
    output::line("");
    let rang = proved.iter().filter_map(|one| stage.told().phone(&one.number)?.ended);
    let (mut ring_times, mut repeated, mut status_487) = (Vec::new(), 0, 0);
    for ended in rang {
        ring_times.push(ended.rang_ms);
        repeated += usize::from(ended.repeated);
        status_487 += usize::from(ended.status == 487);
    }
    let mut to_ring: Vec<u64> =
        proved.iter().filter_map(|one| u64::try_from(one.to_ring?.as_millis()).ok()).collect();
    let rate = proved.len() as f64 / elapsed.as_secs_f64();
    output::table(
        &["", "MIN", "MEDIAN", "MAX"],
        &[1, 2, 3],
        &[spread("INVITE to ringing, ms", &mut to_ring), spread("ringing, ms", &mut ring_times)],
    );
    output::line(format_args!(
        "{} calls in {:.1} s, {rate:.1} calls/s, {status_487} × 487, {repeated} INVITEs repeated",
        proved.len(),
        elapsed.as_secs_f64()
    ));
}

fn spread(name: &str, values: &mut [u64]) -> Vec<String> {
    values.sort_unstable();
    let at = |place: usize| values.get(place).map_or("-".to_owned(), u64::to_string);
    let last = values.len().saturating_sub(1);
    vec![name.to_owned(), at(0), at(last / 2), at(last)]
}
