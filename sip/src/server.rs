//! What this user agent answers to requests from its trunks.

pub mod check;
