//! One batch: what it has to read, what the requests come to, what it writes.
//!
//! Nothing here touches a database: the same code runs between the reads and the writes of both.

mod directory;
mod plan;

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Timestamp;
use crate::ids::{MessageId, RedirectId, UserId, VerificationId};
use crate::secrets::Keys;
use crate::store::inbound::InboundPart;
use crate::store::message::Message;
use crate::store::redirect::Redirect;
use crate::store::request::Request;
use crate::store::retention::Chore;
use crate::store::row::{
    ApiKeyRow, AuditRow, CallChange, CallRow, DeliveryChangeRow, DeliveryRow, DisabledRow,
    IdempotencyRow, InboundPartRow, LetterEndRow, LetterRow, LimitRow, MessageChangeRow,
    MessageRow, OpenRow, RedirectRow, SignInEndRow, SignInRow, StepRow, SubmittedRow, TailRow,
    UnallocatedRow, UserRow, VerificationChange, VerificationRow,
};
use crate::store::sql_types::Key;
use crate::verification::model::Verification;

pub(crate) use plan::{Plan, unseal_response};

/// What a batch has to read, each key once and in order: rows are locked in this order.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    pub(crate) verifications: BTreeSet<VerificationId>,
    /// Numbers whose open verifications count.
    pub(crate) open: BTreeSet<Key>,
    pub(crate) idempotency: BTreeSet<Key>,
    pub(crate) limits: BTreeSet<Key>,
    /// Numbers whose shown tails are asked for.
    pub(crate) tails: BTreeSet<Key>,
    pub(crate) messages: BTreeSet<MessageId>,
    /// Phones whose redirects are asked for.
    pub(crate) redirects: BTreeSet<Key>,
    /// Texts from outside whose parts are asked for.
    pub(crate) inbound: BTreeSet<Key>,
    pub(crate) api_keys: BTreeSet<String>,
    pub(crate) users: BTreeSet<UserId>,
    /// Identifiers whose users are asked for.
    pub(crate) user_keys: BTreeSet<Key>,
}

impl Needs {
    pub(crate) fn of(keys: &Keys, requests: &[Request]) -> Self {
        let mut needs = Self::default();
        for request in requests {
            needs.add(keys, request);
        }
        needs
    }

    fn add(&mut self, keys: &Keys, request: &Request) {
        match request {
            Request::Create(task) => {
                self.open.insert(task.ask.to);
                self.limits.extend(&task.ask.limits);
                self.tails.insert(task.ask.to);
                self.idempotency.extend(task.ask.idempotency.map(|hashes| hashes.key));
            }
            Request::Apply(task) => {
                self.verifications.insert(task.ask.verification_id());
                self.limits.extend(&task.ask.limits);
                self.idempotency.extend(task.ask.idempotency.map(|hashes| hashes.key));
            }
            Request::CreateMessage(task) => {
                self.limits.extend(&task.ask.limits);
                self.idempotency.extend(task.ask.idempotency.map(|hashes| hashes.key));
            }
            Request::ChangeMessage(task) => {
                self.messages.insert(task.ask.message_id);
            }
            Request::ChangePart(task) => {
                self.messages.insert(task.ask.message_id);
            }
            Request::ReceivePart(task) => {
                self.inbound.insert(task.ask.group);
            }
            Request::SettleParts(task) => {
                self.inbound.insert(task.ask.group);
            }
            Request::RevokeApiKey(task) => {
                self.api_keys.insert(task.ask.0.as_str().to_owned());
            }
            Request::TouchApiKey(task) => {
                self.api_keys.insert(task.ask.0.as_str().to_owned());
            }
            Request::PutUsers(task) => {
                self.users.extend(task.ask.put.users.iter().map(|(user, _)| user.user_id));
                self.user_keys.extend(&task.ask.keys);
            }
            Request::DeleteUser(task) => {
                self.users.insert(task.ask.1);
            }
            Request::PutRedirect(task) => {
                self.redirects.insert(task.ask.redirect.own_key(keys));
            }
            Request::DeleteRedirect(task) => {
                self.redirects.insert(task.ask.key);
            }
            Request::EndLetter(task) => self.messages.extend(task.ask.message_id),
            Request::Take(task) => self.limits.extend(&task.ask.hashes),
            Request::CreateSignIn(_)
            | Request::EndSignIn(_)
            | Request::Unallocated(_)
            | Request::CreateApiKey(_)
            | Request::ChangeDelivery(_)
            | Request::SubmittedCode(_)
            | Request::Tell(_)
            | Request::Chore(_)
            | Request::Ping(_) => {}
        }
    }

    /// Once the open verifications are known: those that a request may end have to be read too.
    pub(crate) fn add_open(&mut self, now: Timestamp, requests: &[Request], open: &[OpenRow]) {
        for request in requests {
            let Request::Create(task) = request else { continue };
            let ended = open.iter().filter(|row| {
                Group::of_ask(&task.ask).holds(row)
                    && (row.expires_at <= now || row.session_is(task.ask.session()))
            });
            self.verifications.extend(ended.map(|row| row.verification_id));
        }
    }
}

/// Whose open verifications are counted together.
#[derive(Clone, Copy, Debug)]
struct Group<'a> {
    account: &'a str,
    live: bool,
    to: Key,
    purpose: &'a str,
}

impl<'a> Group<'a> {
    fn of_ask(ask: &'a crate::store::request::CreateAsk) -> Self {
        let Verification { account, live, purpose, .. } = &ask.create.verification;
        Self { account, live: *live, to: ask.to, purpose }
    }

    fn holds(self, row: &OpenRow) -> bool {
        row.to_hmac == self.to
            && row.account == self.account
            && row.live == self.live
            && row.purpose == self.purpose
    }
}

impl OpenRow {
    /// A client without a session is nobody's.
    fn session_is(&self, session: Option<&str>) -> bool {
        session.is_some() && self.session.as_deref() == session
    }
}

impl crate::store::request::CreateAsk {
    fn session(&self) -> Option<&str> {
        self.create.verification.client.session.as_deref()
    }
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) verifications: Vec<Verification>,
    pub(crate) open: Vec<OpenRow>,
    pub(crate) idempotency: Vec<IdempotencyRow>,
    pub(crate) limits: Vec<LimitRow>,
    pub(crate) tails: Vec<TailRow>,
    pub(crate) messages: Vec<Message>,
    pub(crate) inbound: Vec<InboundPart>,
    pub(crate) redirects: Vec<Redirect>,
    pub(crate) api_keys: Vec<ApiKeyRow>,
    pub(crate) users: Vec<UserRow>,
}

/// What is written: each row once.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    pub(crate) open_gone: Vec<VerificationId>,
    pub(crate) new_verifications: Vec<VerificationRow>,
    pub(crate) changed_verifications: Vec<VerificationChange>,
    pub(crate) steps: Vec<StepRow>,
    pub(crate) new_calls: Vec<CallRow>,
    pub(crate) changed_calls: Vec<CallChange>,
    pub(crate) open_new: Vec<OpenRow>,
    pub(crate) idempotency: Vec<IdempotencyRow>,
    /// Inserted plainly: where another writer was quicker, the batch reads again and runs again.
    pub(crate) new_limits: Vec<LimitRow>,
    pub(crate) limits: Vec<LimitRow>,
    /// Inserted plainly, as above.
    pub(crate) new_tails: Vec<TailRow>,
    pub(crate) tails: Vec<TailRow>,
    pub(crate) unallocated: Vec<UnallocatedRow>,
    pub(crate) new_messages: Vec<MessageRow>,
    pub(crate) changed_messages: Vec<MessageChangeRow>,
    pub(crate) submitted: Vec<SubmittedRow>,
    pub(crate) inbound_parts: Vec<InboundPartRow>,
    pub(crate) deliveries: Vec<DeliveryRow>,
    pub(crate) changed_deliveries: Vec<DeliveryChangeRow>,
    pub(crate) disabled: Vec<DisabledRow>,
    pub(crate) new_api_keys: Vec<ApiKeyRow>,
    pub(crate) api_keys: Vec<ApiKeyRow>,
    pub(crate) users_gone: Vec<UserId>,
    pub(crate) users: Vec<UserRow>,
    pub(crate) sign_ins: Vec<SignInRow>,
    pub(crate) sign_ins_ended: Vec<SignInEndRow>,
    pub(crate) redirects_gone: Vec<RedirectId>,
    pub(crate) redirects: Vec<RedirectRow>,
    pub(crate) letters: Vec<LetterRow>,
    pub(crate) letters_ended: Vec<LetterEndRow>,
    pub(crate) audit: Vec<AuditRow>,
    pub(crate) chore: Option<Chore>,
}

impl Writes {
    /// How many rows it writes, housekeeping apart.
    pub(crate) fn rows(&self) -> usize {
        self.open_gone.len()
            + self.new_verifications.len()
            + self.changed_verifications.len()
            + self.steps.len()
            + self.new_calls.len()
            + self.changed_calls.len()
            + self.open_new.len()
            + self.idempotency.len()
            + self.new_limits.len()
            + self.limits.len()
            + self.new_tails.len()
            + self.tails.len()
            + self.unallocated.len()
            + self.new_messages.len()
            + self.changed_messages.len()
            + self.submitted.len()
            + self.inbound_parts.len()
            + self.deliveries.len()
            + self.changed_deliveries.len()
            + self.disabled.len()
            + self.new_api_keys.len()
            + self.api_keys.len()
            + self.users_gone.len()
            + self.users.len()
            + self.sign_ins.len()
            + self.sign_ins_ended.len()
            + self.redirects_gone.len()
            + self.redirects.len()
            + self.letters.len()
            + self.letters_ended.len()
            + self.audit.len()
    }
}

/// Versions to tell once the batch is committed, by the row's id: ids of different kinds never
/// meet.
pub(crate) type Changes = BTreeMap<u128, u32>;

/// What a batch came to.
#[derive(Debug)]
pub(crate) struct Committed {
    pub(crate) changes: Changes,
    /// How many rows were written.
    pub(crate) rows: usize,
    /// Whether events for webhooks are among them.
    pub(crate) announced: bool,
}
