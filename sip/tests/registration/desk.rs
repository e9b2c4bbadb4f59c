//! A registration with all it needs, and a registrar made of words.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use dozvon_sip::auth::Authenticator;
use dozvon_sip::message::{Framing, Parser};
use dozvon_sip::registration::{Command, Pace, Register, Registrant, Registration};
use dozvon_sip::{RegistrationState, Secret, Target, TrunkSettings, UserPart};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

pub(crate) const REGISTRAR: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 5060);
pub(crate) const SECOND: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 5060);
pub(crate) const CONTACT: &str = "sip:u@198.51.100.7:5060;line=0123456789abcdef";
const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)), 5060);

pub(crate) fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn target(address: SocketAddr) -> Target {
    Target::udp(address)
}

pub(crate) struct Desk {
    pub(crate) now: Instant,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) pace: Pace,
    pub(crate) registration: Registration,
    auth: Authenticator,
    /// What was asked for and not looked at yet.
    pub(crate) registrations: VecDeque<Register>,
    pub(crate) states: VecDeque<RegistrationState>,
    pub(crate) pings: Vec<SocketAddr>,
    pub(crate) resolves: usize,
    pub(crate) cseq: u32,
}

impl Desk {
    pub(crate) fn new(seed: u64) -> Self {
        let user = UserPart::new("u").expect("a letter");
        let mut settings = TrunkSettings::new("north", "carrier.example", user, LOCAL);
        settings.password = Some(Secret::new("opensesame"));
        Self {
            now: epoch(),
            rng: ChaCha20Rng::seed_from_u64(seed),
            pace: Pace::new(40),
            registration: Registration::new(s(600)),
            auth: Authenticator::new(&settings),
            registrations: VecDeque::new(),
            states: VecDeque::new(),
            pings: Vec::new(),
            resolves: 0,
            cseq: 0,
        }
    }

    /// With one target, and its first REGISTER asked for.
    pub(crate) fn started() -> Self {
        Self::started_with(1, &[REGISTRAR])
    }

    pub(crate) fn started_with(seed: u64, targets: &[SocketAddr]) -> Self {
        let mut desk = Self::new(seed);
        let targets = targets.iter().copied().map(target).collect();
        desk.registration.set_targets(desk.now, targets);
        desk.registration.start(desk.now);
        desk.until_register();
        desk
    }

    /// With its first REGISTER answered by a 200 with these header lines.
    pub(crate) fn bound_with(seed: u64, headers: &str) -> Self {
        let mut desk = Self::started_with(seed, &[REGISTRAR]);
        desk.register();
        desk.respond(200, headers);
        desk
    }

    pub(crate) fn bound() -> Self {
        let mut desk = Self::bound_with(1, "Expires: 600\r\n");
        desk.granted();
        desk
    }

    /// The next REGISTER that was asked for.
    pub(crate) fn register(&mut self) -> Register {
        let register = self.registrations.pop_front().expect("a REGISTER was asked for");
        assert!(self.registrations.is_empty(), "one at a time");
        self.cseq = register.cseq;
        register
    }

    pub(crate) fn authorization(&self) -> Option<String> {
        let (_, value) = self.registration.credentials()?.values().next()?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    /// The last state that was told since somebody looked.
    pub(crate) fn told(&mut self) -> Option<RegistrationState> {
        self.states.drain(..).next_back()
    }

    pub(crate) fn granted(&mut self) -> Duration {
        match self.told() {
            Some(RegistrationState::Registered { granted, .. }) => granted,
            other => panic!("not registered: {other:?}"),
        }
    }

    /// How long the last failure is waited out.
    pub(crate) fn retry_in(&mut self) -> Duration {
        match self.told() {
            Some(
                RegistrationState::Failed { retry_in, .. }
                | RegistrationState::Rejected { retry_in }
                | RegistrationState::AuthFailed { retry_in },
            ) => retry_in,
            other => panic!("not failed: {other:?}"),
        }
    }

    pub(crate) fn challenge(&mut self, status: u16, nonce: &str) {
        let name = if status == 401 { "WWW-Authenticate" } else { "Proxy-Authenticate" };
        let value = format!("Digest realm=\"carrier\", nonce=\"{nonce}\", qop=\"auth\"");
        self.respond(status, &format!("{name}: {value}\r\n"));
    }

    pub(crate) fn respond(&mut self, status: u16, headers: &str) {
        let text = format!(
            "SIP/2.0 {status} -\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK1\r\n\
             From: <sip:u@carrier.example>;tag=1\r\nTo: <sip:u@carrier.example>;tag=2\r\n\
             Call-ID: 1\r\nCSeq: {} REGISTER\r\n{headers}Content-Length: 0\r\n\r\n",
            self.cseq
        );
        let mut parser = Parser::new();
        let message = parser.parse(text.as_bytes(), Framing::Datagram).expect("a good response");
        let trunk = &mut registrant(&mut self.auth, &mut self.pace);
        self.registration.handle_response(self.now, &mut self.rng, trunk, &message);
        self.handle_timeout();
    }

    pub(crate) fn no_answer(&mut self) {
        self.registration.handle_no_answer(self.now, &mut self.rng);
        self.handle_timeout();
    }

    pub(crate) fn unregister(&mut self) {
        let trunk = &mut registrant(&mut self.auth, &mut self.pace);
        self.registration.unregister(self.now, &mut self.rng, trunk);
        self.handle_timeout();
    }

    /// Goes to the next deadline.
    pub(crate) fn step(&mut self) {
        let next = self.registration.poll_timeout().expect("something is waited for");
        self.now = self.now.max(next);
        self.handle_timeout();
    }

    /// Lets time pass, doing what is due on the way.
    pub(crate) fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.registration.poll_timeout().is_some_and(|next| next <= end) {
            self.step();
        }
        self.now = end;
    }

    /// Goes on until a REGISTER is asked for, and tells how long that took.
    pub(crate) fn until_register(&mut self) -> Duration {
        let start = self.now;
        self.handle_timeout();
        while self.registrations.is_empty() {
            self.step();
        }
        self.now - start
    }

    fn handle_timeout(&mut self) {
        // More turns than this without a command or a later deadline would be a machine that
        // never rests.
        for _ in 0..8 {
            if self.registration.poll_timeout().is_some_and(|next| next <= self.now) {
                let trunk = &mut registrant(&mut self.auth, &mut self.pace);
                self.registration.handle_timeout(self.now, &mut self.rng, trunk);
            }
            self.collect();
        }
        assert!(self.registration.poll_timeout().is_none_or(|next| next > self.now), "restless");
    }

    pub(crate) fn collect(&mut self) {
        while let Some(command) = self.registration.poll_command() {
            match command {
                Command::Register(register) => {
                    self.registrations.clear();
                    self.registrations.push_back(register);
                }
                Command::Ping { target } => self.pings.push(target.address),
                Command::Resolve => self.resolves += 1,
                Command::Tell(state) => self.states.push_back(state),
            }
        }
    }
}

fn registrant<'a>(auth: &'a mut Authenticator, pace: &'a mut Pace) -> Registrant<'a> {
    Registrant {
        auth,
        pace,
        request_uri: "sip:carrier.example",
        contact_uri: CONTACT,
        contact: LOCAL,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "an `Instant` is made no other way; only differences count"
)]
fn epoch() -> Instant {
    Instant::now()
}
