//! The transaction layer: one file for each state machine of RFC 3261 section 17, with the
//! Accepted states of RFC 6026.
//!
//! A machine holds its state and the deadlines of that state, nothing else: no bytes, no
//! addresses. Its owner asks which timer is due, steps it with an input, and does what the step
//! returns. Whatever a figure does not name leaves the state as it is and asks for nothing.

mod invite_client;
mod invite_server;
mod non_invite_client;
mod non_invite_server;

pub use invite_client::InviteClient;
pub use invite_server::InviteServer;
pub use non_invite_client::NonInviteClient;
pub use non_invite_server::NonInviteServer;

use crate::timer::{Timer, Timings};

/// The circumstances of a transaction that do not change while it lives.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// T1, T2 and T4.
    pub timings: Timings,
    /// Whether the transport repeats lost bytes itself.
    pub reliable: bool,
}

impl Terms {
    fn first(&self, timer: Timer) -> std::time::Duration {
        self.timings.first(timer, self.reliable)
    }
}

/// What a client machine is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientInput {
    /// A 1xx arrived.
    Provisional,
    /// A 2xx arrived.
    Success,
    /// A 300–699 arrived.
    Failure,
    /// A timer fired.
    Fired(Timer),
    /// The network refused what was sent.
    TransportError,
}

/// What a client machine wants done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientStep {
    /// What to send, before the user is told.
    pub send: Option<ClientSend>,
    /// What the user of the transaction learns.
    pub tell: Option<ClientTell>,
}

/// What a client machine sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientSend {
    /// The request again, byte for byte.
    Request,
    /// The ACK to a 300–699 (RFC 3261 section 17.1.1.3).
    Ack,
}

/// What the user of a client transaction learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientTell {
    /// The response that was the input.
    Response,
    /// Timer B or F fired.
    Timeout,
    /// The network refused the request.
    TransportError,
}

impl ClientStep {
    const NOTHING: Self = Self { send: None, tell: None };

    const fn send(send: ClientSend) -> Self {
        Self { send: Some(send), tell: None }
    }

    const fn tell(tell: ClientTell) -> Self {
        Self { send: None, tell: Some(tell) }
    }

    const fn both(send: ClientSend, tell: ClientTell) -> Self {
        Self { send: Some(send), tell: Some(tell) }
    }
}

/// What a server machine is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerInput {
    /// The request arrived again.
    Request,
    /// An ACK to the INVITE arrived.
    Ack,
    /// The user answers with a 1xx.
    Provisional,
    /// The user answers with a 2xx.
    Success,
    /// The user answers with a 300–699.
    Failure,
    /// A timer fired.
    Fired(Timer),
    /// The network refused what was sent.
    TransportError,
}

/// What a server machine wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerStep {
    /// Nothing.
    Nothing,
    /// Send the last response, again or for the first time.
    Respond,
    /// The user learns that no ACK came.
    TellTimeout,
    /// The user learns that the network refused the response.
    TellTransportError,
    /// The user learns of the ACK to its 2xx.
    TellAck,
}
