//! How a trunk's requests look: everything in them that is the same for all its calls.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use crate::media::Codec;
use crate::message::{AddressValue, HeaderName, SipUri, WriteFault, Writer};
use crate::number::{CallerId, UserPart};
use crate::transport::Transport;
use crate::trunk::{CallerIdHeader, External, Privacy, TrunkSettings};

/// Texts made once from a trunk's settings and from what was learnt. A call keeps the one it
/// started with, so that its CANCEL and ACK repeat its INVITE whatever is learnt meanwhile.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) transport: Transport,
    /// Host and port of Via: never the learnt address, so that after a crash the CANCEL of an
    /// earlier process's INVITE still matches it (RFC 3261 section 17.2.3).
    pub(crate) sent_by: String,
    /// Host of request line, From and To.
    pub(crate) domain: String,
    /// The URI of our Contact, with its `line` token.
    pub(crate) contact: String,
    /// Our address as the far side sees it.
    pub(crate) contact_address: SocketAddr,
    /// The Route values for calls and texts, from Service-Route (RFC 3608).
    pub(crate) routes: Vec<Box<[u8]>>,
    /// `;user=phone`, or nothing.
    number_params: &'static str,
    caller_id_in: Vec<CallerIdHeader>,
    from_user: Option<UserPart>,
    user: UserPart,
    headers: Vec<(String, String)>,
    privacy: Privacy,
    media_external: Option<IpAddr>,
    /// Codecs that are offered.
    pub(crate) codecs: Vec<Codec>,
    pub(crate) product: String,
}

impl Wire {
    /// From the settings, the address that responses showed, and the Route that the registrar
    /// gave.
    pub(crate) fn new(
        settings: &TrunkSettings,
        learnt: Option<SocketAddr>,
        routes: Vec<Box<[u8]>>,
        product: &str,
    ) -> Self {
        let (sent_by, contact_address) = match settings.external {
            External::Learn => (settings.local, learnt.unwrap_or(settings.local)),
            External::Fixed { address, port } => {
                let fixed = SocketAddr::new(address, port.unwrap_or(settings.local.port()));
                (fixed, fixed)
            }
        };
        Self {
            transport: settings.transport,
            sent_by: sent_by.to_string(),
            domain: settings.domain.clone(),
            contact: contact(settings, contact_address),
            contact_address,
            routes,
            number_params: if settings.user_phone { ";user=phone" } else { "" },
            caller_id_in: settings.caller_id_in.clone(),
            from_user: settings.from_user.clone(),
            user: settings.user.clone(),
            headers: settings.headers.iter().filter(is_writable).cloned().collect(),
            privacy: settings.privacy,
            media_external: settings.media_external,
            codecs: settings.codecs.clone(),
            product: product.to_owned(),
        }
    }

    /// Where the far side should send media.
    pub(crate) fn media_address(&self) -> IpAddr {
        self.media_external.unwrap_or_else(|| self.contact_address.ip())
    }

    /// The URI of somebody who is called.
    pub(crate) fn called_uri<'a>(&'a self, called: &'a UserPart) -> SipUri<'a> {
        self.number_uri(called.reveal())
    }

    /// The URI of From in a call.
    pub(crate) fn calling_uri<'a>(&'a self, caller_id: &'a CallerId) -> SipUri<'a> {
        match &self.from_user {
            Some(user) => {
                SipUri { user: Some(user.reveal()), host: &self.domain, ..SipUri::default() }
            }
            None if self.caller_id_in.contains(&CallerIdHeader::From) => {
                self.number_uri(caller_id.reveal())
            }
            None => self.own_uri(),
        }
    }

    /// The URI of From in a text.
    pub(crate) fn sender_uri<'a>(&'a self, sender: Option<&'a UserPart>) -> SipUri<'a> {
        match sender {
            Some(user) => {
                SipUri { user: Some(user.reveal()), host: &self.domain, ..SipUri::default() }
            }
            None => self.own_uri(),
        }
    }

    /// The request line of REGISTER and OPTIONS.
    pub(crate) fn domain_uri(&self) -> SipUri<'_> {
        SipUri { host: &self.domain, ..SipUri::default() }
    }

    /// The address of record.
    pub(crate) fn own_uri(&self) -> SipUri<'_> {
        SipUri { user: Some(self.user.reveal()), host: &self.domain, ..SipUri::default() }
    }

    fn number_uri<'a>(&'a self, user: &'a str) -> SipUri<'a> {
        SipUri { user: Some(user), host: &self.domain, port: None, params: self.number_params }
    }

    /// Via, with the transport by which the request leaves, and our branch.
    pub(crate) fn write_via(&self, writer: &mut Writer<'_>, by: Transport, branch: &[u8]) {
        writer.via(by.via_token(), &self.sent_by, branch, true);
    }

    /// The Route lines of a request outside a dialog.
    pub(crate) fn write_routes(&self, writer: &mut Writer<'_>) {
        for route in &self.routes {
            writer.header_bytes(HeaderName::Route, route);
        }
    }

    /// Our Contact.
    pub(crate) fn write_contact(&self, writer: &mut Writer<'_>) {
        writer.address(HeaderName::Contact, self.contact.as_str());
    }

    /// User-Agent, when we have a name.
    pub(crate) fn write_product(&self, writer: &mut Writer<'_>) {
        if !self.product.is_empty() {
            writer.header(HeaderName::UserAgent, &self.product);
        }
    }

    /// The lines that show the calling number beside From, and the operator's own.
    pub(crate) fn write_caller_id(&self, writer: &mut Writer<'_>, caller_id: &CallerId) {
        let uri = self.number_uri(caller_id.reveal());
        for header in &self.caller_id_in {
            match header {
                CallerIdHeader::From => {}
                CallerIdHeader::PAssertedIdentity => {
                    writer.address(HeaderName::PAssertedIdentity, uri);
                }
                CallerIdHeader::PPreferredIdentity => {
                    writer.address(HeaderName::PPreferredIdentity, uri);
                }
                CallerIdHeader::RemotePartyId => {
                    let params = ";party=calling;screen=yes;privacy=off";
                    let value = AddressValue { params, ..AddressValue::from(uri) };
                    writer.address(HeaderName::RemotePartyId, value);
                }
            }
        }
        if self.privacy == Privacy::None {
            writer.header(HeaderName::Privacy, "none");
        }
        for (name, value) in &self.headers {
            writer.named_header(name, value);
        }
    }
}

impl SipUri<'_> {
    /// The URI as the writer writes it, for a digest. Users and hosts here need no escapes.
    pub(crate) fn write_text(&self, out: &mut String) {
        let user = self.user.unwrap_or_default();
        let at = if user.is_empty() { "" } else { "@" };
        let (open, close) = match self.host {
            host if host.contains(':') && !host.starts_with('[') => ("[", "]"),
            _ => ("", ""),
        };
        // Writing into a string cannot fail.
        let _ = write!(out, "sip:{user}{at}{open}{}{close}", self.host);
        if let Some(port) = self.port {
            let _ = write!(out, ":{port}");
        }
        out.push_str(self.params);
    }
}

fn contact(settings: &TrunkSettings, address: SocketAddr) -> String {
    let mut contact = format!("sip:{}@{address}", settings.contact_user.reveal());
    match settings.transport {
        Transport::Udp => {}
        Transport::Tcp => contact.push_str(";transport=tcp"),
        Transport::Tls => contact.push_str(";transport=tls"),
    }
    if let Some(line) = &settings.line {
        // Writing into a string cannot fail.
        let _ = write!(contact, ";line={line}");
    }
    contact
}

/// Whether a line of the operator's can stand in a request. One that cannot is left out: it must
/// not stop every call of its trunk.
fn is_writable(line: &&(String, String)) -> bool {
    let (name, value) = line;
    let mut scratch = Vec::new();
    let mut writer = Writer::request(&mut scratch, crate::message::Method::Options, "sip:a@b");
    writer.named_header(name, value);
    let written: Result<(), WriteFault> = writer.finish();
    written.is_ok()
}
