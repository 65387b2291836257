-- Entries of the audit log are chained by HMAC, a chain a tenant, so that whoever changes the tables is found out.

alter table audit_log
  add column seq bigint,
  add column key_id text,
  add column mac bytea,
  add column actor_kind text;
-- json keeps a text to the letter, which is what the mac is over. Rewriting the table fires no trigger, so that entries
-- of before learn their kind of actor here.
alter table audit_log
  alter column details drop default,
  alter column details type json using details::json,
  alter column actor_kind type text
    using case when actor_id = '00000000-0000-0000-0000-000000000000' then 'command' else 'key' end;
alter table audit_log
  alter column actor_kind set not null,
  add check (actor_kind in ('key', 'person', 'command', 'job')),
  add unique (tenant_id, seq),
  add constraint audit_log_is_chained check (seq is not null and key_id is not null and mac is not null) not valid;
create index audit_log_of_before on audit_log (tenant_id) where seq is null;
comment on column audit_log.actor_id is 'The API key, the person or the job; all zeros for a command on the server.';
comment on column audit_log.actor_kind is 'What actor_id names: key, person, command or job.';
comment on column audit_log.details is 'What was asked for, and what it was before and after where that matters; json, as its text is chained.';
comment on column audit_log.seq is 'The place in the tenant''s chain, from 1 on without a gap; null for entries from before there were chains.';
comment on column audit_log.key_id is 'The key of ENCRYPTION_KEYS that the code was made with.';
comment on column audit_log.mac is 'HMAC-SHA256 over all other columns and the mac of the entry before.';

create table audit_heads (
  tenant_id uuid primary key references tenants (id),
  seq bigint not null,
  mac bytea,
  anchored_seq bigint not null default 0,
  is_ending boolean not null default false,
  key_id text,
  head_mac bytea
);
comment on table audit_heads is 'Where each tenant''s chain of audit entries ends; locked by whoever adds to it.';
comment on column audit_heads.seq is 'Of the last entry; 0 before the first.';
comment on column audit_heads.mac is 'Of the last entry.';
comment on column audit_heads.anchored_seq is 'The last entry that the operators'' chain has.';
comment on column audit_heads.is_ending is 'The tenant is being erased: nothing is added any more.';
comment on column audit_heads.key_id is 'The key that head_mac was made with.';
comment on column audit_heads.head_mac is 'HMAC-SHA256 over the columns above: nobody without the key moves the end.';
create index audit_heads_to_anchor on audit_heads (tenant_id) where seq > anchored_seq;
call isolate_by_tenant('audit_heads');

-- What erases a tenant names it, and may remove what is that tenant's.
create function refuse_removal() returns trigger
language plpgsql as $$
begin
  if current_setting('app.erasing_tenant', true) = old.tenant_id::text then
    return old;
  end if;
  raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end
$$;
comment on function refuse_removal() is 'For tables whose rows stay until their tenant is erased.';
drop trigger audit_log_is_append_only on audit_log;
create trigger audit_log_is_not_changed before update on audit_log
  for each row execute function refuse_change();
create trigger audit_log_is_kept before delete on audit_log
  for each row execute function refuse_removal();
create trigger audit_heads_only_rise before update on audit_heads
  for each row when (new.seq < old.seq or new.tenant_id <> old.tenant_id) execute function refuse_change();
create trigger audit_heads_are_kept before delete on audit_heads
  for each row execute function refuse_removal();
create trigger audit_heads_are_not_emptied before truncate on audit_heads
  for each statement execute function refuse_change();
comment on table audit_log is 'What people did, written in the transaction that did it. Rows are not changed, and removed only with their tenant.';
