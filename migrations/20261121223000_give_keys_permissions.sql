alter table api_keys
  add column permissions text[] not null default '{*}' check (cardinality(permissions) > 0),
  add column last_used_at timestamptz;
alter table api_keys alter column permissions drop default;
comment on column api_keys.permissions is 'What it may do, as jobs:read; *:read reads everything that its tenant has, * does everything.';
comment on column api_keys.last_used_at is 'When it was last used, to the minute.';
comment on column api_keys.prefix is 'Its beginning, to recognise it by.';
create index api_keys_by_tenant on api_keys (tenant_id, created_at desc, id desc);
