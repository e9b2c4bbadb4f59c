//! Channels: the tasks that carry out a step of a verification.

pub mod flash_call;
