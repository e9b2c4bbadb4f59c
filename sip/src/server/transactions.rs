//! The server transactions: requests that were answered, so that their repeats get the same answer.

use std::collections::BTreeMap;
use std::time::Instant;

use sha2::{Digest, Sha256};

use crate::message::{Message, Method};
use crate::timer::Timer;
use crate::transaction::{InviteServer, NonInviteServer, ServerInput, ServerStep, Terms};
use crate::transport::Remote;

/// What names a server transaction (RFC 3261 section 17.2.3), shortened by a hash: a request
/// cannot make a key longer, nor find another one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key([u8; 16]);

/// A request that was answered.
#[derive(Debug)]
pub(crate) struct ServerTransaction {
    pub(crate) key: Key,
    pub(crate) trunk: u32,
    /// Where the answer went.
    pub(crate) remote: Remote,
    /// The answer.
    pub(crate) response: Box<[u8]>,
    machine: Machine,
    /// What the timer queue holds for it.
    pub(crate) armed: Option<Instant>,
}

#[derive(Debug)]
enum Machine {
    Invite(InviteServer),
    Other(NonInviteServer),
}

/// Where each key's transaction is.
pub(crate) type Keys = BTreeMap<Key, u32>;

impl Key {
    /// The key of a request, or, for an ACK or a CANCEL, of the INVITE that it belongs to when
    /// `method` is INVITE.
    pub(crate) fn of(request: &Message<'_>, method: Method<'_>) -> Self {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        part(method.as_str().as_bytes());
        let via = &request.via;
        part(format!("{}:{}", via.host, via.port.unwrap_or_default()).as_bytes());
        part(via.branch.unwrap_or_default());
        if !via.is_rfc3261() {
            // By RFC 2543 the branch names nothing. The To tag is left out: an ACK has ours.
            let uri = request.request_uri();
            part(uri.map(|uri| uri.raw()).unwrap_or_default());
            part(request.from.tag().unwrap_or_default());
            part(request.call_id);
            part(&request.cseq.number.to_be_bytes());
        }
        let digest: [u8; 32] = hash.finalize().into();
        let [first, _] = digest.as_chunks().0 else { unreachable!("32 bytes are 2 times 16") };
        Self(*first)
    }
}

impl ServerTransaction {
    /// The state after the final answer was sent for the first time.
    pub(crate) fn answered(
        now: Instant,
        terms: &Terms,
        (key, method): (Key, Method<'_>),
        (trunk, remote): (u32, Remote),
        response: &[u8],
    ) -> Self {
        let is_success = response.get(8) == Some(&b'2');
        let input = if is_success { ServerInput::Success } else { ServerInput::Failure };
        let machine = if method == Method::Invite {
            let mut machine = InviteServer::start();
            let _: ServerStep = machine.step(now, terms, input);
            Machine::Invite(machine)
        } else {
            let mut machine = NonInviteServer::start();
            let _: ServerStep = machine.step(now, terms, input);
            Machine::Other(machine)
        };
        Self { key, trunk, remote, response: response.into(), machine, armed: None }
    }

    /// The request came again, or its ACK. Returns whether the answer is to be sent again.
    pub(crate) fn handle_request(
        &mut self,
        now: Instant,
        terms: &Terms,
        method: Method<'_>,
    ) -> bool {
        let input = if method == Method::Ack { ServerInput::Ack } else { ServerInput::Request };
        self.step(now, terms, input)
    }

    /// Does what is due. Returns whether the answer is to be sent again.
    pub(crate) fn handle_timeout(&mut self, now: Instant, terms: &Terms) -> bool {
        let mut responds = false;
        while let Some(timer) = self.due(now) {
            responds |= self.step(now, terms, ServerInput::Fired(timer));
        }
        responds
    }

    /// The earliest timer.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.machine {
            Machine::Invite(machine) => machine.deadline(),
            Machine::Other(machine) => machine.deadline(),
        }
    }

    /// Whether nothing of it is left.
    pub(crate) fn is_over(&self) -> bool {
        match &self.machine {
            Machine::Invite(machine) => *machine == InviteServer::Terminated,
            Machine::Other(machine) => *machine == NonInviteServer::Terminated,
        }
    }

    fn due(&self, now: Instant) -> Option<Timer> {
        match &self.machine {
            Machine::Invite(machine) => machine.due(now),
            Machine::Other(machine) => machine.due(now),
        }
    }

    fn step(&mut self, now: Instant, terms: &Terms, input: ServerInput) -> bool {
        let step = match &mut self.machine {
            Machine::Invite(machine) => machine.step(now, terms, input),
            Machine::Other(machine) => machine.step(now, terms, input),
        };
        // Nobody waits for the ACK of a refusal, so its absence is no news.
        step == ServerStep::Respond
    }
}
