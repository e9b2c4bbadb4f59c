//! The daemon: the only room of Dozvon that acts.
//!
//! It owns the sockets, the clock, the database and the HTTP API; what a call is, is decided in
//! `sip`; whom a number belongs to, in `dialplans`; what a verification is, in
//! [`verification::machine`].

pub mod accounts;
pub mod app;
pub mod carrier;
pub mod channels;
pub mod cli;
pub mod clock;
pub mod directory;
pub mod email_address;
pub mod facts;
pub mod http;
pub mod ids;
pub mod inbound;
pub mod lifecycle;
pub mod limits;
pub mod mail;
pub mod media;
pub mod messages;
pub mod plans;
pub mod randomness;
pub mod secrets;
pub mod settings;
pub mod store;
pub mod telemetry;
pub mod tls_client;
pub mod ua_driver;
pub mod verification;
pub mod webhooks;
