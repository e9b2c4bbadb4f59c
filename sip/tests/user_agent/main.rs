//! The user agent against a scripted carrier, in virtual time and without a socket.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answered;
mod bench;
mod calls;
mod cancelling;
mod connections;
mod failover;
mod inbound;
mod interrupted;
mod large;
mod many;
mod mending;
mod noise;
mod options;
mod refusals;
mod reliable;
mod requests;
mod silence;
mod strangers;
mod texts;
mod threats;
mod torture;
mod trunks;
mod voice;
