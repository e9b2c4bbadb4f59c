//! The other side of the network: people who call the gateway's numbers and write to them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use sip::UserPart;
use sip::message::{AddressValue, HeaderName, Message, Method, SipUri, Writer};
use sip::timer::Timings;
use sip::transaction::{ClientInput, ClientSend, InviteClient, NonInviteClient, Terms};

use super::report::Report;

/// Calls and texts under way; a wish beyond it is told as unanswered.
const OUTGOING_LIMIT: usize = 1000;

/// Somebody on the network wishes to reach the gateway: one JSON object a line on the
/// simulator's standard input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "wish", rename_all = "snake_case", deny_unknown_fields)]
pub enum Wish {
    /// To call a number.
    Call {
        /// Who calls.
        from: String,
        /// Whom.
        to: String,
        /// How the caller is shown.
        #[serde(default)]
        shown: Shown,
    },
    /// To write to a number.
    Text {
        /// Who writes.
        from: String,
        /// To whom.
        to: String,
        /// What.
        text: String,
    },
}

/// How a caller is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// The network vouches for the number: From and P-Asserted-Identity.
    #[default]
    Asserted,
    /// From alone, which anybody can write.
    Claimed,
    /// Withheld: From is anonymous, and the network keeps the number to itself.
    Hidden,
}

/// The people, and what they have under way.
pub(super) struct Users {
    address: SocketAddr,
    domain: String,
    outgoing: Vec<Outgoing>,
    sent: u64,
}

/// A call or a text under way.
#[derive(Debug)]
struct Outgoing {
    wish: Wish,
    call_id: String,
    branch: String,
    to: SocketAddr,
    uri: String,
    request: Vec<u8>,
    machine: Machine,
}

#[derive(Debug)]
enum Machine {
    Call(InviteClient),
    Text(NonInviteClient),
}

/// Where what is to be sent and told goes.
pub(super) struct Out<'o> {
    pub(super) t_ms: u64,
    pub(super) packets: &'o mut VecDeque<(SocketAddr, Vec<u8>)>,
    pub(super) reports: &'o mut VecDeque<Report>,
}

fn terms() -> Terms {
    Terms { timings: Timings::default(), reliable: false }
}

impl Users {
    pub(super) fn new(address: SocketAddr, domain: &str) -> Self {
        Self { address, domain: domain.to_owned(), outgoing: Vec::new(), sent: 0 }
    }

    /// Somebody reaches out. `binding` is the gateway's Contact and where it registered from;
    /// `mark` tells this call's identifiers from others'.
    pub(super) fn reach(
        &mut self,
        now: Instant,
        wish: Wish,
        binding: Option<(&str, SocketAddr)>,
        mark: &str,
        out: &mut Out<'_>,
    ) {
        self.sent += 1;
        let call_id = format!("{mark}-{}", self.sent);
        let Some((uri, to)) = binding.filter(|_| self.outgoing.len() < OUTGOING_LIMIT) else {
            return tell(&wish, &call_id, 0, out);
        };
        let branch = format!("z9hG4bK{mark}{}", self.sent);
        let Some(request) = self.write(&wish, uri, &call_id, &branch) else {
            return tell(&wish, &call_id, 0, out);
        };
        let machine = match wish {
            Wish::Call { .. } => Machine::Call(InviteClient::start(now, &terms())),
            Wish::Text { .. } => Machine::Text(NonInviteClient::start(now, &terms())),
        };
        out.packets.push_back((to, request.clone()));
        let uri = uri.to_owned();
        self.outgoing.push(Outgoing { wish, call_id, branch, to, uri, request, machine });
    }

    /// When [`Users::handle_timeout`] has work.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.outgoing.iter().filter_map(Outgoing::deadline).min()
    }

    /// Does what is due at `now`.
    pub(super) fn handle_timeout(&mut self, now: Instant, out: &mut Out<'_>) {
        for outgoing in &mut self.outgoing {
            outgoing.handle_timeout(now, out);
        }
        self.outgoing.retain(|outgoing| !outgoing.is_over());
    }

    /// Takes a response.
    pub(super) fn handle_response(
        &mut self,
        now: Instant,
        response: &Message<'_>,
        out: &mut Out<'_>,
    ) {
        let sent_by = self.address;
        let branch = response.via.branch.unwrap_or_default();
        let found = self.outgoing.iter_mut().find(|own| own.branch.as_bytes() == branch);
        if let (Some(outgoing), Some(status)) = (found, response.status()) {
            outgoing.handle_response(now, (response, status.code()), sent_by, out);
        }
        self.outgoing.retain(|outgoing| !outgoing.is_over());
    }

    /// `None`: a value that no request can hold.
    fn write(&self, wish: &Wish, uri: &str, call_id: &str, branch: &str) -> Option<Vec<u8>> {
        let (method, from, to, shown) = match wish {
            Wish::Call { from, to, shown } => (Method::Invite, from, to, *shown),
            Wish::Text { from, to, .. } => (Method::Message, from, to, Shown::Asserted),
        };
        let (from, to) = (UserPart::new(from).ok()?, UserPart::new(to).ok()?);
        let host = self.domain.as_str();
        let known = SipUri { user: Some(from.reveal()), host, ..SipUri::default() };
        let anonymous =
            SipUri { user: Some("anonymous"), host: "anonymous.invalid", ..SipUri::default() };
        let mut request = Vec::new();
        let mut writer = Writer::request(&mut request, method, uri);
        writer.via("UDP", self.address, branch, true);
        writer.number(HeaderName::MaxForwards, 70);
        let shown_from = if shown == Shown::Hidden { anonymous } else { known };
        let value =
            AddressValue { tag: Some(call_id.as_bytes()), ..AddressValue::from(shown_from) };
        writer.address(HeaderName::From, value);
        writer
            .address(HeaderName::To, SipUri { user: Some(to.reveal()), host, ..SipUri::default() });
        writer.call_id(call_id.as_bytes());
        writer.cseq(1, method);
        if method == Method::Invite {
            let (ip, port) = (self.address.ip().to_string(), Some(self.address.port()));
            let contact = SipUri { user: Some("user"), host: &ip, port, params: "" };
            writer.address(HeaderName::Contact, contact);
        }
        match shown {
            Shown::Asserted => writer.address(HeaderName::PAssertedIdentity, known),
            Shown::Claimed => {}
            Shown::Hidden => writer.header(HeaderName::Privacy, "id"),
        }
        let written = match wish {
            Wish::Call { .. } => writer.finish(),
            Wish::Text { text, .. } => {
                writer.finish_with_body("text/plain;charset=UTF-8", text.as_bytes())
            }
        };
        written.ok().map(|()| request)
    }
}

impl Outgoing {
    fn deadline(&self) -> Option<Instant> {
        match &self.machine {
            Machine::Call(machine) => machine.deadline(),
            Machine::Text(machine) => machine.deadline(),
        }
    }

    fn is_over(&self) -> bool {
        match &self.machine {
            Machine::Call(machine) => *machine == InviteClient::Terminated,
            Machine::Text(machine) => *machine == NonInviteClient::Terminated,
        }
    }

    fn handle_timeout(&mut self, now: Instant, out: &mut Out<'_>) {
        loop {
            let due = match &self.machine {
                Machine::Call(machine) => machine.due(now),
                Machine::Text(machine) => machine.due(now),
            };
            let Some(timer) = due else { return };
            let (send, is_told) = self.step(now, ClientInput::Fired(timer));
            if send == Some(ClientSend::Request) {
                out.packets.push_back((self.to, self.request.clone()));
            }
            if is_told {
                self.tell(0, out);
            }
        }
    }

    fn handle_response(
        &mut self,
        now: Instant,
        (response, status): (&Message<'_>, u16),
        sent_by: SocketAddr,
        out: &mut Out<'_>,
    ) {
        let input = match status {
            100..200 => ClientInput::Provisional,
            200..300 => ClientInput::Success,
            _ => ClientInput::Failure,
        };
        let (send, is_told) = self.step(now, input);
        if send == Some(ClientSend::Ack) {
            let ack = self.acknowledgement(response, sent_by);
            out.packets.extend(ack.map(|ack| (self.to, ack)));
        }
        if is_told && status >= 200 {
            self.tell(status, out);
        }
    }

    /// What the machine wants sent, and whether it tells its user something.
    fn step(&mut self, now: Instant, input: ClientInput) -> (Option<ClientSend>, bool) {
        let step = match &mut self.machine {
            Machine::Call(machine) => machine.step(now, &terms(), input),
            Machine::Text(machine) => machine.step(now, &terms(), input),
        };
        (step.send, step.tell.is_some())
    }

    /// The ACK of a refusal (RFC 3261 section 17.1.1.3).
    fn acknowledgement(&self, response: &Message<'_>, sent_by: SocketAddr) -> Option<Vec<u8>> {
        let mut ack = Vec::new();
        let mut writer = Writer::request(&mut ack, Method::Ack, self.uri.as_str());
        writer.via("UDP", sent_by, &self.branch, false);
        writer.number(HeaderName::MaxForwards, 70);
        writer.copy_all(HeaderName::From, &response.headers);
        writer.copy_all(HeaderName::To, &response.headers);
        writer.call_id(self.call_id.as_bytes());
        writer.cseq(1, Method::Ack);
        writer.finish().ok().map(|()| ack)
    }

    fn tell(&self, status: u16, out: &mut Out<'_>) {
        tell(&self.wish, &self.call_id, status, out);
    }
}

fn tell(wish: &Wish, call_id: &str, status: u16, out: &mut Out<'_>) {
    let (t_ms, call) = (out.t_ms, call_id.to_owned());
    out.reports.push_back(match wish {
        Wish::Call { from, to, .. } => {
            Report::Called { t_ms, call, from: from.clone(), to: to.clone(), status }
        }
        Wish::Text { from, to, .. } => {
            Report::Texted { t_ms, call, from: from.clone(), to: to.clone(), status }
        }
    });
}
