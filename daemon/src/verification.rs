//! The verification engine: a pure state machine, and the use cases beside it.

pub mod expiry;
pub mod input;
pub mod machine;
pub mod model;
pub mod played;
pub mod recovery;
pub mod resting;
pub mod service;
pub mod status;
pub mod timetable;
pub mod workflow;
