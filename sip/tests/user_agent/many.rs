//! A thousand trunks at one registrar, in virtual time.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use dozvon_sip as sip;
use sip::{Event, HostPort, Incoming, RegistrationState, Remote, Target, TrunkHandle, UserAgent};

use crate::bench::{CARRIER, LOCAL, Sent, address, secs, trunk_settings, user_agent_settings};

const TRUNKS: usize = 1_000;
const PER_SECOND: usize = 40;
/// From a request to its answer.
const ROUND_TRIP: Duration = Duration::from_millis(20);

struct Town {
    ua: UserAgent,
    start: Instant,
    now: Instant,
    /// Whether the registrar answers.
    is_up: bool,
    /// Answers on their way.
    answers: VecDeque<(Instant, String)>,
    /// Branches of the REGISTERs that left, and when each left for the first time.
    branches: BTreeSet<String>,
    registers: Vec<Instant>,
    bound: BTreeSet<TrunkHandle>,
}

impl Town {
    fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the origin of virtual time")]
        let now = Instant::now();
        let mut town = Self {
            ua: UserAgent::new(user_agent_settings(), [9; 32]),
            start: now,
            now,
            is_up: true,
            answers: VecDeque::new(),
            branches: BTreeSet::new(),
            registers: Vec::new(),
            bound: BTreeSet::new(),
        };
        for nth in 0..TRUNKS {
            let mut settings = trunk_settings();
            settings.name = format!("trunk-{nth}");
            settings.line = Some(format!("line-token-of-{nth}"));
            settings.registrar = Some(HostPort { host: "sip.example.ru".into(), port: None });
            settings.targets = vec![Target::udp(address(CARRIER))];
            town.ua.add_trunk(now, settings);
        }
        town.drain();
        town
    }

    fn drain(&mut self) {
        let mut out = Vec::new();
        while let Some(transmit) = self.ua.poll_transmit(&mut out) {
            let sent = Sent {
                text: String::from_utf8_lossy(&out).into_owned(),
                to: transmit.remote.address,
                by: transmit.remote.transport,
                at: self.now - self.start,
            };
            // A repeat is no herd: its pace is its transaction's.
            if sent.kind() == "REGISTER" && self.branches.insert(sent.branch().to_owned()) {
                self.registers.push(self.now);
            }
            if self.is_up {
                let contact = sent.find("Contact").unwrap_or("<sip:a@b>");
                let answer = sent.answer(200, "r", &format!("Contact: {contact};expires=600\r\n"));
                self.answers.push_back((self.now + ROUND_TRIP, answer));
            }
        }
        while let Some(event) = self.ua.poll_event() {
            if let Event::Registration { trunk, state } = event {
                match state {
                    RegistrationState::Registered { .. } => self.bound.insert(trunk),
                    _ => self.bound.remove(&trunk),
                };
            }
        }
    }

    /// Goes on to the next thing that happens, at `until` at the latest.
    fn turn(&mut self, until: Instant) {
        let answer = self.answers.front().map(|(at, _)| *at);
        let next = [answer, self.ua.poll_timeout()].into_iter().flatten().min();
        self.now = next.map_or(until, |next| next.min(until));
        if let Some((_, bytes)) = self.answers.pop_front_if(|(at, _)| *at <= self.now) {
            let source = Remote::udp(address(CARRIER));
            let packet = Incoming { source, local: address(LOCAL), bytes: bytes.as_bytes() };
            self.ua.handle_packet(self.now, packet);
        }
        if self.ua.poll_timeout().is_some_and(|at| at <= self.now) {
            self.ua.handle_timeout(self.now);
        }
        self.drain();
    }

    fn run_until(&mut self, second: u64) {
        let until = self.start + secs(second);
        while self.now < until {
            self.turn(until);
        }
    }

    /// How long it takes until every trunk is bound.
    fn all_bound(&mut self) -> Duration {
        let begin = self.now;
        while self.bound.len() < TRUNKS {
            self.turn(begin + secs(600));
            assert!(self.now < begin + secs(600), "{} of {TRUNKS} are bound", self.bound.len());
        }
        self.now - begin
    }

    /// The most REGISTERs that left within any second.
    fn busiest_second(&self) -> usize {
        let times = &self.registers;
        let within = |(nth, start): (usize, &Instant)| {
            times[nth..].iter().take_while(|at| **at < *start + secs(1)).count()
        };
        times.iter().enumerate().map(within).max().unwrap_or_default()
    }
}

#[test]
fn a_registrar_that_restarts_has_a_thousand_trunks_back_within_half_a_minute_and_no_herd() {
    let mut town = Town::new();
    let first = town.all_bound();
    assert!(first < secs(27), "{first:?}");
    town.run_until(470);
    town.is_up = false;
    town.run_until(580);
    assert!(town.bound.len() < TRUNKS / 10, "{} are bound", town.bound.len());
    town.is_up = true;
    let back = town.all_bound();
    println!("FIGURE: 1000 trunks: first {first:.1?}, back {back:.1?} after the restart");
    assert!(back < secs(30), "{back:?}");
    assert_eq!(town.busiest_second(), PER_SECOND, "REGISTERs within a second");
    // A fortieth is left for those which the network brings closer together.
    let mut rows = town.registers.windows(PER_SECOND + 1);
    assert!(rows.all(|row| row[PER_SECOND] - row[0] >= Duration::from_millis(1_025)));
}

#[test]
fn a_loop_that_stood_still_lets_no_herd_go() {
    let mut town = Town::new();
    town.run_until(2);
    // Two seconds without a turn: eighty places have come meanwhile.
    town.now += secs(2);
    town.answers.clear();
    town.ua.handle_timeout(town.now);
    town.drain();
    town.all_bound();
    assert!(town.busiest_second() <= PER_SECOND, "{}", town.busiest_second());
}
