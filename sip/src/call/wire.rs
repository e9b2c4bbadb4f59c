//! INVITE, CANCEL and the ACK to a failure, written anew from a few values each time: what is kept
//! of a ringing call is small, and a repeat is the same byte for byte.

use super::shape::{RELIABLE, Shape};
use crate::auth::Credentials;
use crate::identity::{Branch, Identifiers};
use crate::media::sdp::Description;
use crate::message::{AddressValue, HeaderName, Method, Raw, WriteFault, Writer};
use crate::number::{CallerId, UserPart};
use crate::transport::Transport;
use crate::trunk::Rel100;
use crate::trunk::wire::Wire;

/// What the requests of one call have in common.
pub(super) struct Lines<'a> {
    pub(super) wire: &'a Wire,
    pub(super) called: &'a UserPart,
    pub(super) caller_id: &'a CallerId,
    pub(super) ids: Identifiers,
    /// By which they leave.
    pub(super) transport: Transport,
}

/// What an INVITE has beyond that.
pub(super) struct InviteLines<'a> {
    pub(super) branch: Branch,
    pub(super) cseq: u32,
    pub(super) credentials: &'a Credentials,
    /// Whole seconds, at least one.
    pub(super) expires_s: u32,
    pub(super) media_port: u16,
    pub(super) shape: &'a Shape,
}

const MAX_FORWARDS: u32 = 70;
const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS";

impl Lines<'_> {
    /// The INVITE with its offer. `body` is emptied and used.
    pub(super) fn write_invite(
        &self,
        out: &mut Vec<u8>,
        body: &mut String,
        invite: &InviteLines<'_>,
    ) -> Result<(), WriteFault> {
        let wire = self.wire;
        let mut writer = self.start(out, Method::Invite, invite.branch);
        writer.address(HeaderName::To, wire.called_uri(self.called));
        writer.call_id(&self.ids.call_id.text());
        writer.cseq(invite.cseq, Method::Invite);
        wire.write_contact(&mut writer);
        write_credentials(&mut writer, invite.credentials);
        wire.write_caller_id(&mut writer, self.caller_id);
        writer.number(HeaderName::Expires, invite.expires_s);
        let shape = invite.shape;
        if shape.rel100 == Rel100::Required {
            writer.header(HeaderName::Require, RELIABLE);
        }
        writer.tokens(HeaderName::Supported, shape.supported());
        if let Some(session_s) = shape.session_s {
            writer.header(HeaderName::SessionExpires, format_args!("{session_s};refresher=uas"));
            writer.number(HeaderName::MinSe, u32::from(session_s));
        }
        if !shape.is_lean {
            writer.header(HeaderName::Allow, ALLOW);
            wire.write_product(&mut writer);
        }
        body.clear();
        self.description(invite.media_port, 1).write_offer(body, shape.is_lean);
        writer.finish_with_body("application/sdp", body.as_bytes())
    }

    /// What all session descriptions of the call have in common.
    pub(super) fn description(&self, port: u16, version: u32) -> Description<'_> {
        let [first, second, third, fourth, ..] = self.ids.from_tag.0;
        let session = u32::from_be_bytes([first, second, third, fourth]) >> 1;
        let (address, codecs) = (self.wire.media_address(), &self.wire.codecs[..]);
        Description { session, version, address, port, codecs }
    }

    /// The CANCEL of the INVITE with this branch and CSeq number (RFC 3261 section 9.1).
    pub(super) fn write_cancel(
        &self,
        out: &mut Vec<u8>,
        branch: Branch,
        cseq: u32,
    ) -> Result<(), WriteFault> {
        let mut writer = self.start(out, Method::Cancel, branch);
        writer.address(HeaderName::To, self.wire.called_uri(self.called));
        writer.call_id(&self.ids.call_id.text());
        writer.cseq(cseq, Method::Cancel);
        self.wire.write_product(&mut writer);
        writer.finish()
    }

    /// The ACK to a failure, with the To of the failure (RFC 3261 section 17.1.1.3).
    pub(super) fn write_ack(
        &self,
        out: &mut Vec<u8>,
        branch: Branch,
        cseq: u32,
        to: Raw<'_>,
    ) -> Result<(), WriteFault> {
        let mut writer = self.start(out, Method::Ack, branch);
        writer.copy(HeaderName::To, to);
        writer.call_id(&self.ids.call_id.text());
        writer.cseq(cseq, Method::Ack);
        writer.finish()
    }

    /// Request line, Via, Max-Forwards, Route and From, which all three share.
    fn start<'b>(&self, out: &'b mut Vec<u8>, method: Method<'_>, branch: Branch) -> Writer<'b> {
        let wire = self.wire;
        let mut writer = Writer::request(out, method, wire.called_uri(self.called));
        wire.write_via(&mut writer, self.transport, &branch.text());
        writer.number(HeaderName::MaxForwards, MAX_FORWARDS);
        wire.write_routes(&mut writer);
        let tag = self.ids.from_tag.text();
        let from = AddressValue { tag: Some(&tag), ..wire.calling_uri(self.caller_id).into() };
        writer.address(HeaderName::From, from);
        writer
    }
}

/// Authorization and Proxy-Authorization.
pub(crate) fn write_credentials(writer: &mut Writer<'_>, credentials: &Credentials) {
    for (kind, value) in credentials.values() {
        writer.header_bytes(kind.answer_header(), value);
    }
}
