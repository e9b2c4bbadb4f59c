//! Dozvon against programs that others wrote: SIPp as carrier, Kamailio as registrar and proxy.

mod carriers;
mod inbound;
mod peers_alone;
mod proxy;
mod streams;
