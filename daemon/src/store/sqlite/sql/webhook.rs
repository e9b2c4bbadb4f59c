//! Deliveries to webhooks.

use crate::store::sqlite::rows::Rows;

pub(crate) const INSERT_DELIVERIES: Rows = Rows {
    head: "
     insert into webhook_delivery (
     event_id, webhook, kind, body_sealed, created_at, attempts, next_at)
     values ",
    tail: "",
};

pub(crate) const UPDATE_DELIVERIES: Rows = Rows {
    head: "
     with u (event_id, attempts, next_at, ended_at, outcome)
     as (values ",
    tail: ")
     update webhook_delivery as t set
     attempts = u.attempts, next_at = u.next_at, ended_at = u.ended_at, outcome = u.outcome
     from u where t.event_id = u.event_id",
};

pub(crate) const INSERT_DISABLED: Rows = Rows {
    head: "
     insert into webhook_disabled (webhook, url_hmac, disabled_at)
     values ",
    tail: "
     on conflict (webhook, url_hmac) do nothing",
};

pub(crate) const WEBHOOK_DELIVERIES: &str = "
     select event_id, webhook, kind, body_sealed, created_at, attempts, next_at
     from webhook_delivery where webhook = ?1 and next_at > ?2
     order by next_at limit ?3";

/// Those that are due: no other process has this file.
pub(crate) const DUE_DELIVERIES: &str = "
     select event_id, webhook, kind, body_sealed, created_at, attempts, next_at
     from webhook_delivery where webhook = ?1 and next_at <= ?2
     order by next_at limit ?3";

pub(crate) const IS_WEBHOOK_DISABLED: &str = "
     select 1 from webhook_disabled where webhook = ?1 and url_hmac = ?2";

pub(crate) const FORGET_DELIVERIES: &str = "
     delete from webhook_delivery where event_id in (
     select event_id from webhook_delivery where created_at < ?1 limit ?2)";
