-- Redirects of texts into mailboxes, the letters that they make, and who did what.

create table sms_redirect (
    redirect_id blob primary key,
    account text not null,
    -- False under a test key.
    live integer not null check (live in (0, 1)),
    version integer not null,
    -- Over account and number: one redirect for each number of an account.
    phone_hmac blob not null unique,
    phone_sealed blob not null,
    phone_masked text not null,
    email_sealed blob not null,
    email_masked text not null,
    mode text not null,
    -- True: the mailbox is not the one of the user's card.
    is_override integer not null check (is_override in (0, 1)),
    -- Null: none was given.
    reason_sealed blob,
    -- From then on texts go to the phone again.
    until integer not null,
    created_at integer not null,
    updated_at integer not null
) strict, without rowid;

create index sms_redirect_account on sms_redirect (account, redirect_id);
create index sms_redirect_until on sms_redirect (until);

-- Letters that are sent at least once, each stored with what it is about.
create table letter (
    letter_id blob primary key,
    account text not null,
    live integer not null check (live in (0, 1)),
    kind text not null,
    redirect_id blob not null,
    -- Null once it has ended.
    to_sealed blob,
    to_masked text not null,
    content_sealed blob,
    -- The text that it carries; null: a notice.
    message_id blob,
    -- True: the text goes nowhere else, and stands where the letter stands.
    is_instead integer not null check (is_instead in (0, 1)),
    created_at integer not null,
    valid_until integer not null,
    -- Null while it is under way.
    ended_at integer,
    outcome text,
    detail text
) strict, without rowid;

create index letter_open on letter (letter_id) where ended_at is null;
create index letter_message on letter (message_id) where message_id is not null and ended_at is null;
create index letter_created on letter (created_at);

create table audit_entry (
    audit_id blob primary key,
    account text not null,
    live integer not null check (live in (0, 1)),
    kind text not null,
    -- The key, or the operator at the local socket; null: the gateway itself.
    actor text,
    -- What it was done to.
    subject text not null,
    -- JSON: numbers and mailboxes in it are masked, reasons are people's own words.
    details_sealed blob not null,
    created_at integer not null
) strict, without rowid;

create index audit_entry_account on audit_entry (account, audit_id);
create index audit_entry_created on audit_entry (created_at);

-- What the right code or call proved: `phone` or `email`; null: nothing did.
alter table verification add column proved text;
