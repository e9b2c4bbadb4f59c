-- Times are bound from the daemon's clock, never now(). Ids are UUIDv7, so they sort by time, and
-- tables that only grow are partitioned by week of their id. What ends in _sealed is
-- XChaCha20-Poly1305 under the secret key, bound to its row and column; what ends in _hmac is
-- HMAC-SHA256 under it, cut to 128 bits where it is only searched for. The masked form of a number
-- shows its first four digits and its last two.

-- What the daemon remembers of the database itself: the key-check value, and up to which id each
-- retention was applied.
create table setting (
    name text primary key,
    value bytea not null
);

create table verification (
    verification_id uuid primary key,
    account text not null,
    -- False under a test key.
    live boolean not null,
    version integer not null,
    status text not null,
    -- The number to prove; null once its retention ran out.
    to_sealed bytea,
    to_hmac bytea,
    to_masked text not null,
    purpose text not null,
    -- The client's own words; null when it gave none.
    locale text,
    reference text,
    metadata text,
    session text,
    client_ip text,
    client_device_id text,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    -- Null while it is pending.
    ended_at timestamptz,
    code_length integer not null,
    code_space bigint not null,
    checks_max integer not null,
    checks_used integer not null,
    sends_max integer not null,
    sends_used integer not null,
    next_send_allowed_at timestamptz not null
) partition by range (verification_id);

create index verification_account on verification (account, verification_id);
create index verification_to on verification (to_hmac, verification_id) where to_hmac is not null;
create index verification_reference on verification (account, reference, verification_id)
    where reference is not null;

create table step (
    verification_id uuid not null,
    n integer not null,
    channel text not null,
    status text not null,
    -- The exact word; null while there is nothing to say.
    detail text,
    created_at timestamptz not null,
    -- What is kept of the code; all null once it was withdrawn or the verification has ended.
    code_tail_hmac bytea,
    -- Null also for a channel without a caller number.
    code_number_hmac bytea,
    code_length integer,
    code_space bigint,
    -- Null also while nothing but the verification's end limits it.
    code_checkable_until timestamptz,
    primary key (verification_id, n)
) partition by range (verification_id);

create table call (
    call_id uuid primary key,
    verification_id uuid not null,
    step_n integer not null,
    attempt integer not null,
    account text not null,
    live boolean not null,
    trunk text not null,
    -- The called number; null once its retention ran out. It is searched for through the
    -- verification, which has its HMAC.
    to_sealed bytea,
    to_masked text not null,
    -- The digits of the request line; null once the call has ended.
    dialled_sealed bytea,
    -- Its tail is the code. Null once both the call and its verification have ended. There is no
    -- HMAC of it: nothing looks for it, and one would outlive the code.
    caller_id_sealed bytea,
    caller_id_masked text not null,
    created_at timestamptz not null,
    -- Where the INVITE went; null until the user agent told.
    target text,
    -- 0: no INVITE has left as far as is known.
    last_cseq integer not null,
    rang boolean not null,
    -- All null while no end is known.
    ended_at timestamptz,
    outcome text,
    timeline text,
    -- Null also when no final response came, none named a cause or a time.
    status integer,
    q850 integer,
    retry_after_ms bigint
) partition by range (call_id);

create index call_verification on call (verification_id, call_id);
create index call_account on call (account, call_id);
create index call_up on call (call_id) where ended_at is null;

create table message (
    message_id uuid primary key,
    account text not null,
    live boolean not null,
    version integer not null,
    direction text not null,
    status text not null,
    -- Why it stands so; null: nothing to say.
    detail text,
    -- The called number; null once its retention ran out.
    to_sealed bytea,
    to_hmac bytea,
    to_masked text not null,
    -- Null: the trunk's own.
    sender text,
    -- It may hold a code; null once its retention ran out.
    text_sealed bytea,
    encoding text not null,
    segments integer not null,
    -- The client's own; null when it gave none.
    reference text,
    -- Null until a trunk took it.
    trunk text,
    maybe_duplicate boolean not null,
    created_at timestamptz not null,
    valid_until timestamptz not null,
    updated_at timestamptz not null
) partition by range (message_id);

create index message_account on message (account, message_id);
create index message_to on message (to_hmac, message_id) where to_hmac is not null;
create index message_open on message (message_id)
    where direction = 'outbound' and status in ('accepted', 'sent');

-- A verification that is pending. Slots run from 0, so that two writers cannot both take the last
-- one; the same session cannot stand twice.
create table open_verification (
    verification_id uuid primary key,
    account text not null,
    live boolean not null,
    to_hmac bytea not null,
    purpose text not null,
    slot integer not null,
    -- Null: the client named none, and nothing supersedes it.
    session text,
    expires_at timestamptz not null,
    unique (to_hmac, account, live, purpose, slot),
    unique (to_hmac, account, live, purpose, session)
);

-- An Idempotency-Key of one account, kept for 24 hours.
create table idempotency_key (
    key_hmac bytea primary key,
    request_hmac bytea not null,
    -- Status, headers and body as they were answered.
    response_sealed bytea not null,
    created_at timestamptz not null
);

create index idempotency_key_created on idempotency_key (created_at);

-- The events of one limit over its longest window.
create table limit_counter (
    limit_hmac bytea primary key,
    log bytea not null,
    forgotten_at timestamptz not null
);

create index limit_counter_forgotten on limit_counter (forgotten_at);

-- A tail that a number was shown: HMAC of number and tail, and of the number alone.
create table shown_tail (
    to_hmac bytea not null,
    tail_hmac bytea not null,
    shown_at timestamptz not null,
    primary key (to_hmac, tail_hmac)
);

create index shown_tail_shown on shown_tail (shown_at);

-- A number that does not exist, remembered for a while.
create table unallocated_number (
    to_hmac bytea primary key,
    until timestamptz not null
);

create index unallocated_number_until on unallocated_number (until);

create table api_key (
    api_key_id text primary key,
    secret_sha256 bytea not null,
    -- Null: a gateway key, which sees all accounts.
    account text,
    live boolean not null,
    -- Words, separated by spaces.
    scopes text not null,
    networks text not null,
    -- Null: its owner gave it no name.
    label text,
    created_at timestamptz not null,
    -- Null: it has no end.
    expires_at timestamptz,
    -- Null: it was not revoked.
    revoked_at timestamptz,
    -- Null: it was never used.
    last_used_at timestamptz
);

-- The number of the last batch that a writer committed: it settles a commit whose answer was lost.
create table writer_mark (
    writer_id bytea primary key,
    batch bigint not null,
    marked_at timestamptz not null
);

-- Makes the partitions of one week for all partitioned tables. `week` names it by its first day
-- (YYYYMMDD). Rows are changed a few times soon after they were written, hence the free space.
create function make_week(week text, first uuid, after_last uuid) returns void
language plpgsql as $$
declare
    parent text;
begin
    perform pg_advisory_xact_lock(4916523);
    foreach parent in array array['verification', 'step', 'call', 'message'] loop
        if to_regclass(parent || '_' || week) is null then
            execute format(
                'create table %I partition of %I for values from (%L) to (%L) with (fillfactor = 85)',
                parent || '_' || week, parent, first, after_last);
        end if;
    end loop;
end
$$;

-- Drops the partitions of all weeks that begin before `week`; gives how many.
create function drop_weeks_before(week text) returns integer
language plpgsql as $$
declare
    child regclass;
    dropped integer := 0;
begin
    perform pg_advisory_xact_lock(4916523);
    for child in
        select inhrelid::regclass from pg_inherits
        where inhparent in ('verification'::regclass, 'step'::regclass, 'call'::regclass,
                            'message'::regclass)
          and right((inhrelid::regclass)::text, 8) < week
    loop
        execute format('drop table %s', child);
        dropped := dropped + 1;
    end loop;
    return dropped;
end
$$;
