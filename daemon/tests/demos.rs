//! `dozvon demo --channel …`: from the API over real sockets to the code that the far side got.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// The longest play rings for a second and says its code for a quarter of a minute.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a demo that worked told.
async fn played(channel: &str) -> String {
    let demo = Command::new(env!("CARGO_BIN_EXE_dozvon"))
        .args(["demo", "--channel", channel])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, demo).await.expect("it ends").expect("it starts");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{complained}");
    told
}

#[tokio::test]
async fn the_code_that_the_mailbox_shows_proves_it() {
    let told = played("email").await;
    let shown = told.lines().find_map(|line| line.trim().strip_prefix("| Ваш код: "));
    let code = shown.and_then(|line| line.get(..6)).unwrap_or_else(|| panic!("no code: {told}"));
    assert!(told.contains(&format!("with {code}: valid true, approved")), "{told}");
    for rung in ["RCPT TO:<ivan@corp.example>", "354 Go ahead", "\"Код подтверждения\""]
    {
        assert!(told.contains(rung), "no {rung}: {told}");
    }
    assert_eq!(told.matches("a letter of ").count(), 1, "one letter: {told}");
}

#[tokio::test]
async fn the_code_that_the_handset_heard_proves_the_number() {
    let told = played("voice").await;
    let codes: Vec<&str> =
        told.lines().filter_map(|line| line.trim().strip_prefix("it said ")).collect();
    assert_eq!(codes.len(), 2, "{told}");
    assert!(codes[0] == codes[1] && codes[0].len() == 6, "{told}");
    assert!(told.contains(&format!("with {}: valid true, approved", codes[0])), "{told}");
    assert!(told.contains(" 0 lost, "), "{told}");
}
