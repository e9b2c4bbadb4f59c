//! The verification engine: a pure state machine, and the use cases beside it.

pub mod input;
pub mod machine;
pub mod model;
pub mod status;
