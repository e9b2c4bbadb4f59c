//! What the store promises, on SQLite and on Postgres: every test runs on both.

#![expect(clippy::print_stdout, reason = "a test prints its seed and what it counted")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod canary;
mod checks;
mod directory;
mod faults;
mod housekeeping;
mod idempotency;
mod inbound;
mod keys;
mod limits;
mod lists;
mod lost_commit;
mod messages;
mod opening;
mod redirects;
mod restart;
mod sessions;
mod verifications;
mod world;

/// Runs each test on both databases; without PostgreSQL its half says so and is counted.
macro_rules! on_both {
    ($($name:ident,)*) => {
        mod on_sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(crate::world::World::sqlite().await).await;
                }
            )*
        }

        mod on_postgres {
            use dozvon_tests::peers::{Peer, lacking};

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    if !lacking(&[Peer::Postgres]) {
                        super::$name(crate::world::World::postgres().await).await;
                    }
                }
            )*
        }
    };
}
pub(crate) use on_both;
