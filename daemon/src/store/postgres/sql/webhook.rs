//! Deliveries to webhooks.

pub(crate) const INSERT_DELIVERIES: &str = "
     insert into webhook_delivery (
     event_id, webhook, kind, body_sealed, created_at, attempts, next_at)
     select * from unnest(
     $1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::timestamptz[], $6::integer[],
     $7::timestamptz[])";

pub(crate) const UPDATE_DELIVERIES: &str = "
     update webhook_delivery as t set
     attempts = u.attempts, next_at = u.next_at, ended_at = u.ended_at, outcome = u.outcome,
     claimed_until = null
     from unnest(
     $1::uuid[], $2::integer[], $3::timestamptz[], $4::timestamptz[], $5::text[]) as u (
     event_id, attempts, next_at, ended_at, outcome)
     where t.event_id = u.event_id";

pub(crate) const INSERT_DISABLED: &str = "
     insert into webhook_disabled (webhook, url_hmac, disabled_at)
     select * from unnest($1::text[], $2::bytea[], $3::timestamptz[])
     on conflict (webhook, url_hmac) do nothing";

pub(crate) const WEBHOOK_DELIVERIES: &str = "
     select event_id, webhook, kind, body_sealed, created_at, attempts, next_at
     from webhook_delivery where webhook = $1 and next_at > $2
     order by next_at limit $3";

/// Those that are due and that no node has: this one has them from here on. A lease is by the
/// server's clock, which all nodes share.
pub(crate) const CLAIM_DELIVERIES: &str = "
     update webhook_delivery as t set claimed_until = clock_timestamp() + $4
     from (
     select event_id from webhook_delivery
     where webhook = $1 and next_at <= $2
     and (claimed_until is null or claimed_until <= clock_timestamp())
     order by next_at limit $3 for update skip locked) as u
     where t.event_id = u.event_id
     returning t.event_id, t.webhook, t.kind, t.body_sealed, t.created_at, t.attempts, t.next_at";

pub(crate) const IS_WEBHOOK_DISABLED: &str = "
     select 1 from webhook_disabled where webhook = $1 and url_hmac = $2";

pub(crate) const FORGET_DELIVERIES: &str = "
     delete from webhook_delivery where event_id in (
     select event_id from webhook_delivery where created_at < $1 limit $2)";
