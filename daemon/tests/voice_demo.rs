//! `dozvon demo --channel voice`: from the API over real sockets to the code that a handset heard.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// The call rings for a second and says the code for a quarter of a minute.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test]
async fn the_code_that_the_handset_heard_proves_the_number() {
    let demo = Command::new(env!("CARGO_BIN_EXE_dozvon"))
        .args(["demo", "--channel", "voice"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, demo).await.expect("it ends").expect("it starts");
    let told = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{complained}");
    let codes: Vec<&str> =
        told.lines().filter_map(|line| line.trim().strip_prefix("it said ")).collect();
    assert_eq!(codes.len(), 2, "{told}");
    assert!(codes[0] == codes[1] && codes[0].len() == 6, "{told}");
    assert!(told.contains(&format!("with {}: valid true, approved", codes[0])), "{told}");
    assert!(told.contains(" 0 lost, "), "{told}");
}
