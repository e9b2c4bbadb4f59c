//! What this user agent answers to requests from its trunks.

pub(crate) mod answer;
pub mod check;
pub(crate) mod parties;
pub(crate) mod text;
pub(crate) mod transactions;
