-- Receipts of codes.

-- Whose code the part carried, with message_id as the text's own id; null: the text of message.
alter table submitted_part add column verification_id blob;
-- In how many parts that code went; null: the text of message.
alter table submitted_part add column parts integer;
