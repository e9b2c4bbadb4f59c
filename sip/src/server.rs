//! What this user agent answers to requests from its trunks.

pub(crate) mod answer;
pub mod check;
pub(crate) mod transactions;
