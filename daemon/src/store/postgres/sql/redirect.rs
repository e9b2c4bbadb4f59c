//! Redirects, the letters that they make, and the audit.

macro_rules! redirect_columns {
    () => {
        "
     redirect_id, account, live, version, phone_hmac, phone_sealed, phone_masked, email_sealed,
     email_masked, mode, is_override, reason_sealed, until, created_at, updated_at"
    };
}

macro_rules! letter_columns {
    () => {
        "
     letter_id, account, live, kind, redirect_id, to_sealed, to_masked, content_sealed,
     message_id, is_instead, created_at, valid_until"
    };
}

pub(crate) const LOAD_REDIRECTS: &str = concat!(
    "select",
    redirect_columns!(),
    "
     from sms_redirect where phone_hmac = any($1)
     order by redirect_id for update"
);

pub(crate) const REDIRECT_BY_PHONE: &str = concat!(
    "select",
    redirect_columns!(),
    "
     from sms_redirect where phone_hmac = $1"
);

pub(crate) const REDIRECT: &str = concat!(
    "select",
    redirect_columns!(),
    "
     from sms_redirect where redirect_id = $1"
);

pub(crate) const LIST_REDIRECTS: &str = concat!(
    "select",
    redirect_columns!(),
    "
     from sms_redirect where account = $3 and redirect_id < $1 and redirect_id >= $2
     and live = $4
     order by redirect_id desc limit $5"
);

pub(crate) const OPEN_LETTERS: &str = concat!(
    "select",
    letter_columns!(),
    "
     from letter where ended_at is null and letter_id > $1
     order by letter_id limit $2"
);

pub(crate) const AUDIT: &str = "
     select audit_id, account, live, kind, actor, subject, details_sealed, created_at
     from audit_entry where audit_id < $1 and audit_id >= $2
     and ($3::text is null or account = $3)
     and ($4::boolean is null or live = $4)
     and ($6::text is null or kind = $6)
     order by audit_id desc limit $5";

pub(crate) const PUT_REDIRECTS: &str = "
     insert into sms_redirect (
     redirect_id, account, live, version, phone_hmac, phone_sealed, phone_masked, email_sealed,
     email_masked, mode, is_override, reason_sealed, until, created_at, updated_at)
     select * from unnest(
     $1::uuid[], $2::text[], $3::boolean[], $4::integer[], $5::bytea[], $6::bytea[],
     $7::text[], $8::bytea[], $9::text[], $10::text[], $11::boolean[], $12::bytea[],
     $13::timestamptz[], $14::timestamptz[], $15::timestamptz[])
     on conflict (redirect_id) do update set
     version = excluded.version, email_sealed = excluded.email_sealed,
     email_masked = excluded.email_masked, phone_sealed = excluded.phone_sealed,
     mode = excluded.mode, is_override = excluded.is_override,
     reason_sealed = excluded.reason_sealed, until = excluded.until,
     updated_at = excluded.updated_at";

pub(crate) const DELETE_REDIRECTS: &str = "delete from sms_redirect where redirect_id = any($1)";

pub(crate) const INSERT_LETTERS: &str = "
     insert into letter (
     letter_id, account, live, kind, redirect_id, to_sealed, to_masked, content_sealed,
     message_id, is_instead, created_at, valid_until)
     select * from unnest(
     $1::uuid[], $2::text[], $3::boolean[], $4::text[], $5::uuid[], $6::bytea[], $7::text[],
     $8::bytea[], $9::uuid[], $10::boolean[], $11::timestamptz[], $12::timestamptz[])";

pub(crate) const END_LETTERS: &str = "
     update letter as t set
     ended_at = u.ended_at, outcome = u.outcome, detail = u.detail,
     to_sealed = null, content_sealed = null
     from unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[]) as u (
     letter_id, ended_at, outcome, detail)
     where t.letter_id = u.letter_id and t.ended_at is null";

pub(crate) const INSERT_AUDIT: &str = "
     insert into audit_entry (
     audit_id, account, live, kind, actor, subject, details_sealed, created_at)
     select * from unnest(
     $1::uuid[], $2::text[], $3::boolean[], $4::text[], $5::text[], $6::text[], $7::bytea[],
     $8::timestamptz[])";

/// Those that ended before this.
pub(crate) const FORGET_REDIRECTS: &str = "
     delete from sms_redirect where redirect_id in (
     select redirect_id from sms_redirect where until < $1 limit $2)";

pub(crate) const FORGET_LETTERS: &str = "
     delete from letter where letter_id in (
     select letter_id from letter where created_at < $1 limit $2)";

pub(crate) const FORGET_AUDIT: &str = "
     delete from audit_entry where audit_id in (
     select audit_id from audit_entry where created_at < $1 limit $2)";
