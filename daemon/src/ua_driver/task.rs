//! The call loop: timers first, then packets, then commands, each in bounded portions, and
//! everything the user agent has to say is carried out after each of its inputs.

mod network;
mod pace;
mod trunks;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dialplans::TrunkName;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sip::{Event, HostPort, Transport, TrunkHandle, UserAgent};
use tokio::sync::{mpsc, watch};

use super::connections::Connections;
use super::inbound::{Inbound, Listener};
use super::listeners::Listeners;
use super::media::MediaSink;
use super::reports::Reports;
use super::resolver::names::SystemNames;
use super::resolver::{Resolved, Resolver};
use super::sockets::{BindError, Refusal, Sockets, local_towards};
use super::tls::TlsServer;
use super::trunk_table::{TrunkRoom, TrunkTable};
use super::{CallEnd, Command, DriverSettings, MessageEnd, STOP_LIMIT};
use pace::TablePace;

/// Commands taken in one turn.
const COMMANDS_PER_TURN: usize = 64;
/// The largest datagram.
const DATAGRAM_LIMIT: usize = 65_536;
/// Resolutions that may wait for the call loop; one trunk has at most one under way.
const RESOLVED_LIMIT: usize = 1024;

pub(super) struct Task {
    user_agent: UserAgent,
    sockets: Sockets,
    listeners: Listeners,
    connections: Connections,
    /// Every address that is bound for SIP.
    bound: Vec<(Transport, SocketAddr)>,
    media: MediaSink,
    resolver: Resolver<SystemNames>,
    resolved: mpsc::Receiver<Resolved>,
    inbox: mpsc::Receiver<Command>,
    table: watch::Sender<Arc<TrunkTable>>,
    /// Every trunk that there was since the start. A place is not used again.
    rooms: Vec<TrunkRoom>,
    /// Those that are there, in the order of the file, and behind them those that leave.
    places: Vec<usize>,
    by_handle: HashMap<TrunkHandle, usize>,
    by_name: HashMap<TrunkName, usize>,
    reports: Reports,
    listener: Listener,
    refusals: Vec<Refusal>,
    out: Vec<u8>,
    pace: TablePace,
    stop_at: Option<Instant>,
    finished: bool,
}

impl Task {
    pub(super) fn new(
        settings: DriverSettings,
        certificates: watch::Receiver<Option<TlsServer>>,
        inbox: mpsc::Receiver<Command>,
        table: watch::Sender<Arc<TrunkTable>>,
    ) -> Result<Self, BindError> {
        let now = Instant::now();
        let is_udp = |listen: &&config::SipListen| listen.transport == Transport::Udp;
        let udp: Vec<_> = settings.listen.iter().filter(is_udp).map(|udp| udp.address).collect();
        let sockets = Sockets::bind(&udp)?;
        let listeners = Listeners::bind(&settings.listen, &certificates)?;
        let bound = sockets.addresses().map(|address| (Transport::Udp, address));
        let bound: Vec<_> = bound.chain(listeners.addresses()).collect();
        let media_ip = local_towards(&bound, Transport::Udp, None).ip();
        let media = MediaSink::bind(media_ip, &settings.media_ports)?;
        let (answers, resolved) = mpsc::channel(RESOLVED_LIMIT);
        let mut task = Self {
            user_agent: UserAgent::new(settings.user_agent, settings.seed),
            sockets,
            listeners,
            connections: Connections::new(stream_rng(settings.seed)),
            bound,
            media,
            resolver: Resolver::new(SystemNames::new(), answers),
            resolved,
            inbox,
            table,
            rooms: Vec::new(),
            places: Vec::new(),
            by_handle: HashMap::new(),
            by_name: HashMap::new(),
            reports: Reports::default(),
            listener: Listener::default(),
            refusals: Vec::new(),
            out: Vec::with_capacity(2048),
            pace: TablePace::new(now),
            stop_at: None,
            finished: false,
        };
        for spec in settings.trunks {
            let place = task.add_trunk(now, spec);
            task.places.push(place);
        }
        Ok(task)
    }

    pub(super) async fn run(mut self) {
        let mut packet = vec![0; DATAGRAM_LIMIT];
        let mut commands = Vec::with_capacity(COMMANDS_PER_TURN);
        let mut wait = Box::pin(tokio::time::sleep(Duration::ZERO));
        while !self.finished {
            let now = Instant::now();
            if self.user_agent.poll_timeout().is_some_and(|deadline| deadline <= now) {
                self.user_agent.handle_timeout(now);
                self.drain(now);
            }
            self.publish(now);
            if self.stop_at.is_some_and(|stop_at| stop_at <= now) {
                tracing::warn!("calls or bindings are left at the end of the stop limit");
                break;
            }
            wait.as_mut().reset(self.next_wake(now).into());
            tokio::select! {
                biased;
                () = &mut wait => {}
                ready = self.sockets.ready() => {
                    self.read(ready, &mut packet);
                    // A flood of datagrams must not starve the connections and commands behind it.
                    self.hear_waiting();
                    self.obey_waiting();
                }
                told = self.connections.news() => {
                    self.hear(told);
                    self.hear_waiting();
                }
                accepted = self.listeners.accepted() => self.accept(accepted),
                Some(resolved) = self.resolved.recv() => self.set_targets(resolved),
                count = self.inbox.recv_many(&mut commands, COMMANDS_PER_TURN) => {
                    if count == 0 {
                        // Every door is gone: the process is ending without a stop command.
                        self.shut_down(Instant::now());
                    }
                    for command in commands.drain(..) {
                        self.command(Instant::now(), command);
                    }
                }
            }
        }
    }

    fn next_wake(&self, now: Instant) -> Instant {
        let mut wake = self.pace.next().max(now);
        for deadline in [self.user_agent.poll_timeout(), self.stop_at].into_iter().flatten() {
            wake = wake.min(deadline);
        }
        wake
    }

    /// Carries out commands that wait already.
    fn obey_waiting(&mut self) {
        for _ in 0..COMMANDS_PER_TURN {
            let Ok(command) = self.inbox.try_recv() else { return };
            self.command(Instant::now(), command);
        }
    }

    fn command(&mut self, now: Instant, command: Command) {
        match command {
            Command::PlaceCall { order, progress, ended } => {
                self.place_call(now, order, progress, ended);
            }
            Command::HangUp(call_id) => {
                if let Some(handle) = self.reports.handle(call_id) {
                    self.user_agent.hang_up(now, handle);
                }
            }
            Command::SendMessage { trunk, message, ended } => {
                let sent = match self.by_name.get(&trunk) {
                    None => Err(sip::SendMessageError::UnknownTrunk),
                    Some(&place) => {
                        self.user_agent.send_message(now, self.rooms[place].handle, message)
                    }
                };
                match sent {
                    Ok(handle) => self.reports.message_sent(handle, ended),
                    // A listener that stopped waiting has no use for the end.
                    Err(error) => drop(ended.send(MessageEnd::Refused(error))),
                }
            }
            Command::CancelInterrupted { trunk, call, done } => {
                if let Some(&place) = self.by_name.get(&trunk) {
                    let trunk = self.rooms[place].handle;
                    if let Ok(handle) = self.user_agent.cancel_interrupted(now, trunk, call) {
                        self.reports.interrupted(handle, done);
                    }
                }
            }
            Command::AnswerText { text, answer } => self.user_agent.answer_text(now, text, answer),
            Command::Listen(listener) => self.listener.replace(listener),
            Command::Trunk(name, command) => self.trunk_command(now, &name, command),
            Command::ReplaceTrunks(trunks, done) => {
                self.replace_trunks(now, trunks);
                // Whoever asked may have stopped waiting.
                let _ = done.send(());
            }
            // Whoever asked may have stopped waiting.
            Command::Ping(answer) => drop(answer.send(())),
            Command::ShutDown => self.shut_down(now),
        }
        self.drain(now);
    }

    fn place_call(
        &mut self,
        now: Instant,
        order: super::CallOrder,
        progress: watch::Sender<super::CallProgress>,
        ended: tokio::sync::oneshot::Sender<CallEnd>,
    ) {
        let placed =
            self.by_name.get(&order.trunk).copied().ok_or(sip::PlaceCallError::UnknownTrunk);
        let placed = placed.and_then(|place| {
            let room = &mut self.rooms[place];
            if room.paused {
                return Err(sip::PlaceCallError::Paused);
            }
            if !room.take_token(now) {
                return Err(sip::PlaceCallError::ChannelsBusy);
            }
            let (trunk, mut call) = (room.handle, order.request);
            let handle = match order.talk_limit {
                None => {
                    call.media_port = self.media.port();
                    self.user_agent.place_call(now, trunk, call)?
                }
                Some(talk_limit) => {
                    let request = sip::VoiceCallRequest { call, talk_limit };
                    self.user_agent.place_voice_call(now, trunk, request)?
                }
            };
            room.call_placed(now);
            Ok((handle, place))
        });
        match placed {
            Ok((handle, place)) => {
                self.reports.call_placed(handle, order.call_id, place, progress, ended);
                self.pace.calls_changed();
            }
            // A listener that stopped waiting has no use for the end.
            Err(error) => drop(ended.send(CallEnd::Refused(error))),
        }
    }

    fn shut_down(&mut self, now: Instant) {
        if self.stop_at.is_none() {
            self.stop_at = Some(now + STOP_LIMIT);
            self.user_agent.shut_down(now);
            self.drain(now);
        }
    }

    fn event(&mut self, now: Instant, event: Event) {
        match event {
            Event::ResolveTargets { trunk, name, transport } => {
                self.resolve(trunk, name, transport);
            }
            Event::Registration { trunk, state } => {
                if let Some(&place) = self.by_handle.get(&trunk) {
                    crate::telemetry::registration(&self.rooms[place].spec.name, &state);
                    self.rooms[place].registration(now, state);
                    self.pace.trunk_changed(now);
                }
            }
            Event::InviteSent { call, cseq, target } => self.reports.progress(call, |progress| {
                progress.cseq = cseq;
                progress.target = Some(target);
            }),
            Event::Ringing { call, after, .. } => {
                self.reports.progress(call, |progress| progress.ringing = true);
                if let Some(place) = self.reports.trunk(call) {
                    self.rooms[place].metrics.rang(after);
                }
            }
            Event::Cancelled { call } => {
                self.reports.progress(call, |progress| progress.cancelled = true);
            }
            Event::Answered { call, media, dialog, .. } => {
                self.reports.answered(call, media, dialog);
            }
            Event::MediaChanged { call, media } => {
                self.reports.progress(call, |progress| progress.media = Some(media));
            }
            Event::DialogMoved { call, dialog } => self.reports.moved(call, dialog),
            Event::LateRinging { call, .. } => {
                self.reports.late_ringing(call);
            }
            Event::Ended(summary) => {
                if let Some(place) = self.reports.trunk(summary.call) {
                    self.rooms[place].call_ended(now, &summary);
                    self.pace.calls_changed();
                }
                self.reports.call_ended(now, summary);
            }
            Event::InterruptedCallCancelled { call, status } => {
                self.reports.interrupted_cancelled(call, status);
            }
            Event::MessageEnded(summary) => {
                self.reports.message_ended(summary.message, MessageEnd::Ended(summary));
            }
            Event::MessageTooLong { message, excess } => {
                let refused = sip::SendMessageError::TooLong { excess };
                self.reports.message_ended(message, MessageEnd::Refused(refused));
            }
            Event::IncomingCall(call) => {
                if let Some(trunk) = self.trunk_name(call.trunk) {
                    self.tell(now, Inbound::Call { trunk, call: Box::new(call) });
                }
            }
            Event::IncomingText(text) => {
                if let Some(trunk) = self.trunk_name(text.trunk) {
                    self.tell(now, Inbound::Text { trunk, text: Box::new(text) });
                }
            }
            Event::ShutDown => self.finished = true,
        }
    }

    fn resolve(&mut self, trunk: TrunkHandle, name: HostPort, transport: Transport) {
        let place = self.by_handle.get(&trunk);
        let choice = match place.map(|place| self.rooms[*place].spec.transport) {
            Some(config::TransportChoice::Auto) => config::TransportChoice::Auto,
            Some(config::TransportChoice::Fixed(_)) | None => {
                config::TransportChoice::Fixed(transport)
            }
        };
        self.resolver.resolve(trunk, name, choice);
    }

    fn trunk_name(&self, trunk: sip::TrunkHandle) -> Option<TrunkName> {
        self.by_handle.get(&trunk).map(|&place| self.rooms[place].spec.name.clone())
    }

    /// Tells the application what came in. A text that it has no room for is told 503.
    fn tell(&mut self, now: Instant, inbound: Inbound) {
        let Err(inbound) = self.listener.tell(inbound) else { return };
        match inbound {
            Inbound::Call { trunk, .. } => crate::telemetry::inbound_missed(&trunk, "call"),
            Inbound::Text { trunk, text } => {
                crate::telemetry::inbound_missed(&trunk, "text");
                self.user_agent.answer_text(now, text.text, sip::TextAnswer::Unavailable);
                self.transmit(now);
            }
        }
    }

    /// Publishes the table of trunks when it changed, and once a period for what time alone
    /// changes.
    fn publish(&mut self, now: Instant) {
        if !self.pace.take(now) {
            return;
        }
        self.forget_leavers(now);
        let trunks = self.places.iter().map(|&place| self.rooms[place].status(now)).collect();
        let table = TrunkTable { trunks };
        self.table.send_if_modified(|published| {
            let changed = **published != table;
            if changed {
                *published = Arc::new(table);
            }
            changed
        });
    }
}

/// The driver's own chance, another stream of the seed than the user agent's.
fn stream_rng(seed: [u8; 32]) -> ChaCha20Rng {
    let mut rng = ChaCha20Rng::from_seed(seed);
    rng.set_stream(1);
    rng
}
