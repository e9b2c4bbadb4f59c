//! Dozvon against programs that others wrote: SIPp as carrier, Kamailio as registrar and proxy.

mod carriers;
mod challenges;
mod inbound;
mod peers_alone;
mod proxy;
mod registrars;
mod reliable;
mod run;
mod streams;
