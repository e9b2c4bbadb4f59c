//! Keeping a trunk's binding at its registrar (RFC 3261 section 10.2): a machine that is told what
//! came and says what to send. It knows neither sockets nor transactions; its owner runs the
//! REGISTER's transaction and drops the one before when a new REGISTER is asked for.

mod answer;
mod backoff;
mod grant;
mod pace;
mod probe;
mod targets;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;

use crate::auth::{AuthRequest, Authenticator, Credentials};
use crate::event::RegistrationState;
use crate::transport::Target;
use backoff::{Backoff, Cause, uniform};
use probe::Probe;
use targets::Targets;

pub use pace::Pace;

/// REGISTERs that start an attempt are at least this far apart.
const MIN_SPACING: Duration = Duration::from_secs(1);
/// A REGISTER without an answer for so long makes its target silent, and OPTIONS are sent there
/// while its transaction goes on: its repeats are up to 4 s apart by then.
const SILENT_AFTER: Duration = Duration::from_secs(4);
/// An un-REGISTER gets no longer than this.
const REMOVAL_LIMIT: Duration = Duration::from_secs(2);
/// Without targets for so long, the trunk has failed.
const RESOLVING_LIMIT: Duration = Duration::from_secs(5);
/// A binding that was confirmed within this time is not doubted because a call was refused.
const TRUSTED_FOR: Duration = Duration::from_secs(30);

/// What to do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Send this REGISTER, with [`Registration::credentials`], in place of one under way.
    Register(Register),
    /// Send an OPTIONS; its answer, whatever it says, goes to [`Registration::ping_answered`].
    Ping {
        /// Where to.
        target: Target,
    },
    /// Ask for the targets again: their names may have moved.
    Resolve,
    /// Tell how the trunk stands.
    Tell(RegistrationState),
}

/// A REGISTER to send. Call-ID and From tag are the same for all of a trunk; there is no To tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// Where to.
    pub target: Target,
    /// Its CSeq number.
    pub cseq: u32,
    /// What Expires says: 0 takes our own Contact away.
    pub expires_s: u32,
}

/// What a registration needs of its trunk.
#[derive(Debug)]
pub struct Registrant<'a> {
    /// The trunk's secret.
    pub auth: &'a mut Authenticator,
    /// The pace of all trunks.
    pub pace: &'a mut Pace,
    /// The URI of the request line, which is the digest URI too.
    pub request_uri: &'a str,
    /// The URI of our Contact, as written into the REGISTER.
    pub contact_uri: &'a str,
    /// Our address as that Contact shows it.
    pub contact: SocketAddr,
}

/// A registration.
#[derive(Debug)]
pub struct Registration {
    /// Lifetime that the settings ask for.
    wished: Duration,
    /// The largest Min-Expires that a 423 named.
    min_expires: Duration,
    targets: Targets,
    phase: Phase,
    binding: Option<Binding>,
    probe: Option<Probe>,
    backoff: Backoff,
    /// The longest Retry-After of this round.
    hold: Duration,
    cseq: u32,
    /// When the last attempt began.
    last_begun: Option<Instant>,
    service_route: Vec<Box<[u8]>>,
    commands: VecDeque<Command>,
}

#[derive(Debug)]
enum Phase {
    /// Not started, or removed.
    Idle,
    /// The next attempt begins then.
    Waiting { until: Instant },
    /// The next attempt begins at its place among those of all trunks.
    Queued { place: Instant },
    /// A REGISTER waits for its answer.
    Asking(Attempt),
    /// An un-REGISTER waits for its answer.
    Removing { attempt: Attempt, until: Instant },
}

#[derive(Debug)]
struct Attempt {
    target: Target,
    credentials: Credentials,
    expires_s: u32,
    /// When its last REGISTER left.
    sent: Instant,
    /// When its silence is noticed; `None`: it was, or there was an answer.
    silent_at: Option<Instant>,
    /// Whether a 423 was obeyed.
    lengthened: bool,
    /// Whether something changed meanwhile, so that another attempt must follow.
    outdated: bool,
}

#[derive(Debug)]
struct Binding {
    target: Target,
    confirmed: Instant,
    expires: Instant,
}

impl Registration {
    /// A registration that waits for [`Registration::start`]; `wished` is the lifetime to ask for.
    pub fn new(wished: Duration) -> Self {
        Self {
            wished,
            min_expires: Duration::ZERO,
            targets: Targets::default(),
            phase: Phase::Idle,
            binding: None,
            probe: None,
            backoff: Backoff::default(),
            hold: Duration::ZERO,
            cseq: 0,
            last_begun: None,
            service_route: Vec::new(),
            commands: VecDeque::new(),
        }
    }

    /// Registers, and keeps on doing so. The first REGISTER has its place in the pace of all
    /// trunks; without targets they are asked for.
    pub fn start(&mut self, now: Instant) {
        if !self.is_idle() {
            return;
        }
        let mut until = self.spaced(now);
        if self.targets.is_empty() {
            self.commands.push_back(Command::Resolve);
            until += RESOLVING_LIMIT;
        }
        self.phase = Phase::Waiting { until };
    }

    /// Takes the targets that a name resolved to, or that the settings fix. An empty list changes
    /// nothing: an outage of the name service must not take a binding away.
    pub fn set_targets(&mut self, now: Instant, targets: Vec<Target>) {
        if targets.is_empty() {
            return;
        }
        let had_none = self.targets.is_empty();
        self.targets.replace(targets);
        let in_use = match &self.phase {
            Phase::Asking(attempt) => Some(attempt.target.address),
            _ => self.binding.as_ref().map(|binding| binding.target.address),
        };
        let gone = in_use.is_some_and(|address| !self.targets.holds(address));
        if gone {
            self.binding = None;
            if let Phase::Asking(_) = self.phase {
                self.phase = Phase::Waiting { until: self.spaced(now) };
            }
        }
        if gone || had_none {
            self.register_soon(now);
        }
    }

    /// Takes another wished lifetime, for the next REGISTER on.
    pub fn set_wished(&mut self, wished: Duration) {
        self.wished = wished;
    }

    /// Registers at once, because an operator asks for it, our Contact changed, or the connection
    /// that the registrar knows is gone.
    pub fn register_soon(&mut self, now: Instant) {
        let earliest = self.spaced(now);
        match &mut self.phase {
            Phase::Waiting { until } => *until = earliest.min(*until),
            Phase::Asking(attempt) => attempt.outdated = true,
            Phase::Idle | Phase::Queued { .. } | Phase::Removing { .. } => {}
        }
    }

    /// A call was refused with 403, 404 or 481: perhaps the registrar has forgotten us.
    pub fn call_refused(&mut self, now: Instant, rng: &mut ChaCha20Rng) {
        let Some(binding) = &self.binding else { return };
        let doubted = now.saturating_duration_since(binding.confirmed) >= TRUSTED_FOR;
        if let Phase::Waiting { until } = &mut self.phase
            && doubted
        {
            *until = (*until).min(now + uniform(rng, Duration::ZERO, MIN_SPACING));
        }
    }

    /// The network refused a packet to `address` that was no REGISTER of ours.
    pub fn unreachable(&mut self, now: Instant, address: SocketAddr) {
        if self.binding.as_ref().is_some_and(|binding| binding.target.address == address) {
            self.register_soon(now);
        }
    }

    /// An OPTIONS to a silent target was answered.
    pub fn ping_answered(&mut self, now: Instant, rng: &mut ChaCha20Rng, address: SocketAddr) {
        let Some(probe) = &mut self.probe else { return };
        let was_silent = self.targets.silent().any(|target| target.address == address);
        if !was_silent || !probe.answered(now) {
            return;
        }
        self.targets.mark(address, false);
        // With the second between two OPTIONS, within the two that a trunk may take to be back.
        let soon = self.spaced(now).max(now + uniform(rng, Duration::ZERO, MIN_SPACING / 2));
        match self.phase {
            Phase::Idle | Phase::Removing { .. } => {}
            // The REGISTER under way found silence too, or its next repeat is far off.
            Phase::Waiting { .. } | Phase::Queued { .. } | Phase::Asking(_) => {
                self.targets.choose(address);
                self.targets.start_round();
                self.phase = Phase::Waiting { until: soon };
            }
        }
    }

    /// Removes our binding, which takes 2 s at most; then the state is `Unregistered`.
    pub fn unregister(&mut self, now: Instant, rng: &mut ChaCha20Rng, trunk: &mut Registrant<'_>) {
        let target = match (&self.phase, self.binding.take()) {
            (Phase::Idle | Phase::Removing { .. }, _) => return,
            (_, Some(binding)) => binding.target,
            // The REGISTER under way may arrive still.
            (Phase::Asking(attempt), None) => attempt.target.clone(),
            (Phase::Waiting { .. } | Phase::Queued { .. }, None) => return self.removed(),
        };
        self.probe = None;
        let attempt = self.send(now, rng, trunk, target, 0);
        self.phase = Phase::Removing { attempt, until: now + REMOVAL_LIMIT };
    }

    /// Does what is due. Call it after every other input too, when [`Registration::poll_timeout`]
    /// is not in the future.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        rng: &mut ChaCha20Rng,
        trunk: &mut Registrant<'_>,
    ) {
        if self.binding.as_ref().is_some_and(|binding| binding.expires <= now) {
            self.binding = None;
            self.tell(RegistrationState::Registering);
        }
        if let Some(probe) = &mut self.probe
            && probe.is_due(now)
        {
            let pings =
                self.targets.silent().map(|target| Command::Ping { target: target.clone() });
            self.commands.extend(pings);
        }
        match &mut self.phase {
            Phase::Idle => {}
            Phase::Waiting { until } if *until <= now => {
                let place = trunk.pace.place(now);
                self.phase = Phase::Queued { place };
                self.begin_if_due(now, rng, trunk);
            }
            Phase::Waiting { .. } => {}
            Phase::Queued { .. } => self.begin_if_due(now, rng, trunk),
            Phase::Asking(attempt) => {
                if attempt.silent_at.take_if(|at| *at <= now).is_some() {
                    let address = attempt.target.address;
                    self.fell_silent(now, address);
                }
            }
            Phase::Removing { until, .. } if *until <= now => self.removed(),
            Phase::Removing { .. } => {}
        }
    }

    /// The next thing to do.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// When [`Registration::handle_timeout`] is wanted.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let phase = match &self.phase {
            Phase::Idle => None,
            Phase::Waiting { until } | Phase::Removing { until, .. } => Some(*until),
            Phase::Queued { place } => Some(*place),
            Phase::Asking(attempt) => attempt.silent_at,
        };
        let binding = self.binding.as_ref().map(|binding| binding.expires);
        let probe = self.probe.as_ref().map(Probe::deadline);
        [phase, binding, probe].into_iter().flatten().min()
    }

    /// The target that holds our binding: calls and texts go there.
    pub fn bound_to(&self) -> Option<&Target> {
        self.binding.as_ref().map(|binding| &binding.target)
    }

    /// The values of the Route of calls and texts (RFC 3608).
    pub fn service_route(&self) -> &[Box<[u8]>] {
        &self.service_route
    }

    /// What the REGISTER of the last [`Command::Register`] carries; `None` when it is over.
    pub fn credentials(&self) -> Option<&Credentials> {
        match &self.phase {
            Phase::Asking(attempt) | Phase::Removing { attempt, .. } => Some(&attempt.credentials),
            Phase::Idle | Phase::Waiting { .. } | Phase::Queued { .. } => None,
        }
    }

    /// Whether nothing is bound, sent or waited for.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    fn begin_if_due(&mut self, now: Instant, rng: &mut ChaCha20Rng, trunk: &mut Registrant<'_>) {
        let Phase::Queued { place } = &mut self.phase else { return };
        if *place > now {
            return;
        }
        if let Err(later) = trunk.pace.leave(now) {
            *place = later;
            return;
        }
        let Some(target) = self.targets.current().cloned() else {
            return self.round_over(now, rng, Cause::Trouble, None);
        };
        if self.binding.is_none() {
            self.tell(RegistrationState::Registering);
        }
        self.last_begun = Some(now);
        let expires_s = seconds(self.asked());
        let attempt = self.send(now, rng, trunk, target, expires_s);
        self.phase = Phase::Asking(attempt);
    }

    /// Asks for the first REGISTER of an attempt.
    fn send(
        &mut self,
        now: Instant,
        rng: &mut ChaCha20Rng,
        trunk: &mut Registrant<'_>,
        target: Target,
        expires_s: u32,
    ) -> Attempt {
        let mut credentials = Credentials::default();
        let request = trunk.auth_request();
        trunk.auth.foresee(rng, request, &mut credentials);
        self.push_register(&target, expires_s);
        Attempt {
            target,
            credentials,
            expires_s,
            sent: now,
            silent_at: Some(now + SILENT_AFTER),
            lengthened: false,
            outdated: false,
        }
    }

    fn push_register(&mut self, target: &Target, expires_s: u32) {
        self.cseq += 1;
        let register = Register { target: target.clone(), cseq: self.cseq, expires_s };
        self.commands.push_back(Command::Register(register));
    }

    fn fell_silent(&mut self, now: Instant, address: SocketAddr) {
        self.targets.mark(address, true);
        self.probe.get_or_insert_with(|| Probe::start(now));
    }

    /// Every target failed: waits as long as the cause and Retry-After want.
    fn round_over(
        &mut self,
        now: Instant,
        rng: &mut ChaCha20Rng,
        cause: Cause,
        status: Option<u16>,
    ) {
        let retry_in = self.backoff.next(rng, cause).max(std::mem::take(&mut self.hold));
        self.phase = Phase::Waiting { until: self.spaced(now).max(now + retry_in) };
        self.targets.start_round();
        self.commands.push_back(Command::Resolve);
        self.tell(match (cause, status) {
            (Cause::Credentials, _) => RegistrationState::AuthFailed { retry_in },
            (Cause::Refusal, Some(403)) => RegistrationState::Rejected { retry_in },
            (Cause::Refusal | Cause::Trouble, status) => {
                RegistrationState::Failed { status, retry_in }
            }
        });
    }

    fn removed(&mut self) {
        self.phase = Phase::Idle;
        self.probe = None;
        self.service_route.clear();
        self.tell(RegistrationState::Unregistered);
    }

    fn tell(&mut self, state: RegistrationState) {
        self.commands.push_back(Command::Tell(state));
    }

    /// The earliest time from `now` on that keeps the distance to the last attempt.
    fn spaced(&self, now: Instant) -> Instant {
        self.last_begun.map_or(now, |last| now.max(last + MIN_SPACING))
    }

    fn asked(&self) -> Duration {
        self.wished.max(self.min_expires)
    }
}

impl<'a> Registrant<'a> {
    fn auth_request(&self) -> AuthRequest<'a> {
        AuthRequest { method: "REGISTER", uri: self.request_uri, in_dialog: false }
    }
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}
