-- What a process that starts after a crash needs to hang up an answered call: tags, Call-ID, route
-- set, remote target. Null until it is answered, and once it has ended.
alter table call add column dialog_sealed blob;
