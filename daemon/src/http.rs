//! The HTTP API: one file for each resource; `error` is the only type that becomes a response
//! that is no success.

pub mod body;
pub mod error;
pub mod input;
