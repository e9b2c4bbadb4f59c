//! The REGISTERs of a trunk: the registration says what to send, this sends it.

use std::sync::Arc;
use std::time::Instant;

use super::wire::Wire;
use crate::auth::{Authenticator, Credentials};
use crate::call::wire::write_credentials;
use crate::identity::{Branch, CallId, Tag};
use crate::message::{AddressValue, HeaderName, Message, Method, WriteFault, Writer};
use crate::registration::{Command, Register, Registrant, Registration};
use crate::request::{Progress, Request};
use crate::timer::earlier;
use crate::transport::{Loss, TransportError};
use crate::trunk::state::remote_of;
use crate::user_agent::common::{Common, Owner};

const MAX_FORWARDS: u32 = 70;

/// A trunk's registration with its transaction.
#[derive(Debug)]
pub(crate) struct Registrar {
    pub(crate) machine: Registration,
    trunk: u32,
    call_id: CallId,
    from_tag: Tag,
    request: Option<Request>,
    /// How the REGISTER under way was written: its answer names that Contact, even if we have
    /// learnt another address meanwhile.
    written: Arc<Wire>,
    request_uri: String,
}

impl Registrar {
    pub(crate) fn new(
        common: &mut Common,
        (trunk, wire): (u32, &Arc<Wire>),
        machine: Registration,
    ) -> Self {
        let mut request_uri = String::new();
        wire.domain_uri().write_text(&mut request_uri);
        Self {
            machine,
            trunk,
            call_id: common.random_call_id(),
            from_tag: common.random_tag(),
            request: None,
            written: Arc::clone(wire),
            request_uri,
        }
    }

    /// A response to the REGISTER under way came. `false`: it belongs to another.
    pub(crate) fn handle_response(
        &mut self,
        now: Instant,
        common: &mut Common,
        authenticator: &mut Authenticator,
        (branch, response): (Branch, &Message<'_>),
    ) -> bool {
        let Some(status) = response.status() else { return false };
        let Some(request) = self.request.as_mut().filter(|request| request.branch() == branch)
        else {
            return false;
        };
        if request.handle_response(now, common, status.code()) == Progress::Response {
            let mut registrant =
                registrant(authenticator, &mut common.pace, (&self.request_uri, &self.written));
            self.machine.handle_response(now, &mut common.rng, &mut registrant, response);
        }
        true
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Instant,
        common: &mut Common,
        (authenticator, wire): (&mut Authenticator, &Arc<Wire>),
    ) {
        let progress = match &mut self.request {
            Some(request) => request.handle_timeout(now, common),
            None => Progress::Nothing,
        };
        if progress == Progress::Timeout {
            self.machine.handle_no_answer(now, &mut common.rng);
        }
        if let Some(request) = self.request.take_if(|request| request.is_over()) {
            request.drop_transaction(common);
        }
        if self.machine.poll_timeout().is_some_and(|at| at <= now) {
            let mut registrant =
                registrant(authenticator, &mut common.pace, (&self.request_uri, wire));
            self.machine.handle_timeout(now, &mut common.rng, &mut registrant);
        }
    }

    /// The network lost what went to a far end.
    pub(crate) fn handle_transport_error(
        &mut self,
        now: Instant,
        common: &mut Common,
        loss: &Loss,
    ) {
        let trunk = self.trunk;
        let lost = |request: &&mut Request| loss.concerns(trunk, &request.remote());
        let progress = match self.request.as_mut().filter(lost) {
            Some(request) => request.handle_transport_error(now, common, loss.kind),
            None => Progress::Nothing,
        };
        match progress {
            Progress::TransportError if loss.kind == TransportError::Untrusted => {
                self.machine.handle_untrusted(now, &mut common.rng);
            }
            Progress::TransportError => self.machine.handle_no_answer(now, &mut common.rng),
            // A connection that only large calls took says nothing of the binding.
            _ if self
                .machine
                .bound_to()
                .is_some_and(|it| it.transport == loss.remote.transport) =>
            {
                self.machine.unreachable(now, loss.remote.address);
            }
            _ => {}
        }
    }

    /// Takes our binding away.
    pub(crate) fn unregister(
        &mut self,
        now: Instant,
        common: &mut Common,
        (authenticator, wire): (&mut Authenticator, &Arc<Wire>),
    ) {
        let mut registrant = registrant(authenticator, &mut common.pace, (&self.request_uri, wire));
        self.machine.unregister(now, &mut common.rng, &mut registrant);
    }

    /// The next thing to do that is no REGISTER; those are sent here.
    pub(crate) fn poll_command(
        &mut self,
        now: Instant,
        common: &mut Common,
        wire: &Arc<Wire>,
    ) -> Option<Command> {
        loop {
            match self.machine.poll_command()? {
                Command::Register(register) => self.send(now, common, wire, &register),
                other => return Some(other),
            }
        }
    }

    /// The earliest deadline.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let request = self.request.as_ref().and_then(Request::deadline);
        earlier(request, self.machine.poll_timeout())
    }

    /// Forgets the transaction.
    pub(crate) fn drop_transactions(&mut self, common: &mut Common) {
        if let Some(request) = self.request.take() {
            request.drop_transaction(common);
        }
    }

    fn send(&mut self, now: Instant, common: &mut Common, wire: &Arc<Wire>, register: &Register) {
        self.drop_transactions(common);
        self.written = Arc::clone(wire);
        let none = Credentials::default();
        let credentials = self.machine.credentials().unwrap_or(&none);
        let branch = common.random_branch();
        let names = (self.from_tag, self.call_id);
        let owner = (Owner::Trunk(self.trunk), self.trunk);
        let request =
            Request::send(now, common, owner, (branch, remote_of(&register.target)), |out| {
                write(out, wire, (branch, names), register, credentials)
            });
        match request {
            Some(request) => self.request = Some(request),
            None => self.machine.handle_no_answer(now, &mut common.rng),
        }
    }
}

fn registrant<'a>(
    auth: &'a mut Authenticator,
    pace: &'a mut crate::registration::Pace,
    (request_uri, wire): (&'a str, &'a Wire),
) -> Registrant<'a> {
    let (contact_uri, contact) = (wire.contact.as_str(), wire.contact_address);
    Registrant { auth, pace, request_uri, contact_uri, contact }
}

fn write(
    out: &mut Vec<u8>,
    wire: &Wire,
    (branch, (from_tag, call_id)): (Branch, (Tag, CallId)),
    register: &Register,
    credentials: &Credentials,
) -> Result<(), WriteFault> {
    let mut writer = Writer::request(out, Method::Register, wire.domain_uri());
    wire.write_via(&mut writer, register.target.transport, &branch.text());
    writer.number(HeaderName::MaxForwards, MAX_FORWARDS);
    let tag = from_tag.text();
    writer.address(HeaderName::From, AddressValue { tag: Some(&tag), ..wire.own_uri().into() });
    writer.address(HeaderName::To, wire.own_uri());
    writer.call_id(&call_id.text());
    writer.cseq(register.cseq, Method::Register);
    wire.write_contact(&mut writer);
    writer.number(HeaderName::Expires, register.expires_s);
    write_credentials(&mut writer, credentials);
    wire.write_product(&mut writer);
    writer.finish()
}
