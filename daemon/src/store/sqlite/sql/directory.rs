//! The directory.

use crate::store::sqlite::rows::Rows;

macro_rules! user_columns {
    () => {
        "
     user_id, account, live, version, name, phone_sealed, phone_hmac, phone_masked, email_sealed,
     email_hmac, email_masked, login, login_hmac, extension, role, enabled, password_hash,
     created_at, updated_at"
    };
}

/// By id (?1), or by one of their identifiers (?2).
pub(crate) const LOAD_USERS: &str = concat!(
    "select",
    user_columns!(),
    "
     from directory_user where user_id in (select unhex(value) from json_each(?1))
     or phone_hmac in (select unhex(value) from json_each(?2))
     or email_hmac in (select unhex(value) from json_each(?2))
     or login_hmac in (select unhex(value) from json_each(?2))
     order by user_id"
);

pub(crate) const LIST_USERS: &str = concat!(
    "select",
    user_columns!(),
    "
     from directory_user where account = ?3 and user_id < ?1 and user_id >= ?2 and live = ?4
     order by user_id desc limit ?5"
);

pub(crate) const SIGN_IN: &str = "
     select sign_in_id, account, live, status, user_id, created_at, expires_at, ended_at,
     verification_id, typed_kind, typed_sealed
     from sign_in where sign_in_id = ?1";

pub(crate) const PUT_USERS: Rows = Rows {
    head: "
     insert into directory_user (
     user_id, account, live, version, name, phone_sealed, phone_hmac, phone_masked, email_sealed,
     email_hmac, email_masked, login, login_hmac, extension, role, enabled, password_hash,
     created_at, updated_at)
     values ",
    tail: "
     on conflict (user_id) do update set
     version = excluded.version, name = excluded.name, phone_sealed = excluded.phone_sealed,
     phone_hmac = excluded.phone_hmac, phone_masked = excluded.phone_masked,
     email_sealed = excluded.email_sealed, email_hmac = excluded.email_hmac,
     email_masked = excluded.email_masked, login = excluded.login,
     login_hmac = excluded.login_hmac, extension = excluded.extension, role = excluded.role,
     enabled = excluded.enabled, password_hash = excluded.password_hash,
     updated_at = excluded.updated_at",
};

pub(crate) const DELETE_USERS: &str = "
     delete from directory_user where user_id in (select unhex(value) from json_each(?1))";

pub(crate) const INSERT_SIGN_INS: Rows = Rows {
    head: "
     insert into sign_in (
     sign_in_id, account, live, status, user_id, created_at, expires_at, ended_at,
     verification_id, typed_kind, typed_sealed)
     values ",
    tail: "",
};

pub(crate) const END_SIGN_INS: Rows = Rows {
    head: "
     with u (sign_in_id, status, ended_at, verification_id)
     as (values ",
    tail: ")
     update sign_in as t set
     status = u.status, ended_at = u.ended_at, verification_id = u.verification_id
     from u where t.sign_in_id = u.sign_in_id and t.status = 'open'",
};

pub(crate) const FORGET_SIGN_INS: &str = "
     delete from sign_in where sign_in_id in (
         select sign_in_id from sign_in where created_at < ?1 limit ?2)";

/// What somebody typed, of those made before this.
pub(crate) const BLANK_SIGN_INS: &str = "
     update sign_in set typed_sealed = null
     where sign_in_id in (
         select sign_in_id from sign_in
         where created_at < ?1 and typed_sealed is not null limit ?2)";
