//! A disk that is full: nothing is promised, and nothing is broken once there is room again.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use dozvon_tests::gateway::{Engine, Gateway, Setup, last_call};
use dozvon_tests::peers::{figure, skip};
use dozvon_tests::phones::Phones;
use tempfile::TempDir;

use crate::faults::{place, verify};

/// Within it after there is room again, the daemon goes on.
const ROOM_LIMIT: Duration = Duration::from_secs(1);

/// A small disk, which goes when the value is dropped.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// `None` when this machine does not let us.
    fn mount() -> Option<Self> {
        let folder = TempDir::new().expect("a temporary folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=16m", "dozvon-test"]).arg(folder.path());
        let is_mounted = mount.output().is_ok_and(|output| output.status.success());
        is_mounted.then_some(Self { folder })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn filler(&self) -> std::path::PathBuf {
        self.path().join("filler")
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.filler()).expect("the disk is ours");
        for size in [1 << 16, 1 << 12, 1] {
            while std::io::Write::write_all(&mut file, &vec![b'x'; size]).is_ok() {}
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.filler()).expect("the file is ours");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Who still has a file open keeps it until then.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_a_503_that_says_when_to_come_back_and_nothing_is_corrupt_afterwards() {
    let Some(disk) = SmallDisk::mount() else {
        return skip("no small disk can be mounted: that needs root");
    };
    let phones = Phones::ring().await;
    let url = format!("sqlite://{}/dozvon.db", disk.path().display());
    let setup = Setup::new(Engine::Sqlite)
        .quiet()
        .sharing(&url)
        .ring_limit_s(2)
        .static_trunk("north", phones.address());
    let mut gateway = Gateway::start(setup).await;
    let before = place(&gateway, 5).await;
    for id in &before {
        gateway.until_call_ended(id).await;
    }
    disk.fill();
    let begin = Instant::now();
    let refused = loop {
        // What the log of the database has room for already is taken first.
        let number = format!("+7916886{:04}", begin.elapsed().as_millis() % 10_000);
        let answer = verify(gateway.api(), &number).await;
        if answer.status != 201 {
            break answer;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "the disk is never full");
    };
    assert_eq!(refused.status, 503, "{}", refused.text());
    let wait: u64 = refused.header("retry-after").parse().expect("seconds in Retry-After");
    assert!((1..=60).contains(&wait), "Retry-After: {wait}");
    disk.make_room();
    let begin = Instant::now();
    loop {
        let answer = verify(gateway.api(), "+79168850001").await;
        if answer.status == 201 {
            break;
        }
        let seen = || format!("{}\n{}", answer.text(), gateway.log().join("\n"));
        assert!(begin.elapsed() < ROOM_LIMIT, "{}", seen());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    figure(&format!("disk full: goes on {:.1?} after there is room", begin.elapsed()));
    gateway.kill().await;
    gateway.start_again().await;
    for id in &before {
        let seen = gateway.until_call_ended(id).await;
        assert_eq!(last_call(&seen)["outcome"], "rang", "{seen:#}");
    }
    gateway.kill().await;
    let check = integrity(&url).await;
    assert_eq!(check, "ok");
}

async fn integrity(url: &str) -> String {
    use sqlx::Connection as _;
    let mut connection = sqlx::SqliteConnection::connect(url).await.expect("the file opens");
    let check = sqlx::query_scalar("pragma integrity_check").fetch_one(&mut connection).await;
    check.expect("the file can be checked")
}
