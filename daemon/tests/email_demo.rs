//! `dozvon demo --channel email`: from the API over real sockets to the code in a mailbox.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_code_that_the_mailbox_shows_proves_it() {
    let demo = Command::new(env!("CARGO_BIN_EXE_dozvon"))
        .args(["demo", "--channel", "email"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, demo).await.expect("it ends").expect("it starts");
    let told = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{complained}");
    let shown = told.lines().find_map(|line| line.trim().strip_prefix("| Ваш код: "));
    let code = shown.and_then(|line| line.get(..6)).unwrap_or_else(|| panic!("no code: {told}"));
    assert!(told.contains(&format!("with {code}: valid true, approved")), "{told}");
    for rung in ["RCPT TO:<ivan@corp.example>", "354 Go ahead", "\"Код подтверждения\""]
    {
        assert!(told.contains(rung), "no {rung}: {told}");
    }
    assert_eq!(told.matches("a letter of ").count(), 1, "one letter: {told}");
}
