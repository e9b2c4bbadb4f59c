//! The requests of a batch, in order of arrival, against what was read.

mod events;
mod inbound;
mod redirects;
mod texts;

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::ChaCha20Rng;

use crate::clock::Timestamp;
use crate::ids::{MessageId, UserId, VerificationId};
use crate::secrets::{Keys, SealedColumn};
use crate::store::StoreError;
use crate::store::batch::{Changes, Group, Loaded, Writes};
use crate::store::convert::{
    Table, call_change, call_row, int, step_row, verification_change, verification_row,
};
use crate::store::idempotency::{Idempotency, StoredResponse};
use crate::store::limit::{Limit, LimitLog, LimitReached};
use crate::store::message::Message;
use crate::store::redirect::Redirect;
use crate::store::request::{
    ApplyAsk, CreateAsk, IdempotencyHashes, Request, shows_tails, tail_hash,
};
use crate::store::row::{ApiKeyRow, IdempotencyRow, LimitRow, OpenRow, TailRow, UserRow};
use crate::store::sql_types::Key;
use crate::store::webhook::{Announcer, News};
use crate::store::write::{Applied, ApplyRefused, CreateRefused, Created};
use crate::verification::machine::{Again, Answer, Input};
use crate::verification::model::{Call, Verification};

const RESPONSE: SealedColumn = SealedColumn("idempotency_key.response");

/// A batch between its reads and its writes.
pub(crate) struct Plan<'a> {
    pub(super) now: Timestamp,
    pub(super) keys: &'a Keys,
    pub(super) rng: &'a mut ChaCha20Rng,
    verifications: BTreeMap<VerificationId, Held<Verification>>,
    messages: BTreeMap<MessageId, Held<Message>>,
    inbound: inbound::Arrivals,
    /// By number, within an account.
    redirects: BTreeMap<Key, Redirect>,
    /// The open verifications of every group that a request concerns.
    open: Vec<OpenRow>,
    idempotency: BTreeMap<Key, KeptResponse>,
    limits: BTreeMap<Key, LimitLog>,
    /// By number and tail.
    tails: BTreeMap<(Key, Key), Timestamp>,
    /// The limits that were read, so they have a row.
    known_limits: BTreeSet<Key>,
    /// The tails that were read.
    known_tails: BTreeSet<(Key, Key)>,
    api_keys: BTreeMap<String, ApiKeyRow>,
    pub(super) users: BTreeMap<UserId, UserRow>,
    news: Vec<News>,
    pub(super) writes: Writes,
    /// Limits and tails that were counted: each is written once.
    counted: BTreeMap<Key, LimitRow>,
    shown: BTreeMap<(Key, Key), Shown>,
}

/// A tail that a number is shown.
enum Shown {
    /// Drawn against the tails that were read: a row of another writer is a conflict.
    Drawn(TailRow),
    /// Whatever row there is, it is written over.
    Again(TailRow),
}

/// A value as it was read (`None`: it is new), and as it stands.
struct Held<T> {
    before: Option<T>,
    after: T,
}

struct KeptResponse {
    request: Key,
    response: StoredResponse,
}

/// What an Idempotency-Key comes to inside the batch.
enum Kept {
    Fresh,
    Replay(StoredResponse),
    OtherRequest,
}

impl<'a> Plan<'a> {
    /// An error: a row that was read is damaged.
    pub(crate) fn new(
        now: Timestamp,
        keys: &'a Keys,
        rng: &'a mut ChaCha20Rng,
        loaded: Loaded,
    ) -> Result<Self, StoreError> {
        let held = |verification: Verification| {
            let before = Some(verification.clone());
            (verification.verification_id, Held { before, after: verification })
        };
        let held_message = |message: Message| {
            (message.message_id, Held { before: Some(message.clone()), after: message })
        };
        let mut idempotency = BTreeMap::new();
        for row in loaded.idempotency {
            let response = unseal_response(keys, &row)?;
            let kept = KeptResponse { request: row.request_hmac, response };
            idempotency.insert(row.key_hmac, kept);
        }
        let mut limits = BTreeMap::new();
        for row in loaded.limits {
            let log = Table("limit_counter").column("log", LimitLog::decode(&row.log))?;
            limits.insert(row.limit_hmac, log);
        }
        let tail = |row: &TailRow| ((row.to_hmac, row.tail_hmac), row.shown_at);
        let tails: BTreeMap<_, _> = loaded.tails.iter().map(tail).collect();
        Ok(Self {
            known_limits: limits.keys().copied().collect(),
            known_tails: tails.keys().copied().collect(),
            now,
            keys,
            rng,
            verifications: loaded.verifications.into_iter().map(held).collect(),
            messages: loaded.messages.into_iter().map(held_message).collect(),
            inbound: inbound::Arrivals::new(loaded.inbound),
            redirects: loaded.redirects.into_iter().map(|it| (it.own_key(keys), it)).collect(),
            open: loaded.open,
            idempotency,
            limits,
            tails,
            api_keys: loaded
                .api_keys
                .into_iter()
                .map(|row| (row.api_key_id.clone(), row))
                .collect(),
            users: loaded.users.into_iter().map(|row| (row.user_id, row)).collect(),
            news: Vec::new(),
            writes: Writes::default(),
            counted: BTreeMap::new(),
            shown: BTreeMap::new(),
        })
    }

    /// Runs the requests in order and sets their answers.
    pub(crate) fn run(&mut self, requests: &mut [Request]) {
        for request in requests {
            match request {
                Request::Create(task) => task.answer = Some(self.create(&task.ask)),
                Request::Apply(task) => task.answer = Some(self.apply(&task.ask)),
                Request::CreateMessage(task) => {
                    task.answer = Some(self.create_message(&task.ask));
                }
                Request::ChangeMessage(task) => {
                    task.answer = Some(self.change_message(&task.ask));
                }
                Request::ChangePart(task) => task.answer = Some(self.change_part(&task.ask)),
                Request::ReceivePart(task) => task.answer = Some(self.receive_part(&task.ask)),
                Request::SettleParts(task) => task.answer = Some(self.settle_parts(task.ask)),
                Request::SubmittedCode(task) => {
                    self.submitted_code(&task.ask);
                    task.answer = Some(());
                }
                Request::Tell(task) => {
                    self.news.push(task.ask.clone());
                    task.answer = Some(());
                }
                Request::PutRedirect(task) => task.answer = Some(self.put_redirect(&task.ask)),
                Request::DeleteRedirect(task) => {
                    task.answer = Some(self.delete_redirect(&task.ask));
                }
                Request::EndLetter(task) => {
                    self.end_letter(&task.ask);
                    task.answer = Some(());
                }
                Request::ChangeDelivery(task) => {
                    self.writes.changed_deliveries.push(task.ask.row(self.now));
                    self.writes.disabled.extend(task.ask.disabled(self.keys, self.now));
                    task.answer = Some(());
                }
                Request::Unallocated(task) => {
                    self.writes.unallocated.retain(|row| row.to_hmac != task.ask.to_hmac);
                    self.writes.unallocated.push(task.ask.clone());
                    task.answer = Some(());
                }
                Request::CreateApiKey(task) => {
                    self.writes.new_api_keys.push(task.ask.clone());
                    task.answer = Some(());
                }
                Request::RevokeApiKey(task) => {
                    let (id, at) = &task.ask;
                    task.answer = Some(self.revoke_api_key(id.as_str(), *at));
                }
                Request::TouchApiKey(task) => {
                    let (id, at) = &task.ask;
                    if let Some(row) = self.api_keys.get_mut(id.as_str()) {
                        row.last_used_at = row.last_used_at.max(Some(*at));
                    }
                    task.answer = Some(());
                }
                Request::PutUsers(task) => task.answer = Some(self.put_users(&task.ask)),
                Request::DeleteUser(task) => {
                    let (who, user_id) = &task.ask;
                    task.answer = Some(self.delete_user(who, *user_id));
                }
                Request::CreateSignIn(task) => task.answer = self.create_sign_in(&task.ask),
                Request::EndSignIn(task) => task.answer = self.end_sign_in_as(task.ask),
                Request::Take(task) => task.answer = Some(self.take(&task.ask)),
                // The database says what it did; see the backends.
                Request::Chore(task) => self.writes.chore = Some(task.ask),
                Request::Ping(task) => task.answer = Some(()),
            }
        }
    }

    /// False: there is no such key.
    fn revoke_api_key(&mut self, id: &str, at: Timestamp) -> bool {
        let row = self.api_keys.get_mut(id);
        row.map(|row| row.revoked_at.get_or_insert(at)).is_some()
    }

    /// What has to be written, and the versions to tell afterwards.
    pub(crate) fn finish(mut self, announcer: &Announcer) -> (Writes, Changes) {
        if let Some(announce) = announcer.get() {
            self.announce(&*announce);
        }
        let mut changes = Changes::new();
        for (id, held) in std::mem::take(&mut self.verifications) {
            if self.write_verification(&held) {
                changes.insert(id.0, held.after.version);
            }
        }
        self.write_messages(&mut changes);
        self.write_inbound();
        let known = &self.known_limits;
        for (hash, row) in self.counted {
            let writes = &mut self.writes;
            if known.contains(&hash) { &mut writes.limits } else { &mut writes.new_limits }
                .push(row);
        }
        for (key, shown) in self.shown {
            match shown {
                Shown::Drawn(row) if !self.known_tails.contains(&key) => {
                    self.writes.new_tails.push(row);
                }
                Shown::Drawn(row) | Shown::Again(row) => self.writes.tails.push(row),
            }
        }
        self.writes.api_keys.extend(self.api_keys.into_values());
        (self.writes, changes)
    }

    /// Adds the rows that changed; false: none did.
    fn write_verification(&mut self, held: &Held<Verification>) -> bool {
        let after = &held.after;
        match &held.before {
            None => {
                self.writes.new_verifications.push(verification_row(self.keys, self.rng, after));
            }
            Some(before) if before.version == after.version => return false,
            Some(_) => self.writes.changed_verifications.push(verification_change(after)),
        }
        self.audit_codes(held.before.as_ref(), after);
        for (place, step) in after.steps.iter().enumerate() {
            let before = held.before.as_ref().and_then(|before| before.steps.get(place));
            for (place, call) in step.calls.iter().enumerate() {
                match before.and_then(|before| before.calls.get(place)) {
                    None => {
                        let row = call_row(self.keys, self.rng, after, step, call);
                        self.writes.new_calls.push(row);
                    }
                    Some(before) if before != call => {
                        let change = call_change(self.keys, self.rng, call);
                        self.writes.changed_calls.push(change);
                    }
                    Some(_) => {}
                }
            }
            let row_changed = before.is_none_or(|before| {
                (before.status, &before.detail, before.code)
                    != (step.status, &step.detail, step.code)
                    || before.secret != step.secret
                    || before.awaits != step.awaits
                    || before.dispatches != step.dispatches
            });
            if row_changed {
                self.writes.steps.push(step_row(self.keys, self.rng, after, step));
            }
        }
        true
    }

    fn create(&mut self, ask: &CreateAsk) -> Created {
        let create = &ask.create;
        match self.kept(ask.idempotency) {
            Kept::Fresh => {}
            Kept::Replay(response) => return Created::Replayed(response),
            Kept::OtherRequest => return Created::Refused(CreateRefused::OtherRequest),
        }
        if let Some(reached) = self.reached(&create.limits, &ask.limits) {
            return Created::Refused(CreateRefused::Limit(reached));
        }
        let shown = |&tail: &Key| {
            self.tails.get(&(ask.to, tail)).is_some_and(|&at| at > create.tails_since)
        };
        if ask.tails.iter().any(shown) {
            return Created::Refused(CreateRefused::TailShown);
        }
        self.settle_expired(Group::of_ask(ask));
        let Some((slot, superseded)) = self.find_slot(ask) else {
            return Created::Refused(CreateRefused::TooManyOpen);
        };
        let superseded = superseded.and_then(|id| self.supersede(id));
        let verification = create.verification.clone();
        self.writes.open_new.push(open_row(ask, slot));
        self.open.push(open_row(ask, slot));
        self.count(&create.limits, &ask.limits, false);
        for &tail in &ask.tails {
            let row = self.show_tail(tail, ask.to);
            self.shown.insert((ask.to, tail), Shown::Drawn(row));
        }
        let held = Held { before: None, after: verification.clone() };
        self.verifications.insert(verification.verification_id, held);
        let response = self.keep(ask.idempotency, create.idempotency.as_ref(), &verification);
        Created::Stored {
            verification: Box::new(verification),
            response,
            superseded: superseded.map(Box::new),
        }
    }

    /// Ends those of a group whose time has run out, so that they hold no slot.
    fn settle_expired(&mut self, group: Group<'_>) {
        let now = self.now;
        let gone: Vec<_> = self
            .open
            .iter()
            .filter(|row| group.holds(row) && row.expires_at <= now)
            .map(|row| row.verification_id)
            .collect();
        for id in gone {
            if let Some(held) = self.verifications.get_mut(&id) {
                // Expiry is settled whatever the input; it answers nothing that is asked for.
                let _ = held.after.apply(now, self.keys, &Input::Expire);
            }
            self.close(id);
        }
    }

    /// The lowest free slot, and the verification of the same session that gives up its own.
    fn find_slot(&self, ask: &CreateAsk) -> Option<(i32, Option<VerificationId>)> {
        let group = Group::of_ask(ask);
        let same = |row: &&OpenRow| row.session_is(ask.session());
        let open = self.open.iter().filter(|row| group.holds(row));
        let superseded = open.clone().find(same).map(|row| row.verification_id);
        let taken: Vec<i32> = open.filter(|row| !same(row)).map(|row| row.slot).collect();
        let slot = (0..int(ask.create.max_open)).find(|slot| !taken.contains(slot))?;
        Some((slot, superseded))
    }

    fn supersede(&mut self, id: VerificationId) -> Option<Verification> {
        self.close(id);
        let held = self.verifications.get_mut(&id)?;
        let was_pending = held.after.is_pending();
        // One that ended in the meantime is left as it is.
        let _ = held.after.apply(self.now, self.keys, &Input::Supersede);
        was_pending.then(|| held.after.clone())
    }

    /// A verification is not open any more.
    fn close(&mut self, id: VerificationId) {
        self.open.retain(|row| row.verification_id != id);
        let unwritten = self.writes.open_new.len();
        self.writes.open_new.retain(|row| row.verification_id != id);
        if self.writes.open_new.len() == unwritten && !self.writes.open_gone.contains(&id) {
            self.writes.open_gone.push(id);
        }
    }

    fn apply(&mut self, ask: &ApplyAsk) -> Applied {
        let apply = &ask.apply;
        let id = apply.verification_id;
        let held = self.verifications.get(&id).map(|held| &held.after);
        let Some(before) = held.filter(|held| apply.who.sees(&held.account, held.live)) else {
            return Applied::NotFound;
        };
        let (was_pending, to) = (before.is_pending(), before.number());
        match self.kept(ask.idempotency) {
            Kept::Fresh => {}
            Kept::Replay(response) => return Applied::Replayed(response),
            Kept::OtherRequest => return self.refused(id, ApplyRefused::OtherRequest),
        }
        if let Some(reached) = self.reached(&apply.limits, &ask.limits) {
            return self.refused(id, ApplyRefused::Limit(reached));
        }
        let Some(held) = self.verifications.get_mut(&id) else { return Applied::NotFound };
        let result = held.after.apply(self.now, self.keys, &apply.input);
        let after = held.after.clone();
        if was_pending && !after.is_pending() {
            self.close(id);
            self.end_sign_in(&after);
        }
        let answer = match result {
            Ok(answer) => answer,
            Err(refusal) => return self.refused(id, ApplyRefused::Machine(refusal)),
        };
        let approved = answer == Answer::Checked { valid: true };
        self.count(&apply.limits, &ask.limits, approved);
        if let Some(to) = to.filter(|_| after.steps.last().is_some_and(shows_tails)) {
            for call in placed_by(&apply.input) {
                if let Some(tail) = tail_hash(self.keys, &to, call) {
                    let row = self.show_tail(tail, Key::cut(self.keys.number_hmac(&to)));
                    self.shown.insert((row.to_hmac, tail), Shown::Again(row));
                }
            }
        }
        let rendered = (after, answer);
        let response = self.keep(ask.idempotency, apply.idempotency.as_ref(), &rendered);
        let (after, answer) = rendered;
        Applied::Accepted { verification: Box::new(after), answer, response }
    }

    fn refused(&self, id: VerificationId, refusal: ApplyRefused) -> Applied {
        match self.verifications.get(&id) {
            Some(held) => Applied::Refused { verification: Box::new(held.after.clone()), refusal },
            None => Applied::NotFound,
        }
    }

    fn kept(&self, hashes: Option<IdempotencyHashes>) -> Kept {
        let kept = hashes.and_then(|hashes| Some((hashes, self.idempotency.get(&hashes.key)?)));
        match kept {
            None => Kept::Fresh,
            Some((hashes, kept)) if kept.request == hashes.request => {
                Kept::Replay(kept.response.clone())
            }
            Some(_) => Kept::OtherRequest,
        }
    }

    /// Renders the response and keeps it for repeats of the request.
    fn keep<T>(
        &mut self,
        hashes: Option<IdempotencyHashes>,
        idempotency: Option<&Idempotency<T>>,
        value: &T,
    ) -> Option<StoredResponse> {
        let (hashes, idempotency) = (hashes?, idempotency?);
        let response = (idempotency.render)(value)?;
        let plain = response.to_bytes();
        let row_id = hashes.key.row_id();
        self.writes.idempotency.push(IdempotencyRow {
            key_hmac: hashes.key,
            request_hmac: hashes.request,
            response_sealed: self.keys.seal(self.rng, RESPONSE, row_id, &plain),
            created_at: self.now,
        });
        let kept = KeptResponse { request: hashes.request, response: response.clone() };
        self.idempotency.insert(hashes.key, kept);
        Some(response)
    }

    pub(super) fn reached(&self, limits: &[Limit], hashes: &[Key]) -> Option<LimitReached> {
        Limit::first_reached(self.now, limits, |at| self.limits.get(hashes.get(at)?))
    }

    /// `approved`: by a check that approves, which other limits count than everything else.
    pub(super) fn count(&mut self, limits: &[Limit], hashes: &[Key], approved: bool) {
        let counted = limits.iter().zip(hashes);
        for (limit, &hash) in counted.filter(|(limit, _)| limit.limit_use.counts(approved)) {
            let log = self.limits.entry(hash).or_default();
            log.count(self.now, limit);
            let row = LimitRow {
                limit_hmac: hash,
                log: log.encode(),
                forgotten_at: log.forgotten_at(limit),
            };
            self.counted.insert(hash, row);
        }
    }

    fn show_tail(&mut self, tail_hmac: Key, to_hmac: Key) -> TailRow {
        let shown_at = self.now;
        self.tails.insert((to_hmac, tail_hmac), shown_at);
        TailRow { tail_hmac, to_hmac, shown_at }
    }
}

/// The calls that an accepted input places.
fn placed_by(input: &Input) -> &[Call] {
    match input {
        Input::Resend { again: Again::Call(call), .. } | Input::NextAttempt { call, .. } => {
            std::slice::from_ref(call)
        }
        Input::NextStep { step, .. } => &step.calls,
        Input::Check(_)
        | Input::Cancel
        | Input::Supersede
        | Input::Progress { .. }
        | Input::Talking { .. }
        | Input::Said { .. }
        | Input::CallEnded { .. }
        | Input::Resend { again: Again::Dispatches(_), .. }
        | Input::Skipped { .. }
        | Input::Sending { .. }
        | Input::Dispatched { .. }
        | Input::Receipt { .. }
        | Input::IncomingCall { .. }
        | Input::NothingLeft
        | Input::Expire => &[],
    }
}

fn open_row(ask: &CreateAsk, slot: i32) -> OpenRow {
    let verification = &ask.create.verification;
    OpenRow {
        verification_id: verification.verification_id,
        account: verification.account.clone(),
        live: verification.live,
        to_hmac: ask.to,
        purpose: verification.purpose.clone(),
        slot,
        session: verification.client.session.clone(),
        expires_at: verification.expires_at,
    }
}

/// Opens a kept response.
pub(crate) fn unseal_response(
    keys: &Keys,
    row: &IdempotencyRow,
) -> Result<StoredResponse, StoreError> {
    let table = Table("idempotency_key");
    let plain = keys.unseal(RESPONSE, row.key_hmac.row_id(), &row.response_sealed);
    table.column("response", plain.ok().and_then(|plain| StoredResponse::from_bytes(&plain)))
}
