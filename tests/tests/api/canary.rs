//! Caller IDs, codes, numbers and passwords are searched for wherever the daemon writes.

use std::path::Path;

use dozvon_tests::canary::Canary;
use dozvon_tests::capture::requests;
use dozvon_tests::gateway::{Engine, Gateway, Setup, code_of};
use dozvon_tests::phones::Phones;

use crate::{cannot_run, rings};

const CALLS: usize = 10;

async fn nothing_that_is_written_holds_a_secret(engine: Engine) {
    if cannot_run(engine) {
        return;
    }
    let phones = Phones::ring().await;
    let setup = Setup::new(engine).static_trunk("north", phones.address());
    let mut gateway = Gateway::start(setup).await;
    let mut secrets = Canary::of_all_tests();
    let mut ids = Vec::new();
    let mut replies = Canary::default();
    for n in 0..CALLS {
        let number = format!("+79165{n:06}");
        let (id, shown) = rings(&gateway, &phones, &number).await;
        let code = code_of(&shown).to_owned();
        for canary in [&mut secrets, &mut replies] {
            canary.add_number(&shown);
            canary.add(&code);
        }
        secrets.add_number(&number);
        ids.push((id, code));
    }
    // Each is still up: a phone rings for four seconds.
    look(&gateway, &secrets, "while phones ring").await;
    for (id, code) in &ids {
        let seen = gateway.until_call_ended(id).await;
        assert_eq!(replies.hits("reply", seen.to_string().as_bytes()), Vec::<String>::new());
        let answer = gateway.check(id, code).await.expect(200);
        assert_eq!(answer.json()["valid"], true, "{}", answer.text());
        assert_eq!(replies.hits("reply", &answer.body), Vec::<String>::new());
    }
    look(&gateway, &secrets, "after every call").await;
    let shown = requests(&phones.messages(), "INVITE").len();
    assert_eq!(shown, CALLS);
    gateway.stop(std::time::Duration::from_secs(12)).await;
    look(&gateway, &secrets, "after the end").await;
    assert!(gateway.log().len() > 3, "there was no log to search");
}

/// Searches the database's columns, the files, the log and the metrics.
pub(crate) async fn look(gateway: &Gateway, secrets: &Canary, when: &str) {
    let scan = secrets.scan_database(gateway.database_url()).await;
    assert!(
        scan.columns > 30 && scan.values > 10 && scan.files > 0,
        "{when}: little to search: {scan:?}"
    );
    assert_eq!(scan.hits, Vec::<String>::new(), "{when}");
    assert_eq!(secrets.hits_in_lines(&gateway.log()), Vec::<String>::new(), "{when}");
    for (path, bytes) in files(gateway.folder()) {
        assert_eq!(secrets.hits(&path, &bytes), Vec::<String>::new(), "{when}");
    }
    if let Ok(metrics) =
        gateway.api().try_send(hyper::Method::GET, "/metrics", &[], Vec::new()).await
    {
        assert_eq!(secrets.hits("metrics", &metrics.body), Vec::<String>::new(), "{when}");
    }
}

/// The daemon's files but for those that we wrote: the configuration names the pool.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).expect("the folder is ours");
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let written =
        paths.filter(|path| path.is_file() && path.extension().is_none_or(|e| e != "toml"));
    written
        .filter_map(|path| Some((path.display().to_string(), std::fs::read(path).ok()?)))
        .collect()
}

#[tokio::test]
async fn nothing_that_is_written_on_sqlite_holds_a_secret() {
    nothing_that_is_written_holds_a_secret(Engine::Sqlite).await;
}

#[tokio::test]
async fn nothing_that_is_written_on_postgres_holds_a_secret() {
    nothing_that_is_written_holds_a_secret(Engine::Postgres).await;
}
