-- Times are milliseconds since 1970-01-01T00:00:00Z, bound from the daemon's clock. Ids are the
-- 16 bytes of a UUIDv7. What ends in _sealed is XChaCha20-Poly1305 under the secret key, bound
-- to its row and column; what ends in _hmac is HMAC-SHA256 under it, cut to 128 bits where it is
-- only searched for. The masked form of a number shows its first four digits and its last two.

-- What the daemon remembers of the database itself: the key-check value, and up to which id each
-- retention was applied.
create table setting (
    name text primary key,
    value blob not null
) strict, without rowid;

create table verification (
    verification_id blob primary key,
    account text not null,
    -- False under a test key.
    live integer not null check (live in (0, 1)),
    version integer not null,
    status text not null,
    -- The number to prove; null once its retention ran out.
    to_sealed blob,
    to_hmac blob,
    to_masked text not null,
    purpose text not null,
    -- The client's own words; null when it gave none.
    locale text,
    reference text,
    metadata text,
    session text,
    client_ip text,
    client_device_id text,
    created_at integer not null,
    expires_at integer not null,
    -- Null while it is pending.
    ended_at integer,
    code_length integer not null,
    code_space integer not null,
    checks_max integer not null,
    checks_used integer not null,
    sends_max integer not null,
    sends_used integer not null,
    next_send_allowed_at integer not null
) strict, without rowid;

create index verification_account on verification (account, verification_id);
create index verification_to on verification (to_hmac, verification_id) where to_hmac is not null;
create index verification_reference on verification (account, reference, verification_id)
    where reference is not null;

create table step (
    verification_id blob not null,
    n integer not null,
    channel text not null,
    status text not null,
    -- The exact word; null while there is nothing to say.
    detail text,
    created_at integer not null,
    -- What is kept of the code; all null once it was withdrawn or the verification has ended.
    code_tail_hmac blob,
    -- Null also for a channel without a caller number.
    code_number_hmac blob,
    code_length integer,
    code_space integer,
    -- Null also while nothing but the verification's end limits it.
    code_checkable_until integer,
    primary key (verification_id, n)
) strict, without rowid;

create table call (
    call_id blob primary key,
    verification_id blob not null,
    step_n integer not null,
    attempt integer not null,
    account text not null,
    live integer not null check (live in (0, 1)),
    trunk text not null,
    -- The called number; null once its retention ran out. It is searched for through the
    -- verification, which has its HMAC.
    to_sealed blob,
    to_masked text not null,
    -- The digits of the request line; null once the call has ended.
    dialled_sealed blob,
    -- Its tail is the code. Null once both the call and its verification have ended. There is no
    -- HMAC of it: nothing looks for it, and one would outlive the code.
    caller_id_sealed blob,
    caller_id_masked text not null,
    created_at integer not null,
    -- Where the INVITE went; null until the user agent told.
    target text,
    -- 0: no INVITE has left as far as is known.
    last_cseq integer not null,
    rang integer not null check (rang in (0, 1)),
    -- All null while no end is known.
    ended_at integer,
    outcome text,
    timeline text,
    -- Null also when no final response came, none named a cause or a time.
    status integer,
    q850 integer,
    retry_after_ms integer
) strict, without rowid;

create index call_verification on call (verification_id, call_id);
create index call_account on call (account, call_id);
create index call_up on call (call_id) where ended_at is null;

create table message (
    message_id blob primary key,
    account text not null,
    live integer not null check (live in (0, 1)),
    version integer not null,
    direction text not null,
    status text not null,
    -- Why it stands so; null: nothing to say.
    detail text,
    -- The called number; null once its retention ran out.
    to_sealed blob,
    to_hmac blob,
    to_masked text not null,
    -- Null: the trunk's own.
    sender text,
    -- It may hold a code; null once its retention ran out.
    text_sealed blob,
    encoding text not null,
    segments integer not null,
    -- The client's own; null when it gave none.
    reference text,
    -- Null until a trunk took it.
    trunk text,
    maybe_duplicate integer not null check (maybe_duplicate in (0, 1)),
    created_at integer not null,
    valid_until integer not null,
    updated_at integer not null
) strict, without rowid;

create index message_account on message (account, message_id);
create index message_to on message (to_hmac, message_id) where to_hmac is not null;
create index message_open on message (message_id)
    where direction = 'outbound' and status in ('accepted', 'sent');

-- A verification that is pending. Slots run from 0. Writers follow one another here, so nothing
-- else has to keep a session from standing twice.
create table open_verification (
    verification_id blob primary key,
    account text not null,
    live integer not null check (live in (0, 1)),
    to_hmac blob not null,
    purpose text not null,
    slot integer not null,
    -- Null: the client named none, and nothing supersedes it.
    session text,
    expires_at integer not null,
    unique (to_hmac, account, live, purpose, slot)
) strict, without rowid;

-- An Idempotency-Key of one account, kept for 24 hours. With a rowid: its rows are large and its
-- keys random, so that rows are appended and only the index is written all over.
create table idempotency_key (
    key_hmac blob primary key,
    request_hmac blob not null,
    -- Status, headers and body as they were answered.
    response_sealed blob not null,
    created_at integer not null
) strict;

create index idempotency_key_created on idempotency_key (created_at);

-- The events of one limit over its longest window.
create table limit_counter (
    limit_hmac blob primary key,
    log blob not null,
    forgotten_at integer not null
) strict, without rowid;

create index limit_counter_forgotten on limit_counter (forgotten_at);

-- A tail that a number was shown: HMAC of number and tail, and of the number alone.
create table shown_tail (
    to_hmac blob not null,
    tail_hmac blob not null,
    shown_at integer not null,
    primary key (to_hmac, tail_hmac)
) strict, without rowid;

create index shown_tail_shown on shown_tail (shown_at);

-- A number that does not exist, remembered for a while.
create table unallocated_number (
    to_hmac blob primary key,
    until integer not null
) strict, without rowid;

create index unallocated_number_until on unallocated_number (until);

create table api_key (
    api_key_id text primary key,
    secret_sha256 blob not null,
    -- Null: a gateway key, which sees all accounts.
    account text,
    live integer not null check (live in (0, 1)),
    -- Words, separated by spaces.
    scopes text not null,
    networks text not null,
    -- Null: its owner gave it no name.
    label text,
    created_at integer not null,
    -- Null: it has no end.
    expires_at integer,
    -- Null: it was not revoked.
    revoked_at integer,
    -- Null: it was never used.
    last_used_at integer
) strict, without rowid;
