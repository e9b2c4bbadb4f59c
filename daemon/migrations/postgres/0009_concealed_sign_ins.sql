-- What somebody typed who began a sign-in, where the account conceals who is registered: its kind, and
-- a number or mailbox sealed. Null: the account tells, or, of the second, a login was typed.
alter table sign_in add column typed_kind text;
alter table sign_in add column typed_sealed bytea;
