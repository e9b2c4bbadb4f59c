//! Statements over many rows: a head, as many rows of question marks as there are, a tail.

use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, SqliteConnection};

use crate::store::row::BatchRow;

/// How many rows one statement holds. Few sizes, so that few statements are prepared; none binds
/// more than SQLite's 32,766 values.
const SIZES: [usize; 3] = [64, 8, 1];

/// A statement over many rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    /// What stands before the rows.
    pub(crate) head: &'static str,
    /// What stands behind them.
    pub(crate) tail: &'static str,
}

impl Rows {
    /// Runs the statement for all rows.
    pub(crate) async fn execute<R: BatchRow>(
        self,
        connection: &mut SqliteConnection,
        rows: Vec<R>,
    ) -> Result<(), sqlx::Error> {
        let mut rows = rows.into_iter();
        while rows.len() > 0 {
            let size = SIZES.into_iter().find(|&size| size <= rows.len()).unwrap_or(1);
            // Only the constants above and question marks are put together.
            let mut query = sqlx::query(AssertSqlSafe(self.sql(size, R::COLUMNS)));
            for row in rows.by_ref().take(size) {
                query = row.bind_row(query);
            }
            query.execute(&mut *connection).await?;
        }
        Ok(())
    }

    fn sql(self, rows: usize, columns: usize) -> String {
        let row = format!("({})", ["?"].repeat(columns).join(","));
        let mut sql =
            String::with_capacity(self.head.len() + self.tail.len() + rows * (row.len() + 1));
        sql.push_str(self.head);
        for place in 0..rows {
            let comma = if place == 0 { "" } else { "," };
            let _ = write!(sql, "{comma}{row}"); // Writing into a String cannot fail.
        }
        sql.push_str(self.tail);
        sql
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_has_a_question_mark_for_each_value() {
        let rows = Rows { head: "insert into t values ", tail: " on conflict do nothing" };
        let sql = "insert into t values (?,?),(?,?),(?,?) on conflict do nothing";
        assert_eq!(rows.sql(3, 2), sql);
    }
}
