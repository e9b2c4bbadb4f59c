//! Users and sign-ins of a batch.

use crate::ids::{SignInId, UserId};
use crate::store::batch::Plan;
use crate::store::directory::{
    IdentifierKind, PutUsers, SignIn, SignInStatus, User, UserFault, UserFaultCause, UsersPut,
};
use crate::store::limit::LimitReached;
use crate::store::request::{TakeAsk, UserAsk};
use crate::store::row::{SignInEndRow, UserRow};
use crate::store::sql_types::Key;
use crate::store::view::Who;
use crate::verification::model::{Verification, VerificationStatus};

impl Plan<'_> {
    /// Every fault is told; with one, nothing is stored.
    pub(super) fn put_users(&mut self, ask: &UserAsk) -> UsersPut {
        let PutUsers { account, live, users } = &ask.put;
        let mut faults = Vec::new();
        let mut taken: Vec<(Key, usize)> = Vec::new();
        let changed: Vec<UserId> = users.iter().map(|(user, _)| user.user_id).collect();
        for (at, (user, version)) in users.iter().enumerate() {
            let mut fault = |cause| faults.push(UserFault { at, cause });
            let present = self.users.get(&user.user_id);
            let present = present.filter(|row| row.account == *account && row.live == *live);
            match (present, version) {
                (None, 0) => {}
                (None, _) => fault(UserFaultCause::Gone),
                (Some(row), &version) if i64::from(row.version) == i64::from(version) => {}
                (Some(_), _) => fault(UserFaultCause::Changed),
            }
            for (kind, key) in keys_of(self.keys, user) {
                let stands = |row: &&UserRow| has_key(row, kind, key);
                // One that this very request changes gives its identifiers up, or clashes below.
                let other = self.users.values().filter(|row| !changed.contains(&row.user_id));
                let twice = taken.iter().any(|(earlier, _)| *earlier == key);
                if twice || other.clone().any(|row| stands(&row)) {
                    fault(UserFaultCause::Taken(kind));
                }
                taken.push((key, at));
            }
        }
        if !faults.is_empty() {
            return UsersPut::Refused(faults);
        }
        for (user, _) in users {
            let row = user.to_row(self.keys, self.rng);
            self.users.insert(user.user_id, row.clone());
            self.writes.users.retain(|earlier| earlier.user_id != row.user_id);
            self.writes.users.push(row);
        }
        UsersPut::Stored
    }

    /// False: there is none with this id, or it is another account's.
    pub(super) fn delete_user(&mut self, who: &Who, user_id: UserId) -> bool {
        let sees = |row: &UserRow| who.sees(&row.account, row.live);
        if !self.users.get(&user_id).is_some_and(sees) {
            return false;
        }
        self.users.remove(&user_id);
        self.writes.users.retain(|row| row.user_id != user_id);
        self.writes.users_gone.push(user_id);
        true
    }

    /// Takes from limits, all or none; the one that has no room.
    pub(super) fn take(&mut self, ask: &TakeAsk) -> Option<LimitReached> {
        let reached = self.reached(&ask.limits, &ask.hashes);
        if reached.is_none() {
            self.count(&ask.limits, &ask.hashes, false);
        }
        reached
    }

    /// A sign-in begins.
    pub(super) fn create_sign_in(&mut self, sign_in: &SignIn) -> Option<()> {
        let row = sign_in.to_row(self.keys, self.rng);
        self.writes.sign_ins.push(row);
        Some(())
    }

    /// A sign-in that is open ends without a verification.
    pub(super) fn end_sign_in_as(
        &mut self,
        (sign_in_id, status): (SignInId, SignInStatus),
    ) -> Option<()> {
        self.writes.sign_ins_ended.push(SignInEndRow {
            sign_in_id,
            status: status.as_str().to_owned(),
            ended_at: self.now,
            verification_id: None,
        });
        Some(())
    }

    /// The sign-in that a verification was made for ends with it, in the same transaction. A
    /// reset's waits for the new password that its proof allows.
    pub(super) fn end_sign_in(&mut self, verification: &Verification) {
        let Some(sign_in_id) = verification.sign_in_id else { return };
        let is_reset = verification.purpose == config::PASSWORD_RESET;
        let status = match verification.status {
            VerificationStatus::Approved if is_reset => return,
            VerificationStatus::Approved => SignInStatus::Completed,
            VerificationStatus::Locked => SignInStatus::Failed,
            // Another channel may still complete it.
            _ => return,
        };
        self.writes.sign_ins_ended.push(SignInEndRow {
            sign_in_id,
            status: status.as_str().to_owned(),
            ended_at: self.now,
            verification_id: Some(verification.verification_id),
        });
    }
}

fn keys_of(
    keys: &crate::secrets::Keys,
    user: &User,
) -> impl Iterator<Item = (IdentifierKind, Key)> {
    let identifiers: Vec<_> = user.identifiers().collect();
    let key = |(kind, identifier): (IdentifierKind, crate::store::directory::Identifier)| {
        (kind, identifier.key(keys, &user.account, user.live))
    };
    identifiers.into_iter().map(key).collect::<Vec<_>>().into_iter()
}

fn has_key(row: &UserRow, kind: IdentifierKind, key: Key) -> bool {
    let column = match kind {
        IdentifierKind::Phone => row.phone_hmac,
        IdentifierKind::Email => row.email_hmac,
        IdentifierKind::Login => row.login_hmac,
    };
    column == Some(key)
}
