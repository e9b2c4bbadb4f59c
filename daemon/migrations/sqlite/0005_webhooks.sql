-- Events on their way to webhooks, written with what they tell.

create table webhook_delivery (
    event_id blob primary key,
    webhook text not null,
    kind text not null,
    -- What is sent: a number or a text may stand in it.
    body_sealed blob not null,
    created_at integer not null,
    attempts integer not null,
    -- Null once it has ended.
    next_at integer,
    -- Null while it has not ended.
    ended_at integer,
    -- What the last try came to; null before the first.
    outcome text
) strict, without rowid;

create index webhook_delivery_next on webhook_delivery (webhook, next_at)
    where next_at is not null;
create index webhook_delivery_created on webhook_delivery (created_at);

-- An address that answered 410: nothing is sent there any more.
create table webhook_disabled (
    webhook text not null,
    url_hmac blob not null,
    disabled_at integer not null,
    primary key (webhook, url_hmac)
) strict, without rowid;
