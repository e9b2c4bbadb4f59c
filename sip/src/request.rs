//! A non-INVITE request under way: its bytes, where it went, and its transaction.

use std::time::Instant;

use crate::identity::Branch;
use crate::message::WriteFault;
use crate::transaction::{ClientInput, ClientSend, ClientTell, NonInviteClient};
use crate::transport::{Remote, TransportError};
use crate::user_agent::common::{Common, Owner};

/// A request that was sent and is repeated until it is answered.
#[derive(Debug)]
pub(crate) struct Request {
    machine: NonInviteClient,
    branch: Branch,
    remote: Remote,
    trunk: u32,
    /// Empty once the final response came: nothing is repeated then.
    bytes: Box<[u8]>,
    /// Whether it was sent again because its connection broke.
    is_repeated: bool,
}

/// How a request came to its end, or nearer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing for its owner.
    Nothing,
    /// The response is news: a 1xx, or the final one for the first time.
    Response,
    /// Timer F.
    Timeout,
    /// The network refused it.
    TransportError,
}

impl Request {
    /// Sends what `write` builds and starts the transaction. Its responses go to `owner`. `None`
    /// when it cannot be built.
    pub(crate) fn send(
        now: Instant,
        common: &mut Common,
        (owner, trunk): (Owner, u32),
        (branch, remote): (Branch, Remote),
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), WriteFault>,
    ) -> Option<Self> {
        let transmit = common.transmit(remote, trunk);
        let terms = common.terms(&remote);
        let bytes = common.outbox.write(transmit, write)?.into();
        common.branches.insert(branch, owner);
        let machine = NonInviteClient::start(now, &terms);
        Some(Self { machine, branch, remote, trunk, bytes, is_repeated: false })
    }

    /// Where it went.
    pub(crate) fn remote(&self) -> Remote {
        self.remote
    }

    /// Whether it may have arrived over a connection that broke, and was sent again.
    pub(crate) fn is_repeated(&self) -> bool {
        self.is_repeated
    }

    /// Its branch.
    pub(crate) fn branch(&self) -> Branch {
        self.branch
    }

    /// Whether its final response is still awaited.
    pub(crate) fn is_open(&self) -> bool {
        self.machine.is_open()
    }

    /// Whether nothing is left of its transaction.
    pub(crate) fn is_over(&self) -> bool {
        self.machine == NonInviteClient::Terminated
    }

    /// Its earliest timer.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.machine.deadline()
    }

    /// A response to it came.
    pub(crate) fn handle_response(
        &mut self,
        now: Instant,
        common: &mut Common,
        status: u16,
    ) -> Progress {
        let input = match status {
            100..200 => ClientInput::Provisional,
            200..300 => ClientInput::Success,
            _ => ClientInput::Failure,
        };
        self.step(now, common, input)
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant, common: &mut Common) -> Progress {
        while let Some(timer) = self.machine.due(now) {
            let progress = self.step(now, common, ClientInput::Fired(timer));
            if progress != Progress::Nothing {
                return progress;
            }
        }
        Progress::Nothing
    }

    /// The network lost what we sent to its peer. When a connection broke that had been open, the
    /// far side may never have seen the request: it is sent once more.
    pub(crate) fn handle_transport_error(
        &mut self,
        now: Instant,
        common: &mut Common,
        kind: TransportError,
    ) -> Progress {
        if kind == TransportError::Reset && self.machine.is_open() && !self.is_repeated {
            self.is_repeated = true;
            self.send_again(common);
            return Progress::Nothing;
        }
        self.step(now, common, ClientInput::TransportError)
    }

    /// Forgets the transaction, whatever state it is in.
    pub(crate) fn drop_transaction(self, common: &mut Common) {
        common.branches.remove(&self.branch);
    }

    fn step(&mut self, now: Instant, common: &mut Common, input: ClientInput) -> Progress {
        let terms = common.terms(&self.remote);
        let step = self.machine.step(now, &terms, input);
        if step.send == Some(ClientSend::Request) {
            self.send_again(common);
        }
        if !self.machine.is_open() {
            self.bytes = Box::default();
        }
        match step.tell {
            None => Progress::Nothing,
            Some(ClientTell::Response) => Progress::Response,
            Some(ClientTell::Timeout) => Progress::Timeout,
            Some(ClientTell::TransportError) => Progress::TransportError,
        }
    }

    fn send_again(&self, common: &mut Common) {
        let transmit = common.transmit(self.remote, self.trunk);
        common.outbox.send(transmit, &self.bytes);
        common.counters.retransmissions += 1;
    }
}
