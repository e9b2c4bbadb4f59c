//! The migrations of this version, oldest first: one list, whose files each database has of
//! its own.
//!
//! They are listed and not found by sqlx's macro: the macro compiles both databases, SQLite's C
//! among them, a second time for its own host.

use std::sync::LazyLock;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// A file's number is its place in the list; a file that was released never changes.
macro_rules! migrations {
    ($($file:literal),* $(,)?) => {
        /// SQLite's.
        pub(crate) static SQLITE: LazyLock<Migrator> = LazyLock::new(|| {
            in_order(&[$((
                $file,
                include_str!(concat!("../../migrations/sqlite/", $file, ".sql")),
            )),*])
        });
        /// Postgres's.
        pub(crate) static POSTGRES: LazyLock<Migrator> = LazyLock::new(|| {
            in_order(&[$((
                $file,
                include_str!(concat!("../../migrations/postgres/", $file, ".sql")),
            )),*])
        });
    };
}

migrations!(
    "0001_store",
    "0002_workflow",
    "0003_texts",
    "0004_directory",
    "0005_webhooks",
    "0006_inbound_parts",
    "0007_receipts",
    "0008_dialog",
    "0009_concealed_sign_ins",
    "0010_redirects",
);

fn in_order(files: &[(&'static str, &'static str)]) -> Migrator {
    let numbered = (1..).zip(files).map(|(version, &(name, sql))| {
        let sql = sql.into_sql_str();
        Migration::new(version, name.into(), MigrationType::Simple, sql, false)
    });
    Migrator::with_migrations(numbered.collect())
}
