//! A look into the daemon's database from outside, the same for both engines.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row, SqliteConnection};

/// A connection of the test's own.
#[derive(Debug)]
pub enum Look {
    /// To the file, beside the daemon.
    Sqlite(SqliteConnection),
    /// To the test's database on the private server.
    Postgres(PgConnection),
}

impl Look {
    /// Connects to `sqlite://…` or `postgres://…`.
    ///
    /// # Panics
    /// When there is no such database.
    pub async fn into(url: &str) -> Self {
        if url.starts_with("sqlite:") {
            Self::Sqlite(SqliteConnection::connect(url).await.expect("the file opens"))
        } else {
            Self::Postgres(PgConnection::connect(url).await.expect("the server answers"))
        }
    }

    /// Every table's columns; names are ready to stand in a query.
    ///
    /// # Panics
    /// When the schema cannot be read.
    pub async fn columns(&mut self) -> Vec<(String, String)> {
        let columns = match self {
            Self::Sqlite(connection) => {
                let query = "select '\"' || m.name || '\"', '\"' || c.name || '\"' \
                             from sqlite_schema m, pragma_table_xinfo(m.name) c \
                             where m.type = 'table'";
                sqlx::query_as(query).fetch_all(connection).await
            }
            Self::Postgres(connection) => {
                let query = "select quote_ident(table_schema) || '.' || quote_ident(table_name), \
                             quote_ident(column_name) from information_schema.columns \
                             where table_schema not in ('pg_catalog', 'information_schema')";
                sqlx::query_as(query).fetch_all(connection).await
            }
        };
        columns.expect("the schema is read")
    }

    /// The values of a column that are not null: bytes as they are, everything else as text.
    ///
    /// # Panics
    /// When the column cannot be read.
    pub async fn values(&mut self, table: &str, column: &str) -> Vec<Vec<u8>> {
        match self {
            Self::Sqlite(connection) => {
                let query = format!(
                    "select cast({column} as blob) from {table} where {column} is not null"
                );
                let rows = sqlx::query(AssertSqlSafe(query)).fetch_all(connection).await;
                rows.expect("the column is read").iter().map(|row| row.get(0)).collect()
            }
            Self::Postgres(connection) => {
                // Hex and back, so that bytea and everything else take the same way.
                let query = format!(
                    "select case pg_typeof({column})::text when 'bytea' then \
                     decode(substr({column}::text, 3), 'hex') else convert_to({column}::text, 'UTF8') end \
                     from {table} where {column} is not null"
                );
                let rows = sqlx::query(AssertSqlSafe(query)).fetch_all(connection).await;
                rows.expect("the column is read").iter().map(|row| row.get(0)).collect()
            }
        }
    }

    /// The files in which the database and its log lie, as they are on the disk, with their paths.
    ///
    /// # Panics
    /// When they cannot be read.
    pub async fn files(&mut self) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        for place in self.places().await {
            let path = Path::new(&place);
            if path.is_file() {
                files.push(path.to_owned());
            } else if let Ok(entries) = std::fs::read_dir(path) {
                let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
                files.extend(paths.filter(|path| path.is_file()));
            }
        }
        // A server may take a file away meanwhile.
        let read = |path: PathBuf| Some((path.display().to_string(), std::fs::read(&path).ok()?));
        files.into_iter().filter_map(read).collect()
    }

    async fn places(&mut self) -> Vec<String> {
        match self {
            Self::Sqlite(connection) => {
                let query = "select file from pragma_database_list where name = 'main'";
                let file: String =
                    sqlx::query_scalar(query).fetch_one(connection).await.expect("it has a file");
                vec![format!("{file}-wal"), file]
            }
            Self::Postgres(connection) => {
                // What the server holds in memory only goes to its files.
                sqlx::query("checkpoint").execute(&mut *connection).await.expect("we may do so");
                let query = "select current_setting('data_directory') || place from pg_database, \
                             lateral (values ('/pg_wal'), ('/base/' || oid)) as v (place) \
                             where datname = current_database()";
                let places = sqlx::query_scalar(query).fetch_all(connection).await;
                places.expect("the server knows its folders")
            }
        }
    }

    /// How many rows each table has.
    ///
    /// # Panics
    /// When a table cannot be read.
    pub async fn row_counts(&mut self) -> BTreeMap<String, i64> {
        let mut counts = BTreeMap::new();
        for (table, _) in self.columns().await {
            let query = AssertSqlSafe(format!("select count(*) from {table}"));
            let count = match self {
                Self::Sqlite(connection) => sqlx::query_scalar(query).fetch_one(connection).await,
                Self::Postgres(connection) => sqlx::query_scalar(query).fetch_one(connection).await,
            };
            counts.insert(table, count.expect("the table is read"));
        }
        counts
    }
}
