//! A text under way: MESSAGE, its challenges, its end (RFC 3428).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{MessageHandle, MessageSummary, OutboundMessage, SendMessageError};
use crate::auth::{AuthRequest, Credentials, challenges};
use crate::call::wire::write_credentials;
use crate::event::Event;
use crate::identity::{Branch, Identifiers, Purpose};
use crate::message::{
    AddressValue, HeaderName, MESSAGE_LIMIT, Message, Method, WriteFault, Writer,
};
use crate::request::{Progress, Request};
use crate::transport::{Loss, Remote, Transport};
use crate::trunk::state::Trunk;
use crate::trunk::wire::Wire;
use crate::user_agent::common::{Common, Owner};

/// A MESSAGE that travels as a datagram must not be larger (RFC 3428 section 8).
const DATAGRAM_LIMIT: usize = 1300;
/// What an answer to a challenge adds, where one is to be expected: the longest of the three
/// algorithms, with a nonce and a realm of ordinary length.
const CREDENTIALS_ROOM: usize = 350;
/// Retry-After beyond this is taken for this.
const RETRY_AFTER_CAP: Duration = Duration::from_secs(3600);
const FIRST_CSEQ: u32 = 1;
const MAX_FORWARDS: u32 = 70;

/// One text.
#[derive(Debug)]
pub(crate) struct ActiveText {
    handle: MessageHandle,
    place: u32,
    trunk: u32,
    wire: Arc<Wire>,
    remote: Remote,
    reach: Reach,
    ids: Identifiers,
    message: OutboundMessage,
    credentials: Credentials,
    cseq: u32,
    /// Whether everything is left out that it works without.
    is_lean: bool,
    phase: Phase,
    /// What the timer queue holds for this text.
    pub(crate) armed: Option<Instant>,
}

/// Why a text travels as it does.
#[derive(Clone, Copy, Debug)]
enum Reach {
    /// As its target says.
    Told,
    /// Over TCP to a target of datagrams, being too large for one by so many bytes.
    Detour { excess: usize },
}

#[derive(Debug)]
enum Phase {
    /// The answer is awaited.
    Waiting(Request),
    /// The end was told; repeats of the answer are swallowed.
    Told(Request),
    /// Nothing is left.
    Over,
}

impl ActiveText {
    /// Sends the text, unless it is too long for one message.
    pub(crate) fn send(
        now: Instant,
        common: &mut Common,
        trunk: &mut Trunk,
        (handle, place): (MessageHandle, u32),
        (remote, message): (Remote, OutboundMessage),
    ) -> Result<Self, SendMessageError> {
        let mut text = Self {
            handle,
            place,
            trunk: trunk.index,
            wire: Arc::clone(&trunk.wire),
            remote,
            reach: Reach::Told,
            ids: Identifiers::derive(&message.identity, &common.mark),
            message,
            credentials: Credentials::default(),
            cseq: FIRST_CSEQ,
            is_lean: false,
            phase: Phase::Over,
            armed: None,
        };
        let uri = text.request_uri();
        let request = AuthRequest { method: "MESSAGE", uri: &uri, in_dialog: false };
        trunk.authenticator.foresee(&mut common.rng, request, &mut text.credentials);
        let expects_challenge = text.credentials.is_empty() && trunk.settings.password.is_some();
        let answer = if expects_challenge { CREDENTIALS_ROOM } else { 0 };
        let size = text.size().ok_or(SendMessageError::TrunkDown)? + answer;
        text.choose_reach(now, common, size)?;
        text.begin(now, common);
        Ok(text)
    }

    /// Our name for it.
    pub(crate) fn handle(&self) -> MessageHandle {
        self.handle
    }

    /// Which trunk it uses.
    pub(crate) fn trunk(&self) -> u32 {
        self.trunk
    }

    /// Whether its end was not told.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Waiting(_))
    }

    /// Whether nothing of it is left.
    pub(crate) fn is_over(&self) -> bool {
        match &self.phase {
            Phase::Waiting(_) => false,
            Phase::Told(request) => request.is_over(),
            Phase::Over => true,
        }
    }

    /// Its earliest deadline.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Waiting(request) | Phase::Told(request) => request.deadline(),
            Phase::Over => None,
        }
    }

    /// Forgets its branch.
    pub(crate) fn drop_transactions(self: Box<Self>, common: &mut Common) {
        match self.phase {
            Phase::Waiting(request) | Phase::Told(request) => request.drop_transaction(common),
            Phase::Over => {}
        }
    }

    /// A response to it came from an address of the trunk.
    pub(crate) fn handle_response(
        &mut self,
        now: Instant,
        common: &mut Common,
        trunk: &mut Trunk,
        response: &Message<'_>,
    ) -> bool {
        let Some(status) = response.status().map(|status| status.code()) else { return false };
        let (Phase::Waiting(request) | Phase::Told(request)) = &mut self.phase else {
            return false;
        };
        let progress = request.handle_response(now, common, status);
        if progress != Progress::Response || status < 200 {
            return true;
        }
        if !self.credentials.is_empty() {
            trunk.authenticator.settled("MESSAGE", &self.credentials, status);
        }
        if matches!(status, 401 | 407) && self.answer_challenge(now, common, trunk, response) {
            return true;
        }
        if matches!(status, 413 | 513) && self.make_smaller(now, common, trunk) {
            return true;
        }
        let retry_after = response.headers.retry_after_s();
        let retry_after = retry_after.map(|s| Duration::from_secs(s.into()).min(RETRY_AFTER_CAP));
        self.tell(common, Some(status), retry_after);
        true
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant, common: &mut Common) {
        let (Phase::Waiting(request) | Phase::Told(request)) = &mut self.phase else { return };
        if request.handle_timeout(now, common) == Progress::Timeout {
            self.tell(common, None, None);
        }
    }

    /// The network lost what went to a far end.
    pub(crate) fn handle_transport_error(
        &mut self,
        now: Instant,
        common: &mut Common,
        loss: &Loss,
    ) {
        let (Phase::Waiting(request) | Phase::Told(request)) = &mut self.phase else { return };
        if !loss.concerns(self.trunk, &request.remote())
            || request.handle_transport_error(now, common, loss.kind) != Progress::TransportError
        {
            return;
        }
        // What was open and broke may have carried it, and was followed by a repeat.
        let never_left = !request.is_repeated();
        match self.reach {
            Reach::Detour { excess } if never_left => {
                common.note_tcp_refusal(now, self.remote.address);
                let message = self.handle;
                self.tell_end(common, Event::MessageTooLong { message, excess });
            }
            Reach::Detour { .. } | Reach::Told => self.tell(common, None, None),
        }
    }

    /// Takes TCP for a text that is too large for a datagram, unless the far end is known to
    /// refuse that. Of all links to the addressee the first one alone is ours to choose: whoever
    /// takes the text there and cannot carry it on says 513.
    fn choose_reach(
        &mut self,
        now: Instant,
        common: &Common,
        size: usize,
    ) -> Result<(), SendMessageError> {
        if self.remote.transport == Transport::Udp {
            let excess = size.saturating_sub(DATAGRAM_LIMIT);
            if excess == 0 {
                return Ok(());
            }
            if common.refuses_tcp(now, self.remote.address) {
                return Err(SendMessageError::TooLong { excess });
            }
            self.remote = Remote { transport: Transport::Tcp, connection: None, ..self.remote };
            self.reach = Reach::Detour { excess };
        }
        match size.saturating_sub(MESSAGE_LIMIT) {
            0 => Ok(()),
            excess => Err(SendMessageError::TooLong { excess }),
        }
    }

    fn answer_challenge(
        &mut self,
        now: Instant,
        common: &mut Common,
        trunk: &mut Trunk,
        response: &Message<'_>,
    ) -> bool {
        let uri = self.request_uri();
        let request = AuthRequest { method: "MESSAGE", uri: &uri, in_dialog: false };
        let answered = trunk.authenticator.answer(
            &mut common.rng,
            challenges(response),
            request,
            &mut self.credentials,
        );
        if answered.is_err() {
            common.counters.challenges_refused += 1;
            return false;
        }
        self.cseq += 1;
        // A challenge may ask for more than was foreseen. Where that finds no way, its refusal is
        // the text's end.
        let size = self.size();
        if size.is_none_or(|size| self.choose_reach(now, common, size).is_err()) {
            return false;
        }
        self.begin(now, common);
        self.is_waiting()
    }

    /// Sends the text once more without what it works without. `false`: there is nothing such, or
    /// it is gone already. A 420 has nothing to take away: no extension is asked for.
    fn make_smaller(&mut self, now: Instant, common: &mut Common, trunk: &mut Trunk) -> bool {
        if self.is_lean || self.wire.product.is_empty() {
            return false;
        }
        self.is_lean = true;
        let uri = self.request_uri();
        let request = AuthRequest { method: "MESSAGE", uri: &uri, in_dialog: false };
        trunk.authenticator.repeat(&mut common.rng, request, &mut self.credentials);
        common.counters.refusals_mended += 1;
        self.cseq += 1;
        self.begin(now, common);
        self.is_waiting()
    }

    /// Sends the MESSAGE with the CSeq number at hand.
    fn begin(&mut self, now: Instant, common: &mut Common) {
        let branch = Branch::derive(&self.message.identity, Purpose::Message, self.cseq);
        let owner = (Owner::Text(self.place), self.trunk);
        let request =
            Request::send(now, common, owner, (branch, self.remote), |out| self.write(out, branch));
        let next = request.map_or(Phase::Over, Phase::Waiting);
        match std::mem::replace(&mut self.phase, next) {
            Phase::Waiting(old) | Phase::Told(old) => old.drop_transaction(common),
            Phase::Over => {}
        }
    }

    fn tell(&mut self, common: &mut Common, status: Option<u16>, retry_after: Option<Duration>) {
        let summary = MessageSummary { message: self.handle, status, retry_after };
        self.tell_end(common, Event::MessageEnded(summary));
    }

    fn tell_end(&mut self, common: &mut Common, end: Event) {
        self.phase = match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Waiting(request) => {
                common.events.push_back(end);
                // The text may hold a code: it is not kept longer than needed.
                self.message.text = String::new();
                Phase::Told(request)
            }
            told => told,
        };
    }

    /// Its bytes on the wire; `None`: it cannot be written.
    fn size(&self) -> Option<usize> {
        let mut scratch = Vec::new();
        let branch = Branch::derive(&self.message.identity, Purpose::Message, self.cseq);
        self.write(&mut scratch, branch).ok()?;
        Some(scratch.len())
    }

    /// No Contact: a MESSAGE opens no dialog (RFC 3428 section 4).
    fn write(&self, out: &mut Vec<u8>, branch: Branch) -> Result<(), WriteFault> {
        let (wire, message) = (&*self.wire, &self.message);
        let mut writer = Writer::request(out, Method::Message, wire.called_uri(&message.called));
        wire.write_via(&mut writer, self.remote.transport, &branch.text());
        writer.number(HeaderName::MaxForwards, MAX_FORWARDS);
        wire.write_routes(&mut writer);
        let tag = self.ids.from_tag.text();
        let sender = wire.sender_uri(message.sender.as_ref());
        writer.address(HeaderName::From, AddressValue { tag: Some(&tag), ..sender.into() });
        writer.address(HeaderName::To, wire.called_uri(&message.called));
        writer.call_id(&self.ids.call_id.text());
        writer.cseq(self.cseq, Method::Message);
        write_credentials(&mut writer, &self.credentials);
        if !self.is_lean {
            wire.write_product(&mut writer);
        }
        writer.finish_with_body("text/plain;charset=UTF-8", message.text.as_bytes())
    }

    fn request_uri(&self) -> String {
        let mut uri = String::new();
        self.wire.called_uri(&self.message.called).write_text(&mut uri);
        uri
    }
}
