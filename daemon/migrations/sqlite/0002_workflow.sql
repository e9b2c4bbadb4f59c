-- The user chooses: what the workflow does next, and codes that are written or spoken.

-- How texts and mails are worded; null: the client said nothing.
alter table verification add column template text;
alter table verification add column web_origin text;
alter table verification add column android_app_hash text;
-- Whether the client gave the code: then every channel carries the same one.
alter table verification add column own_code integer not null default 0 check (own_code in (0, 1));
-- Channels that were not tried yet, each with the milliseconds that it waits.
alter table verification add column workflow text not null default '';
-- When the first of them begins; null: none is left, or the present step decides.
alter table verification add column next_at integer;

-- The digits of a code that is written or spoken: a resend needs them. Null for a code that a
-- caller ID shows, once it was withdrawn, and when the verification has ended.
alter table step add column secret_sealed blob;
-- The texts or mails that carry the code: id, time and state of each, as JSON.
alter table step add column dispatches text not null default '';
