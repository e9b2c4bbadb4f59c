//! One task owns a `sip::UserAgent`, its sockets and its timer; everybody else holds a
//! [`Driver`], the door to it.
//!
//! The door never blocks the call loop: commands wait in a bounded channel whose places are
//! reserved before anything is promised, and each call's end has a place of its own from the
//! moment the call is asked for.

mod breaker;
mod connections;
mod icmp;
mod inbound;
mod listeners;
mod media;
mod reports;
mod resolver;
#[cfg(test)]
pub(crate) mod scripted;
mod sockets;
mod stream;
mod task;
mod tcp;
mod tls;
mod trunk_table;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use dialplans::{TrunkHealth, TrunkName};

use crate::ids::CallId;

pub use inbound::Inbound;
pub use sockets::BindError;
pub use tls::{Roots, TlsClient, TlsError, TlsIdentity, TlsServer};
pub use trunk_table::{TrunkCounts, TrunkStatus, TrunkTable};

/// Commands that may wait for the call loop. At 10 µs each the last waits 10 ms; more would
/// hide an overload that the client should be told about.
const COMMAND_LIMIT: usize = 1024;

/// A call loop that needs longer for a turn hangs.
const ALIVE_LIMIT: Duration = Duration::from_secs(2);
/// How long the call loop goes on after [`Driver::shut_down`] for calls and bindings to end.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// What the call loop is built from.
#[derive(Debug)]
pub struct DriverSettings {
    /// Where datagrams and connections are taken.
    pub listen: Vec<config::SipListen>,
    /// What we show to those who connect by TLS; `None`: they are turned away.
    pub tls: Option<TlsServer>,
    /// Ports among which the media socket is bound; empty: the system chooses.
    pub media_ports: Vec<std::ops::RangeInclusive<u16>>,
    /// Settings of the user agent.
    pub user_agent: sip::Settings,
    /// Seeds every identifier on the wire.
    pub seed: [u8; 32],
    /// The trunks. Their `local` is filled in from the sockets.
    pub trunks: Vec<TrunkSpec>,
}

/// One trunk for the call loop.
#[derive(Clone, Debug)]
pub struct TrunkSpec {
    /// The operator's name.
    pub name: TrunkName,
    /// What the user agent needs to know.
    pub settings: sip::TrunkSettings,
    /// Calls that may start within one second; `None`: as many as come.
    pub calls_per_second: Option<u32>,
    /// Who chooses its transport. Where it is fixed, it is that of `settings`.
    pub transport: config::TransportChoice,
    /// How its far side proves its name; `None`: nothing is sent to it by TLS.
    pub tls: Option<TlsClient>,
}

/// The door to the task that owns the user agent. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Driver {
    commands: mpsc::Sender<Command>,
    trunks: watch::Receiver<Arc<TrunkTable>>,
    tls: watch::Sender<Option<TlsServer>>,
}

/// A place in the call loop's command channel: with it, acting cannot fail for want of room.
#[derive(Debug)]
pub struct Reservation {
    place: mpsc::OwnedPermit<Command>,
}

/// The command channel is full, or the call loop has stopped.
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
    /// A call for a voice stays up once it is answered, for at most so long, and its
    /// `media_port` is its own; `None`: a flash call.
    pub talk_limit: Option<Duration>,
}

/// What a placed call tells. `progress` may be merged, `ended` comes exactly once, also when
/// the user agent refused the call. An `ended` whose sender is gone means that the call loop
/// died: the call is then settled as after a restart.
#[derive(Debug)]
pub struct CallWatch {
    /// The latest fact.
    pub progress: watch::Receiver<CallProgress>,
    /// The end.
    pub ended: oneshot::Receiver<CallEnd>,
}

/// The latest known of a call that is up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallProgress {
    /// CSeq number of the last INVITE; 0: none left yet.
    pub cseq: u32,
    /// Where it went.
    pub target: Option<SocketAddr>,
    /// Whether a ringing signal was seen.
    pub ringing: bool,
    /// Whether our CANCEL left after ringing.
    pub cancelled: bool,
    /// Whether it rang after its end had been told as a timeout; it was cancelled at once. The
    /// only fact that may follow `ended`, for about 33 s.
    pub late_ringing: bool,
    /// Where the far side of an answered call for a voice wants its audio at this moment.
    pub media: Option<sip::RemoteMedia>,
    /// What hangs an answered call for a voice up after a crash.
    pub dialog: Option<sip::SavedDialog>,
}

/// How a placed call ended.
#[derive(Clone, Debug, PartialEq)]
pub enum CallEnd {
    /// The user agent's summary.
    Ended(sip::CallSummary),
    /// The user agent refused it; nothing was sent.
    Refused(sip::PlaceCallError),
}

/// How a text's transaction ended.
#[derive(Clone, Debug, PartialEq)]
pub enum MessageEnd {
    /// The user agent's summary.
    Ended(sip::MessageSummary),
    /// The user agent refused it; nothing was sent.
    Refused(sip::SendMessageError),
}

#[derive(Debug)]
enum Command {
    PlaceCall {
        order: CallOrder,
        progress: watch::Sender<CallProgress>,
        ended: oneshot::Sender<CallEnd>,
    },
    HangUp(CallId),
    SendMessage {
        trunk: TrunkName,
        message: sip::OutboundMessage,
        ended: oneshot::Sender<MessageEnd>,
    },
    CancelInterrupted {
        trunk: TrunkName,
        call: sip::InterruptedCall,
        done: oneshot::Sender<Option<u16>>,
    },
    AnswerText {
        text: sip::IncomingTextHandle,
        answer: sip::TextAnswer,
    },
    Listen(mpsc::Sender<Inbound>),
    Trunk(TrunkName, TrunkCommand),
    ReplaceTrunks(Vec<TrunkSpec>, oneshot::Sender<()>),
    Ping(oneshot::Sender<()>),
    ShutDown,
}

/// What an operator may ask of a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrunkCommand {
    /// REGISTER without waiting for the refresh.
    Register,
    /// Take no new calls.
    Pause,
    /// Take new calls again.
    Resume,
}

impl Driver {
    /// Binds the sockets and starts the call loop. The handle ends after [`Driver::shut_down`],
    /// when every binding is removed and every call has ended, or `stop_limit` has passed.
    pub fn start(mut settings: DriverSettings) -> Result<(Self, JoinHandle<()>), BindError> {
        let (commands, inbox) = mpsc::channel(COMMAND_LIMIT);
        let (table, trunks) = watch::channel(Arc::new(TrunkTable::default()));
        let (tls, certificates) = watch::channel(settings.tls.take());
        let task = task::Task::new(settings, certificates, inbox, table)?;
        Ok((Self { commands, trunks, tls }, tokio::spawn(task.run())))
    }

    /// Shows another certificate to whoever connects by TLS from here on. Sessions that are up
    /// stay as they are.
    pub fn replace_certificate(&self, tls: TlsServer) {
        self.tls.send_replace(Some(tls));
    }

    /// Reserves a place for one command; `DriverBusy` means 503 and nothing promised.
    pub fn reserve(&self) -> Result<Reservation, DriverBusy> {
        match self.commands.clone().try_reserve_owned() {
            Ok(place) => Ok(Reservation { place }),
            Err(_full_or_closed) => Err(DriverBusy),
        }
    }

    /// Ends a call; nothing when it has ended. Waits for a place when the channel is full.
    pub async fn hang_up(&self, call_id: CallId) {
        self.command(Command::HangUp(call_id)).await;
    }

    /// Cancels a call that was up when the process died. Answers the CANCEL's final status,
    /// `None` when no answer came or the trunk is not there.
    pub async fn cancel_interrupted(
        &self,
        trunk: TrunkName,
        call: sip::InterruptedCall,
    ) -> Option<u16> {
        let (done, answer) = oneshot::channel();
        self.command(Command::CancelInterrupted { trunk, call, done }).await;
        answer.await.ok().flatten()
    }

    /// What comes in over the trunks, from here on to this listener alone. While nobody listens,
    /// and when the listener is slow, texts are told 503 and calls are refused and counted.
    pub async fn listen(&self) -> mpsc::Receiver<Inbound> {
        let (listener, inbound) = mpsc::channel(inbound::INBOUND_LIMIT);
        self.command(Command::Listen(listener)).await;
        inbound
    }

    /// Answers a text from outside; nothing when its sender was told to try later meanwhile.
    pub async fn answer_text(&self, text: sip::IncomingTextHandle, answer: sip::TextAnswer) {
        self.command(Command::AnswerText { text, answer }).await;
    }

    /// Does what an operator asks of a trunk. False: no trunk has that name.
    pub async fn command_trunk(&self, trunk: TrunkName, command: TrunkCommand) -> bool {
        let known = self.trunk(&trunk).is_some();
        if known {
            self.command(Command::Trunk(trunk, command)).await;
        }
        known
    }

    /// Takes the trunks of another file, in its order. One that is the same is not touched; one
    /// that changed keeps its calls, and its binding where its Contact and its registrar stay; one
    /// that is not there takes calls for a while yet, and then its binding is removed.
    pub async fn replace_trunks(&self, trunks: Vec<TrunkSpec>) {
        let (done, taken) = oneshot::channel();
        self.command(Command::ReplaceTrunks(trunks, done)).await;
        // A call loop that has ended has no trunks at all.
        let _ = taken.await;
    }

    /// How every trunk stands.
    pub fn trunks(&self) -> Arc<TrunkTable> {
        self.trunks.borrow().clone()
    }

    /// How one trunk stands; `None`: no trunk has that name.
    pub fn trunk(&self, name: &TrunkName) -> Option<TrunkStatus> {
        self.trunks.borrow().trunks.iter().find(|trunk| trunk.name == *name).cloned()
    }

    /// Tells changes of the trunks' table.
    pub fn watch_trunks(&self) -> watch::Receiver<Arc<TrunkTable>> {
        self.trunks.clone()
    }

    /// How trunks stand, for plans.
    pub fn health(&self) -> TrunkHealth {
        self.trunks.borrow().health()
    }

    /// Whether the call loop still takes commands and carries them out within 2 s.
    pub async fn is_alive(&self) -> bool {
        let (answer, alive) = oneshot::channel();
        let asked = async {
            self.command(Command::Ping(answer)).await;
            alive.await.is_ok()
        };
        tokio::time::timeout(ALIVE_LIMIT, asked).await.unwrap_or(false)
    }

    /// Lets ringing calls finish, cancels the others, removes every binding, then ends the
    /// call loop.
    pub async fn shut_down(&self) {
        self.command(Command::ShutDown).await;
    }

    async fn command(&self, command: Command) {
        if self.commands.send(command).await.is_err() {
            tracing::warn!("a command came after the call loop had stopped");
        }
    }
}

impl Reservation {
    /// Places the call. Never fails: a refusal is the call's end.
    pub fn place_call(self, order: CallOrder) -> CallWatch {
        let (progress, progress_watch) = watch::channel(CallProgress::default());
        let (ended, ended_watch) = oneshot::channel();
        self.place.send(Command::PlaceCall { order, progress, ended });
        CallWatch { progress: progress_watch, ended: ended_watch }
    }

    /// Sends a text. The receiver gets its end exactly once; a sender that is gone means that
    /// the call loop died and nobody knows whether the text arrived.
    pub fn send_message(
        self,
        trunk: TrunkName,
        message: sip::OutboundMessage,
    ) -> oneshot::Receiver<MessageEnd> {
        let (ended, watch) = oneshot::channel();
        self.place.send(Command::SendMessage { trunk, message, ended });
        watch
    }
}
