//! Dozvon against programs that others wrote: SIPp as carrier, Kamailio as registrar and proxy,
//! OpenSMTPD and aiosmtpd as mail servers, baresip as a telephone.

mod carriers;
mod challenges;
mod handset;
mod inbound;
mod mail;
mod message_centre;
mod peers_alone;
mod proxy;
mod registrars;
mod reliable;
mod run;
mod streams;
mod webhooks;
