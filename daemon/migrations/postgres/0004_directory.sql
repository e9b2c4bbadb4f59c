-- Who may sign in: users by number, mailbox or login, and the sign-ins they begin.

-- The second target, where a user has a number and a mailbox: sealed like the first. Null: none, or
-- its retention ran out.
alter table verification add column also_sealed bytea;
-- The user and the sign-in that it proves; null: the client named its target itself.
alter table verification add column user_id uuid;
alter table verification add column sign_in_id uuid;

create table directory_user (
    user_id uuid primary key,
    account text not null,
    -- False under a test key.
    live boolean not null,
    version integer not null,
    name text not null,
    -- How it is found; null: it has none of this kind. The HMACs are over account and value, so
    -- that none stands twice in one account.
    phone_sealed bytea,
    phone_hmac bytea unique,
    phone_masked text,
    email_sealed bytea,
    email_hmac bytea unique,
    email_masked text,
    login text,
    login_hmac bytea unique,
    -- Null: the client gave none.
    extension text,
    role text,
    enabled boolean not null,
    -- Argon2id in PHC form; null: no password is set.
    password_hash text,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create index directory_user_account on directory_user (account, user_id);

create table sign_in (
    sign_in_id uuid primary key,
    account text not null,
    live boolean not null,
    status text not null,
    user_id uuid not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    -- Null while it is open.
    ended_at timestamptz,
    -- The verification that ended it; null while it is open, or when none did.
    verification_id uuid
);
