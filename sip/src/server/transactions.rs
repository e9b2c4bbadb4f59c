//! The server transactions: requests that were answered, so that their repeats get the same answer,
//! and texts that wait for theirs.

use std::collections::BTreeMap;
use std::time::Instant;

use sha2::{Digest, Sha256};

use crate::message::{Message, Method, Status};
use crate::timer::{Timer, earlier};
use crate::transaction::{InviteServer, NonInviteServer, ServerInput, ServerStep, Terms};
use crate::transport::Remote;

/// What names a server transaction (RFC 3261 section 17.2.3), shortened by a hash: a request
/// cannot make a key longer, nor find another one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key([u8; 16]);

/// A request that was answered, or waits for it.
#[derive(Debug)]
pub(crate) struct ServerTransaction {
    pub(crate) key: Key,
    pub(crate) trunk: u32,
    /// Where the answer goes.
    pub(crate) remote: Remote,
    answer: Answer,
    machine: Machine,
    /// What the timer queue holds for it.
    pub(crate) armed: Option<Instant>,
}

#[derive(Debug)]
enum Answer {
    /// A text waits for the daemon's word.
    Awaited {
        /// The answer but for its status line and its end.
        fields: Box<[u8]>,
        /// When it is told 480.
        until: Instant,
    },
    /// It was given.
    Given(Box<[u8]>),
}

/// How every answer here ends.
const END: &[u8] = b"Content-Length: 0\r\n\r\n";
/// What a text is told that could not be taken: when to send it again, in seconds.
const RETRY_AFTER: &str = "Retry-After: 10\r\n";

/// By how much another answer than 202 may be longer: its phrase and Retry-After.
pub(crate) const LONGER_BY: usize = 40;

/// What a transaction did with the time that passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Nothing.
    Nothing,
    /// The answer is to be sent again.
    Respond,
    /// Nobody answered the text in time: 480 is to be sent.
    Unanswered,
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
        let answer = Answer::Given(response.into());
        Self { key, trunk, remote, answer, machine, armed: None }
    }

    /// The state of a text that waits until `until`. `accepted` is the answer that says 202.
    pub(crate) fn awaiting(
        key: Key,
        (trunk, remote): (u32, Remote),
        accepted: &[u8],
        until: Instant,
    ) -> Self {
        let line = accepted.windows(2).position(|two| two == b"\r\n").map_or(0, |at| at + 2);
        let fields = accepted[line..].strip_suffix(END).unwrap_or_default().into();
        let answer = Answer::Awaited { fields, until };
        let machine = Machine::Other(NonInviteServer::start());
        Self { key, trunk, remote, answer, machine, armed: None }
    }

    /// Answers a text. `false`: it was answered before.
    pub(crate) fn give(&mut self, now: Instant, terms: &Terms, status: Status) -> bool {
        let Answer::Awaited { fields, .. } = &self.answer else { return false };
        let mut text = format!("SIP/2.0 {status} {}\r\n", status.phrase()).into_bytes();
        text.extend_from_slice(fields);
        if matches!(status, Status::SERVICE_UNAVAILABLE | Status::TEMPORARILY_UNAVAILABLE) {
            text.extend_from_slice(RETRY_AFTER.as_bytes());
        }
        text.extend_from_slice(END);
        self.answer = Answer::Given(text.into());
        let input = if status.is_success() { ServerInput::Success } else { ServerInput::Failure };
        let _: bool = self.step(now, terms, input);
        true
    }

    /// The answer; empty while it is awaited.
    pub(crate) fn response(&self) -> &[u8] {
        match &self.answer {
            Answer::Awaited { .. } => &[],
            Answer::Given(response) => response,
        }
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

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant, terms: &Terms) -> Due {
        if let Answer::Awaited { until, .. } = self.answer
            && until <= now
        {
            self.give(now, terms, Status::TEMPORARILY_UNAVAILABLE);
            return Due::Unanswered;
        }
        let mut responds = false;
        while let Some(timer) = self.due(now) {
            responds |= self.step(now, terms, ServerInput::Fired(timer));
        }
        if responds { Due::Respond } else { Due::Nothing }
    }

    /// The earliest timer.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let timer = match &self.machine {
            Machine::Invite(machine) => machine.deadline(),
            Machine::Other(machine) => machine.deadline(),
        };
        match self.answer {
            Answer::Awaited { until, .. } => earlier(timer, Some(until)),
            Answer::Given(_) => timer,
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
