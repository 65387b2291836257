-- Keys of their own that tenants have at other services.

create table service_keys (
  id uuid primary key,
  tenant_id uuid not null references tenants (id),
  service text not null check (service in ('openai', 'publer')),
  secret text not null,
  last_four text not null,
  workspaces jsonb not null default '[]',
  workspace_id text,
  refused_at timestamptz,
  refusal text,
  created_at timestamptz not null default engine_stamp(),
  unique (tenant_id, service)
);
comment on table service_keys is 'A tenant''s own key at a service: OpenAI writes with it, and Publer''s opens a workspace with accounts.';
comment on column service_keys.secret is 'The key, encrypted. The token of a connection with it is in oauth_tokens.';
comment on column service_keys.last_four is 'The last characters of the key, to recognise it by; empty if it is short.';
comment on column service_keys.workspaces is 'The workspaces that the key opens: [{id, name}].';
comment on column service_keys.workspace_id is 'The workspace that is connected; null: none was chosen yet.';
comment on column service_keys.refused_at is 'When the service refused the key; its work waits, and people were told.';
comment on column service_keys.refusal is 'Why, in words for people.';
call isolate_by_tenant('service_keys');
