//! Parts of texts from outside.

use crate::store::sqlite::rows::Rows;

pub(crate) const PUT_INBOUND_PARTS: Rows = Rows {
    head: "
     insert into inbound_part (
     group_hmac, part, total, octets_hmac, content_sealed, received_at)
     values ",
    tail: "
     on conflict (group_hmac, part) do update set
     total = excluded.total, octets_hmac = excluded.octets_hmac,
     content_sealed = excluded.content_sealed, received_at = excluded.received_at",
};

pub(crate) const LOAD_INBOUND_PARTS: &str = "
     select group_hmac, part, total, octets_hmac, content_sealed, received_at
     from inbound_part where group_hmac in (select unhex(value) from json_each(?1))
     order by group_hmac, part";

/// Texts of which a part waits for the others since before this.
pub(crate) const OVERDUE_INBOUND: &str = "
     select group_hmac from inbound_part
     where content_sealed is not null and received_at < ?1
     group by group_hmac order by min(received_at) limit ?2";

/// What waits is never forgotten, however long nobody ran.
pub(crate) const FORGET_INBOUND_PARTS: &str = "
     delete from inbound_part where (group_hmac, part) in (
     select group_hmac, part from inbound_part
     where received_at < ?1 and content_sealed is null limit ?2)";
