-- Parts of texts from outside: written down before their senders hear that we have them.

create table inbound_part (
    -- Over who wrote to whom, over what, and the text's reference.
    group_hmac blob not null,
    -- From 1.
    part integer not null,
    total integer not null,
    -- By which a repeat is known.
    octets_hmac blob not null,
    -- Null once the text was given on: the row is kept to know repeats.
    content_sealed blob,
    received_at integer not null,
    primary key (group_hmac, part)
) strict, without rowid;

-- Those that wait for the others.
create index inbound_part_open on inbound_part (received_at) where content_sealed is not null;
create index inbound_part_received on inbound_part (received_at);
