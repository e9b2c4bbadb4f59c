//! Texts.

use crate::store::sqlite::rows::Rows;

macro_rules! message_columns {
    () => {
        "
     message_id, account, live, version, direction, status, detail, to_sealed, to_hmac,
     to_masked, sender, text_sealed, encoding, segments, reference, trunk, maybe_duplicate,
     created_at, valid_until, updated_at, parts, from_sealed, from_masked"
    };
}

pub(crate) const LOAD_MESSAGES: &str = concat!(
    "select",
    message_columns!(),
    "
     from message where message_id in (select unhex(value) from json_each(?1))
     order by message_id"
);

pub(crate) const LIST_MESSAGES: &str = concat!(
    "select",
    message_columns!(),
    "
     from message where message_id < ?1 and message_id >= ?2
     and (?4 is null or live = ?4)
     and (?6 is null or status = ?6)
     and (?7 is null or direction = ?7)
     and (?8 is null or reference = ?8)
     order by message_id desc limit ?5"
);

pub(crate) const LIST_MESSAGES_ACCOUNT: &str = concat!(
    "select",
    message_columns!(),
    "
     from message where account = ?3 and message_id < ?1 and message_id >= ?2
     and (?4 is null or live = ?4)
     and (?6 is null or status = ?6)
     and (?7 is null or direction = ?7)
     and (?8 is null or reference = ?8)
     order by message_id desc limit ?5"
);

pub(crate) const LIST_MESSAGES_TO: &str = concat!(
    "select",
    message_columns!(),
    "
     from message where to_hmac = ?9 and message_id < ?1 and message_id >= ?2
     and (?3 is null or account = ?3)
     and (?4 is null or live = ?4)
     and (?6 is null or status = ?6)
     and (?7 is null or direction = ?7)
     and (?8 is null or reference = ?8)
     order by message_id desc limit ?5"
);

pub(crate) const UNFINISHED_MESSAGES: &str = concat!(
    "select",
    message_columns!(),
    "
     from message where message_id > ?1
     and direction = 'outbound' and status in ('accepted', 'sent')
     and not exists (select 1 from letter where letter.message_id = message.message_id
     and is_instead and ended_at is null)
     order by message_id limit ?2"
);

pub(crate) const MESSAGE: &str = concat!(
    "select",
    message_columns!(),
    "
     from message where message_id = ?1"
);

pub(crate) const INSERT_MESSAGES: Rows = Rows {
    head: "
     insert into message (
     message_id, account, live, version, direction, status, detail, to_sealed, to_hmac,
     to_masked, sender, text_sealed, encoding, segments, reference, trunk, maybe_duplicate,
     created_at, valid_until, updated_at, parts, from_sealed, from_masked)
     values ",
    tail: "",
};

pub(crate) const UPDATE_MESSAGES: Rows = Rows {
    head: "
     with u (
     message_id, version, status, detail, trunk, maybe_duplicate, updated_at, parts)
     as (values ",
    tail: ")
     update message as t set
     version = u.version, status = u.status, detail = u.detail, trunk = u.trunk,
     maybe_duplicate = u.maybe_duplicate, updated_at = u.updated_at,
     parts = u.parts
     from u where t.message_id = u.message_id",
};

pub(crate) const INSERT_SUBMITTED: Rows = Rows {
    head: "
     insert into submitted_part (
     link, remote_id, message_id, part, submitted_at, verification_id, parts)
     values ",
    tail: "
     on conflict (link, remote_id, message_id, part) do nothing",
};

/// Those whose parts wait for a receipt in vain: the time of validity from which, before which,
/// at most so many.
pub(crate) const OVERDUE_MESSAGES: &str = concat!(
    "select",
    message_columns!(),
    "
     from message where status = 'sent' and parts is not null
     and valid_until >= ?1 and valid_until < ?2
     order by valid_until limit ?3"
);

/// The parts that a message centre may mean by one of these ids, the newest first.
pub(crate) const SUBMITTED: &str = "
     select link, remote_id, message_id, part, submitted_at, verification_id, parts
     from submitted_part
     where link = ?1 and remote_id in (?2, ?3, ?4)
     order by submitted_at desc limit 16";
