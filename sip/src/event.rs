//! What the user agent tells: present and past facts.

use std::net::SocketAddr;
use std::time::Duration;

use crate::call::{CallHandle, CallSummary};
use crate::dialog::saved::SavedDialog;
use crate::inbound::{IncomingCall, IncomingText};
use crate::media::RemoteMedia;
use crate::text::{MessageHandle, MessageSummary};
use crate::transport::Transport;
use crate::trunk::{HostPort, TrunkHandle};

/// A fact for the daemon. Progress may be merged; the end of a call or of a text is never dropped.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The trunk wants addresses: answer with `set_targets`, with an empty list when the name
    /// does not resolve.
    ResolveTargets {
        /// For which trunk.
        trunk: TrunkHandle,
        /// The name to resolve (RFC 3263 section 4).
        name: HostPort,
        /// The transport that the targets must have.
        transport: Transport,
    },
    /// A trunk's binding changed.
    Registration {
        /// Which trunk.
        trunk: TrunkHandle,
        /// How it stands.
        state: RegistrationState,
    },
    /// An INVITE left with this CSeq number (told for the first and for each authenticated one).
    InviteSent {
        /// Which call.
        call: CallHandle,
        /// The CSeq number.
        cseq: u32,
        /// Where it went: with the CSeq number, what a restart needs to cancel it.
        target: SocketAddr,
    },
    /// The phone rings.
    Ringing {
        /// Which call.
        call: CallHandle,
        /// The status that said so: 180, or 183.
        status: u16,
        /// Since the first INVITE.
        after: Duration,
    },
    /// A call for a voice was answered and is up. A 2xx whose session description is none that we
    /// can speak to, or that points outside the trunk, is released at once: then `Ended` follows
    /// without this.
    Answered {
        /// Which call.
        call: CallHandle,
        /// Since the first INVITE.
        after: Duration,
        /// Where the far side wants its audio.
        media: RemoteMedia,
        /// What a process that starts after a crash needs to hang up; `None`: it is larger than
        /// any that is meant.
        dialog: Option<SavedDialog>,
    },
    /// The far side of a call that is up has moved: a restart needs this to hang up.
    DialogMoved {
        /// Which call.
        call: CallHandle,
        /// The dialog as it stands.
        dialog: SavedDialog,
    },
    /// The far side of a call that is up wants its audio elsewhere or otherwise: on hold, or not
    /// any more, or with another codec.
    MediaChanged {
        /// Which call.
        call: CallHandle,
        /// Where the far side wants its audio.
        media: RemoteMedia,
    },
    /// Our CANCEL left after ringing: the flash call did its work.
    Cancelled {
        /// Which call.
        call: CallHandle,
    },
    /// The phone rings although the call was abandoned and its `Ended` told; it is cancelled at
    /// once. Told once at most, and the only event of a call that may follow its `Ended`.
    LateRinging {
        /// Which call.
        call: CallHandle,
        /// The status that said so.
        status: u16,
    },
    /// A call ended. The only event of it that is promised.
    Ended(CallSummary),
    /// The CANCEL of an interrupted call was answered or given up; where it had been answered, its
    /// BYE.
    InterruptedCallCancelled {
        /// Which call.
        call: CallHandle,
        /// Final status of the CANCEL or BYE; `None`: no answer.
        status: Option<u16>,
    },
    /// A text's transaction ended.
    MessageEnded(MessageSummary),
    /// A text, too large for a datagram, found no TCP at its far end and was not sent: its end, in
    /// place of `MessageEnded`.
    MessageTooLong {
        /// Which text.
        message: MessageHandle,
        /// Bytes above what a datagram may hold.
        excess: usize,
    },
    /// Somebody called us. The call was refused.
    IncomingCall(IncomingCall),
    /// Somebody wrote to us, and waits for `answer_text`.
    IncomingText(IncomingText),
    /// The user agent has un-registered everywhere and has nothing left to send.
    ShutDown,
}

/// How a trunk's binding stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationState {
    /// A static trunk: no binding is needed.
    Static,
    /// REGISTER is under way for the first time, or again after a failure.
    Registering,
    /// Bound.
    Registered {
        /// What the registrar granted.
        granted: Duration,
        /// When we refresh, from this event on.
        refresh_in: Duration,
        /// The registrar's address.
        target: SocketAddr,
        /// Our address as the registrar sees it.
        contact: SocketAddr,
        /// From REGISTER to its 200.
        round_trip: Duration,
    },
    /// No usable answer.
    Failed {
        /// The status, if there was one.
        status: Option<u16>,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// 403: the registrar does not want us.
    Rejected {
        /// When it is tried again.
        retry_in: Duration,
    },
    /// Our credentials were refused.
    AuthFailed {
        /// When it is tried again.
        retry_in: Duration,
    },
    /// The binding was removed by us.
    Unregistered,
}
