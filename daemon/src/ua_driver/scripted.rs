//! A door without a call loop: a test hears what is asked and answers as the far side would.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dialplans::{TrunkName, TrunkState};
use sip::{CallHandle, CallOutcome, CallSummary, RegistrationState, TimelineEntry, TimelineEvent};
use tokio::sync::{mpsc, oneshot, watch};

use super::trunk_table::{TrunkCounts, TrunkStatus, TrunkTable};
use super::{CallEnd, CallOrder, CallProgress, Command, Driver, MessageEnd, TrunkCommand};
use crate::ids::CallId;

/// The other side of the door.
#[derive(Debug)]
pub(crate) struct Script {
    commands: mpsc::Receiver<Command>,
    trunks: watch::Sender<Arc<TrunkTable>>,
}

/// What was asked.
#[derive(Debug)]
pub(crate) enum Asked {
    /// A call.
    Call(ScriptedCall),
    /// The end of a call.
    HangUp(CallId),
    /// A text.
    Message(sip::OutboundMessage, oneshot::Sender<MessageEnd>),
    /// The CANCEL of a call of an earlier process.
    CancelInterrupted(TrunkName, sip::InterruptedCall),
    /// Something of a trunk.
    Trunk(TrunkName, TrunkCommand),
    /// The answer to a text from outside.
    AnswerText(sip::IncomingTextHandle, sip::TextAnswer),
}

/// A call that was asked for.
#[derive(Debug)]
pub(crate) struct ScriptedCall {
    /// What was asked.
    pub(crate) order: CallOrder,
    progress: watch::Sender<CallProgress>,
    ended: oneshot::Sender<CallEnd>,
}

/// A door to trunks that are up, with room for so many commands.
pub(crate) fn door(trunks: &[&str], room: usize) -> (Driver, Script) {
    let (commands, inbox) = mpsc::channel(room);
    let statuses = trunks.iter().map(|name| status(name, TrunkState::Up)).collect();
    let (trunks, table) = watch::channel(Arc::new(TrunkTable { trunks: statuses }));
    (
        Driver { commands, trunks: table, tls: watch::Sender::new(None) },
        Script { commands: inbox, trunks },
    )
}

fn status(name: &str, state: TrunkState) -> TrunkStatus {
    TrunkStatus {
        name: TrunkName::parse(name).unwrap(),
        state,
        registration: Some(RegistrationState::Static),
        registration_since: Instant::now(),
        calls_up: 0,
        counts: TrunkCounts::default(),
    }
}

impl Script {
    /// What is asked next; waits for it.
    pub(crate) async fn next(&mut self) -> Asked {
        let command = self.commands.recv().await.expect("the app holds the door");
        match command {
            Command::PlaceCall { order, progress, ended } => {
                Asked::Call(ScriptedCall { order, progress, ended })
            }
            Command::HangUp(call_id) => Asked::HangUp(call_id),
            Command::SendMessage { message, ended, .. } => Asked::Message(message, ended),
            Command::CancelInterrupted { trunk, call, done } => {
                done.send(Some(200)).unwrap();
                Asked::CancelInterrupted(trunk, call)
            }
            Command::Trunk(trunk, command) => Asked::Trunk(trunk, command),
            Command::AnswerText { text, answer } => Asked::AnswerText(text, answer),
            other => panic!("nobody asks this of a door: {other:?}"),
        }
    }

    /// The call that is asked for next.
    pub(crate) async fn call(&mut self) -> ScriptedCall {
        match self.next().await {
            Asked::Call(call) => call,
            other => panic!("a call was awaited, not {other:?}"),
        }
    }

    /// Whether nothing is asked.
    pub(crate) fn is_idle(&self) -> bool {
        self.commands.is_empty()
    }

    /// Changes the state of one trunk.
    pub(crate) fn set(&self, name: &str, state: TrunkState) {
        self.trunks.send_modify(|table| {
            let trunks = &mut Arc::make_mut(table).trunks;
            trunks.iter_mut().find(|trunk| trunk.name.as_str() == name).unwrap().state = state;
        });
    }
}

impl ScriptedCall {
    /// The caller ID that the phone shows.
    pub(crate) fn shown(&self) -> String {
        self.order.request.caller_id.reveal().to_owned()
    }

    /// The INVITE left.
    pub(crate) fn invite(&self) {
        self.progress.send_modify(|progress| {
            progress.cseq = 1;
            progress.target = Some(target());
        });
    }

    /// It rings.
    pub(crate) fn ring(&self) {
        self.invite();
        self.progress.send_modify(|progress| progress.ringing = true);
    }

    /// It was answered by somebody who wants audio here.
    pub(crate) fn answer(&self, address: SocketAddr) {
        self.ring();
        let media = sip::RemoteMedia {
            address,
            codec: sip::Codec::Pcma,
            payload_type: 8,
            telephone_event: Some(101),
            direction: sip::Direction::SendReceive,
        };
        self.progress.send_modify(|progress| progress.media = Some(media));
    }

    /// It rang and our CANCEL ended it.
    pub(crate) fn rang(self) {
        self.ring();
        self.end(CallOutcome::Rang, 487);
    }

    /// It ended so. The far side of the progress stays open for what comes late.
    pub(crate) fn end(self, outcome: CallOutcome, status: u16) -> watch::Sender<CallProgress> {
        let rang = self.progress.borrow().ringing;
        let entry = |at, event| TimelineEntry { at: Duration::from_millis(at), event };
        let summary = CallSummary {
            call: CallHandle(1),
            outcome,
            rang,
            status: Some(status),
            q850: sip::outcome::usual_cause(status),
            q850_from_reason: false,
            retry_after: None,
            target: target(),
            last_cseq: 1,
            timeline: vec![
                entry(0, TimelineEvent::Invite { cseq: 1 }),
                entry(20, TimelineEvent::Response { status }),
            ],
        };
        self.ended.send(CallEnd::Ended(summary)).unwrap();
        self.progress
    }
}

fn target() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 5060))
}
