//! Housekeeping, partitions, and what a writer knows of its server.

pub(crate) const FORGET_IDEMPOTENCY: &str = "
     delete from idempotency_key where key_hmac in (
         select key_hmac from idempotency_key where created_at < $1 limit $2)";

pub(crate) const FORGET_LIMITS: &str = "
     delete from limit_counter where limit_hmac in (
         select limit_hmac from limit_counter where forgotten_at < $1 limit $2)";

pub(crate) const FORGET_TAILS: &str = "
     delete from shown_tail where (to_hmac, tail_hmac) in (
         select to_hmac, tail_hmac from shown_tail where shown_at < $1 limit $2)";

pub(crate) const FORGET_UNALLOCATED: &str = "
     delete from unallocated_number where to_hmac in (
         select to_hmac from unallocated_number where until < $1 limit $2)";

// From an id to before another one; the one that ends a stretch of at most so many rows is found
// first.

pub(crate) const STRETCH_OF_VERIFICATIONS: &str = "
     select verification_id from verification where verification_id >= $1 and verification_id < $2
     order by verification_id limit 1 offset $3";

pub(crate) const STRETCH_OF_CALLS: &str = "
     select call_id from call where call_id >= $1 and call_id < $2
     order by call_id limit 1 offset $3";

pub(crate) const STRETCH_OF_MESSAGES: &str = "
     select message_id from message where message_id >= $1 and message_id < $2
     order by message_id limit 1 offset $3";

pub(crate) const BLANK_VERIFICATIONS: &str = "
     update verification set to_sealed = null, to_hmac = null, also_sealed = null
     where verification_id >= $1 and verification_id < $2";

pub(crate) const BLANK_CALLS: &str = "
     update call set to_sealed = null
     where call_id >= $1 and call_id < $2";

pub(crate) const BLANK_MESSAGES: &str = "
     update message set to_sealed = null, to_hmac = null, from_sealed = null
     where message_id >= $1 and message_id < $2";

pub(crate) const BLANK_TEXTS: &str = "
     update message set text_sealed = null
     where message_id >= $1 and message_id < $2";

pub(crate) const FORGET_SUBMITTED: &str = "
     delete from submitted_part where ctid in (
     select ctid from submitted_part where submitted_at < $1 limit $2)";

pub(crate) const MAKE_WEEK: &str = "select make_week($1, $2, $3)";

pub(crate) const DROP_WEEKS_BEFORE: &str = "select drop_weeks_before($1)";

pub(crate) const PUT_MARK: &str = "
     insert into writer_mark (writer_id, batch, marked_at) values ($1, $2, $3)
     on conflict (writer_id) do update
     set batch = excluded.batch, marked_at = excluded.marked_at";

pub(crate) const MARK: &str = "select batch from writer_mark where writer_id = $1 for update";

pub(crate) const FORGET_MARKS: &str = "delete from writer_mark where marked_at < $1";

pub(crate) const IS_READ_ONLY: &str =
    "select pg_is_in_recovery() or current_setting('transaction_read_only')::boolean";
