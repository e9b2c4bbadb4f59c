//! OPTIONS to the targets of a trunk, and what their answers say of a static one.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::wire::Wire;
use crate::identity::Branch;
use crate::message::{AddressValue, HeaderName, Method, WriteFault, Writer};
use crate::request::{Progress, Request};
use crate::timer::earlier;
use crate::transport::Remote;
use crate::user_agent::common::{Common, Owner};

const MAX_FORWARDS: u32 = 70;
/// Misses in a row that make a static trunk's target dead.
const MISSES: u8 = 3;
/// Answers in a row that make it alive again.
const ANSWERS: u8 = 2;

/// OPTIONS that wait for their answer, one for each target at most: one that is sent again takes
/// the place of the one before.
#[derive(Debug, Default)]
pub(crate) struct Pings {
    list: Vec<Request>,
}

impl Pings {
    /// Sends an OPTIONS.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        common: &mut Common,
        (trunk, wire): (u32, &Wire),
        remote: Remote,
    ) {
        self.forget(common, remote.address);
        let branch = common.random_branch();
        let (tag, call_id) = (common.random_tag().text(), common.random_call_id().text());
        let owner = (Owner::Trunk(trunk), trunk);
        let ping = Request::send(now, common, owner, (branch, remote), |out| {
            write(out, wire, branch, (&tag, &call_id))
        });
        self.list.extend(ping);
    }

    /// A response to an OPTIONS came. Returns who answered, when it is a final answer.
    pub(crate) fn handle_response(
        &mut self,
        now: Instant,
        common: &mut Common,
        (branch, status): (Branch, u16),
    ) -> Option<SocketAddr> {
        let at = self.list.iter().position(|ping| ping.branch() == branch)?;
        let progress = self.list[at].handle_response(now, common, status);
        let is_news = progress == Progress::Response && status >= 200;
        is_news.then(|| self.list[at].remote().address)
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant, common: &mut Common) {
        for ping in &mut self.list {
            let _: Progress = ping.handle_timeout(now, common);
        }
        for ping in self.list.extract_if(.., |ping| ping.is_over()) {
            ping.drop_transaction(common);
        }
    }

    /// The network refused what went to `remote`.
    pub(crate) fn handle_transport_error(&mut self, common: &mut Common, remote: &Remote) {
        self.forget(common, remote.address);
    }

    /// The earliest timer.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.list.iter().fold(None, |first, ping| earlier(first, ping.deadline()))
    }

    /// Forgets all of them.
    pub(crate) fn drop_transactions(&mut self, common: &mut Common) {
        for ping in self.list.drain(..) {
            ping.drop_transaction(common);
        }
    }

    fn forget(&mut self, common: &mut Common, address: SocketAddr) {
        for ping in self.list.extract_if(.., |ping| ping.remote().address == address) {
            ping.drop_transaction(common);
        }
    }
}

fn write(
    out: &mut Vec<u8>,
    wire: &Wire,
    branch: Branch,
    (tag, call_id): (&[u8], &[u8]),
) -> Result<(), WriteFault> {
    let mut writer = Writer::request(out, Method::Options, wire.domain_uri());
    wire.write_via(&mut writer, wire.transport, &branch.text());
    writer.number(HeaderName::MaxForwards, MAX_FORWARDS);
    writer.address(HeaderName::From, AddressValue { tag: Some(tag), ..wire.own_uri().into() });
    writer.address(HeaderName::To, wire.domain_uri());
    writer.call_id(call_id);
    writer.cseq(1, Method::Options);
    wire.write_contact(&mut writer);
    wire.write_product(&mut writer);
    writer.finish()
}

/// What the OPTIONS of a static trunk say of the target in use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Liveness {
    interval: Duration,
    next: Instant,
    /// Whether the last OPTIONS was answered as the living do.
    answered: bool,
    state: Health,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Alive { misses: u8 },
    Dead { answers: u8 },
}

/// What became of the target in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It died: the next one is to be used.
    Died,
    /// It lives again.
    Revived,
}

impl Liveness {
    pub(crate) fn start(now: Instant, interval: Duration) -> Self {
        // The first OPTIONS has none before it that could have been missed.
        Self { interval, next: now, answered: true, state: Health::Alive { misses: 0 } }
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.next
    }

    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.state, Health::Alive { .. })
    }

    /// An OPTIONS is due: the one before was answered or missed. The caller sends the next.
    pub(crate) fn round(&mut self, now: Instant) -> Option<Turn> {
        self.next = now + self.interval;
        if std::mem::take(&mut self.answered) {
            return None;
        }
        match &mut self.state {
            Health::Alive { misses } if *misses + 1 < MISSES => {
                *misses += 1;
                None
            }
            Health::Alive { .. } => {
                self.state = Health::Dead { answers: 0 };
                Some(Turn::Died)
            }
            // Another target may live.
            Health::Dead { answers } => {
                *answers = 0;
                Some(Turn::Died)
            }
        }
    }

    /// The target answered with this final status. 408 and 503 say that nobody is at home.
    pub(crate) fn answered(&mut self, status: u16) -> Option<Turn> {
        if matches!(status, 408 | 503) {
            return None;
        }
        self.answered = true;
        match &mut self.state {
            Health::Alive { misses } => {
                *misses = 0;
                None
            }
            Health::Dead { answers } if *answers + 1 < ANSWERS => {
                *answers += 1;
                None
            }
            Health::Dead { .. } => {
                self.state = Health::Alive { misses: 0 };
                Some(Turn::Revived)
            }
        }
    }
}
