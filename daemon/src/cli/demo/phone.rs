//! What the simulator's handsets showed so far.

use std::collections::HashMap;

use crate::carrier::{ReadLetter, Report};

/// One handset that got an INVITE.
#[derive(Clone, Debug)]
pub(super) struct Phone {
    /// Call-ID of its call.
    pub(super) call: String,
    /// What it shows.
    pub(super) caller_id: String,
    /// How the call ended there; `None`: it is up.
    pub(super) ended: Option<Ended>,
    /// What its owner heard, once the far side hung up.
    pub(super) heard: Option<Heard>,
}

/// What was said to who picked up.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    /// RTP packets that came.
    pub(super) packets: u32,
    /// Those that are missing.
    pub(super) lost: u32,
    /// How far a packet was off its pace at most.
    pub(super) jitter_ms: u64,
    /// The digits, a text for each time.
    pub(super) codes: Vec<String>,
}

/// How a call ended at its handset.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    /// Final status of the INVITE.
    pub(super) status: u16,
    /// Whether that was acknowledged.
    pub(super) acknowledged: bool,
    /// How long it rang.
    pub(super) rang_ms: u64,
    /// Whether the INVITE was seen more than once.
    pub(super) repeated: bool,
}

/// Everything the simulator told, by the number that was dialled.
#[derive(Debug, Default)]
pub(super) struct Phones {
    by_number: HashMap<String, Phone>,
    numbers: HashMap<String, String>,
    /// What people who called the gateway were answered, by their number.
    called: HashMap<String, u16>,
    /// The last text that each number got.
    texts: HashMap<String, String>,
    /// The last letter that each mailbox got.
    letters: HashMap<String, ReadLetter>,
    /// Whether a trunk has a binding.
    pub(super) registered: bool,
}

impl Phones {
    /// Takes one line of the simulator.
    pub(super) fn take(&mut self, report: &Report) {
        match report {
            Report::Registered { expires_s, .. } => self.registered = *expires_s > 0,
            Report::Invited { call, called, caller_id, .. } => {
                let (call_id, caller_id) = (call.clone(), caller_id.clone());
                let phone = Phone { call: call_id, caller_id, ended: None, heard: None };
                self.by_number.insert(called.clone(), phone);
                self.numbers.insert(call.clone(), called.clone());
            }
            Report::Ended { call, status, acknowledged, rang_ms, repeated_invites, .. } => {
                let phone =
                    self.numbers.get(call).and_then(|number| self.by_number.get_mut(number));
                if let Some(phone) = phone {
                    phone.ended = Some(Ended {
                        status: *status,
                        acknowledged: *acknowledged,
                        rang_ms: *rang_ms,
                        repeated: *repeated_invites > 0,
                    });
                }
            }
            Report::Heard { call, packets, lost, jitter_ms, codes, .. } => {
                let phone =
                    self.numbers.get(call).and_then(|number| self.by_number.get_mut(number));
                if let Some(phone) = phone {
                    let (packets, lost, jitter_ms) = (*packets, *lost, *jitter_ms);
                    phone.heard = Some(Heard { packets, lost, jitter_ms, codes: codes.clone() });
                }
            }
            Report::Called { from, status, .. } => {
                self.called.insert(from.clone(), *status);
            }
            Report::Text { called, text, .. } => {
                self.texts.insert(called.clone(), text.clone());
            }
            Report::Letter { to, subject, text, .. } => {
                let letter = ReadLetter { subject: subject.clone(), text: text.clone() };
                self.letters.insert(to.clone(), letter);
            }
            Report::Listening { .. }
            | Report::MailListening { .. }
            | Report::Smtp { .. }
            | Report::Message { .. }
            | Report::Ringing { .. }
            | Report::Texted { .. } => {}
        }
    }

    /// The handset of a call.
    pub(super) fn any(&self, call: &str) -> Option<&Phone> {
        self.by_number.get(self.numbers.get(call)?)
    }

    /// What somebody who called the gateway was answered.
    pub(super) fn called(&self, from: &str) -> Option<u16> {
        self.called.get(from).copied()
    }

    /// The last text that a number got.
    pub(super) fn text(&self, number: &str) -> Option<String> {
        self.texts.get(number).cloned()
    }

    /// The last letter that a mailbox got.
    pub(super) fn letter(&self, mailbox: &str) -> Option<ReadLetter> {
        self.letters.get(mailbox).cloned()
    }

    /// The handset of a number.
    pub(super) fn of(&self, number: &str) -> Option<&Phone> {
        self.by_number.get(number)
    }
}
