-- Receipts of codes, deliveries of several nodes.

-- Whose code the part carried, with message_id as the text's own id; null: the text of message.
alter table submitted_part add column verification_id uuid;
-- In how many parts that code went; null: the text of message.
alter table submitted_part add column parts integer;

-- Until when one of several nodes sends it, by the server's clock; null: none does.
alter table webhook_delivery add column claimed_until timestamptz;
