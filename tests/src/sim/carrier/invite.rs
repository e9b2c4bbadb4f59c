//! The server side of an INVITE: the phone's script, its CANCEL, its repeats.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::packet::Packet;
use super::super::scenario::{OnCancel, Phone};
use super::{Action, Answer, Carrier, Due, T1, T2, TRANSACTION, Verdict, numbered};

/// When the signs of a phone come that only a patient call waits for.
const LATE: Duration = Duration::from_secs(7);

/// One INVITE.
pub(super) struct InviteServer {
    pub(super) call: usize,
    pub(super) call_id: String,
    cseq: u32,
    request: Vec<u8>,
    script: VecDeque<(Duration, Line)>,
    /// The last response, for repeats of the INVITE.
    last: Option<Vec<u8>>,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum Line {
    Say(u16, &'static str),
    SayWith(u16, &'static str, &'static str),
    Refuse(u16, Option<u8>),
}

enum State {
    Open,
    /// A failure, repeated until its ACK.
    Failed {
        acknowledged: bool,
    },
    /// 2xx, each repeated until its ACK; by place.
    Accepted(Vec<(String, Vec<u8>)>),
}

impl Carrier {
    pub(super) fn invite(&mut self, packet: &Packet<'_>, bytes: &[u8]) {
        if let Some(&server) = self.branches.get(packet.branch()) {
            if let Some(last) = self.servers[server].last.clone() {
                self.send(last);
            }
            return;
        }
        let Some(call) = numbered(packet).filter(|at| *at < self.scenario.calls.len()) else {
            self.complaints.push(format!("an INVITE for nobody: {}", packet.request_uri()));
            return;
        };
        let server = self.servers.len();
        self.branches.insert(packet.branch().to_owned(), server);
        self.servers.push(InviteServer {
            call,
            call_id: packet.call_id().to_owned(),
            cseq: packet.cseq().0,
            request: bytes.to_vec(),
            script: VecDeque::new(),
            last: None,
            state: State::Open,
        });
        let phone = self.scenario.calls[call].phone;
        let verdict = match phone {
            Phone::NeverSatisfied => self.gatekeeper.refuse(self.now),
            _ => self.gatekeeper.judge(self.now, packet),
        };
        match verdict {
            Verdict::Pass => {}
            Verdict::Refuse(status, lines) => return self.fail(server, status, &lines),
            Verdict::Complain(what) => self.complaints.push(what),
        }
        self.truths[call].accepted += 1;
        self.servers[server].script = self.script_of(call);
        let expires: u64 = packet.header("Expires").parse().unwrap_or(180);
        self.wait(Duration::from_secs(expires), server, Due::Expires);
        self.next_line(server);
    }

    fn script_of(&self, call: usize) -> VecDeque<(Duration, Line)> {
        let plan = &self.scenario.calls[call];
        let (first, then) =
            (Duration::from_millis(plan.pause_ms.0), Duration::from_millis(plan.pause_ms.1));
        let at_once = Duration::ZERO;
        let trying = (at_once, Line::Say(100, ""));
        let ringing = (first, Line::Say(180, "a"));
        let lines: Vec<(Duration, Line)> = match plan.phone {
            Phone::Rings => vec![trying, ringing],
            Phone::RingsAfterProgress => {
                vec![trying, (first, Line::Say(183, "a")), (first, Line::Say(180, "a"))]
            }
            Phone::RingsThen(200) => vec![trying, ringing, (then, Line::Say(200, "a"))],
            Phone::RingsThen(status) => {
                vec![trying, ringing, (then, Line::Refuse(status, None))]
            }
            Phone::Answers => vec![trying, (first, Line::Say(200, "a"))],
            Phone::Refuses(status, cause) => vec![trying, (first, Line::Refuse(status, cause))],
            Phone::Silent => vec![],
            Phone::TryingOnly | Phone::NeverSatisfied => vec![trying],
            Phone::Diverts => {
                let elsewhere =
                    "Diversion: <sip:+74950000000@carrier.example>;reason=no-answer\r\n";
                vec![
                    trying,
                    (first, Line::Say(181, "a")),
                    (then, Line::SayWith(180, "b", elsewhere)),
                ]
            }
            Phone::Forks { answers } => {
                let mut lines = vec![
                    trying,
                    ringing,
                    (at_once, Line::Say(180, "b")),
                    (then, Line::Say(200, "b")),
                ];
                if answers == 2 {
                    lines.push((Duration::from_millis(80), Line::Say(200, "a")));
                }
                lines
            }
            Phone::RingsLate => vec![(LATE + first, Line::Say(180, "a"))],
            Phone::AnswersLate => vec![(LATE + first, Line::Say(200, "a"))],
        };
        lines.into()
    }

    fn next_line(&mut self, server: usize) {
        if let Some((delay, _)) = self.servers[server].script.front() {
            let delay = *delay;
            self.wait(delay, server, Due::Script);
        }
    }

    pub(super) fn script(&mut self, server: usize) {
        // A CANCEL or Expires ends the script.
        let Some((_, line)) = self.servers[server].script.pop_front() else {
            return;
        };
        match line {
            Line::Say(200, tag) => self.succeed(server, tag),
            Line::Say(status, tag) => self.say(server, status, tag, ""),
            Line::SayWith(status, tag, lines) => self.say(server, status, tag, lines),
            Line::Refuse(status, cause) => {
                let lines = match cause {
                    Some(cause) => format!("Reason: Q.850;cause={cause};text=\"because\"\r\n"),
                    None => String::new(),
                };
                self.fail(server, status, &lines);
            }
        }
        self.next_line(server);
    }

    fn say(&mut self, server: usize, status: u16, tag: &str, lines: &str) {
        let Some(packet) = Packet::read(&self.servers[server].request) else {
            return;
        };
        let bytes = packet.answer(status, tag, lines);
        if status == 180 {
            let truth = &mut self.truths[self.servers[server].call];
            truth.rang = true;
            truth.rings = true;
        }
        self.servers[server].last = Some(bytes.clone());
        self.send(bytes);
    }

    fn fail(&mut self, server: usize, status: u16, lines: &str) {
        self.servers[server].script.clear();
        self.say(server, status, "f", lines);
        self.servers[server].state = State::Failed { acknowledged: false };
        self.truths[self.servers[server].call].rings = false;
        let what = Due::Repeat { success: None, interval: T1, left: TRANSACTION };
        self.wait(T1, server, what);
    }

    fn succeed(&mut self, server: usize, tag: &str) {
        self.say(server, 200, tag, "Contact: <sip:phone@192.0.2.10:5060>\r\n");
        let bytes = self.servers[server].last.clone().unwrap_or_default();
        let truth = &mut self.truths[self.servers[server].call];
        truth.rings = false;
        truth.answers.push(Answer { tag: tag.to_owned(), acknowledged: false, released: false });
        let state = &mut self.servers[server].state;
        if let State::Open = state {
            *state = State::Accepted(Vec::new());
        }
        let State::Accepted(list) = state else { return };
        list.push((tag.to_owned(), bytes));
        let success = Some(list.len() - 1);
        self.wait(T1, server, Due::Repeat { success, interval: T1, left: TRANSACTION });
    }

    pub(super) fn repeat(
        &mut self,
        server: usize,
        success: Option<usize>,
        interval: Duration,
        left: Duration,
    ) {
        let bytes = match (&self.servers[server].state, success) {
            (State::Failed { acknowledged: false }, None) => self.servers[server].last.clone(),
            (State::Accepted(list), Some(at)) => {
                let (tag, bytes) = &list[at];
                let truth = &self.truths[self.servers[server].call];
                let waits = truth.answers.iter().any(|one| one.tag == *tag && !one.acknowledged);
                waits.then(|| bytes.clone())
            }
            _ => None,
        };
        let Some(bytes) = bytes else { return };
        self.send(bytes);
        let left = left.saturating_sub(interval);
        if !left.is_zero() {
            let interval = (interval * 2).min(T2);
            self.wait(interval, server, Due::Repeat { success, interval, left });
        }
    }

    /// Expires has run out, or a CANCEL is obeyed.
    pub(super) fn terminate(&mut self, server: usize) {
        if let State::Open = self.servers[server].state {
            self.fail(server, 487, "");
        }
    }

    pub(super) fn cancel(&mut self, packet: &Packet<'_>) {
        let known = self.branches.get(packet.branch()).copied();
        let Some(server) = known.filter(|&at| {
            let server = &self.servers[at];
            server.call_id == packet.call_id() && server.cseq == packet.cseq().0
        }) else {
            return self.send(packet.answer(481, "u", ""));
        };
        let key = (packet.branch().to_owned(), "CANCEL".to_owned());
        if let Some(reply) = self.replies.get(&key) {
            self.actions.extend(reply.clone().map(Action::Send));
            return;
        }
        let manner = self.scenario.calls[self.servers[server].call].on_cancel;
        let is_open = matches!(self.servers[server].state, State::Open);
        let status = match manner {
            OnCancel::Unknown if is_open => 481,
            _ => 200,
        };
        let reply = packet.answer(status, "f", "");
        self.replies.insert(key, Some(reply.clone()));
        if is_open && manner == OnCancel::TerminatesFirst {
            self.terminate(server);
        }
        self.send(reply);
        if !is_open {
            return;
        }
        self.servers[server].script.clear();
        self.truths[self.servers[server].call].rings = false;
        match manner {
            OnCancel::Terminates => self.terminate(server),
            OnCancel::TerminatesLate => {
                self.wait(Duration::from_secs(3), server, Due::Terminate);
            }
            OnCancel::Answers => self.succeed(server, "c"),
            OnCancel::TerminatesFirst => {}
            // Nothing more is said, not even when Expires has run out.
            OnCancel::Forgets | OnCancel::Unknown => {
                self.servers[server].state = State::Failed { acknowledged: true };
            }
        }
    }

    pub(super) fn ack(&mut self, packet: &Packet<'_>) {
        if let Some(&server) = self.branches.get(packet.branch()) {
            if let State::Failed { acknowledged } = &mut self.servers[server].state {
                *acknowledged = true;
            }
            return;
        }
        for server in &self.servers {
            if server.call_id == packet.call_id() && server.cseq == packet.cseq().0 {
                let answers = &mut self.truths[server.call].answers;
                for answer in answers.iter_mut().filter(|one| one.tag == packet.to_tag()) {
                    answer.acknowledged = true;
                }
            }
        }
    }
}
