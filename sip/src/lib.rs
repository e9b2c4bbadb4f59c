//! A SIP user agent (RFC 3261) without I/O.
//!
//! Bytes, instants and a seed go in; bytes, events and the next deadline come out. The crate
//! opens no socket, reads no clock and takes no lock: the daemon's driver does, and so do
//! simulations in virtual time.

pub mod auth;
pub mod call;
mod dialog;
pub mod event;
mod hex;
mod identity;
pub mod inbound;
mod media;
pub mod message;
mod network;
pub mod number;
pub mod outcome;
pub mod registration;
mod request;
pub mod server;
pub mod settings;
pub mod text;
pub mod timer;
pub mod transaction;
pub mod transport;
pub mod trunk;
pub mod user_agent;

pub use call::{
    CallHandle, CallIdentity, CallRequest, CallSummary, InterruptedCall, PlaceCallError,
    TimelineEntry, TimelineEvent, VoiceCallRequest,
};
pub use dialog::saved::SavedDialog;
pub use event::{Event, RegistrationState};
pub use inbound::{
    CallRefusal, CalledSource, Caller, CallerSource, InboundSettings, IncomingCall, IncomingText,
    IncomingTextHandle, TextAnswer,
};
pub use media::{Codec, Direction, RemoteMedia};
pub use network::{Network, NetworkError};
pub use number::{CallerId, Secret, UserPart, UserPartError};
pub use outcome::CallOutcome;
pub use settings::Settings;
pub use text::{MessageHandle, MessageSummary, OutboundMessage, SendMessageError};
pub use transport::{
    ConnectionChange, ConnectionHandle, Incoming, Remote, Target, Transmit, Transport,
    TransportError,
};
pub use trunk::{
    CallerIdHeader, DigestAlgorithm, External, HostPort, Privacy, Rel100, RingSignal, TrunkHandle,
    TrunkSettings,
};
pub use user_agent::{Counters, UserAgent};
