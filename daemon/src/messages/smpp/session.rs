//! One bound connection: submits and their answers, what is delivered to us, signs of life.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use rusmpp::pdus::{BindTransceiver, DeliverSm, SubmitSm};
use rusmpp::{Command, CommandStatus, Pdu};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::wire::{Frame, Wire};

/// How long an answer is waited for.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);
/// How long the far side may take to answer a bind or a question whether it is there.
const LIFE_DEADLINE: Duration = Duration::from_secs(10);
/// How long the answers to what is out are waited for when we stop.
const LEAVE_DEADLINE: Duration = Duration::from_secs(5);
/// The highest sequence number (SMPP 3.4 section 3.2).
const SEQUENCE_LIMIT: u32 = 0x7fff_ffff;

/// A part to submit.
pub(super) struct Order {
    pub(super) submit: Box<SubmitSm>,
    pub(super) end: oneshot::Sender<SubmitEnd>,
}

/// What became of a submit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SubmitEnd {
    /// The message centre answered.
    Answered {
        /// How.
        status: CommandStatus,
        /// Under which id it took the part; `None`: it told none.
        remote_id: Option<String>,
    },
    /// It left, and no answer came: it may have been taken.
    Lost,
    /// It did not leave.
    NotSent,
}

/// Something that the message centre delivers to us.
pub(super) struct Delivery {
    pub(super) deliver: Box<DeliverSm>,
    /// Since when the connection is bound that brought it.
    pub(super) bound_at: Instant,
    sequence: u32,
    answers: mpsc::Sender<Command>,
}

impl Delivery {
    /// Answers it. After the connection ended nobody hears it, and it is delivered again.
    pub(super) async fn answer(self, status: CommandStatus) {
        let pdu = Pdu::DeliverSmResp(rusmpp::pdus::DeliverSmResp::default());
        let _ = self.answers.send(Command::new(status, self.sequence, pdu)).await;
    }
}

/// Why a session ended or never began.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    /// The connection broke or could not be made.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The message centre does not let us in.
    #[error("the bind was refused with status {0:#x}")]
    Refused(u32),
    /// It says nothing.
    #[error("the message centre does not answer")]
    Silent,
    /// It took its leave.
    #[error("the message centre took its leave")]
    Unbound,
}

/// Answers that may wait to be written: as many as deliveries are worked on, and then some.
const ANSWERS: usize = 64;

/// A connection on which we are bound.
pub(super) struct Session<S> {
    wire: Wire<S>,
    sequence: u32,
    bound_at: Instant,
    pending: BTreeMap<u32, Pending>,
    heard: Instant,
    /// Until when the answer to our question whether it is there must have come.
    asked: Option<Instant>,
    enquire_link: Duration,
    deliveries: mpsc::Sender<Delivery>,
    answers: mpsc::Sender<Command>,
    answered: mpsc::Receiver<Command>,
}

struct Pending {
    end: oneshot::Sender<SubmitEnd>,
    until: Instant,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Binds as a transceiver.
    pub(super) async fn bind(
        stream: S,
        bind: BindTransceiver,
        enquire_link: Duration,
        deliveries: mpsc::Sender<Delivery>,
    ) -> Result<Self, SessionError> {
        let mut wire = Wire::new(stream);
        let bound = async {
            wire.send(&Command::new(CommandStatus::EsmeRok, 1, bind)).await?;
            loop {
                if let Frame::Command(command) = wire.next().await?
                    && command.sequence_number() == 1
                {
                    return Ok::<_, io::Error>(command.status());
                }
            }
        };
        match tokio::time::timeout(LIFE_DEADLINE, bound).await {
            Ok(Ok(CommandStatus::EsmeRok)) => {}
            Ok(Ok(status)) => return Err(SessionError::Refused(status.into())),
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => return Err(SessionError::Silent),
        }
        let (answers, answered) = mpsc::channel(ANSWERS);
        Ok(Self {
            wire,
            sequence: 1,
            bound_at: Instant::now(),
            pending: BTreeMap::new(),
            heard: Instant::now(),
            asked: None,
            enquire_link,
            deliveries,
            answers,
            answered,
        })
    }

    /// Works until the connection ends or we stop; what is out then is lost.
    pub(super) async fn run(
        mut self,
        orders: &mut mpsc::Receiver<Order>,
        stop: &CancellationToken,
    ) -> Result<(), SessionError> {
        let ended = self.work(orders, stop).await;
        for pending in std::mem::take(&mut self.pending).into_values() {
            // Whoever submitted may have stopped waiting.
            let _ = pending.end.send(SubmitEnd::Lost);
        }
        ended
    }

    async fn work(
        &mut self,
        orders: &mut mpsc::Receiver<Order>,
        stop: &CancellationToken,
    ) -> Result<(), SessionError> {
        let mut leaving = None;
        loop {
            if leaving.is_some() && self.pending.is_empty() {
                return self.unbind().await;
            }
            let wake = self.wake().min(leaving.unwrap_or_else(|| self.wake()));
            tokio::select! {
                biased;
                () = stop.cancelled(), if leaving.is_none() => {
                    leaving = Some(Instant::now() + LEAVE_DEADLINE);
                }
                frame = self.wire.next() => {
                    self.heard = Instant::now();
                    self.asked = None;
                    match frame? {
                        Frame::Command(command) => self.hear(*command).await?,
                        Frame::Unreadable { is_response: true, .. } => {}
                        Frame::Unreadable { sequence, is_response: false } => {
                            let status = CommandStatus::EsmeRinvcmdlen;
                            self.wire.send(&Command::new(status, sequence, Pdu::GenericNack)).await?;
                        }
                    }
                }
                Some(answer) = self.answered.recv() => self.wire.send(&answer).await?,
                Some(order) = orders.recv(), if leaving.is_none() => self.submit(order).await?,
                () = tokio::time::sleep_until(wake) => {
                    if leaving.is_some_and(|until| until <= Instant::now()) {
                        return self.unbind().await;
                    }
                    self.tick().await?;
                }
            }
        }
    }

    async fn hear(&mut self, command: Command) -> Result<(), SessionError> {
        let (sequence, status) = (command.sequence_number(), command.status());
        let answer = match command.pdu() {
            Some(Pdu::SubmitSmResp(taken)) => {
                let id = taken.message_id().as_str().trim();
                let remote_id = (!id.is_empty()).then(|| id.to_owned());
                self.settle(sequence, SubmitEnd::Answered { status, remote_id });
                return Ok(());
            }
            // A refused submit has no body, and a centre may refuse by generic_nack.
            None | Some(Pdu::GenericNack) => {
                self.settle(sequence, SubmitEnd::Answered { status, remote_id: None });
                return Ok(());
            }
            Some(Pdu::DeliverSm(deliver)) => {
                let answers = self.answers.clone();
                let deliver = Box::new(deliver.clone());
                let delivery = Delivery { deliver, bound_at: self.bound_at, sequence, answers };
                if self.deliveries.try_send(delivery).is_ok() {
                    return Ok(());
                }
                // It keeps it and comes again.
                let full = Pdu::DeliverSmResp(rusmpp::pdus::DeliverSmResp::default());
                Command::new(CommandStatus::EsmeRmsgqful, sequence, full)
            }
            Some(Pdu::EnquireLink) => {
                Command::new(CommandStatus::EsmeRok, sequence, Pdu::EnquireLinkResp)
            }
            Some(Pdu::Unbind) => {
                self.wire
                    .send(&Command::new(CommandStatus::EsmeRok, sequence, Pdu::UnbindResp))
                    .await?;
                return Err(SessionError::Unbound);
            }
            Some(_) if u32::from(command.id()) >> 31 == 1 => return Ok(()),
            Some(_) => Command::new(CommandStatus::EsmeRinvcmdid, sequence, Pdu::GenericNack),
        };
        Ok(self.wire.send(&answer).await?)
    }

    fn settle(&mut self, sequence: u32, end: SubmitEnd) {
        if let Some(pending) = self.pending.remove(&sequence) {
            // Whoever submitted may have stopped waiting.
            let _ = pending.end.send(end);
        }
    }

    async fn submit(&mut self, order: Order) -> Result<(), SessionError> {
        if order.end.is_closed() {
            return Ok(());
        }
        let sequence = self.next_sequence();
        let until = Instant::now() + ANSWER_DEADLINE;
        self.pending.insert(sequence, Pending { end: order.end, until });
        let command = Command::new(CommandStatus::EsmeRok, sequence, *order.submit);
        Ok(self.wire.send(&command).await?)
    }

    fn next_sequence(&mut self) -> u32 {
        self.sequence = if self.sequence >= SEQUENCE_LIMIT { 1 } else { self.sequence + 1 };
        self.sequence
    }

    fn wake(&self) -> Instant {
        let life = self.asked.unwrap_or(self.heard + self.enquire_link);
        let answer = self.pending.values().map(|pending| pending.until).min();
        answer.map_or(life, |answer| answer.min(life))
    }

    async fn tick(&mut self) -> Result<(), SessionError> {
        let now = Instant::now();
        let gone: Vec<u32> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.until <= now)
            .map(|(&sequence, _)| sequence)
            .collect();
        for sequence in gone {
            self.settle(sequence, SubmitEnd::Lost);
        }
        match self.asked {
            Some(until) if until <= now => Err(SessionError::Silent),
            None if self.heard + self.enquire_link <= now => {
                self.asked = Some(now + LIFE_DEADLINE);
                let sequence = self.next_sequence();
                let question = Command::new(CommandStatus::EsmeRok, sequence, Pdu::EnquireLink);
                Ok(self.wire.send(&question).await?)
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn unbind(&mut self) -> Result<(), SessionError> {
        let sequence = self.next_sequence();
        Ok(self.wire.send(&Command::new(CommandStatus::EsmeRok, sequence, Pdu::Unbind)).await?)
    }
}
