//! The user agent against a scripted carrier, in virtual time and without a socket.

mod bench;
mod calls;
mod trunks;
