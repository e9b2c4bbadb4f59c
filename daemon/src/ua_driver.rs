//! One task owns a `sip::UserAgent`, its sockets and its timer.

use tokio::sync::{oneshot, watch};

use dialplans::TrunkName;

use crate::ids::CallId;

/// The door to the task that owns the user agent. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Driver {}

/// A place in the driver's bounded command channel: with it, placing a call cannot fail for
/// want of room.
#[derive(Debug)]
pub struct Reservation {}

/// The command channel is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the call loop has no room for another command")]
pub struct DriverBusy;

/// A call to place once its row is stored.
#[derive(Clone, Debug)]
pub struct CallOrder {
    /// Names the call in reports.
    pub call_id: CallId,
    /// Over which trunk.
    pub trunk: TrunkName,
    /// What the user agent is asked.
    pub request: sip::CallRequest,
}

/// What a placed call tells. `progress` may be merged, `ended` comes exactly once, also when
/// the user agent refused the call or the driver stops.
#[derive(Debug)]
pub struct CallWatch {
    /// The latest fact.
    pub progress: watch::Receiver<CallProgress>,
    /// The end.
    pub ended: oneshot::Receiver<CallEnd>,
}

/// The latest known of a call that is up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallProgress {
    /// CSeq number of the last INVITE; 0: none left yet.
    pub cseq: u32,
    /// Where it went.
    pub target: Option<std::net::SocketAddr>,
    /// Whether a ringing signal was seen.
    pub ringing: bool,
    /// Whether our CANCEL left after ringing.
    pub cancelled: bool,
}

/// How a placed call ended.
#[derive(Clone, Debug, PartialEq)]
pub enum CallEnd {
    /// The user agent's summary.
    Ended(sip::CallSummary),
    /// The user agent refused it; nothing was sent.
    Refused(sip::PlaceCallError),
}

impl Driver {
    /// Reserves a place for one command; `DriverBusy` means 503 and nothing promised.
    pub fn reserve(&self) -> Result<Reservation, DriverBusy> {
        todo!()
    }

    /// Ends a call; nothing when it has ended.
    pub fn hang_up(&self, call_id: CallId) {
        let _ = call_id;
        todo!()
    }

    /// How trunks stand, for plans: down, cooling or full ones are named with the reason.
    pub fn health(&self) -> dialplans::TrunkHealth {
        todo!()
    }
}

impl Reservation {
    /// Places the call. Never fails: a refusal is the call's end.
    pub fn place_call(self, order: CallOrder) -> CallWatch {
        let _ = order;
        todo!()
    }
}
