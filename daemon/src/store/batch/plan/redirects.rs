//! Redirects in a batch, the letters that they make, and their entries in the audit.

use serde_json::{Map, Value, json};

use super::{Held, Plan};
use crate::ids::{AuditId, RedirectId};
use crate::store::audit::{AuditEntry, AuditKind};
use crate::store::message::{Message, MessageChange, MessageStatus};
use crate::store::redirect::{
    DeleteRedirect, EndLetter, LetterOutcome, PutRedirect, Redirect, RedirectPut, StoredLetter,
    letter_row,
};
use crate::store::row::LetterEndRow;
use crate::verification::model::{Dispatch, Verification};

impl Plan<'_> {
    pub(super) fn put_redirect(&mut self, ask: &PutRedirect) -> RedirectPut {
        let key = ask.redirect.own_key(self.keys);
        let mut redirect = ask.redirect.clone();
        let before = self.redirects.get(&key);
        if let Some(before) = before {
            redirect.redirect_id = before.redirect_id;
            redirect.created_at = before.created_at;
            redirect.version = before.version.saturating_add(1);
        }
        let is_known = before.is_some_and(|before| {
            let same = |it: &Redirect| (it.email.folded(), it.mode);
            before.is_active(self.now) && same(before) == same(&redirect)
        });
        self.redirects.insert(key, redirect.clone());
        self.writes.redirects.retain(|row| row.phone_hmac != key);
        let row = redirect.row(self.keys, self.rng);
        self.writes.redirects.push(row);
        self.audit(AuditKind::RedirectPut, &ask.actor, &redirect);
        let told = (!is_known).then(|| {
            let letter = StoredLetter { redirect_id: redirect.redirect_id, ..ask.letter.clone() };
            self.write_letter(&letter);
            let held = Held { before: None, after: ask.notice.clone() };
            self.messages.insert(ask.notice.message_id, held);
            Box::new((ask.notice.clone(), letter))
        });
        RedirectPut { redirect, told }
    }

    pub(super) fn delete_redirect(&mut self, ask: &DeleteRedirect) -> bool {
        let Some(redirect) = self.redirects.remove(&ask.key) else { return false };
        self.writes.redirects.retain(|row| row.phone_hmac != ask.key);
        self.writes.redirects_gone.push(redirect.redirect_id);
        self.audit(AuditKind::RedirectDeleted, &ask.actor, &redirect);
        true
    }

    /// A text that goes to a mailbox, for itself or beside the phone.
    pub(super) fn redirect_message(&mut self, message: &Message, letter: &StoredLetter) {
        self.write_letter(letter);
        let mut details = Map::new();
        details.insert("message_id".to_owned(), json!(message.message_id.to_string()));
        details.insert("phone".to_owned(), json!(message.to.to_string()));
        details.insert("email".to_owned(), json!(letter.to.to_string()));
        let whose = Whose { account: &message.account, live: message.live };
        self.audit_use(whose, letter.redirect_id, details);
    }

    /// The entries of codes that go to a mailbox: of each text that was added with a redirect.
    pub(super) fn audit_codes(&mut self, before: Option<&Verification>, after: &Verification) {
        let known: Vec<_> =
            before.into_iter().flat_map(redirected).map(|(it, _)| it.dispatch_id).collect();
        let fresh = redirected(after).filter(|(it, _)| !known.contains(&it.dispatch_id));
        for (dispatch, redirect_id) in fresh {
            let mut details = Map::new();
            let id = after.verification_id.to_string();
            details.insert("verification_id".to_owned(), json!(id));
            details.insert("message_id".to_owned(), json!(dispatch.dispatch_id.to_string()));
            details.insert("phone".to_owned(), json!(after.to.to_string()));
            let whose = Whose { account: &after.account, live: after.live };
            self.audit_use(whose, redirect_id, details);
        }
    }

    pub(super) fn end_letter(&mut self, end: &EndLetter) {
        self.writes.letters_ended.push(LetterEndRow {
            letter_id: end.letter_id,
            ended_at: self.now,
            outcome: end.outcome.as_str().to_owned(),
            detail: end.detail.clone(),
        });
        let message = end.message_id.and_then(|id| self.messages.get_mut(&id));
        let Some(held) = message.filter(|held| held.after.status.is_open()) else { return };
        let status = match end.outcome {
            LetterOutcome::Sent => MessageStatus::Redirected,
            LetterOutcome::Rejected => MessageStatus::Rejected,
            // What may have arrived is not called expired.
            LetterOutcome::Expired if held.after.maybe_duplicate => MessageStatus::Unknown,
            LetterOutcome::Expired => MessageStatus::Expired,
        };
        let detail = Some(end.detail.clone());
        let change = MessageChange { status, detail, trunk: None, maybe_duplicate: false };
        held.after.change(self.now, &change);
    }

    fn write_letter(&mut self, letter: &StoredLetter) {
        let row = letter_row(self.keys, self.rng, letter);
        self.writes.letters.push(row);
    }

    /// What somebody did to a redirect.
    fn audit(&mut self, kind: AuditKind, actor: &str, redirect: &Redirect) {
        let whose = Whose { account: &redirect.account, live: redirect.live };
        let actor = Some(actor.to_owned());
        self.write_entry(whose, kind, actor, redirect.redirect_id, details(redirect));
    }

    /// That a text went to a mailbox, by itself.
    fn audit_use(
        &mut self,
        whose: Whose<'_>,
        redirect_id: RedirectId,
        details: Map<String, Value>,
    ) {
        self.write_entry(whose, AuditKind::RedirectUsed, None, redirect_id, details);
    }

    fn write_entry(
        &mut self,
        whose: Whose<'_>,
        kind: AuditKind,
        actor: Option<String>,
        redirect_id: RedirectId,
        details: Map<String, Value>,
    ) {
        let entry = AuditEntry {
            audit_id: AuditId::generate(self.now, self.rng),
            account: whose.account.to_owned(),
            live: whose.live,
            kind,
            actor,
            subject: redirect_id.to_string(),
            details,
            created_at: self.now,
        };
        self.writes.audit.push(entry.row(self.keys, self.rng));
    }
}

/// Whose redirect or text it was.
struct Whose<'a> {
    account: &'a str,
    live: bool,
}

fn redirected(verification: &Verification) -> impl Iterator<Item = (&Dispatch, RedirectId)> {
    let dispatches = verification.steps.iter().flat_map(|step| &step.dispatches);
    dispatches.filter_map(|dispatch| Some((dispatch, dispatch.redirect?)))
}

fn details(redirect: &Redirect) -> Map<String, Value> {
    let value = json!({
        "phone": redirect.phone.to_string(),
        "email": redirect.email.to_string(),
        "mode": redirect.mode.as_str(),
        "override": redirect.is_override,
        "reason": redirect.reason,
        "until": redirect.until.to_string(),
    });
    match value {
        Value::Object(details) => details,
        _ => Map::new(),
    }
}
