-- Texts in parts, texts that came in.

-- What became of each part, as JSON; null: it is carried whole.
alter table message add column parts text;
-- Who sent an inbound text, when that is a number; null once its retention ran out.
alter table message add column from_sealed bytea;
alter table message add column from_masked text;

-- Those that wait for receipts.
create index message_overdue on message (valid_until)
    where status = 'sent' and parts is not null;

-- Under which id a message centre took a part: receipts name it. The same id may come again.
create table submitted_part (
    link text not null,
    -- Without leading zeros, letters small.
    remote_id text not null,
    message_id uuid not null,
    -- From 1.
    part integer not null,
    submitted_at timestamptz not null,
    primary key (link, remote_id, message_id, part)
);

create index submitted_part_submitted on submitted_part (submitted_at);
