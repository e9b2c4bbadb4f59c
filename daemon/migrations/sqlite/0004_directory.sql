-- Who may sign in: users by number, mailbox or login, and the sign-ins they begin.

-- The second target, where a user has a number and a mailbox: sealed like the first. Null: none, or
-- its retention ran out.
alter table verification add column also_sealed blob;
-- The user and the sign-in that it proves; null: the client named its target itself.
alter table verification add column user_id blob;
alter table verification add column sign_in_id blob;

create table directory_user (
    user_id blob primary key,
    account text not null,
    -- False under a test key.
    live integer not null check (live in (0, 1)),
    version integer not null,
    name text not null,
    -- How it is found; null: it has none of this kind. The HMACs are over account and value, so
    -- that none stands twice in one account.
    phone_sealed blob,
    phone_hmac blob unique,
    phone_masked text,
    email_sealed blob,
    email_hmac blob unique,
    email_masked text,
    login text,
    login_hmac blob unique,
    -- Null: the client gave none.
    extension text,
    role text,
    enabled integer not null check (enabled in (0, 1)),
    -- Argon2id in PHC form; null: no password is set.
    password_hash text,
    created_at integer not null,
    updated_at integer not null
) strict, without rowid;

create index directory_user_account on directory_user (account, user_id);

create table sign_in (
    sign_in_id blob primary key,
    account text not null,
    live integer not null check (live in (0, 1)),
    status text not null,
    user_id blob not null,
    created_at integer not null,
    expires_at integer not null,
    -- Null while it is open.
    ended_at integer,
    -- The verification that ended it; null while it is open, or when none did.
    verification_id blob
) strict, without rowid;
