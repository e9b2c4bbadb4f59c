//! The API from request to row: the real router, machine and SQLite store; the call loop is a
//! script.

mod bench;
mod concealed;
mod directory;
mod guessing;
mod inbound;
mod lives;
mod operators;
mod passwords;
mod redirects;
mod refusals;
mod sends;
mod smpp;
mod texts;
mod texts_in;
mod voice;
mod webhooks;
mod workflow;
