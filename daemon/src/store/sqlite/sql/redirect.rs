//! Redirects, the letters that they make, and the audit.

use crate::store::sqlite::rows::Rows;

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
     from sms_redirect where phone_hmac in (select unhex(value) from json_each(?1))
     order by redirect_id"
);

pub(crate) const REDIRECT_BY_PHONE: &str = concat!(
    "select",
    redirect_columns!(),
    "
     from sms_redirect where phone_hmac = ?1"
);

pub(crate) const REDIRECT: &str = concat!(
    "select",
    redirect_columns!(),
    "
     from sms_redirect where redirect_id = ?1"
);

pub(crate) const LIST_REDIRECTS: &str = concat!(
    "select",
    redirect_columns!(),
    "
     from sms_redirect where account = ?3 and redirect_id < ?1 and redirect_id >= ?2
     and live = ?4
     order by redirect_id desc limit ?5"
);

pub(crate) const OPEN_LETTERS: &str = concat!(
    "select",
    letter_columns!(),
    "
     from letter where ended_at is null and letter_id > ?1
     order by letter_id limit ?2"
);

pub(crate) const AUDIT: &str = "
     select audit_id, account, live, kind, actor, subject, details_sealed, created_at
     from audit_entry where audit_id < ?1 and audit_id >= ?2
     and (?3 is null or account = ?3)
     and (?4 is null or live = ?4)
     and (?6 is null or kind = ?6)
     order by audit_id desc limit ?5";

pub(crate) const PUT_REDIRECTS: Rows = Rows {
    head: "
     insert into sms_redirect (
     redirect_id, account, live, version, phone_hmac, phone_sealed, phone_masked, email_sealed,
     email_masked, mode, is_override, reason_sealed, until, created_at, updated_at)
     values ",
    tail: "
     on conflict (redirect_id) do update set
     version = excluded.version, email_sealed = excluded.email_sealed,
     email_masked = excluded.email_masked, phone_sealed = excluded.phone_sealed,
     mode = excluded.mode, is_override = excluded.is_override,
     reason_sealed = excluded.reason_sealed, until = excluded.until,
     updated_at = excluded.updated_at",
};

pub(crate) const DELETE_REDIRECTS: &str = "
     delete from sms_redirect where redirect_id in (select unhex(value) from json_each(?1))";

pub(crate) const INSERT_LETTERS: Rows = Rows {
    head: "
     insert into letter (
     letter_id, account, live, kind, redirect_id, to_sealed, to_masked, content_sealed,
     message_id, is_instead, created_at, valid_until)
     values ",
    tail: "",
};

pub(crate) const END_LETTERS: Rows = Rows {
    head: "
     with u (letter_id, ended_at, outcome, detail)
     as (values ",
    tail: ")
     update letter as t set
     ended_at = u.ended_at, outcome = u.outcome, detail = u.detail,
     to_sealed = null, content_sealed = null
     from u where t.letter_id = u.letter_id and t.ended_at is null",
};

pub(crate) const INSERT_AUDIT: Rows = Rows {
    head: "
     insert into audit_entry (
     audit_id, account, live, kind, actor, subject, details_sealed, created_at)
     values ",
    tail: "",
};

/// Those that ended before this.
pub(crate) const FORGET_REDIRECTS: &str = "
     delete from sms_redirect where redirect_id in (
     select redirect_id from sms_redirect where until < ?1 limit ?2)";

pub(crate) const FORGET_LETTERS: &str = "
     delete from letter where letter_id in (
     select letter_id from letter where created_at < ?1 limit ?2)";

pub(crate) const FORGET_AUDIT: &str = "
     delete from audit_entry where audit_id in (
     select audit_id from audit_entry where created_at < ?1 limit ?2)";
