//! What is kept, on SQLite or on Postgres, behind one interface.
//!
//! Every write goes through one writer task for each database: it takes all requests that wait,
//! runs them in one transaction and answers each after the commit.
