-- Who did what.

create table audit_log (
  id uuid primary key,
  tenant_id uuid not null references tenants (id),
  actor_id uuid not null,
  actor_name text not null,
  action text not null,
  object_type text not null,
  object_id text not null,
  details jsonb not null default '{}',
  remote_address text,
  created_at timestamptz not null default engine_stamp()
);
comment on table audit_log is 'What people did, written in the transaction that did it. Rows are neither changed nor removed.';
comment on column audit_log.tenant_id is 'Whose thing it was done to; the system tenant for what concerns everybody.';
comment on column audit_log.actor_id is 'The API key; all zeros for a command on the server.';
comment on column audit_log.details is 'What was asked for, and what it was before and after where that matters.';
comment on column audit_log.remote_address is 'The other end of the connection, which may be a proxy.';
create index audit_log_by_tenant on audit_log (tenant_id, created_at desc, id desc);
create index audit_log_by_creation on audit_log (created_at desc, id desc);
call isolate_by_tenant('audit_log');

create function refuse_change() returns trigger
language plpgsql as $$
begin
  raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end
$$;
comment on function refuse_change() is 'For tables that are only ever added to.';
create trigger audit_log_is_append_only before update or delete on audit_log
  for each row execute function refuse_change();
create trigger audit_log_is_not_emptied before truncate on audit_log
  for each statement execute function refuse_change();
