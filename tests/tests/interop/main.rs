//! Dozvon against programs that others wrote: SIPp as carrier, Kamailio as registrar and proxy,
//! OpenSMTPD and aiosmtpd as mail servers, baresip as a telephone; and against networks and hosts
//! that attack or fail.

mod cable;
mod carriers;
mod challenges;
mod handset;
mod inbound;
mod mail;
mod message_centre;
mod options;
mod peers_alone;
mod proxy;
mod registrars;
mod reliable;
mod run;
mod secured;
mod streams;
mod threats;
mod two_carriers;
mod ways;
mod webhooks;
