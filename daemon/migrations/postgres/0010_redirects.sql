-- Redirects of texts into mailboxes, the letters that they make, and who did what.

create table sms_redirect (
    redirect_id uuid primary key,
    account text not null,
    -- False under a test key.
    live boolean not null,
    version integer not null,
    -- Over account and number: one redirect for each number of an account.
    phone_hmac bytea not null unique,
    phone_sealed bytea not null,
    phone_masked text not null,
    email_sealed bytea not null,
    email_masked text not null,
    mode text not null,
    -- True: the mailbox is not the one of the user's card.
    is_override boolean not null,
    -- Null: none was given.
    reason_sealed bytea,
    -- From then on texts go to the phone again.
    until timestamptz not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create index sms_redirect_account on sms_redirect (account, redirect_id);
create index sms_redirect_until on sms_redirect (until);

-- Letters that are sent at least once, each stored with what it is about.
create table letter (
    letter_id uuid primary key,
    account text not null,
    live boolean not null,
    kind text not null,
    redirect_id uuid not null,
    -- Null once it has ended.
    to_sealed bytea,
    to_masked text not null,
    content_sealed bytea,
    -- The text that it carries; null: a notice.
    message_id uuid,
    -- True: the text goes nowhere else, and stands where the letter stands.
    is_instead boolean not null,
    created_at timestamptz not null,
    valid_until timestamptz not null,
    -- Null while it is under way.
    ended_at timestamptz,
    outcome text,
    detail text
);

create index letter_open on letter (letter_id) where ended_at is null;
create index letter_message on letter (message_id) where message_id is not null and ended_at is null;
create index letter_created on letter (created_at);

create table audit_entry (
    audit_id uuid primary key,
    account text not null,
    live boolean not null,
    kind text not null,
    -- The key, or the operator at the local socket; null: the gateway itself.
    actor text,
    -- What it was done to.
    subject text not null,
    -- JSON: numbers and mailboxes in it are masked, reasons are people's own words.
    details_sealed bytea not null,
    created_at timestamptz not null
);

create index audit_entry_account on audit_entry (account, audit_id);
create index audit_entry_created on audit_entry (created_at);

-- What the right code or call proved: `phone` or `email`; null: nothing did.
alter table verification add column proved text;
