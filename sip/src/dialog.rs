//! A dialog that a 2xx to our INVITE opened, as the caller sees it (RFC 3261 section 12).

pub(crate) mod saved;

use std::net::{IpAddr, SocketAddr};

use crate::auth::Credentials;
use crate::call::wire::write_credentials;
use crate::identity::Branch;
use crate::message::{HeaderName, Message, Method, Uri, WriteFault, Writer};
use crate::transport::Remote;
use crate::trunk::wire::Wire;

/// The port of a SIP URI that names none.
const DEFAULT_PORT: u16 = 5060;
const MAX_FORWARDS: u32 = 70;

/// What ACK and BYE are written from. All of it is what the far side sent back of our INVITE or
/// added to it, so it also serves an INVITE of an earlier process.
#[derive(Debug)]
pub(crate) struct Dialog {
    /// The Request-URI: the Contact of the 2xx, or the first Route when that one routes strictly.
    request_uri: Box<[u8]>,
    /// Whether the request line names a router.
    is_strict: bool,
    routes: Vec<Box<[u8]>>,
    from: Box<[u8]>,
    to: Box<[u8]>,
    call_id: Box<[u8]>,
    /// The CSeq number of the INVITE; each further request takes a higher one.
    invite_cseq: u32,
    next_hop: Remote,
}

impl Dialog {
    /// From a 2xx, or from a provisional response with a To tag. Requests go to the first Route, or to the Contact, when that is an address for
    /// which `is_trusted` holds; otherwise to `peer`, where the INVITE went: a far side cannot
    /// send us elsewhere.
    pub(crate) fn from_response(
        success: &Message<'_>,
        peer: Remote,
        is_trusted: impl Fn(IpAddr) -> bool,
    ) -> Self {
        let mut routes: Vec<Box<[u8]>> = success
            .headers
            .addresses(HeaderName::RecordRoute)
            .filter_map(Result::ok)
            .map(|route| route.raw.to_vec().into())
            .collect();
        routes.reverse();
        let target = remote_target(success);
        let first_route = success
            .headers
            .addresses(HeaderName::RecordRoute)
            .filter_map(Result::ok)
            .last()
            .and_then(|route| route.uri().ok());
        let hop = first_route.or_else(|| Uri::parse(target).ok());
        let next_hop = hop
            .filter(|uri| asks_for(uri, peer))
            .and_then(|uri| address_of(&uri))
            .filter(|address| is_trusted(address.ip()));
        let mut request_uri: Box<[u8]> = target.into();
        let is_strict = first_route.is_some_and(|route| !route.is_loose_route());
        if let Some(route) = first_route
            && !route.is_loose_route()
        {
            // A strict router finds itself in the request line and the target behind the last
            // Route (RFC 3261 section 12.2.1.1).
            routes.remove(0);
            routes.push([b"<", target, b">"].concat().into());
            request_uri = without_headers(&route).into();
        }
        Self {
            request_uri,
            is_strict,
            routes,
            from: success.from.raw.to_vec().into(),
            to: success.to.raw.to_vec().into(),
            call_id: success.call_id.into(),
            invite_cseq: success.cseq.number,
            next_hop: next_hop.map_or(peer, |address| Remote { address, ..peer }),
        }
    }

    /// Where its requests go.
    pub(crate) fn next_hop(&self) -> Remote {
        self.next_hop
    }

    /// The CSeq number of the `nth` request after the INVITE, from 1.
    pub(crate) fn cseq(&self, nth: u32) -> u32 {
        self.invite_cseq.wrapping_add(nth) & (u32::MAX >> 1)
    }

    /// The Request-URI as a digest names it.
    pub(crate) fn request_uri(&self) -> String {
        String::from_utf8_lossy(&self.request_uri).into_owned()
    }

    /// The ACK to the 2xx: a transaction of its own with the INVITE's CSeq number and credentials
    /// (RFC 3261 section 13.2.2.4).
    pub(crate) fn write_ack(
        &self,
        out: &mut Vec<u8>,
        wire: &Wire,
        branch: Branch,
        credentials: &Credentials,
    ) -> Result<(), WriteFault> {
        let mut writer = self.start(out, wire, Method::Ack, branch, self.invite_cseq);
        write_credentials(&mut writer, credentials);
        writer.finish()
    }

    /// A BYE with the `nth` CSeq number after the INVITE's.
    pub(crate) fn write_bye(
        &self,
        out: &mut Vec<u8>,
        wire: &Wire,
        branch: Branch,
        (nth, credentials): (u32, &Credentials),
    ) -> Result<(), WriteFault> {
        let mut writer = self.start(out, wire, Method::Bye, branch, self.cseq(nth));
        write_credentials(&mut writer, credentials);
        wire.write_product(&mut writer);
        writer.finish()
    }

    /// The PRACK of the provisional response with this number (RFC 3262 section 7.2).
    pub(crate) fn write_prack(
        &self,
        out: &mut Vec<u8>,
        wire: &Wire,
        branch: Branch,
        (nth, credentials): (u32, &Credentials),
        rseq: u32,
    ) -> Result<(), WriteFault> {
        let mut writer = self.start(out, wire, Method::Prack, branch, self.cseq(nth));
        let invite = self.invite_cseq;
        writer.header(HeaderName::RAck, format_args!("{rseq} {invite} {}", Method::Invite));
        write_credentials(&mut writer, credentials);
        wire.write_product(&mut writer);
        writer.finish()
    }

    /// Takes the Contact of a further INVITE of the far side (RFC 3261 section 12.2.2). Where its
    /// requests go stays as it is, and so does the request line of a strict route.
    /// Returns whether that changed it.
    pub(crate) fn refresh(&mut self, request: &Message<'_>) -> bool {
        let contact = request.headers.contacts().find_map(|contact| contact.ok()?.uri().ok());
        let Some(uri) = contact.filter(|_| !self.is_strict) else { return false };
        let target = without_headers(&uri);
        let is_news = *self.request_uri != *target;
        self.request_uri = target.into();
        is_news
    }

    fn start<'b>(
        &self,
        out: &'b mut Vec<u8>,
        wire: &Wire,
        method: Method<'_>,
        branch: Branch,
        cseq: u32,
    ) -> Writer<'b> {
        let mut writer = Writer::request(out, method, &*self.request_uri);
        wire.write_via(&mut writer, self.next_hop.transport, &branch.text());
        writer.number(HeaderName::MaxForwards, MAX_FORWARDS);
        for route in &self.routes {
            writer.header_bytes(HeaderName::Route, route);
        }
        writer.header_bytes(HeaderName::From, &self.from);
        writer.header_bytes(HeaderName::To, &self.to);
        writer.call_id(&self.call_id);
        writer.cseq(cseq, method);
        writer
    }
}

/// The URI of the Contact; of To where there is no Contact that can be read.
fn remote_target<'a>(success: &Message<'a>) -> &'a [u8] {
    let contact = success.headers.contacts().find_map(|contact| contact.ok()?.uri().ok());
    match contact {
        Some(uri) => without_headers(&uri),
        None => success.to.uri_raw,
    }
}

/// A Request-URI has no header fields (RFC 3261 section 19.1.1, table 1).
fn without_headers<'a>(uri: &Uri<'a>) -> &'a [u8] {
    let raw = uri.raw();
    match uri.headers {
        Some(headers) => &raw[..raw.len() - headers.len() - 1],
        None => raw,
    }
}

/// Whether the URI can be reached over the peer's transport.
fn asks_for(uri: &Uri<'_>, peer: Remote) -> bool {
    let ours = peer.transport.via_token().as_bytes();
    uri.transport().is_none_or(|transport| transport.eq_ignore_ascii_case(ours))
}

fn address_of(uri: &Uri<'_>) -> Option<SocketAddr> {
    let address = uri.host?.address()?;
    Some(SocketAddr::new(address, uri.port.unwrap_or(DEFAULT_PORT)))
}
