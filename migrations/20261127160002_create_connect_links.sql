-- Links by which people without an account here connect theirs to a tenant.

create table connect_links (
  id uuid primary key,
  tenant_id uuid not null references tenants (id),
  provider text not null,
  secret_sha256 bytea not null unique,
  created_by uuid references users (id) on delete set null,
  created_at timestamptz not null default engine_stamp(),
  expires_at timestamptz not null,
  revoked_at timestamptz,
  last_used_at timestamptz,
  unique (tenant_id, id)
);
comment on table connect_links is 'A link with which somebody without an account here connects accounts to a tenant.';
comment on column connect_links.secret_sha256 is 'Hash of the secret in the link''s address.';
comment on column connect_links.created_by is 'The person who made it; null: a key did, or the person is gone.';
comment on column connect_links.last_used_at is 'When somebody last began to connect with it.';
create index connect_links_by_time on connect_links (tenant_id, created_at desc, id desc);
create index connect_links_by_creator on connect_links (created_by) where created_by is not null;
call isolate_by_tenant('connect_links');

alter table oauth_state
  add column connect_link_id uuid,
  add constraint oauth_state_tenant_id_connect_link_id_fkey
    foreign key (tenant_id, connect_link_id) references connect_links (tenant_id, id) on delete cascade;
comment on column oauth_state.connect_link_id is 'The link that it was begun with; null: a person or a key began it.';
create index oauth_state_by_link on oauth_state (tenant_id, connect_link_id) where connect_link_id is not null;
