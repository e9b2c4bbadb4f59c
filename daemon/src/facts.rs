//! Facts for whoever wants to tell them on: webhooks and event streams.
//!
//! They are told after the commit and are a hint, not a promise: whoever must not miss one looks
//! into the store at its start.

use dialplans::{E164, TrunkName};
use tokio::sync::broadcast;

use crate::ids::{MessageId, VerificationId};
use crate::verification::model::CallVerdict;

/// What a listener may fall behind before it misses facts.
const BACKLOG: usize = 1024;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A text came in and is stored.
    TextReceived {
        /// The text.
        message_id: MessageId,
        /// The account whose number it was sent to.
        account: String,
    },
    /// Somebody called; the call was refused unanswered.
    CallReceived {
        /// Over which trunk.
        trunk: TrunkName,
        /// The account whose number was called; `None`: nobody's.
        account: Option<String>,
        /// The number that was called; `None`: none that could be read.
        called: Option<E164>,
        /// Who called; `None`: withheld, or none that could be read.
        caller: Option<E164>,
        /// What it came to.
        verdict: CallVerdict,
        /// The verification that it concerns.
        verification_id: Option<VerificationId>,
    },
}

/// Where facts are told and heard. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Facts(broadcast::Sender<Fact>);

impl Default for Facts {
    fn default() -> Self {
        Self(broadcast::channel(BACKLOG).0)
    }
}

impl Facts {
    /// Tells one.
    pub fn tell(&self, fact: Fact) {
        // Nobody may be listening.
        let _ = self.0.send(fact);
    }

    /// Hears what is told from here on.
    pub fn hear(&self) -> broadcast::Receiver<Fact> {
        self.0.subscribe()
    }
}
