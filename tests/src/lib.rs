//! The harness of Dozvon's scenarios: peers that others wrote, databases of a test's own, the
//! daemon as a process, and readers of what went over the wire.
//!
//! Helpers panic where a test could only fail anyway, and say what they waited for. A peer that is
//! not installed is no failure: [`peers::lacking`] prints the reason and the test ends.

pub mod backend;
pub mod baresip;
pub mod canary;
pub mod capture;
pub mod chance;
pub mod database;
pub mod flood;
pub mod gateway;
pub mod http;
pub mod kamailio;
pub mod mail_server;
pub mod name_server;
pub mod npm;
pub mod opensmtpd;
pub mod peers;
pub mod phones;
pub mod pointing;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod second_reader;
pub mod sim;
pub mod sipp;
pub mod smpp_centre;
pub mod tshark;
