//! The SQL of SQLite. A batch is a few statements for each table, of many rows each.

mod directory;
mod housekeeping;
mod inbound;
mod message;
mod redirect;
mod webhook;

use crate::store::sqlite::rows::Rows;
pub(crate) use directory::{
    BLANK_SIGN_INS, DELETE_USERS, END_SIGN_INS, FORGET_SIGN_INS, INSERT_SIGN_INS, LIST_USERS,
    LOAD_USERS, PUT_USERS, SIGN_IN,
};
pub(crate) use housekeeping::{
    BLANK_CALLS, BLANK_MESSAGES, BLANK_TEXTS, BLANK_VERIFICATIONS, DELETE_CALLS, DELETE_MESSAGES,
    DELETE_STEPS, DELETE_VERIFICATIONS, FORGET_IDEMPOTENCY, FORGET_LIMITS, FORGET_SUBMITTED,
    FORGET_TAILS, FORGET_UNALLOCATED, STRETCH_OF_CALLS, STRETCH_OF_MESSAGES,
    STRETCH_OF_VERIFICATIONS,
};
pub(crate) use inbound::{
    FORGET_INBOUND_PARTS, LOAD_INBOUND_PARTS, OVERDUE_INBOUND, PUT_INBOUND_PARTS,
};
pub(crate) use message::{
    INSERT_MESSAGES, INSERT_SUBMITTED, LIST_MESSAGES, LIST_MESSAGES_ACCOUNT, LIST_MESSAGES_TO,
    LOAD_MESSAGES, MESSAGE, OVERDUE_MESSAGES, SUBMITTED, UNFINISHED_MESSAGES, UPDATE_MESSAGES,
};
pub(crate) use redirect::{
    AUDIT, DELETE_REDIRECTS, END_LETTERS, FORGET_AUDIT, FORGET_LETTERS, FORGET_REDIRECTS,
    INSERT_AUDIT, INSERT_LETTERS, LIST_REDIRECTS, LOAD_REDIRECTS, OPEN_LETTERS, PUT_REDIRECTS,
    REDIRECT, REDIRECT_BY_PHONE,
};
pub(crate) use webhook::{
    DUE_DELIVERIES, FORGET_DELIVERIES, INSERT_DELIVERIES, INSERT_DISABLED, IS_WEBHOOK_DISABLED,
    UPDATE_DELIVERIES, WEBHOOK_DELIVERIES,
};

macro_rules! verification_columns {
    () => {
        "
     verification_id, account, live, version, status, to_sealed, to_hmac, to_masked,
     purpose, locale, reference, metadata, session, client_ip, client_device_id,
     created_at, expires_at, ended_at, code_length, code_space, checks_max, checks_used,
     sends_max, sends_used, next_send_allowed_at, template, web_origin, android_app_hash,
     own_code, workflow, next_at, also_sealed, user_id, sign_in_id, proved"
    };
}

macro_rules! step_columns {
    () => {
        "
     verification_id, n, channel, status, detail, created_at, code_tail_hmac,
     code_number_hmac, code_length, code_space, code_checkable_until, secret_sealed, dispatches"
    };
}

macro_rules! call_columns {
    () => {
        "
     call_id, verification_id, step_n, attempt, account, live, trunk, to_sealed,
     to_masked, dialled_sealed, caller_id_sealed, caller_id_masked, created_at, target,
     last_cseq, rang, ended_at, outcome, timeline, status, q850, retry_after_ms, dialog_sealed"
    };
}

macro_rules! open_columns {
    () => {
        "
     verification_id, account, live, to_hmac, purpose, slot, session, expires_at"
    };
}

macro_rules! idempotency_columns {
    () => {
        "
     key_hmac, request_hmac, response_sealed, created_at"
    };
}

macro_rules! limit_columns {
    () => {
        "
     limit_hmac, log, forgotten_at"
    };
}

macro_rules! tail_columns {
    () => {
        "
     to_hmac, tail_hmac, shown_at"
    };
}

macro_rules! api_key_columns {
    () => {
        "
     api_key_id, secret_sha256, account, live, scopes, networks, label, created_at,
     expires_at, revoked_at, last_used_at"
    };
}

// Read by the writer, inside its transaction; what it may change is locked in order of its key.

pub(crate) const LOAD_OPEN: &str = concat!(
    "select",
    open_columns!(),
    "
     from open_verification where to_hmac in (select unhex(value) from json_each(?1))"
);

pub(crate) const LOAD_VERIFICATIONS: &str = concat!(
    "select",
    verification_columns!(),
    "
     from verification where verification_id in (select unhex(value) from json_each(?1))
     order by verification_id"
);

pub(crate) const LOAD_IDEMPOTENCY: &str = concat!(
    "select",
    idempotency_columns!(),
    "
     from idempotency_key where key_hmac in (select unhex(value) from json_each(?1))"
);

pub(crate) const LOAD_LIMITS: &str = concat!(
    "select",
    limit_columns!(),
    "
     from limit_counter where limit_hmac in (select unhex(value) from json_each(?1))
     order by limit_hmac"
);

pub(crate) const LOAD_TAILS: &str = concat!(
    "select",
    tail_columns!(),
    "
     from shown_tail where to_hmac in (select unhex(value) from json_each(?1))"
);

pub(crate) const LOAD_API_KEYS: &str = concat!(
    "select",
    api_key_columns!(),
    "
     from api_key where api_key_id in (select value from json_each(?1))"
);

// Read by both sides.

pub(crate) const STEPS: &str = concat!(
    "select",
    step_columns!(),
    "
     from step where verification_id in (select unhex(value) from json_each(?1))
     order by verification_id, n"
);

/// The bounds are those of the ids that the calls can have: they leave out other partitions.
pub(crate) const CALLS_OF_VERIFICATIONS: &str = concat!(
    "select",
    call_columns!(),
    "
     from call where verification_id in (select unhex(value) from json_each(?1))
     and call_id >= ?2 and call_id < ?3
     order by verification_id, step_n, attempt"
);

// Read by requests.

pub(crate) const VERIFICATIONS_BY_ID: &str = concat!(
    "select",
    verification_columns!(),
    "
     from verification where verification_id in (select unhex(value) from json_each(?1))"
);

// Lists: the cursor, the lower bound, account, kind, how many, then what is particular. Each way to
// search has a statement of its own, for its own index; the plain ones are the gateway's.

pub(crate) const LIST_VERIFICATIONS: &str = concat!(
    "select",
    verification_columns!(),
    "
     from verification where verification_id < ?1 and verification_id >= ?2
     and (?4 is null or live = ?4)
     and (?6 is null or status = ?6)
     and (?7 is null or exists (
         select 1 from step where step.verification_id = verification.verification_id
         and step.channel = ?7))
     and (?8 is null or reference = ?8)
     order by verification_id desc limit ?5"
);

pub(crate) const LIST_VERIFICATIONS_ACCOUNT: &str = concat!(
    "select",
    verification_columns!(),
    "
     from verification where account = ?3 and verification_id < ?1 and verification_id >= ?2
     and (?4 is null or live = ?4)
     and (?6 is null or status = ?6)
     and (?7 is null or exists (
         select 1 from step where step.verification_id = verification.verification_id
         and step.channel = ?7))
     and (?8 is null or reference = ?8)
     order by verification_id desc limit ?5"
);

pub(crate) const LIST_VERIFICATIONS_TO: &str = concat!(
    "select",
    verification_columns!(),
    "
     from verification where to_hmac = ?9 and verification_id < ?1 and verification_id >= ?2
     and (?3 is null or account = ?3)
     and (?4 is null or live = ?4)
     and (?6 is null or status = ?6)
     and (?7 is null or exists (
         select 1 from step where step.verification_id = verification.verification_id
         and step.channel = ?7))
     and (?8 is null or reference = ?8)
     order by verification_id desc limit ?5"
);

pub(crate) const LIST_VERIFICATIONS_REFERENCE: &str = concat!(
    "select",
    verification_columns!(),
    "
     from verification where account = ?3 and reference = ?8
     and verification_id < ?1 and verification_id >= ?2
     and (?4 is null or live = ?4)
     and (?6 is null or status = ?6)
     and (?7 is null or exists (
         select 1 from step where step.verification_id = verification.verification_id
         and step.channel = ?7))
     order by verification_id desc limit ?5"
);

pub(crate) const LIST_CALLS: &str = concat!(
    "select",
    call_columns!(),
    "
     from call where call_id < ?1 and call_id >= ?2
     and (?4 is null or live = ?4)
     and (?6 is null or trunk = ?6)
     and (?7 is null or outcome = ?7)
     order by call_id desc limit ?5"
);

pub(crate) const LIST_CALLS_ACCOUNT: &str = concat!(
    "select",
    call_columns!(),
    "
     from call where account = ?3 and call_id < ?1 and call_id >= ?2
     and (?4 is null or live = ?4)
     and (?6 is null or trunk = ?6)
     and (?7 is null or outcome = ?7)
     order by call_id desc limit ?5"
);

pub(crate) const LIST_CALLS_TO: &str = concat!(
    "select",
    call_columns!(),
    "
     from call where verification_id in (
         select verification_id from verification where to_hmac = ?8)
     and call_id < ?1 and call_id >= ?2
     and (?3 is null or account = ?3)
     and (?4 is null or live = ?4)
     and (?6 is null or trunk = ?6)
     and (?7 is null or outcome = ?7)
     order by call_id desc limit ?5"
);

// Left behind by a process that stopped: after an id, at most so many, oldest first.

pub(crate) const OPEN_VERIFICATION_IDS: &str = "
     select verification_id from open_verification where verification_id > ?1
     order by verification_id limit ?2";

pub(crate) const UNFINISHED_CALLS: &str = concat!(
    "select",
    call_columns!(),
    "
     from call where call_id > ?1 and ended_at is null
     order by call_id limit ?2"
);

// Single rows.

pub(crate) const CALL: &str = concat!(
    "select",
    call_columns!(),
    "
     from call where call_id = ?1"
);

pub(crate) const LIMITS: &str = concat!(
    "select",
    limit_columns!(),
    "
     from limit_counter where limit_hmac in (select unhex(value) from json_each(?1))"
);

pub(crate) const TAILS_OF_NUMBER: &str = concat!(
    "select",
    tail_columns!(),
    "
     from shown_tail where to_hmac = ?1 and shown_at > ?2"
);

pub(crate) const IS_UNALLOCATED: &str = "
     select until from unallocated_number where to_hmac = ?1 and until > ?2";

pub(crate) const API_KEYS_BY_ID: &str = concat!(
    "select",
    api_key_columns!(),
    "
     from api_key where api_key_id in (select value from json_each(?1))"
);

pub(crate) const API_KEYS: &str = concat!(
    "select",
    api_key_columns!(),
    "
     from api_key order by created_at desc, api_key_id"
);

pub(crate) const PING: &str = "select 1";

pub(crate) const SETTING: &str = "select value from setting where name = ?1";

pub(crate) const PUT_SETTING: &str = "
     insert into setting (name, value) values (?1, ?2)
     on conflict (name) do update set value = excluded.value";

pub(crate) const ADD_SETTING: &str = "
     insert into setting (name, value) values (?1, ?2)
     on conflict (name) do nothing";

// Written in batches.

pub(crate) const INSERT_VERIFICATIONS: Rows = Rows {
    head: "
     insert into verification (
     verification_id, account, live, version, status, to_sealed, to_hmac, to_masked,
     purpose, locale, reference, metadata, session, client_ip, client_device_id,
     created_at, expires_at, ended_at, code_length, code_space, checks_max, checks_used,
     sends_max, sends_used, next_send_allowed_at, template, web_origin, android_app_hash,
     own_code, workflow, next_at, also_sealed, user_id, sign_in_id, proved)
     values ",
    tail: "",
};

pub(crate) const PUT_STEPS: Rows = Rows {
    head: "
     insert into step (
     verification_id, n, channel, status, detail, created_at, code_tail_hmac,
     code_number_hmac, code_length, code_space, code_checkable_until, secret_sealed, dispatches)
     values ",
    tail: "
     on conflict (verification_id, n) do update set
     status = excluded.status, detail = excluded.detail,
     code_tail_hmac = excluded.code_tail_hmac,
     code_number_hmac = excluded.code_number_hmac, code_length = excluded.code_length,
     code_space = excluded.code_space, code_checkable_until = excluded.code_checkable_until,
     secret_sealed = excluded.secret_sealed, dispatches = excluded.dispatches",
};

pub(crate) const INSERT_CALLS: Rows = Rows {
    head: "
     insert into call (
     call_id, verification_id, step_n, attempt, account, live, trunk, to_sealed,
     to_masked, dialled_sealed, caller_id_sealed, caller_id_masked, created_at, target,
     last_cseq, rang, ended_at, outcome, timeline, status, q850, retry_after_ms, dialog_sealed)
     values ",
    tail: "",
};

pub(crate) const INSERT_OPEN: Rows = Rows {
    head: "
     insert into open_verification (
     verification_id, account, live, to_hmac, purpose, slot, session, expires_at)
     values ",
    tail: "",
};

pub(crate) const INSERT_IDEMPOTENCY: Rows = Rows {
    head: "
     insert into idempotency_key (
     key_hmac, request_hmac, response_sealed, created_at)
     values ",
    tail: "",
};

pub(crate) const INSERT_LIMITS: Rows = Rows {
    head: "
     insert into limit_counter (
     limit_hmac, log, forgotten_at)
     values ",
    tail: "",
};

pub(crate) const PUT_LIMITS: Rows = Rows {
    head: "
     insert into limit_counter (
     limit_hmac, log, forgotten_at)
     values ",
    tail: "
     on conflict (limit_hmac) do update set
     log = excluded.log, forgotten_at = excluded.forgotten_at",
};

pub(crate) const INSERT_TAILS: Rows = Rows {
    head: "
     insert into shown_tail (
     to_hmac, tail_hmac, shown_at)
     values ",
    tail: "",
};

pub(crate) const PUT_TAILS: Rows = Rows {
    head: "
     insert into shown_tail (
     to_hmac, tail_hmac, shown_at)
     values ",
    tail: "
     on conflict (to_hmac, tail_hmac) do update set
     shown_at = excluded.shown_at",
};

pub(crate) const PUT_UNALLOCATED: Rows = Rows {
    head: "
     insert into unallocated_number (
     to_hmac, until)
     values ",
    tail: "
     on conflict (to_hmac) do update set
     until = excluded.until",
};

pub(crate) const INSERT_API_KEYS: Rows = Rows {
    head: "
     insert into api_key (
     api_key_id, secret_sha256, account, live, scopes, networks, label, created_at,
     expires_at, revoked_at, last_used_at)
     values ",
    tail: "",
};

pub(crate) const PUT_API_KEYS: Rows = Rows {
    head: "
     insert into api_key (
     api_key_id, secret_sha256, account, live, scopes, networks, label, created_at,
     expires_at, revoked_at, last_used_at)
     values ",
    tail: "
     on conflict (api_key_id) do update set
     revoked_at = excluded.revoked_at, last_used_at = excluded.last_used_at",
};

pub(crate) const UPDATE_VERIFICATIONS: Rows = Rows {
    head: "
     with u (
     verification_id, version, status, ended_at, code_length, code_space, checks_used,
     sends_used, next_send_allowed_at, workflow, next_at, proved)
     as (values ",
    tail: ")
     update verification as t set
     version = u.version, status = u.status, ended_at = u.ended_at,
     code_length = u.code_length, code_space = u.code_space, checks_used = u.checks_used,
     sends_used = u.sends_used, next_send_allowed_at = u.next_send_allowed_at,
     workflow = u.workflow, next_at = u.next_at, proved = u.proved
     from u where t.verification_id = u.verification_id",
};

pub(crate) const UPDATE_CALLS: Rows = Rows {
    head: "
     with u (
     call_id, keep_dialled, keep_caller_id, target, last_cseq, rang, ended_at, outcome,
     timeline, status, q850, retry_after_ms, dialog_sealed)
     as (values ",
    tail: ")
     update call as t set
     dialled_sealed = case when u.keep_dialled then t.dialled_sealed end,
     caller_id_sealed = case when u.keep_caller_id then t.caller_id_sealed end,
     target = u.target, last_cseq = max(t.last_cseq, u.last_cseq), rang = u.rang,
     ended_at = u.ended_at, outcome = u.outcome, timeline = u.timeline, status = u.status,
     q850 = u.q850, retry_after_ms = u.retry_after_ms, dialog_sealed = u.dialog_sealed
     from u where t.call_id = u.call_id",
};

pub(crate) const DELETE_OPEN: &str = "
     delete from open_verification
     where verification_id in (select unhex(value) from json_each(?1))";
