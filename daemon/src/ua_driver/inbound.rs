//! Calls and texts from outside, on their way to the application.

use dialplans::TrunkName;
use tokio::sync::mpsc;

/// What may wait for the application: a second's worth of one trunk at its full rate. More would
/// hide an overload that the sender should be told about.
pub(super) const INBOUND_LIMIT: usize = 256;

/// What came in over a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inbound {
    /// A call, already refused.
    Call {
        /// Over which trunk.
        trunk: TrunkName,
        /// Who called whom.
        call: Box<sip::IncomingCall>,
    },
    /// A text that waits for [`super::Driver::answer_text`].
    Text {
        /// Over which trunk.
        trunk: TrunkName,
        /// Who wrote what to whom.
        text: Box<sip::IncomingText>,
    },
}

/// Who is told. Nobody, until somebody listens.
#[derive(Debug, Default)]
pub(super) struct Listener(Option<mpsc::Sender<Inbound>>);

impl Listener {
    pub(super) fn replace(&mut self, listener: mpsc::Sender<Inbound>) {
        self.0 = Some(listener);
    }

    /// Tells it; what cannot be told comes back.
    pub(super) fn tell(&self, inbound: Inbound) -> Result<(), Inbound> {
        let Some(listener) = &self.0 else { return Err(inbound) };
        listener.try_send(inbound).map_err(mpsc::error::TrySendError::into_inner)
    }
}
