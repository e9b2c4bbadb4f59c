//! Who did what, and what the gateway did on somebody's earlier word: written in the transaction
//! that does it.

use rand_chacha::ChaCha20Rng;
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::ids::AuditId;
use crate::secrets::{Keys, SealedColumn};
use crate::store::convert::Table;
use crate::store::row::AuditRow;
use crate::store::{Page, PageFilter, Store, StoreError, Who, page};
use crate::verification::status::words;

const DETAILS: SealedColumn = SealedColumn("audit_entry.details");

words! {
    /// What was done.
    AuditKind {
        /// A redirect was made or changed.
        RedirectPut = "redirect.put",
        /// A redirect was removed.
        RedirectDeleted = "redirect.deleted",
        /// A text went to a mailbox.
        RedirectUsed = "redirect.used",
    }
}

/// An entry of the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its id.
    pub audit_id: AuditId,
    /// The account that it concerns.
    pub account: String,
    /// False under a test key.
    pub live: bool,
    /// What was done.
    pub kind: AuditKind,
    /// Who did it; `None`: the gateway, by itself.
    pub actor: Option<String>,
    /// What it was done to.
    pub subject: String,
    /// More about it; numbers and mailboxes are masked.
    pub details: Map<String, Value>,
    /// When.
    pub created_at: Timestamp,
}

/// Which entries are listed.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditFilter {
    /// Which part of them.
    pub page: PageFilter,
    /// Only these.
    pub kind: Option<AuditKind>,
}

impl AuditEntry {
    pub(crate) fn row(&self, keys: &Keys, rng: &mut ChaCha20Rng) -> AuditRow {
        let details = Value::Object(self.details.clone()).to_string();
        AuditRow {
            audit_id: self.audit_id,
            account: self.account.clone(),
            live: self.live,
            kind: self.kind.as_str().to_owned(),
            actor: self.actor.clone(),
            subject: self.subject.clone(),
            details_sealed: keys.seal(rng, DETAILS, self.audit_id.0, details.as_bytes()),
            created_at: self.created_at,
        }
    }
}

fn entry(keys: &Keys, row: AuditRow) -> Result<AuditEntry, StoreError> {
    let table = Table("audit_entry");
    let details = table.unseal(keys, DETAILS, row.audit_id.0, &row.details_sealed)?;
    Ok(AuditEntry {
        audit_id: row.audit_id,
        account: row.account,
        live: row.live,
        kind: table.column("kind", AuditKind::from_word(&row.kind))?,
        actor: row.actor,
        subject: row.subject,
        details: table.column("details", serde_json::from_str(&details).ok())?,
        created_at: row.created_at,
    })
}

impl Store {
    /// Entries of the audit, newest first.
    pub async fn audit(
        &self,
        who: &Who,
        filter: &AuditFilter,
    ) -> Result<Page<AuditEntry>, StoreError> {
        let rows = self.0.reader.list_audit(who, filter).await?;
        let items = rows.into_iter().map(|row| entry(&self.0.keys, row));
        Ok(page(items.collect::<Result<_, _>>()?, filter.page.limit, |entry| entry.audit_id.0))
    }
}
